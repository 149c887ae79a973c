//! Maps by host, address and transaction id, for checks that are made at every datagram.
//!
//! Nothing depends on their order, and they are hashed the same way each time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::world::HostId;

pub(super) type ByKey<V> = HashMap<Key, V, BuildHasherDefault<Mixer>>;

/// A host, an address that it deals with, and a transaction id, if that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn new(host: HostId, addr: SocketAddrV4, tid: u16) -> Self {
        Self::of_ip(host, *addr.ip(), tid).with_port(addr.port())
    }

    /// Whatever the port.
    pub(super) fn of_ip(host: HostId, ip: Ipv4Addr, tid: u16) -> Self {
        Self(u128::from(host.0) << 64 | u128::from(ip.to_bits()) << 32 | u128::from(tid))
    }

    fn with_port(self, port: u16) -> Self {
        Self(self.0 | u128::from(port) << 16)
    }

    pub(super) fn host(self) -> HostId {
        HostId((self.0 >> 64) as u32)
    }
}

/// Good enough for addresses and small numbers, and far cheaper than what guards against attackers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u128(u128::from(*byte)));
    }

    fn write_u128(&mut self, n: u128) {
        let (low, high) = (n as u64, (n >> 64) as u64);
        let z = (self.0 ^ low ^ high.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (z ^ z >> 32).wrapping_mul(0xd1b5_4a32_d192_ed03);
        self.0 ^= self.0 >> 29;
    }
}
