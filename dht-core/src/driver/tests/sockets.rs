//! Sockets that misbehave, datagrams that are not ours, sockets that are not the node's.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;

use super::sim::Sim;
use super::world::{Fault, local};
use crate::driver::error::{Error, unsent};
use crate::driver::{DATAGRAMS_MAX, Events, RAW_MAX};
use crate::{Answer, Event, Request, RequestError, SendError, Unsent, Via};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_socket_that_brings_only_errors_does_not_spin() {
    // What is received is nothing but errors of either kind, and so on: with how many calls a minute.
    for (fault, most) in [
        (Fault::ReceiveErrors, 5000),
        (Fault::ReceiveResets, 100_000),
        (Fault::WouldBlock, 5000),
        (Fault::SendErrors, 5000),
        (Fault::ReadyErrors, 5000),
        (Fault::Blocked, 5000),
    ] {
        let sim = Sim::default();
        let (a, b) = (sim.up(), sim.up());
        let mut events = a.events();
        for _ in 0..2 {
            let receives = matches!(fault, Fault::ReceiveErrors | Fault::ReceiveResets);
            let pings = [(); 20].map(|()| a.ping(b.server_address().unwrap()));
            sim.world.set_fault(fault);
            let before = sim.world.get().calls;
            let polls = sim.advance(60 * SECOND);
            let calls = sim.world.get().calls - before;
            assert!(polls < 2000 && calls < most, "{fault:?}: {polls} polls, {calls} calls");
            assert_eq!(b.status().drops.receives > 0, receives);
            assert_eq!(a.status().drops.sends > 0, fault == Fault::SendErrors);
            drop(pings);

            // Told of once by each socket that was used in vain.
            let mut told = troubles(&sim, &mut events);
            told.sort_unstable();
            let expected: &[Via] = match fault {
                Fault::Blocked => &[],
                _ if receives => &[Via::Client, Via::Server],
                // It is only asked by that one.
                _ => &[Via::Client],
            };
            assert_eq!(told, expected, "{fault:?}");

            // It lives on when the trouble is over.
            sim.world.set_fault(Fault::None);
            sim.advance(10 * SECOND);
            sim.block_on(a.ping(b.server_address().unwrap())).unwrap();
            sim.block_on(b.ping(a.server_address().unwrap())).unwrap();
        }
    }
}

fn troubles(sim: &Sim, events: &mut Events) -> Vec<Via> {
    let mut told = Vec::new();
    while let Some(Some(event)) = sim.now(&mut pin!(events.next())) {
        if let Event::SocketTrouble(via) = event {
            told.push(via);
        }
    }
    told
}

#[test]
fn who_asks_hears_what_the_system_said() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let to = b.server_address().unwrap();
    assert!(a.status().send_error.is_none());
    sim.world.set_fault(Fault::SendErrors);
    let error = sim.block_on(a.ping(to)).unwrap_err();
    let why = RequestError::Unsent(Unsent::HostUnreachable);
    assert!(matches!(error, Error::Request(error) if error == why), "{error}");
    assert_eq!(a.status().send_error.unwrap().kind(), ErrorKind::HostUnreachable);
    assert_eq!(a.stats().requests.timeouts, 0);

    // Also if it was kept until the socket takes it, and then was refused.
    sim.world.set_fault(Fault::WouldBlock);
    let ping = a.request(Request::ping(to).retries(0));
    sim.run();
    sim.world.set_fault(Fault::SendErrors);
    let error = sim.block_on(ping).unwrap_err();
    assert!(matches!(error, Error::Request(error) if error == why), "{error}");

    sim.world.set_fault(Fault::None);
    sim.block_on(a.ping(to)).unwrap();
    assert!(a.status().online);
}

