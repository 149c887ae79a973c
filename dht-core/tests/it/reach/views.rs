//! What a node learns of its own address, and from which peers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Request, Via, wire};

use super::{ELSEWHERE, believed};
use crate::support::bare_answer;
use crate::support::lab::{CLIENT, HOST, Lab, PING, asks, joining, neighbour, peer};

const SECOND: Duration = Duration::from_secs(1);
const KNOWN: (Option<Ipv4Addr>, u16) = (Some(HOST), CLIENT.port());
const UNKNOWN: (Option<Ipv4Addr>, u16) = (None, 0);

/// A node without bootstrap nodes, with `count` peers; it does not check its firewall early.
fn listener(count: u32) -> Lab {
    let mut config = Config::default();
    config.quick_firewall = false;
    let mut lab = Lab::started(config);
    for n in 0..count {
        lab.add_peer(peer(n));
    }
    lab
}

#[test]
fn answers_tell_the_own_address_and_changes_are_told() {
    let mut lab = listener(2);
    lab.ping(peer(0));
    assert_eq!(believed(&lab), KNOWN);
    let told = Event::NatUpdate { host: KNOWN.0, port: KNOWN.1 };
    assert_eq!(lab.times(told), 1);
    lab.ping(peer(1));
    assert_eq!(lab.times(told), 1, "nothing new");
    assert!(!lab.node.randomized());
}

#[test]
fn a_host_with_ever_other_ports_is_a_randomizing_nat() {
    let mut lab = listener(4);
    for n in 0..4 {
        lab.peer(peer(n)).sees = Some(SocketAddrV4::new(HOST, 5000 + n as u16));
        lab.ping(peer(n));
    }
    assert_eq!(believed(&lab), (Some(HOST), 0));
    assert!(lab.node.randomized());
    assert_eq!(lab.node.remote_address(), None);
}

#[test]
fn requests_teach_nothing_however_many_lie() {
    let mut lab = listener(3);
    (0..3).for_each(|n| lab.ping(peer(n)));
    for n in 0..10_000_u32 {
        let from = neighbour([70, (n / 200) as u8, (n % 200) as u8], (n % 7) as u16);
        let id = Id::of(from).0;
        lab.hear(from, &wire::Request { to: ELSEWHERE, id: Some(&id), ..asks(PING) });
        lab.hear(from, &wire::Request { to: ELSEWHERE, ..asks(PING) });
    }
    assert_eq!(believed(&lab), KNOWN);
    assert_eq!(lab.events.iter().filter(|e| matches!(e, Event::NatUpdate { .. })).count(), 1);
}

#[test]
fn unsolicited_answers_teach_nothing_either() {
    let mut lab = listener(3);
    for n in 0..1_000 {
        let response = bare_answer(n as u16, ELSEWHERE, Some(peer(n)));
        lab.hear_bytes(Via::Client, peer(n), &response);
    }
    assert_eq!(believed(&lab), UNKNOWN);
    assert_eq!(lab.node.table_len(), 0);
}

#[test]
fn one_vote_per_24_however_many_nodes_are_there() {
    let mut lab = listener(4);
    (0..4).for_each(|n| lab.ping(peer(n)));
    for n in 0..30 {
        let liar = neighbour([80, 0, 0], n);
        lab.add_peer(liar).sees = Some(ELSEWHERE);
        lab.ping(liar);
    }
    assert_eq!(believed(&lab), KNOWN);
}

#[test]
fn a_known_node_is_asked_for_its_view_again_after_half_an_hour() {
    // The age of a view is kept in units of four ticks: three ticks late at most, never early.
    for (ticks, moved) in [(358, false), (364, true)] {
        let mut lab = listener(1);
        lab.ping(peer(0));
        lab.peer(peer(0)).sees = Some(ELSEWHERE);
        // Meanwhile keep-alive pings ask the node for its view.
        lab.ticks(ticks - 8);
        assert_eq!(believed(&lab), KNOWN);
        lab.ticks(8);
        lab.ping(peer(0));
        let expected = if moved { (Some(*ELSEWHERE.ip()), ELSEWHERE.port()) } else { KNOWN };
        assert_eq!(believed(&lab), expected, "after {ticks} ticks");
    }
}

#[test]
fn what_arrives_on_the_other_socket_tells_of_another_port() {
    let mut lab = listener(2);
    for via in [Via::Server, Via::Extra(5000)] {
        let request = Request::ping(peer(0)).via(via);
        let id = lab.request(request);
        lab.result(id).unwrap();
        // Nodes without an id are no witnesses there either.
        lab.peer(peer(1)).has_id = false;
        let request = Request::ping(peer(1)).via(via);
        let id = lab.request(request);
        lab.result(id).unwrap();
    }
    assert!(lab.knows(peer(0)), "it is a node all the same");
    assert_eq!(believed(&lab), UNKNOWN);
    lab.ping(peer(0));
    assert_eq!(believed(&lab), KNOWN, "which can still be asked");
}

#[test]
fn those_without_an_id_are_believed_once_each_and_few_of_them() {
    for (bootstrap, votes) in [(0, 1), (1, 1), (3, 3)] {
        let addrs: Vec<_> = (100..100 + bootstrap).map(peer).collect();
        let mut lab = Lab::unbound(joining(&addrs));
        lab.bind();
        lab.run_for(4 * SECOND);
        let mut heard = 0;
        for n in 0..8 {
            // Each peer sees another address, so every vote makes a difference.
            let host = Ipv4Addr::new(99, 0, 0, n as u8);
            let witness = lab.add_peer(peer(n));
            witness.has_id = false;
            witness.sees = Some(SocketAddrV4::new(host, 9));
            let before = believed(&lab);
            lab.ping(peer(n));
            lab.ping(peer(n));
            heard += u32::from(believed(&lab) != before);
            if n == 0 {
                assert_eq!(lab.node.host(), Some(host));
            }
        }
        // The first vote is believed; the second makes the address unknown, and it stays unknown.
        assert_eq!(heard, votes.min(2), "{bootstrap} bootstrap nodes");
    }
}
