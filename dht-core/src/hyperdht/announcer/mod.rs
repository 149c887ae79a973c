//! An announcement that lives on, as a state machine beside a node. Mirrors `lib/announcer.js`.
//!
//! It sends nothing, and knows no [`Node`](crate::Node): it says what it wants to ask, and is told what came of it.

mod course;
mod relays;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;

use thiserror::Error;

use self::course::{NODES_MAX, Stage, Step, bare};
use self::relays::relays_among;
use super::asking;
use super::keys::{PublicKey, Signer};
use super::messages::RELAY_ADDRESSES_MAX;
use super::signing::hash;
use crate::api::ask::{Query, Request};
use crate::api::error::{QueryError, RequestError, SendError};
use crate::api::event::Event;
use crate::api::message::{Commit, Outcome, Reply};
use crate::id::Id;
use crate::time::Instant;

/// Keeps an announcement alive, in an embedder's own loop; with the front-end that is `driver::Announcer`.
///
/// It is made anew every five minutes, after a change of the network or of the node's address, a sleep or a suspension, and
/// if the nodes that relay for a peer fall silent. Nodes that are not among the closest any more are told to forget it.
///
/// A peer that announces itself, under the [`hash()`](super::hash()) of its key, is kept by the three closest nodes, of different /24s if there are
/// enough, which relay handshakes to it; another topic by all of the closest. A failed announcement is tried again after 3 s, and
/// later ones after twice the pause before, 192 s at most.
///
/// Whenever one of its methods was called that takes `&mut self`, and when the time of [`poll_timeout`](Self::poll_timeout) has come,
/// call [`poll`](Self::poll) until it gives `None`. Each [`Want`] has to be answered once. Hand in all events of the node; if it is
/// suspended when this is made, begin with [`Event::Suspended`]. To take the announcement back, call [`stop`](Self::stop), and go on until
/// [`is_over`](Self::is_over).
///
/// It remembers at most 60 nodes that have it, 60 that may have it and 60 that were silent, so that no more than 180 requests wait
/// or are under way.
///
/// ```
/// use std::collections::BTreeMap;
/// use dht_core::hyperdht::{Announcer, KeyPair, Want, hash};
/// use dht_core::{Config, Event, Instant, Node};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// let now = Instant::ZERO;
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// let mut announcer = Announcer::new(hash(b"my service"), KeyPair::generate(&mut rng), &[]);
/// let (mut query, mut requests) = (None, BTreeMap::new());
///
/// // For each turn of the node's loop:
/// while let Some(event) = node.poll_event() {
///     match event {
///         Event::Finished(id) if query == Some(id) => {
///             let outcome = node.take_outcome(id);
///             outcome.into_iter().for_each(|outcome| announcer.handle_outcome(now, outcome));
///         }
///         Event::Response(id) if requests.contains_key(&id) => {
///             let ended = requests.remove(&id).zip(node.take_response(id)).into_iter();
///             ended.for_each(|(slot, response)| announcer.handle_response(now, slot, response));
///         }
///         event => announcer.handle_event(&event),
///     }
/// }
/// while let Some(want) = announcer.poll(now) {
///     match want {
///         Want::Query(wanted) => match node.query(now, wanted) {
///             Ok(id) => query = Some(id),
///             Err(error) => announcer.handle_outcome(now, Err(error)),
///         },
///         Want::Request(slot, request) => match node.request(now, request) {
///             Ok(id) => _ = requests.insert(id, slot),
///             Err(error) => announcer.handle_response(now, slot, Err(error)),
///         },
///     }
/// }
/// // The loop goes on when the node wants it, and here:
/// let due = announcer.poll_timeout();
/// # assert!(query.is_some() && due.is_none());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Announcer<S: Signer> {
    topic: Id,
    signer: S,
    public_key: PublicKey,
    /// Whether a peer announces itself.
    is_own: bool,
    relay_addresses: Vec<SocketAddrV4>,
    stage: Stage,
    /// To be asked next, and under way.
    line: VecDeque<Step>,
    asked: Vec<(Slot, Step)>,
    slots: u64,
    /// Of the announcement under way: how it goes, who has taken it, why one of them was not even asked.
    commit: Commit,
    taken: Vec<SocketAddrV4>,
    failure: Option<AnnounceError<S::Error>>,
    /// Of the latest announcement that has ended.
    result: Option<Result<(), AnnounceError<S::Error>>>,
    kept_by: Vec<SocketAddrV4>,
    /// Were sent it and have not answered, or could not be told to forget it.
    doubtful: Vec<SocketAddrV4>,
    /// Relays that fell silent since the last announcement that was due by time: as often as they did.
    silent: Vec<SocketAddrV4>,
    /// Announcements that failed in a row.
    failures: u32,
    /// Something has happened that what is under way takes no account of.
    renews: bool,
    /// Peers answer again, since the announcement began.
    is_hopeful: bool,
    is_suspended: bool,
    ends: bool,
}

