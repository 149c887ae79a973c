//! Sockets that are replaced, and a network that changes: what a node keeps and forgets, and how often.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Event, Id, Node, Persistence, Request, Via};

use crate::support::lab::{CLIENT, FIND_NODE, HOST, Lab, PING_NAT, SERVER, joining, peer};

const SECOND: Duration = Duration::from_secs(1);

fn elsewhere(addr: SocketAddrV4) -> SocketAddrV4 {
    SocketAddrV4::new(*addr.ip(), addr.port() + 1)
}

/// A node that peers can reach, and that knows it.
fn persistent() -> Lab {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let lab = Lab::joined(config, 30);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    lab
}

#[test]
fn at_the_same_ports_it_only_refreshes() {
    let mut lab = persistent();
    let (known, asked) = (lab.node.table_len(), lab.node.stats().requests.total);
    let ping = lab.request(Request::ping(peer(1)));
    lab.call(|node, now| node.handle_rebound(now, CLIENT, SERVER));
    lab.run_for(SECOND);
    assert!(lab.node.take_response(ping).unwrap().is_ok());
    assert!(!lab.asked(FIND_NODE).is_empty());
    assert!(lab.node.stats().requests.total < asked + 40);
    assert_eq!((lab.node.table_len(), lab.node.id()), (known, Some(Id::of(SERVER))));
    let news = lab.events.iter().filter(|event| !matches!(event, Event::Response(_)));
    assert_eq!(news.count(), 0, "{:?}", lab.events);
}

#[test]
fn at_another_server_port_it_finds_out_again_what_its_address_is() {
    for resumed in [false, true] {
        let mut lab = persistent();
        if resumed {
            lab.call(Node::suspend);
            lab.call(Node::resume);
            lab.call(|node, now| node.handle_bound(now, CLIENT, elsewhere(SERVER)));
        } else {
            lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
        }
        assert_eq!(lab.node.server_addr(), Some(elsewhere(SERVER)));
        assert_eq!((lab.node.id(), lab.node.firewalled()), (None, true));
        assert_eq!((lab.times(Event::Ephemeral), lab.node.host()), (1, None));
        assert_eq!(lab.node.table_len(), 30, "it keeps whom it knows");
        lab.run_for(SECOND);
        assert!(lab.node.host().is_some(), "it listens to what they say now");
    }
}

#[test]
fn the_refresh_leaves_by_the_socket_that_is_asked_by_from_then_on() {
    let mut lab = persistent();
    lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
    let visits: Vec<_> = lab.sent.iter().filter(|sent| sent.is(FIND_NODE)).collect();
    assert!(!visits.is_empty());
    assert!(visits.iter().all(|sent| sent.via == Via::Client && sent.request().id.is_none()));
}

/// A node that bootstraps; its check is under way, without an answer so far.
fn checking() -> Lab {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::unbound(config);
    for n in 0..30 {
        lab.add_peer(peer(n)).closer = (0..30).map(peer).collect();
    }
    lab.bind();
    lab.run_until(|lab| !lab.asked(PING_NAT).is_empty());
    assert_eq!((lab.node.bootstrapped(), lab.node.host()), (false, Some(HOST)));
    lab
}

