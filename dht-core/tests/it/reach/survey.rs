//! A survey asks the whole table for the node's own address: neither the first nodes that answer nor an operator of
//! many nodes decides, and a node that does not know its address goes on asking.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Persistence};

use crate::support::lab::{Lab, PING, RTT, SERVER, joining, neighbour, peer, told, wanting};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const LIE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(99, 9, 9, 9), SERVER.port());

/// A node that joins `honest` honest nodes and liars: `nodes` in each of `liars` /24s. All nodes name liars first, and
/// liars answer sooner.
fn among_liars(config: Config, honest: u32, liars: u16, nodes: u16) -> Lab {
    let mut lab = Lab::unbound(config);
    let lying: Vec<_> =
        (0..liars).flat_map(|n| (0..nodes).map(move |m| neighbour([81, n as u8, 0], m))).collect();
    let honest: Vec<_> = (0..honest).map(peer).collect();
    for addr in &honest {
        let peer = lab.add_peer(*addr);
        peer.closer = lying.iter().take(10).chain(honest.iter().take(10)).copied().collect();
        peer.rtt = RTT + SECOND / 20;
    }
    for addr in &lying {
        let peer = lab.add_peer(*addr);
        (peer.sees, peer.closer) = (Some(LIE), lying.iter().take(20).copied().collect());
    }
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    for addr in lying.iter().chain(&honest) {
        lab.ping(*addr);
    }
    lab
}

/// How many PINGs, which ask a node what it sees, left in each second.
fn asked_at(lab: &Lab) -> BTreeMap<u64, usize> {
    let mut asked = BTreeMap::new();
    for sent in lab.sent.iter().filter(|sent| sent.is(PING)) {
        *asked.entry(sent.at.as_micros() / 1_000_000).or_insert(0) += 1;
    }
    asked
}

