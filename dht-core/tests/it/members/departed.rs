//! What becomes of nodes that have left: which nodes notice, which nodes are told, when the left nodes are out of
//! all tables; and that no live node goes with them, however many datagrams are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Event, Id, Query, wire};
use rand_core::Rng as _;

use crate::support::lab::{DOWN_HINT, FIND_NODE, LATENCY, Lab, PING, RTT, asks, peer};
use crate::support::net::{Fate, Net, target};

const SECOND: Duration = Duration::from_secs(1);

/// The nodes of `gone` that at least one of the nodes `at` still knows.
fn lingering(net: &mut Net, at: &[usize], gone: &[usize]) -> BTreeSet<SocketAddrV4> {
    let gone: Vec<_> = gone.iter().map(|gone| net.server(*gone)).collect();
    let known = at.iter().flat_map(|at| net.node(*at).nodes().collect::<Vec<_>>());
    known.filter(|addr| gone.contains(addr)).collect()
}

#[test]
fn five_of_sixteen_are_gone_and_all_know_within_fifteen_seconds() {
    for seed in 1..4 {
        let mut net = Net::network(seed, 16);
        net.run_for(60 * SECOND);
        let gone = [11, 12, 13, 14, 15];
        gone.iter().for_each(|at| net.kill(*at));
        let (start, sent) = (net.now, net.sent);
        (0..5).for_each(|n| drop(net.walk(3, Query::find_node(target(n))).1.unwrap()));
        let took = net.now.saturating_since(start);
        // Only the first lookup may wait for a second, since the node does not know the pace of answers yet.
        assert!(took < SECOND + SECOND / 5, "the lookups took {took:?}");
        let until = |net: &mut Net, after| net.run_for(after - net.now.saturating_since(start));
        until(&mut net, 8 * SECOND);
        assert_eq!(lingering(&mut net, &[3], &gone), BTreeSet::new(), "who has asked");
        let all: Vec<_> = (0..11).collect();
        until(&mut net, 15 * SECOND);
        assert_eq!(lingering(&mut net, &all, &gone), BTreeSet::new(), "all who had named them");
        let hints: u64 = all.iter().map(|at| net.node(*at).stats().commands.down_hint.tx).sum();
        assert_eq!(hints, 50, "one asker tells ten others of five");
        println!("seed {seed}: lookups {took:?}, {} datagrams in 15 s", net.sent - sent);
    }
}

#[test]
fn nobody_who_is_there_goes_however_much_is_lost() {
    // (datagrams lost of a hundred, how many nodes may leave a table of 40 in ten minutes with 60 queries). When
    // four tries said that a node is down, 0 to 2, 1 to 2 and 174 to 209 nodes left.
    for (loss, most) in [(5, 2), (10, 6), (30, 90)] {
        let mut net = Net::network(1, 40);
        net.run_for(60 * SECOND);
        net.rule(
            move |_, _, rng| if rng.next_u32() % 100 < loss { Fate::Drop } else { Fate::Pass },
        );
        let mut left = 0;
        for round in 0..60 {
            let at = (round % 40) as usize;
            let query = match round % 2 {
                0 => Query::find_node(target(round)),
                _ => Query::new(target(round), 77),
            };
            let tables = |net: &mut Net| -> Vec<BTreeSet<_>> {
                (0..40).map(|at| net.node(at).nodes().collect()).collect()
            };
            let before = tables(&mut net);
            let id = net.query(at, query.discard_replies());
            net.run_for(10 * SECOND);
            assert!(net.node(at).take_outcome(id).is_some());
            let after = tables(&mut net);
            left += before.iter().zip(&after).map(|(b, a)| b.difference(a).count()).sum::<usize>();
        }
        println!("{loss} % lost: {left} have left a table");
        assert!(left <= most, "{loss} % lost: {left}");
    }
}

/// A node among `count` peers that suspects peer 0: a walk ended without an answer of that peer.
fn suspecting(count: u32) -> Lab {
    let mut lab = Lab::among(count);
    warm(&mut lab);
    lab.peer(peer(0)).up = false;
    find(&mut lab, Query::find_node(Id::of(peer(0))));
    lab.sent.clear();
    assert!(lab.knows(peer(0)), "it is not clear yet");
    lab
}

/// Three lookups, so that the node knows the pace of answers.
fn warm(lab: &mut Lab) {
    (1..4).for_each(|n| find(lab, Query::find_node(Id::of(peer(n)))));
}

