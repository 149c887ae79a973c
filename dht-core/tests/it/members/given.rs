//! Nodes that the user gave, and bootstrap nodes, are not forgotten when they fall silent. They are asked ever
//! less often, and once one of them is back so is the network.

use std::time::Duration;

use dht_core::{Config, Event, Id, Node, Query, SavedNode, Unsent};

use crate::support::lab::{FIND_NODE, Lab, PING, SERVER, joining, peer};
use crate::support::target;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn knowing(count: u32) -> Config {
    let mut config = Config::default();
    config.nodes = (0..count).map(peer).collect();
    config
}

/// A node whose `count` nodes have all been gone for a day.
fn alone_for_a_day(mut lab: Lab, count: u32) -> Lab {
    lab.run_for(HOUR / 6);
    (0..count).for_each(|n| lab.peer(peer(n)).up = false);
    lab.run_for(24 * HOUR);
    assert_eq!(lab.node.table_len(), 0);
    lab.sent.clear();
    lab.events.clear();
    lab
}

fn with_peers(config: Config, count: u32) -> Lab {
    let mut lab = Lab::unbound(config);
    (0..count).for_each(|n| lab.add_peer(peer(n)).closer = (0..count).map(peer).collect());
    lab.bind();
    lab
}

/// How long it takes until `count` peers, which are back now, are known again.
fn time_to_find(lab: &mut Lab, count: u32) -> Duration {
    let start = lab.now;
    (0..count).for_each(|n| lab.peer(peer(n)).up = true);
    lab.run_until(|lab| (0..count).all(|n| lab.knows(peer(n))));
    lab.now.saturating_since(start)
}

#[test]
fn nodes_that_were_given_are_found_again_after_a_day() {
    let mut lab = alone_for_a_day(with_peers(knowing(3), 3), 3);
    let took = time_to_find(&mut lab, 3);
    assert!(took <= HOUR, "{took:?}");
}

#[test]
fn so_are_those_that_were_added_and_those_that_were_imported_without_a_bootstrap_node() {
    let mut added = with_peers(Config::default(), 3);
    (0..3).for_each(|n| _ = added.call(|node, now| node.add_node(now, peer(n))).unwrap());
    let mut imported = with_peers(Config::default(), 3);
    let saved = |n| SavedNode { addr: peer(n), pinged: SECOND, added: HOUR };
    imported.call(|node, now| node.import(now, &[saved(0), saved(1), saved(2)], SECOND));
    for lab in [added, imported] {
        let mut lab = alone_for_a_day(lab, 3);
        let took = time_to_find(&mut lab, 3);
        assert!(took <= HOUR, "{took:?}");
    }
}

#[test]
fn the_others_are_found_by_the_first_who_is_back() {
    // The user gave one node only, which names the other seven.
    let mut lab = alone_for_a_day(with_peers(knowing(1), 8), 8);
    let start = lab.now;
    (0..8).for_each(|n| lab.peer(peer(n)).up = true);
    lab.run_until(|lab| lab.knows(peer(0)));
    assert!(lab.now.saturating_since(start) <= HOUR);
    lab.run_for(SECOND);
    assert_eq!(lab.node.table_len(), 8);
}

/// While the system sends nothing, silence says nothing of a node: the node stays in the table.
#[test]
fn a_node_that_began_offline_looks_for_its_neighbours_once_a_given_node_answers() {
    let mut lab = Lab::unbound(knowing(1));
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.add_peer(peer(0)).closer = vec![peer(1)];
    lab.add_peer(peer(1));
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert!(lab.knows(peer(0)));
    lab.refusal = None;
    lab.sent.clear();
    lab.ping(peer(0));
    lab.run_for(10 * SECOND);
    assert!(lab.knows(peer(1)));
}

#[test]
fn they_are_asked_ever_less_often() {
    let mut lab = with_peers(knowing(3), 0);
    let mut counts = Vec::new();
    for _ in 0..12 {
        lab.sent.clear();
        lab.run_for(HOUR);
        counts.push(lab.sent.len());
    }
    // At first one node is asked every 40 s, as all lost nodes are.
    assert!(counts[1] <= 90, "{counts:?}");
    assert!(counts[3..].iter().all(|count| (3..=9).contains(count)), "{counts:?}");
    assert!(counts[9..].iter().all(|count| *count <= 4), "{counts:?}");
    assert_eq!(lab.node.table_len(), 0);
}