#[test]
fn a_quarter_that_lies_keeps_nobody_from_its_id() {
    for config in [told(&[peer(0)]), wanting()] {
        let mut lab = among_liars(config, 30, 10, 1);
        lab.run_for(2 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        assert_eq!(lab.times(Event::AddressDisputed), 0);
    }
}

#[test]
fn who_comes_first_does_not_decide() {
    let mut lab = Lab::unbound(told(&[peer(0)]));
    for n in 0..60 {
        let other = lab.add_peer(peer(n));
        other.closer = (0..60).map(peer).collect();
        (other.sees, other.rtt) = if (1..16).contains(&n) {
            (Some(LIE), RTT + SECOND / 50)
        } else {
            (None, RTT + SECOND / 10)
        };
    }
    (0..16).for_each(|n| lab.peer(peer(n)).closer = (0..16).map(peer).collect());
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert_eq!(lab.node.id(), Some(Id::of(LIE)), "the first views agree on a lie");
    // The other 44 nodes see the true address.
    (16..60).for_each(|n| lab.ping(peer(n)));
    lab.run_for(MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn who_has_many_nodes_has_one_voice() {
    let mut lab = among_liars(told(&[peer(0)]), 20, 6, 12);
    lab.run_for(2 * MINUTE);
    let liars = lab.node.nodes().filter(|addr| addr.ip().octets()[0] == 81).count();
    assert!(2 * liars > lab.node.table_len(), "{liars} of {}", lab.node.table_len());
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn bootstrap_nodes_decide_where_most_of_the_table_lies() {
    let mut lab = among_liars(told(&[peer(0)]), 12, 30, 1);
    lab.run_for(5 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn a_bootstrap_node_alone_decides_nothing() {
    let mut lab = Lab::unbound(told(&[peer(0)]));
    (0..40).for_each(|n| lab.add_peer(peer(n)).closer = (0..40).map(peer).collect());
    lab.peer(peer(0)).sees = Some(LIE);
    lab.bind();
    lab.run_for(3 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn where_every_one_sees_another_host_it_goes_on_asking_within_bounds() {
    let mut lab = Lab::unbound(told(&[peer(0)]));
    for n in 0..40 {
        let other = lab.add_peer(peer(n));
        other.closer = (0..40).map(peer).collect();
        other.sees = Some(SocketAddrV4::new(Ipv4Addr::new(99, 0, 0, n as u8), 2000));
    }
    lab.bind();
    lab.run_for(30 * SECOND);
    // The first survey asks eight nodes at a time, until it has asked all.
    let first = asked_at(&lab);
    assert!(first.values().all(|count| *count <= 8 + 5), "{first:?}");
    assert!(first.values().sum::<usize>() >= lab.node.table_len(), "{first:?}");
    assert_eq!(lab.times(Event::AddressDisputed), 0, "not yet");
    lab.run_for(3 * MINUTE);
    assert_eq!(lab.node.persistence(), Persistence::AddressUnknown);
    assert_eq!(lab.times(Event::AddressDisputed), 1);
    lab.run_for(6 * 60 * MINUTE);
    assert_eq!(lab.times(Event::AddressDisputed), 1, "once");
    lab.sent.clear();
    lab.run_for(10 * 60 * MINUTE);
    // Twenty more surveys of 40 nodes, and the keep-alives: five pings at most every 40 s.
    let later: usize = asked_at(&lab).values().sum();
    assert!((800..800 + 5 * 900).contains(&later), "{later}");
    // From now on all nodes agree.
    lab.peers.values_mut().for_each(|peer| peer.sees = None);
    lab.run_for(40 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    // The address was known meanwhile, so another dispute is told.
    for n in 0..40 {
        lab.peer(peer(n)).sees = Some(SocketAddrV4::new(Ipv4Addr::new(99, 0, 0, n as u8), 2000));
    }
    lab.run_for(24 * 60 * MINUTE);
    assert!(lab.times(Event::AddressDisputed) <= 2);
}

#[test]
fn where_all_agree_it_asks_once_and_few() {
    for config in [told(&[peer(0)]), wanting(), joining(&[peer(0)])] {
        let adaptive = config.ephemeral.is_none();
        let mut lab = Lab::unbound(config);
        (0..100).for_each(|n| lab.add_peer(peer(n)).closer = (0..100).map(peer).collect());
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        if adaptive {
            lab.ticks(240);
            lab.run_for(SECOND);
        }
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "as soon as ever");
        lab.sent.clear();
        lab.run_for(39 * SECOND);
        let asked: BTreeSet<_> = lab.asked(PING).into_iter().collect();
        assert!((17..=17 + 5).contains(&lab.asked(PING).len()), "{}", lab.asked(PING).len());
        assert!(asked.contains(&peer(0)));
        lab.sent.clear();
        lab.run_for(60 * MINUTE);
        // Only keep-alives: one every 40 s, of five pings at most.
        assert!(lab.asked(PING).len() <= 5 * 91, "{}", lab.asked(PING).len());
        assert_eq!(lab.times(Event::Persistent), 1);
    }
}

#[test]
fn a_client_does_not_ask() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(true);
    let mut lab = Lab::joined(config, 40);
    lab.run_for(39 * SECOND);
    assert!(lab.asked(PING).len() <= 5);
}

#[test]
fn a_wrong_id_is_found_out_when_the_honest_come() {
    // At first all nodes lie, the bootstrap node too, which dies later.
    let mut lab = among_liars(told(&[peer(0)]), 1, 12, 1);
    lab.peer(peer(0)).sees = Some(LIE);
    lab.run_for(5 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(LIE)));
    lab.peer(peer(0)).up = false;
    for n in 1..60 {
        lab.add_peer(peer(n));
        lab.ping(peer(n));
    }
    lab.run_for(90 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn an_address_of_the_configuration_is_not_asked_for() {
    let mut config = told(&[peer(0)]);
    config.public_address = Some(SERVER);
    let mut lab = Lab::joined(config, 40);
    for n in 0..40 {
        lab.peer(peer(n)).sees = Some(LIE);
    }
    lab.sent.clear();
    lab.run_for(39 * SECOND);
    assert!(lab.asked(PING).len() <= 5);
    lab.run_for(120 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}
