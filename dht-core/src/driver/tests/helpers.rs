//! What the runtime and the user bring beside sockets and time, when it fails: it costs what it was for.

use std::format;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::sim::Sim;
use super::world::{Helper, local};
use crate::driver::{Builder, Dht};
use crate::{Config, IdCache, NodeFilter};

const SECOND: Duration = Duration::from_secs(1);

/// A bootstrap node at port 1000.
fn first(sim: &Sim) -> Dht {
    let first = sim.node(|builder| {
        drop(builder);
        Builder::bootstrapper(sim.world.clone(), 1000, "127.0.0.1")
    });
    sim.block_on(first.fully_bootstrapped()).unwrap();
    first
}

#[test]
fn a_look_up_that_panics_has_found_nothing() {
    for helper in [Helper::Lookup, Helper::LookupLater, Helper::LookupLast] {
        let sim = Sim::default();
        let _first = first(&sim);
        sim.world.get().names.insert("first.example".into(), Ipv4Addr::LOCALHOST);
        sim.world.get().panics = Some(helper);
        let node = sim.node(|builder| builder.bootstrap(["first.example:1000", "127.0.0.1:1000"]));
        sim.block_on(node.fully_bootstrapped()).unwrap();
        assert_eq!(node.nodes(9), [local(1000)], "{helper:?}: the other one is an address");

        // Alone, the name is looked up again when the bootstrap is tried again.
        let node = sim.node(|builder| builder.bootstrap(["first.example:1000"]));
        sim.block_on(node.fully_bootstrapped()).unwrap();
        assert_eq!(node.status().table_len, 0);
        sim.world.get().panics = None;
        sim.advance(6 * SECOND);
        assert_eq!(node.nodes(9), [local(1000)], "{helper:?}");
    }
}

#[test]
fn look_ups_that_never_end_leave_their_places_to_others() {
    let sim = Sim::default();
    let _first = first(&sim);
    sim.world.get().names.insert("first.example".into(), Ipv4Addr::LOCALHOST);
    sim.world.get().panics = Some(Helper::LookupNever);
    let names = (0..8).map(|n| format!("no{n}.example:1000")).chain(["first.example:1000".into()]);
    let node = sim.node(|builder| builder.bootstrap(names));
    sim.block_on(node.fully_bootstrapped()).unwrap();
    assert_eq!(node.status().table_len, 0);
    sim.world.get().panics = None;
    sim.advance(60 * SECOND);
    assert_eq!(node.nodes(9), [local(1000)]);
}

#[test]
fn names_are_not_looked_up_while_there_are_no_sockets() {
    let sim = Sim::default();
    sim.world.get().panics = Some(Helper::LookupNever);
    let node = sim.node(|builder| builder.bootstrap((0..9).map(|n| format!("no{n}.example:1000"))));
    sim.block_on(node.listening()).unwrap();
    let looked_up = || sim.world.get().looked_up.clone();
    assert_eq!(looked_up().len(), 8, "the last one waits for its turn");
    sim.block_on(node.suspend()).unwrap();
    sim.advance(60 * SECOND);
    node.refresh();
    sim.run();
    assert_eq!(looked_up().len(), 8);
    sim.block_on(node.resume()).unwrap();
    sim.advance(60 * SECOND);
    assert!(looked_up().contains(&"no8.example".into()));
}

#[test]
fn interfaces_that_can_not_be_listed_for_a_panic_are_as_before() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder.host(Ipv4Addr::UNSPECIFIED));
    sim.block_on(node.listening()).unwrap();
    let mut events = node.events();
    for helper in [Helper::Interfaces, Helper::WayOut] {
        sim.world.get().panics = Some(helper);
        sim.advance(60 * SECOND);
        assert!(!node.closed());
        assert_eq!(*node.local_address().unwrap().ip(), Ipv4Addr::LOCALHOST);
    }
    while let Some(Some(event)) = sim.now(&mut std::pin::pin!(events.next())) {
        assert_ne!(event, crate::Event::NetworkChange);
    }
    let other = sim.up();
    sim.block_on(other.ping(node.server_address().unwrap())).unwrap();
}

#[test]
fn a_bind_that_panics_has_failed() {
    let sim = Sim::default();
    let node = sim.up();
    sim.block_on(node.suspend()).unwrap();
    sim.world.get().panics = Some(Helper::Bind);
    let error = sim.block_on(node.resume()).unwrap_err();
    assert!(format!("{error}").ends_with(": the runtime panicked"), "{error}");
    let never = sim.node(|builder| builder);
    sim.block_on(never.listening()).unwrap_err();
    assert!(never.closed() && !node.closed());
    sim.world.get().panics = None;
    sim.block_on(node.resume()).unwrap();
}

#[test]
fn a_filter_that_panics_has_said_no() {
    let sim = Sim::default();
    let _first = first(&sim);
    let second = sim.node(|builder| builder.port(1001).ephemeral(false).firewalled(false));
    sim.block_on(second.listening()).unwrap();
    let filter = |addr| {
        assert_ne!(addr, local(1001), "a bug of the user's");
        true
    };
    let node = sim.node(|builder| {
        let builder =
            builder.configure(|config: &mut Config| config.filter = Some(NodeFilter::new(filter)));
        builder.bootstrap([local(1000), local(1001)])
    });
    sim.block_on(node.fully_bootstrapped()).unwrap();
    let query = crate::Query::find_node(crate::Id([7; 32]));
    let outcome = sim.block_on(node.query(query).finished()).unwrap();
    assert_eq!((node.nodes(9), outcome.closest.len()), ([local(1000)].to_vec(), 1));
    sim.block_on(node.ping(local(1001))).unwrap();
}

#[test]
fn a_cache_of_ids_that_panics_knows_none() {
    let sim = Sim::default();
    let _first = first(&sim);
    let cache = IdCache::new(|_| panic!("a bug of the user's"));
    let node = sim.node(|builder| {
        builder.configure(|config| config.ids = Some(cache)).bootstrap([local(1000)])
    });
    sim.block_on(node.fully_bootstrapped()).unwrap();
    assert_eq!(node.nodes(9), [local(1000)]);
}
