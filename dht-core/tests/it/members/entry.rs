//! Which nodes enter the routing table: only nodes that have answered from the address that their
//! id is made of, whatever a peer says and however often.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, NodeFilter, Query, Request, Stats, Via, wire};

use crate::support::bare_answer;
use crate::support::lab::{FIND_NODE, Lab, PING, SERVER, asks, joining, neighbour, peer};

const SECOND: Duration = Duration::from_secs(1);

/// All counters except for the verifications.
fn others(stats: Stats) -> Stats {
    let mut others = stats;
    others.verifications = Default::default();
    others
}

#[test]
fn an_id_that_is_not_the_senders_counts_as_none() {
    let mut lab = Lab::alone();
    let mut false_id = Id::of(peer(1)).0;
    false_id[31] ^= 1;
    for id in [false_id, Id::of(peer(2)).0, [0; 32]] {
        let sent = lab.hear(peer(1), &wire::Request { id: Some(&id), ..asks(PING) });
        // The message is valid all the same, but its sender is not verified.
        assert_eq!(sent.len(), 1);
        assert!(sent[0].as_response().is_some());
    }
    lab.add_peer(peer(1)).has_id = false;
    let id = lab.request(Request::ping(peer(1)));
    assert_eq!(lab.result(id).unwrap().from.id, None);
    assert_eq!(lab.node.table_len(), 0);
    assert_eq!(lab.node.stats().verifications.sent, 0);
}

#[test]
fn an_id_of_another_in_an_answer_counts_as_none() {
    let mut lab = Lab::alone();
    let id = lab.request(Request::ping(peer(1)));
    let tid = lab.sent[0].request().tid;
    let response = bare_answer(tid, SERVER, Some(peer(2)));
    lab.hear_bytes(Via::Client, peer(1), &response);
    assert_eq!(lab.result(id).unwrap().from.id, None);
    assert_eq!(lab.node.table_len(), 0);
}

#[test]
fn an_answer_with_a_proven_id_makes_its_sender_a_node() {
    let mut lab = Lab::alone();
    lab.add_peer(peer(1));
    let id = lab.request(Request::ping(peer(1)));
    assert!(lab.result(id).is_ok());
    assert!(lab.knows(peer(1)));
    assert_eq!(lab.node.stats().verifications.sent, 0);
}

#[test]
fn who_asks_with_an_id_is_asked_back_first_and_enters_by_answering() {
    let mut lab = Lab::alone();
    lab.add_peer(peer(1));
    let sent = lab.hear_with_id(peer(1), PING);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].is(PING) && sent[0].to == peer(1), "before the answer");
    assert!(sent[1].as_response().is_some());
    assert!(!lab.knows(peer(1)), "not yet");
    lab.run_for(SECOND);
    assert!(lab.knows(peer(1)));
    let verifications = lab.node.stats().verifications;
    assert_eq!((verifications.sent, verifications.verified, verifications.failed), (1, 1, 0));
}

#[test]
fn who_does_not_answer_gets_one_datagram_and_leaves_no_trace() {
    let mut lab = Lab::alone();
    let before = lab.node.stats();
    lab.hear_with_id(peer(1), PING);
    // The second request comes while the sender is still being asked.
    lab.run_for(SECOND - Duration::from_millis(1));
    lab.hear_with_id(peer(1), PING);
    assert_eq!(lab.asked(PING).len(), 1);
    lab.run_for(10 * SECOND);
    assert_eq!(lab.asked(PING).len(), 1, "no retry");
    assert_eq!(lab.node.table_len(), 0);
    let verifications = lab.node.stats().verifications;
    assert_eq!((verifications.sent, verifications.verified, verifications.failed), (1, 0, 1));
    // The verification counts neither as a request nor as a command, nor for the health.
    assert_eq!(others(lab.node.stats()), others(before));
    lab.ticks(6);
    assert_eq!(lab.node.health().timeouts, 0);
    // The verification has ended after a second, so another request starts a new one.
    lab.hear_with_id(peer(1), PING);
    assert_eq!(lab.asked(PING).len(), 2);
}