#[test]
fn reasons_why_nothing_is_sent() {
    for (kind, why) in [
        (ErrorKind::NetworkUnreachable, Unsent::NetworkUnreachable),
        (ErrorKind::NetworkDown, Unsent::NetworkUnreachable),
        (ErrorKind::AddrNotAvailable, Unsent::NetworkUnreachable),
        (ErrorKind::HostUnreachable, Unsent::HostUnreachable),
        (ErrorKind::PermissionDenied, Unsent::Denied),
        (ErrorKind::OutOfMemory, Unsent::Other),
    ] {
        assert_eq!(unsent(&kind.into()), why);
    }
}

#[test]
fn peers_that_are_not_there_are_no_trouble_of_the_socket() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let start = sim.clock();
    sim.world.get().resets = 200;
    sim.block_on(a.ping(b.server_address().unwrap())).unwrap();
    assert_eq!(sim.world.get().resets, 0);
    assert_eq!(sim.clock(), start);
}

#[test]
fn what_a_socket_did_not_take_is_sent_later_once() {
    for fault in [Fault::WouldBlock, Fault::Blocked] {
        let sim = Sim::default();
        let node = sim.up();
        let peer = sim.world.socket(9);
        sim.world.set_fault(fault);
        let _ping = node.ping(local(9));
        sim.run();
        assert!(peer.take().is_none());
        sim.world.set_fault(Fault::None);
        sim.advance(SECOND / 2);
        assert!(peer.take().is_some(), "{fault:?}");
        assert!(peer.take().is_none(), "{fault:?}");
    }
}

#[test]
fn only_datagrams_of_ipv4_that_are_short_enough_count() {
    let sim = Sim::default();
    let node = sim.up();
    let port = node.server_address().unwrap().port();
    let before = node.stats();
    let from = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    sim.world.deliver(from, port, &[0x03, 0, 0]);
    let mut long = [0; 3000];
    long[0] = 0x03;
    sim.world.deliver(local(9).into(), port, &long[..2048]);
    sim.world.deliver(local(9).into(), port, &long[..2049]);
    sim.world.deliver(local(9).into(), port, &long);
    sim.run();
    assert_eq!(node.stats().drops.oversize - before.drops.oversize, 2);
    assert_eq!(node.stats().drops.malformed, before.drops.malformed);
}

#[test]
fn foreign_datagrams_come_out_and_go_in() {
    let sim = Sim::default();
    let node = sim.up();
    let peer = sim.world.socket(9);
    let (client, server) = (node.status().client_address.unwrap(), node.server_address().unwrap());
    // There is no feed for it so far.
    peer.send(server.port(), b"lost");
    sim.run();
    let mut datagrams = node.datagrams();
    peer.send(server.port(), b"hi server");
    peer.send(client.port(), b"hi client");
    sim.run();
    let mut taken = [0, 1].map(|_| sim.block_on(datagrams.next()).unwrap());
    taken.sort_by_key(|datagram| datagram.via);
    assert_eq!((taken[0].via, &taken[0].data[..]), (Via::Client, &b"hi client"[..]));
    assert_eq!((taken[1].via, &taken[1].data[..]), (Via::Server, &b"hi server"[..]));
    assert_eq!(taken[1].from, local(9));

    // Ours are not among them.
    sim.block_on(sim.up().ping(server)).unwrap();
    assert!(sim.now(&mut pin!(datagrams.next())).is_none());

    node.send_datagram(Via::Server, local(9), "from server", None).unwrap();
    node.send_datagram(Via::Client, local(9), "from client", Some(3)).unwrap();
    sim.run();
    let mut got = [0, 1].map(|_| peer.take().unwrap());
    got.sort();
    let mut expected =
        [(client.into(), b"from client".to_vec()), (server.into(), b"from server".to_vec())];
    expected.sort();
    assert_eq!(got, expected);
    assert_eq!(sim.world.get().ttls, [3]);
    let extra = node.send_datagram(Via::Extra(1), local(9), "", None);
    assert_eq!(extra, Err(SendError::InvalidAddress));
}

