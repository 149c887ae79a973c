//! How often a node sends requests to a /24 in which no node answers, since peers have named nodes there.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Id, Query};

use crate::support::lab::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How many datagrams the busiest /24 of these gets in its busiest minute.
fn busiest(lab: &Lab, prefix: [u8; 2]) -> usize {
    let mut by_net: BTreeMap<u8, Vec<_>> = BTreeMap::new();
    for sent in &lab.sent {
        let [a, b, c, _] = sent.to.ip().octets();
        if [a, b] == prefix {
            by_net.entry(c).or_default().push(sent.at);
        }
    }
    let within = |times: &Vec<dht_core::Instant>| {
        let count = |from| times.iter().filter(|at| **at >= from && **at < from + MINUTE).count();
        times.iter().map(|at| count(*at)).max().unwrap_or(0)
    };
    by_net.values().map(within).max().unwrap_or(0)
}

/// `side_by_side` queries a second, which four liars each lead to nodes that do not exist, all of one /24.
fn poisoned(lab: &mut Lab, side_by_side: u32, seconds: u64) {
    let liar = |n: u32| addr(300 + n);
    for n in 0..40 {
        let named = (0..20).map(|k| neighbour([99, 9, 9], (n / 4 * 20 + k) as u16));
        *lab.add_peer(liar(n)) = Peer::naming(named);
    }
    let mut query = 0;
    for _ in 0..seconds {
        for _ in 0..side_by_side {
            let nodes = (0..4).map(|k| liar((query * 4 + k) % 40)).collect::<Vec<_>>();
            let query_ = Query::find_node(target(query)).nodes(nodes).discard_replies();
            // Queries above the bound are refused.
            let _ = lab.call(|node, now| node.query(now, query_));
            query += 1;
        }
        lab.run_for(SECOND);
    }
    lab.run_for(30 * SECOND);
}

#[test]
fn twelve_a_minute_whatever_queries_run() {
    for side_by_side in [1, 5] {
        let mut lab = Lab::alone();
        poisoned(&mut lab, side_by_side, 150);
        let busiest = busiest(&lab, [99, 9]);
        println!("{side_by_side} poisoned queries a second: {busiest} datagrams a minute");
        assert!((10..=12).contains(&busiest), "{busiest}");
        assert!(lab.stats().withheld.requests > 0);
    }
}

#[test]
fn who_is_asked_by_the_users_word_has_no_such_limit() {
    let mut lab = Lab::alone();
    let nodes: Vec<_> = (0..10).map(|n| neighbour([99, 9, 9], n)).collect();
    for n in 0..4 {
        let query = Query::find_node(target(n)).nodes(nodes.iter().copied()).discard_replies();
        lab.query(query);
        lab.run_for(10 * SECOND);
    }
    assert!(busiest(&lab, [99, 9]) > 40);
}

/// In a /24 of honest nodes, 12 of 40 of which are gone, queries find the live nodes all the same.
#[test]
fn a_net_where_somebody_answers_is_asked_on() {
    let mut lab = Lab::alone();
    let nodes: Vec<_> = (0..40).map(|n| neighbour([99, 9, 9], n)).collect();
    for (n, node) in nodes.iter().enumerate() {
        let peer = lab.add_peer(*node);
        *peer = Peer::knowing(nodes.iter().copied());
        peer.up = n % 10 >= 3;
    }
    let teller = addr(1);
    *lab.add_peer(teller) = Peer::knowing(nodes.iter().copied());
    let mut found = 0;
    for n in 0..10 {
        let query = Query::find_node(target(n)).nodes([teller]);
        let (replies, outcome) = lab.walk(query);
        let mut live: Vec<_> = nodes.iter().filter(|node| lab.peers[node].up).collect();
        live.sort_by_cached_key(|node| Id::of(**node).distance(&target(n)));
        found += live[..10].iter().filter(|n| replies.iter().any(|r| r.from.addr == ***n)).count();
        assert!(outcome.is_ok());
    }
    println!("{found} of 100 found");
    assert!(found >= 95, "{found}");
}

