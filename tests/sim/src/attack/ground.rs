//! Addresses by their ids: all ports of an attacker's hosts, hashed once.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::Id;

use crate::sim::truth::closest;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground(BTreeMap<Id, SocketAddrV4>);

impl Ground {
    pub(super) fn of(addrs: impl Iterator<Item = SocketAddrV4>) -> Self {
        Self(addrs.map(|addr| (Id::of(addr), addr)).collect())
    }

    /// The `count` of them that are nearest to any target, the nearest first.
    pub(super) fn closest(&self, target: &Id, count: usize) -> Vec<SocketAddrV4> {
        closest(&self.0, target, count).into_iter().map(|(_, addr)| addr).collect()
    }
}
