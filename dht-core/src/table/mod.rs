//! The routing table: which nodes are known, and when each was last in contact.
//!
//! A data structure without opinions. Whom to ping, admit or evict, and when, is
//! the node's business; here stands what it needs to decide. Mirrors
//! `kademlia-routing-table` and `time-ordered-set`, which the JavaScript keeps
//! side by side, in one.
//!
//! Nodes are filed in 256 buckets, by the number of leading bits that their ids
//! share with the own id, at most [`K`] in each; and they form one list by the
//! time of contact. An index into the table is bucket and position in one number
//! (`bucket * K + position`), and a node keeps its own until it is removed.
//!
//! Ids are hashes of addresses, so of an id only the four bytes are kept that tell
//! the nodes of one bucket apart. Whose are the same are equally near.

mod ages;
mod arena;
mod bucket;
mod contact;
mod crowding;
mod places;
mod slot;
mod sort;
mod spread;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;
use core::iter;
use core::net::SocketAddrV4;

#[cfg(test)]
use self::ages::{COARSE_REACH, COARSE_UNIT, PINGED_REACH};
use self::ages::{Epochs, Shift};
use self::arena::Arena;
use self::bucket::{Bucket, Entry, rest};
use self::crowding::Groups;
pub(crate) use self::crowding::Quotas;
pub(crate) use self::slot::{Insert, NodeInfo, Slot};
pub(crate) use self::spread::{SPREAD, place_of};
use crate::api::exempt::Exempt;
use crate::api::id_cache::Ids;
use crate::bounded::memory::Heap;
use crate::id::Id;

/// How many nodes a bucket holds, and how many a list of the closest has: 20.
pub const K: usize = 20;

/// One for each number of leading bits that two different ids can share.
const BUCKETS: usize = 256;
/// Places in all buckets.
pub(crate) const PLACES_MAX: usize = BUCKETS * K;

/// How far apart `seen` begins from one insertion to the next: far from any small number of
/// answers for any small number of insertions, and odd, so that it is 256 of them to the same again.
const SEEN_STEP: u8 = 101;

/// No index.
const NONE: u16 = u16::MAX;
const _: () = assert!(PLACES_MAX < NONE as usize);

/// The nodes that a node knows: at most 5,120, in practice 20 for each doubling
/// of the network.
///
/// Where an [`Id`] is asked for along with an address, it has to be that of the
/// address; it is not computed again. Ticks are meant to go forward; one before
/// earlier ticks is kept as it is if the ages still reach back so far.
#[derive(Clone)]
pub(crate) struct Table {
    own: Id,
    ids: Ids,
    /// Whose hosts and /24s have no quotas.
    exempt: Exempt,
    buckets: Arena,
    len: usize,
    groups: Groups,
    /// The ends of the list by contact.
    oldest: u16,
    latest: u16,
    epochs: Epochs,
    /// Where `seen` of the next one begins.
    next_seen: u8,
    /// The tick when it was built around its own id.
    rebased: u32,
}

impl Table {
    /// An empty table around `own` with places for `max` nodes. Allocates nothing.
    #[must_use]
    pub(crate) fn new(own: Id, ids: Ids, exempt: Exempt, max: usize) -> Self {
        Self {
            own,
            ids,
            exempt,
            buckets: Arena::new(max),
            len: 0,
            groups: Groups::default(),
            oldest: NONE,
            latest: NONE,
            epochs: Epochs::default(),
            next_seen: SEEN_STEP,
            rebased: 0,
        }
    }

