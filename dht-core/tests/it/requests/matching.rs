//! Which answer belongs to which request: transaction ids, sources, strangers and liars.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Query, Request, RequestError, SendError, Via};

use crate::support::lab::*;

/// A loopback address, to which no limit per network applies.
fn local(n: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 1), n)
}

/// A configuration that allows 60,000 requests in flight.
fn roomy() -> Config {
    let mut config = Config::default();
    config.max_requests = 60_000;
    config.max_window = 16_384;
    config.max_ping_delay = Duration::from_secs(3_600);
    config
}

fn tids(lab: &Lab) -> Vec<u16> {
    lab.sent.iter().map(|sent| sent.request().tid).collect()
}

#[test]
fn no_wrong_source_is_ever_believed() {
    let mut lab = Lab::alone();
    let id = lab.request(Request::new(addr(1), 16));
    let tid = lab.sent[0].request().tid;
    let right = addr(1);
    let wrong = [
        SocketAddrV4::new(*right.ip(), right.port() + 1),
        SocketAddrV4::new((u32::from(*right.ip()) + 1).into(), right.port()),
        addr(2),
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, right.port()),
    ];
    for (n, from) in (1..).zip(wrong) {
        for via in [Via::Client, Via::Server] {
            let _ = lab.hand_in(via, from, &Forged::by(from).bytes(tid));
            assert_eq!(lab.node.take_response(id), None, "{from}");
        }
        assert_eq!(lab.stats().drops.wrong_source, 2 * n);
    }
    // The right source, with every other tid.
    let mut bytes = Forged::by(right).bytes(0);
    for other in (0..=u16::MAX).filter(|other| *other != tid) {
        bytes[2..4].copy_from_slice(&other.to_le_bytes());
        let _ = lab.node.handle_datagram(lab.now, Via::Client, right, &bytes);
    }
    assert_eq!(lab.node.take_response(id), None);
    assert_eq!(lab.stats().drops.unsolicited, 65_535);
    assert_eq!((lab.node.table_len(), lab.node.host()), (0, None));
    let _ = lab.hand_in(Via::Client, right, &Forged::by(right).bytes(tid));
    assert!(lab.node.take_response(id).unwrap().is_ok());
}

#[test]
fn who_waits_in_vain_hears_of_an_answer_that_came_from_elsewhere() {
    let right = addr(1);
    let host = SocketAddrV4::new((u32::from(*right.ip()) + 1).into(), right.port());
    let port = SocketAddrV4::new(*right.ip(), right.port() + 1);
    let other = SocketAddrV4::new(*host.ip(), port.port());
    for (from, told) in [(host, true), (port, true), (other, false)] {
        let mut lab = Lab::alone();
        let id = lab.request(Request::ping(right));
        let tid = lab.sent[0].request().tid;
        let _ = lab.hand_in(Via::Client, from, &Forged::by(from).bytes(tid));
        assert_eq!(lab.node.answered_instead(right), told.then_some(from));
        let error = lab.result(id).unwrap_err();
        let expected = if told { RequestError::Elsewhere(from) } else { RequestError::Timeout };
        assert_eq!((error, error.code()), (expected, "REQUEST_TIMEOUT"));
        assert_eq!(error.to_string().contains(&from.to_string()), told);
        // The answer from elsewhere counts for nothing else.
        assert_eq!((lab.node.table_len(), lab.node.online(), lab.node.host()), (0, false, None));
        let requests = lab.stats().requests;
        assert_eq!((requests.timeouts, requests.responses, requests.retries), (1, 0, 3));
        assert_eq!(lab.stats().drops.wrong_source, 1);

        // A while later the node has forgotten that answer.
        lab.run_ms(20_000);
        assert_eq!(lab.node.answered_instead(right), None);
        let id = lab.request(Request::ping(right));
        assert_eq!(lab.result(id), Err(RequestError::Timeout));
        // Nor is an answer from elsewhere told once the right address has answered.
        let again = lab.request(Request::ping(right));
        let tid = lab.sent.last().unwrap().request().tid;
        let _ = lab.hand_in(Via::Client, from, &Forged::by(from).bytes(tid));
        let _ = lab.hand_in(Via::Client, right, &Forged::by(right).bytes(tid));
        assert!(lab.result(again).is_ok());
        assert_eq!(lab.node.answered_instead(right), None);
    }
}

