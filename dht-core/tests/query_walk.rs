//! The way of a query: whom it asks next, what it reads of an answer, when it ends.

mod support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Query, Reply};
use support::solo::*;

/// Peers that answer and know nobody.
fn lonely(solo: &mut Solo, nodes: impl IntoIterator<Item = SocketAddrV4>) {
    solo.peers.extend(nodes.into_iter().map(|addr| (addr, Fake::default())));
}

fn addrs(replies: &[Reply]) -> Vec<SocketAddrV4> {
    replies.iter().map(|reply| reply.from.addr).collect()
}

fn query() -> Query {
    Query::new(target(1), 16)
}

#[test]
fn the_nearest_known_is_asked_first() {
    let mut solo = Solo::new();
    let nodes = by_distance(&target(1), 12);
    // The farthest knows the nearest ones; these come before all that are known already.
    lonely(&mut solo, nodes.iter().copied());
    solo.peers.insert(nodes[11], Fake::naming([nodes[1], nodes[0]]));
    let given = [5, 8, 11, 7, 6].map(|n| nodes[n]);
    let first = query().nodes([nodes[11]]).concurrency(1);
    solo.walk(first.nodes(given)).1.unwrap();
    assert_eq!(solo.asked(16), [5, 6, 7, 8, 11, 0, 1].map(|n| nodes[n]));
    solo.sent.clear();
    solo.walk(query().nodes([nodes[11]]).concurrency(1).only_closest_nodes()).1.unwrap();
    assert_eq!(solo.asked(16), [nodes[11]]);
}

#[test]
fn a_slow_one_no_longer_takes_a_place() {
    let mut solo = Solo::new();
    let nodes = by_distance(&target(1), 8);
    let start = solo.now;
    solo.query(query().nodes(nodes.clone()).concurrency(2));
    solo.advance_ms(3_500);
    let first_tries = |at: u128| {
        let firsts = nodes.iter().map(|to| solo.sent.iter().find(|sent| sent.to == *to));
        firsts.flatten().filter(|sent| ms_since(start, sent.at) == at).count()
    };
    assert_eq!([0, 1_000, 2_000, 3_000].map(first_tries), [2, 2, 2, 2]);
}

#[test]
fn half_as_many_are_asked_at_once_far_from_the_target_until_one_is_late() {
    let mut solo = Solo::new();
    // Of 20,000 nodes it knows a few of each bucket, so all those near to itself.
    (0..20_000).for_each(|n| solo.add_node(addr(n)));
    let own = solo.node.table_id();
    let mut far = own;
    far.0[0] ^= 0x80;
    for (target, concurrency, expected) in [(far, 0, 5), (far, 7, 4), (own, 0, 10), (own, 7, 7)] {
        let mut query = Query::new(target, 16);
        if concurrency > 0 {
            query = query.concurrency(concurrency);
        }
        solo.sent.clear();
        let id = solo.query(query);
        assert_eq!(solo.asked(16).len(), expected);
        // Nobody answers.
        solo.advance_ms(999);
        assert_eq!(solo.asked(16).len(), expected);
        solo.advance_ms(1);
        let concurrency = if concurrency > 0 { concurrency } else { 10 };
        let news: BTreeSet<_> = solo.asked(16).into_iter().collect();
        assert_eq!(news.len(), expected + usize::from(concurrency));
        solo.node.cancel_query(solo.now, id);
        solo.advance_ms(20_000);
    }
    // Who is given by the user is asked as the user wants.
    let given = Query::new(far, 16).nodes((20_000..20_040).map(addr)).only_closest_nodes();
    solo.sent.clear();
    solo.query(given.concurrency(30));
    assert_eq!(solo.asked(16).len(), 30);
}