/// Addresses of a /24 where no node is, the nearest to `key` first.
fn ghosts(net: [u8; 3], key: &Id) -> Vec<SocketAddrV4> {
    let mut ghosts: Vec<_> = (1..4_000).map(|n| neighbour(net, n)).collect();
    ghosts.sort_by_cached_key(|ghost| Id::of(*ghost).distance(key));
    ghosts
}

/// Hosts of `liars` /24s name nodes that do not exist, in the /24 of an honest node and nearer to the target; ten peers
/// name the honest node. Returns in how many of ten walks the honest node is found.
fn found_beside_ghosts(liars: u32) -> usize {
    let found = |n: u8| {
        let mut lab = Lab::alone();
        let net = [99, n, 9];
        let honest = neighbour(net, 0);
        lab.add_peer(honest);
        let key = target(n.into());
        let ghosts = ghosts(net, &key);
        let mut begin = Vec::new();
        for k in 0..liars {
            let named = ghosts.iter().copied().skip(k as usize * 5).take(20);
            *lab.add_peer(addr(300 + k)) = Peer::naming(named);
            begin.push(addr(300 + k));
        }
        for k in 0..10 {
            *lab.add_peer(addr(400 + k)) = Peer::naming([honest]);
            begin.push(addr(400 + k));
        }
        let (replies, _) = lab.walk(Query::find_node(key).nodes(begin));
        replies.iter().any(|reply| reply.from.addr == honest)
    };
    (0..10).filter(|n| found(*n)).count()
}

#[test]
fn nodes_that_do_not_exist_hide_no_neighbour_that_many_name() {
    let found: Vec<_> = (1..=5).map(found_beside_ghosts).collect();
    println!("found beside nodes of 1 to 5 liars, of 10: {found:?}");
    assert_eq!(found[..2], [10; 2]);
    assert!(found[4] < 10, "who has many hosts can");
}

/// Two liars of one /24 name an honest node, and nodes that do not exist in its /24 and nearer to the target. The liars
/// answer one step before ten nodes that name the honest node. The honest node is found in all of ten walks.
#[test]
fn whom_liars_name_first_is_asked_once_others_name_it() {
    let found = |n: u8| {
        let mut lab = Lab::alone();
        let net = [99, n, 9];
        let honest = neighbour(net, 0);
        let key = flipped(Id::of(honest), 5);
        let ghosts = ghosts(net, &key);
        let liars = [0, 1].map(|k| neighbour([66, 6, 6], k));
        for (liar, named) in liars.iter().zip(ghosts.chunks(19)) {
            *lab.add_peer(*liar) = Peer::naming(named.iter().copied().chain([honest]));
        }
        let witnesses: Vec<_> = (400..410).map(addr).collect();
        witnesses.iter().for_each(|addr| *lab.add_peer(*addr) = Peer::naming([honest]));
        let first: Vec<_> = (300..306).map(addr).collect();
        for addr in &first {
            let peer = Peer::naming(witnesses.clone());
            *lab.add_peer(*addr) = Peer { rtt: 3 * RTT, ..peer };
        }
        lab.add_peer(honest);
        let (replies, _) = lab.walk(Query::find_node(key).nodes(liars.into_iter().chain(first)));
        replies.iter().any(|reply| reply.from.addr == honest)
    };
    let found = (0..10).filter(|n| found(*n)).count();
    assert_eq!(found, 10);
}

/// Forged requests in the name of a /24 use up the budget of requests to it; a newcomer that comes again gets its turn.
#[test]
fn a_newcomer_gets_in_between_claims_that_are_forged() {
    for net in 0..10 {
        let net = [99, 9, net];
        let (mut lab, newcomer) = (Lab::persistent(), neighbour(net, 0));
        lab.add_peer(newcomer);
        let mut forged = 1..;
        for second in 0..600 {
            for n in forged.by_ref().take(4) {
                lab.hear_with_id(neighbour(net, n), PING);
                lab.run_for(SECOND / 4);
            }
            if second % 5 == 4 {
                lab.hear_with_id(newcomer, FIND_NODE);
            }
        }
        assert!(lab.knows(newcomer), "{net:?}");
    }
}
