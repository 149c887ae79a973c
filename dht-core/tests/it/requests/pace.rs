//! How soon a walk retries, and how soon it gives a node up: both follow from how soon other nodes answer.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Event, Instant, Node, Query};

use crate::support::lab::*;

const SECOND: Duration = Duration::from_secs(1);

fn anonymous() -> Peer {
    Peer { has_id: false, token: None, ..Peer::default() }
}

fn command() -> Query {
    Query::new(target(1), 16)
}

fn find_node() -> Query {
    Query::find_node(target(1))
}

/// A walk asks `alive` nodes that answer, all of them without an id, and at last a silent one. Returns when
/// the silent node was asked, and when the walk was over, in milliseconds after the first try to that node.
fn after_answers(lab: &mut Lab, alive: usize, query: Query) -> (Vec<u128>, u128) {
    let dead = by_distance(&target(1), 200)[199];
    with_silent(lab, dead, alive, query)
}

fn with_silent(lab: &mut Lab, dead: SocketAddrV4, alive: usize, query: Query) -> (Vec<u128>, u128) {
    let mut nodes = by_distance(&target(1), 200);
    nodes.truncate(alive);
    nodes.push(dead);
    lab.peers = nodes[..alive].iter().map(|addr| (*addr, anonymous())).collect();
    lab.sent.clear();
    nodes.rotate_right(1);
    let query = query.nodes(nodes).only_closest_nodes().concurrency(1).discard_replies();
    let id = lab.query(query);
    lab.run_until(|lab| lab.events.contains(&Event::Finished(id)));
    let over = lab.now;
    lab.node.take_outcome(id).unwrap().unwrap();
    // Tries after the end of the walk do not count.
    let tries = lab.sent.iter().filter(|sent| sent.to == dead && sent.at < over);
    let tries: Vec<_> = tries.map(|sent| sent.at).collect();
    let first = tries[0];
    (tries.iter().map(|at| ms_since(first, *at)).collect(), ms_since(first, over))
}

#[test]
fn the_more_have_answered_the_sooner_the_first_try_is_repeated() {
    for (alive, patience) in
        [(0, 1_000), (1, 500), (2, 500), (3, 300), (9, 300), (10, 100), (29, 100)]
    {
        let (tries, over) = after_answers(&mut Lab::alone(), alive, command());
        assert_eq!(tries, [0, patience], "after {alive}");
        // With fewer than 30 answers a walk gives no node up within a second.
        assert_eq!(over, (2 * patience).max(1_000), "after {alive}");
    }
}

#[test]
fn after_thirty_who_were_in_time_nobody_is_waited_for_longer_than_twice() {
    for (alive, over) in [(29, 1_000), (30, 200), (60, 200)] {
        assert_eq!(after_answers(&mut Lab::alone(), alive, command()), (vec![0, 100], over));
    }
}

#[test]
fn who_wants_all_of_it_waits_whole_seconds() {
    let (tries, over) = after_answers(&mut Lab::alone(), 40, command().thorough());
    assert_eq!((tries, over), (vec![0, 1_000, 2_000, 3_000, 4_000, 5_000], 6_000));
}

#[test]
fn later_tries_have_a_second_and_so_has_the_last_one() {
    // A node that takes 19 s to answer keeps the walk going.
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 42);
    lab.peers.extend(nodes[..40].iter().map(|addr| (*addr, anonymous())));
    lab.peers.insert(nodes[40], Peer { rtt: SECOND * 19, ..anonymous() });
    let tries = |lab: &mut Lab, retries| {
        lab.sent.clear();
        let query = command().retries(retries).only_closest_nodes().concurrency(1);
        let id = lab.query(query.nodes(nodes.iter().copied()).discard_replies());
        lab.run_until(|lab| lab.node.take_outcome(id).is_some());
        let visit = |sent: &&Sent| sent.to == nodes[41] && !sent.request().internal;
        let sent = lab.sent.iter().filter(visit);
        let at: Vec<_> = sent.map(|sent| sent.at).collect();
        let pauses = at.windows(2).map(|pair| ms_since(pair[0], pair[1]));
        let pauses: Vec<_> = pauses.collect();
        (pauses, ms_since(at[at.len() - 1], lab.now))
    };
    assert_eq!(tries(&mut lab, 0), (vec![], 1_000));
    assert_eq!(tries(&mut lab, 1), (vec![100], 1_000));
}

