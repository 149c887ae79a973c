//! Single requests: how often and when they are tried, how they end, what they carry.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Query, Request, RequestError, SendError, SessionId, Via};

use crate::support::lab::*;

/// When datagrams left, in milliseconds.
fn times(lab: &Lab, start: dht_core::Instant) -> Vec<u128> {
    lab.sent.iter().map(|sent| ms_since(start, sent.at)).collect()
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
        let mut lab = Lab::persistent();
        let start = lab.now;
        let id = lab.request(request);
        assert_eq!(lab.result(id), Err(RequestError::Timeout));
        assert_eq!(ms_since(start, lab.now), tries * 1000, "given up after the last try's second");
        assert_eq!(times(&lab, start), (0..tries).map(|n| n * 1000).collect::<Vec<_>>());
        assert!(lab.sent.iter().all(|sent| sent.bytes == lab.sent[0].bytes));
        let requests = lab.stats().requests;
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
        let mut lab = Lab::alone();
        lab.walk(query.nodes([addr(1)]).thorough()).1.unwrap();
        // After fewer than four tries the node is asked FIND_NODE in the background.
        let (visits, others): (Vec<_>, Vec<_>) =
            lab.sent.iter().partition(|sent| sent.bytes == lab.sent[0].bytes);
        assert_eq!(visits.len(), tries);
        assert!(others.iter().all(|sent| sent.is(FIND_NODE)) && others.is_empty() == (tries >= 4));
    }
}

#[test]
fn an_answer_to_any_try_will_do() {
    for deaf in 0..4 {
        let mut lab = Lab::alone();
        lab.peers.insert(addr(1), Peer { deaf, value: Some(vec![5]), ..Peer::default() });
        let id = lab.request(Request::new(addr(1), 16));
        let reply = lab.result(id).unwrap();
        assert_eq!((reply.from.addr, reply.value.as_deref()), (addr(1), Some(&[5][..])));
        assert_eq!(reply.seen_as, SocketAddrV4::new(HOST, 1000));
        assert_eq!(lab.sent.len(), deaf as usize + 1);
        // The round trip is measured from the last transmission, not from the first.
        assert_eq!(reply.rtt, RTT);
        assert_eq!(lab.node.take_response(id), None, "a result is taken once");
    }
}

#[test]
fn rtt_does_not_count_the_wait_for_a_place() {
    let mut config = Config::default();
    config.max_window = 1;
    let mut lab = Lab::started(config);
    lab.request(Request::ping(addr(1)));
    lab.peers.insert(addr(2), Peer::default());
    let id = lab.request(Request::ping(addr(2)));
    let start = lab.now;
    assert_eq!(lab.result(id).unwrap().rtt, RTT);
    assert!(ms_since(start, lab.now) > 700, "it has waited");
}

#[test]
fn a_delayed_ping_waits_longer_at_every_try() {
    let mut lab = Lab::alone();
    let start = lab.now;
    let id = lab.request(Request::delayed_ping(addr(1), Duration::from_millis(2_500)));
    let request = lab.sent[0].request();
    assert_eq!((request.internal, request.command), (true, DELAYED_PING));
    assert_eq!(request.value, Some(&2_500u32.to_le_bytes()[..]));
    assert_eq!(lab.result(id), Err(RequestError::Timeout));
    assert_eq!(times(&lab, start), [0, 3_500, 7_000, 10_500]);
    assert_eq!(ms_since(start, lab.now), 14_000);
}

#[test]
fn a_ping_may_be_delayed_by_so_much() {
    let mut lab = Lab::alone();
    let max = Duration::from_secs(10);
    lab.node.request(lab.now, Request::delayed_ping(addr(1), max)).unwrap();
    for above in [max + Duration::from_millis(1), Duration::MAX] {
        let refused = lab.node.request(lab.now, Request::delayed_ping(addr(1), above));
        assert_eq!(refused, Err(SendError::DelayTooLong { max }));
    }
    assert_eq!(lab.stats().requests.total, 1);
}

#[test]
fn a_ttl_goes_with_every_try() {
    let mut lab = Lab::alone();
    lab.request(Request::ping(addr(1)).ttl(5));
    lab.request(Request::ping(addr(2)).ttl(0));
    lab.request(Request::ping(addr(3)));
    lab.run_ms(5_000);
    for (to, ttl) in [(addr(1), Some(5)), (addr(2), None), (addr(3), None)] {
        let to_it: Vec<_> = lab.sent.iter().filter(|sent| sent.to == to).collect();
        assert_eq!(to_it.len(), 4);
        assert!(to_it.iter().all(|sent| sent.ttl == ttl));
    }
}

