//! Datagrams under way: real bytes, in places that are used again.

use std::net::SocketAddrV4;

use crate::world::HostId;

/// A datagram under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The source address that the receiver sees.
    pub from: SocketAddrV4,
    /// Where it goes.
    pub to: SocketAddrV4,
    /// Who really sent it.
    pub sender: HostId,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl Packet {
    pub(super) fn datagram(&self) -> Datagram<'_> {
        Datagram { from: self.from, to: self.to, bytes: &self.bytes }
    }
}

/// What its receiver sees of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The source address.
    pub from: SocketAddrV4,
    /// The destination address.
    pub to: SocketAddrV4,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What was sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of them on the wire, with 28 bytes of headers for each.
    pub bytes: u64,
}

impl Spent {
    pub(crate) fn count(&mut self, bytes: &[u8]) {
        self.datagrams += 1;
        self.bytes += (bytes.len() + HEADERS) as u64;
    }
}

/// Of IPv4 and UDP.
const HEADERS: usize = 28;

/// All datagrams under way, by number. A number is used again once its datagram has arrived, and so
/// is its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packets {
    places: Vec<Packet>,
    free: Vec<u32>,
}

/// A place whose datagram was larger gives its memory back.
const KEPT_MAX: usize = 512;

impl Packets {
    pub(crate) fn put(&mut self, sender: HostId, datagram: Datagram<'_>) -> u32 {
        let Datagram { from, to, bytes } = datagram;
        if let Some(at) = self.free.pop() {
            let packet = &mut self.places[at as usize];
            (packet.from, packet.to, packet.sender) = (from, to, sender);
            packet.bytes.clear();
            packet.bytes.extend_from_slice(bytes);
            return at;
        }
        self.places.push(Packet { from, to, sender, bytes: bytes.to_vec() });
        (self.places.len() - 1) as u32
    }

    /// Takes a datagram out; [`put_back`](Self::put_back) gives its memory to the next.
    pub(crate) fn take(&mut self, at: u32) -> Packet {
        let place = &mut self.places[at as usize];
        Packet { bytes: std::mem::take(&mut place.bytes), ..*place }
    }

    pub(crate) fn put_back(&mut self, at: u32, packet: Packet) {
        if packet.bytes.capacity() <= KEPT_MAX {
            self.places[at as usize].bytes = packet.bytes;
        }
        self.free.push(at);
    }

    /// Puts a datagram back to where it was taken from: it is still under way.
    pub(crate) fn restore(&mut self, at: u32, packet: Packet) {
        self.places[at as usize] = packet;
    }

    /// A datagram is no more.
    pub(crate) fn discard(&mut self, at: u32) {
        let packet = self.take(at);
        self.put_back(at, packet);
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