#[test]
fn the_commands_of_the_protocol_are_asked_at_the_nodes_pace_others_at_their_own() {
    let mut lab = Lab::alone();
    let silent = by_distance(&target(1), 200).split_off(190);
    with_silent(&mut lab, silent[0], 40, find_node());
    // While no node has answered, that pace may be another network's: two tries more.
    assert_eq!(with_silent(&mut lab, silent[1], 0, find_node()).0, [0, 100, 200, 1_200]);
    assert_eq!(with_silent(&mut lab, silent[2], 0, command()).0, [0, 1_000]);
    // The time that applications take to answer says nothing of the pace of nodes.
    let mut lab = Lab::alone();
    with_silent(&mut lab, silent[0], 40, command());
    assert_eq!(with_silent(&mut lab, silent[1], 0, find_node()).0, [0, 1_000]);
}

/// 80 nodes that all know each other, the nearest to the target first, with these latencies.
fn network(lab: &mut Lab, latency: impl Fn(usize) -> u64) -> Vec<SocketAddrV4> {
    let nodes = by_distance(&target(1), 80);
    for (n, addr) in nodes.iter().enumerate() {
        let latency = Duration::from_millis(latency(n));
        lab.peers.insert(*addr, Peer { rtt: latency, ..Peer::knowing(nodes.iter().copied()) });
    }
    nodes
}

/// How many of the true 20 closest nodes a walk finds, how many nodes and datagrams it takes.
fn found(lab: &mut Lab, query: Query, nodes: &[SocketAddrV4]) -> (usize, u32, usize) {
    lab.sent.clear();
    let start = nodes[60..].iter().copied();
    let outcome = lab.walk(query.nodes(start)).1.unwrap();
    let right = |addr: SocketAddrV4| nodes[..20].contains(&addr);
    let count = outcome.closest.iter().filter(|reply| right(reply.from.addr)).count();
    let command = if lab.asked(16).is_empty() { FIND_NODE } else { 16 };
    (count, outcome.asked, lab.asked(command).len())
}

#[test]
fn all_are_slow_and_all_are_found_and_hardly_anybody_is_asked_twice() {
    for latency in [300, 700, 950] {
        for query in [find_node(), command()] {
            let mut lab = Lab::alone();
            let nodes = network(&mut lab, |_| latency);
            let (count, asked, sent) = found(&mut lab, query, &nodes);
            assert_eq!(count, 20, "{latency} ms");
            assert_eq!(sent, asked as usize, "{latency} ms: once each");
        }
    }
}

#[test]
fn half_or_a_few_are_slow_and_all_are_found_with_few_datagrams() {
    // (every how many-th node is slow, how many datagrams at most per visited node, in percent)
    for (every, percent) in [(2, 160), (4, 180), (10, 150)] {
        for query in [find_node(), command()] {
            let mut lab = Lab::alone();
            let nodes = network(&mut lab, |n| if n % every == 1 { 600 } else { 20 });
            for round in 0..6 {
                let (count, asked, sent) = found(&mut lab, query.clone(), &nodes);
                let context = format!("one in {every}, round {round}: {sent} for {asked}");
                assert_eq!(count, 20, "{context}");
                assert!(sent * 100 <= asked as usize * percent, "{context}");
            }
        }
    }
}