#[test]
fn reading_stops_at_the_first_that_is_not_closer() {
    let mut solo = Solo::new();
    let nodes = by_distance(&target(1), 100);
    lonely(&mut solo, nodes.iter().copied());
    // Twenty answer; the last of them names one closer, one farther, one closer.
    let (near, far) = (&nodes[..5], &nodes[90..]);
    let given = &nodes[40..60];
    let talker =
        Fake { latency: Duration::from_millis(200), ..Fake::naming([near[0], far[0], near[1]]) };
    solo.peers.insert(given[19], talker);
    let (_, outcome) = solo.walk(query().nodes(given.iter().copied()).concurrency(100));
    let asked = solo.asked(16);
    assert!(asked.contains(&near[0]));
    assert!(!asked.contains(&far[0]) && !asked.contains(&near[1]));
    let mut expected = vec![near[0]];
    expected.extend(&given[..19]);
    assert_eq!(addrs(&outcome.unwrap().closest), expected);
}

#[test]
fn what_cannot_be_a_node_is_skipped_and_counted() {
    let mut solo = Solo::new();
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
    solo.peers.insert(addr(1), Fake::naming(impossible.into_iter().chain([addr(2)])));
    lonely(&mut solo, [addr(2)]);
    solo.walk(query().nodes([addr(1)])).1.unwrap();
    assert_eq!(solo.asked(16), [addr(1), addr(2)]);
    assert_eq!(solo.stats().drops.closer_nodes, 10);
}

#[test]
fn local_addresses_are_taken_from_local_nodes() {
    let mut solo = Solo::new();
    let local = |n| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 4000);
    solo.peers.insert(local(1), Fake::naming([local(2)]));
    lonely(&mut solo, [local(2)]);
    solo.walk(query().nodes([local(1)])).1.unwrap();
    assert_eq!(solo.asked(16), [local(1), local(2)]);
}

#[test]
fn only_the_first_twenty_of_an_answer_are_read() {
    let mut solo = Solo::new();
    solo.peers.insert(addr(99), Fake::naming((0..25).map(addr)));
    lonely(&mut solo, (0..25).map(addr));
    let (replies, _) = solo.walk(query().nodes([addr(99)]));
    assert!((0..20).all(|n| solo.asked(16).contains(&addr(n))));
    assert_eq!(solo.asked(16).len(), 21);
    let first = replies.iter().find(|reply| reply.from.addr == addr(99)).unwrap();
    assert_eq!(first.closer_nodes.as_ref().map(|nodes| nodes.len()), Some(20));
}

#[test]
fn two_hundred_are_asked_at_most() {
    for (given, asked) in [(199, 199), (200, 200), (201, 200), (500, 200)] {
        let mut solo = Solo::new();
        // Answers with an error don't bring the end any nearer.
        let error = Fake { error: 20, ..Fake::default() };
        solo.peers.extend((0..given).map(|n| (addr(n), error.clone())));
        let outcome = solo.walk(query().nodes((0..given).map(addr)).concurrency(50)).1.unwrap();
        assert_eq!((solo.asked(16).len(), outcome.asked), (asked, asked as u32), "{given} given");
    }
}

#[test]
fn beyond_what_is_remembered_the_farthest_give_way_to_the_near() {
    for (max, given) in [(64, 63), (64, 64), (64, 200), (4_096, 5_000)] {
        let small = || {
            let mut config = Config::default();
            config.max_query_addresses = max;
            Solo::with(config)
        };
        let mut solo = small();
        let mut nodes = by_distance(&target(1), given as u32 + 1);
        let nearest = nodes.remove(0);
        solo.peers.insert(nodes[0], Fake::naming([nearest]));
        // Of the others nobody has an id, so that all that are remembered are worth a visit.
        let silent = Fake { error: 20, ..Fake::default() };
        solo.peers.extend(nodes[1..].iter().map(|addr| (*addr, silent.clone())));
        solo.peers.insert(nearest, Fake::default());
        solo.walk(query().nodes(nodes.clone()).only_closest_nodes()).1.unwrap();
        assert!(!solo.asked(16).contains(&nearest), "it is not among those given");
        let asked = solo.asked(16).len();
        assert_eq!(asked, given.min(max).min(200), "{given} given");
        assert!(solo.asked(16).iter().all(|addr| nodes[..asked].contains(addr)), "the nearest");

        let mut solo = small();
        solo.peers.insert(nodes[0], Fake::naming([nearest]));
        lonely(&mut solo, nodes[1..40].iter().copied());
        solo.walk(query().nodes(nodes)).1.unwrap();
        assert!(solo.asked(16).contains(&nearest), "{given} given");
    }
}

