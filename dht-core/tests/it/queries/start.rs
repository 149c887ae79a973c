//! Where a query begins, and how broadly: given nodes, the table, the bootstrap nodes, caution with
//! many given nodes.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Id, Query};

use crate::support::lab::*;

/// Puts these nodes into the table.
fn knowing(lab: &mut Lab, nodes: impl IntoIterator<Item = SocketAddrV4>) {
    nodes.into_iter().for_each(|addr| lab.add_node(addr));
}

/// The nodes that a query asks at once, if it may ask all nodes that it begins with.
fn first_asked(lab: &mut Lab, query: Query) -> BTreeSet<SocketAddrV4> {
    lab.query(query.concurrency(200));
    lab.asked(16).into_iter().collect()
}

#[test]
fn the_table_fills_up_to_twenty() {
    for (given, from_table) in [(0, 20), (1, 19), (5, 15), (19, 1), (20, 0), (30, 0)] {
        let mut lab = Lab::alone();
        knowing(&mut lab, (0..40).map(addr));
        let mut table: Vec<_> = lab.node.nodes().collect();
        table.sort_by_key(|addr| Id::of(*addr).distance(&target(1)));
        let own: Vec<_> = (100..100 + given).map(addr).collect();
        let query = Query::new(target(1), 16).nodes(own.clone());
        let expected: BTreeSet<_> =
            own.into_iter().chain(table.into_iter().take(from_table)).collect();
        assert_eq!(first_asked(&mut lab, query), expected, "{given} given");
    }
}

#[test]
fn bootstrap_nodes_fill_up_what_the_table_leaves() {
    let mut config = Config::default();
    config.bootstrap = vec![addr(50).into(), addr(51).into()];
    for (known, bootstrap) in [(0, true), (3, true), (19, true), (20, false), (25, false)] {
        let mut lab = Lab::unbound(config.clone());
        // Without an id the bootstrap nodes do not enter the table.
        let nobody = Peer { has_id: false, ..Peer::default() };
        lab.peers.extend([50, 51].map(|n| (addr(n), nobody.clone())));
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        knowing(&mut lab, (0..known).map(addr));
        let asked = first_asked(&mut lab, Query::new(target(1), 16));
        assert_eq!(asked.contains(&addr(50)), bootstrap, "{known} known");
        assert_eq!(asked.contains(&addr(51)), bootstrap, "{known} known");
        let known = known.min(20) as usize;
        assert_eq!(asked.len(), known + if bootstrap { 2 } else { 0 });
    }
}

#[test]
fn a_bootstrap_name_is_looked_up_when_it_is_needed() {
    let mut config = Config::default();
    config.bootstrap = vec!["node.example:4000".parse().unwrap()];
    let mut lab = Lab::started(config);
    let (lookup, name) = lab.lookups[0].clone();
    assert_eq!(name, "node.example");
    let id = lab.query(Query::new(target(1), 16));
    lab.run_ms(1_000);
    assert_eq!((lab.sent.len(), lab.node.take_outcome(id)), (0, None), "it waits for the name");
    lab.peers.insert(addr(7), Peer::default());
    lab.node.handle_resolved(lab.now, lookup, &[*addr(7).ip()]);
    lab.flush();
    assert_eq!(lab.asked(16), [addr(7)]);
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
}

#[test]
fn only_the_given_ones_if_so_asked() {
    for given in [0, 1, 5, 25] {
        let mut lab = Lab::alone();
        knowing(&mut lab, (50..80).map(addr));
        let far = Peer { has_id: false, ..Peer::naming((50..70).map(addr)) };
        lab.peers.extend((0..given).map(|n| (addr(n), far.clone())));
        let query = Query::new(target(1), 16).nodes((0..given).map(addr)).only_closest_nodes();
        let (replies, outcome) = lab.walk(query);
        assert_eq!(lab.asked(16).into_iter().collect::<BTreeSet<_>>().len(), given as usize);
        assert!(lab.asked(16).iter().all(|to| (0..given).any(|n| addr(n) == *to)));
        assert_eq!((replies.len(), outcome.unwrap().asked), (given as usize, given));
    }
}

