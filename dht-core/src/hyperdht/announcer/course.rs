//! What an announcer is at, and what follows from what.

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use super::relays::can_keep;
use super::{AnnounceError, Announcer};
use crate::api::ask::Request;
use crate::api::error::{QueryError, RequestError};
use crate::api::message::Reply;
use crate::error_code::INVALID_TOKEN;
use crate::hyperdht::asking::Announcing;
use crate::hyperdht::command;
use crate::hyperdht::keys::Signer;
use crate::time::Instant;

/// How long an announcement is left alone, in looks at the nodes that relay for it.
const LOOKS: u32 = 100;
/// From one look to the next; and after a failure, the first of the pauses that double.
const LOOK: Duration = Duration::from_secs(3);
/// Nodes that relay for a peer, at most, which is as many as have to answer.
pub(super) const RELAYS: usize = 3;
/// Nodes of each sort that are remembered: more are not closest to a topic (`Outcome::closest`).
pub(super) const NODES_MAX: usize = 60;

/// What an announcer is at.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// An announcement is to be made, unless the node is suspended.
    Due,
    /// The closest nodes are looked for.
    Walking,
    Announcing,
    /// Nodes that kept it before are told to forget it.
    Forgetting,
    Resting {
        until: Instant,
        next: Next,
    },
    /// The relays are asked whether they still have it.
    Looking {
        /// The number of looks after this one.
        left: u32,
        lost: Vec<SocketAddrV4>,
    },
    /// It is taken back.
    Withdrawing,
    Over,
}

/// What follows a rest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// So many looks.
    Looks(u32),
    /// The announcement is made anew. `forgives`: nodes that were silent may be relays again.
    Anew { forgives: bool },
}

/// What is asked of a node.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// To keep the announcement; with the reply that brought the token. `again`: the first token was refused.
    Announce { reply: Reply, again: bool },
    /// Whether it still has it.
    Look(SocketAddrV4),
    /// For a token to take it back with.
    Ask(SocketAddrV4),
    /// To forget it.
    Unannounce(Reply),
}