/// What an [`Announcer`] wants to be done.
#[derive(Clone, Debug)]
pub enum Want {
    /// A query; [`Announcer::handle_outcome`] takes its outcome. There is one at a time.
    Query(Query),
    /// A request; [`Announcer::handle_response`] takes the answer.
    Request(Slot, Request),
}

/// Which request of an [`Announcer`] an answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u64);

/// Why an announcement failed: nobody has taken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnnounceError<E> {
    /// The query, or the last of the requests that failed, was not begun.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The query failed, or it found nobody, or nobody whom it found has taken the announcement.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A request failed other than by a time-out.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The signer failed.
    #[error("the signer failed: {0}")]
    Signer(#[source] E),
}

/// # Calls of the embedder's loop
impl<S: Signer> Announcer<S> {
    /// What it wants next. Signs if it has to, and nothing else does, so that a slow signer holds up only this call.
    /// Late calls delay. Calls at any other time do no harm, and give `None`.
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Option<Want> {
        loop {
            self.pass(now);
            if matches!(self.stage, Stage::Due) && !self.is_suspended {
                (self.stage, self.renews, self.is_hopeful) = (Stage::Walking, false, false);
                let query = Query::new(self.topic, self.command());
                return Some(Want::Query(query.discard_replies()));
            }
            let step = self.line.pop_front()?;
            let request = match &step {
                Step::Announce { reply, .. } => self.what().announce(reply),
                Step::Unannounce(reply) => self.what().unannounce(reply),
                Step::Look(to) | Step::Ask(to) => Some(Ok(self.question(*to))),
            };
            match (request, &step) {
                (Some(Ok(request)), _) => {
                    self.slots += 1;
                    self.asked.push((Slot(self.slots), step));
                    return Some(Want::Request(Slot(self.slots), request));
                }
                (Some(Err(error)), Step::Announce { .. }) => {
                    self.failure = Some(AnnounceError::Signer(error));
                }
                (None, Step::Announce { .. }) => self.commit.without_token += 1,
                (_, Step::Unannounce(reply)) => self.was_not_told(reply.from.addr),
                _ => {}
            }
            self.settle(now);
        }
    }

    /// When [`poll`](Self::poll) has to be called, if nothing happens before; `None` while the node is suspended, or while it waits for answers.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Resting { until, .. } if !self.is_suspended => Some(*until),
            _ => None,
        }
    }

    /// How the query has ended, or why it was not begun. Ignored if none was wanted.
    pub fn handle_outcome<E: Into<AnnounceError<S::Error>>>(
        &mut self,
        now: Instant,
        outcome: Result<Outcome, E>,
    ) {
        if !matches!(self.stage, Stage::Walking) {
            return;
        }
        if self.renews {
            self.stage = Stage::Due;
            return;
        }
        match outcome {
            Err(error) => self.fail(now, error.into()),
            Ok(outcome) if outcome.closest.is_empty() => self.fail(now, outcome.too_few().into()),
            Ok(outcome) => {
                let chosen = self.is_own.then(|| relays_among(&outcome.closest, &self.silent));
                // If nobody can keep it, all are counted as without a token.
                let chosen = chosen.filter(|chosen| !chosen.is_empty());
                let is_chosen = |chosen: &Vec<_>, reply: &Reply| chosen.contains(&reply.from.addr);
                let all = outcome.closest.into_iter().take(NODES_MAX);
                let all = all.filter(|it| chosen.as_ref().is_none_or(|only| is_chosen(only, it)));
                self.line =
                    all.map(|it| Step::Announce { reply: bare(it), again: false }).collect();
                self.stage = Stage::Announcing;
                self.settle(now);
            }
        }
    }

    /// The answer to a request, why there is none, or why it was not begun. Ignored if it is not, or no longer, waited for.
    pub fn handle_response<E: Into<AnnounceError<S::Error>>>(
        &mut self,
        now: Instant,
        slot: Slot,
        response: Result<Reply, E>,
    ) {
        let Some(at) = self.asked.iter().position(|(asked, _)| *asked == slot) else { return };
        let (_, step) = self.asked.swap_remove(at);
        let response = response.map_err(Into::into);
        match (step, response) {
            (Step::Announce { reply, again }, response) => {
                self.on_announced(reply.from.addr, again, response);
            }
            (Step::Look(addr), response) => {
                let is_lost = match response {
                    Ok(reply) => asking::peer(&reply, &self.public_key).is_none(),
                    // It was not asked, or had no time to answer.
                    Err(AnnounceError::Send(_)) => false,
                    Err(error) => !matches!(error, AnnounceError::Request(RequestError::Suspended)),
                };
                if let (Stage::Looking { lost, .. }, true) = (&mut self.stage, is_lost) {
                    lost.push(addr);
                }
            }
            (Step::Ask(_), Ok(reply)) => self.line.push_back(Step::Unannounce(bare(reply))),
            (Step::Ask(addr), Err(_)) => self.was_not_told(addr),
            (Step::Unannounce(reply), Err(_)) => self.was_not_told(reply.from.addr),
            (Step::Unannounce(_), Ok(_)) => {}
        }
        self.settle(now);
    }

    /// What has happened to the node. While it is suspended nothing is announced, and no time passes.
    ///
    /// A change of the network or of the node's own address, a sleep or a resumption makes another announcement necessary,
    /// unless the closest nodes are still looked for: then nothing was announced so far, and a token that was meant for another
    /// address of ours is replaced when it is refused.
    pub fn handle_event(&mut self, event: &Event) {
        match event {
            // Relays and peers send to the address that it came from.
            Event::NetworkChange
            | Event::WakeUp
            | Event::SocketLost(_)
            | Event::Persistent
            | Event::Ephemeral => self.refresh(),
            Event::Resumed => {
                self.is_suspended = false;
                self.refresh();
            }
            Event::Suspended => {
                self.is_suspended = true;
                // The query was cut off.
                self.renews |= matches!(self.stage, Stage::Walking);
            }
            Event::Online => {
                self.is_hopeful = true;
                if matches!(self.stage, Stage::Resting { .. }) && self.failures > 0 {
                    self.stage = Stage::Due;
                }
            }
            Event::Closed => self.end(),
            _ => {}
        }
    }
}

