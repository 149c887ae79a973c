//! One bucket: up to [`K`] entries at positions that they keep until removed.
//!
//! It is a view of where they are stored, and never looks at the links of the
//! contact order.

use core::net::{Ipv4Addr, SocketAddrV4};

use super::K;
use super::sort::sort;
use crate::id::Id;

/// What the table remembers of a node. Ages as in [`super::ages`].
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Of the node's id, what follows after the bits that are the same in all of its
    /// bucket: see [`rest`].
    pub(super) rest: u32,
    ip: [u8; 4],
    port: u16,
    pub(super) pinged: u16,
    pub(super) added: u8,
    pub(super) sampled: u8,
    pub(super) seen: u8,
    flags: u8,
    /// The neighbours in contact order, as table indices.
    pub(super) older: u16,
    pub(super) newer: u16,
}

// The memory of a node is mostly this, 330 times.
const _: () = assert!(size_of::<Entry>() == 20);

const HINTED: u8 = 0x80;
const DOUBTED: u8 = 0x40;
const ANSWERED: u8 = 0x20;
const SERVES: u8 = 0x10;
const OVER_QUOTA: u8 = 0x08;
const SILENT_ANSWERS: u8 = 0x07;

impl Entry {
    pub(super) const VACANT: Self = Self {
        rest: 0,
        ip: [0; 4],
        port: 0,
        pinged: 0,
        added: 0,
        sampled: 0,
        seen: 0,
        flags: 0,
        older: 0,
        newer: 0,
    };

    /// A node of which nothing but its address is known.
    pub(super) fn new(rest: u32, addr: SocketAddrV4) -> Self {
        Self { rest, ip: addr.ip().octets(), port: addr.port(), ..Self::VACANT }
    }

    pub(super) fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.ip)
    }

    pub(super) fn addr(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip(), self.port)
    }

    pub(super) fn hinted(&self) -> bool {
        self.flags & HINTED != 0
    }

    pub(super) fn set_hinted(&mut self, hinted: bool) {
        self.flags = self.flags & !HINTED | if hinted { HINTED } else { 0 };
    }

    pub(super) fn doubted(&self) -> bool {
        self.flags & DOUBTED != 0
    }

    pub(super) fn set_doubted(&mut self, doubted: bool) {
        self.flags = self.flags & !(DOUBTED | SERVES) | if doubted { DOUBTED } else { 0 };
    }

    /// Whether it has ever answered us, rather than been put in unasked.
    pub(super) fn answered(&self) -> bool {
        self.flags & ANSWERED != 0
    }

    pub(super) fn set_answered(&mut self) {
        self.flags |= ANSWERED;
    }

    pub(super) fn serves(&self) -> bool {
        self.flags & SERVES != 0
    }

    pub(super) fn set_serves(&mut self, serves: bool) {
        self.flags = self.flags & !SERVES | if serves { SERVES } else { 0 };
    }

    /// Whether there were too many of its host, or of its /24, when it came.
    pub(super) fn over_quota(&self) -> bool {
        self.flags & OVER_QUOTA != 0
    }

    pub(super) fn set_over_quota(&mut self, over: bool) {
        self.flags = self.flags & !OVER_QUOTA | if over { OVER_QUOTA } else { 0 };
    }

    pub(super) fn answers_without_id(&self) -> u8 {
        self.flags & SILENT_ANSWERS
    }

    /// Saturates at 7.
    pub(super) fn set_silent_answers(&mut self, count: u8) {
        self.flags = self.flags & !SILENT_ANSWERS | count.min(SILENT_ANSWERS);
    }
}

/// The first 32 bits of `id` after the prefix that all ids of bucket `number` have in common.
pub(super) fn rest(id: &Id, number: usize) -> u32 {
    let at = number + 1;
    let bytes = id.0.get(at / 8..).unwrap_or_default();
    let bytes = bytes.first_chunk().copied().unwrap_or_else(|| {
        // Past the end of an id there are zeros, for all alike.
        core::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
    });
    (u64::from_be_bytes(bytes) << (at % 8) >> 32) as u32
}

/// The entries of a bucket.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'a> {
    pub(super) number: usize,
    /// A bit for each position that is taken.
    pub(super) taken: u32,
    /// By position, as far as there are any.
    pub(super) entries: &'a [Entry],
}

/// What a position takes of a sort key.
const POSITION_BITS: u32 = 5;
const _: () = assert!(K <= 1 << POSITION_BITS);

impl<'a> Bucket<'a> {
    pub(super) fn len(&self) -> usize {
        self.taken.count_ones() as usize
    }

    pub(super) fn get(&self, position: usize) -> Option<&'a Entry> {
        self.entries.get(position).filter(|_| self.is_taken(position))
    }

    /// The position of the node at `addr`, of whose id `rest` is known.
    pub(super) fn find(&self, rest: u32, addr: SocketAddrV4) -> Option<usize> {
        let mut entries = self.entries.iter().enumerate();
        // What was left behind at a free position may look like it.
        let is_it = |&(position, entry): &(usize, &Entry)| {
            entry.rest == rest && entry.addr() == addr && self.is_taken(position)
        };
        entries.find(is_it).map(|(position, _)| position)
    }

    /// The entries with their positions.
    pub(super) fn iter(self) -> impl Iterator<Item = (usize, &'a Entry)> {
        self.entries.iter().enumerate().filter(move |&(position, _)| self.is_taken(position))
    }

    /// Appends the addresses to `out`, nearest to `target` first, until it is full: of the nodes
    /// over quota, or of all others. Doubted nodes are left out.
    /// If ids are equal as far as [`rest`] goes, the node at the first position counts as the
    /// nearest: hashing all their addresses to tell them apart would cost 14 times as much as the rest of an
    /// answer, and an attacker can easily find addresses with equal prefixes.
    pub(super) fn closest(
        &self,
        target: &Id,
        over_quota: bool,
        out: &mut heapless::Vec<SocketAddrV4, K>,
    ) {
        // One integer per entry, with the distance in the upper bits and the position below: integers sort fast.
        let target_rest = rest(target, self.number);
        let mut keys = [u32::MAX; K];
        let mut len = self.len();
        let wanted = if over_quota { OVER_QUOTA } else { 0 };
        for ((position, entry), key) in self.entries.iter().enumerate().zip(&mut keys) {
            if self.is_taken(position) {
                let distance = (entry.rest ^ target_rest) >> POSITION_BITS;
                let left_out = entry.flags & (DOUBTED | OVER_QUOTA) != wanted;
                len -= usize::from(left_out);
                let key_of = distance << POSITION_BITS | position as u32;
                *key = if left_out { u32::MAX } else { key_of };
            }
        }
        sort(&mut keys, self.len());
        let keys = keys.get_mut(..len).unwrap_or_default();
        let position = |key: &u32| (key & ((1 << POSITION_BITS) - 1)) as usize;
        let tie = |pair: &[u32]| (pair[0] ^ pair[1]) >> POSITION_BITS == 0;
        if keys.windows(2).fold(false, |ties, pair| ties | tie(pair)) {
            // The position has displaced what tells them apart.
            keys.sort_unstable_by_key(|key| {
                let entry = self.entries.get(position(key));
                (entry.map(|entry| entry.rest ^ target_rest), position(key))
            });
        }
        for key in &*keys {
            if let Some(entry) = self.entries.get(position(key)) {
                let _ = out.push(entry.addr());
            }
        }
    }

    fn is_taken(&self, position: usize) -> bool {
        position < K && self.taken >> position & 1 == 1
    }
}
