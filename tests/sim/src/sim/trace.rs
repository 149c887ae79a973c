//! The trace hash: one number that stands for all that has happened.
//!
//! It covers every delivery (time, source, destination, bytes) and every change of a host's state, in
//! order. Two runs with the same hash did the same; it is made of integers only, read in the same
//! byte order everywhere.

use std::net::SocketAddrV4;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Datagram;
use crate::world::{HostId, Micros};

/// The hash so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) fn hash(self) -> u64 {
        self.0
    }

    pub(crate) fn delivery(&mut self, at: Micros, Datagram { from, to, bytes }: Datagram<'_>) {
        self.mix(at);
        self.mix(number(from));
        self.mix(number(to));
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// Something else happened to a host: `what` stands for it.
    pub(crate) fn change(&mut self, at: Micros, host: HostId, what: u64) {
        self.mix(at);
        self.mix(u64::from(host.0) << 32 ^ what);
    }

    fn mix(&mut self, x: u64) {
        let z = (self.0 ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = z ^ z >> 29;
    }
}

fn number(addr: SocketAddrV4) -> u64 {
    u64::from(addr.ip().to_bits()) << 16 | u64::from(addr.port())
}
