//! A peer that is driven by hand: one socket, and the wire.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use dht_core::DATAGRAM_MAX;
use dht_core::wire::{self, Message};

use crate::{LOCALHOST, local, port};

/// The protocol's own commands.
pub(crate) const PING: u64 = 0;
pub(crate) const FIND_NODE: u64 = 2;

/// Nothing takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer may take before it is asked again.
const TRY: Duration = Duration::from_millis(500);

pub(crate) struct Peer {
    socket: UdpSocket,
}

pub(crate) struct Answer {
    /// Our own address as they see it.
    pub(crate) to: SocketAddrV4,
    pub(crate) error: u64,
    pub(crate) has_token: bool,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) closer_nodes: Vec<SocketAddrV4>,
}

/// A request of theirs.
pub(crate) struct Asked {
    pub(crate) from: SocketAddrV4,
    pub(crate) internal: bool,
    pub(crate) command: u64,
}

impl Peer {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(TRY)).unwrap();
        Self { socket }
    }

    pub(crate) fn addr(&self) -> SocketAddrV4 {
        local(port(&self.socket))
    }

    pub(crate) fn send(&self, to: SocketAddrV4, data: &[u8]) {
        self.socket.send_to(data, to).unwrap();
    }

    pub(crate) fn ping(&self, to: SocketAddrV4) -> Answer {
        self.ask(to, true, PING, None)
    }

    /// What they answer to a command of the application's.
    pub(crate) fn call(&self, to: SocketAddrV4, command: u64, value: Option<&[u8]>) -> Answer {
        self.ask(to, false, command, value)
    }

    pub(crate) fn find_node(&self, to: SocketAddrV4) -> Answer {
        self.ask(to, true, FIND_NODE, None)
    }

    /// Asks without waiting for the answer.
    pub(crate) fn send_ping(&self, to: SocketAddrV4) {
        self.send_request(to, 0, true, PING, None);
    }

    /// Asks, again if need be: on loopback datagrams are lost as well, if somebody is slow.
    fn ask(&self, to: SocketAddrV4, internal: bool, command: u64, value: Option<&[u8]>) -> Answer {
        let start = Instant::now();
        let mut tid = 0;
        while start.elapsed() < PATIENCE {
            tid += 1;
            self.send_request(to, tid, internal, command, value);
            let mut buf = [0; DATAGRAM_MAX];
            while let Some((from, message)) = self.receive(&mut buf) {
                let Message::Response(response) = message else { continue };
                if response.tid == tid {
                    assert_eq!(from, to, "an answer from another socket than was asked");
                    let closer_nodes = response.closer_nodes.iter().flat_map(|nodes| nodes.iter());
                    return Answer {
                        to: response.to,
                        error: response.error,
                        has_token: response.token.is_some(),
                        value: response.value.map(<[u8]>::to_vec),
                        closer_nodes: closer_nodes.collect(),
                    };
                }
            }
        }
        panic!("{to} does not answer");
    }

    pub(crate) fn send_request(
        &self,
        to: SocketAddrV4,
        tid: u16,
        internal: bool,
        command: u64,
        value: Option<&[u8]>,
    ) {
        let target = [7; 32];
        let target = (command == FIND_NODE).then_some(&target);
        let request =
            wire::Request { tid, to, id: None, token: None, internal, command, target, value };
        let mut buf = [0; DATAGRAM_MAX];
        let len = request.encode(&mut buf).unwrap();
        self.send(to, &buf[..len]);
    }

    /// The next request, which is not answered.
    pub(crate) fn asked(&self) -> Asked {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let mut buf = [0; DATAGRAM_MAX];
            if let Some((from, Message::Request(request))) = self.receive(&mut buf) {
                return Asked { from, internal: request.internal, command: request.command };
            }
        }
        panic!("nobody asks");
    }

    fn receive<'b>(&self, buf: &'b mut [u8]) -> Option<(SocketAddrV4, Message<'b>)> {
        let (len, from) = self.socket.recv_from(buf).ok()?;
        let SocketAddr::V4(from) = from else { return None };
        Some((from, wire::decode(&buf[..len]).unwrap()))
    }
}
