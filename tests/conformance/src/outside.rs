//! What a node shows to a peer, whoever runs it.

use std::net::{SocketAddrV4, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use dht_core::error_code;

use crate::peer::{FIND_NODE, PATIENCE, Peer};
use crate::{Loop, free_port, local};

/// A node by itself, where its server socket is, and a peer.
fn alone<L: Loop>() -> (L, SocketAddrV4, Peer) {
    let port = free_port();
    (L::start(port, &[]), local(port), Peer::new())
}

/// A node that asks its bootstrap node, which does not answer; where its server socket is, and its
/// client socket.
fn asking<L: Loop>() -> (L, SocketAddrV4, SocketAddrV4, Peer) {
    let (bootstrap, port) = (Peer::new(), free_port());
    let node = L::start(port, &[bootstrap.addr().to_string()]);
    let client = bootstrap.asked().from;
    (node, local(port), client, bootstrap)
}

/// The protocol's own commands.
pub fn it_answers_pings_and_tells_of_nodes<L: Loop>() {
    let (_node, addr, peer) = alone::<L>();
    let pong = peer.ping(addr);
    assert_eq!((pong.error, pong.to, pong.value), (error_code::OK, peer.addr(), None));
    let found = peer.find_node(addr);
    assert_eq!((found.error, found.to, found.closer_nodes.len()), (error_code::OK, peer.addr(), 0));
}

/// Values travel both ways, up to the longest.
pub fn it_answers_as_the_application_says<L: Loop>() {
    let (_node, addr, peer) = alone::<L>();
    let answer = peer.call(addr, 0, None);
    assert!(answer.value.is_none() && answer.has_token);
    for size in [0, 1, 100, L::LONGEST - 1, L::LONGEST] {
        let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        assert_eq!(peer.call(addr, 0, Some(&value)).value, Some(value), "{size} bytes");
    }
    assert_eq!(peer.call(addr, 5, None).error, error_code::UNKNOWN_COMMAND);
}

/// Datagrams of any size and content, and none of them is an end.
pub fn it_lives_through_garbage<L: Loop>() {
    let (_node, addr, peer) = alone::<L>();
    peer.ping(addr);
    // Another protocol's, a request's and a response's first byte.
    for first in [0xff, 0x03, 0x13] {
        for size in [0, 1, 2, 7, 1400, 2047, 2048, 2049, 5000, 65_507] {
            let mut data = vec![0xff; size];
            data.iter_mut().take(1).for_each(|byte| *byte = first);
            peer.send(addr, &data);
        }
        peer.ping(addr);
    }
    let mut seed = 7_u32;
    for round in 0..200 {
        let data: Vec<u8> = (0..round * 3)
            .map(|at| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if at == 0 { 0x03 | (round as u8 & 1) << 4 } else { (seed >> 24) as u8 }
            })
            .collect();
        peer.send(addr, &data);
        if round % 20 == 0 {
            peer.ping(addr);
        }
    }
    // A request may be longer than the answer that it wants.
    for size in [1320, 1340, 1400, 2000] {
        peer.send_request(addr, 0, false, 0, Some(&vec![7; size]));
        peer.ping(addr);
    }
    assert_eq!(peer.call(addr, 0, Some(b"alive")).value.as_deref(), Some(&b"alive"[..]));
}

/// Where nobody is any more, the system may say so, by an error of the socket's.
pub fn it_lives_through_peers_that_are_gone<L: Loop>() {
    let (_node, server, client, bootstrap) = asking::<L>();
    // It will ask again.
    drop(bootstrap);
    for _ in 0..30 {
        let peer = Peer::new();
        peer.send_ping(server);
        peer.send_ping(client);
        drop(peer);
        thread::sleep(Duration::from_millis(100));
    }
    let peer = Peer::new();
    peer.ping(server);
    peer.ping(client);
}

/// Bootstrap nodes by name.
pub fn it_joins_by_a_name<L: Loop>() {
    joins::<L>(|port| vec![format!("localhost:{port}")]);
}

/// A bootstrap node that is not there does no harm to the others.
pub fn it_joins_beside_a_dead_bootstrap_node<L: Loop>() {
    joins::<L>(|port| [free_port(), port].map(|port| format!("127.0.0.1:{port}")).to_vec());
}

fn joins<L: Loop>(bootstrap: impl FnOnce(u16) -> Vec<String>) {
    let (_first, addr, peer) = alone::<L>();
    let port = free_port();
    let _node = L::start(port, &bootstrap(addr.port()));
    let start = Instant::now();
    while peer.find_node(local(port)).closer_nodes != [addr] {
        assert!(start.elapsed() < PATIENCE, "it has not joined");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Nothing comes in, but time goes on.
pub fn it_asks_again_when_nobody_answers<L: Loop>() {
    let (_node, _, _, bootstrap) = asking::<L>();
    let start = Instant::now();
    for _ in 0..3 {
        let asked = bootstrap.asked();
        assert!(asked.internal && asked.command == FIND_NODE);
    }
    assert!(start.elapsed() > Duration::from_millis(500), "all at once");
}

/// A node that may be behind a firewall asks by one socket, and is asked at the other.
pub fn requests_leave_by_the_client_socket_and_answers_by_the_one_that_was_asked<L: Loop>() {
    let (_node, server, client, _bootstrap) = asking::<L>();
    assert_ne!(client, server);
    // The peer sees to it that answers come from where it asked.
    let peer = Peer::new();
    for to in [client, server, client] {
        peer.ping(to);
        assert_eq!(peer.call(to, 0, Some(b"x")).value.as_deref(), Some(&b"x"[..]));
    }
}

/// Through the upkeep every five seconds.
pub fn it_answers_while_its_timers_ring<L: Loop>() {
    let (_node, addr, peer) = alone::<L>();
    for _ in 0..24 {
        peer.ping(addr);
        thread::sleep(Duration::from_millis(250));
    }
}

/// The ports are free again.
pub fn its_sockets_are_closed_at_the_end<L: Loop>() {
    let (node, server, client, _bootstrap) = asking::<L>();
    drop(node);
    drop([server, client].map(|addr| UdpSocket::bind(addr).unwrap()));
}