#[test]
fn who_answers_without_an_id_does_not_enter() {
    let mut lab = Lab::alone();
    lab.add_peer(peer(1)).has_id = false;
    lab.hear_with_id(peer(1), PING);
    lab.run_for(SECOND);
    assert_eq!(lab.node.table_len(), 0);
    assert_eq!(lab.node.stats().verifications.failed, 1);
}

#[test]
fn who_is_known_or_being_asked_is_not_verified() {
    let mut lab = Lab::alone();
    lab.add_peer(peer(1));
    lab.request(Request::ping(peer(2)));
    lab.call(|node, now| node.add_node(now, peer(1)).unwrap());
    lab.hear_with_id(peer(1), PING);
    lab.hear_with_id(peer(2), PING);
    assert_eq!(lab.node.stats().verifications.sent, 0);
}

#[test]
fn three_of_a_prefix_and_sixteen_in_all_are_verified_at_once() {
    let mut lab = Lab::alone();
    let near = |n| neighbour([50, 0, 0], n);
    (0..5).for_each(|n| drop(lab.hear_with_id(near(n), PING)));
    assert_eq!(lab.asked(PING), [near(0), near(1), near(2)]);
    (0..20).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
    assert_eq!(lab.asked(PING).len(), 16);
    assert_eq!(lab.node.stats().verifications.displaced, 0, "the others wait");
    // As the first verifications end, the waiting candidates get their turn.
    lab.run_for(5 * SECOND);
    let mut asked = lab.asked(PING);
    asked.sort();
    asked.dedup();
    assert_eq!((asked.len(), lab.asked(PING).len()), (24, 24), "each once, four of a silent /24");
}

#[test]
fn local_senders_have_no_limit_per_prefix() {
    let mut lab = Lab::alone();
    (0..20).for_each(|n| drop(lab.hear_with_id(neighbour([127, 0, 0], n), PING)));
    assert_eq!(lab.asked(PING).len(), 16);
}

#[test]
fn sixty_four_candidates_wait_and_a_random_one_gives_way() {
    let mut lab = Lab::alone();
    // The table stays empty here, so only the bound on candidates counts.
    (0..16 + 64).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
    assert_eq!(lab.node.stats().verifications.displaced, 0);
    (80..90).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
    assert_eq!(lab.node.stats().verifications.displaced, 10);
    lab.run_for(10 * SECOND);
    let asked = lab.asked(PING);
    assert_eq!(asked.len(), 80, "what waits is asked in the end");
    // Neither all of the first candidates nor all of the last ones were displaced.
    let latecomers = asked.iter().filter(|addr| (80..90).any(|n| peer(n) == **addr)).count();
    assert!((1..=10).contains(&latecomers), "{latecomers}");
    let gone: Vec<_> = (16..80).filter(|n| !asked.contains(&peer(*n))).collect();
    assert!(gone.windows(2).any(|pair| pair[1] - pair[0] > 1), "at random: {gone:?}");
}

#[test]
fn a_flood_of_ids_whose_owners_never_answer_fills_nothing() {
    let mut lab = Lab::alone();
    lab.add_peer(peer(1));
    for n in 0..2_000 {
        lab.hear_with_id(neighbour([66, 66, 66], n), FIND_NODE);
        lab.run_for(Duration::from_millis(5));
    }
    assert_eq!(lab.node.table_len(), 0);
    // Three nodes of the /24 at a time, a second each, for ten seconds.
    assert!(lab.node.stats().verifications.sent <= 3 * 11);
    // An honest node gets in beside the flood.
    lab.hear_with_id(peer(1), PING);
    lab.run_for(SECOND);
    assert!(lab.knows(peer(1)));
}

#[test]
fn what_cannot_be_an_address_is_not_asked_back() {
    let mut lab = Lab::alone();
    for ip in [[224, 0, 0, 1], [255, 255, 255, 255], [0, 1, 2, 3]] {
        lab.hear_with_id(SocketAddrV4::new(Ipv4Addr::from(ip), 4000), PING);
    }
    assert_eq!(lab.asked(PING), []);
}

