//! The machine by itself: its questions are answered by nodes that exist only here, at a time that the test tells.

mod any_order;
mod life;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::vec::Vec;

use super::*;
use crate::api::message::{Commit, Peer};
use crate::error_code::INVALID_TOKEN;
use crate::hyperdht::command::{ANNOUNCE, FIND_PEER, LOOKUP, UNANNOUNCE};
use crate::hyperdht::{Announcement, KeyPair, PeerRecord, Signature, hash};
use crate::id::Id;

type Addr = SocketAddrV4;

/// A signer that can fail.
struct Device {
    pair: KeyPair,
    /// The signatures that it still makes.
    left: core::cell::Cell<u32>,
}

impl Signer for Device {
    type Error = io::Error;

    fn public_key(&self) -> PublicKey {
        self.pair.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, io::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| io::Error::other("no device"))?;
        self.left.set(left);
        Ok(self.pair.sign(message))
    }
}

/// Who answers, and what was asked.
struct Net {
    now: Instant,
    announcer: Announcer<Device>,
    /// The closest first.
    closest: Vec<Addr>,
    /// Nodes that answer no request; but walks find them.
    dead: BTreeSet<Addr>,
    /// How often a node refuses a token.
    refusing: BTreeMap<Addr, u32>,
    keeping: BTreeSet<Addr>,
    /// Of what was wanted: when, in seconds, and the command; of a query there is no address.
    log: Vec<(u64, u64, Option<Addr>)>,
}

/// Node `n`, in a /24 of its own.
fn node(n: u8) -> Addr {
    Addr::new(Ipv4Addr::new(45, 0, n, 1), 4_000)
}

fn reply(from: Addr, error: u64, value: Option<Vec<u8>>) -> Reply {
    let peer = Peer { addr: from, id: Some(Id::of(from)) };
    let (token, rtt) = (Some([7; 32].into()), Duration::ZERO);
    let value = value.map(Into::into);
    Reply { from: peer, seen_as: from, token, closer_nodes: None, error, value, rtt }
}

