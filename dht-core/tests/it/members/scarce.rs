//! Small nodes have little memory, but liars, dead nodes and crowds do no more harm to them than to
//! large nodes.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Id, Query, Via};

use crate::support::lab::*;

/// A lookup among 200 honest nodes and `liars` liars, each of which names 20 addresses without a node, nearer
/// to the target. Returns how many of the 20 closest nodes are found, and how long the lookup takes.
fn lied_to(config: Config, liars: usize) -> (usize, Duration) {
    let target = target(900);
    let honest = by_distance(&target, 200);
    let mut lab = Lab::started(config);
    lab.peers.extend(honest.iter().map(|addr| (*addr, Peer::knowing(honest.iter().copied()))));
    let nowhere = |n: u32| SocketAddrV4::new(Ipv4Addr::from(0x5100_0001 + (n << 8)), 5);
    let mut nowhere: Vec<_> = (0..60_000).map(nowhere).collect();
    nowhere.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    let liars: Vec<_> = honest[100..].iter().step_by(7).take(liars).copied().collect();
    for (liar, named) in liars.iter().zip(nowhere.chunks(20)) {
        lab.peers.insert(*liar, Peer::naming(named.iter().copied()));
    }
    let first = honest.iter().rev().take(20).copied();
    let query = Query::find_node(target).nodes(liars.into_iter().chain(first)).discard_replies();
    let start = lab.now;
    let outcome = lab.walk(query).1.unwrap();
    let is_found = |addr| outcome.closest.iter().any(|reply| reply.from.addr == addr);
    let found = honest[..20].iter().filter(|addr| is_found(**addr)).count();
    (found, lab.now.saturating_since(start))
}

#[test]
fn liars_do_not_fill_what_a_query_remembers() {
    for (max_query_addresses, liars) in [(64, 3), (128, 6), (4_096, 6)] {
        let mut config = Config::default();
        config.max_query_addresses = max_query_addresses;
        assert_eq!(lied_to(config, liars).0, 20, "{liars} liars, {max_query_addresses} remembered");
    }
}

#[test]
fn the_dead_do_not_hold_the_last_places() {
    let mut config = Config::embedded();
    config.concurrency = 10;
    let (found, took) = lied_to(config, 2);
    // This took 15 s when each dead node kept its place for six tries.
    assert!(found == 20 && took < Duration::from_secs(8), "{found}, {took:?}");
}

fn ping(from: SocketAddrV4) -> Vec<u8> {
    let mut ask = Ask::internal(PING);
    ask.id = Some(*Id::of(from).as_bytes());
    ask.bytes()
}

#[test]
fn a_verification_takes_no_answers_place() {
    let mut config = Config::bootstrapper(SERVER.port(), &HOST.to_string()).unwrap();
    config.max_replies = 2;
    let mut lab = Lab::started(config);
    for n in 0..3 {
        let _ = lab.node.handle_datagram(lab.now, Via::Server, addr(n), &ping(addr(n)));
    }
    lab.flush();
    let answered: Vec<_> = lab.sent.iter().filter(|s| s.as_response().is_some()).collect();
    assert_eq!(answered.len(), 2, "and three verifications");
    assert_eq!(lab.node.stats().drops.replies, 1);
}

#[test]
fn one_network_does_not_displace_the_others() {
    let mut config = Config::bootstrapper(SERVER.port(), &HOST.to_string()).unwrap();
    config.max_nodes = 80;
    let mut lab = Lab::started(config);
    (0..3_000).for_each(|n| lab.add_node(addr(n)));
    lab.peers.extend((0..3_000).map(|n| (addr(n), Peer::default())));
    let honest = lab.node.table_len();
    assert!(honest >= 70, "{honest}");
    // Ports of one host, some for each bucket; most of the buckets have room.
    let own = lab.node.table_id();
    let mut ports: Vec<_> =
        (1..20_000).map(|port| SocketAddrV4::new(Ipv4Addr::new(66, 6, 6, 6), port)).collect();
    ports.sort_by_cached_key(|addr| Id::of(*addr).distance(&own));
    for addr in ports.iter().take(100) {
        lab.peers.insert(*addr, Peer::default());
        let _ = lab.hand_in(Via::Server, *addr, &ping(*addr));
        lab.run_ms(50);
    }
    let others = lab.node.nodes().filter(|addr| !ports.contains(addr)).count();
    assert!(others + 2 >= honest, "{others} of {honest}");
    // A node of another network gets in: a small table goes on changing.
    let newcomer = by_distance(&own, 5_000)[0];
    lab.peers.insert(newcomer, Peer::default());
    let _ = lab.hand_in(Via::Server, newcomer, &ping(newcomer));
    lab.run_ms(50);
    assert!(lab.node.nodes().any(|addr| addr == newcomer));
}
