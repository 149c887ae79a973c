//! Single requests: how often and when they are tried, how they end, what they carry.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Query, Request, RequestError, SendError, SessionId, Via};

use crate::support::solo::*;

/// When datagrams left, in milliseconds.
fn times(solo: &Solo, start: dht_core::Instant) -> Vec<u128> {
    solo.sent.iter().map(|sent| ms_since(start, sent.at)).collect()
}

#[test]
fn tries_are_a_second_apart_and_carry_the_same_bytes() {
    let cases = [
        (Request::ping(addr(1)), 4),
        (Request::new(addr(1), 16).target(target(1)).value(&b"v"[..]).token([3; 32]), 4),
        (Request::ping(addr(1)).retries(0), 1),
        (Request::ping(addr(1)).retries(1), 2),
        (Request::ping(addr(1)).retries(9), 10),
    ];
    for (request, tries) in cases {
        let mut solo = Solo::persistent();
        let start = solo.now;
        let id = solo.request(request);
        assert_eq!(solo.response(id), Err(RequestError::Timeout));
        assert_eq!(ms_since(start, solo.now), tries * 1000, "given up after the last try's second");
        assert_eq!(times(&solo, start), (0..tries).map(|n| n * 1000).collect::<Vec<_>>());
        assert!(solo.sent.iter().all(|sent| sent.bytes == solo.sent[0].bytes));
        let requests = solo.stats().requests;
        assert_eq!((requests.timeouts, requests.retries), (1, tries as u64 - 1));
    }
}

#[test]
fn a_visit_is_tried_six_times() {
    for (query, tries) in [
        (Query::find_node(target(1)), 6),
        (Query::new(target(1), 16).retries(2), 3),
        (Query::new(target(1), 16).retries(0), 1),
        (Query::new(target(1), 16).force(), 1),
    ] {
        let mut solo = Solo::new();
        solo.walk(query.nodes([addr(1)]).thorough()).1.unwrap();
        // After fewer than four it is asked on, in the background, for what every node answers.
        let (visits, others): (Vec<_>, Vec<_>) =
            solo.sent.iter().partition(|sent| sent.bytes == solo.sent[0].bytes);
        assert_eq!(visits.len(), tries);
        assert!(others.iter().all(|sent| sent.is(FIND_NODE)) && others.is_empty() == (tries >= 4));
    }
}

#[test]
fn an_answer_to_any_try_will_do() {
    for deaf in 0..4 {
        let mut solo = Solo::new();
        solo.peers.insert(addr(1), Fake { deaf, value: Some(vec![5]), ..Fake::default() });
        let id = solo.request(Request::new(addr(1), 16));
        let reply = solo.response(id).unwrap();
        assert_eq!((reply.from.addr, reply.value.as_deref()), (addr(1), Some(&[5][..])));
        assert_eq!(reply.to, SocketAddrV4::new(HOST, 1000));
        assert_eq!(solo.sent.len(), deaf as usize + 1);
        // From the last transmission, not from the first.
        assert_eq!(reply.rtt, LATENCY);
        assert_eq!(solo.node.take_response(id), None, "a result is taken once");
    }
}

#[test]
fn rtt_does_not_count_the_wait_for_a_place() {
    let mut config = Config::default();
    config.max_window = 1;
    let mut solo = Solo::with(config);
    solo.request(Request::ping(addr(1)));
    solo.peers.insert(addr(2), Fake::default());
    let id = solo.request(Request::ping(addr(2)));
    let start = solo.now;
    assert_eq!(solo.response(id).unwrap().rtt, LATENCY);
    assert!(ms_since(start, solo.now) > 700, "it has waited");
}

#[test]
fn a_delayed_ping_waits_longer_at_every_try() {
    let mut solo = Solo::new();
    let start = solo.now;
    let id = solo.request(Request::delayed_ping(addr(1), Duration::from_millis(2_500)));
    let request = solo.sent[0].request();
    assert_eq!((request.internal, request.command), (true, DELAYED_PING));
    assert_eq!(request.value, Some(&2_500u32.to_le_bytes()[..]));
    assert_eq!(solo.response(id), Err(RequestError::Timeout));
    assert_eq!(times(&solo, start), [0, 3_500, 7_000, 10_500]);
    assert_eq!(ms_since(start, solo.now), 14_000);
}

#[test]
fn a_ping_may_be_delayed_by_so_much() {
    let mut solo = Solo::new();
    let max = Duration::from_secs(10);
    solo.node.request(solo.now, Request::delayed_ping(addr(1), max)).unwrap();
    for above in [max + Duration::from_millis(1), Duration::MAX] {
        let refused = solo.node.request(solo.now, Request::delayed_ping(addr(1), above));
        assert_eq!(refused, Err(SendError::DelayTooLong { max }));
    }
    assert_eq!(solo.stats().requests.total, 1);
}

