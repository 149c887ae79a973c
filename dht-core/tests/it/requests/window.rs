//! How many requests leave at once, and which ones go first: window, classes, shares.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::addr_bytes;
use dht_core::{Config, Query, Request, RequestError, Via};

use crate::support::lab::*;

fn window(max: u32) -> Lab {
    let mut config = Config::default();
    config.max_window = max;
    Lab::started(config)
}

/// A request that stays in flight for as long as any test lasts.
fn lasting(to: SocketAddrV4) -> Request {
    Request::delayed_ping(to, Duration::from_secs(10))
}

/// Answers the last request to `to`.
fn answer(lab: &mut Lab, to: SocketAddrV4) {
    let sent = lab.sent.iter().rfind(|sent| sent.to == to).unwrap();
    let bytes = Forged::by(to).bytes(sent.request().tid);
    let _ = lab.hand_in(Via::Client, to, &bytes);
}

#[test]
fn eighty_leave_per_slot_and_twice_that_in_four() {
    let mut lab = Lab::alone();
    let start = lab.now;
    lab.requests((0..400).map(|n| lasting(addr(n))));
    assert_eq!(lab.node.poll_timeout(), Some(start + Duration::from_millis(750)));
    lab.run_ms(7_000);
    let left = |from: u128, to: u128| {
        let at = |sent: &&Sent| (from..to).contains(&ms_since(start, sent.at));
        lab.sent.iter().filter(at).count()
    };
    assert_eq!(lab.sent.len(), 400);
    for (at, count) in [(0, 80), (750, 80), (1_500, 0), (3_000, 80), (3_750, 80), (6_000, 80)] {
        assert_eq!(left(at, at + 1), count, "at {at} ms");
    }
    // First come, first served.
    let order: Vec<_> = lab.sent.iter().map(|sent| sent.to).collect();
    assert_eq!(order, (0..400).map(addr).collect::<Vec<_>>());
}

#[test]
fn who_waits_leaves_as_soon_as_a_place_is_free() {
    let mut lab = window(2);
    let ids = lab.requests((0..6).map(|n| lasting(addr(n))));
    assert_eq!(lab.sent.len(), 2);
    answer(&mut lab, addr(0));
    assert_eq!(lab.sent.len(), 3, "an answer frees one, at once");
    lab.node.cancel_request(lab.now, ids[1]);
    lab.flush();
    assert_eq!(lab.sent.len(), 4, "and so does a cancellation");
    lab.node.cancel_request(lab.now, ids[5]);
    lab.flush();
    assert_eq!(lab.sent.len(), 4, "but not one of what did not leave");
    assert_eq!(lab.sent.last().map(|sent| sent.to), Some(addr(3)));
}

#[test]
fn a_final_timeout_frees_a_place() {
    let mut lab = window(1);
    // One request per slot, and two in four slots: the window is full from 750 ms on.
    let first = lab.request(Request::ping(addr(0)).retries(0));
    let second = lab.request(Request::ping(addr(1)).retries(0));
    let start = lab.now;
    lab.request(Request::ping(addr(2)));
    assert_eq!(lab.result(first), Err(RequestError::Timeout));
    assert_eq!(ms_since(start, lab.now), 1_000);
    assert_eq!(lab.sent.len(), 3, "at 0, 750 and 1,000 ms");
    assert_eq!(lab.result(second), Err(RequestError::Timeout));
}

#[test]
fn retries_wait_for_a_place_as_well() {
    let mut lab = window(1);
    let start = lab.now;
    let id = lab.request(Request::ping(addr(0)));
    lab.request(lasting(addr(1)));
    lab.result(id).unwrap_err();
    let tries = lab.sent.iter().filter(|sent| sent.to == addr(0));
    let tries: Vec<_> = tries.map(|sent| ms_since(start, sent.at)).collect();
    // The first two slots are taken at 0 and 750 ms, so 1,000 ms is too early for a second try.
    assert_eq!(tries[0], 0);
    assert_eq!(tries[1], 3_000);
}

#[test]
fn force_passes_a_full_window() {
    let mut lab = window(1);
    lab.requests((0..3).map(|n| lasting(addr(n))));
    let nodes = (10..15).map(addr);
    lab.query(Query::new(target(1), 16).nodes(nodes.clone()).only_closest_nodes().force());
    assert_eq!(lab.asked(16).len(), 5);
    lab.query(Query::new(target(1), 17).nodes(nodes).only_closest_nodes());
    assert_eq!(lab.asked(17).len(), 0, "others wait");
}

#[test]
fn an_eighth_of_the_window_is_kept_for_the_user() {
    let mut lab = Lab::alone();
    let nodes = (0..200).map(addr);
    let query = Query::new(target(1), 16).nodes(nodes).only_closest_nodes().discard_replies();
    let query = lab.query(query.concurrency(200));
    assert_eq!(lab.asked(16).len(), 70);
    lab.requests((300..400).map(|n| lasting(addr(n))));
    assert_eq!(lab.asked(DELAYED_PING).len(), 10);
    lab.run_ms(750);
    assert_eq!(lab.asked(DELAYED_PING).len(), 90, "and the user goes first");
    assert_eq!(lab.asked(16).len(), 70);
    lab.node.cancel_query(lab.now, query);
    assert_eq!(lab.stats().requests.cancelled, 200);
}

