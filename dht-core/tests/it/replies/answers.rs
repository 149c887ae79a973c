//! Answers of the application, and requests that it passes on.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use dht_core::{Answer, Config, SendError, Via, error_code};

use crate::support::lab::*;

fn knowing(count: u32) -> Lab {
    let mut lab = Lab::alone();
    (100..100 + count).for_each(|n| lab.add_node(addr(n)));
    lab
}

#[test]
fn what_goes_along_by_default_and_what_is_switched() {
    let mut lab = knowing(30);
    let hello = || Answer::value(&b"hello"[..]);
    // (answer, error, value, token, closer nodes)
    let cases = [
        (hello(), 0, Some(&b"hello"[..]), true, 20),
        (hello().token(false), 0, Some(b"hello"), false, 20),
        (hello().closer_nodes(false), 0, Some(b"hello"), true, 0),
        (hello().token(false).closer_nodes(false), 0, Some(b"hello"), false, 0),
        (Answer::value(&b""[..]), 0, Some(b""), true, 20),
        (Answer::empty(), 0, None, true, 20),
        (Answer::error(16), 16, None, false, 20),
        (Answer::error((1 << 53) - 1), (1 << 53) - 1, None, false, 20),
        (Answer::error(16).token(true), 16, None, true, 20),
        (Answer::error(16).closer_nodes(false), 16, None, false, 0),
    ];
    for (answer, error, value, token, nodes) in cases {
        for (about, nodes) in [(Some(target(1)), nodes), (None, 0)] {
            let ask = Ask { target: about, ..Ask::user(16) };
            let sent = lab.serve(addr(1), &ask, answer.clone());
            let response = sent.response();
            assert_eq!((response.error, response.value), (error, value), "{answer:?}");
            assert_eq!(response.token.is_some(), token, "{answer:?}");
            assert_eq!(sent.nodes().len(), nodes, "{answer:?}, target: {}", about.is_some());
            assert_eq!(response.closer_nodes.is_some(), nodes > 0, "an empty list is left out");
            assert_eq!((sent.to, sent.via, response.tid), (addr(1), Via::Server, 0x1234));
        }
    }
}

#[test]
fn an_answer_may_come_late_twice_or_never() {
    let mut lab = knowing(0);
    let to = lab.ask_application(addr(1), &Ask::user(16));
    lab.ask_application(addr(1), &Ask { tid: 2, ..Ask::user(16) });
    lab.run_for(Duration::from_secs(3_600));
    assert_eq!(lab.sent, [], "a handler that does nothing means silence");
    for value in ["late", "twice"] {
        lab.node.reply(lab.now, to, Answer::value(value.as_bytes())).unwrap();
    }
    lab.flush();
    let values: Vec<_> = lab.sent.iter().map(|sent| sent.response().value.unwrap()).collect();
    assert_eq!(values, [&b"late"[..], b"twice"]);
}

#[test]
fn an_answer_may_take_another_way() {
    let mut lab = knowing(0);
    let sent = lab.serve(addr(1), &Ask::user(16), Answer::empty().via(Via::Client));
    assert_eq!((sent.to, sent.via), (addr(1), Via::Client));
    let sent = lab.serve(addr(1), &Ask::user(16), Answer::empty().to(addr(2)).via(Via::Extra(1)));
    assert_eq!((sent.to, sent.via), (addr(2), Via::Extra(1)));
}

