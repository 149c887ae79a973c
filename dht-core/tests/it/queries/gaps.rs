//! Behind silent nodes there may be nodes that no reply names, since a reply has room for twenty: a walk
//! that would end there looks behind the silent nodes.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Id, Query, Request};

use crate::support::lab::*;

/// 60 nodes, the nearest first, which know each other. The nodes at the places `gone` are gone, which the
/// other nodes have not noticed yet.
fn network(gone: &[usize]) -> (Lab, Vec<SocketAddrV4>) {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 60);
    let all = Peer::knowing(nodes.iter().copied());
    lab.peers.extend(nodes.iter().map(|addr| (*addr, all.clone())));
    gone.iter().for_each(|n| drop(lab.peers.remove(&nodes[*n])));
    (lab, nodes)
}

/// The places of the closest nodes that a walk from far away finds.
fn closest(lab: &mut Lab, nodes: &[SocketAddrV4], query: Query) -> Vec<usize> {
    let outcome = lab.walk(query.nodes(nodes[50..].iter().copied())).1.unwrap();
    let place = |addr| nodes.iter().position(|node| *node == addr).unwrap();
    outcome.closest.iter().map(|reply| place(reply.from.addr)).collect()
}

fn query() -> Query {
    Query::new(target(1), 16)
}

/// The looks behind silent nodes: which nodes are asked, and for nodes around which target.
fn looks(lab: &Lab) -> Vec<(SocketAddrV4, Id)> {
    let finds = lab.sent.iter().filter(|sent| sent.is(FIND_NODE));
    let finds = finds.map(|sent| (sent.to, Id(*sent.request().target.unwrap())));
    // Requests around the walk's own target ask whether silent nodes are there: they are no looks.
    finds.filter(|(_, around)| *around != target(1)).collect()
}

#[test]
fn who_is_hidden_by_silent_nodes_is_found() {
    let (mut lab, nodes) = network(&[3, 7]);
    let found = closest(&mut lab, &nodes, query());
    let expected: Vec<_> = (0..22).filter(|n| ![3, 7].contains(n)).collect();
    assert_eq!(found, expected, "the last two are among the twenty nearest of nobody");
    let looks = looks(&lab);
    let askers: BTreeSet<_> = looks.iter().map(|(to, _)| *to).collect();
    assert_eq!((looks.len(), askers.len()), (4, 4), "different ones");
    // Two targets, each of which differs in one bit from the walk's own target.
    let targets: BTreeSet<_> = looks.iter().map(|(_, around)| *around).collect();
    assert_eq!(targets.len(), 2);
    for around in targets {
        let bits = around.0.iter().zip(target(1).0).map(|(a, b)| (a ^ b).count_ones());
        assert_eq!(bits.sum::<u32>(), 1);
    }
    // Each look goes to the node nearest to its target that has answered, and that had no look before.
    let repliers = (0..20).filter(|n| ![3, 7].contains(n)).chain([50, 51]).map(|n| nodes[n]);
    let mut repliers: Vec<_> = repliers.collect();
    for (to, around) in looks {
        let nearest = repliers.iter().position(|addr| *addr == to).unwrap();
        let distance = |addr: &SocketAddrV4| Id::of(*addr).distance(&around);
        assert!(repliers.iter().all(|other| distance(other) >= distance(&to)));
        repliers.remove(nearest);
    }
}

