//! What checks remember: of each process of a host ([`PerHost`]), and of what passes between a process and an
//! address ([`ByKey`]). It goes when the process does, and maps forget what is old by themselves.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::sim::Sim;
use crate::world::{HostId, Micros};

/// Old entries of a map are dropped this often: to go through all of them costs more than to keep them.
const TIDY: Micros = 15_000_000;

/// A value for each host's present process; the default for a new process.
#[derive(Clone, Debug, Default)]
pub(super) struct PerHost<T>(Vec<(u32, T)>);

impl<T: Clone + Default> PerHost<T> {
    pub(super) fn of(&mut self, sim: &Sim, host: HostId) -> &mut T {
        if self.0.len() <= host.index() {
            self.0.resize(host.index() + 1, Default::default());
        }
        let (process, value) = &mut self.0[host.index()];
        if *process != sim.generation(host) {
            (*process, *value) = (sim.generation(host), T::default());
        }
        value
    }

    /// The value, if it was ever looked at.
    pub(super) fn get(&self, sim: &Sim, host: HostId) -> Option<&T> {
        let (process, value) = self.0.get(host.index())?;
        (*process == sim.generation(host)).then_some(value)
    }
}

/// A map in which an entry is kept for `SECONDS` after it was made or last [used](Self::entry).
#[derive(Clone, Debug)]
pub(super) struct ByKey<V, const SECONDS: u64 = 60> {
    entries: BTreeMap<Key, (Micros, V)>,
    tidied: Micros,
}

impl<V, const SECONDS: u64> Default for ByKey<V, SECONDS> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), tidied: 0 }
    }
}

impl<V, const SECONDS: u64> ByKey<V, SECONDS> {
    /// The entry of a key, made by `fresh` if there is none.
    pub(super) fn entry(&mut self, sim: &Sim, key: Key, fresh: impl FnOnce() -> V) -> &mut V {
        let now = sim.now();
        if now - self.tidied >= TIDY {
            self.entries.retain(|_, (used, _)| now - *used < SECONDS * 1_000_000);
            self.tidied = now;
        }
        let (used, value) = self.entries.entry(key).or_insert_with(|| (now, fresh()));
        *used = now;
        value
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    pub(super) fn get(&self, key: Key) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }
}

/// A process of a host, an address that it deals with, and a transaction id, if that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn new(sim: &Sim, host: HostId, addr: SocketAddrV4, tid: u16) -> Self {
        Self(Self::of_ip(sim, host, *addr.ip(), tid).0 | u128::from(addr.port()) << 16)
    }

    /// The same for all ports of the address.
    pub(super) fn of_ip(sim: &Sim, host: HostId, ip: Ipv4Addr, tid: u16) -> Self {
        let process = u64::from(sim.generation(host)) << 32 | u64::from(host.0);
        Self(u128::from(process) << 64 | u128::from(ip.to_bits()) << 32 | u128::from(tid))
    }
}