#[test]
fn nobody_is_asked_twice_and_nobody_asks_itself() {
    let mut solo = Solo::new();
    let all: Vec<_> = (0..10).map(addr).collect();
    solo.peers.extend(all.iter().map(|addr| (*addr, Fake::naming(all.iter().copied()))));
    let (replies, _) = solo.walk(query().nodes([addr(0), addr(0), addr(1)]));
    assert_eq!(replies.len(), 10);
    assert_eq!(solo.asked(16).len(), 10);
}

/// How long a query takes, in milliseconds: so many answer, and then there is one that does not.
fn end_with_a_dead_one(alive: usize, dead_at: usize, thorough: bool) -> (u128, Solo) {
    let mut solo = Solo::new();
    let nodes = by_distance(&target(1), alive as u32 + 1);
    lonely(&mut solo, nodes.iter().copied());
    solo.peers.remove(&nodes[dead_at]);
    let query = query().nodes(nodes).concurrency(100);
    let start = solo.now;
    let (replies, _) = solo.walk(if thorough { query.thorough() } else { query });
    assert_eq!(replies.len(), alive);
    (ms_since(start, solo.now), solo)
}

#[test]
fn the_dead_are_waited_for_until_their_second_try() {
    // (answering, the place of the dead one by distance, thorough, milliseconds)
    for (alive, dead_at, thorough, ms) in [
        // The first try takes a second, since nobody has answered yet; the second one as long as
        // seems right after so many answers.
        (0, 0, false, 2_000),
        (1, 0, false, 1_500),
        (2, 0, false, 1_500),
        (3, 0, false, 1_300),
        (9, 9, false, 1_300),
        (10, 10, false, 1_100),
        (5, 0, true, 6_000),
        (5, 5, true, 6_000),
        // It would be among the closest.
        (20, 3, false, 1_100),
        (20, 3, true, 1_000),
        // It would not: nobody waits.
        (20, 20, false, 20),
        (20, 20, true, 1_000),
    ] {
        let (took, solo) = end_with_a_dead_one(alive, dead_at, thorough);
        assert_eq!(took, ms, "{alive} alive, {dead_at}, thorough: {thorough}");
        let requests = solo.stats().requests;
        let failed = ms == 6_000;
        assert_eq!(requests.timeouts, u64::from(failed));
        // It goes on by itself, unless it is of no interest yet: not even late.
        assert_eq!(requests.active, u64::from(!failed && ms > 20), "{ms}");
    }
}

#[test]
fn more_tries_are_waited_for_where_tries_are_lost() {
    // So many lose their first try, of 20; how many tries one that is dead gets, and how long that takes: a
    // second, 100 ms for the second try and the last one, 50 for one between them.
    for (late, tries, ms) in [(0, 2, 1_100), (1, 3, 1_200), (4, 4, 1_250), (9, 4, 1_250)] {
        let mut solo = Solo::new();
        let nodes = by_distance(&target(1), 21);
        lonely(&mut solo, nodes[1..].iter().copied());
        let mut lost = 0;
        solo.fate = Box::new(move |latency| {
            lost += 1;
            if lost > late { vec![latency] } else { vec![] }
        });
        let query = query().nodes(nodes.iter().copied()).concurrency(21);
        let id = solo.query(query.discard_replies());
        let start = solo.now;
        solo.run_until(|solo| solo.events.contains(&Event::Finished(id)));
        let to = |sent: &&Sent| sent.to == nodes[0] && !sent.request().internal;
        assert_eq!(solo.sent.iter().filter(to).count(), tries, "{late}");
        assert_eq!(ms_since(start, solo.now), ms, "{late}");
        assert_eq!(solo.node.take_outcome(id).unwrap().unwrap().closest.len(), 20);
    }
}

