//! How much leaves at once, and who goes first: window, classes, shares.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::addr_bytes;
use dht_core::{Config, Query, Request, RequestError, Via};

use crate::support::solo::*;

fn window(max: u32) -> Solo {
    let mut config = Config::default();
    config.max_window = max;
    Solo::with(config)
}

/// Stays in flight for as long as any test lasts.
fn lasting(to: SocketAddrV4) -> Request {
    Request::delayed_ping(to, Duration::from_secs(10))
}

/// Answers what was sent to `to` last.
fn answer(solo: &mut Solo, to: SocketAddrV4) {
    let sent = solo.sent.iter().rfind(|sent| sent.to == to).unwrap();
    let bytes = Forged::by(to).bytes(sent.request().tid);
    let _ = solo.hand_in(Via::Client, to, &bytes);
}

#[test]
fn eighty_leave_per_slot_and_twice_that_in_four() {
    let mut solo = Solo::new();
    let start = solo.now;
    solo.requests((0..400).map(|n| lasting(addr(n))));
    assert_eq!(solo.node.poll_timeout(), Some(start + Duration::from_millis(750)));
    solo.advance_ms(7_000);
    let left = |from: u128, to: u128| {
        let at = |sent: &&Sent| (from..to).contains(&ms_since(start, sent.at));
        solo.sent.iter().filter(at).count()
    };
    assert_eq!(solo.sent.len(), 400);
    for (at, count) in [(0, 80), (750, 80), (1_500, 0), (3_000, 80), (3_750, 80), (6_000, 80)] {
        assert_eq!(left(at, at + 1), count, "at {at} ms");
    }
    // First come, first served.
    let order: Vec<_> = solo.sent.iter().map(|sent| sent.to).collect();
    assert_eq!(order, (0..400).map(addr).collect::<Vec<_>>());
}

#[test]
fn who_waits_leaves_as_soon_as_a_place_is_free() {
    let mut solo = window(2);
    let ids = solo.requests((0..6).map(|n| lasting(addr(n))));
    assert_eq!(solo.sent.len(), 2);
    answer(&mut solo, addr(0));
    assert_eq!(solo.sent.len(), 3, "an answer frees one, at once");
    solo.node.cancel_request(solo.now, ids[1]);
    solo.flush();
    assert_eq!(solo.sent.len(), 4, "and so does a cancellation");
    solo.node.cancel_request(solo.now, ids[5]);
    solo.flush();
    assert_eq!(solo.sent.len(), 4, "but not one of what did not leave");
    assert_eq!(solo.sent.last().map(|sent| sent.to), Some(addr(3)));
}

#[test]
fn a_final_timeout_frees_a_place() {
    let mut solo = window(1);
    // One slot's place, in all two of four slots: full from 750 ms on.
    let first = solo.request(Request::ping(addr(0)).retries(0));
    let second = solo.request(Request::ping(addr(1)).retries(0));
    let start = solo.now;
    solo.request(Request::ping(addr(2)));
    assert_eq!(solo.response(first), Err(RequestError::Timeout));
    assert_eq!(ms_since(start, solo.now), 1_000);
    assert_eq!(solo.sent.len(), 3, "at 0, 750 and 1,000 ms");
    assert_eq!(solo.response(second), Err(RequestError::Timeout));
}

#[test]
fn retries_wait_for_a_place_as_well() {
    let mut solo = window(1);
    let start = solo.now;
    let id = solo.request(Request::ping(addr(0)));
    solo.request(lasting(addr(1)));
    solo.response(id).unwrap_err();
    let tries = solo.sent.iter().filter(|sent| sent.to == addr(0));
    let tries: Vec<_> = tries.map(|sent| ms_since(start, sent.at)).collect();
    // The first two slots are taken at 0 and 750 ms, so 1,000 is too early for a second try.
    assert_eq!(tries[0], 0);
    assert_eq!(tries[1], 3_000);
}

#[test]
fn force_passes_a_full_window() {
    let mut solo = window(1);
    solo.requests((0..3).map(|n| lasting(addr(n))));
    let nodes = (10..15).map(addr);
    solo.query(Query::new(target(1), 16).nodes(nodes.clone()).only_closest_nodes().force());
    assert_eq!(solo.asked(16).len(), 5);
    solo.query(Query::new(target(1), 17).nodes(nodes).only_closest_nodes());
    assert_eq!(solo.asked(17).len(), 0, "others wait");
}

#[test]
fn an_eighth_of_the_window_is_kept_for_the_user() {
    let mut solo = Solo::new();
    let nodes = (0..200).map(addr);
    let query = Query::new(target(1), 16).nodes(nodes).only_closest_nodes().discard_replies();
    let query = solo.query(query.concurrency(200));
    assert_eq!(solo.asked(16).len(), 70);
    solo.requests((300..400).map(|n| lasting(addr(n))));
    assert_eq!(solo.asked(DELAYED_PING).len(), 10);
    solo.advance_ms(750);
    assert_eq!(solo.asked(DELAYED_PING).len(), 90, "and the user goes first");
    assert_eq!(solo.asked(16).len(), 70);
    solo.node.cancel_query(solo.now, query);
    assert_eq!(solo.stats().requests.cancelled, 200);
}