impl Net {
    fn new(is_own: bool, nodes: u8) -> Self {
        let signer = Device { pair: KeyPair::from_seed([1; 32]), left: u32::MAX.into() };
        let topic = if is_own { hash(&signer.public_key().0) } else { hash(b"a topic") };
        Self {
            now: Instant::from_millis(1_000_000),
            announcer: Announcer::new(topic, signer, &[]),
            closest: (1..=nodes).map(node).collect(),
            dead: BTreeSet::new(),
            refusing: BTreeMap::new(),
            keeping: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    fn announced(is_own: bool, nodes: u8) -> Self {
        let mut net = Self::new(is_own, nodes);
        net.run();
        assert!(matches!(net.announcer.take_result(), Some(Ok(()))));
        net
    }

    fn seconds(&self) -> u64 {
        self.now.as_micros() / 1_000_000 - 1_000
    }

    fn poll(&mut self) -> Option<Want> {
        let want = self.announcer.poll(self.now)?;
        let (command, to) = match &want {
            Want::Query(query) => (query.command, None),
            Want::Request(_, request) => (request.command, Some(request.to)),
        };
        self.log.push((self.seconds(), command, to));
        Some(want)
    }

    /// The requests that are wanted now.
    fn requests(&mut self) -> Vec<(Slot, Request)> {
        let mut all = Vec::new();
        while let Some(want) = self.poll() {
            let Want::Request(slot, request) = want else { panic!("{want:?}") };
            all.push((slot, request));
        }
        all
    }

    fn outcome(&self) -> Outcome {
        let closest = self.closest.iter().map(|addr| reply(*addr, 0, None)).collect();
        Outcome { closest, ..Outcome::default() }
    }

    fn end_query(&mut self) {
        let outcome = self.outcome();
        self.announcer.handle_outcome::<QueryError>(self.now, Ok(outcome));
    }

    fn answer(&mut self, slot: Slot, request: &Request) {
        let (now, to) = (self.now, request.to);
        if self.dead.contains(&to) {
            return self.announcer.handle_response(now, slot, Err(RequestError::Timeout));
        }
        let mut error = 0;
        match request.command {
            ANNOUNCE if self.refusing.get(&to).is_some_and(|left| *left > 0) => {
                error = INVALID_TOKEN;
                *self.refusing.entry(to).or_default() -= 1;
            }
            ANNOUNCE => _ = self.keeping.insert(to),
            UNANNOUNCE => _ = self.keeping.remove(&to),
            _ => {}
        }
        let public_key = self.announcer.public_key;
        let record = || PeerRecord { public_key, relay_addresses: Vec::new() }.encode();
        let is_known = request.command == FIND_PEER && self.keeping.contains(&to);
        let answer = reply(to, error, is_known.then(|| record().to_vec()));
        self.announcer.handle_response::<RequestError>(now, slot, Ok(answer));
    }

    /// Answers until nothing is wanted at this moment.
    fn run(&mut self) {
        while let Some(want) = self.poll() {
            match want {
                Want::Query(_) => self.end_query(),
                Want::Request(slot, request) => self.answer(slot, &request),
            }
        }
    }

    /// Lets time pass, and answers all the while. What comes of it is what was wanted in that time.
    fn pass(&mut self, seconds: u64) -> Vec<(u64, u64, Option<Addr>)> {
        self.log.clear();
        let end = self.now + Duration::from_secs(seconds);
        self.run();
        while let Some(next) = self.announcer.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.run();
        }
        self.now = end;
        core::mem::take(&mut self.log)
    }

    /// When walks began in that time, in seconds after its begin.
    fn walks(&mut self, seconds: u64) -> Vec<u64> {
        let from = self.seconds();
        let log = self.pass(seconds);
        log.iter().filter(|(_, _, to)| to.is_none()).map(|(at, ..)| at - from).collect()
    }

    fn fails(&mut self) -> AnnounceError<io::Error> {
        self.announcer.take_result().expect("a result").unwrap_err()
    }
}

fn nodes(range: core::ops::RangeInclusive<u8>) -> Vec<Addr> {
    range.map(node).collect()
}

#[test]
fn a_topic_is_announced_to_all_of_the_closest_every_five_minutes() {
    let mut net = Net::announced(false, 20);
    assert_eq!(net.announcer.kept_by(), nodes(1..=20));
    assert!(net.log[0] == (0, LOOKUP, None) && net.log[1..].iter().all(|it| it.1 == ANNOUNCE));
    assert_eq!(net.log.len(), 21);
    assert_eq!(net.walks(900), [300, 600, 900]);
}

#[test]
fn a_peer_is_kept_by_three_nodes_that_are_looked_at_every_three_seconds() {
    let mut net = Net::announced(true, 20);
    assert_eq!(net.announcer.kept_by(), nodes(1..=3));
    assert_eq!(net.log[0], (0, FIND_PEER, None));
    let log = net.pass(300);
    let looks: Vec<u64> = log.iter().filter(|it| it.2 == Some(node(1))).map(|it| it.0).collect();
    assert_eq!(looks[..100], (1..=100).map(|n| 3 * n).collect::<Vec<_>>());
    assert_eq!((log[300], log.len()), ((300, FIND_PEER, None), 300 + 1 + 3));
}

#[test]
fn what_is_announced_is_signed_for_each_node() {
    let mut net = Net::new(false, 2);
    net.announcer.relay_addresses = nodes(7..=8);
    let _ = net.poll();
    net.end_query();
    for (_, request) in net.requests() {
        let value = request.value.clone().unwrap();
        let announced = Announcement::decode(&value).unwrap();
        let (target, node, token) =
            (net.announcer.topic, Id::of(request.to), request.token.unwrap());
        assert!(
            crate::hyperdht::signing::Bound { target, node, token }.is_signed(ANNOUNCE, &announced)
        );
        assert_eq!(announced.peer.unwrap().relay_addresses, nodes(7..=8));
    }
}

#[test]
fn after_failures_it_is_tried_again_ever_later() {
    let mut net = Net::new(false, 0);
    assert_eq!(net.walks(1_000), [0, 3, 9, 21, 45, 93, 189, 381, 573, 765, 957]);
    assert!(matches!(net.fails(), AnnounceError::Query(QueryError::TooFewNodes { .. })));
    // A success is the end of that.
    net.closest = nodes(1..=3);
    net.pass(200);
    assert_eq!(net.announcer.kept_by().len(), 3);
    net.closest.clear();
    net.announcer.refresh();
    assert_eq!(net.walks(10), [0, 3, 9]);
    assert_eq!(net.announcer.kept_by().len(), 3, "they still have it");
}

#[test]
fn the_error_says_why_nobody_has_taken_it() {
    let mut net = Net::new(true, 4);
    net.dead.extend([node(1), node(2)]);
    net.refusing.insert(node(3), 9);
    net.run();
    let AnnounceError::Query(QueryError::Commit(commit)) = net.fails() else { panic!() };
    let refusal = Some(INVALID_TOKEN);
    let expected = Commit { refused: 1, refusal, timed_out: 2, ..Commit::default() };
    assert_eq!(commit, expected);
    net.announcer.refresh();
    let _ = net.poll();
    net.announcer.handle_outcome(net.now, Err(SendError::Busy));
    assert!(matches!(net.fails(), AnnounceError::Send(SendError::Busy)));
    net.announcer.signer.left.set(0);
    net.announcer.refresh();
    net.run();
    assert!(matches!(net.fails(), AnnounceError::Signer(_)));
}

#[test]
fn nodes_without_a_token_are_counted_but_not_asked() {
    for is_own in [false, true] {
        let mut net = Net::new(is_own, 3);
        let _ = net.poll();
        let mut outcome = net.outcome();
        outcome.closest.iter_mut().for_each(|reply| reply.token = None);
        net.announcer.handle_outcome::<QueryError>(net.now, Ok(outcome));
        assert!(net.poll().is_none());
        let AnnounceError::Query(QueryError::Commit(commit)) = net.fails() else { panic!() };
        assert_eq!(commit.without_token, 3);
    }
}

#[test]
fn who_has_taken_it_counts_although_the_signer_fails_for_others() {
    let mut net = Net::new(false, 8);
    net.announcer.signer.left.set(5);
    net.run();
    assert!(matches!(net.announcer.take_result(), Some(Ok(()))));
    assert!(net.announcer.take_result().is_none(), "told once");
    assert_eq!(net.announcer.kept_by(), nodes(1..=5));
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    let mut net = Net::new(false, 3);
    net.refusing.extend([(node(1), 1), (node(2), 2)]);
    net.run();
    let mut kept_by = net.announcer.kept_by().to_vec();
    kept_by.sort_unstable();
    assert_eq!(kept_by, [node(1), node(3)]);
    assert_eq!(net.log.iter().filter(|it| it.1 == ANNOUNCE).count(), 5);
}

#[test]
fn nodes_that_are_not_among_the_closest_any_more_are_told_to_forget_it() {
    let mut net = Net::announced(false, 4);
    net.closest = nodes(3..=6);
    assert_eq!(net.walks(300), [300]);
    assert_eq!(net.announcer.kept_by(), nodes(3..=6));
    assert_eq!(net.keeping, nodes(3..=6).into_iter().collect());
}

#[test]
fn relays_that_fall_silent_are_replaced_and_put_off() {
    let mut net = Net::announced(true, 9);
    net.dead.insert(node(2));
    // The look at 3 s finds it; one node of three costs no pause.
    assert_eq!(net.walks(5), [3]);
    assert_eq!(net.announcer.kept_by(), [node(1), node(3), node(4)]);
    // Who answers but has lost the announcement is as good as silent.
    net.keeping.remove(&node(4));
    assert_eq!(net.walks(3), [1]);
    assert_eq!(net.announcer.kept_by(), [node(1), node(3), node(5)]);
    // By time they are forgiven.
    net.dead.clear();
    assert_eq!(net.walks(300).len(), 1);
    assert_eq!(net.announcer.kept_by(), nodes(1..=3));
}

#[test]
fn nodes_that_take_it_and_fall_silent_do_not_keep_the_signer_busy() {
    let mut net = Net::new(true, 3);
    let mut pauses = Vec::new();
    for _ in 0..40 {
        let before = net.now;
        net.run();
        assert_eq!(net.announcer.kept_by().len(), 3);
        net.keeping.clear();
        net.now = net.announcer.poll_timeout().unwrap();
        net.run();
        net.now = net.announcer.poll_timeout().unwrap();
        pauses.push(net.now.saturating_since(before).as_secs());
    }
    // The time to the look, and the pause.
    assert_eq!(pauses[..3], [3 + 3, 3 + 6, 3 + 9]);
    assert_eq!(pauses[19..], [3 + 60; 21]);
    assert_eq!(net.announcer.silent.len(), NODES_MAX);
    // Refusing it once does not make up for that.
    net.refusing.extend(nodes(1..=3).into_iter().map(|node| (node, 9)));
    net.announcer.refresh();
    net.run();
    let _ = net.fails();
    net.pass(5);
    assert_eq!(net.announcer.silent.len(), NODES_MAX);
}

#[test]
fn what_nobody_has_asked_for_is_ignored() {
    let mut net = Net::announced(false, 5);
    let (slot, request) = (Slot(1), Request::new(node(9), ANNOUNCE));
    net.answer(slot, &request);
    net.end_query();
    assert_eq!(net.announcer.kept_by(), nodes(1..=5));
    assert_eq!(net.walks(299), []);
}

#[test]
fn no_more_nodes_are_remembered_than_a_walk_finds() {
    let mut net = Net::new(false, 100);
    net.run();
    assert_eq!(net.announcer.kept_by().len(), NODES_MAX);
    net.dead.extend(nodes(1..=100));
    for first in [1, 41] {
        net.closest = nodes(first..=100);
        net.announcer.refresh();
        net.run();
    }
    assert_eq!((net.announcer.kept_by().len(), net.announcer.doubtful.len()), (60, 60));
    net.announcer.stop();
    assert_eq!(net.requests().len(), 100, "each once");
}