fn find(lab: &mut Lab, query: Query) {
    let id = lab.query(query.discard_replies());
    lab.run_until(|lab| lab.events.contains(&Event::Finished(id)));
    lab.node.take_outcome(id).unwrap().unwrap();
}

/// The nodes that the node names when it is asked for nodes around `target`.
fn named(lab: &mut Lab, target: SocketAddrV4) -> Vec<SocketAddrV4> {
    let target = Id::of(target).0;
    let answers = lab.hear(peer(900), &wire::Request { target: Some(&target), ..asks(FIND_NODE) });
    answers[0].response().closer_nodes.unwrap().iter().collect()
}

#[test]
fn who_is_suspected_is_named_to_nobody() {
    let mut lab = suspecting(15);
    assert!(!named(&mut lab, peer(0)).contains(&peer(0)));
    // Until peer 0 answers.
    lab.peer(peer(0)).up = true;
    lab.run_for(2 * SECOND);
    assert!(named(&mut lab, peer(0)).contains(&peer(0)));
    assert_eq!(lab.asked(DOWN_HINT), []);
}

#[test]
fn who_is_suspected_is_asked_last_and_not_waited_for() {
    let mut lab = suspecting(15);
    (1..15).for_each(|n| lab.peer(peer(n)).closer = (0..15).map(peer).collect());
    let start = lab.now;
    let query = || Query::find_node(Id::of(peer(0))).nodes([peer(1)]).concurrency(1);
    find(&mut lab, query());
    // A request to peer 0 is under way already, so the query sends none.
    assert!(!lab.asked(FIND_NODE).contains(&peer(0)));
    assert_eq!(lab.now.saturating_since(start), 14 * 2 * LATENCY, "all others were asked");
    // Where the user wants the last try of every node, or names peer 0, that peer is asked and waited for.
    for query in [query().thorough(), query().nodes([peer(0), peer(1)]).only_closest_nodes()] {
        let mut lab = suspecting(15);
        let start = lab.now;
        find(&mut lab, query);
        assert_eq!(lab.asked(FIND_NODE)[0], peer(0));
        assert!(lab.now.saturating_since(start) >= SECOND / 5);
    }
}

/// The three known nodes fall silent, and are back, as after a failure of the network.
fn suspects_will_do(lab: &mut Lab) {
    warm(lab);
    (0..3).for_each(|n| lab.peer(peer(n)).up = false);
    find(lab, Query::find_node(Id::of(peer(0))));
    assert!((0..3).all(|n| lab.knows(peer(n))));
    (0..3).for_each(|n| lab.peer(peer(n)).up = true);
    let query = Query::find_node(Id::of(peer(0)));
    let id = lab.query(query.discard_replies());
    lab.run_for(SECOND);
    assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().closest.len(), 3);
}

#[test]
fn where_nobody_else_is_known_suspects_will_do() {
    suspects_will_do(&mut Lab::among(3));
}

#[test]
fn where_there_is_no_bootstrap_node_suspects_will_do_as_well() {
    let mut lab = Lab::alone();
    for n in 0..3 {
        lab.add_peer(peer(n));
        lab.hear_with_id(peer(n), PING);
    }
    lab.run_for(SECOND);
    assert!((0..3).all(|n| lab.knows(peer(n))));
    suspects_will_do(&mut lab);
}

#[test]
fn one_node_is_asked_on_once_however_many_queries_leave_it() {
    let mut lab = Lab::among(30);
    warm(&mut lab);
    lab.peer(peer(0)).up = false;
    lab.sent.clear();
    let ids: Vec<_> = (0..5)
        .map(|_| {
            let query = Query::new(Id::of(peer(0)), 77).discard_replies();
            lab.query(query)
        })
        .collect();
    lab.run_until(|lab| ids.iter().all(|id| lab.events.contains(&Event::Finished(*id))));
    lab.run_for(10 * SECOND);
    let asked_on = lab.asked(FIND_NODE);
    assert_eq!(asked_on.iter().filter(|to| **to == peer(0)).count(), 4);
    assert!(!lab.knows(peer(0)));
}

