//! What becomes of a datagram: which request or sender it belongs to, what of it is believed, and
//! which socket the answer leaves by.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Answer, DATAGRAM_MAX, Handled, Id, Node, Request, Via};

use crate::support::lab::*;

#[test]
fn what_is_not_ours_is_left_to_the_embedder() {
    let mut lab = Lab::alone();
    let cases: [&[u8]; 9] = [
        &[],
        &[0x03],
        &[0x13],
        &[0x00, 0],
        &[0x02, 0, 0, 0],
        &[0x04, 0, 0, 0],
        &[0x23, 0, 0, 0],
        &[0xf3, 0, 0, 0],
        b"d1:ad2:id20:",
    ];
    for (n, data) in (1..).zip(cases) {
        assert_eq!(lab.hand_in(Via::Server, addr(1), data), Handled::NotOurs, "{data:x?}");
        assert_eq!(lab.stats().drops.not_ours, n);
    }
    let long = [0; DATAGRAM_MAX + 1];
    assert_eq!(lab.hand_in(Via::Server, addr(1), &long), Handled::NotOurs, "however long");
    assert_eq!(lab.sent, []);
}

#[test]
fn a_message_cut_anywhere_is_dropped_in_silence() {
    let mut lab = Lab::alone();
    let mut whole = Ask::internal(FIND_NODE).target(target(1)).value(b"padding");
    whole.id = Some(*Id::of(addr(1)).as_bytes());
    let bytes = whole.bytes();
    for cut in 2..bytes.len() {
        assert_eq!(lab.hand_in(Via::Server, addr(1), &bytes[..cut]), Handled::Consumed);
        assert_eq!(lab.stats().drops.malformed, cut as u64 - 1, "cut at {cut}");
    }
    assert_eq!(lab.sent, []);
    assert!(!lab.ask(addr(1), &whole).is_empty(), "but not the whole");
}

#[test]
fn unknown_flags_and_trailing_bytes_are_no_error() {
    let mut lab = Lab::alone();
    let mut bytes = Ask::internal(PING).bytes();
    assert_eq!(bytes[1], 4, "internal alone");
    bytes[1] = 4 | 32 | 64;
    bytes.extend([0xff; 9]);
    assert_eq!(lab.hand_in(Via::Server, addr(1), &bytes), Handled::Consumed);
    assert_eq!(lab.sent.len(), 1);
}

#[test]
fn numbers_end_where_javascript_stops_counting() {
    let mut lab = Lab::alone();
    let bytes = Ask::user((1 << 53) - 1).bytes();
    assert!(matches!(
        lab.hand_in(Via::Server, addr(1), &bytes),
        Handled::Request(incoming) if incoming.command == (1 << 53) - 1
    ));
    // The command is the last field: eight bytes, little-endian.
    let mut above = bytes;
    let at = above.len() - 8;
    above[at..].copy_from_slice(&(1u64 << 53).to_le_bytes());
    assert_eq!(lab.hand_in(Via::Server, addr(1), &above), Handled::Consumed);
    assert_eq!(lab.stats().drops.malformed, 1);
    // A small number in the long form is as good as in the short form.
    above[at..].copy_from_slice(&16u64.to_le_bytes());
    assert!(matches!(
        lab.hand_in(Via::Server, addr(1), &above),
        Handled::Request(incoming) if incoming.command == 16
    ));
}

#[test]
fn up_to_2048_bytes_are_read() {
    let mut lab = Lab::alone();
    let fixed = Ask::internal(PING).value(&[0; 1000]).bytes().len() - 1000;
    for (len, answers) in [(DATAGRAM_MAX, 1), (DATAGRAM_MAX + 1, 0)] {
        let ping = Ask::internal(PING).value(&vec![0; len - fixed]);
        assert_eq!(ping.bytes().len(), len);
        assert_eq!(lab.ask(addr(1), &ping).len(), answers, "{len} bytes");
    }
    assert_eq!(lab.stats().drops.oversize, 1);
}

#[test]
fn port_zero_asks_in_vain() {
    let mut lab = Lab::alone();
    let from = SocketAddrV4::new(*addr(1).ip(), 0);
    assert_eq!(lab.ask(from, &Ask::internal(PING)), []);
    assert_eq!(lab.hand_in(Via::Server, from, &Ask::user(16).bytes()), Handled::Consumed);
    assert_eq!(lab.stats().drops.bad_source, 2);
}

