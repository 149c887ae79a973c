//! One bucket: up to [`K`] entries at positions that they keep until removed.
//!
//! It knows nothing of where it stands in the table, and never looks at the
//! links of the contact order.

use alloc::boxed::Box;
use core::mem;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::K;
use super::sort::sort;
use crate::id::{Distance, Id};
use crate::ids::Ids;

/// What the table remembers of a node. Ages as in [`super::ages`].
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The first eight bytes of the node's id.
    pub(super) prefix: u64,
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
const _: () = assert!(size_of::<Entry>() == 24);

const HINTED: u8 = 0x80;
const SILENT_ANSWERS: u8 = 0x7f;

impl Entry {
    const VACANT: Self = Self {
        prefix: 0,
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
    pub(super) fn new(prefix: u64, addr: SocketAddrV4) -> Self {
        Self { prefix, ip: addr.ip().octets(), port: addr.port(), ..Self::VACANT }
    }

    pub(super) fn addr(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from(self.ip), self.port)
    }

    pub(super) fn hinted(&self) -> bool {
        self.flags & HINTED != 0
    }

    pub(super) fn set_hinted(&mut self, hinted: bool) {
        self.flags = self.silent_answers() | if hinted { HINTED } else { 0 };
    }

    pub(super) fn silent_answers(&self) -> u8 {
        self.flags & SILENT_ANSWERS
    }

    /// Saturates at 127.
    pub(super) fn set_silent_answers(&mut self, count: u8) {
        self.flags = self.flags & HINTED | count.min(SILENT_ANSWERS);
    }
}

/// Grows with its content and is freed when the last entry leaves.
#[derive(Clone, Default)]
pub(super) struct Bucket {
    /// A bit for each position that is taken.
    taken: u32,
    entries: Box<[Entry]>,
}

/// By how many entries a bucket grows: those near the own id hold few.
const STEP: usize = 4;
const _: () = assert!(K.is_multiple_of(STEP) && K <= 1 << POSITION_BITS);

/// What a position takes of a sort key.
const POSITION_BITS: u32 = 5;

impl Bucket {
    pub(super) fn len(&self) -> usize {
        self.taken.count_ones() as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    pub(super) fn get(&self, position: usize) -> Option<&Entry> {
        self.entries.get(position).filter(|_| self.is_taken(position))
    }

    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut Entry> {
        let taken = self.is_taken(position);
        self.entries.get_mut(position).filter(|_| taken)
    }

    /// The entries with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter(|&(position, _)| self.is_taken(position))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let taken = self.taken;
        let entries = self.entries.iter_mut().enumerate();
        entries.filter_map(move |(position, entry)| (taken >> position & 1 == 1).then_some(entry))
    }

    /// Puts `entry` at the first free position, which is returned, unless there is none.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<usize> {
        let position = self.taken.trailing_ones() as usize;
        if position >= K {
            return None;
        }
        if position >= self.entries.len() {
            let mut entries = mem::take(&mut self.entries).into_vec();
            entries.reserve_exact(STEP);
            entries.resize(entries.len() + STEP, Entry::VACANT);
            self.entries = entries.into_boxed_slice();
        }
        *self.entries.get_mut(position)? = entry;
        self.taken |= 1 << position;
        Some(position)
    }

    pub(super) fn remove(&mut self, position: usize) {
        if self.is_taken(position) {
            self.taken &= !(1 << position);
        }
        if self.taken == 0 {
            self.entries = Box::default();
        }
    }

    /// Appends the addresses to `out`, nearest to `target` first, until it is full.
    pub(super) fn closest(&self, target: &Id, ids: &Ids, out: &mut heapless::Vec<SocketAddrV4, K>) {
        // One integer per entry, distance above position: such a slice sorts fast.
        // What the position displaces of the distance is a tie like any other.
        let prefix = target.prefix();
        let mut keys = [u64::MAX; K];
        for (position, key) in keys.iter_mut().enumerate() {
            if let Some(entry) = self.get(position) {
                let distance = (entry.prefix ^ prefix) >> POSITION_BITS;
                *key = distance << POSITION_BITS | position as u64;
            }
        }
        sort(&mut keys, self.len());
        let keys = keys.get(..self.len()).unwrap_or(&keys);
        let tie = |pair: &[u64]| (pair[0] ^ pair[1]) >> POSITION_BITS == 0;
        if keys.windows(2).fold(false, |ties, pair| ties | tie(pair)) {
            return self.closest_by_whole_ids(target, ids, out);
        }
        for key in keys {
            let position = (key & ((1 << POSITION_BITS) - 1)) as usize;
            if let Some(entry) = self.entries.get(position) {
                let _ = out.push(entry.addr());
            }
        }
    }

    /// The same for a bucket in which prefixes are not enough.
    #[cold]
    fn closest_by_whole_ids(
        &self,
        target: &Id,
        ids: &Ids,
        out: &mut heapless::Vec<SocketAddrV4, K>,
    ) {
        let mut nodes = heapless::Vec::<(Distance, SocketAddrV4), K>::new();
        for (_, entry) in self.iter() {
            let addr = entry.addr();
            let _ = nodes.push((ids.of(addr).distance(target), addr));
        }
        nodes.sort_unstable();
        for (_, addr) in nodes {
            let _ = out.push(addr);
        }
    }

    /// Heap bytes.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.entries.len() * size_of::<Entry>()
    }

    fn is_taken(&self, position: usize) -> bool {
        position < K && self.taken >> position & 1 == 1
    }
}