#[test]
fn closest_are_sorted_proven_and_twenty() {
    let mut solo = Solo::new();
    let nodes = by_distance(&target(1), 60);
    lonely(&mut solo, nodes.iter().copied());
    let anonymous = Fake { id: false, ..Fake::default() };
    let refusing = Fake { error: 16, ..Fake::default() };
    for n in (0..60).step_by(3) {
        solo.peers.insert(nodes[n], anonymous.clone());
        solo.peers.insert(nodes[n + 1], refusing.clone());
    }
    let given: Vec<_> = nodes.iter().rev().copied().collect();
    let (replies, outcome) = solo.walk(query().nodes(given));
    let outcome = outcome.unwrap();
    let proven: Vec<_> = nodes.iter().skip(2).step_by(3).copied().collect();
    assert_eq!(addrs(&outcome.closest), proven[..20]);
    assert!(outcome.closest.iter().all(|r| r.from.id == Some(Id::of(r.from.addr))));
    // Everyone is told of, but for those with an error.
    assert_eq!((replies.len(), outcome.successes, outcome.errors), (40, 40, 20));
    assert!(replies.iter().all(|reply| reply.error == 0));
}

#[test]
fn answers_with_an_error_still_name_closer_nodes() {
    let mut solo = Solo::new();
    let guide = Fake { error: 1, ..Fake::naming([addr(2)]) };
    solo.peers.insert(addr(1), guide);
    lonely(&mut solo, [addr(2)]);
    let (replies, outcome) = solo.walk(query().nodes([addr(1)]));
    assert_eq!(addrs(&replies), [addr(2)]);
    assert_eq!(addrs(&outcome.unwrap().closest), [addr(2)]);
}

#[test]
fn a_reply_comes_with_all_that_was_sent() {
    let mut solo = Solo::new();
    let latency = Duration::from_millis(33);
    let token = Some([4; 32]);
    let value = Some(b"value".to_vec());
    solo.peers.insert(addr(1), Fake { latency, token, value, ..Fake::naming([addr(2)]) });
    let (replies, _) = solo.walk(query().nodes([addr(1)]));
    let reply = &replies[0];
    assert_eq!((reply.from.addr, reply.from.id), (addr(1), Some(Id::of(addr(1)))));
    assert_eq!((reply.to, reply.token), (SocketAddrV4::new(HOST, 1000), token.map(Into::into)));
    assert_eq!(reply.closer_nodes.as_deref(), Some(&[addr(2)][..]));
    assert_eq!((reply.error, reply.value.as_deref()), (0, Some(&b"value"[..])));
    assert_eq!(reply.rtt, latency);
}

#[test]
fn the_closest_so_far_show_while_it_runs() {
    let mut solo = Solo::new();
    let nodes = by_distance(&target(1), 3);
    lonely(&mut solo, [nodes[2], nodes[0]]);
    let id = solo.query(query().nodes(nodes.clone()));
    assert_eq!(solo.node.closest_nodes(id), []);
    solo.advance_ms(500);
    let seen: Vec<_> = solo.node.closest_nodes(id).iter().map(|peer| peer.addr).collect();
    assert_eq!(seen, [nodes[0], nodes[2]]);
    solo.advance_ms(5_000);
    assert_eq!(solo.node.closest_nodes(id).len(), 2, "and after its end");
    assert!(solo.node.take_outcome(id).is_some());
    assert_eq!(solo.node.closest_nodes(id), []);
}

#[test]
fn a_query_can_be_ended_with_what_it_has() {
    let mut solo = Solo::new();
    lonely(&mut solo, [addr(1)]);
    let id = solo.query(query().nodes([addr(1), addr(2)]).commit());
    solo.advance_ms(100);
    solo.node.finish_query(solo.now, id);
    solo.flush();
    assert_eq!(solo.events.last(), Some(&Event::Finished(id)));
    assert_eq!(solo.node.next_reply(id), None);
    let outcome = solo.node.take_outcome(id).unwrap().unwrap();
    assert_eq!((addrs(&outcome.closest), outcome.commit), (vec![addr(1)], None));
    assert_eq!(solo.stats().requests.active, 0);
    solo.sent.clear();
    solo.advance_ms(4_000);
    assert_eq!(solo.sent, [], "and without a commit");
    solo.node.finish_query(solo.now, id);
    assert_eq!(solo.stats().queries.active, 0);
}
