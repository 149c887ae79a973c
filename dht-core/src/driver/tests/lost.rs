//! Sockets that are taken away, and a machine that is carried into another network.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;
use std::vec::Vec;

use super::sim::Sim;
use super::world::local;
use crate::driver::{Dht, Error, Events};
use crate::{Event, SendError, Via};

const SECOND: Duration = Duration::from_secs(1);
const VIAS: [Via; 2] = [Via::Client, Via::Server];

fn ports(node: &Dht) -> [u16; 2] {
    [node.status().client_address.unwrap().port(), node.server_address().unwrap().port()]
}

/// The news of one kind so far.
fn told(sim: &Sim, events: &mut Events, kind: fn(&Event) -> bool) -> Vec<Event> {
    sim.run();
    let mut told = Vec::new();
    while let Some(Some(event)) = sim.now(&mut pin!(events.next())) {
        told.extend(Some(event).filter(kind));
    }
    told
}

const fn is_loss(event: &Event) -> bool {
    matches!(event, Event::SocketLost(_))
}

/// It asks and is asked.
fn assert_well(sim: &Sim, node: &Dht) {
    let other = sim.up();
    sim.block_on(other.ping(node.server_address().unwrap())).unwrap();
    sim.block_on(node.ping(other.server_address().unwrap())).unwrap();
}

#[test]
fn a_socket_that_is_gone_is_replaced_at_the_same_port() {
    for (tells, within) in [(true, Duration::ZERO), (false, 5 * SECOND)] {
        for via in VIAS {
            let sim = Sim::default();
            let node = sim.up();
            let before = ports(&node);
            sim.advance(2 * SECOND);
            let mut events = node.events();
            sim.world.destroy(before[usize::from(via == Via::Server)], tells);
            sim.advance(within);
            assert_eq!(told(&sim, &mut events, is_loss), [Event::SocketLost(via)]);
            assert_eq!((ports(&node), node.status().suspended), (before, false));
            assert_well(&sim, &node);
            sim.advance(600 * SECOND);
            assert_eq!(told(&sim, &mut events, is_loss), []);
        }
    }
}

#[test]
fn the_core_hears_of_another_port() {
    let sim = Sim::default();
    let node = sim.up();
    let before = ports(&node);
    sim.advance(2 * SECOND);
    sim.world.get().taken.insert(before[1]);
    sim.world.destroy(before[1], true);
    sim.run();
    assert_ne!(ports(&node)[1], before[1]);
    let (mut known, open) = (ports(&node), sim.world.open());
    known.sort_unstable();
    assert_eq!(open, known);
    assert_well(&sim, &node);
}

#[test]
fn lost_sockets_that_can_not_be_had_again_are_sought() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder.port(1000).any_port(false));
    sim.block_on(node.listening()).unwrap();
    sim.advance(2 * SECOND);
    let mut events = node.events();
    sim.world.get().taken.insert(1000);
    sim.world.destroy(1000, true);
    let pinged = sim.block_on(node.ping(local(9))).unwrap_err();
    assert_eq!(pinged.code(), Some("IO_SUSPENDED"), "{pinged}");
    let news = [Event::SocketLost(Via::Server), Event::BindFailed, Event::Suspended];
    let heard = told(&sim, &mut events, |_| true);
    assert_eq!(heard.into_iter().filter(|event| news.contains(event)).collect::<Vec<_>>(), news);
    let refused = sim.block_on(node.ping(local(9)));
    assert!(matches!(refused, Err(Error::Send(SendError::Suspended))));
    sim.advance(600 * SECOND);
    sim.world.get().taken.clear();
    // Told of another network, it does not wait for its next try.
    node.network_changed();
    sim.run();
    assert!(!node.status().suspended && ports(&node)[1] == 1000);
    assert_well(&sim, &node);
}

#[test]
fn sockets_that_never_last_are_not_bound_all_the_time() {
    let sim = Sim::default();
    let node = sim.up();
    sim.advance(2 * SECOND);
    sim.world.get().tried.clear();
    for _ in 0..600 {
        let open = sim.world.open();
        open.into_iter().for_each(|port| sim.world.destroy(port, true));
        sim.advance(SECOND);
    }
    let tried = sim.world.get().tried.len() / 2;
    assert!((10..=20).contains(&tried), "{tried} times in ten minutes");
    sim.advance(70 * SECOND);
    assert_well(&sim, &node);
}

#[test]
fn a_socket_that_is_deaf_is_replaced() {
    for (via, asked) in [(Via::Client, false), (Via::Server, false), (Via::Server, true)] {
        let sim = Sim::default();
        let node = sim.up();
        let before = ports(&node);
        // Long enough to see that what they send each other arrives.
        sim.advance(70 * SECOND);
        let mut events = node.events();
        sim.world.get().deaf.insert(before[usize::from(via == Via::Server)]);
        if asked {
            node.network_changed();
        }
        sim.advance(if asked { 15 * SECOND } else { 75 * SECOND });
        assert_eq!(told(&sim, &mut events, is_loss), [Event::SocketLost(via)]);
        assert_eq!(ports(&node), before);
        assert_well(&sim, &node);
    }
}

#[test]
fn a_socket_that_was_never_quiet_is_replaced_when_it_goes_deaf() {
    let sim = Sim::default();
    let (node, other) = (sim.up(), sim.up());
    let (before, to) = (ports(&node), other.server_address().unwrap());
    for _ in 0..60 {
        sim.block_on(node.ping(to)).unwrap();
        sim.advance(20 * SECOND);
    }
    let mut events = node.events();
    sim.world.get().deaf.insert(before[0]);
    sim.advance(75 * SECOND);
    assert_eq!(told(&sim, &mut events, is_loss), [Event::SocketLost(Via::Client)]);
    sim.block_on(node.ping(to)).unwrap();
}