#[test]
fn the_socket_of_a_request_is_fixed_when_it_is_made() {
    // A request made while firewalled keeps the client socket when the node is reachable later.
    let mut config = Config::default();
    config.bootstrap = vec![addr(50).into()];
    config.ephemeral = Some(false);
    config.firewalled = true;
    let mut lab = Lab::unbound(config);
    lab.peers.insert(addr(50), Peer::default());
    let id = lab.node.request(lab.now, Request::ping(addr(1))).unwrap();
    lab.bind();
    lab.run_until(|lab| {
        // PING_NAT is answered at the server socket, whose port is the public one.
        let nat = lab.sent.iter().rposition(|s| s.as_request().is_some_and(|r| r.command == 1));
        if let Some(at) = nat {
            let tid = lab.sent.remove(at).request().tid;
            let mut bytes = Forged::by(addr(50)).bytes(tid);
            bytes[8..10].copy_from_slice(&2000u16.to_le_bytes());
            lab.arrive(lab.now, Via::Server, addr(50), &bytes);
        }
        !lab.node.firewalled() || lab.node.bootstrapped()
    });
    assert!(!lab.node.firewalled());
    assert_eq!(lab.result(id), Err(RequestError::Timeout));
    let vias: Vec<_> = lab.sent.iter().filter(|s| s.to == addr(1)).map(|s| s.via).collect();
    assert_eq!(vias, [Via::Client; 4]);
    lab.request(Request::ping(addr(2)));
    assert_eq!(lab.sent.last().map(|sent| sent.via), Some(Via::Server));
}

#[test]
fn what_is_asked_before_the_bind_leaves_with_it() {
    let mut lab = Lab::unbound(Config::default());
    let early = lab.request(Request::ping(addr(1)));
    let query = lab.query(Query::find_node(target(1)).nodes([addr(2)]));
    lab.run_ms(60_000);
    assert_eq!((lab.sent.len(), lab.node.poll_timeout()), (0, None));
    lab.peers.extend([1, 2].map(|n| (addr(n), Peer::default())));
    lab.bind();
    assert_eq!(lab.sent.len(), 2);
    let start = lab.now;
    assert_eq!(lab.result(early).unwrap().rtt, RTT);
    assert_eq!(ms_since(start, lab.now), 20, "its time-out runs from the bind");
    lab.run_until(|lab| lab.events.contains(&Event::Finished(query)));
}

#[test]
fn a_cancelled_request_is_forgotten() {
    let mut lab = Lab::alone();
    let (a, b) = (lab.request(Request::ping(addr(1))), lab.request(Request::ping(addr(2))));
    let tid = lab.sent[0].request().tid;
    lab.node.cancel_request(lab.now, a);
    let _ = lab.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid));
    lab.run_ms(5_000);
    assert_eq!(lab.asked(PING), [addr(1), addr(2), addr(2), addr(2), addr(2)]);
    assert_eq!(lab.events.iter().filter(|e| matches!(e, Event::Response(_))).count(), 1);
    assert_eq!(lab.node.take_response(a), None);
    assert_eq!(lab.stats().drops.unsolicited, 1);
    let requests = lab.stats().requests;
    assert_eq!((requests.cancelled, requests.timeouts, requests.active), (1, 1, 0));
    // A request that has ended can be cancelled as well, even twice.
    lab.node.cancel_request(lab.now, b);
    lab.node.cancel_request(lab.now, b);
    assert_eq!(lab.node.take_response(b), None);
    assert_eq!(lab.stats().requests, requests);
}

#[test]
fn a_session_ends_what_belongs_to_it() {
    let mut lab = Lab::alone();
    let (ours, theirs) = (SessionId(1), SessionId(2));
    let sent = lab.request(Request::ping(addr(1)).session(ours));
    let other = lab.request(Request::ping(addr(2)).session(theirs));
    let none = lab.request(Request::ping(addr(3)));
    let query = lab.query(Query::find_node(target(1)).nodes([addr(4)]).session(ours));
    let commits = Query::find_node(target(1)).nodes([addr(5)]).session(ours).commit();
    let commits = lab.query(commits);
    let others = lab.query(Query::find_node(target(1)).nodes([addr(6)]).session(theirs));
    lab.sent.clear();
    lab.node.end_session(lab.now, ours);
    assert_eq!(lab.node.take_response(sent), Some(Err(RequestError::Destroyed)));
    assert_eq!(lab.node.take_outcome(query).unwrap().unwrap().asked, 1);
    let nobody = unanswered(1);
    assert_eq!(lab.node.take_outcome(commits), Some(Err(nobody)));
    lab.run_until(|lab| lab.node.take_outcome(others).is_some());
    assert_eq!(lab.result(other), Err(RequestError::Timeout));
    assert_eq!(lab.result(none), Err(RequestError::Timeout));
    assert!(lab.sent.iter().all(|sent| [addr(2), addr(3), addr(6)].contains(&sent.to)));
    // A session that is over or was never used can be ended, and used again.
    lab.node.end_session(lab.now, ours);
    lab.node.end_session(lab.now, SessionId(u64::MAX));
    let again = lab.request(Request::ping(addr(1)).session(ours));
    assert_eq!(lab.result(again), Err(RequestError::Timeout));
}