#[test]
fn who_gave_up_too_early_learns_it_by_the_answers_that_come_late() {
    let mut lab = Lab::alone();
    let nodes = network(&mut lab, |_| 20);
    (0..3).for_each(|_| assert_eq!(found(&mut lab, find_node(), &nodes).0, 20));
    // From now on every tenth node is far away.
    network(&mut lab, |n| if n % 10 == 1 { 600 } else { 20 });
    assert_eq!(found(&mut lab, find_node(), &nodes).0, 18, "given up after 200 ms");
    lab.run_for(SECOND);
    for query in [find_node(), command(), find_node()] {
        assert_eq!(found(&mut lab, query, &nodes).0, 20, "careful, whatever is asked");
    }
}

#[test]
fn where_most_are_a_little_too_slow_the_pace_follows() {
    let mut lab = Lab::alone();
    let nodes = network(&mut lab, |_| 20);
    (0..3).for_each(|_| assert_eq!(found(&mut lab, find_node(), &nodes).0, 20));
    // Nodes are asked twice, until it is clear that they are slow and nothing is lost.
    network(&mut lab, |_| 150);
    let twice = (0..10).take_while(|_| {
        let (count, asked, sent) = found(&mut lab, find_node(), &nodes);
        assert_eq!(count, 20);
        sent > asked as usize
    });
    assert!((1..=3).contains(&twice.count()));
}

#[test]
fn datagrams_that_are_lost_slow_nobody_down() {
    let mut lab = Lab::alone();
    let nodes = network(&mut lab, |_| 20);
    let mut all = 0;
    lab.fate(move |latency| {
        all += 1;
        // Of forty answers five in a row are lost, so that some requests lose two tries and some three.
        if all % 40 < 5 { vec![] } else { vec![latency] }
    });
    for round in 0..12 {
        let start = lab.now;
        let (count, ..) = found(&mut lab, find_node(), &nodes);
        let took = ms_since(start, lab.now);
        assert_eq!(count, 20);
        // Three hops of 20 ms, and at most three retries, 100 ms apart.
        assert!(took <= 3 * 20 + 300 || round < 2, "round {round}: {took} ms");
    }
}

#[test]
fn when_all_become_slow_only_the_first_walk_is_lost() {
    let mut lab = Lab::alone();
    let nodes = network(&mut lab, |_| 20);
    (0..3).for_each(|_| assert_eq!(found(&mut lab, find_node(), &nodes).0, 20));
    network(&mut lab, |_| 700);
    found(&mut lab, find_node(), &nodes);
    lab.run_for(SECOND);
    for _ in 0..3 {
        assert_eq!(found(&mut lab, find_node(), &nodes).0, 20);
    }
}

#[test]
fn only_a_late_answer_that_fits_makes_anybody_careful() {
    let mut lab = Lab::alone();
    let silent = by_distance(&target(1), 200).split_off(190);
    with_silent(&mut lab, silent[0], 60, find_node());
    let first = |lab: &Lab| lab.sent.iter().find(|sent| sent.to == silent[0]).cloned();
    let tid = first(&lab).unwrap().request().tid;
    // A node that was silent once is not waited for again, so each walk meets another silent node.
    let (before, anew) = ((100, 200), (500, 1_000));
    for (next, from, tid, (again, over)) in
        [(1, silent[0], tid ^ 1, before), (2, addr(999), tid, before), (3, silent[0], tid, anew)]
    {
        let _ = lab.hand_in(dht_core::Via::Client, from, &Forged::by(from).bytes(tid));
        assert_eq!(with_silent(&mut lab, silent[next], 1, find_node()), (vec![0, again], over));
    }
}