#[test]
fn what_strangers_send_proves_nothing() {
    let sim = Sim::default();
    let node = sim.up();
    let before = ports(&node);
    // The node's own never arrive, so that nothing is known of its sockets.
    sim.world.get().deaf.extend(before);
    sim.advance(SECOND);
    let (peer, mut foreign) = (sim.world.socket(9), node.datagrams());
    // Whatever the sockets of another node say to each other.
    let other = sim.up();
    sim.world.get().heard.insert(ports(&other)[0], Vec::new());
    sim.advance(70 * SECOND);
    let heard = sim.world.get().heard.remove(&ports(&other)[0]);
    let copy = heard.and_then(|mut heard| heard.pop()).unwrap();
    sim.world.get().deaf.clear();
    before.into_iter().for_each(|port| peer.send(port, &copy));
    for _ in VIAS {
        let datagram = sim.block_on(foreign.next()).unwrap();
        assert_eq!((datagram.from, &datagram.data[..]), (local(9), &copy[..]));
    }
    sim.world.get().deaf.extend(before);
    let mut events = node.events();
    sim.advance(3600 * SECOND);
    assert_eq!(told(&sim, &mut events, is_loss), []);
}

#[test]
fn sockets_that_can_not_hear_each_other_are_left_alone() {
    // As where nothing may be sent to oneself; and as of a node that is only lonely.
    for deaf in [true, false] {
        let sim = Sim::default();
        let node = sim.up();
        let mut events = node.events();
        let mut foreign = node.datagrams();
        sim.world.get().deaf.extend(ports(&node).into_iter().filter(|_| deaf));
        sim.advance(3600 * SECOND);
        assert_eq!(told(&sim, &mut events, is_loss), []);
        assert!(sim.now(&mut pin!(foreign.next())).is_none(), "it is nobody's business");
        assert_eq!(node.stats().drops, sim.up().stats().drops);
    }
}

/// A node bound to `host`, on a machine with these interfaces, and what makes it believe that its network
/// is another.
fn changes(host: Ipv4Addr, steps: &[&dyn Fn(&Sim)]) -> Vec<usize> {
    let sim = Sim::default();
    sim.world.get().interfaces = [[127, 0, 0, 1], [10, 0, 0, 1]].map(Ipv4Addr::from).to_vec();
    sim.world.get().way_out = Some([10, 0, 0, 1].into());
    let node = sim.node(|builder| builder.host(host));
    sim.block_on(node.listening()).unwrap();
    let mut events = node.events();
    let is_change = |event: &Event| *event == Event::NetworkChange;
    let steps = steps.iter().map(|step| {
        step(&sim);
        sim.advance(40 * SECOND);
        told(&sim, &mut events, is_change).len()
    });
    steps.collect()
}

#[test]
fn a_network_is_another_if_the_bound_address_or_the_way_out_is() {
    let own = Ipv4Addr::new(10, 0, 0, 1);
    let unrelated: [&dyn Fn(&Sim); 4] = [
        &|_| {},
        &|sim| sim.world.get().interfaces.reverse(),
        &|sim| sim.world.get().interfaces.push([172, 17, 0, 1].into()),
        &|sim| sim.world.get().interfaces.retain(|ip| *ip == own),
    ];
    let way: [&dyn Fn(&Sim); 5] = [
        &|sim| sim.world.get().way_out = Some([10, 0, 0, 2].into()),
        &|sim| sim.world.get().way_out = None,
        &|sim| sim.world.get().no_interfaces = true,
        &|sim| sim.world.get().no_interfaces = false,
        &|sim| sim.world.get().way_out = Some(own),
    ];
    let bound: [&dyn Fn(&Sim); 2] =
        [&|sim| sim.world.get().interfaces.clear(), &|sim| sim.world.get().interfaces.push(own)];
    for host in [own, Ipv4Addr::UNSPECIFIED] {
        assert_eq!(changes(host, &unrelated), [0; 4]);
        assert_eq!(changes(host, &way), [1, 1, 0, 0, 1], "who can't say has not said so");
    }
    assert_eq!(changes(own, &bound), [1, 1]);
    assert_eq!(changes(Ipv4Addr::UNSPECIFIED, &bound), [0, 0]);
    assert_eq!(changes(Ipv4Addr::LOCALHOST, &way), [0; 5], "nothing leaves the machine");
}

#[test]
fn who_wakes_up_in_another_network_notices() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder.host(Ipv4Addr::UNSPECIFIED));
    sim.block_on(node.listening()).unwrap();
    sim.block_on(node.suspend()).unwrap();
    let mut events = node.events();
    sim.world.get().way_out = Some([192, 168, 0, 7].into());
    sim.block_on(node.resume()).unwrap();
    let heard = told(&sim, &mut events, |event| *event == Event::NetworkChange);
    assert_eq!(heard.len(), 1);
}

#[test]
fn a_change_that_is_told_is_not_found_once_more() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder.host(Ipv4Addr::UNSPECIFIED));
    sim.block_on(node.listening()).unwrap();
    sim.world.get().way_out = Some([10, 0, 0, 1].into());
    sim.advance(100 * SECOND);
    let mut events = node.events();
    let is_change = |event: &Event| *event == Event::NetworkChange;
    for last in 2..4 {
        sim.world.get().way_out = Some([10, 0, 0, last].into());
        node.network_changed();
        sim.advance(100 * SECOND);
        assert_eq!(told(&sim, &mut events, is_change).len(), 1);
    }
    sim.world.get().way_out = Some([10, 0, 0, 1].into());
    sim.advance(100 * SECOND);
    assert_eq!(told(&sim, &mut events, is_change).len(), 1, "the next one is");
}
