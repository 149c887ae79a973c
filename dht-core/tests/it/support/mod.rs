//! What tests of whole nodes share: one node (`lab`) among scripted peers (`peer`), many on a
//! network in memory (`net`), messages made by hand (`forge`). Here is what several of these need.

#![allow(unreachable_pub, reason = "within a test")]

pub mod forge;
pub mod lab;
pub mod net;
pub mod peer;

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire::{self, CloserNodes, Message};
use dht_core::{Id, Instant, Via};

pub const PING: u64 = 0;
pub const PING_NAT: u64 = 1;
pub const FIND_NODE: u64 = 2;
pub const DOWN_HINT: u64 = 3;
pub const DELAYED_PING: u64 = 4;

/// The addresses of the one node, as its peers see them.
pub const HOST: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 1);
pub const CLIENT: SocketAddrV4 = SocketAddrV4::new(HOST, 1000);
pub const SERVER: SocketAddrV4 = SocketAddrV4::new(HOST, 2000);

/// A datagram that the node has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Instant,
    pub via: Via,
    pub to: SocketAddrV4,
    pub ttl: Option<u8>,
    pub bytes: Vec<u8>,
}

impl Sent {
    pub fn as_request(&self) -> Option<wire::Request<'_>> {
        match wire::decode(&self.bytes) {
            Ok(Message::Request(request)) => Some(request),
            _ => None,
        }
    }

    pub fn as_response(&self) -> Option<wire::Response<'_>> {
        match wire::decode(&self.bytes) {
            Ok(Message::Response(response)) => Some(response),
            _ => None,
        }
    }

    pub fn request(&self) -> wire::Request<'_> {
        self.as_request().unwrap_or_else(|| panic!("not a request: {self:?}"))
    }

    pub fn response(&self) -> wire::Response<'_> {
        self.as_response().unwrap_or_else(|| panic!("not a response: {self:?}"))
    }

    /// Whether the datagram is a request with this internal command.
    pub fn is(&self, command: u64) -> bool {
        self.as_request().is_some_and(|request| request.internal && request.command == command)
    }

    /// Whether the datagram asks a node if it is there: a PING, or a request for its neighbours.
    pub fn checks(&self) -> bool {
        let own = Id::of(self.to).0;
        let for_neighbours = |request: wire::Request<'_>| request.target == Some(&own);
        self.is(PING) || self.is(FIND_NODE) && self.as_request().is_some_and(for_neighbours)
    }

    pub fn token(&self) -> [u8; 32] {
        *self.response().token.unwrap()
    }

    pub fn nodes(&self) -> Vec<SocketAddrV4> {
        self.response().closer_nodes.iter().flat_map(CloserNodes::iter).collect()
    }
}

/// A public address in a /24 of its own, the same for the same number.
pub fn addr(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x2e00_0001 + (n << 8)), 4000)
}

/// A point in the key space, the same for the same number.
pub fn target(n: u32) -> Id {
    Id::of(SocketAddrV4::new(Ipv4Addr::from(n), 7))
}

/// The point that differs from `id` in this bit only.
pub fn flipped(mut id: Id, bit: usize) -> Id {
    id.0[bit / 8] ^= 0x80 >> (bit % 8);
    id
}

/// A response whose sender sees the node as `to`, with the id of an address if one is given.
pub fn bare_answer(tid: u16, to: SocketAddrV4, id_of: Option<SocketAddrV4>) -> Vec<u8> {
    let id = id_of.map(|addr| Id::of(addr).0);
    forge::Forged { to, id, ..Default::default() }.bytes(tid)
}