#[test]
fn the_filter_keeps_nodes_out_but_not_those_the_user_gives() {
    let mut config = joining(&[peer(0)]);
    config.filter = Some(NodeFilter::new(|addr| addr != peer(1) && addr != peer(2)));
    config.nodes = vec![peer(2)];
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0)).closer = vec![peer(1), peer(3)];
    for n in 1..4 {
        lab.add_peer(peer(n));
    }
    lab.bind();
    lab.run_for(10 * SECOND);
    // Peer 1 is not asked as a closer node, and enters neither by asking nor by answering.
    assert!(!lab.asked(FIND_NODE).contains(&peer(1)));
    lab.hear_with_id(peer(1), PING);
    assert_eq!(lab.node.stats().verifications.sent, 0);
    let id = lab.request(Request::ping(peer(1)));
    assert!(lab.result(id).is_ok());
    assert!(!lab.knows(peer(1)));
    assert!(lab.knows(peer(0)) && lab.knows(peer(3)));
    assert!(lab.knows(peer(2)), "given by the user");
    lab.call(|node, now| node.add_node(now, peer(1)).unwrap());
    assert!(lab.knows(peer(1)));
}

#[test]
fn nodes_that_the_user_gives_enter_at_once_and_keep_their_order() {
    let mut config = Config::default();
    config.nodes = (0..5).map(peer).collect();
    let mut lab = Lab::started(config);
    let listed: Vec<_> = lab.node.nodes().collect();
    assert_eq!(listed, (0..5).map(peer).collect::<Vec<_>>());
    lab.call(|node, now| node.add_node(now, peer(9)).unwrap());
    assert_eq!(lab.node.nodes().next(), Some(peer(9)));
}

#[test]
fn every_contact_makes_a_node_the_latest() {
    let mut lab = Lab::among(4);
    lab.hear_with_id(peer(2), PING);
    assert_eq!(lab.node.nodes().next(), Some(peer(2)), "it seems to have asked");
    let id = lab.request(Request::ping(peer(0)));
    assert!(lab.result(id).is_ok());
    assert_eq!(lab.node.nodes().next(), Some(peer(0)), "it answered");
    lab.hear(peer(1), &asks(PING));
    assert_eq!(lab.node.nodes().next(), Some(peer(0)), "no id, no contact");
}

#[test]
fn nodes_that_a_query_meets_enter_unless_they_have_no_id() {
    let mut lab = Lab::alone();
    lab.add_peer(peer(0)).closer = vec![peer(1), peer(2)];
    lab.add_peer(peer(1));
    lab.add_peer(peer(2)).has_id = false;
    let query = Query::find_node(Id([0; 32])).nodes([peer(0)]).discard_replies();
    lab.query(query);
    lab.run_until(|lab| lab.events.iter().any(|event| matches!(event, Event::Finished(_))));
    assert_eq!(lab.asked(FIND_NODE).len(), 3);
    assert!(lab.knows(peer(0)) && lab.knows(peer(1)) && !lab.knows(peer(2)));
}

#[test]
fn a_candidate_that_finds_all_places_taken_is_asked_later() {
    let mut config = Config::default();
    config.max_background_requests = 64;
    let mut lab = Lab::started(config);
    let dead = (100..164).map(peer);
    let query = Query::find_node(Id([0; 32])).nodes(dead).only_closest_nodes();
    lab.query(query.concurrency(64).discard_replies().thorough());
    lab.add_peer(peer(1));
    lab.hear_with_id(peer(1), PING);
    assert_eq!(lab.node.stats().verifications.sent, 0);
    lab.ticks(3);
    assert!(lab.knows(peer(1)));
}

#[test]
fn a_burst_of_requests_leaves_nothing_behind_after_a_quiet_while() {
    let mut lab = Lab::among(30);
    // The result of this request is not taken, so the first place stays taken.
    lab.request(Request::ping(peer(500)));
    let ids: Vec<_> = (0..300).map(|n| lab.node.request(lab.now, Request::ping(peer(n)))).collect();
    ids.into_iter().for_each(|id| lab.call(|node, now| node.cancel_request(now, id.unwrap())));
    lab.ticks(30);
    lab.request(Request::ping(peer(90)));
    lab.hear_with_id(peer(90), PING);
    assert_eq!(lab.node.stats().verifications.sent, 0, "it is seen that it is being asked");
}