#[test]
fn silent_ones_far_away_do_not_make_it_look_in_the_wrong_place() {
    let gone: Vec<_> = [3, 7].into_iter().chain(40..59).collect();
    let (mut lab, nodes) = network(&gone);
    let outcome = lab.walk(query().nodes(nodes[40..].iter().copied())).1.unwrap();
    let found: Vec<_> = outcome.closest.iter().map(|reply| reply.from.addr).collect();
    let expected = (0..22).filter(|n| ![3, 7].contains(n)).map(|n| nodes[n]);
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn where_several_were_silent_it_looks_before_the_last_are_late() {
    for (far, at_once) in [(&[42][..], false), (&[42, 45], true)] {
        let gone: Vec<_> = [3, 7].iter().chain(far).copied().collect();
        let (mut lab, nodes) = network(&gone);
        // After this walk the node waits no longer for the first nodes than for the last ones.
        let warm = Query::find_node(target(1)).nodes(nodes[20..40].iter().copied());
        lab.walk(warm.only_closest_nodes()).1.unwrap();
        lab.sent.clear();
        let walk = Query::find_node(target(1)).nodes(nodes[40..].iter().copied());
        lab.walk(walk).1.unwrap();
        let second = |to: usize| {
            let mut tries = lab.sent.iter().filter(|sent| sent.to == nodes[to]);
            tries.nth(1).unwrap().at
        };
        let is_look =
            |sent: &&Sent| sent.is(FIND_NODE) && sent.request().target != Some(&target(1).0);
        let looks: BTreeSet<_> = lab.sent.iter().filter(is_look).map(|sent| sent.at).collect();
        assert!(second(42) < second(3), "it was asked first");
        let expected = if at_once { second(42) } else { second(3).max(second(7)) };
        assert_eq!(looks, BTreeSet::from([expected]), "{far:?}");
    }
}

#[test]
fn nobody_looks_where_all_have_answered_or_only_some_are_wanted() {
    for (gone, query) in [
        (&[][..], query()),
        // Silent nodes, but none among the closest.
        (&[30, 55], query()),
        // A thorough walk waits for the last try of every node, as the reference does.
        (&[3, 7], query().thorough()),
        (&[3, 7], query().only_closest_nodes()),
    ] {
        let (mut lab, nodes) = network(gone);
        closest(&mut lab, &nodes, query);
        assert_eq!(looks(&lab), [], "{gone:?}");
    }
}

#[test]
fn a_walk_of_find_node_looks_too_and_one_command_does_not_go_to_the_application() {
    let (mut lab, nodes) = network(&[3, 7]);
    let found = closest(&mut lab, &nodes, Query::find_node(target(1)));
    assert_eq!(found, (0..22).filter(|n| ![3, 7].contains(n)).collect::<Vec<_>>());
    assert_eq!(looks(&lab).len(), 4);
}

#[test]
fn only_full_replies_leave_anybody_out() {
    // (nodes, silent nodes, whether the walk looks). Where most nodes are silent, liars
    // must have named them.
    for (count, silent, expected) in
        [(19, 2, false), (20, 2, true), (20, 10, true), (20, 11, false)]
    {
        let mut lab = Lab::alone();
        let nodes = by_distance(&target(1), count);
        let all = Peer::knowing(nodes.iter().copied());
        lab.peers.extend(nodes.iter().map(|addr| (*addr, all.clone())));
        // The walk begins at a node that answers; the silent nodes come later.
        (0..silent).for_each(|n| drop(lab.peers.remove(&nodes[n + 5])));
        lab.walk(query().nodes([nodes[0]])).1.unwrap();
        assert_eq!(!looks(&lab).is_empty(), expected, "{silent} of {count}");
    }
}

#[test]
fn a_look_has_one_try_is_not_waited_for_longer_than_others_and_ends_with_the_walk() {
    let (mut lab, nodes) = network(&[3, 7]);
    let id = lab.query(query().nodes(nodes[50..].iter().copied()).discard_replies());
    lab.run_until(|lab| !looks(lab).is_empty());
    let askers: Vec<_> = looks(&lab).iter().map(|(to, _)| *to).collect();
    let known = |lab: &Lab| askers.iter().all(|to| lab.node.nodes().any(|node| node == *to));
    assert!(known(&lab));
    // These nodes have answered the walk, and are gone now.
    askers.iter().for_each(|to| drop(lab.peers.remove(to)));
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
    assert_eq!(looks(&lab).len(), 4);
    assert!(known(&lab), "one lost datagram says nothing");
    assert_eq!(lab.stats().requests.active, 2, "the silent ones");
    // Looks are cancelled with their walk.
    let (mut lab, nodes) = network(&[3, 7]);
    let id = lab.query(query().nodes(nodes[50..].iter().copied()).discard_replies());
    lab.run_until(|lab| !looks(lab).is_empty());
    lab.node.cancel_query(lab.now, id);
    assert_eq!(lab.stats().requests.active, 2, "the silent ones");
}

#[test]
fn a_look_that_cannot_leave_does_not_stop_the_clock_of_its_walk() {
    let (mut lab, nodes) = network(&[3, 7]);
    let start = lab.now;
    // Each node gets one try, so that nothing but looks is under way in the end.
    let query = query().retries(0).discard_replies();
    let id = lab.query(query.nodes(nodes[50..].iter().copied()));
    lab.run_ms(900);
    assert_eq!((lab.stats().requests.active, looks(&lab).len()), (2, 0), "the silent ones");
    // From now on requests of the user's fill the window.
    let lasting = |n: u32| Request::delayed_ping(addr(1_000 + n), Duration::from_secs(10));
    lab.requests((0..2_000).map(lasting));
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
    assert_eq!(looks(&lab), []);
    assert_eq!(ms_since(start, lab.now), 20_000);
    assert_eq!(lab.stats().requests.cancelled, 4, "the looks");
}