#[test]
fn a_request_that_waits_can_not_be_answered_yet() {
    let mut config = Config::default();
    config.max_window = 1;
    let mut lab = Lab::started(config);
    lab.request(Request::ping(addr(1)));
    let waiting = lab.request(Request::ping(addr(2)));
    let mut bytes = Forged::by(addr(2)).bytes(0);
    for tid in 0..=u16::MAX {
        bytes[2..4].copy_from_slice(&tid.to_le_bytes());
        let _ = lab.node.handle_datagram(lab.now, Via::Client, addr(2), &bytes);
    }
    assert_eq!(lab.node.take_response(waiting), None);
    assert_eq!(lab.node.table_len(), 0);
}

#[test]
fn a_duplicate_or_late_answer_changes_nothing() {
    let mut lab = Lab::alone();
    lab.peers.insert(addr(1), Peer::default());
    let id = lab.request(Request::ping(addr(1)));
    let tid = lab.sent[0].request().tid;
    lab.result(id).unwrap();
    let events = lab.events.len();
    let _ = lab.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid));
    let late = lab.request(Request::ping(addr(2)).retries(0));
    let tid = lab.sent[1].request().tid;
    assert_eq!(lab.result(late), Err(RequestError::Timeout));
    let _ = lab.hand_in(Via::Client, addr(2), &Forged::by(addr(2)).bytes(tid));
    assert_eq!((lab.events.len(), lab.node.table_len()), (events + 1, 1));
    assert_eq!(lab.stats().drops.unsolicited, 2);
    assert_eq!(lab.stats().requests.responses, 1);
}

#[test]
fn after_eight_strays_a_retry_has_a_new_tid_and_the_old_one_still_counts() {
    for (strays, renewed) in [(0, false), (7, false), (8, true), (9, true)] {
        for answers_old in [false, true] {
            let mut lab = Lab::alone();
            let id = lab.request(Request::new(addr(1), 16));
            let first = lab.sent[0].request().tid;
            for n in 0..strays {
                let _ = lab.hand_in(Via::Client, addr(2 + n), &Forged::default().bytes(first));
            }
            assert_eq!(lab.sent.len(), 1, "a stray causes nothing by itself");
            lab.run_ms(1_000);
            let second = lab.sent[1].request().tid;
            assert_eq!(first != second, renewed, "{strays} strays");
            // A second tid is drawn once only: an attacker guesses two tids twice as easily as one.
            for n in 0..9 {
                let _ = lab.hand_in(Via::Client, addr(2 + n), &Forged::default().bytes(second));
            }
            if renewed {
                lab.run_ms(1_000);
                assert_eq!(lab.sent[2].request().tid, second);
            }
            let tid = if answers_old { first } else { second };
            let _ = lab.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid));
            assert!(lab.node.take_response(id).unwrap().is_ok());
            // Neither tid counts any more.
            for tid in [first, second] {
                let _ = lab.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid));
            }
            assert_eq!(lab.stats().requests.responses, 1);
        }
    }
}

