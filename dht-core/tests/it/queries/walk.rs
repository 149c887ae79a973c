//! The way of a query: which node it asks next, what it reads of an answer, when it ends.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Query, Reply};

use crate::support::lab::*;

/// Peers that answer and name no node.
fn lonely(lab: &mut Lab, nodes: impl IntoIterator<Item = SocketAddrV4>) {
    lab.peers.extend(nodes.into_iter().map(|addr| (addr, Peer::default())));
}

fn addrs(replies: &[Reply]) -> Vec<SocketAddrV4> {
    replies.iter().map(|reply| reply.from.addr).collect()
}

fn query() -> Query {
    Query::new(target(1), 16)
}

#[test]
fn the_nearest_known_is_asked_first() {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 12);
    // The farthest node names the two nearest ones.
    lonely(&mut lab, nodes.iter().copied());
    lab.peers.insert(nodes[11], Peer::naming([nodes[1], nodes[0]]));
    let given = [5, 8, 11, 7, 6].map(|n| nodes[n]);
    let first = query().nodes([nodes[11]]).concurrency(1);
    lab.walk(first.nodes(given)).1.unwrap();
    assert_eq!(lab.asked(16), [5, 6, 7, 8, 11, 0, 1].map(|n| nodes[n]));
    lab.sent.clear();
    lab.walk(query().nodes([nodes[11]]).concurrency(1).only_closest_nodes()).1.unwrap();
    assert_eq!(lab.asked(16), [nodes[11]]);
}

#[test]
fn a_slow_one_no_longer_takes_a_place() {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 8);
    let start = lab.now;
    lab.query(query().nodes(nodes.clone()).concurrency(2));
    lab.run_ms(3_500);
    let first_tries = |at: u128| {
        let firsts = nodes.iter().map(|to| lab.sent.iter().find(|sent| sent.to == *to));
        firsts.flatten().filter(|sent| ms_since(start, sent.at) == at).count()
    };
    assert_eq!([0, 1_000, 2_000, 3_000].map(first_tries), [2, 2, 2, 2]);
}

#[test]
fn half_as_many_are_asked_at_once_far_from_the_target_until_one_is_late() {
    let mut lab = Lab::alone();
    // The table holds a few of 20,000 nodes in each bucket, so all nodes near its own id.
    (0..20_000).for_each(|n| lab.add_node(addr(n)));
    let own = lab.node.table_id();
    let mut far = own;
    far.0[0] ^= 0x80;
    for (target, concurrency, expected) in [(far, 0, 5), (far, 7, 4), (own, 0, 10), (own, 7, 7)] {
        let mut query = Query::new(target, 16);
        if concurrency > 0 {
            query = query.concurrency(concurrency);
        }
        lab.sent.clear();
        let id = lab.query(query);
        assert_eq!(lab.asked(16).len(), expected);
        // No node answers.
        lab.run_ms(999);
        assert_eq!(lab.asked(16).len(), expected);
        lab.run_ms(1);
        let concurrency = if concurrency > 0 { concurrency } else { 10 };
        let news: BTreeSet<_> = lab.asked(16).into_iter().collect();
        assert_eq!(news.len(), expected + usize::from(concurrency));
        lab.node.cancel_query(lab.now, id);
        lab.run_ms(20_000);
    }
    // Nodes that the user gives are asked as broadly as the user wants.
    let given = Query::new(far, 16).nodes((20_000..20_040).map(addr)).only_closest_nodes();
    lab.sent.clear();
    lab.query(given.concurrency(30));
    assert_eq!(lab.asked(16).len(), 30);
}

#[test]
fn reading_stops_at_the_first_that_is_not_closer() {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 100);
    lonely(&mut lab, nodes.iter().copied());
    // Twenty nodes answer; the last of them names a closer node, a farther one, and another closer one.
    let (near, far) = (&nodes[..5], &nodes[90..]);
    let given = &nodes[40..60];
    let talker =
        Peer { rtt: Duration::from_millis(200), ..Peer::naming([near[0], far[0], near[1]]) };
    lab.peers.insert(given[19], talker);
    let (_, outcome) = lab.walk(query().nodes(given.iter().copied()).concurrency(100));
    let asked = lab.asked(16);
    assert!(asked.contains(&near[0]));
    assert!(!asked.contains(&far[0]) && !asked.contains(&near[1]));
    let mut expected = vec![near[0]];
    expected.extend(&given[..19]);
    assert_eq!(addrs(&outcome.unwrap().closest), expected);
}

