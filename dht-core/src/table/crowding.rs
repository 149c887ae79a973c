//! How many nodes of one host, and of one /24, are too many: for whoever owns a few addresses must not count as many, and
//! a network that lives on a few hosts must work all the same. So what is fair depends on how many hosts the table knows.
//!
//! Nodes over quota fill places that are free, and are the first to give way. Once the table knows many hosts they get no
//! place at all: else one host with enough ports fills the deep buckets, which are never full.

use core::net::{Ipv4Addr, SocketAddrV4};

use super::bucket::Entry;
use super::{K, Slot, Table, join, shared_bits};
use crate::addr::prefix24;
use crate::id::Id;

/// The least that a host, and a /24, is allowed of the closest nodes to a key.
const CLOSEST_PER_HOST: usize = 2;
const CLOSEST_PER_PREFIX: usize = 3;
/// The least that a host, and a /24, is allowed of a table, and a /24 of a bucket.
const TABLE_PER_HOST: usize = 2;
const TABLE_PER_PREFIX: usize = 10;
const BUCKET_PER_PREFIX: usize = 2;
/// With this many hosts a table needs no nodes over quota.
const HOSTS_ENOUGH: usize = 2 * K;

/// How many of the closest nodes to a key may be of one host, and of one /24.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quotas {
    pub(crate) host: u8,
    pub(crate) prefix: u8,
}

impl Quotas {
    /// As many as there are.
    pub(crate) const NONE: Self = Self { host: K as u8, prefix: K as u8 };
}

/// How many hosts, and how many /24s, the nodes of the table are of. Each exempt node counts as one of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    hosts: u16,
    prefixes: u16,
}

impl Groups {
    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn counts(self) -> [usize; 2] {
        [self.hosts.into(), self.prefixes.into()]
    }
}

/// Of how many nodes of the table an address is a neighbour: on its host, and in its /24; of the latter also in one bucket.
struct Neighbours {
    host: usize,
    prefix: usize,
    bucket: usize,
}

/// Of 20 nodes drawn from that number of equal groups, how many may be of one before it is strange: the mean, and 2.8 times
/// its standard deviation. Of 41 groups or more two.
fn fair(groups: u16) -> usize {
    let groups = usize::from(groups.max(1));
    1 + K / groups + (8 * K / groups).isqrt()
}

impl Table {
    /// How many of the closest nodes to a key may be of one host, and of one /24, in a network like that of the table.
    pub(crate) fn quotas(&self) -> Quotas {
        let most = |groups: u16, least: usize| fair(groups).clamp(least, K) as u8;
        Quotas {
            host: most(self.groups.hosts, CLOSEST_PER_HOST),
            prefix: most(self.groups.prefixes, CLOSEST_PER_PREFIX),
        }
    }

    /// Whether the table knows so many hosts that it does without a node that would be over quota.
    pub(crate) fn does_without(&self, id: &Id, addr: SocketAddrV4) -> bool {
        let bucket = shared_bits(&self.own, id);
        usize::from(self.groups.hosts) >= HOSTS_ENOUGH
            && bucket.is_some_and(|own| self.is_crowd(own, addr))
    }

    /// Whether a node at `addr` in this bucket is one too many of its host or of its /24: of these the nodes count that
    /// are as near to us or nearer, so that each table keeps the nearest nodes of a large host, which nobody else may know.
    pub(super) fn is_crowd(&self, bucket: usize, addr: SocketAddrV4) -> bool {
        let near = self.neighbours(bucket, *addr.ip());
        self.are_too_many(&near) && !self.exempt.covers(*addr.ip())
    }

    /// Whether one more is too many.
    fn are_too_many(&self, near: &Neighbours) -> bool {
        let (host, prefix) = self.most();
        near.host >= host
            || near.prefix >= prefix
            || near.bucket >= fair(self.groups.prefixes).max(BUCKET_PER_PREFIX)
    }

    /// Whether a node of the table is one too many of its host or of its /24.
    fn is_one_too_many(&self, bucket: usize, ip: Ipv4Addr) -> bool {
        let mut near = self.neighbours(bucket, ip);
        // Itself it does not count.
        (near.host, near.prefix, near.bucket) = (near.host - 1, near.prefix - 1, near.bucket - 1);
        self.are_too_many(&near)
    }

