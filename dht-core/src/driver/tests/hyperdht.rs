//! hyperdht's commands, beside a node.

use std::vec;

use super::sim::Sim;
use super::world::SINCE_1970;
use crate::driver::{Builder, Dht};
use crate::hyperdht::asking::Announcing;
use crate::hyperdht::{KeyPair, ServiceConfig, hash};

/// A node that stores and sends datagrams of this length, and one that uses it.
fn pair(sim: &Sim, max_datagram: usize) -> (Dht, Dht) {
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
fn a_topic_is_bumped_from_the_first_moment_on() {
    let sim = Sim::default();
    let (_storing, user) = pair(&sim, 1_400);
    let (signer, topic) = (KeyPair::from_seed([7; 32]), hash(b"topic"));
    let bump = SINCE_1970.as_millis() as u64;
    let what = Announcing { bump, ..Announcing::new(topic, &signer) };
    sim.block_on(user.announce(&what)).unwrap();
    let (_, found) = sim.block_on(user.lookup(topic).next()).unwrap();
    assert_eq!((found.bump, found.peers.len()), (bump, 1));
}

#[test]
fn what_can_not_be_answered_is_not_stored() {
    let sim = Sim::default();
    let (storing, user) = pair(&sim, 508);
    // Beside the value, an answer has 77 bytes: with the id, the token and the length.
    let (target, _) = sim.block_on(user.immutable_put(vec![7; 508 - 77])).unwrap();
    assert!(sim.block_on(user.immutable_get(target)).unwrap().is_some());
    sim.block_on(user.immutable_put(vec![7; 508 - 76])).unwrap_err();
    // The version, the length of the value, the signature.
    let signer = KeyPair::from_seed([7; 32]);
    sim.block_on(user.mutable_put(&signer, 1, vec![7; 508 - 77 - 68])).unwrap();
    let key = signer.public_key();
    assert!(sim.block_on(user.mutable_get(&key, 1)).unwrap().is_some());
    sim.block_on(user.mutable_put(&signer, 2, vec![7; 508 - 77 - 67])).unwrap_err();
    let stats = storing.service_stats().unwrap();
    assert_eq!((stats.immutables.entries, stats.mutables.entries), (1, 1));
}

#[test]
fn as_many_peers_are_told_as_a_datagram_has_room_for() {
    for (max_datagram, count) in [(508, 12), (1_400, 20)] {
        let sim = Sim::default();
        let (_storing, user) = pair(&sim, max_datagram);
        let topic = hash(b"topic");
        for seed in 0..30 {
            let signer = KeyPair::from_seed([seed; 32]);
            sim.block_on(user.announce(&Announcing::new(topic, &signer))).unwrap();
        }
        let (_, found) = sim.block_on(user.lookup(topic).next()).unwrap();
        assert_eq!(found.peers.len(), count);
    }
}
