//! A node learns nothing of its own address from peers that come to it: only from nodes that it asks by itself.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Event, Id};

use crate::support::lab::{Lab, PING, PING_NAT, SERVER, TICK, joining, neighbour, peer};

const MINUTE: Duration = Duration::from_secs(60);
/// Where the liars claim to see the node.
const LIE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(99, 9, 9, 9), 999);

/// `requests` requests with an id, one every 30 ms, from many ports in `prefixes` /24s. All senders are verified, and
/// say that they see the node at `LIE`. Whether the node believes another address, and how many senders entered.
fn visited(lab: &mut Lab, prefixes: u8, requests: u16) -> (bool, usize) {
    let before = (lab.node.host(), lab.node.port());
    let mut changed = false;
    for n in 0..requests {
        let prefix = [90, 1, (n % u16::from(prefixes)) as u8];
        let liar = neighbour(prefix, n / u16::from(prefixes));
        lab.add_peer(liar).sees = Some(LIE);
        lab.hear_with_id(liar, PING);
        lab.run_for(Duration::from_millis(30));
        changed |= (lab.node.host(), lab.node.port()) != before;
    }
    let liars = lab.node.nodes().filter(|addr| addr.ip().octets()[0] == 90).count();
    (changed, liars)
}

#[test]
fn requests_do_not_tell_the_address() {
    for prefixes in [4, 13] {
        let mut lab = Lab::among(40);
        assert_eq!((lab.node.host(), lab.node.port()), (Some(*SERVER.ip()), SERVER.port()));
        let (changed, liars) = visited(&mut lab, prefixes, 80);
        assert!(!changed, "from {prefixes} /24s");
        assert!(liars > 5, "{liars} have answered");
        assert!(lab.events.iter().all(|event| !matches!(event, Event::NatUpdate { .. })));
    }
}

#[test]
fn nor_do_they_make_a_persistent_node_look_again() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::joined(config, 40);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    lab.run_for(2 * MINUTE);
    lab.sent.clear();
    visited(&mut lab, 13, 80);
    lab.run_for(2 * TICK);
    // The liars stay in the table, and will be asked what they see; but so far the node has no reason to doubt.
    assert_eq!(lab.asked(PING_NAT), []);
}

#[test]
fn an_adaptive_node_among_honest_ones_does_not_take_the_id_that_its_visitors_chose() {
    let mut lab = Lab::among(40);
    for _ in 0..90 {
        visited(&mut lab, 13, 20);
        lab.run_for(MINUTE - 20 * Duration::from_millis(30));
        assert_ne!(lab.node.host(), Some(*LIE.ip()));
    }
    assert!(lab.node.id().is_none_or(|id| id == Id::of(SERVER)));
}