impl<S: Signer> Announcer<S> {
    pub(super) fn what(&self) -> Announcing<'_, S> {
        let relay_addresses = self.relay_addresses.clone();
        Announcing { relay_addresses, ..Announcing::new(self.topic, &self.signer) }
    }

    /// What is asked before an announcement.
    pub(super) fn command(&self) -> u64 {
        if self.is_own { command::FIND_PEER } else { command::LOOKUP }
    }

    /// Asks for a token, and for what is kept. (The reference pings its relays.) For a node behind a NAT asking keeps the way open.
    pub(super) fn question(&self, to: SocketAddrV4) -> Request {
        Request::new(to, self.command()).target(self.topic)
    }

    pub(super) fn on_announced(
        &mut self,
        addr: SocketAddrV4,
        again: bool,
        response: Result<Reply, AnnounceError<S::Error>>,
    ) {
        match response {
            Ok(reply) if reply.error == 0 => {
                self.commit.succeeded += 1;
                self.taken.push(addr);
            }
            // The walk may have taken longer than a token lives; the refusal brings another.
            Ok(reply)
                if reply.error == INVALID_TOKEN && !again && !self.ends && can_keep(&reply) =>
            {
                self.line.push_back(Step::Announce { reply: bare(reply), again: true });
            }
            Ok(reply) => {
                self.commit.refused += 1;
                self.commit.refusal = Some(reply.error);
            }
            Err(error) => {
                let was_sent = matches!(error, AnnounceError::Request(_));
                if was_sent {
                    self.doubt(addr);
                }
                match error {
                    AnnounceError::Request(RequestError::Timeout) => self.commit.timed_out += 1,
                    error => self.failure = Some(error),
                }
            }
        }
    }

    /// A node may still have it. When it is taken back, that is given up; before, it is tried again then.
    pub(super) fn was_not_told(&mut self, addr: SocketAddrV4) {
        if matches!(self.stage, Stage::Forgetting) {
            self.doubt(addr);
        }
    }

    fn doubt(&mut self, addr: SocketAddrV4) {
        if !self.doubtful.contains(&addr) {
            self.doubtful.push(addr);
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, now: Instant) {
        match self.stage {
            Stage::Resting { until, next } if until <= now && !self.is_suspended => match next {
                Next::Looks(left) => {
                    self.line = self.kept_by.iter().copied().map(Step::Look).collect();
                    self.stage = Stage::Looking { left: left.saturating_sub(1), lost: Vec::new() };
                }
                Next::Anew { forgives } => self.make_anew(forgives),
            },
            _ => {}
        }
    }

    pub(super) fn make_anew(&mut self, forgives: bool) {
        if forgives {
            self.silent.clear();
        }
        self.stage = Stage::Due;
    }

    /// Ends a stage when nothing waits and nothing is under way.
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.line.is_empty() || !self.asked.is_empty() {
            return;
        }
        match &mut self.stage {
            Stage::Announcing => self.conclude(now),
            Stage::Forgetting => {
                keep_latest(&mut self.doubtful);
                self.rest(now);
            }
            Stage::Looking { left, lost } => {
                let (left, lost) = (*left, core::mem::take(lost));
                self.on_looked(now, left, lost);
            }
            Stage::Withdrawing => self.end(),
            Stage::Due | Stage::Walking | Stage::Resting { .. } | Stage::Over => {}
        }
    }

    fn conclude(&mut self, now: Instant) {
        let (commit, failure) = (core::mem::take(&mut self.commit), self.failure.take());
        let taken = core::mem::take(&mut self.taken);
        keep_latest(&mut self.doubtful);
        if taken.is_empty() {
            let error = failure.unwrap_or_else(|| QueryError::Commit(commit).into());
            return self.fail(now, error);
        }
        let gone = core::mem::replace(&mut self.kept_by, taken).into_iter();
        let gone: Vec<_> = gone.filter(|addr| !self.kept_by.contains(addr)).collect();
        self.doubtful.retain(|addr| !self.kept_by.contains(addr) && !gone.contains(addr));
        self.line = gone.into_iter().map(Step::Ask).collect();
        (self.failures, self.result) = (0, Some(Ok(())));
        self.stage = Stage::Forgetting;
        self.settle(now);
    }

    pub(super) fn fail(&mut self, now: Instant, error: AnnounceError<S::Error>) {
        self.failures = self.failures.saturating_add(1);
        self.result = Some(Err(error));
        self.rest(now);
    }

    /// Leaves the announcement alone for five minutes, unless something happens. After failures in a row it is tried again sooner.
    fn rest(&mut self, now: Instant) {
        let is_due = self.renews || self.failures > 0 && self.is_hopeful;
        let (pause, next) = match self.failures {
            _ if self.ends => return self.withdraw(),
            _ if is_due => return self.make_anew(false),
            0 if self.is_own => (LOOK, Next::Looks(LOOKS)),
            0 => (LOOK * LOOKS, Next::Anew { forgives: true }),
            failures => (LOOK * (1 << (failures - 1).min(6)), Next::Anew { forgives: false }),
        };
        self.stage = Stage::Resting { until: now + pause, next };
    }

    /// `lost`: relays that don't answer any more, or not with the announcement.
    fn on_looked(&mut self, now: Instant, left: u32, lost: Vec<SocketAddrV4>) {
        if self.renews {
            // Answers may have been lost because the network has changed.
            return self.make_anew(false);
        }
        let all = self.kept_by.len();
        let is_short = all.saturating_sub(lost.len()) < all.min(RELAYS);
        self.silent.extend(lost);
        keep_latest(&mut self.silent);
        let (pause, next) = match left {
            // Not for ever: who takes announcements and falls silent must not keep the signer busy.
            _ if is_short => {
                let pause = LOOK * (self.silent.len() / RELAYS) as u32;
                (pause, Next::Anew { forgives: false })
            }
            0 => return self.make_anew(true),
            left => (LOOK, Next::Looks(left)),
        };
        self.stage = Stage::Resting { until: now + pause, next };
    }

    pub(super) fn withdraw(&mut self) {
        self.asked.clear();
        let mut all = core::mem::take(&mut self.kept_by);
        all.append(&mut self.doubtful);
        all.sort_unstable();
        all.dedup();
        self.line = all.into_iter().map(Step::Ask).collect();
        self.stage = Stage::Withdrawing;
        if self.line.is_empty() {
            self.end();
        }
    }

    pub(super) fn end(&mut self) {
        self.line.clear();
        self.asked.clear();
        self.kept_by.clear();
        self.stage = Stage::Over;
    }
}

/// What of a reply is needed later.
pub(super) fn bare(mut reply: Reply) -> Reply {
    (reply.value, reply.closer_nodes) = (None, None);
    reply
}

fn keep_latest(nodes: &mut Vec<SocketAddrV4>) {
    nodes.drain(..nodes.len().saturating_sub(NODES_MAX));
}