#[test]
fn the_user_goes_before_queries_upkeep_and_hints() {
    let mut solo = window(40);
    [100, 101].into_iter().for_each(|n| solo.add_node(addr(n)));
    solo.requests((0..40).map(|n| lasting(addr(n))));
    solo.sent.clear();
    // The least urgent first: a hint to check, a keep-alive, a visit, a request.
    let hint = Ask::internal(DOWN_HINT).value(&addr_bytes(addr(100))).bytes();
    let _ = solo.hand_in(Via::Server, addr(50), &hint);
    for _ in 0..8 {
        solo.node.maintain(solo.now, false);
    }
    solo.query(Query::new(target(1), 16).nodes([addr(102)]).only_closest_nodes());
    solo.request(Request::new(addr(103), 17));
    let answers = solo.take_sent();
    assert_eq!(answers.len(), 1, "the hint's answer waits for nothing");
    solo.advance_ms(750);
    let order: Vec<_> = solo.sent.iter().map(|sent| (sent.to, sent.request().command)).collect();
    assert_eq!(order[..2], [(addr(103), 17), (addr(102), 16)]);
    // Both are asked to keep them, and then the one that may be down.
    assert_eq!(order[2..], [100, 101, 100].map(|n| (addr(n), FIND_NODE)));
}

/// The hosts of one /24.
fn hole(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(77, 7, 7, n), 4000)
}

#[test]
fn a_black_hole_fills_half_of_the_window_only() {
    let mut solo = Solo::new();
    solo.requests((0..100).map(|n| lasting(hole(n))));
    assert_eq!(solo.sent.len(), 40);
    solo.requests((0..100).map(|n| lasting(addr(n))));
    assert_eq!(solo.sent.len(), 80, "the rest of the window is for others");
    answer(&mut solo, hole(7));
    let last = solo.sent.last().map(|sent| sent.to);
    assert_eq!(last, Some(hole(40)), "who waited longest gets the place");
    solo.advance_ms(750);
    let there = solo.sent.iter().filter(|sent| sent.to.ip().octets()[0] == 77).count();
    assert_eq!((solo.sent.len(), there), (141, 41), "a new slot brings it no places");
}

#[test]
fn local_networks_have_no_share() {
    let mut solo = Solo::new();
    let local = |n: u8| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 4000);
    solo.requests((0..100).map(|n| lasting(local(n))));
    assert_eq!(solo.sent.len(), 80);
}

#[test]
fn a_place_in_a_share_is_passed_on_even_if_the_next_one_is_gone() {
    let mut solo = window(2);
    let ids = solo.requests((0..3).map(|n| lasting(hole(n))));
    assert_eq!(solo.sent.len(), 1);
    // The second may leave, but is gone before it does.
    solo.node.cancel_request(solo.now, ids[0]);
    solo.node.cancel_request(solo.now, ids[1]);
    solo.flush();
    assert_eq!(solo.sent.last().map(|sent| sent.to), Some(hole(2)));
}

#[test]
fn a_share_is_free_again_after_failures_and_suspension() {
    let mut solo = Solo::new();
    for _ in 0..2 {
        solo.requests((0..40).map(|n| Request::ping(hole(n)).retries(0)));
        assert_eq!(solo.take_sent().len(), 40);
        solo.advance_ms(3_000);
        assert_eq!(solo.take_sent(), []);
    }
    solo.requests((0..40).map(|n| lasting(hole(n))));
    solo.node.suspend(solo.now);
    solo.node.resume(solo.now);
    solo.bind();
    solo.sent.clear();
    solo.requests((0..40).map(|n| lasting(hole(n))));
    assert_eq!(solo.sent.len(), 40);
}

#[test]
fn the_user_has_the_first_places_in_a_share_and_a_quarter_to_itself() {
    let mut solo = Solo::new();
    let nodes = (0..100).map(hole);
    let query = Query::new(target(1), 16).nodes(nodes).only_closest_nodes().discard_replies();
    solo.query(query.concurrency(100));
    assert_eq!(solo.asked(16).len(), 30);
    solo.requests((0..12).map(|n| lasting(hole(100 + n))));
    assert_eq!(solo.asked(DELAYED_PING).len(), 10);
    // Visits have waited for longer, but a place goes to the user.
    answer(&mut solo, hole(100));
    assert_eq!((solo.asked(16).len(), solo.asked(DELAYED_PING).len()), (30, 11));
}

#[test]
fn a_request_gets_its_turn_where_there_are_always_answers_to_send() {
    let mut solo = Solo::persistent();
    solo.node.request(solo.now, Request::ping(addr(1))).unwrap();
    let ask = Ask::internal(PING).bytes();
    let mut order = Vec::new();
    // Two come in for each datagram that the line takes.
    for n in 0..10 {
        for m in 0..2 {
            let _ = solo.node.handle_datagram(solo.now, Via::Server, addr(10 + 2 * n + m), &ask);
        }
        let mut buf = [0; dht_core::DATAGRAM_MAX];
        order.push(solo.node.poll_transmit(solo.now, &mut buf).unwrap().to == addr(1));
    }
    assert_eq!(order.iter().position(|is_request| *is_request), Some(4));
}