#[test]
fn the_user_goes_before_queries_upkeep_and_hints() {
    let mut lab = window(40);
    [100, 101].into_iter().for_each(|n| lab.add_node(addr(n)));
    lab.requests((0..40).map(|n| lasting(addr(n))));
    lab.sent.clear();
    // The least urgent first: the check of a hint, a keep-alive, a visit, the user's request.
    let hint = Ask::internal(DOWN_HINT).value(&addr_bytes(addr(100))).bytes();
    let _ = lab.hand_in(Via::Server, addr(50), &hint);
    for _ in 0..8 {
        lab.node.maintain(lab.now, false);
    }
    lab.query(Query::new(target(1), 16).nodes([addr(102)]).only_closest_nodes());
    lab.request(Request::new(addr(103), 17));
    let answers = lab.take_sent();
    assert_eq!(answers.len(), 1, "the hint's answer waits for nothing");
    lab.run_ms(750);
    let order: Vec<_> = lab.sent.iter().map(|sent| (sent.to, sent.request().command)).collect();
    assert_eq!(order[..2], [(addr(103), 17), (addr(102), 16)]);
    // Keep-alives ask both nodes of the table, and then the check asks the node that may be down.
    assert_eq!(order[2..], [100, 101, 100].map(|n| (addr(n), FIND_NODE)));
}

/// The hosts of one /24.
fn hole(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(77, 7, 7, n), 4000)
}

#[test]
fn a_black_hole_fills_half_of_the_window_only() {
    let mut lab = Lab::alone();
    lab.requests((0..100).map(|n| lasting(hole(n))));
    assert_eq!(lab.sent.len(), 40);
    lab.requests((0..100).map(|n| lasting(addr(n))));
    assert_eq!(lab.sent.len(), 80, "the rest of the window is for others");
    answer(&mut lab, hole(7));
    let last = lab.sent.last().map(|sent| sent.to);
    assert_eq!(last, Some(hole(40)), "who waited longest gets the place");
    lab.run_ms(750);
    let there = lab.sent.iter().filter(|sent| sent.to.ip().octets()[0] == 77).count();
    assert_eq!((lab.sent.len(), there), (141, 41), "a new slot brings it no places");
}

#[test]
fn local_networks_have_no_share() {
    let mut lab = Lab::alone();
    let local = |n: u8| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 4000);
    lab.requests((0..100).map(|n| lasting(local(n))));
    assert_eq!(lab.sent.len(), 80);
}

#[test]
fn a_place_in_a_share_is_passed_on_even_if_the_next_one_is_gone() {
    let mut lab = window(2);
    let ids = lab.requests((0..3).map(|n| lasting(hole(n))));
    assert_eq!(lab.sent.len(), 1);
    // The second request may leave, but is cancelled before it does.
    lab.node.cancel_request(lab.now, ids[0]);
    lab.node.cancel_request(lab.now, ids[1]);
    lab.flush();
    assert_eq!(lab.sent.last().map(|sent| sent.to), Some(hole(2)));
}

#[test]
fn a_share_is_free_again_after_failures_and_suspension() {
    let mut lab = Lab::alone();
    for _ in 0..2 {
        lab.requests((0..40).map(|n| Request::ping(hole(n)).retries(0)));
        assert_eq!(lab.take_sent().len(), 40);
        lab.run_ms(3_000);
        assert_eq!(lab.take_sent(), []);
    }
    lab.requests((0..40).map(|n| lasting(hole(n))));
    lab.node.suspend(lab.now);
    lab.node.resume(lab.now);
    lab.bind();
    lab.sent.clear();
    lab.requests((0..40).map(|n| lasting(hole(n))));
    assert_eq!(lab.sent.len(), 40);
}

#[test]
fn the_user_has_the_first_places_in_a_share_and_a_quarter_to_itself() {
    let mut lab = Lab::alone();
    let nodes = (0..100).map(hole);
    let query = Query::new(target(1), 16).nodes(nodes).only_closest_nodes().discard_replies();
    lab.query(query.concurrency(100));
    assert_eq!(lab.asked(16).len(), 30);
    lab.requests((0..12).map(|n| lasting(hole(100 + n))));
    assert_eq!(lab.asked(DELAYED_PING).len(), 10);
    // Visits have waited for longer, but a free place goes to the user's request.
    answer(&mut lab, hole(100));
    assert_eq!((lab.asked(16).len(), lab.asked(DELAYED_PING).len()), (30, 11));
}

#[test]
fn a_request_gets_its_turn_where_there_are_always_answers_to_send() {
    let mut lab = Lab::persistent();
    lab.node.request(lab.now, Request::ping(addr(1))).unwrap();
    let ask = Ask::internal(PING).bytes();
    let mut order = Vec::new();
    // Two requests come in for each datagram that leaves.
    for n in 0..10 {
        for m in 0..2 {
            let _ = lab.node.handle_datagram(lab.now, Via::Server, addr(10 + 2 * n + m), &ask);
        }
        let mut buf = [0; dht_core::DATAGRAM_MAX];
        order.push(lab.node.poll_transmit(lab.now, &mut buf).unwrap().to == addr(1));
    }
    assert_eq!(order.iter().position(|is_request| *is_request), Some(4));
}