#[test]
fn a_ttl_goes_with_every_try() {
    let mut solo = Solo::new();
    solo.request(Request::ping(addr(1)).ttl(5));
    solo.request(Request::ping(addr(2)).ttl(0));
    solo.request(Request::ping(addr(3)));
    solo.advance_ms(5_000);
    for (to, ttl) in [(addr(1), Some(5)), (addr(2), None), (addr(3), None)] {
        let to_it: Vec<_> = solo.sent.iter().filter(|sent| sent.to == to).collect();
        assert_eq!(to_it.len(), 4);
        assert!(to_it.iter().all(|sent| sent.ttl == ttl));
    }
}

#[test]
fn the_socket_of_a_request_is_fixed_when_it_is_made() {
    // Made while firewalled, it goes on by the client socket when the node is not any more.
    let mut config = Config::default();
    config.bootstrap = vec![addr(50).into()];
    config.ephemeral = Some(false);
    config.firewalled = true;
    let mut solo = Solo::unbound(config);
    solo.peers.insert(addr(50), Fake::default());
    let id = solo.node.request(solo.now, Request::ping(addr(1))).unwrap();
    solo.bind();
    solo.run_until(|solo| {
        // PING_NAT is answered at the server socket, whose port is the public one.
        let nat = solo.sent.iter().rposition(|s| s.as_request().is_some_and(|r| r.command == 1));
        if let Some(at) = nat {
            let tid = solo.sent.remove(at).request().tid;
            let mut bytes = Forged::by(addr(50)).bytes(tid);
            bytes[8..10].copy_from_slice(&2000u16.to_le_bytes());
            solo.send(Duration::ZERO, Via::Server, addr(50), bytes);
        }
        !solo.node.firewalled() || solo.node.bootstrapped()
    });
    assert!(!solo.node.firewalled());
    assert_eq!(solo.response(id), Err(RequestError::Timeout));
    let vias: Vec<_> = solo.sent.iter().filter(|s| s.to == addr(1)).map(|s| s.via).collect();
    assert_eq!(vias, [Via::Client; 4]);
    solo.request(Request::ping(addr(2)));
    assert_eq!(solo.sent.last().map(|sent| sent.via), Some(Via::Server));
}

#[test]
fn what_is_asked_before_the_bind_leaves_with_it() {
    let mut solo = Solo::unbound(Config::default());
    let early = solo.request(Request::ping(addr(1)));
    let query = solo.query(Query::find_node(target(1)).nodes([addr(2)]));
    solo.advance_ms(60_000);
    assert_eq!((solo.sent.len(), solo.node.poll_timeout()), (0, None));
    solo.peers.extend([1, 2].map(|n| (addr(n), Fake::default())));
    solo.bind();
    assert_eq!(solo.sent.len(), 2);
    let start = solo.now;
    assert_eq!(solo.response(early).unwrap().rtt, LATENCY);
    assert_eq!(ms_since(start, solo.now), 20, "its time-out runs from the bind");
    solo.run_until(|solo| solo.events.contains(&Event::Finished(query)));
}

#[test]
fn a_cancelled_request_is_forgotten() {
    let mut solo = Solo::new();
    let (a, b) = (solo.request(Request::ping(addr(1))), solo.request(Request::ping(addr(2))));
    let tid = solo.sent[0].request().tid;
    solo.node.cancel_request(solo.now, a);
    let _ = solo.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid));
    solo.advance_ms(5_000);
    assert_eq!(solo.asked(PING), [addr(1), addr(2), addr(2), addr(2), addr(2)]);
    assert_eq!(solo.events.iter().filter(|e| matches!(e, Event::Response(_))).count(), 1);
    assert_eq!(solo.node.take_response(a), None);
    assert_eq!(solo.stats().drops.unsolicited, 1);
    let requests = solo.stats().requests;
    assert_eq!((requests.cancelled, requests.timeouts, requests.active), (1, 1, 0));
    // One that has ended can be forgotten too, and so again.
    solo.node.cancel_request(solo.now, b);
    solo.node.cancel_request(solo.now, b);
    assert_eq!(solo.node.take_response(b), None);
    assert_eq!(solo.stats().requests, requests);
}

#[test]
fn a_session_ends_what_belongs_to_it() {
    let mut solo = Solo::new();
    let (ours, theirs) = (SessionId(1), SessionId(2));
    let sent = solo.request(Request::ping(addr(1)).session(ours));
    let other = solo.request(Request::ping(addr(2)).session(theirs));
    let none = solo.request(Request::ping(addr(3)));
    let query = solo.query(Query::find_node(target(1)).nodes([addr(4)]).session(ours));
    let commits = Query::find_node(target(1)).nodes([addr(5)]).session(ours).commit();
    let commits = solo.query(commits);
    let others = solo.query(Query::find_node(target(1)).nodes([addr(6)]).session(theirs));
    solo.sent.clear();
    solo.node.end_session(solo.now, ours);
    assert_eq!(solo.node.take_response(sent), Some(Err(RequestError::Destroyed)));
    assert_eq!(solo.node.take_outcome(query).unwrap().unwrap().asked, 1);
    let nobody =
        dht_core::QueryError::TooFewNodes { asked: 1, answered: 0, without_id: 0, timed_out: 0 };
    assert_eq!(solo.node.take_outcome(commits), Some(Err(nobody)));
    solo.run_until(|solo| solo.node.take_outcome(others).is_some());
    assert_eq!(solo.response(other), Err(RequestError::Timeout));
    assert_eq!(solo.response(none), Err(RequestError::Timeout));
    assert!(solo.sent.iter().all(|sent| [addr(2), addr(3), addr(6)].contains(&sent.to)));
    // A session that is over or was never used can be ended, and used again.
    solo.node.end_session(solo.now, ours);
    solo.node.end_session(solo.now, SessionId(u64::MAX));
    let again = solo.request(Request::ping(addr(1)).session(ours));
    assert_eq!(solo.response(again), Err(RequestError::Timeout));
}