#[test]
fn a_check_of_the_old_server_port_says_nothing_of_the_new_one() {
    let mut lab = checking();
    lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
    assert!(lab.node.bootstrapped(), "it is over without it");
    let checks = |lab: &Lab| lab.asked(PING_NAT).len();
    let before = checks(&lab);
    // The probes of the old port are still under way.
    lab.run_for(SECOND);
    assert_eq!((lab.node.id(), lab.node.firewalled()), (None, true));
    assert_eq!(checks(&lab), before);
    lab.server = elsewhere(SERVER);
    lab.run_for(20 * SECOND);
    assert_eq!(lab.node.id(), Some(Id::of(elsewhere(SERVER))), "it is looked at anew, and soon");
    assert_eq!(lab.reasons.last(), Some(&Persistence::Reachable));
    // With the same ports the check goes on.
    let mut lab = checking();
    lab.call(|node, now| node.handle_rebound(now, CLIENT, SERVER));
    assert!(!lab.node.bootstrapped());
    lab.run_for(SECOND);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn nobody_is_asked_on_for_the_old_port_of_a_persistent_node() {
    let mut lab = persistent();
    lab.peers.values_mut().for_each(|peer| peer.reaches = false);
    lab.run_until(|lab| !lab.asked(PING_NAT).is_empty());
    lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
    lab.node.check_invariants();
    lab.server = elsewhere(SERVER);
    lab.peers.values_mut().for_each(|peer| peer.reaches = true);
    lab.sent.clear();
    lab.run_for(20 * SECOND);
    let port = elsewhere(SERVER).port().to_le_bytes();
    let mut checks = lab.sent.iter().filter(|sent| sent.is(PING_NAT));
    assert!(checks.all(|sent| sent.request().value == Some(&port[..])));
    assert_eq!(lab.node.id(), Some(Id::of(elsewhere(SERVER))));
}

#[test]
fn at_another_client_port_only_what_was_said_of_it_is_forgotten() {
    let mut config = joining(&[peer(0)]);
    config.quick_firewall = false;
    let mut lab = Lab::joined(config, 30);
    assert_eq!((lab.node.firewalled(), lab.node.port()), (true, CLIENT.port()));
    lab.call(|node, now| node.handle_rebound(now, elsewhere(CLIENT), SERVER));
    assert_eq!((lab.node.firewalled(), lab.node.port()), (true, 0));
    // A node that sends its requests by the server socket does not care.
    let mut lab = persistent();
    lab.call(|node, now| node.handle_rebound(now, elsewhere(CLIENT), SERVER));
    assert_eq!((lab.node.id(), lab.node.port()), (Some(Id::of(SERVER)), SERVER.port()));
}

#[test]
fn a_public_address_that_is_given_follows_the_port_that_it_names() {
    let mut config = dht_core::Config::bootstrapper(SERVER.port(), "1.2.3.4").unwrap();
    config.bootstrap = Vec::new();
    let mut lab = Lab::started(config);
    let id = lab.node.id();
    assert!(id.is_some());
    lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
    let addr = SocketAddrV4::new([1, 2, 3, 4].into(), elsewhere(SERVER).port());
    assert_eq!((lab.node.id(), lab.node.firewalled()), (Some(Id::of(addr)), false));
    assert_eq!((lab.node.host(), lab.node.port()), (Some(*addr.ip()), addr.port()));
    let told = lab.events.iter().rfind(|event| matches!(event, Event::NatUpdate { .. }));
    assert_eq!(told, Some(&Event::NatUpdate { host: Some(*addr.ip()), port: addr.port() }));
    // A forwarded port is not the port of the socket, and stays.
    let mut config = dht_core::Config::bootstrapper(SERVER.port() + 5, "1.2.3.4").unwrap();
    config.bootstrap = Vec::new();
    let mut lab = Lab::started(config);
    let id = lab.node.id();
    lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
    assert_eq!((lab.node.id(), lab.node.firewalled()), (id, false));
}

#[test]
fn a_node_that_is_not_running_is_bound_or_left_alone() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    lab.call(|node, now| node.handle_rebound(now, CLIENT, SERVER));
    assert_eq!(lab.times(Event::Listening), 1);
    lab.call(Node::suspend);
    lab.call(|node, now| node.handle_rebound(now, CLIENT, elsewhere(SERVER)));
    assert!(lab.node.suspended());
    assert_eq!(lab.node.server_addr(), Some(SERVER));
}

#[test]
fn changes_of_the_network_are_at_least_half_a_minute_apart_and_none_is_lost() {
    let mut lab = Lab::among(30);
    lab.call(Node::handle_network_change);
    assert_eq!(lab.times(Event::NetworkChange), 1, "the first one at once");
    // Ten more changes within 30 s make one event.
    for _ in 0..10 {
        lab.run_for(Duration::from_millis(2900));
        lab.call(Node::handle_network_change);
    }
    assert_eq!(lab.times(Event::NetworkChange), 1);
    lab.run_for(SECOND - Duration::from_micros(1));
    assert_eq!(lab.times(Event::NetworkChange), 1);
    lab.run_for(Duration::from_micros(1));
    assert_eq!(lab.times(Event::NetworkChange), 2);
    lab.run_for(300 * SECOND);
    assert_eq!(lab.times(Event::NetworkChange), 2);
    lab.call(Node::handle_network_change);
    assert_eq!(lab.times(Event::NetworkChange), 3);

    // A suspension ends a change that waits to be told: a resumed node looks at everything anew.
    lab.call(Node::handle_network_change);
    lab.call(Node::suspend);
    lab.call(Node::resume);
    lab.bind();
    lab.run_for(300 * SECOND);
    assert_eq!(lab.times(Event::NetworkChange), 3);
}

#[test]
fn a_network_that_changes_all_the_time_costs_little() {
    let mut lab = Lab::among(30);
    let before = lab.node.stats().requests.total;
    for _ in 0..120 {
        lab.run_for(5 * SECOND);
        lab.call(Node::handle_network_change);
    }
    let requests = (lab.node.stats().requests.total - before) / 10;
    println!("{requests} requests a minute");
    assert!(requests < 80, "{requests} requests a minute");
}
