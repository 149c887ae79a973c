//! What a query may take, whatever nodes tell it on its way: time, the patience of strangers, and
//! places that other queries wait for.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Id, Outcome, Query};

use crate::support::lab::*;

const SECOND: Duration = Duration::from_secs(1);
/// How long a walk may take.
const WALK_MAX: Duration = Duration::from_secs(20);

fn query() -> Query {
    Query::new(target(1), 16)
}

/// A hundred ports of one host, each of which answers slowly and names a port a little nearer.
fn drip(lab: &mut Lab, latency: Duration) -> SocketAddrV4 {
    let host = Ipv4Addr::new(99, 9, 9, 9);
    let mut chain: Vec<_> = (1..=100).map(|port| SocketAddrV4::new(host, port)).collect();
    chain.sort_by_cached_key(|addr| Reverse(Id::of(*addr).distance(&target(1))));
    for (n, addr) in chain.iter().enumerate() {
        let next = chain.get(n + 1).copied();
        lab.peers.insert(*addr, Peer { rtt: latency, ..Peer::naming(next) });
    }
    chain[0]
}

/// Runs a query to its end. Returns the outcome, and how long the query took.
fn timed(lab: &mut Lab, query: Query) -> (Outcome, Duration) {
    let start = lab.now;
    let outcome = lab.walk(query).1.unwrap();
    (outcome, lab.now.saturating_since(start))
}

#[test]
fn nobody_can_drag_out_a_query() {
    for (millis, successes) in [(1_900, 10), (950, 21)] {
        let all =
            [query(), query().thorough(), query().retries(99).thorough(), query().concurrency(1)];
        for query in all {
            let mut lab = Lab::alone();
            let first = drip(&mut lab, Duration::from_millis(millis));
            let (outcome, time) = timed(&mut lab, query.nodes([first]));
            assert_eq!(time, WALK_MAX);
            assert_eq!(outcome.successes, successes, "what it has so far");
            assert!(lab.stats().requests.active <= 1, "the last one, if it is late");
        }
    }
}

#[test]
fn the_time_of_a_query_that_waits_for_its_reader_does_not_pass() {
    let mut lab = Lab::alone();
    let anonymous = Peer { has_id: false, ..Peer::default() };
    lab.peers.extend((0..100).map(|n| (addr(n), anonymous.clone())));
    let id = lab.query(query().nodes((0..100).map(addr)).only_closest_nodes());
    lab.run_for(5 * WALK_MAX);
    assert_eq!(lab.node.take_outcome(id), None);
    let mut outcome = None;
    lab.run_until(|lab| {
        while lab.node.next_reply(id).is_some() {}
        outcome = lab.node.take_outcome(id);
        lab.flush();
        outcome.is_some()
    });
    assert_eq!(outcome.unwrap().unwrap().successes, 100);
}

#[test]
fn the_time_of_a_query_that_waits_for_a_place_does_not_pass() {
    let mut config = Config::default();
    config.max_background_requests = 64;
    let mut lab = Lab::started(config);
    // Two queries hold the places for longer than a walk may take.
    for n in [100, 200] {
        let slow = (n..n + 64).map(addr);
        let all = query().nodes(slow).only_closest_nodes().discard_replies().concurrency(64);
        lab.query(all.thorough().retries(29));
    }
    lab.peers.insert(addr(1), Peer::default());
    let (outcome, time) = timed(&mut lab, query().nodes([addr(1)]).only_closest_nodes());
    assert!(time > WALK_MAX, "{time:?}");
    assert_eq!(outcome.successes, 1);
}

#[test]
fn the_time_of_a_query_begins_with_the_bind() {
    let mut lab = Lab::unbound(Config::default());
    lab.peers.insert(addr(1), Peer::default());
    let id = lab.query(query().nodes([addr(1)]).discard_replies());
    lab.run_for(2 * WALK_MAX);
    lab.bind();
    lab.node.handle_timeout(lab.now);
    lab.run_for(SECOND);
    assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().successes, 1);
}

/// How many of `named` a query asks if the nodes `teller` name them.
fn asked_of(named: &[SocketAddrV4], teller: impl Fn(u32) -> SocketAddrV4) -> usize {
    let mut lab = Lab::alone();
    for (n, part) in (0..).zip(named.chunks(20)) {
        lab.peers.insert(teller(n), Peer::naming(part.iter().copied()));
    }
    let tellers: Vec<_> = lab.peers.keys().copied().collect();
    lab.walk(query().nodes(tellers.iter().copied()).thorough()).1.unwrap();
    lab.asked(16).into_iter().filter(|to| !tellers.contains(to)).collect::<BTreeSet<_>>().len()
}

