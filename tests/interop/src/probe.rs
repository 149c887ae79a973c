//! A client that sends single datagrams to nodes of hyperdht and sees all that comes back: to itself, and to a server
//! beside it, which is what handshakes are passed on to.
//!
//! That nothing comes is known without waiting: each datagram is followed by a ping, which is answered after it.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use dht_core::wire::{Message, Request, decode};
use dht_core::{DATAGRAM_MAX, Id};
use serde_json::{Value, json};

use crate::kv::hex;

/// dht-rpc's.
const PING: u64 = 0;
/// For how long the answer to a ping is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client, and the server.
#[derive(Debug)]
pub struct Probe {
    sockets: [UdpSocket; 2],
    tid: Cell<u16>,
}

/// What one of the two has sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Whether it was the server.
    pub by_server: bool,
    /// Whether it is one of dht-rpc's own.
    pub internal: bool,
    /// The command.
    pub command: u64,
    /// What it is about.
    pub target: Option<&'a [u8; 32]>,
    /// The token.
    pub token: Option<&'a [u8; 32]>,
    /// What comes with it.
    pub value: Option<&'a [u8]>,
}

/// What has come back.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// To who has sent.
    pub here: Vec<Value>,
    /// To the other one.
    pub there: Vec<Value>,
}

impl Probe {
    /// At two free ports.
    #[must_use]
    pub fn new() -> Probe {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
            socket
        };
        Probe { sockets: [socket(), socket()], tid: Cell::new(0) }
    }

    /// Where the client (0) or the server (1) is.
    #[must_use]
    pub fn address(&self, which: usize) -> String {
        self.sockets[which].local_addr().expect("its address").to_string()
    }

    /// Sends it to a node, and hears what comes of it.
    #[must_use]
    pub fn send(&self, node: SocketAddrV4, sent: &Sent<'_>) -> Heard {
        let tid = self.tid.get().wrapping_add(2);
        self.tid.set(tid);
        let Sent { by_server, internal, command, target, token, value } = *sent;
        let request = Request { tid, to: node, id: None, token, internal, command, target, value };
        let ping = Request {
            tid: tid + 1,
            internal: true,
            command: PING,
            token: None,
            target: None,
            value: None,
            ..request
        };
        let here = usize::from(by_server);
        for request in [request, ping] {
            let mut datagram = vec![0; request.encoded_len()];
            request.encode(&mut datagram).expect("enough space");
            self.sockets[here].send_to(&datagram, node).expect("to be sent");
        }
        let first = self.hear(here, tid, node).expect("an answer to the ping");
        let other = &self.sockets[1 - here];
        other.set_nonblocking(true).expect("to switch");
        let mut there = Vec::new();
        while let Ok(Some(message)) = self.next(1 - here, tid, node) {
            there.push(message);
        }
        other.set_nonblocking(false).expect("to switch");
        Heard { here: first, there }
    }

    /// A node's id, or the one that it would have, and its token for both: it comes with the refusal of another one.
    #[must_use]
    pub fn greet(&self, node: SocketAddrV4) -> ([u8; 32], [u8; 32]) {
        let tid = self.tid.get().wrapping_add(2);
        self.tid.set(tid);
        let ping = Request {
            tid,
            to: node,
            id: None,
            token: Some(&[0; 32]),
            internal: true,
            command: PING,
            target: None,
            value: None,
        };
        let mut datagram = vec![0; ping.encoded_len()];
        ping.encode(&mut datagram).expect("enough space");
        self.sockets[0].send_to(&datagram, node).expect("to be sent");
        let mut buf = [0; DATAGRAM_MAX];
        let len = self.sockets[0].recv(&mut buf).expect("an answer");
        let Ok(Message::Response(refusal)) = decode(&buf[..len]) else { panic!("no answer") };
        (Id::of(node).0, *refusal.token.expect("a token"))
    }

    /// All that comes to one of the two, up to the answer to the ping.
    fn hear(&self, which: usize, tid: u16, node: SocketAddrV4) -> io::Result<Vec<Value>> {
        let mut all = Vec::new();
        while let Some(message) = self.next(which, tid, node)? {
            all.push(message);
        }
        Ok(all)
    }

    /// The next message that comes; `None` if it is the answer to the ping.
    fn next(&self, which: usize, tid: u16, node: SocketAddrV4) -> io::Result<Option<Value>> {
        let mut buf = [0; DATAGRAM_MAX];
        let (len, from) = self.sockets[which].recv_from(&mut buf)?;
        let message = decode(&buf[..len]).expect("a message");
        assert_eq!(from, SocketAddr::V4(node), "{message:?}");
        let is_pong = matches!(message, Message::Response(pong) if pong.tid == tid + 1);
        Ok((!is_pong).then(|| read(&message, tid)))
    }
}

/// A message, but for what differs from node to node.
fn read(message: &Message<'_>, tid: u16) -> Value {
    match message {
        Message::Request(it) => json!({
            "request": it.command, "internal": it.internal, "its tid": it.tid == tid, "id": it.id.is_some(),
            "token": it.token.is_some(), "target": it.target.map(|target| hex(target)),
            "value": it.value.map(hex),
        }),
        Message::Response(it) => json!({
            "error": it.error, "its tid": it.tid == tid, "id": it.id.is_some(), "token": it.token.is_some(),
            "closer nodes": it.closer_nodes.is_some(), "value": it.value.map(hex), "to": it.to.to_string(),
        }),
    }
}

impl Default for Probe {
    fn default() -> Probe {
        Probe::new()
    }
}