#[test]
fn suspension_and_close_end_requests_at_once() {
    let mut lab = Lab::alone();
    let id = lab.request(Request::ping(addr(1)));
    lab.node.suspend(lab.now);
    assert_eq!(lab.node.take_response(id), Some(Err(RequestError::Suspended)));
    let ping = || Request::ping(addr(1));
    assert_eq!(lab.node.request(lab.now, ping()), Err(SendError::Suspended));
    let query = || Query::find_node(target(1));
    assert_eq!(lab.node.query(lab.now, query()), Err(SendError::Suspended));
    lab.node.resume(lab.now);
    let held = lab.node.request(lab.now, ping()).unwrap();
    lab.flush();
    assert_eq!(lab.sent.len(), 1, "it waits for the bind");
    lab.bind();
    assert_eq!(lab.sent.len(), 2);
    lab.node.close(lab.now);
    assert_eq!(lab.node.take_response(held), Some(Err(RequestError::Destroyed)));
    assert_eq!(lab.node.request(lab.now, ping()), Err(SendError::Closed));
    assert_eq!(lab.node.query(lab.now, query()), Err(SendError::Closed));
    assert_eq!(lab.stats().requests.cancelled, 2);
}

#[test]
fn nothing_is_sent_to_impossible_addresses() {
    let mut lab = Lab::alone();
    for ip in [Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::UNSPECIFIED] {
        let nowhere = SocketAddrV4::new(ip, if ip.is_unspecified() { 4000 } else { 0 });
        let refused = lab.node.request(lab.now, Request::ping(nowhere));
        assert_eq!(refused, Err(SendError::InvalidAddress));
    }
    let above = Request::new(addr(1), 1 << 53);
    assert_eq!(lab.node.request(lab.now, above), Err(SendError::OutOfRange));
    assert_eq!(lab.node.query(lab.now, Query::new(target(1), 1 << 53)), Err(SendError::OutOfRange));
    lab.flush();
    assert_eq!(lab.sent, []);
    // Any other address of the user's is allowed, loopback included.
    lab.request(Request::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), (1 << 53) - 1));
    assert_eq!(lab.sent.len(), 1);
}

#[test]
fn adaptive_timeouts_learn_from_first_tries_only() {
    let mut config = Config::default();
    config.adaptive_timeout = true;
    // (how many datagrams the peer ignores, whether the peer counts as known for the next timeout)
    for (deaf, known) in [(0, true), (1, false)] {
        let mut lab = Lab::started(config.clone());
        let start = lab.now;
        lab.peers.insert(addr(1), Peer { deaf, ..Peer::default() });
        let id = lab.request(Request::ping(addr(1)));
        lab.result(id).unwrap();
        if deaf > 0 {
            let waited = times(&lab, start)[1];
            assert!((250..506).contains(&waited), "unknown: 250 ms and jitter, not {waited}");
        }
        lab.sent.clear();
        lab.peers.clear();
        let start = lab.now;
        let id = lab.request(Request::ping(addr(1)));
        lab.result(id).unwrap_err();
        let tries = times(&lab, start);
        // The timeout of a known peer is at least 300 ms and, since the peer is fast, no more than
        // that and jitter; the timeout of an unknown peer doubles.
        let fourth = ms_since(start, lab.now) - tries[3];
        assert_eq!(fourth < 1_000, known, "{tries:?} and {fourth}");
    }
}

#[test]
fn a_delayed_ping_says_nothing_of_how_far_away_somebody_is() {
    let mut config = Config::default();
    config.adaptive_timeout = true;
    let mut lab = Lab::started(config);
    let latency = Duration::from_secs(4);
    lab.peers.insert(addr(1), Peer { rtt: latency, ..Peer::default() });
    let id = lab.request(Request::delayed_ping(addr(1), latency));
    lab.result(id).unwrap();
    lab.peers.clear();
    lab.sent.clear();
    let start = lab.now;
    lab.request(Request::ping(addr(1)));
    lab.run_ms(2_000);
    let waited = times(&lab, start)[1];
    assert!((250..506).contains(&waited), "as for a stranger, not {waited}");
}