#[test]
fn few_strangers_of_one_network_are_asked_in_vain() {
    let host = |ip: [u8; 4]| (1..=20).map(move |n| SocketAddrV4::new(Ipv4Addr::from(ip), n));
    let prefix = |a, b| (1..=20).map(move |n| SocketAddrV4::new(Ipv4Addr::new(a, b, 0, n), 4000));
    type Teller = fn(u32) -> SocketAddrV4;
    let lists: [(Vec<_>, Teller, usize); 4] = [
        (host([80, 0, 0, 1]).collect(), addr, 4),
        (prefix(80, 0).collect(), addr, 6),
        (prefix(80, 0).chain(prefix(80, 1)).collect(), addr, 12),
        (prefix(10, 0).collect(), |n| SocketAddrV4::new([10, 9, 9, n as u8].into(), 1), 20),
    ];
    for (named, teller, asked) in lists {
        assert_eq!(asked_of(&named, teller), asked, "{}", named[0]);
    }
}

#[test]
fn nodes_of_the_users_and_of_the_table_are_no_strangers() {
    let host = |n: u16| SocketAddrV4::new(Ipv4Addr::new(80, 0, 0, 1), n);
    let mut lab = Lab::alone();
    lab.walk(query().nodes((1..=10).map(host)).thorough()).1.unwrap();
    assert_eq!(lab.asked(16).into_iter().collect::<BTreeSet<_>>().len(), 10);
    let mut config = Config::default();
    config.nodes = (1..=10).map(host).collect();
    let mut lab = Lab::started(config);
    lab.walk(query().thorough()).1.unwrap();
    assert_eq!(lab.asked(16).into_iter().collect::<BTreeSet<_>>().len(), 10);
}

#[test]
fn honest_queries_do_not_wait_for_poisoned_ones() {
    let mut lab = Lab::alone();
    // Twenty queries, each led by ten liars, each of which names twenty addresses without a node.
    for n in 0..20 {
        let liars = || (0..10).map(|m| addr(1_000 + 10 * n + m));
        for (m, liar) in (0..).zip(liars()) {
            let dead = (0..20).map(|k| addr(100_000 + 200 * n + 20 * m + k));
            lab.peers.insert(liar, Peer::naming(dead));
        }
        lab.query(Query::find_node(target(n)).nodes(liars()).discard_replies());
    }
    lab.run_for(5 * SECOND);
    let mut known = by_distance(&target(1), 100);
    for n in 0..100 {
        let nearer = known[..n].iter().rev().take(20).copied();
        lab.peers.insert(known[n], Peer::naming(nearer));
    }
    let far = known.split_off(80);
    let (outcome, time) = timed(&mut lab, query().nodes(far));
    assert!(outcome.closest.iter().map(|reply| reply.from.addr).eq(known[..20].iter().copied()));
    assert!(time < 10 * SECOND, "{time:?}");
}

#[test]
fn the_oldest_query_goes_first() {
    let mut config = Config::default();
    config.max_background_requests = 64;
    let mut lab = Lab::started(config);
    let nodes = by_distance(&target(0), 40);
    let latency = Duration::from_millis(80);
    let peer = Peer { rtt: latency, ..Peer::naming(nodes.iter().copied().take(20)) };
    lab.peers.extend(nodes.iter().map(|addr| (*addr, peer.clone())));
    let mut serial = 0;
    let mut begin = |lab: &mut Lab| {
        serial += 1;
        let query = Query::find_node(target(serial)).nodes(nodes.iter().copied().take(20));
        (lab.query(query.discard_replies()), lab.now)
    };
    let mut running: Vec<_> = (0..100).map(|_| begin(&mut lab)).collect();
    let (end, mut worst) = (lab.now + 30 * SECOND, Duration::ZERO);
    while lab.now < end {
        for slot in &mut running {
            worst = worst.max(lab.now.saturating_since(slot.1));
            if lab.node.take_outcome(slot.0).is_some() {
                *slot = begin(&mut lab);
            }
        }
        lab.run_ms(50);
    }
    assert!(worst < 4 * SECOND, "{worst:?}");
}