    /// A node at `addr` has left, which may make room in the quotas for its neighbours.
    pub(super) fn relieve(&mut self, addr: SocketAddrV4) {
        let prefix = prefix24(*addr.ip());
        for number in 0..self.buckets.len() {
            for position in 0..K {
                let entry = self.buckets.get(number, position);
                let over =
                    entry.filter(|entry| entry.over_quota() && prefix24(entry.ip()) == prefix);
                let Some(ip) = over.map(Entry::ip) else { continue };
                let over = self.is_one_too_many(number, ip);
                let entry = self.buckets.get_mut(number, position);
                entry.into_iter().for_each(|entry| entry.set_over_quota(over));
            }
        }
    }

    /// How many nodes of one host, and of one /24, the table takes: at least twice the mean, less one.
    fn most(&self) -> (usize, usize) {
        let most = |groups: u16| (2 * self.len / usize::from(groups.max(1))).saturating_sub(1);
        let Groups { hosts, prefixes } = self.groups;
        (most(hosts).max(TABLE_PER_HOST), most(prefixes).max(TABLE_PER_PREFIX))
    }

    /// The farthest node of the host of `addr`, or of its /24, if there is one more than the quota says and the table
    /// does without it: the others, which are nearer, are its best.
    pub(crate) fn outdone(&self, addr: SocketAddrV4) -> Option<Slot> {
        let ip = *addr.ip();
        if usize::from(self.groups.hosts) < HOSTS_ENOUGH || self.exempt.covers(ip) {
            return None;
        }
        let (near, (host, prefix)) = (self.neighbours(0, ip), self.most());
        if near.host <= host && near.prefix <= prefix {
            return None;
        }
        let is_one = |entry: &Entry| match near.host > host {
            true => entry.ip() == ip,
            false => prefix24(entry.ip()) == prefix24(ip),
        };
        self.buckets.iter().find_map(|bucket| {
            let (position, entry) = bucket.iter().find(|(_, entry)| is_one(entry))?;
            Some(Slot { index: join(bucket.number, position), addr: entry.addr() })
        })
    }

    /// Of the nodes in this bucket and deeper ones.
    fn neighbours(&self, number: usize, ip: Ipv4Addr) -> Neighbours {
        let mut near = Neighbours { host: 0, prefix: 0, bucket: 0 };
        for bucket in self.buckets.iter().skip(number) {
            for (_, entry) in bucket.iter() {
                let other = entry.ip();
                if prefix24(other) == prefix24(ip) {
                    near.prefix += 1;
                    near.host += usize::from(other == ip);
                    near.bucket += usize::from(number == bucket.number);
                }
            }
        }
        near
    }

    /// A node at `addr` has just entered the table, or has just left it.
    pub(super) fn count_groups(&mut self, addr: SocketAddrV4, enters: bool) {
        let own = self.exempt.covers(*addr.ip());
        let near = self.neighbours(0, *addr.ip());
        let none = usize::from(enters);
        let (host, prefix) = (own || near.host == none, own || near.prefix == none);
        let Groups { hosts, prefixes } = &mut self.groups;
        for (count, alone) in [(hosts, host), (prefixes, prefix)] {
            *count = if enters { *count + u16::from(alone) } else { *count - u16::from(alone) };
        }
    }

    /// The node that gives way to a node at `addr` with this id, in the bucket that has to make room, because it is over
    /// quota and the other is not: the last to have come.
    pub(crate) fn surplus(&self, id: &Id, addr: SocketAddrV4) -> Option<Slot> {
        let own = shared_bits(&self.own, id)?;
        let bucket = self.crowded(id).unwrap_or(own);
        let is_over =
            |entry: &Entry| entry.over_quota() && self.is_one_too_many(bucket, entry.ip());
        let nodes = self.buckets.bucket(bucket)?.iter().filter(|(_, entry)| is_over(entry));
        let (position, entry) = nodes.max_by_key(|(_, entry)| entry.added)?;
        let slot = Slot { index: join(bucket, position), addr: entry.addr() };
        (!self.is_crowd(own, addr)).then_some(slot)
    }
}