#[test]
fn what_cannot_be_a_node_is_skipped_and_counted() {
    let mut lab = Lab::alone();
    let addr4 = |ip: [u8; 4], port| SocketAddrV4::new(Ipv4Addr::from(ip), port);
    let impossible = [
        addr4([0, 0, 0, 0], 4000),
        addr4([0, 1, 2, 3], 4000),
        addr4([224, 0, 0, 1], 4000),
        addr4([255, 255, 255, 255], 4000),
        addr4([127, 0, 0, 1], 4000),
        addr4([10, 0, 0, 1], 4000),
        addr4([192, 168, 1, 1], 4000),
        SocketAddrV4::new(*addr(9).ip(), 0),
        // The node itself.
        SocketAddrV4::new(HOST, 1000),
        SocketAddrV4::new(HOST, 2000),
    ];
    lab.peers.insert(addr(1), Peer::naming(impossible.into_iter().chain([addr(2)])));
    lonely(&mut lab, [addr(2)]);
    lab.walk(query().nodes([addr(1)])).1.unwrap();
    assert_eq!(lab.asked(16), [addr(1), addr(2)]);
    assert_eq!(lab.stats().drops.closer_nodes, 10);
}

#[test]
fn local_addresses_are_taken_from_local_nodes() {
    let mut lab = Lab::alone();
    let local = |n| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 4000);
    lab.peers.insert(local(1), Peer::naming([local(2)]));
    lonely(&mut lab, [local(2)]);
    lab.walk(query().nodes([local(1)])).1.unwrap();
    assert_eq!(lab.asked(16), [local(1), local(2)]);
}

#[test]
fn only_the_first_twenty_of_an_answer_are_read() {
    let mut lab = Lab::alone();
    lab.peers.insert(addr(99), Peer::naming((0..25).map(addr)));
    lonely(&mut lab, (0..25).map(addr));
    let (replies, _) = lab.walk(query().nodes([addr(99)]));
    assert!((0..20).all(|n| lab.asked(16).contains(&addr(n))));
    assert_eq!(lab.asked(16).len(), 21);
    let first = replies.iter().find(|reply| reply.from.addr == addr(99)).unwrap();
    assert_eq!(first.closer_nodes.as_ref().map(|nodes| nodes.len()), Some(20));
}

#[test]
fn two_hundred_are_asked_at_most() {
    for (given, asked) in [(199, 199), (200, 200), (201, 200), (500, 200)] {
        let mut lab = Lab::alone();
        // Answers with an error do not bring the end of the walk nearer.
        let error = Peer { error: 20, ..Peer::default() };
        lab.peers.extend((0..given).map(|n| (addr(n), error.clone())));
        let outcome = lab.walk(query().nodes((0..given).map(addr)).concurrency(50)).1.unwrap();
        assert_eq!((lab.asked(16).len(), outcome.asked), (asked, asked as u32), "{given} given");
    }
}

#[test]
fn beyond_what_is_remembered_the_farthest_give_way_to_the_near() {
    for (max, given) in [(64, 63), (64, 64), (64, 200), (4_096, 5_000)] {
        let small = || {
            let mut config = Config::default();
            config.max_query_addresses = max;
            Lab::started(config)
        };
        let mut lab = small();
        let mut nodes = by_distance(&target(1), given as u32 + 1);
        let nearest = nodes.remove(0);
        lab.peers.insert(nodes[0], Peer::naming([nearest]));
        // All other nodes answer with an error, so that every node that is remembered is worth a visit.
        let silent = Peer { error: 20, ..Peer::default() };
        lab.peers.extend(nodes[1..].iter().map(|addr| (*addr, silent.clone())));
        lab.peers.insert(nearest, Peer::default());
        lab.walk(query().nodes(nodes.clone()).only_closest_nodes()).1.unwrap();
        assert!(!lab.asked(16).contains(&nearest), "it is not among those given");
        let asked = lab.asked(16).len();
        assert_eq!(asked, given.min(max).min(200), "{given} given");
        assert!(lab.asked(16).iter().all(|addr| nodes[..asked].contains(addr)), "the nearest");

        let mut lab = small();
        lab.peers.insert(nodes[0], Peer::naming([nearest]));
        lonely(&mut lab, nodes[1..40].iter().copied());
        lab.walk(query().nodes(nodes)).1.unwrap();
        assert!(lab.asked(16).contains(&nearest), "{given} given");
    }
}