#[test]
fn foreign_datagrams_are_bounded_both_ways() {
    let sim = Sim::default();
    let node = sim.up();
    let datagrams = node.datagrams();
    let peer = sim.world.socket(9);
    for _ in 0..DATAGRAMS_MAX + 2 {
        peer.send(node.server_address().unwrap().port(), b"x");
    }
    sim.run();
    assert_eq!(node.status().drops.datagrams, 2);
    drop(datagrams);
    let send = || node.send_datagram(Via::Server, local(9), "x", None);
    for _ in 0..RAW_MAX {
        send().unwrap();
    }
    assert_eq!(send(), Err(SendError::Busy));
    sim.run();
    send().unwrap();
    sim.block_on(node.suspend()).unwrap();
    assert_eq!(send(), Err(SendError::Suspended));
    sim.block_on(node.close()).unwrap();
    assert_eq!(send(), Err(SendError::Closed));
}

#[test]
fn sockets_of_the_embedders_own() {
    let sim = Sim::default();
    let (node, other) = (sim.up(), sim.up());
    let mut requests = other.requests();
    let mut extra = node.extra(5);
    let own = sim.world.socket(9);
    let to = other.server_address().unwrap();

    // Out by it, and back in.
    let asked = node.request(Request::new(to, 16).via(extra.via()).ttl(2));
    let transmit = sim.block_on(extra.next()).unwrap();
    assert_eq!((transmit.to, transmit.ttl), (to, Some(2)));
    own.send(to.port(), &transmit.data);
    sim.block_on(requests.next()).unwrap().reply(Answer::value("hi")).unwrap();
    sim.run();
    let (_, data) = own.take().unwrap();
    assert!(extra.receive(to, &data));
    assert!(!extra.receive(to, b"another protocol"));
    assert_eq!(sim.block_on(asked).unwrap().value, Some(Bytes::from_static(b"hi")));

    // Without a feed for the socket, every datagram is lost, and requests time out.
    drop(extra);
    let asked = node.request(Request::new(to, 16).via(Via::Extra(5)));
    assert_eq!(sim.block_on(asked).unwrap_err().code(), Some("REQUEST_TIMEOUT"));
    assert_eq!(node.status().drops.extra, 4);
}

#[test]
fn sockets_of_the_embedders_do_not_wait_for_the_nodes() {
    let sim = Sim::default();
    let node = sim.up();
    let mut extra = node.extra(5);
    let own = [node.status().client_address.unwrap().port(), node.server_address().unwrap().port()];
    let faults = own.map(Fault::BlockedAt).into_iter().chain([Fault::Blocked]);
    for fault in faults {
        sim.world.set_fault(fault);
        // That they are blocked shows when they are used.
        for via in [Via::Client, Via::Server] {
            node.send_datagram(via, local(9), "hi", None).unwrap();
        }
        sim.run();
        let asked = node.request(Request::new(local(9), 16).via(extra.via()));
        sim.run();
        let transmit = sim.now(&mut pin!(extra.next())).flatten();
        assert_eq!(transmit.map(|transmit| transmit.to), Some(local(9)), "{fault:?}");
        drop(asked);
        sim.world.set_fault(Fault::None);
        sim.run();
    }
}

#[test]
fn a_time_to_live_that_sticks_costs_no_datagram() {
    let sim = Sim::default();
    let node = sim.up();
    let peer = sim.world.socket(9);
    let send = |ttl| {
        node.send_datagram(Via::Server, local(9), "hi", ttl).unwrap();
        sim.run();
        assert_eq!(peer.take().unwrap().1, b"hi");
    };
    sim.world.get().ttl_sticks = true;
    send(Some(3));
    assert_eq!(node.status().drops.sends, 0);
    send(Some(4));
    sim.world.get().ttl_sticks = false;
    send(None);
    send(Some(5));
    send(None);
    assert_eq!(sim.world.get().ttls, [3, 4, 5]);
}