#[test]
fn some_requests_may_be_answered_by_anyone() {
    let mut lab = Lab::alone();
    let id = lab.request(Request::new(addr(1), 16).any_replier());
    let tid = lab.sent[0].request().tid;
    let _ = lab.hand_in(Via::Client, addr(2), &Forged::by(addr(2)).bytes(tid));
    let reply = lab.node.take_response(id).unwrap().unwrap();
    assert_eq!(reply.from.addr, addr(2));
    // The answer to an `any_replier` request teaches nothing, even from the address that was asked.
    let id = lab.request(Request::new(addr(1), 16).any_replier());
    let tid = lab.sent[1].request().tid;
    let _ = lab.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid));
    assert!(lab.node.take_response(id).unwrap().is_ok());
    assert_eq!((lab.node.table_len(), lab.node.host()), (0, None));
    assert_eq!(lab.stats().requests.responses, 2);
    assert_eq!(lab.stats().drops.wrong_source, 0);
    // An internal command may be answered only by the address that was asked.
    let id = lab.request(Request::ping(addr(1)).any_replier());
    let tid = lab.sent[2].request().tid;
    let _ = lab.hand_in(Via::Client, addr(2), &Forged::by(addr(2)).bytes(tid));
    assert_eq!(lab.node.take_response(id), None);
    assert_eq!(lab.stats().drops.wrong_source, 1);
}

#[test]
fn a_stray_answer_frees_no_place_in_the_window() {
    let mut config = Config::default();
    config.max_window = 1;
    for (from, frees) in [(addr(2), false), (addr(1), false)] {
        let mut lab = Lab::started(config.clone());
        lab.request(Request::new(addr(1), 16).any_replier());
        lab.request(Request::ping(addr(3)));
        let tid = lab.sent[0].request().tid;
        let _ = lab.hand_in(Via::Client, from, &Forged::by(from).bytes(tid));
        assert_eq!(lab.sent.len() == 2, frees);
    }
}

#[test]
fn a_query_is_answered_by_those_asked_only() {
    let mut lab = Lab::alone();
    let id = lab.query(Query::new(target(1), 16).nodes([addr(1)]));
    let tid = lab.sent[0].request().tid;
    let _ = lab.hand_in(Via::Client, addr(2), &Forged::by(addr(2)).bytes(tid));
    assert_eq!(lab.node.next_reply(id), None);
    assert_eq!(lab.stats().drops.wrong_source, 1);
}

#[test]
fn tids_are_drawn_not_counted() {
    let mut lab = Lab::started(roomy());
    lab.requests((0..2_000).map(|n| Request::ping(local(1 + n))));
    let tids = tids(&lab);
    let steps: BTreeSet<_> = tids.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    assert!(steps.len() > 1_900, "{} different steps", steps.len());
    for bit in 0..16 {
        let ones = tids.iter().filter(|tid| *tid >> bit & 1 == 1).count();
        assert!((850..1_150).contains(&ones), "bit {bit} is set {ones} times of 2,000");
    }
    let mut other = Lab::with_seed(roomy(), 2);
    other.bind();
    other.request(Request::ping(local(1)));
    assert_ne!(other.sent[0].request().tid, tids[0]);
}

#[test]
fn sixty_thousand_requests_have_as_many_tids() {
    let mut lab = Lab::started(roomy());
    let hour = Duration::from_secs(3_600);
    let ping = |n: u32| Request::delayed_ping(local((n % 60_000) as u16 + 1), hour);
    let ids = lab.requests((0..60_000).map(ping));
    assert_eq!(lab.node.request(lab.now, ping(0)), Err(SendError::Busy));
    lab.run_ms(9_000);
    let live: BTreeSet<_> = tids(&lab).into_iter().collect();
    assert_eq!((lab.sent.len(), live.len()), (60_000, 60_000));
    assert_eq!(lab.stats().requests.active, 60_000);
    println!(
        "S21: {} requests in flight have {} tids; one more is Busy",
        lab.sent.len(),
        live.len()
    );
    // Each answer finds its request.
    for n in [0, 1, 30_000, 59_999] {
        let sent = lab.sent.iter().find(|sent| sent.to == local(n as u16 + 1)).unwrap();
        let bytes = Forged::by(sent.to).bytes(sent.request().tid);
        let to = sent.to;
        let _ = lab.hand_in(Via::Client, to, &bytes);
        assert_eq!(lab.node.take_response(ids[n]).unwrap().unwrap().from.addr, to);
    }
    let places = (0..5).map(|n| lab.node.request(lab.now, ping(n)).is_ok());
    assert_eq!(places.filter(|ok| *ok).count(), 4);
}