#[test]
fn nobody_is_asked_twice_and_nobody_asks_itself() {
    let mut lab = Lab::alone();
    let all: Vec<_> = (0..10).map(addr).collect();
    lab.peers.extend(all.iter().map(|addr| (*addr, Peer::naming(all.iter().copied()))));
    let (replies, _) = lab.walk(query().nodes([addr(0), addr(0), addr(1)]));
    assert_eq!(replies.len(), 10);
    assert_eq!(lab.asked(16).len(), 10);
}

/// How long a query takes, in milliseconds: `alive` nodes answer, the one at place `dead_at` does not.
fn end_with_a_dead_one(alive: usize, dead_at: usize, thorough: bool) -> (u128, Lab) {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), alive as u32 + 1);
    lonely(&mut lab, nodes.iter().copied());
    lab.peers.remove(&nodes[dead_at]);
    let query = query().nodes(nodes).concurrency(100);
    let start = lab.now;
    let (replies, _) = lab.walk(if thorough { query.thorough() } else { query });
    assert_eq!(replies.len(), alive);
    (ms_since(start, lab.now), lab)
}

#[test]
fn the_dead_are_waited_for_until_their_second_try() {
    // (nodes that answer, the place of the dead node by distance, thorough, milliseconds)
    for (alive, dead_at, thorough, ms) in [
        // The first try takes a second, since no node has answered yet; the second try takes as long
        // as seems right after this number of answers.
        (0, 0, false, 2_000),
        (1, 0, false, 1_500),
        (2, 0, false, 1_500),
        (3, 0, false, 1_300),
        (9, 9, false, 1_300),
        (10, 10, false, 1_100),
        (5, 0, true, 6_000),
        (5, 5, true, 6_000),
        // The dead node would be among the closest.
        (20, 3, false, 1_100),
        (20, 3, true, 1_000),
        // The dead node would not: the query does not wait for it.
        (20, 20, false, 20),
        (20, 20, true, 1_000),
    ] {
        let (took, lab) = end_with_a_dead_one(alive, dead_at, thorough);
        assert_eq!(took, ms, "{alive} alive, {dead_at}, thorough: {thorough}");
        let requests = lab.stats().requests;
        let failed = ms == 6_000;
        assert_eq!(requests.timeouts, u64::from(failed));
        // The visit to the dead node goes on in the background, if it was late when the query ended.
        assert_eq!(requests.active, u64::from(!failed && ms > 20), "{ms}");
    }
}

#[test]
fn more_tries_are_waited_for_where_tries_are_lost() {
    // (nodes of 20 that lose their first try, tries that a dead node gets, milliseconds that these take: a
    // second for the first try, 100 ms each for the second and the last one, 50 ms for one between them)
    for (late, tries, ms) in [(0, 2, 1_100), (1, 3, 1_200), (4, 4, 1_250), (9, 4, 1_250)] {
        let mut lab = Lab::alone();
        let nodes = by_distance(&target(1), 21);
        lonely(&mut lab, nodes[1..].iter().copied());
        let mut lost = 0;
        lab.fate(move |latency| {
            lost += 1;
            if lost > late { vec![latency] } else { vec![] }
        });
        let query = query().nodes(nodes.iter().copied()).concurrency(21);
        let id = lab.query(query.discard_replies());
        let start = lab.now;
        lab.run_until(|lab| lab.events.contains(&Event::Finished(id)));
        let to = |sent: &&Sent| sent.to == nodes[0] && !sent.request().internal;
        assert_eq!(lab.sent.iter().filter(to).count(), tries, "{late}");
        assert_eq!(ms_since(start, lab.now), ms, "{late}");
        assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().closest.len(), 20);
    }
}

