//! hyperdht's calls in a network that serves its commands, in time that stands still.

use std::boxed::Box;
use std::format;
use std::future::poll_fn;
use std::io;
use std::string::ToString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use std::vec::Vec;

use super::sim::Sim;
use super::world::{SINCE_1970, World};
use crate::driver::{Builder, Dht, Error};
use crate::hyperdht::asking::{self, Announcing};
use crate::hyperdht::{KeyPair, PublicKey, ServiceConfig, Signature, Signer, hash};
use crate::{Id, QueryError, Reply, SendError};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const BOOTSTRAP: u16 = 4_000;

/// A network whose nodes serve, and a node that does not.
struct Network {
    sim: Sim,
    serving: Vec<Dht>,
    asker: Dht,
}

impl Network {
    fn new(nodes: usize) -> Self {
        let sim = Sim::default();
        let serve = |builder: Builder<World>| builder.hyperdht(ServiceConfig::default());
        let join = |builder: Builder<World>| builder.bootstrap([format!("127.0.0.1:{BOOTSTRAP}")]);
        let first = Builder::bootstrapper(sim.world.clone(), BOOTSTRAP, "127.0.0.1");
        let mut serving = Vec::new();
        serving.push(sim.node(|_| serve(first.host([127, 0, 0, 1].into()))));
        sim.block_on(serving[0].fully_bootstrapped()).unwrap();
        for _ in 1..nodes {
            let options = |builder| serve(join(builder)).ephemeral(false).firewalled(false);
            serving.push(sim.node(options));
            sim.block_on(serving[serving.len() - 1].fully_bootstrapped()).unwrap();
        }
        let asker = sim.node(|builder| join(builder).ephemeral(true));
        sim.block_on(asker.fully_bootstrapped()).unwrap();
        Self { sim, serving, asker }
    }

    /// The keys that are found under a topic.
    fn lookup(&self, topic: Id) -> Vec<PublicKey> {
        let mut found = Vec::new();
        self.sim.block_on(async {
            let mut replies = self.asker.lookup(topic);
            while let Some((_, reply)) = replies.next().await {
                found.extend(reply.peers.into_iter().map(|peer| peer.public_key));
            }
            replies.finished().await.unwrap();
        });
        found.sort();
        found.dedup();
        found
    }

    /// How many nodes find a peer's own announcement.
    fn finders(&self, key: &PublicKey) -> usize {
        self.sim.block_on(async {
            let (mut replies, mut found) = (self.asker.find_peer(key), 0);
            while replies.next().await.is_some() {
                found += 1;
            }
            found
        })
    }
}

fn pair(n: u8) -> KeyPair {
    KeyPair::from_seed([n; 32])
}

/// A device that has been pulled out, or that makes the program crash.
#[derive(Debug)]
struct Broken {
    panics: bool,
}

impl Signer for Broken {
    type Error = io::Error;