/// # Calls of the user's
impl<S: Signer> Announcer<S> {
    /// Announces `topic`, from the first [`poll`](Self::poll) on. `relay_addresses`: nodes that relay handshakes to the peer; the first three count.
    #[must_use]
    pub fn new(topic: Id, signer: S, relay_addresses: &[SocketAddrV4]) -> Self {
        let public_key = signer.public_key();
        Self {
            is_own: hash(&public_key.0) == topic,
            topic,
            public_key,
            signer,
            relay_addresses: relay_addresses.iter().copied().take(RELAY_ADDRESSES_MAX).collect(),
            stage: Stage::Due,
            line: VecDeque::new(),
            asked: Vec::new(),
            slots: 0,
            commit: Commit::default(),
            taken: Vec::new(),
            failure: None,
            result: None,
            kept_by: Vec::new(),
            doubtful: Vec::new(),
            silent: Vec::new(),
            failures: 0,
            renews: false,
            is_hopeful: false,
            is_suspended: false,
            ends: false,
        }
    }

    /// Announces anew now; if that is under way, once it has ended. Does nothing while the closest nodes are looked for.
    pub fn refresh(&mut self) {
        match self.stage {
            Stage::Resting { .. } => self.stage = Stage::Due,
            Stage::Announcing | Stage::Forgetting | Stage::Looking { .. } => self.renews = true,
            Stage::Due | Stage::Walking | Stage::Withdrawing | Stage::Over => {}
        }
    }

    /// Takes the announcement back from all nodes that may have it, as soon as those that were sent it have answered.
    pub fn stop(&mut self) {
        if matches!(self.stage, Stage::Withdrawing | Stage::Over) {
            return;
        }
        self.ends = true;
        match self.stage {
            Stage::Announcing => {
                self.line.clear();
                if self.asked.is_empty() {
                    self.doubtful.append(&mut self.taken);
                    self.withdraw();
                }
            }
            Stage::Forgetting => {}
            _ => self.withdraw(),
        }
    }

    /// Whether it was stopped and all nodes know or are given up, or the node is closed. It wants nothing any more then.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The nodes that have it.
    #[must_use]
    pub fn kept_by(&self) -> &[SocketAddrV4] {
        &self.kept_by
    }

    /// How the latest announcement has ended, once. A success: somebody has taken it.
    #[must_use]
    pub fn take_result(&mut self) -> Option<Result<(), AnnounceError<S::Error>>> {
        self.result.take()
    }
}

/// Prints no addresses of its own, and nothing of the signer.
impl<S: Signer> fmt::Debug for Announcer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer")
            .field("topic", &self.topic)
            .field("public_key", &self.public_key)
            .field("kept_by", &self.kept_by)
            .field("failures", &self.failures)
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}