#[test]
fn a_request_is_relayed_as_it_was_but_for_token_and_value() {
    let mut lab = knowing(5);
    let token = [9; 32];
    let first = Ask { tid: 0xbeef, ..Ask::user(40) };
    for (about, value) in [(Some(target(4)), Some(&b"new"[..])), (None, None)] {
        let original = Ask { target: about, ..first.clone() }.value(b"old");
        let to = lab.ask_application(addr(1), &original);
        let value = value.map(Bytes::from_static);
        lab.node.relay(lab.now, to, addr(3), value.clone()).unwrap();
        lab.flush();
        let sent = lab.take_sent();
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].to, sent[0].via), (addr(3), Via::Server));
        let relayed = sent[0].request();
        assert_eq!((relayed.tid, relayed.command, relayed.internal), (0xbeef, 40, false));
        assert_eq!(relayed.target.copied(), about.map(|about| *about.as_bytes()));
        assert_eq!((relayed.value, relayed.token), (value.as_deref(), None));
        assert_eq!((relayed.to, relayed.id), (addr(3), None));
    }
    // A request with the bad token is dropped before it reaches the application.
    assert_eq!(lab.ask(addr(1), &first.token(token)).len(), 1);
    // A relayed request is not one of the node's own: it is not retried, counted or waited for.
    lab.run_ms(4_900);
    assert_eq!(lab.sent, []);
    assert_eq!(lab.stats().requests.total, 0);
}

#[test]
fn a_relayed_request_carries_the_id_of_a_persistent_node() {
    let mut lab = Lab::persistent();
    let to = lab.ask_application(addr(1), &Ask::user(40));
    lab.node.relay(lab.now, to, addr(3), None).unwrap();
    lab.flush();
    let id = lab.node.id().unwrap();
    assert_eq!(lab.sent[0].request().id, Some(id.as_bytes()));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut lab = knowing(0);
    let to = lab.ask_application(addr(1), &Ask::user(16));
    let (node, now) = (&mut lab.node, lab.now);
    let nowhere =
        [SocketAddrV4::new(*addr(2).ip(), 0), SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 4000)];
    for addr in nowhere {
        let sent = node.reply(now, to, Answer::empty().to(addr));
        assert_eq!(sent, Err(SendError::InvalidAddress), "{addr}");
        assert_eq!(node.relay(now, to, addr, None), Err(SendError::InvalidAddress), "{addr}");
    }
    assert_eq!(node.reply(now, to, Answer::error(1 << 53)), Err(SendError::OutOfRange));
    lab.flush();
    assert_eq!(lab.sent, []);
    lab.node.suspend(lab.now);
    assert_eq!(lab.node.reply(lab.now, to, Answer::empty()), Err(SendError::Suspended));
    assert_eq!(lab.node.relay(lab.now, to, addr(2), None), Err(SendError::Suspended));
    lab.node.close(lab.now);
    assert_eq!(lab.node.reply(lab.now, to, Answer::empty()), Err(SendError::Closed));
    assert_eq!(lab.node.relay(lab.now, to, addr(2), None), Err(SendError::Closed));
}

#[test]
fn answers_wait_up_to_a_bound() {
    for max in [1, 3] {
        let mut config = Config::default();
        config.max_replies = max;
        let mut lab = Lab::started(config);
        let to = lab.ask_application(addr(1), &Ask::user(16));
        for _ in 0..max {
            lab.node.reply(lab.now, to, Answer::empty()).unwrap();
        }
        assert_eq!(lab.node.reply(lab.now, to, Answer::empty()), Err(SendError::Busy));
        assert_eq!(lab.node.relay(lab.now, to, addr(3), None), Err(SendError::Busy));
        let ping = Ask::internal(PING).bytes();
        let _ = lab.node.handle_datagram(lab.now, Via::Server, addr(1), &ping);
        assert_eq!(lab.stats().drops.replies, 3);
        lab.flush();
        assert_eq!(lab.sent.len(), max);
        lab.node.reply(lab.now, to, Answer::empty()).unwrap();
    }
}

#[test]
fn answers_given_before_the_close_still_leave() {
    let mut lab = knowing(0);
    let to = lab.ask_application(addr(1), &Ask::user(16));
    lab.node.reply(lab.now, to, Answer::error(error_code::UNKNOWN_COMMAND)).unwrap();
    lab.node.close(lab.now);
    lab.flush();
    assert_eq!(lab.sent.len(), 1);
}
