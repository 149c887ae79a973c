//! An announcement that lives on. Mirrors `lib/announcer.js`.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::SocketAddrV4;
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::Stream;

use super::calls::signed;
use crate::addr::prefix24;
use crate::driver::dht::Dht;
use crate::driver::error::Error;
use crate::driver::feed::Events;
use crate::driver::guard::guard;
use crate::driver::query::all;
use crate::hyperdht::asking::{self, Announcing};
use crate::hyperdht::{Signer, command, hash};
use crate::{Commit, Event, Id, Query, QueryError, Reply, Request};

/// How long an announcement is left alone, in looks at the nodes that relay for it.
const LOOKS: u32 = 100;
/// From one look to the next.
const LOOK: Duration = Duration::from_secs(3);
/// Nodes that relay for a peer, at most, which is as many as have to answer.
const RELAYS: usize = 3;

/// Keeps an announcement alive, made by [`Dht::announcer`]: it is made anew every five minutes, after a change of the network
/// or a suspension, and if the nodes that relay for a peer fall silent. Nodes that are not among the closest any more are told
/// to forget it.
///
/// When this is dropped or [closed](Self::close), all nodes are told. Until they know, the node lives on, as with a handle. No node
/// is told any more once the node itself is closed, and nothing is taken back while it is suspended: close the announcer first.
///
/// The signer runs on the driver's task: a slow signer holds up the node, and a panic of the signer ends this. Each announcer costs
/// about a microsecond whenever the driver is woken.
#[must_use = "dropping it takes the announcement back"]
pub struct Announcer(Arc<Told>);

/// What the job and its owner tell each other.
#[derive(Default)]
struct Told(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    /// The owner wants it to end.
    ends: bool,
    /// The owner wants a new announcement.
    refreshes: bool,
    /// How the latest announcement went; `None` before the first.
    latest: Option<Result<(), Error>>,
    kept_by: Vec<SocketAddrV4>,
    is_over: bool,
    job: Option<Waker>,
    /// Of the tasks that wait for the job.
    waiting: Vec<Waker>,
}

impl Told {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the notes, and wakes whom that concerns, without the lock.
    fn note(&self, note: impl FnOnce(&mut Notes)) {
        let mut notes = self.notes();
        note(&mut notes);
        let (job, waiting) = (notes.job.take(), core::mem::take(&mut notes.waiting));
        drop(notes);
        for waker in waiting.into_iter().chain(job) {
            guard(|| waker.wake());
        }
    }
}

impl Dht {
    /// Announces a topic, and keeps that alive. A peer that announces itself, under the [`hash()`] of its key, is kept by the
    /// three closest nodes, which relay handshakes to it; another topic by all of the closest.
    pub fn announcer<S>(&self, topic: Id, signer: S, relay_addresses: &[SocketAddrV4]) -> Announcer
    where
        S: Signer + Send + Sync + 'static,
    {
        let told = Arc::new(Told::default());
        let relay_addresses = relay_addresses.to_vec();
        let ending = Ending(Arc::clone(&told));
        let job = Job { dht: self.clone(), topic, signer, relay_addresses, told: ending };
        self.run(Box::pin(job.run()));
        Announcer(told)
    }
}

impl Announcer {
    /// How the latest announcement went; waits for the first.
    ///
    /// # Errors
    /// If no node has taken it, the signer has failed, or the node is closed. Until the node is closed, it is tried again, after 3 s at
    /// first and 192 s at most.
    pub async fn announced(&self) -> Result<(), Error> {
        self.wait(|notes| notes.latest.clone()).await
    }

    /// The nodes that have it.
    #[must_use]
    pub fn kept_by(&self) -> Vec<SocketAddrV4> {
        self.0.notes().kept_by.clone()
    }

    /// Announces anew now.
    pub fn refresh(&self) {
        self.0.note(|notes| notes.refreshes = true);
    }

    /// Takes the announcement back, and waits until all nodes know or are given up.
    pub async fn close(self) {
        self.0.note(|notes| notes.ends = true);
        self.wait(|notes| notes.is_over.then_some(())).await;
    }

    async fn wait<T>(&self, find: impl Fn(&Notes) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut notes = self.0.notes();
            let found = find(&notes);
            let is_known = notes.waiting.iter().any(|waker| waker.will_wake(cx.waker()));
            if found.is_none() && !is_known {
                notes.waiting.push(cx.waker().clone());
            }
            drop(notes);
            found.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.0.note(|notes| notes.ends = true);
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").field("kept_by", &self.kept_by()).finish_non_exhaustive()
    }
}

