//! Drawing nodes so that who has many addresses in one network is drawn no more often than who has one.

use core::net::SocketAddrV4;

use super::{Table, bucket::Entry};
use crate::addr::prefix24;
use crate::api::exempt::Exempt;

/// How many nodes are drawn at once, at most.
pub(crate) const SPREAD: usize = 8;

/// Nodes of different networks, and where in the order of a key each network stands.
pub(crate) type Spread = heapless::Vec<(u32, SocketAddrV4), SPREAD>;

/// Where the network of `addr` stands in the order of `key`: its /24, or itself if it is local. No two /24s stand at the
/// same place.
pub(crate) fn place_of(addr: SocketAddrV4, key: u32, exempt: &Exempt) -> u32 {
    let host = addr.ip().to_bits();
    mix(if exempt.covers(*addr.ip()) {
        mix(host) ^ u32::from(addr.port())
    } else {
        prefix24(*addr.ip())
    } ^ key)
}

/// A permutation of the numbers (the finalizer of `MurmurHash3`). Who does not know the key can't tell who
/// comes first.
const fn mix(mut n: u32) -> u32 {
    n ^= n >> 16;
    n = n.wrapping_mul(0x85eb_ca6b);
    n ^= n >> 13;
    n = n.wrapping_mul(0xc2b2_ae35);
    n ^ n >> 16
}

impl Table {
    /// The first [`SPREAD`] networks after the place `after`, in the order of `key`, each with a node that has
    /// answered and was not heard of since `silent` ticks. With a random key each network is as likely as any other,
    /// however many nodes it has, and so is each node of one network.
    pub(crate) fn spread(
        &self,
        (key, after): (u32, Option<u32>),
        exempt: &Exempt,
        silent: u32,
        tick: u32,
    ) -> Spread {
        let mut first: Spread = heapless::Vec::new();
        let silent_since =
            |entry: &Entry| tick.saturating_sub(self.epochs.pinged_tick(entry.pinged)) >= silent;
        let wanted = |entry: &Entry| entry.answered() && (silent == 0 || silent_since(entry));
        let nodes = self.buckets.iter().flat_map(|bucket| bucket.iter());
        for (_, entry) in nodes.filter(|(_, entry)| wanted(entry)) {
            let addr = entry.addr();
            let place = place_of(addr, key, exempt);
            if after.is_some_and(|after| place <= after) {
                continue;
            }
            let at = first.iter().position(|(other, _)| *other >= place).unwrap_or(first.len());
            let rank = |addr: SocketAddrV4| {
                mix(addr.ip().to_bits() ^ key).wrapping_add(mix(u32::from(addr.port()) ^ key))
            };
            match first.get_mut(at) {
                Some((other, node)) if *other == place => {
                    *node = core::cmp::min_by_key(*node, addr, |addr| rank(*addr));
                }
                _ if at < SPREAD => {
                    if first.is_full() {
                        first.pop();
                    }
                    // There is a place.
                    let _ = first.insert(at, (place, addr));
                }
                _ => {}
            }
        }
        first
    }
}