#[test]
fn closest_are_sorted_proven_and_twenty() {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 60);
    lonely(&mut lab, nodes.iter().copied());
    let anonymous = Peer { has_id: false, ..Peer::default() };
    let refusing = Peer { error: 16, ..Peer::default() };
    for n in (0..60).step_by(3) {
        lab.peers.insert(nodes[n], anonymous.clone());
        lab.peers.insert(nodes[n + 1], refusing.clone());
    }
    let given: Vec<_> = nodes.iter().rev().copied().collect();
    let (replies, outcome) = lab.walk(query().nodes(given));
    let outcome = outcome.unwrap();
    let proven: Vec<_> = nodes.iter().skip(2).step_by(3).copied().collect();
    assert_eq!(addrs(&outcome.closest), proven[..20]);
    assert!(outcome.closest.iter().all(|r| r.from.id == Some(Id::of(r.from.addr))));
    // Each node is told as a reply, but for the nodes with an error.
    assert_eq!((replies.len(), outcome.successes, outcome.errors), (40, 40, 20));
    assert!(replies.iter().all(|reply| reply.error == 0));
}

#[test]
fn answers_with_an_error_still_name_closer_nodes() {
    let mut lab = Lab::alone();
    let guide = Peer { error: 1, ..Peer::naming([addr(2)]) };
    lab.peers.insert(addr(1), guide);
    lonely(&mut lab, [addr(2)]);
    let (replies, outcome) = lab.walk(query().nodes([addr(1)]));
    assert_eq!(addrs(&replies), [addr(2)]);
    assert_eq!(addrs(&outcome.unwrap().closest), [addr(2)]);
}

#[test]
fn a_reply_comes_with_all_that_was_sent() {
    let mut lab = Lab::alone();
    let latency = Duration::from_millis(33);
    let token = Some([4; 32]);
    let value = Some(b"value".to_vec());
    lab.peers.insert(addr(1), Peer { rtt: latency, token, value, ..Peer::naming([addr(2)]) });
    let (replies, _) = lab.walk(query().nodes([addr(1)]));
    let reply = &replies[0];
    assert_eq!((reply.from.addr, reply.from.id), (addr(1), Some(Id::of(addr(1)))));
    assert_eq!(
        (reply.seen_as, reply.token),
        (SocketAddrV4::new(HOST, 1000), token.map(Into::into))
    );
    assert_eq!(reply.closer_nodes.as_deref(), Some(&[addr(2)][..]));
    assert_eq!((reply.error, reply.value.as_deref()), (0, Some(&b"value"[..])));
    assert_eq!(reply.rtt, latency);
}

#[test]
fn the_closest_so_far_show_while_it_runs() {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 3);
    lonely(&mut lab, [nodes[2], nodes[0]]);
    let id = lab.query(query().nodes(nodes.clone()));
    assert_eq!(lab.node.closest_nodes(id), []);
    lab.run_ms(500);
    let seen: Vec<_> = lab.node.closest_nodes(id).iter().map(|peer| peer.addr).collect();
    assert_eq!(seen, [nodes[0], nodes[2]]);
    lab.run_ms(5_000);
    assert_eq!(lab.node.closest_nodes(id).len(), 2, "and after its end");
    assert!(lab.node.take_outcome(id).is_some());
    assert_eq!(lab.node.closest_nodes(id), []);
}

#[test]
fn a_query_can_be_ended_with_what_it_has() {
    let mut lab = Lab::alone();
    lonely(&mut lab, [addr(1)]);
    let id = lab.query(query().nodes([addr(1), addr(2)]).commit());
    lab.run_ms(100);
    lab.node.finish_query(lab.now, id);
    lab.flush();
    assert_eq!(lab.events.last(), Some(&Event::Finished(id)));
    assert_eq!(lab.node.next_reply(id), None);
    let outcome = lab.node.take_outcome(id).unwrap().unwrap();
    assert_eq!((addrs(&outcome.closest), outcome.commit), (vec![addr(1)], None));
    assert_eq!(lab.stats().requests.active, 0);
    lab.sent.clear();
    lab.run_ms(4_000);
    assert_eq!(lab.sent, [], "and without a commit");
    lab.node.finish_query(lab.now, id);
    assert_eq!(lab.stats().queries.active, 0);
}