    /// What a table takes of the heap, at most.
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        heap.fixed(1, Arena::bytes_max(max));
        // A rebuild takes a list of all nodes, and a list of the nodes that lose their place; while a
        // table grows, its entries are there twice.
        let dropped = max.next_power_of_two() * size_of::<SocketAddrV4>();
        heap.passing(max * size_of::<Entry>() + dropped * 3 / 2);
    }

    /// The id that the table is built around.
    #[must_use]
    pub(crate) fn own(&self) -> &Id {
        &self.own
    }

    /// Where the ids of addresses come from, here and for all of the node.
    pub(crate) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// How many nodes there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place of the node at `addr`. It hashes the address: [`Table::find`] is
    /// faster if the id is known.
    #[must_use]
    pub(crate) fn get(&self, addr: SocketAddrV4) -> Option<Slot> {
        self.find(&self.ids.of(addr), addr)
    }

    /// The place of the node at `addr`, whose id is `id`.
    #[must_use]
    pub(crate) fn find(&self, id: &Id, addr: SocketAddrV4) -> Option<Slot> {
        let number = shared_bits(&self.own, id)?;
        let position = self.buckets.bucket(number)?.find(rest(id, number), addr)?;
        Some(Slot { index: join(number, position), addr })
    }

    /// The place of the node at `addr`, whose id begins with `prefix`.
    #[must_use]
    pub(crate) fn find_by_prefix(&self, prefix: u64, addr: SocketAddrV4) -> Option<Slot> {
        let number = (self.own.prefix() ^ prefix).leading_zeros() as usize;
        if number == u64::BITS as usize {
            return self.get(addr);
        }
        let mut entries = self.buckets.bucket(number)?.iter();
        let (position, _) = entries.find(|(_, entry)| entry.addr() == addr)?;
        Some(Slot { index: join(number, position), addr })
    }

    /// Inserts the node at `addr`, whose id is `id`, as the latest in contact:
    /// added and pinged at `tick`, not sampled, not hinted at. A node that is in the table
    /// is left as it is. `seen` begins at another number each time, not at 0: so a value
    /// remembered from before a removal, or from before the node was known, is not mistaken
    /// for "not seen since". In a small table slots of other nodes may become invalid, and
    /// have to be asked for again.
    pub(crate) fn insert(&mut self, id: &Id, addr: SocketAddrV4, tick: u32) -> Insert {
        let Some(bucket) = shared_bits(&self.own, id) else {
            return Insert::Own;
        };
        if let Some(slot) = self.find(id, addr) {
            return Insert::Present(slot);
        }
        self.reach(tick);
        let mut entry = Entry::new(rest(id, bucket), addr);
        entry.pinged = self.epochs.pinged(tick);
        entry.added = self.epochs.coarse(tick);
        entry.seen = self.next_seen.max(1);
        if !self.has_place_for(id) {
            return Insert::Full;
        }
        entry.set_over_quota(self.is_crowd(bucket, addr));
        if self.buckets.is_full() {
            self.close_gaps();
        }
        let Some(index) = self.place(bucket, entry) else {
            return Insert::Full;
        };
        self.next_seen = self.next_seen.wrapping_add(SEEN_STEP);
        self.link(index, self.latest, NONE);
        Insert::Added(Slot { index, addr })
    }

    /// Removes a node and returns its address.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<SocketAddrV4> {
        self.entry(slot)?;
        self.unlink(slot.index);
        let (bucket, position) = split(slot.index);
        self.buckets.remove(bucket, position);
        self.len -= 1;
        self.count_groups(slot.addr, false);
        self.relieve(slot.addr);
        Some(slot.addr)
    }

    /// What is known of a node.
    #[must_use]
    pub(crate) fn node(&self, slot: Slot) -> Option<NodeInfo> {
        let entry = self.entry(slot)?;
        Some(NodeInfo {
            addr: slot.addr,
            pinged: self.epochs.pinged_tick(entry.pinged),
            added: self.epochs.coarse_tick(entry.added)?,
            sampled: self.epochs.coarse_tick(entry.sampled),
            seen: entry.seen,
            hinted: entry.hinted(),
            serves: entry.serves(),
            answers_without_id: entry.answers_without_id(),
        })
    }

    /// Notes that a node has answered at `tick`: as [`touch_unproven`](Self::touch_unproven),
    /// and `seen` counts one more, past 0. From then on it may be [drawn](Self::spread).
    pub(crate) fn touch(&mut self, slot: Slot, tick: u32) {
        self.change(slot, |entry| {
            if !entry.doubted() {
                entry.seen = entry.seen.wrapping_add(1).max(1);
                entry.set_answered();
            }
        });
        self.touch_unproven(slot, tick);
    }

    /// Notes that a node seems to have said something at `tick`: it becomes the latest in
    /// contact, and `pinged` is `tick`. Not one in doubt: that has left something unanswered which matters more.
    pub(crate) fn touch_unproven(&mut self, slot: Slot, tick: u32) {
        if self.entry(slot).is_none_or(|entry| entry.doubted()) {
            return;
        }
        self.set_pinged(slot, tick);
        if self.latest != slot.index && self.entry_mut(slot).is_some() {
            self.unlink(slot.index);
            self.link(slot.index, self.latest, NONE);
        }
    }

    /// Notes an attempt to reach a node at `tick`. The order of contact stays.
    pub(crate) fn set_pinged(&mut self, slot: Slot, tick: u32) {
        self.reach(tick);
        let pinged = self.epochs.pinged(tick);
        self.change(slot, |entry| entry.pinged = pinged);
    }

    /// Notes that a node's view of our address was taken at `tick`.
    pub(crate) fn set_sampled(&mut self, slot: Slot, tick: u32) {
        self.reach(tick);
        let sampled = self.epochs.coarse(tick);
        self.change(slot, |entry| entry.sampled = sampled);
    }

    /// Forgets when nodes' views of our address were taken.
    pub(crate) fn forget_samples(&mut self) {
        self.buckets.entries_mut().for_each(|entry| entry.sampled = 0);
    }

    /// Notes whether someone said that a node is down.
    pub(crate) fn set_hinted(&mut self, slot: Slot, hinted: bool) {
        self.change(slot, |entry| entry.set_hinted(hinted));
    }

    /// Notes whether it is in doubt that a node is still there.
    pub(crate) fn set_doubted(&mut self, addr: SocketAddrV4, doubted: bool) {
        if let Some(slot) = self.get(addr) {
            self.change(slot, |entry| entry.set_doubted(doubted));
        }
    }

    /// Notes whether a node has answered FIND_NODE since it was last asked whether it is there.
    pub(crate) fn set_serves(&mut self, slot: Slot, serves: bool) {
        self.change(slot, |entry| entry.set_serves(serves));
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn is_doubted(&self, addr: SocketAddrV4) -> bool {
        let entry = |slot: Slot| self.entry(slot);
        self.get(addr).and_then(entry).is_some_and(|entry| entry.doubted())
    }

    /// Notes how many answers without an id came from a node; saturates at 7.
    pub(crate) fn set_silent_answers(&mut self, slot: Slot, count: u8) {
        self.change(slot, |entry| entry.set_silent_answers(count));
    }

    /// How many nodes there are in the bucket that `id` falls in: at most [`K`], and
    /// none for the own id.
    #[cfg(test)]
    pub(crate) fn bucket_len(&self, id: &Id) -> usize {
        self.bucket_of(id).map_or(0, |bucket| bucket.len())
    }

    /// Replaces `out` by the addresses of the [`K`] nodes nearest to `target`,
    /// nearest first: of all that are known and not in doubt, and in exact order, as far as ids
    /// are kept. Nodes over quota come after all others.
    ///
    /// The JavaScript takes whole buckets in an order that is only roughly that
    /// of distance, and misses some of the nearest.
    pub(crate) fn closest(&self, target: &Id, out: &mut heapless::Vec<SocketAddrV4, K>) {
        out.clear();
        // The nodes of bucket b agree with the own id before bit b, and not in
        // it. Where the target too differs from the own id in bit b, they are
        // nearer to it than all of the deeper buckets are; else farther. So
        // whole buckets follow one another: the former inwards, then the latter
        // outwards.
        let differs = |b: &usize| (self.own.0[b / 8] ^ target.0[b / 8]) << (b % 8) & 0x80 != 0;
        let buckets = 0..self.buckets.len();
        for over_quota in [false, true] {
            let nearer = buckets.clone().filter(differs);
            let farther = buckets.clone().rev().filter(|b| !differs(b));
            for bucket in nearer.chain(farther).filter_map(|b| self.buckets.bucket(b)) {
                if out.is_full() {
                    return;
                }
                bucket.closest(target, over_quota, out);
            }
        }
    }

    /// How far from the own id the last of the [`K`] nearest is, in the first eight bytes: about as far
    /// as that of any other key, in a network of nodes enough. Fewer are far apart.
    pub(crate) fn radius(&self) -> u64 {
        let mut nearest = heapless::Vec::new();
        self.closest(&self.own, &mut nearest);
        let last = nearest.last().filter(|_| nearest.is_full());
        last.map_or(u64::MAX, |addr| self.ids.of(*addr).prefix() ^ self.own.prefix())
    }

    /// One of the nodes: each as likely as any other, if `random` is uniform.
    #[must_use]
    pub(crate) fn random(&self, random: u64) -> Option<Slot> {
        let mut left = ((u128::from(random) * self.len as u128) >> 64) as usize;
        for bucket in self.buckets.iter() {
            if left < bucket.len() {
                let (position, _) = bucket.iter().nth(left)?;
                return self.slot(join(bucket.number, position));
            }
            left -= bucket.len();
        }
        None
    }

    /// Builds the table anew around another own id, at `tick`. What is known of the nodes
    /// and the order of contact stay; slots have to be asked for again. Where too
    /// many nodes fall into one bucket, the nodes of the latest contact stay. The addresses
    /// of all dropped nodes, and of the node with the new own id, go to `dropped`, latest
    /// first.
    pub(crate) fn rebase(&mut self, own: Id, tick: u32, mut dropped: impl FnMut(SocketAddrV4)) {
        let by_contact = |entry: &&Entry| self.at(entry.older);
        let mut entries: Vec<Entry> = Vec::with_capacity(self.len);
        entries.extend(iter::successors(self.at(self.latest), by_contact));
        self.buckets = Arena::new(self.buckets.max());
        self.buckets.reserve(self.len);
        (self.own, self.len, self.oldest, self.latest) = (own, 0, NONE, NONE);
        self.groups = Groups::default();
        self.rebased = tick;
        for mut entry in entries {
            let id = self.ids.of(entry.addr());
            let bucket = shared_bits(&own, &id);
            let placed = bucket.and_then(|bucket| {
                entry.rest = rest(&id, bucket);
                entry.set_over_quota(self.is_crowd(bucket, entry.addr()));
                self.place(bucket, entry)
            });
            match placed {
                Some(index) => self.link(index, NONE, self.oldest),
                None => dropped(entry.addr()),
            }
        }
        self.buckets.trim();
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self) {
        let mut len = 0;
        self.buckets.check_invariants();
        for bucket in self.buckets.iter() {
            assert!(bucket.len() <= K && bucket.len() == bucket.iter().count());
            for (position, entry) in bucket.iter() {
                let id = self.ids.of(entry.addr());
                assert_eq!(shared_bits(&self.own, &id), Some(bucket.number), "filed wrongly");
                assert_eq!(entry.rest, rest(&id, bucket.number));
                let slot = Slot { index: join(bucket.number, position), addr: entry.addr() };
                assert_eq!(self.find(&id, entry.addr()), Some(slot), "there twice");
                len += 1;
            }
        }
        assert_eq!(self.len, len);
        let mut groups = [Vec::new(), Vec::new()];
        for addr in self.iter().map(|(_, addr)| addr) {
            let (own, ip) = (self.exempt.covers(*addr.ip()), addr.ip().to_bits());
            let port = if own { addr.port() } else { 0 };
            groups[0].push((ip, port));
            groups[1].push((if own { ip } else { ip >> 8 << 8 }, port));
        }
        let groups = groups.map(|mut of| {
            of.sort_unstable();
            of.dedup();
            of.len()
        });
        assert_eq!(self.groups.counts(), groups, "hosts and /24s");
        // A list that ran in circles would be longer.
        assert_eq!(self.iter().take(len + 1).count(), len);
        let from_oldest = iter::successors(self.oldest(), |slot| self.newer(*slot));
        assert_eq!(from_oldest.take(len + 1).count(), len);
    }

    fn bucket_of(&self, id: &Id) -> Option<Bucket<'_>> {
        self.buckets.bucket(shared_bits(&self.own, id)?)
    }

    fn at(&self, index: u16) -> Option<&Entry> {
        let (bucket, position) = split(index);
        self.buckets.get(bucket, position)
    }

    fn at_mut(&mut self, index: u16) -> Option<&mut Entry> {
        let (bucket, position) = split(index);
        self.buckets.get_mut(bucket, position)
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.at(slot.index).filter(|entry| entry.addr() == slot.addr)
    }

    fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.at_mut(slot.index).filter(|entry| entry.addr() == slot.addr)
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entry_mut(slot) {
            change(entry);
        }
    }

    /// Files an entry, without links. `None` if the bucket is full.
    fn place(&mut self, bucket: usize, entry: Entry) -> Option<u16> {
        let position = self.buckets.insert(bucket, entry)?;
        self.len += 1;
        self.count_groups(entry.addr(), true);
        Some(join(bucket, position))
    }

    /// Makes sure that `tick` can be stored.
    fn reach(&mut self, tick: u32) {
        if let Some(shift) = self.epochs.reach(tick) {
            self.shift(shift);
        }
    }

    fn shift(&mut self, shift: Shift) {
        for entry in self.buckets.entries_mut() {
            entry.pinged = shift.pinged(entry.pinged);
            entry.added = shift.coarse(entry.added);
            entry.sampled = shift.coarse(entry.sampled);
        }
    }
}

/// Says how much is in it, not whom: addresses are personal data.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("own", &self.own)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The bucket of `id` in a table around `own`; none if they are equal.
fn shared_bits(own: &Id, id: &Id) -> Option<usize> {
    let bits = own.distance(id).shared_bits() as usize;
    (bits < BUCKETS).then_some(bits)
}

fn join(bucket: usize, position: usize) -> u16 {
    (bucket * K + position) as u16
}

fn split(index: u16) -> (usize, usize) {
    (usize::from(index) / K, usize::from(index) % K)
}