#[test]
fn nothing_is_read_before_the_bind_while_suspended_or_closed() {
    let mut lab = Lab::unbound(dht_core::Config::default());
    let ping = Ask::internal(PING);
    let steps: [fn(&mut Lab); 4] = [
        |_| {},
        |lab| {
            lab.bind();
            lab.node.suspend(lab.now);
        },
        |lab| lab.node.resume(lab.now), // but not bound yet
        |lab| lab.node.close(lab.now),
    ];
    for (n, step) in (1..).zip(steps) {
        step(&mut lab);
        assert_eq!(lab.ask(addr(1), &ping), []);
        assert_eq!(lab.stats().drops.suspended, n);
        // A datagram of another protocol is `NotOurs` in every state.
        assert_eq!(lab.hand_in(Via::Server, addr(1), &[9, 9, 9]), Handled::NotOurs);
    }
}

#[test]
fn a_wrong_id_counts_as_none() {
    let mut lab = Lab::alone();
    let own = *Id::of(addr(1)).as_bytes();
    let mut wrong = own;
    wrong[31] ^= 1;
    for (id, believed) in [
        (None, None),
        (Some(wrong), None),
        (Some(*Id::of(addr(2)).as_bytes()), None),
        (Some(own), Some(Id::of(addr(1)))),
    ] {
        let bytes = Ask { id, ..Ask::user(16) }.bytes();
        let handled = lab.hand_in(Via::Server, addr(1), &bytes);
        let Handled::Request(incoming) = handled else { panic!("{handled:?}") };
        assert_eq!((incoming.from.addr, incoming.from.id), (addr(1), believed));
    }
    // Only the last sender was worth a verification.
    assert_eq!(lab.asked(PING), [addr(1)]);
    assert_eq!(lab.stats().verifications.sent, 1);
}

#[test]
fn the_application_gets_all_that_was_sent() {
    let mut lab = Lab::alone();
    for value in [None, Some(&b""[..]), Some(&b"hello"[..])] {
        for about in [None, Some(target(3))] {
            let value_owned = value.map(<[u8]>::to_vec);
            let bytes = Ask { target: about, value: value_owned, ..Ask::user(77) }.bytes();
            let handled = lab.hand_in(Via::Client, addr(1), &bytes);
            let Handled::Request(incoming) = handled else { panic!("{handled:?}") };
            assert_eq!((incoming.command, incoming.target), (77, about));
            assert_eq!(incoming.value, value, "an empty value is not the same as none");
            assert_eq!(incoming.seen_as, SocketAddrV4::new(HOST, 2000), "as the sender believes");
            assert_eq!(incoming.token, None);
            assert_eq!((incoming.reply_to.from(), incoming.reply_to.via()), (addr(1), Via::Client));
        }
    }
}

#[test]
fn an_answer_repeats_the_tid_and_tells_the_asker_its_address() {
    let mut lab = Lab::alone();
    for tid in [0, 1, 0x00ff, 0xff00, 0xffff] {
        let sent = lab.ask(addr(9), &Ask { tid, ..Ask::internal(PING) });
        assert_eq!(sent.len(), 1);
        let response = sent[0].response();
        assert_eq!((sent[0].to, response.tid, response.to), (addr(9), tid, addr(9)));
    }
}

#[test]
fn an_answer_leaves_by_the_socket_that_was_asked() {
    // Persistence changes only whether the answer carries the id.
    for (mut lab, persistent) in [(Lab::alone(), false), (Lab::persistent(), true)] {
        for via in [Via::Client, Via::Server, Via::Extra(0), Via::Extra(7)] {
            let internal = Ask::internal(PING).bytes();
            assert_eq!(lab.hand_in(via, addr(1), &internal), Handled::Consumed);
            let user = Ask::user(16).bytes();
            let handled = lab.hand_in(via, addr(1), &user);
            let Handled::Request(incoming) = handled else { panic!("{handled:?}") };
            lab.node.reply(lab.now, incoming.reply_to, Answer::empty()).unwrap();
            lab.flush();
            let sent = lab.take_sent();
            assert_eq!(sent.len(), 2);
            for sent in sent {
                assert_eq!(sent.via, via);
                let id = lab.node.id().filter(|_| via == Via::Server);
                assert_eq!(sent.response().id.copied(), id.map(|id| *id.as_bytes()));
                assert_eq!(lab.node.id().is_some(), persistent);
            }
        }
    }
}

