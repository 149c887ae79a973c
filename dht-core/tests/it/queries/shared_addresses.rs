//! Honest nodes that share a host (behind one NAT, on one server) or a /24, some of them gone: a walk finds the live ones.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Id, Query};

use crate::support::lab::*;

const NODES: u32 = 200;
const LOOKUPS: u32 = 20;

/// How nodes share addresses: how many on each host, and how many hosts in each /24.
#[derive(Clone, Copy)]
struct Sharing {
    per_host: u32,
    per_net: u32,
}

/// What lookups found of the true 20 closest live nodes, on average; how long they took, and how many nodes they asked.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    recall: f64,
    millis: f64,
    asked: f64,
}

fn addrs(sharing: Sharing) -> Vec<SocketAddrV4> {
    let at = |n: u32| {
        let host = n / sharing.per_host;
        let net = (host / sharing.per_net) << 8;
        let ip = Ipv4Addr::from(0x2e00_0001 + net + host % sharing.per_net);
        SocketAddrV4::new(ip, 4_000 + (n % sharing.per_host) as u16)
    };
    (0..NODES).map(at).collect()
}

/// A lookup in a network of which the node knows 20 live nodes, far from the target; `dead` percent of all are gone.
fn look_up(sharing: Sharing, dead: u32, target: Id, seed: u32) -> Found {
    let nodes = addrs(sharing);
    let is_dead = |n: usize| (n as u32).wrapping_mul(2_654_435_761) % 100 < dead;
    let mut lab = Lab::with_seed(Config::default(), seed.into());
    lab.bind();
    let all = Peer::knowing(nodes.iter().copied());
    for (n, addr) in nodes.iter().enumerate().filter(|(n, _)| !is_dead(*n)) {
        let rtt = Duration::from_millis(20 + (n as u64 * 37) % 60);
        lab.peers.insert(*addr, Peer { rtt, ..all.clone() });
    }
    let mut live: Vec<_> = lab.peers.keys().copied().collect();
    live.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    live.iter().rev().take(20).for_each(|addr| lab.add_node(*addr));
    let begun = lab.now;
    let outcome = lab.walk(Query::find_node(target).discard_replies()).1.unwrap();
    let truth: BTreeSet<_> = live.into_iter().take(20).collect();
    let found = outcome.closest.iter().filter(|reply| truth.contains(&reply.from.addr)).count();
    Found {
        recall: found as f64 / truth.len() as f64,
        millis: ms_since(begun, lab.now) as f64,
        asked: outcome.asked.into(),
    }
}

fn mean(sharing: Sharing, dead: u32) -> Found {
    let mut sum = Found::default();
    for n in 0..LOOKUPS {
        let found = look_up(sharing, dead, target(n), n);
        sum.recall += found.recall / f64::from(LOOKUPS);
        sum.millis += found.millis / f64::from(LOOKUPS);
        sum.asked += found.asked / f64::from(LOOKUPS);
    }
    sum
}

#[test]
fn who_lives_at_a_shared_address_is_found() {
    let apart = Sharing { per_host: 1, per_net: 1 };
    for dead in [0, 10, 30] {
        let alone = mean(apart, dead);
        for (what, sharing) in [
            ("20 on a host", Sharing { per_host: 20, per_net: 1 }),
            ("50 on a host", Sharing { per_host: 50, per_net: 1 }),
            ("200 on one host", Sharing { per_host: 200, per_net: 1 }),
            ("20 hosts in a /24", Sharing { per_host: 1, per_net: 20 }),
            ("200 hosts in one /24", Sharing { per_host: 1, per_net: 200 }),
        ] {
            let found = mean(sharing, dead);
            println!("{what}, {dead} % gone: {found:.3?}; apart {alone:.3?}");
            assert!(found.recall >= 0.999, "{what}, {dead} % gone: {found:?}");
            let (millis, asked) = (found.millis / alone.millis, found.asked / alone.asked);
            assert!(millis <= 1.4 && asked <= 1.2, "{what}, {dead} % gone: {found:?}, {alone:?}");
        }
    }
}

/// A node near the target names 200 closed ports of a third party, or of all hosts of its /24, nearer to the target
/// than most nodes.
#[test]
fn closed_doors_of_a_third_party_hold_up_no_lookup() {
    for hosts in [1_u16, 200] {
        let (mut plain, mut lied, mut knocks) = (0, 0, 0);
        for n in 0..LOOKUPS {
            for lies in [false, true] {
                let nodes = by_distance(&target(n), NODES);
                let mut lab = Lab::with_seed(Config::default(), n.into());
                lab.bind();
                let rtt = Duration::from_millis(80);
                let all = Peer { rtt, ..Peer::knowing(nodes.iter().copied()) };
                lab.peers.extend(nodes.iter().map(|addr| (*addr, all.clone())));
                let port = |n: u16| {
                    SocketAddrV4::new(Ipv4Addr::new(66, 6, 6, (n % hosts) as u8 + 1), 1 + n)
                };
                let mut doors: Vec<_> = (0..20_000).map(port).collect();
                doors.sort_by_cached_key(|addr| Id::of(*addr).distance(&target(n)));
                doors.truncate(200);
                let liar = nodes[5];
                nodes.iter().rev().take(20).for_each(|addr| lab.add_node(*addr));
                // By these lookups the node learns how soon answers come.
                for other in 1..4 {
                    lab.walk(Query::find_node(target(1_000 * other)).discard_replies()).1.unwrap();
                }
                if lies {
                    let named = doors.iter().chain(&nodes).copied();
                    lab.peers.insert(liar, Peer { rtt, ..Peer::knowing(named) });
                }
                let begun = lab.now;
                let query = Query::find_node(target(n)).discard_replies();
                let outcome = lab.walk(query).1.unwrap();
                let found: Vec<_> = outcome.closest.iter().map(|reply| reply.from.addr).collect();
                assert_eq!(found, nodes[..20], "hosts {hosts}, lies {lies}");
                *(if lies { &mut lied } else { &mut plain }) += ms_since(begun, lab.now);
                let doors = lab.sent.iter().filter(|sent| doors.contains(&sent.to));
                let asked: BTreeSet<_> = doors.map(|sent| sent.to).collect();
                knocks = knocks.max(asked.len());
            }
        }
        println!(
            "{hosts} hosts: {plain} ms without, {lied} ms with closed doors; {knocks} of them asked at most"
        );
        assert!(knocks <= 6, "{knocks}");
        assert!(4 * lied <= 10 * plain, "{plain} ms, {lied} ms with closed doors");
    }
}