/// What has ended a pause.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Time,
    /// The announcement has to be made anew.
    Refresh,
    /// It is to be taken back.
    Stop,
}

struct Job<S> {
    dht: Dht,
    topic: Id,
    signer: S,
    relay_addresses: Vec<SocketAddrV4>,
    told: Ending,
}

impl<S: Signer> Job<S> {
    async fn run(self) {
        let mut events = self.dht.events();
        let (mut kept_by, mut failures, mut silent) = (Vec::new(), 0_u32, Vec::new());
        loop {
            let latest = self.announce(&silent).await;
            if let Ok(now) = &latest {
                let gone = kept_by.iter().filter(|addr| !now.contains(addr));
                self.withdraw(gone.copied().collect()).await;
                kept_by.clone_from(now);
            }
            failures = if latest.is_ok() { 0 } else { failures + 1 };
            self.told.0.note(|notes| {
                notes.kept_by.clone_from(&kept_by);
                notes.latest = Some(latest.map(|_| ()));
            });
            match self.rest(&mut events, &kept_by, failures, &mut silent).await {
                End::Time => silent.clear(),
                End::Refresh => {}
                End::Stop => break,
            }
        }
        self.withdraw(kept_by).await;
    }

    fn is_own(&self) -> bool {
        hash(self.signer.public_key().as_bytes()) == self.topic
    }

    fn what(&self) -> Announcing<'_, S> {
        let relay_addresses = self.relay_addresses.clone();
        Announcing { relay_addresses, ..Announcing::new(self.topic, &self.signer) }
    }

    /// What is asked before an announcement.
    fn command(&self) -> u64 {
        if self.is_own() { command::FIND_PEER } else { command::LOOKUP }
    }

    fn ends(&self) -> bool {
        self.told.0.notes().ends
    }

    /// Asks for a token, and for what is kept.
    fn question(&self, to: SocketAddrV4) -> Request {
        Request::new(to, self.command()).target(self.topic)
    }

    /// Announces once. Returns who has taken it. Nodes that were `silent` as relays are not asked again, if there are enough other nodes.
    async fn announce(&self, silent: &[SocketAddrV4]) -> Result<Vec<SocketAddrV4>, Error> {
        let (what, own) = (self.what(), self.is_own());
        let mut query = self.dht.query(Query::new(self.topic, self.command()));
        query.finished().await?;
        let chosen = own.then(|| relays_among(query.closest_replies(), silent));
        let request = |reply: &Reply| {
            let is_chosen = |chosen: &Vec<_>| chosen.contains(&reply.from.addr);
            let wants = chosen.as_ref().is_none_or(is_chosen) && !self.ends();
            wants.then(|| signed(what.announce(reply))).flatten()
        };
        match self.dht.commit(&mut query, request).await {
            Ok((_, taken)) => Ok(taken),
            // Most were not asked.
            Err(Error::Query(QueryError::Commit(commit))) if own => {
                Err(QueryError::Commit(Commit { without_token: 0, ..commit }).into())
            }
            Err(error) => Err(error),
        }
    }

    /// Leaves the announcement alone for five minutes, unless something happens. After failures in a row it is tried again
    /// sooner.
    async fn rest(
        &self,
        events: &mut Events,
        kept_by: &[SocketAddrV4],
        failures: u32,
        silent: &mut Vec<SocketAddrV4>,
    ) -> End {
        if failures > 0 {
            let pause = LOOK * (1 << (failures - 1).min(6));
            return self.pause(events, pause, true).await;
        }
        for _ in 0..LOOKS {
            match self.pause(events, LOOK, false).await {
                End::Time => {}
                end => return end,
            }
            if !self.is_own() {
                continue;
            }
            let lost = self.silent_of(kept_by).await;
            if kept_by.len() - lost.len() < kept_by.len().min(RELAYS) {
                // Not for ever: who takes announcements and falls silent must not keep the signer busy.
                silent.extend(lost);
                let pause = LOOK * (silent.len() / RELAYS).min(20) as u32;
                return match self.pause(events, pause, false).await {
                    End::Stop => End::Stop,
                    End::Time | End::Refresh => End::Refresh,
                };
            }
        }
        End::Time
    }

    /// What ends a pause. While the node is suspended it does not end by time.
    async fn pause(&self, events: &mut Events, time: Duration, failed: bool) -> End {
        let mut pause = pin!(self.dht.pause(time));
        poll_fn(|cx| {
            let mut notes = self.told.0.notes();
            let (ends, mut refreshes) = (notes.ends, core::mem::take(&mut notes.refreshes));
            let before = notes.job.replace(cx.waker().clone());
            drop(notes);
            drop(before);
            if ends || self.dht.closed() {
                return Poll::Ready(End::Stop);
            }
            // All that a resumption brings is one reason.
            while let Poll::Ready(event) = pin!(&mut *events).poll_next(cx) {
                match event {
                    None => return Poll::Ready(End::Stop),
                    Some(Event::NetworkChange | Event::Resumed | Event::WakeUp) => {
                        refreshes = true;
                    }
                    Some(Event::Online) => refreshes |= failed,
                    Some(_) => {}
                }
            }
            if refreshes {
                return Poll::Ready(End::Refresh);
            }
            let over = pause.as_mut().poll(cx).map(|()| End::Time);
            if self.dht.shared().look(|state| state.node.suspended()) {
                Poll::Pending
            } else {
                over
            }
        })
        .await
    }

    /// The nodes among the relays that don't answer any more, or not with the announcement. (The reference pings them.) For a node
    /// behind a NAT asking keeps the way open.
    async fn silent_of(&self, kept_by: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
        let key = self.signer.public_key();
        let answers = all(kept_by.iter().map(|addr| self.dht.request(self.question(*addr)))).await;
        let knows = |answer: &Result<Reply, Error>| {
            answer.as_ref().is_ok_and(|reply| asking::peer(reply, &key).is_some())
        };
        let silent = kept_by.iter().zip(&answers).filter(|(_, answer)| !knows(answer));
        silent.map(|(addr, _)| *addr).collect()
    }

    async fn withdraw(&self, from: Vec<SocketAddrV4>) {
        let what = &self.what();
        all(from.into_iter().map(|addr| async move {
            let reply = self.dht.request(self.question(addr)).await?;
            if let Some(request) = signed(what.unannounce(&reply)) {
                self.dht.request(request?).await?;
            }
            Ok::<_, Error>(())
        }))
        .await;
    }
}