#[test]
fn a_request_leaves_by_the_client_until_the_node_is_reachable() {
    let mut firewalled = Lab::alone();
    firewalled.request(Request::ping(addr(1)));
    let sent = firewalled.take_sent();
    assert_eq!((sent[0].via, sent[0].request().id), (Via::Client, None));
    assert_eq!(sent[0].request().to, addr(1), "where the sender believes to send");

    let mut open = Lab::persistent();
    let id = open.node.id().unwrap();
    open.request(Request::ping(addr(1)));
    open.request(Request::ping(addr(2)).via(Via::Client));
    open.request(Request::ping(addr(3)).via(Via::Extra(1)));
    let sent = open.take_sent();
    let seen: Vec<_> = sent.iter().map(|sent| (sent.to, sent.via, sent.request().id)).collect();
    assert!(seen.contains(&(addr(1), Via::Server, Some(id.as_bytes()))));
    assert!(seen.contains(&(addr(2), Via::Client, None)));
    assert!(seen.contains(&(addr(3), Via::Extra(1), None)));

    // A reachable ephemeral node answers by the server socket, and still without an id.
    let mut config = dht_core::Config::default();
    config.firewalled = false;
    let mut ephemeral = Lab::started(config);
    ephemeral.request(Request::ping(addr(1)));
    let sent = ephemeral.take_sent();
    assert_eq!((sent[0].via, sent[0].request().id), (Via::Server, None));
}

#[test]
fn each_socket_can_be_polled_apart() {
    let mut lab = Lab::alone();
    let (mut node, now) = (lab.node.clone(), lab.now);
    let vias = [Via::Client, Via::Server, Via::Extra(3), Via::Extra(4)];
    let ping = Ask::internal(PING).bytes();
    for via in vias {
        let _ = node.handle_datagram(now, via, addr(1), &ping);
        node.request(now, Request::ping(addr(2)).via(via)).unwrap();
    }
    lab.node = node;
    for via in vias.into_iter().rev() {
        let poll = |node: &mut Node| {
            let mut buf = [0; DATAGRAM_MAX];
            node.poll_transmit_via(now, via, &mut buf).map(|transmit| (transmit.via, transmit.to))
        };
        assert_eq!(poll(&mut lab.node), Some((via, addr(1))), "answers first");
        assert_eq!(poll(&mut lab.node), Some((via, addr(2))));
        assert_eq!(poll(&mut lab.node), None);
    }
    lab.flush();
    assert_eq!(lab.sent, [], "nothing is left for the others");
}

#[test]
fn what_comes_in_by_the_other_socket_teaches_no_address() {
    for (via, learned) in [(Via::Client, true), (Via::Server, false), (Via::Extra(1), false)] {
        let mut lab = Lab::alone();
        let id = lab.request(Request::ping(addr(1)));
        let tid = lab.sent[0].request().tid;
        let bytes = Forged::by(addr(1)).bytes(tid);
        let _ = lab.hand_in(via, addr(1), &bytes);
        assert!(lab.node.take_response(id).is_some(), "it is an answer by any socket: {via:?}");
        assert_eq!(lab.node.host().is_some(), learned, "{via:?}");
        assert_eq!(lab.node.table_len(), 1, "{via:?}");
    }
}

#[test]
fn polling_late_delays_and_nothing_else() {
    let mut lab = Lab::alone();
    lab.add_node(addr(5));
    let find = Ask::internal(FIND_NODE).target(target(1)).bytes();
    let _ = lab.node.handle_datagram(lab.now, Via::Server, addr(1), &find);
    // The closer nodes are looked up when the answer leaves, not when the request comes in.
    lab.add_node(addr(6));
    lab.now += Duration::from_secs(4);
    lab.flush();
    assert_eq!(lab.sent.len(), 1);
    assert_eq!(lab.sent[0].nodes().len(), 2);
}
