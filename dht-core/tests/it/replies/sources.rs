//! On a machine with several addresses an answer leaves from the address that was asked.

use std::net::Ipv4Addr;
use std::time::Duration;

use dht_core::{
    Answer, DATAGRAM_MAX, Handled, Instant, Node, ReplyTo, Request, Transmit, Via, wire,
};

use crate::support::lab::{DELAYED_PING, DOWN_HINT, FIND_NODE, Lab, PING, PING_NAT, asks, peer};

const AT: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 77);

fn next(node: &mut Node, now: Instant) -> Option<Transmit> {
    node.poll_transmit(now, &mut [0; DATAGRAM_MAX])
}

fn hear(
    lab: &mut Lab,
    via: Via,
    at: Option<Ipv4Addr>,
    request: &wire::Request<'_>,
) -> Option<ReplyTo> {
    let mut buf = [0; DATAGRAM_MAX];
    let len = request.encode(&mut buf).unwrap();
    match lab.node.handle_datagram_at(lab.now, via, at, peer(1), &buf[..len]) {
        Handled::Request(incoming) => Some(incoming.reply_to),
        _ => None,
    }
}

#[test]
fn every_kind_of_answer_leaves_from_where_it_was_asked() {
    let mut lab = Lab::alone();
    let (zeros, one) = ([0; 32], [1, 0, 0, 0, 0, 0]);
    for via in [Via::Client, Via::Server] {
        for (request, after) in [
            (asks(PING), Duration::ZERO),
            (wire::Request { value: Some(&one), ..asks(PING_NAT) }, Duration::ZERO),
            (wire::Request { target: Some(&zeros), ..asks(FIND_NODE) }, Duration::ZERO),
            (wire::Request { value: Some(&one), ..asks(DOWN_HINT) }, Duration::ZERO),
            (
                wire::Request { value: Some(&one[..4]), ..asks(DELAYED_PING) },
                Duration::from_millis(1),
            ),
            (wire::Request { token: Some(&zeros), ..asks(PING) }, Duration::ZERO),
            (asks(99), Duration::ZERO),
        ] {
            for at in [Some(AT), None] {
                assert_eq!(hear(&mut lab, via, at, &request), None);
                lab.now += after;
                lab.node.handle_timeout(lab.now);
                let transmit = next(&mut lab.node, lab.now).unwrap();
                assert_eq!((transmit.via, transmit.source), (via, at), "{request:?}");
            }
        }
    }
}

#[test]
fn so_do_the_applications_and_what_is_no_answer_leaves_as_the_system_likes() {
    let mut lab = Lab::alone();
    let to = hear(&mut lab, Via::Server, Some(AT), &wire::Request { internal: false, ..asks(16) })
        .unwrap();
    assert_eq!((to.via(), to.at()), (Via::Server, Some(AT)));
    let mut sources = |act: &dyn Fn(&mut Node, Instant)| {
        act(&mut lab.node, lab.now);
        next(&mut lab.node, lab.now).unwrap().source
    };
    assert_eq!(sources(&|node, now| node.reply(now, to, Answer::empty()).unwrap()), Some(AT));
    let elsewhere = Answer::empty().to(peer(2));
    assert_eq!(sources(&|node, now| node.reply(now, to, elsewhere.clone()).unwrap()), Some(AT));
    // The request came in at the server socket: by the client socket the system chooses the source.
    let other = Answer::empty().via(Via::Client);
    assert_eq!(sources(&|node, now| node.reply(now, to, other.clone()).unwrap()), None);
    assert_eq!(sources(&|node, now| node.relay(now, to, peer(2), None).unwrap()), None);
    assert_eq!(
        sources(&|node, now| assert!(node.request(now, Request::ping(peer(3))).is_ok())),
        None
    );
}