#[test]
fn local_addresses_may_be_given() {
    let mut lab = Lab::alone();
    let local = SocketAddrV4::new([10, 0, 0, 1].into(), 4000);
    let nodes = [local, addr(2), addr(2)];
    let asked = first_asked(&mut lab, Query::new(target(1), 16).nodes(nodes));
    assert_eq!(asked, BTreeSet::from([local, addr(2)]), "local ones are the user's affair");
    assert_eq!(lab.asked(16).len(), 2, "each once");
}

/// How many requests are in flight after each answer; the k-th node answers after k * 10 ms.
fn breadth(given: u32, from_table: u32) -> Vec<u64> {
    let mut lab = Lab::alone();
    knowing(&mut lab, (100..100 + from_table).map(addr));
    let nodes = by_distance(&target(1), given);
    for (k, addr) in (1..).zip(&nodes) {
        let latency = Duration::from_millis(10 * k);
        lab.peers.insert(*addr, Peer { rtt: latency, ..Peer::default() });
    }
    lab.query(Query::new(target(1), 16).nodes(nodes));
    let mut in_flight = Vec::new();
    let in_flight_now = |lab: &Lab| lab.asked(16).len() as u64 - lab.stats().requests.responses;
    for answers in 0..12 {
        lab.run_until(|lab| lab.stats().requests.responses == answers);
        in_flight.push(in_flight_now(&lab));
    }
    in_flight
}

#[test]
fn with_twenty_given_nodes_a_query_is_cautious_until_ten_have_answered() {
    assert_eq!(breadth(40, 0), [10, 9, 8, 7, 6, 5, 4, 3, 3, 3, 10, 10]);
    assert_eq!(breadth(19, 30)[..11], [10; 11], "with fewer it is not");
}

#[test]
fn caution_is_never_broader_than_allowed() {
    let mut lab = Lab::alone();
    let id = lab.query(Query::new(target(1), 16).nodes((0..20).map(addr)).concurrency(2));
    assert_eq!(lab.asked(16).len(), 2);
    lab.node.cancel_query(lab.now, id);
}

#[test]
fn a_poor_start_from_given_nodes_falls_back_on_the_table() {
    for (good, falls_back) in [(0, true), (4, true), (5, false), (20, false)] {
        let mut lab = Lab::alone();
        knowing(&mut lab, (100..130).map(addr));
        let anonymous = Peer { has_id: false, ..Peer::default() };
        lab.peers.extend((0..good).map(|n| (addr(n), anonymous.clone())));
        let query = Query::new(target(1), 16).nodes((0..20).map(addr)).retries(0);
        lab.walk(query).1.unwrap();
        let asked = lab.asked(16);
        assert!((0..20).all(|n| asked.contains(&addr(n))));
        let table = asked.iter().filter(|to| (100..130).any(|n| addr(n) == **to)).count();
        assert_eq!(table, if falls_back { 20 } else { 0 }, "{good} of 20 answer");
    }
}

#[test]
fn nobody_to_ask_is_an_end_too() {
    let mut lab = Lab::alone();
    let (replies, outcome) = lab.walk(Query::find_node(target(1)));
    let outcome = outcome.unwrap();
    assert_eq!((replies.len(), outcome.asked, outcome.closest.len()), (0, 0, 0));
}

#[test]
fn every_visit_carries_command_target_and_value() {
    let mut lab = Lab::alone();
    let query = || Query::new(target(1), 16).value(&b"v"[..]).nodes((0..10).map(addr));
    lab.query(query());
    let mut config = Config::default();
    config.concurrency = 4;
    let mut narrow = Lab::started(config);
    narrow.query(query());
    assert_eq!((lab.sent.len(), narrow.sent.len()), (10, 4));
    for sent in &lab.sent {
        let request = sent.request();
        assert_eq!((request.command, request.internal, request.token), (16, false, None));
        assert_eq!(request.target.copied().map(Id), Some(target(1)));
        assert_eq!(request.value, Some(&b"v"[..]));
    }
    lab.query(Query::find_node(target(2)).nodes([addr(9)]));
    let find = lab.sent.pop().unwrap();
    let find = find.request();
    assert_eq!((find.command, find.internal, find.value), (FIND_NODE, true, None));
}