#[test]
fn suspension_and_close_end_requests_at_once() {
    let mut solo = Solo::new();
    let id = solo.request(Request::ping(addr(1)));
    solo.node.suspend(solo.now);
    assert_eq!(solo.node.take_response(id), Some(Err(RequestError::Suspended)));
    let ping = || Request::ping(addr(1));
    assert_eq!(solo.node.request(solo.now, ping()), Err(SendError::Suspended));
    let query = || Query::find_node(target(1));
    assert_eq!(solo.node.query(solo.now, query()), Err(SendError::Suspended));
    solo.node.resume(solo.now);
    let held = solo.node.request(solo.now, ping()).unwrap();
    solo.flush();
    assert_eq!(solo.sent.len(), 1, "it waits for the bind");
    solo.bind();
    assert_eq!(solo.sent.len(), 2);
    solo.node.close(solo.now);
    assert_eq!(solo.node.take_response(held), Some(Err(RequestError::Destroyed)));
    assert_eq!(solo.node.request(solo.now, ping()), Err(SendError::Closed));
    assert_eq!(solo.node.query(solo.now, query()), Err(SendError::Closed));
    assert_eq!(solo.stats().requests.cancelled, 2);
}

#[test]
fn nothing_is_sent_to_impossible_addresses() {
    let mut solo = Solo::new();
    for ip in [Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::UNSPECIFIED] {
        let nowhere = SocketAddrV4::new(ip, if ip.is_unspecified() { 4000 } else { 0 });
        let refused = solo.node.request(solo.now, Request::ping(nowhere));
        assert_eq!(refused, Err(SendError::InvalidAddress));
    }
    let above = Request::new(addr(1), 1 << 53);
    assert_eq!(solo.node.request(solo.now, above), Err(SendError::OutOfRange));
    assert_eq!(
        solo.node.query(solo.now, Query::new(target(1), 1 << 53)),
        Err(SendError::OutOfRange)
    );
    solo.flush();
    assert_eq!(solo.sent, []);
    // But to whatever else the user says, loopback included.
    solo.request(Request::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), (1 << 53) - 1));
    assert_eq!(solo.sent.len(), 1);
}

#[test]
fn adaptive_timeouts_learn_from_first_tries_only() {
    let mut config = Config::default();
    config.adaptive_timeout = true;
    // (ignored datagrams, the first time-out afterwards is that of a known destination)
    for (deaf, known) in [(0, true), (1, false)] {
        let mut solo = Solo::with(config.clone());
        let start = solo.now;
        solo.peers.insert(addr(1), Fake { deaf, ..Fake::default() });
        let id = solo.request(Request::ping(addr(1)));
        solo.response(id).unwrap();
        if deaf > 0 {
            let waited = times(&solo, start)[1];
            assert!((250..506).contains(&waited), "unknown: 250 ms and jitter, not {waited}");
        }
        solo.sent.clear();
        solo.peers.clear();
        let start = solo.now;
        let id = solo.request(Request::ping(addr(1)));
        solo.response(id).unwrap_err();
        let tries = times(&solo, start);
        // A known one waits at least 300 ms and, being fast, no more than that and jitter;
        // an unknown one doubles.
        let fourth = ms_since(start, solo.now) - tries[3];
        assert_eq!(fourth < 1_000, known, "{tries:?} and {fourth}");
    }
}

#[test]
fn a_delayed_ping_says_nothing_of_how_far_away_somebody_is() {
    let mut config = Config::default();
    config.adaptive_timeout = true;
    let mut solo = Solo::with(config);
    let latency = Duration::from_secs(4);
    solo.peers.insert(addr(1), Fake { latency, ..Fake::default() });
    let id = solo.request(Request::delayed_ping(addr(1), latency));
    solo.response(id).unwrap();
    solo.peers.clear();
    solo.sent.clear();
    let start = solo.now;
    solo.request(Request::ping(addr(1)));
    solo.advance_ms(2_000);
    let waited = times(&solo, start)[1];
    assert!((250..506).contains(&waited), "as for a stranger, not {waited}");
}