/// 16,000 requests; strangers have answered each one so often that its next try draws a second tid.
fn forged_at() -> Lab {
    let mut lab = Lab::started(roomy());
    lab.requests((0..16_000).map(|n| Request::ping(local(n + 1))));
    for tid in tids(&lab) {
        let bytes = Forged::default().bytes(tid);
        for _ in 0..8 {
            let _ = lab.node.handle_datagram(lab.now, Via::Client, addr(1), &bytes);
        }
    }
    lab
}

#[test]
fn strangers_can_not_use_up_the_tids() {
    let mut lab = forged_at();
    // The 16,000 requests hold two tids each. Most of the other 33,536 tids can be taken, but no more.
    lab.run_ms(1_000);
    let more = (0..44_000).map(|n| lab.node.request(lab.now, Request::ping(local(n + 1))));
    let taken = more.filter(Result::is_ok).count();
    assert!(taken > 30_000, "{taken}");
}

#[test]
fn a_tid_without_an_answer_rests_where_it_was_sent() {
    // (whether the first 1,024 time out, milliseconds later, the next destination, whether tids return)
    for (timed_out, later, to, return_) in [
        (false, 0, local(1), false),
        (false, 5_999, local(1), false),
        (true, 0, local(1), false),
        (false, 6_000, local(1), true),
        (false, 0, local(2), true),
    ] {
        let mut lab = Lab::started(roomy());
        let ping = |to| Request::ping(to).retries(0);
        let first = lab.requests((0..1_024).map(|_| ping(local(1))));
        let rested: BTreeSet<_> = tids(&lab).into_iter().collect();
        if timed_out {
            lab.run_ms(1_000);
        } else {
            first.iter().for_each(|id| lab.node.cancel_request(lab.now, *id));
        }
        lab.run_ms(later);
        lab.sent.clear();
        lab.requests((0..4_000).map(|_| ping(to)));
        let drawn = tids(&lab);
        assert_eq!(drawn.len(), 4_000);
        let again = drawn.iter().filter(|tid| rested.contains(tid)).count();
        // If they return, then about 62 by chance.
        assert_eq!(again > 0, return_, "{later} ms later {again} tids are back for {to}");
    }
}

#[test]
fn an_answered_tid_need_not_rest() {
    let mut lab = Lab::started(roomy());
    let mut used = BTreeSet::new();
    let mut again = 0;
    for _ in 0..2_000 {
        let id = lab.request(Request::ping(local(1)));
        let tid = lab.sent.pop().unwrap().request().tid;
        again += usize::from(!used.insert(tid));
        let _ = lab.hand_in(Via::Client, local(1), &Forged::default().bytes(tid));
        assert!(lab.node.take_response(id).is_some());
    }
    assert!(again > 0, "about 30 of 2,000 come twice by chance");
}

#[test]
fn a_query_waits_while_there_are_no_tids_left() {
    let mut lab = forged_at();
    lab.run_ms(1_000);
    let mut places = (0..).map(|n| lab.node.request(lab.now, Request::ping(local(n + 1))));
    assert_eq!(places.find_map(Result::err), Some(SendError::Busy));
    // The query waits, and sends nothing before a tid is free.
    lab.peers.insert(addr(1), Peer::default());
    let id = lab.query(Query::new(target(1), 16).nodes([addr(1)]).discard_replies());
    lab.node.handle_timeout(lab.now);
    assert_eq!(lab.asked(16), []);
    lab.run_ms(20_000);
    assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().successes, 1);
}