#[test]
fn who_has_one_try_only_is_not_taken_out_of_the_table_for_being_slow() {
    for one_try in [Query::force as fn(Query) -> Query, |query| query.retries(0)] {
        let mut config = Config::default();
        config.nodes = vec![addr(1)];
        let mut lab = Lab::started(config);
        after_answers(&mut lab, 60, find_node());
        lab.peers.insert(addr(1), Peer { rtt: SECOND * 9 / 10, ..Peer::default() });
        let query = one_try(find_node().nodes([addr(1)]).only_closest_nodes());
        assert_eq!(lab.walk(query).1.unwrap().successes, 1);
        assert!(lab.node.nodes().any(|node| node == addr(1)));
    }
}

#[test]
fn while_nobody_has_answered_a_pace_from_before_ends_no_walk() {
    for retries in [3, 5] {
        let mut lab = Lab::alone();
        assert_eq!(after_answers(&mut lab, 40, find_node()).1, 200);
        // The walk does not end after two tries, but after two more.
        let silent = by_distance(&target(1), 200)[198];
        let ended = with_silent(&mut lab, silent, 0, find_node().retries(retries));
        assert_eq!(ended, (vec![0, 100, 200, 1_200], 2_200));
    }
}

#[test]
fn when_all_have_become_slow_the_first_who_answers_has_the_others_waited_for() {
    let mut lab = Lab::alone();
    let nodes = network(&mut lab, |_| 20);
    (0..3).for_each(|_| assert_eq!(found(&mut lab, find_node(), &nodes).0, 20));
    network(&mut lab, |n| 600 + (n as u64 % 7) * 50);
    // The nodes of the table are asked all at once.
    let closest = lab.walk(find_node()).1.unwrap().closest;
    assert_eq!(closest.iter().filter(|reply| nodes[..20].contains(&reply.from.addr)).count(), 20);
}

#[test]
fn when_all_take_longer_than_a_second_they_are_found_from_the_second_walk_on() {
    // The nodes of the table are asked all at once: after the first answer the walk waits for the other
    // nodes. With two tries only, no answer comes in time.
    for (retries, first) in [(3, 20), (1, 0)] {
        let mut lab = Lab::alone();
        let nodes = network(&mut lab, |_| 20);
        (0..3).for_each(|_| assert_eq!(found(&mut lab, find_node(), &nodes).0, 20));
        network(&mut lab, |_| 1_200);
        let right = |addr: SocketAddrV4| nodes[..20].contains(&addr);
        let found = [0; 4].map(|_| {
            let closest = lab.walk(find_node().retries(retries)).1.unwrap().closest;
            // The answers that come late tell that the pace has changed.
            lab.run_for(2 * SECOND);
            closest.iter().filter(|reply| right(reply.from.addr)).count()
        });
        assert_eq!(found, [first, 20, 20, 20], "{retries}");
    }
}

#[test]
fn after_a_sleep_or_in_another_network_the_pace_is_unknown_again() {
    for moved in [Node::handle_wakeup as fn(&mut Node, Instant), Node::handle_network_change] {
        let mut lab = Lab::alone();
        assert_eq!(after_answers(&mut lab, 40, find_node()), (vec![0, 100], 200));
        moved(&mut lab.node, lab.now);
        lab.flush();
        let silent = by_distance(&target(1), 200)[198];
        assert_eq!(with_silent(&mut lab, silent, 0, find_node()).0, [0, 1_000]);
        // And no node is given up early.
        let silent = by_distance(&target(1), 200)[197];
        assert_eq!(with_silent(&mut lab, silent, 29, find_node()).1, 1_000);
    }
}

#[test]
fn who_asks_nothing_but_applications_does_not_stay_careful() {
    // Ten answers are enough to go by, if at least 20 answers before them came in time.
    for (before, over) in [(0, 1_000), (19, 1_000), (20, 200), (40, 200)] {
        let mut lab = Lab::alone();
        let silent = by_distance(&target(1), 200).split_off(198);
        with_silent(&mut lab, silent[0], before, command());
        let walk = with_silent(&mut lab, silent[1], 10, command());
        assert_eq!(walk, (vec![0, 100], over), "after {before}");
    }
}