#[test]
fn that_nobody_of_them_answers_is_told() {
    let mut lab = with_peers(knowing(3), 0);
    lab.run_for(10 * SECOND);
    let silent =
        Event::BootstrapSilent { asked: 3, timed_out: 3, unresolved: 0, unusable: 0, unsent: None };
    assert_eq!(lab.events, [Event::Listening, silent, Event::Ready]);
}

#[test]
fn a_node_becomes_what_it_was_told_to_be_when_one_is_back() {
    let mut config = knowing(2);
    config.ephemeral = Some(false);
    let mut lab = with_peers(config, 2);
    (0..2).for_each(|n| lab.peer(peer(n)).up = false);
    lab.run_for(6 * HOUR);
    assert_eq!(lab.node.id(), None);
    time_to_find(&mut lab, 2);
    lab.run_for(SECOND);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn who_looks_for_something_asks_them_and_so_does_a_node_in_another_network() {
    let mut lab = alone_for_a_day(with_peers(knowing(3), 3), 3);
    let mut user = lab.node.clone();
    let query = Query::find_node(target(1)).discard_replies();
    user.query(lab.now, query).unwrap();
    let mut buf = [0; dht_core::DATAGRAM_MAX];
    assert_eq!(std::iter::from_fn(|| user.poll_transmit(lab.now, &mut buf)).count(), 3);
    lab.call(Node::handle_network_change);
    lab.run_for(60 * SECOND);
    let mut asked = lab.asked(FIND_NODE);
    asked.sort();
    asked.dedup();
    assert_eq!(asked, [0, 1, 2].map(peer));
    // A refresh, which the node makes by itself, does not ask the nodes that fell silent.
    lab.sent.clear();
    lab.call(Node::refresh);
    assert_eq!(lab.asked(FIND_NODE), []);
}

#[test]
fn sixty_four_are_remembered_and_fewer_where_tables_are_small() {
    for (max_nodes, count) in [(5120, 64), (768, 64), (767, 63), (48, 4), (20, 1)] {
        let mut config = knowing(200);
        config.max_nodes = max_nodes;
        let mut lab = with_peers(config, 0);
        lab.run_for(24 * HOUR);
        lab.sent.clear();
        lab.run_for(2 * HOUR);
        let mut asked = lab.asked(PING);
        asked.sort();
        asked.dedup();
        assert_eq!(asked, (0..count).map(peer).collect::<Vec<_>>(), "{max_nodes}");
    }
}

#[test]
fn bootstrap_nodes_that_fell_silent_are_asked_with_ever_more_patience() {
    let mut lab = with_peers(joining(&[peer(0)]), 1);
    lab.run_for(HOUR);
    assert!(lab.knows(peer(0)));
    lab.peer(peer(0)).up = false;
    lab.run_for(HOUR);
    lab.sent.clear();
    lab.run_for(HOUR);
    let walks = lab.sent.iter().filter(|sent| sent.is(FIND_NODE) && !sent.checks());
    let mut walks: Vec<_> = walks.map(|sent| sent.request().tid).collect();
    walks.dedup();
    assert!((10..=12).contains(&walks.len()), "{} in an hour", walks.len());
    // The bootstrap node is found again when its turn comes.
    lab.peer(peer(0)).up = true;
    lab.run_for(330 * SECOND);
    assert!(lab.knows(peer(0)));
}

#[test]
fn whoever_comes_ends_the_wait_for_the_bootstrap_nodes() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = with_peers(config, 0);
    lab.run_for(HOUR);
    lab.run_until(|lab| lab.sent.last().is_some_and(|sent| sent.at + 4 * SECOND < lab.now));
    (1..5).for_each(|n| lab.add_peer(peer(n)).closer = (1..5).map(peer).collect());
    lab.hear_with_id(peer(1), PING);
    lab.run_for(SECOND);
    assert!((1..5).all(|n| lab.knows(peer(n))));
    lab.run_for(6 * SECOND);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}