#[test]
fn strangers_that_others_name_take_a_quarter_of_the_places() {
    let mut lab = Lab::among(30);
    warm(&mut lab);
    // Each peer names twenty addresses near the target without a node, which look like nodes that have left.
    let target = Id::of(peer(0));
    let mut liars: Vec<_> = (1_000..4_000).map(peer).collect();
    liars.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    for n in 0..30 {
        lab.peer(peer(n)).closer =
            liars.iter().skip(n as usize).step_by(5).take(20).copied().collect();
    }
    lab.sent.clear();
    find(&mut lab, Query::find_node(target).concurrency(64));
    let over = lab.sent.len();
    lab.run_for(SECOND * 3);
    let asked_on: BTreeSet<_> = lab.sent[over..].iter().map(|sent| sent.to).collect();
    let strangers = asked_on.iter().filter(|addr| liars.contains(addr)).count();
    assert_eq!(strangers, 8, "of 32");
}

/// How long each lookup takes, in milliseconds, while `slow` of 60 nodes answer `delay` late. The first six
/// lookups, in half a minute, do not count.
fn beside_slow_ones(slow: u32, delay: Duration) -> Vec<u128> {
    let mut lab = Lab::among(60);
    (0..slow).for_each(|n| lab.peer(peer(n + 10)).rtt = RTT + delay);
    let times = (0..40).map(|n| {
        let start = lab.now;
        find(&mut lab, Query::find_node(target(n)));
        let took = lab.now.saturating_since(start).as_millis();
        lab.run_for(5 * SECOND);
        took
    });
    times.skip(6).collect()
}

#[test]
fn who_answers_late_on_purpose_costs_a_second_or_two() {
    for (slow, delay_ms) in [(4, 1_500), (4, 2_900), (10, 2_900), (10, 4_500), (10, 9_000)] {
        let times = beside_slow_ones(slow, Duration::from_millis(delay_ms));
        let mean = times.iter().sum::<u128>() / times.len() as u128;
        let most = *times.iter().max().unwrap();
        println!("{slow} of 60, {delay_ms} ms late: {mean} ms, {most} ms at most");
        assert!(mean <= 1_200 && most <= 1_600, "{slow}, {delay_ms} ms: {mean} ms, {most} ms");
    }
}

#[test]
fn doors_of_third_parties_are_knocked_at_a_few_times() {
    let mut lab = Lab::among(60);
    let is_victim = |addr: &SocketAddrV4| addr.ip().octets()[..3] == [203, 0, 113];
    // Peers 40 to 59 answer late, so much seems to be lost, and silent nodes get more than four tries.
    (40..60).for_each(|n| lab.peer(peer(n)).rtt = RTT + Duration::from_millis(140));
    let mut tries = BTreeMap::<_, usize>::new();
    for n in 0..20 {
        let key = target(n);
        let port = |p: u32| {
            SocketAddrV4::new([203, 0, 113, (p % 4) as u8 + 1].into(), (2_000 + n * 500 + p) as u16)
        };
        let mut named: Vec<_> = (0..400).map(port).collect();
        named.sort_by_cached_key(|addr| Id::of(*addr).distance(&key));
        named.truncate(20);
        (20..50).for_each(|k| lab.peer(peer(k)).closer = named.clone());
        lab.sent.clear();
        find(&mut lab, Query::find_node(key));
        let over = lab.sent.len();
        lab.run_for(5 * SECOND);
        let asked_on = lab.sent[over..].iter().map(|sent| sent.to).filter(is_victim);
        let asked_on: BTreeSet<_> = asked_on.collect();
        let most = |host: u8| asked_on.iter().filter(|to| to.ip().octets()[3] == host).count();
        assert!(asked_on.len() <= 4 && (1..5).all(|host| most(host) <= 2), "{asked_on:?}");
        let knocks = lab.sent.iter().map(|sent| sent.to).filter(is_victim);
        let knocks = knocks.map(|to| *tries.entry(to).or_default() += 1).count();
        assert!(knocks <= 60, "{knocks} by one query");
    }
    assert!(tries.values().all(|tries| *tries <= 5), "{tries:?}");
}

#[test]
fn a_value_and_a_way_past_the_window_end_with_the_query() {
    let queries: [fn(Query) -> Query; 2] = [|query| query.value(vec![7; 500]), Query::force];
    for with in queries {
        let mut lab = Lab::among(15);
        warm(&mut lab);
        lab.peer(peer(0)).up = false;
        lab.sent.clear();
        find(&mut lab, with(Query::find_node(Id::of(peer(0)))));
        lab.node.check_invariants();
        let over = lab.sent.len();
        lab.run_for(6 * SECOND);
        let asked_on: Vec<_> = lab.sent[over..].iter().filter(|sent| sent.to == peer(0)).collect();
        assert!(!asked_on.is_empty() && !lab.knows(peer(0)));
        assert!(asked_on.iter().all(|sent| sent.request().value.is_none()));
    }
}