/// The closest nodes that can keep an announcement, of different /24s if there are enough: one owner of addresses must not be
/// all relays.
fn relays_among(closest: &[Reply], silent: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    let can = closest.iter().filter(|reply| reply.token.is_some() && reply.from.id.is_some());
    let mut all: Vec<_> = can.map(|reply| reply.from.addr).collect();
    let mut chosen: Vec<SocketAddrV4> = Vec::new();
    all.sort_by_key(|addr| silent.contains(addr));
    for apart in [true, false] {
        for addr in &all {
            let near = |other: &SocketAddrV4| prefix24(*other.ip()) == prefix24(*addr.ip());
            let is_apart = !apart || !chosen.iter().any(near);
            if chosen.len() < RELAYS && is_apart && !chosen.contains(addr) {
                chosen.push(*addr);
            }
        }
    }
    chosen
}

/// Tells the end of a job, however it ends.
struct Ending(Arc<Told>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.note(|notes| {
            notes.is_over = true;
            notes.latest = Some(Err(Error::CLOSED));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::api::message::Peer;

    fn reply(addr: [u8; 4], token: bool) -> Reply {
        let addr = SocketAddrV4::new(addr.into(), 1);
        Reply {
            from: Peer { addr, id: Some(Id::of(addr)) },
            seen_as: addr,
            token: token.then_some([0; 32].into()),
            closer_nodes: None,
            error: 0,
            value: None,
            rtt: LOOK,
        }
    }

    fn chosen(closest: &[Reply], silent: &[SocketAddrV4]) -> Vec<u8> {
        relays_among(closest, silent).iter().map(|addr| addr.ip().octets()[3]).collect()
    }

    #[test]
    fn relays_are_of_different_24s_where_there_are_enough() {
        let near = [1, 2, 3].map(|n| reply([45, 0, 0, n], true));
        assert_eq!(chosen(&near, &[]), [1, 2, 3]);
        let mut all = near.to_vec();
        all.extend([4, 5].map(|n| reply([45, 0, n, n], true)));
        assert_eq!(chosen(&all, &[]), [1, 4, 5]);
        // Who has sent no token can't be one, and a silent node is one only if there are too few other nodes.
        all[0] = reply([45, 0, 0, 1], false);
        assert_eq!(chosen(&all, &[]), [2, 4, 5]);
        assert_eq!(chosen(&all, &[all[1].from.addr, all[3].from.addr]), [3, 5, 4]);
        assert_eq!(chosen(&all[..2], &[all[1].from.addr]), vec![2]);
    }
}
