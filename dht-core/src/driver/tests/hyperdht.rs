//! hyperdht's commands, beside a node.

use super::sim::Sim;
use super::world::SINCE_1970;
use crate::driver::{Builder, Dht};
use crate::hyperdht::asking::Announcing;
use crate::hyperdht::{KeyPair, ServiceConfig, hash};

/// A node that stores, and one that uses it.
fn pair(sim: &Sim) -> (Dht, Dht) {
    let storing = sim.node(|_| {
        let builder = Builder::bootstrapper(sim.world.clone(), 1000, "127.0.0.1");
        builder.hyperdht(ServiceConfig::default())
    });
    sim.block_on(storing.fully_bootstrapped()).unwrap();
    let user = sim.node(|builder| builder.bootstrap(["127.0.0.1:1000"]));
    (storing, user)
}

#[test]
fn a_topic_is_bumped_from_the_first_moment_on() {
    let sim = Sim::default();
    let (_storing, user) = pair(&sim);
    let (signer, topic) = (KeyPair::from_seed([7; 32]), hash(b"topic"));
    let bump = SINCE_1970.as_millis() as u64;
    let what = Announcing { bump, ..Announcing::new(topic, &signer) };
    sim.block_on(user.announce(&what)).unwrap();
    let (_, found) = sim.block_on(user.lookup(topic).next()).unwrap();
    assert_eq!((found.bump, found.peers.len()), (bump, 1));
}