    fn public_key(&self) -> PublicKey {
        pair(9).public_key()
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, io::Error> {
        assert!(!self.panics, "a device that crashes");
        Err(io::Error::other("no device"))
    }
}

#[test]
fn topics_are_announced_found_and_taken_back() {
    let net = Network::new(8);
    let topic = hash(b"a topic");
    assert_eq!(net.lookup(topic), []);
    for n in [1, 2] {
        let commit = net.sim.block_on(net.serving[3].announce(&Announcing::new(topic, &pair(n))));
        assert_eq!(commit.unwrap().succeeded, 7);
    }
    let mut both = [1, 2].map(|n| pair(n).public_key());
    both.sort();
    assert_eq!(net.lookup(topic), both);
    let forgotten = net.sim.block_on(net.asker.unannounce(topic, &pair(1)));
    assert_eq!(forgotten.unwrap(), 7);
    assert_eq!(net.lookup(topic), [pair(2).public_key()]);
    // An announcement of before is taken back where the new one does not come.
    let anew = net.sim.block_on(net.asker.announce_anew(&Announcing::new(topic, &pair(2))));
    assert_eq!(anew.unwrap().succeeded, 8);
    net.sim.advance(19 * MINUTE);
    assert_eq!(net.lookup(topic), [pair(2).public_key()]);
    net.sim.advance(2 * MINUTE);
    assert_eq!(net.lookup(topic), []);
}

#[test]
fn a_topic_is_bumped_from_the_first_moment_on() {
    let net = Network::new(2);
    let (signer, topic) = (pair(1), hash(b"a topic"));
    let bump = SINCE_1970.as_millis() as u64;
    let what = Announcing { bump, ..Announcing::new(topic, &signer) };
    net.sim.block_on(net.asker.announce(&what)).unwrap();
    let (_, found) = net.sim.block_on(net.asker.lookup(topic).next()).unwrap();
    assert_eq!((found.bump, found.peers.len()), (bump, 1));
}

#[test]
fn values_are_stored_and_fetched() {
    let net = Network::new(8);
    let (a, b) = (&net.serving[1], &net.asker);
    let (target, commit) = net.sim.block_on(b.immutable_put("a value")).unwrap();
    assert_eq!((target, commit.succeeded), (hash(b"a value"), 8));
    let found = net.sim.block_on(a.immutable_get(target)).unwrap();
    assert_eq!(found.as_deref(), Some(&b"a value"[..]));
    assert_eq!(net.sim.block_on(a.immutable_get(hash(b"another"))).unwrap(), None);

    let key = pair(1).public_key();
    assert_eq!(net.sim.block_on(a.mutable_get(&key, 0)).unwrap(), None);
    for seq in [1, 2] {
        net.sim.block_on(b.mutable_put(&pair(1), seq, format!("v{seq}"))).unwrap();
    }
    let found = net.sim.block_on(a.mutable_get(&key, 0)).unwrap().unwrap();
    assert_eq!((found.seq, &found.value[..]), (2, &b"v2"[..]));
    assert_eq!(net.sim.block_on(a.mutable_get(&key, 3)).unwrap(), None);
    for (seq, code) in [(2, 16), (1, 17)] {
        let refused = net.sim.block_on(b.mutable_put(&pair(1), seq, "other")).unwrap_err();
        let Error::Query(QueryError::Commit(commit)) = refused else { panic!("{refused}") };
        assert_eq!((commit.succeeded, commit.refused, commit.refusal), (0, 8, Some(code)));
    }
}

#[test]
fn a_value_that_was_found_is_stored_again_without_its_key() {
    let net = Network::new(8);
    let (key, user) = (pair(1).public_key(), &net.asker);
    net.sim.block_on(user.mutable_put(&pair(1), 1, "a value")).unwrap();
    let found = net.sim.block_on(user.mutable_get(&key, 0)).unwrap().unwrap();
    // Newcomers don't have it.
    let join = format!("127.0.0.1:{BOOTSTRAP}");
    let serve = |builder: Builder<World>| {
        let builder = builder.bootstrap([join]).hyperdht(ServiceConfig::default());
        builder.ephemeral(false).firewalled(false)
    };
    let newcomer = net.sim.node(serve);
    net.sim.block_on(newcomer.fully_bootstrapped()).unwrap();
    let entries = || newcomer.service_stats().unwrap().mutables.entries;
    assert_eq!(entries(), 0);
    let again = net.sim.block_on(user.mutable_refresh(&key, &found)).unwrap();
    assert_eq!((again.succeeded, entries()), (9, 1));
    // Whoever changes it needs the key.
    let mut forged = found.clone();
    forged.value = "another".into();
    forged.seq += 1;
    net.sim.block_on(user.mutable_refresh(&key, &forged)).unwrap_err();
    assert_eq!(net.sim.block_on(user.mutable_get(&key, 0)).unwrap(), Some(found.clone()));
    // As with `mutable_put`, an earlier version than the latest is refused.
    net.sim.block_on(user.mutable_put(&pair(1), 2, "later")).unwrap();
    let refused = net.sim.block_on(user.mutable_refresh(&key, &found)).unwrap_err();
    let Error::Query(QueryError::Commit(commit)) = refused else { panic!("{refused}") };
    assert_eq!((commit.refused, commit.refusal), (9, Some(17)));
    forged.seq = 1 << 53;
    let refused = net.sim.block_on(user.mutable_refresh(&key, &forged)).unwrap_err();
    assert!(matches!(refused, Error::Send(SendError::OutOfRange)), "{refused}");
    forged.value = std::vec![7; 2_000].into();
    forged.seq = 1;
    let refused = net.sim.block_on(user.mutable_refresh(&key, &forged)).unwrap_err();
    assert!(matches!(refused, Error::Send(SendError::TooLarge { .. })), "{refused}");
}

#[test]
fn values_that_no_datagram_takes_are_refused_before_anything_is_sent() {
    let net = Network::new(4);
    let sent = |net: &Network| net.asker.stats().requests.total;
    let before = sent(&net);
    let refused = net.sim.block_on(net.asker.immutable_put(std::vec![7; 2_000])).unwrap_err();
    let Error::Send(SendError::TooLarge { limit }) = refused else { panic!("{refused}") };
    let refused = net.sim.block_on(net.asker.immutable_put(std::vec![7; limit + 1])).unwrap_err();
    assert!(matches!(refused, Error::Send(SendError::TooLarge { .. })), "{refused}");
    let put = |seq, len| net.sim.block_on(net.asker.mutable_put(&pair(1), seq, std::vec![7; len]));
    let refused = put(1, limit).unwrap_err();
    let Error::Send(SendError::TooLarge { limit: of_mutable }) = refused else {
        panic!("{refused}")
    };
    assert!(matches!(put(1, of_mutable + 1), Err(Error::Send(SendError::TooLarge { .. }))));
    assert!(matches!(put(1 << 53, 1), Err(Error::Send(SendError::OutOfRange))));
    assert_eq!(sent(&net), before);
    put(1, of_mutable).unwrap();
    let (target, _) = net.sim.block_on(net.asker.immutable_put(std::vec![7; limit])).unwrap();
    let found = net.sim.block_on(net.serving[0].immutable_get(target)).unwrap();
    assert_eq!(found.unwrap().len(), limit);
}

#[test]
fn an_announcer_keeps_its_announcement_alive_until_it_is_dropped() {
    let net = Network::new(8);
    let topic = hash(b"a topic");
    let owner = net
        .sim
        .node(|builder| builder.bootstrap([format!("127.0.0.1:{BOOTSTRAP}")]).ephemeral(true));
    let announcer = owner.announcer(topic, pair(1), &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    assert_eq!(announcer.kept_by().len(), 8);
    for _ in 0..12 {
        net.sim.advance(10 * MINUTE);
        assert_eq!(net.lookup(topic), [pair(1).public_key()]);
    }
    // The node lives on until all know.
    let tasks = net.sim.tasks();
    drop(owner);
    drop(announcer);
    net.sim.advance(SECOND);
    assert_eq!(net.lookup(topic), []);
    assert_eq!(net.sim.tasks(), tasks - 1);
}

#[test]
fn a_token_that_is_too_old_is_replaced() {
    let net = Network::new(4);
    let (topic, pair) = (hash(b"a topic"), pair(1));
    let what = Announcing::new(topic, &pair);
    let mut query = net.asker.query(asking::lookup(topic));
    net.sim.block_on(query.finished()).unwrap();
    net.sim.advance(20 * SECOND);
    let request = |reply: &Reply| what.announce(reply).map(|request| Ok(request.unwrap()));
    let commit = net.sim.block_on(net.asker.commit(&mut query, request)).unwrap();
    assert_eq!((commit.succeeded, commit.refused), (4, 0));
}

#[test]
fn closing_an_announcer_waits_until_all_know() {
    let net = Network::new(8);
    let key = pair(1).public_key();
    let announcer = net.asker.announcer(hash(&key.0), pair(1), &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    assert_eq!((announcer.kept_by().len(), net.finders(&key)), (3, 3));
    net.sim.block_on(announcer.close());
    assert_eq!(net.finders(&key), 0);
    assert!(!net.asker.closed());
}

#[test]
fn relays_that_fall_silent_are_replaced() {
    let mut net = Network::new(12);
    let key = pair(1).public_key();
    let announcer = net.asker.announcer(hash(&key.0), pair(1), &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    let relays = announcer.kept_by();
    net.serving.retain(|node| !relays.contains(&node.server_address().unwrap()));
    assert_eq!(net.serving.len(), 9);
    net.sim.advance(MINUTE);
    let others = announcer.kept_by();
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|addr| !relays.contains(addr)), "{others:?}");
    assert_eq!(net.finders(&key), 3);
}

#[test]
fn an_announcement_is_made_anew_after_a_change_of_network_and_a_suspension() {
    let net = Network::new(8);
    let topic = hash(b"a topic");
    let announcer = net.asker.announcer(topic, pair(1), &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    let nudges: [fn(&Network); 3] = [
        |net| net.asker.network_changed(),
        |net| {
            net.sim.block_on(net.asker.suspend()).unwrap();
            net.sim.advance(MINUTE);
            net.sim.block_on(net.asker.resume()).unwrap();
        },
        |_| (),
    ];
    for (at, nudge) in nudges.into_iter().enumerate() {
        net.sim.advance(MINUTE);
        let put = |net: &Network| -> u64 {
            net.serving.iter().map(|node| node.service_stats().unwrap().checked).sum()
        };
        let before = put(&net);
        nudge(&net);
        if at == 2 {
            announcer.refresh();
        }
        net.sim.advance(10 * SECOND);
        // Once, although a resumption is told of twice.
        assert_eq!(put(&net) - before, 8, "{at}");
    }
}

#[test]
fn an_announcer_that_is_made_during_a_suspension_waits_for_its_end() {
    let net = Network::new(4);
    net.sim.block_on(net.asker.suspend()).unwrap();
    let announcer = net.asker.announcer(hash(b"a topic"), pair(1), &[]);
    let mut first = Box::pin(announcer.announced());
    net.sim.advance(MINUTE);
    assert!(net.sim.now(&mut first).is_none());
    net.sim.block_on(net.asker.resume()).unwrap();
    net.sim.block_on(first).unwrap();
    // Nobody can be told now, which is not waited for.
    net.sim.block_on(net.asker.suspend()).unwrap();
    net.sim.block_on(announcer.close());
}

#[test]
fn signers_that_fail_or_crash_harm_nobody() {
    let net = Network::new(4);
    let topic = hash(b"a topic");
    let broken = Broken { panics: false };
    let error = net.sim.block_on(net.asker.announce(&Announcing::new(topic, &broken))).unwrap_err();
    assert_eq!(error.to_string(), "the signer failed: no device");
    let error = net.sim.block_on(net.asker.mutable_put(&broken, 1, "x")).unwrap_err();
    assert_eq!(error.to_string(), "the signer failed: no device");
    let announcer = net.asker.announcer(topic, broken, &[]);
    let error = net.sim.block_on(announcer.announced()).unwrap_err();
    assert_eq!(error.to_string(), "the signer failed: no device");
    let announcer = net.asker.announcer(topic, Broken { panics: true }, &[]);
    let error = net.sim.block_on(announcer.announced()).unwrap_err();
    assert!(matches!(error, Error::Send(SendError::Closed)), "{error}");
    let to = net.serving[0].server_address().unwrap();
    net.sim.block_on(net.asker.ping(to)).unwrap();
    assert_eq!(net.lookup(topic), []);
}

/// A device that signs every second time.
#[derive(Default)]
struct Loose(AtomicU32);

impl Signer for Loose {
    type Error = io::Error;

    fn public_key(&self) -> PublicKey {
        pair(8).public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, io::Error> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Ok(pair(8).sign(message)),
            _ => Err(io::Error::other("no device")),
        }
    }
}

/// A device whose driver crashes when it is put away.
struct Brittle;

impl Signer for Brittle {
    type Error = io::Error;

    fn public_key(&self) -> PublicKey {
        pair(7).public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, io::Error> {
        Ok(pair(7).sign(message))
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("a device that crashes");
    }
}

#[test]
fn a_signer_that_crashes_when_it_is_dropped_harms_nobody() {
    let net = Network::new(4);
    let announcer = net.asker.announcer(hash(b"a topic"), Brittle, &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    net.sim.block_on(announcer.close());
    assert_eq!(net.lookup(hash(b"a topic")), []);
}

#[test]
fn who_has_taken_an_announcement_is_told_although_the_signer_fails_for_others() {
    let net = Network::new(8);
    let announcer = net.asker.announcer(hash(b"a topic"), Loose::default(), &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    assert_eq!(announcer.kept_by().len(), 4);
}

#[test]
fn many_can_wait_for_an_announcer() {
    let net = Network::new(4);
    let announcer = net.asker.announcer(hash(b"a topic"), pair(1), &[]);
    let waits = (0..3).map(|_| announcer.announced());
    let all = net.sim.block_on(crate::driver::query::all(waits));
    assert!(all.iter().all(Result::is_ok));
}

#[test]
fn an_announcer_of_a_closed_node_ends() {
    let net = Network::new(4);
    let announcer = net.asker.announcer(hash(b"a topic"), pair(1), &[]);
    net.sim.block_on(announcer.announced()).unwrap();
    net.sim.block_on(net.asker.close()).unwrap();
    net.sim.block_on(announcer.close());
    let late = net.asker.announcer(hash(b"a topic"), pair(1), &[]);
    assert!(net.sim.block_on(late.announced()).is_err());
}

#[test]
fn a_job_is_polled_only_if_it_was_woken() {
    let net = Network::new(2);
    let polls = Arc::new(AtomicU32::new(0));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let (count, place) = (Arc::clone(&polls), Arc::clone(&waker));
    net.asker.run(Box::pin(poll_fn(move |cx| {
        *place.lock().unwrap() = Some(cx.waker().clone());
        match count.fetch_add(1, Ordering::Relaxed) {
            2 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })));
    net.sim.run();
    let to = net.serving[0].server_address().unwrap();
    for expected in [1, 2, 3] {
        let sent = net.asker.stats().requests.total;
        net.sim.block_on(net.asker.ping(to)).unwrap();
        net.sim.advance(MINUTE);
        assert!(net.asker.stats().requests.total > sent);
        assert_eq!(polls.load(Ordering::Relaxed), expected);
        // The second time it ends; the waker of a job that has ended does nothing.
        waker.lock().unwrap().as_ref().unwrap().wake_by_ref();
    }
    net.sim.run();
    assert_eq!(polls.load(Ordering::Relaxed), 3);
    assert_eq!(Arc::strong_count(&polls), 1, "it was dropped");
}

/// A node that stores and sends datagrams of this length, and one that uses it.
fn storing(sim: &Sim, max_datagram: usize) -> (Dht, Dht) {
    let storing = sim.node(|_| {
        let builder = Builder::bootstrapper(sim.world.clone(), 1000, "127.0.0.1");
        let builder = builder.configure(|config| config.max_datagram = max_datagram);
        builder.hyperdht(ServiceConfig::default())
    });
    sim.block_on(storing.fully_bootstrapped()).unwrap();
    let user = sim.node(|builder| builder.bootstrap(["127.0.0.1:1000"]));
    (storing, user)
}

#[test]
fn what_can_not_be_answered_is_not_stored() {
    let sim = Sim::default();
    let (storing, user) = storing(&sim, 508);
    // Beside the value, an answer has 77 bytes: with the id, the token and the length.
    let (target, _) = sim.block_on(user.immutable_put(std::vec![7; 508 - 77])).unwrap();
    assert!(sim.block_on(user.immutable_get(target)).unwrap().is_some());
    sim.block_on(user.immutable_put(std::vec![7; 508 - 76])).unwrap_err();
    // The version, the length of the value, the signature.
    let signer = KeyPair::from_seed([7; 32]);
    sim.block_on(user.mutable_put(&signer, 1, std::vec![7; 508 - 77 - 68])).unwrap();
    let key = signer.public_key();
    assert!(sim.block_on(user.mutable_get(&key, 1)).unwrap().is_some());
    sim.block_on(user.mutable_put(&signer, 2, std::vec![7; 508 - 77 - 67])).unwrap_err();
    let stats = storing.service_stats().unwrap();
    assert_eq!((stats.immutables.entries, stats.mutables.entries), (1, 1));
}

#[test]
fn as_many_peers_are_told_as_a_datagram_has_room_for() {
    for (max_datagram, count) in [(508, 12), (1_400, 20)] {
        let sim = Sim::default();
        let (_storing, user) = storing(&sim, max_datagram);
        let topic = hash(b"topic");
        for seed in 0..30 {
            let signer = KeyPair::from_seed([seed; 32]);
            sim.block_on(user.announce(&Announcing::new(topic, &signer))).unwrap();
        }
        let (_, found) = sim.block_on(user.lookup(topic).next()).unwrap();
        assert_eq!(found.peers.len(), count);
    }
}
