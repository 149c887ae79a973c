//! A map that is bounded in bytes, and whose entries have a life. When it is full the greediest /24 gives way, its
//! oldest entry first: so no /24 can push out the entries of a /24 that stores less.
//!
//! All addresses that are exempt from limits count as one /24.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::Ipv4Addr;
use core::time::Duration;

use bytes::Bytes;

use super::topics::Topics;
use crate::addr::prefix24;
use crate::api::exempt::Exempt;
use crate::bounded::memory::Heap;
use crate::id::Id;
use crate::secret::rng::Rng;
use crate::time::Instant;

/// By what an entry is found.
pub(super) trait Key: Ord + Copy {
    /// Whether there are keys with a topic.
    const HAS_TOPIC: bool;

    /// What it can be [drawn](Store::draw) by.
    fn topic(&self) -> Option<Id>;
}

impl Key for Id {
    const HAS_TOPIC: bool = false;

    fn topic(&self) -> Option<Id> {
        None
    }
}

/// A value, and how many bytes it has on the heap.
pub(super) trait Payload {
    fn len(&self) -> usize;
}

impl Payload for Bytes {
    fn len(&self) -> usize {
        self.as_ref().len()
    }
}

/// A /24, or all who are exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u32);

impl Place {
    pub(super) fn of(host: Ipv4Addr, exempt: &Exempt) -> Self {
        Self(if exempt.covers(host) { EXEMPT } else { prefix24(host) })
    }

    pub(super) const fn is_exempt(self) -> bool {
        self.0 == EXEMPT
    }
}

/// No /24 has this number.
const EXEMPT: u32 = u32::MAX;

/// The number of an entry: entries stored later have higher numbers.
pub(super) type Number = u64;

/// Entries that one call forgets at most: nobody has to wait while thousands go that came together.
const EXPIRED_MAX: usize = 64;

#[derive(Clone, Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    at: Instant,
    place: Place,
    /// Where it stands in its group of [`Topics`].
    position: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Store<K, V> {
    limit: usize,
    life: Duration,
    /// By age.
    entries: BTreeMap<Number, Entry<K, V>>,
    index: BTreeMap<K, Number>,
    topics: Topics,
    of_place: BTreeSet<(Place, Number)>,
    shares: BTreeMap<Place, usize>,
    greediest: BTreeSet<(usize, Place)>,
    bytes: usize,
    next: Number,
    gave_way: u64,
}

impl<K: Key, V: Payload> Store<K, V> {
    /// What an entry takes but for its payload: its places in all trees.
    pub(super) const COST: usize = in_tree::<(Number, Entry<K, V>)>()
        + in_tree::<(K, Number)>()
        + if K::HAS_TOPIC { Topics::COST } else { 0 }
        + in_tree::<(Place, Number)>()
        + in_tree::<(Place, usize)>()
        + in_tree::<(usize, Place)>()
        + SHARED;

    /// A store of at most `limit` bytes; `secret` sets the order of its [`Topics`]. What was not stored or asked for again for the time of a `life` goes.
    pub(super) const fn new(limit: usize, life: Duration, secret: u32) -> Self {
        Self {
            limit,
            life,
            entries: BTreeMap::new(),
            index: BTreeMap::new(),
            topics: Topics::new(secret),
            of_place: BTreeSet::new(),
            shares: BTreeMap::new(),
            greediest: BTreeSet::new(),
            bytes: 0,
            next: 0,
            gave_way: 0,
        }
    }

    /// What it takes of the heap, at most: one entry more than the limit, for a moment; and of each tree a node with
    /// few entries.
    pub(super) fn add_to(heap: &mut Heap, limit: usize, payload: usize) {
        heap.fixed(1, limit);
        heap.fixed(1, Self::COST + payload);
        heap.fixed(6, in_tree::<(Number, Entry<K, V>)>() * NODE_MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries had to give way to later ones so far, or were too large.
    pub(super) const fn gave_way(&self) -> u64 {
        self.gave_way
    }

    /// Looks at a value.
    pub(super) fn get(&mut self, now: Instant, key: &K) -> Option<&V> {
        self.expire(now);
        self.entries
            .get(self.index.get(key)?)
            .filter(|it| it.counts(now, self.life))
            .map(Entry::value)
    }

    /// Looks at a value, which begins a new life by that.
    pub(super) fn renew(&mut self, now: Instant, key: &K) -> Option<&V> {
        self.expire(now);
        let entry = self.take(*self.index.get(key)?).filter(|it| it.counts(now, self.life))?;
        let number = self.add(now, *key, entry.value, entry.place);
        self.entries.get(&number).map(Entry::value)
    }

    /// Stores what a host at `place` has sent, instead of what was there. Returns whether there is room for it. Unless the key
    /// is `theirs` alone, the entry goes on to count for the /24 that has stored it first: else a host could make it count for a
    /// greedy /24.
    pub(super) fn put(
        &mut self,
        now: Instant,
        key: K,
        value: V,
        place: Place,
        theirs: bool,
    ) -> bool {
        self.expire(now);
        let before = self.index.get(&key).copied().and_then(|number| self.take(number));
        let before = before.filter(|before| !theirs && before.counts(now, self.life));
        if Self::COST + value.len() > self.limit {
            self.gave_way += 1;
            return false;
        }
        let owner = before.map_or(place, |entry| entry.place);
        let number = self.add(now, key, value, owner);
        while self.bytes > self.limit {
            let Some(oldest) = self.oldest_of_the_greediest() else { break };
            self.take(oldest);
            self.gave_way += 1;
        }
        self.entries.contains_key(&number)
    }

    pub(super) fn remove(&mut self, key: &K) {
        let number = self.index.get(key).copied();
        number.and_then(|number| self.take(number));
    }

    /// Forgets what has lived for too long, some of it if it is much.
    pub(super) fn expire(&mut self, now: Instant) {
        for _ in 0..EXPIRED_MAX {
            let Some((number, entry)) = self.entries.first_key_value() else { break };
            if entry.counts(now, self.life) {
                break;
            }
            self.take(*number);
        }
    }

    /// Up to `N` values of a topic, as [`Topics::draw`] draws them.
    pub(super) fn draw<const N: usize>(
        &mut self,
        now: Instant,
        topic: &Id,
        rng: &mut Rng,
    ) -> impl Iterator<Item = &V> {
        self.expire(now);
        let (drawn, entries, life) = (self.topics.draw::<N>(*topic, rng), &self.entries, self.life);
        let entries = drawn.into_iter().filter_map(|number| entries.get(&number));
        entries.filter(move |it| it.counts(now, life)).map(Entry::value)
    }

    fn oldest_of_the_greediest(&self) -> Option<Number> {
        let (_, place) = *self.greediest.last()?;
        let (_, oldest) = self.of_place.range((place, 0)..).next()?;
        Some(*oldest)
    }

    fn add(&mut self, at: Instant, key: K, value: V, place: Place) -> Number {
        let number = self.next;
        self.next += 1;
        let mut position = 0;
        if let Some(topic) = key.topic() {
            position = self.topics.join(topic, place, number);
        }
        self.charge(place, Self::COST + value.len(), 0);
        self.index.insert(key, number);
        self.of_place.insert((place, number));
        self.entries.insert(number, Entry { key, value, at, place, position });
        number
    }

    fn take(&mut self, number: Number) -> Option<Entry<K, V>> {
        let entry = self.entries.remove(&number)?;
        self.index.remove(&entry.key);
        self.of_place.remove(&(entry.place, number));
        self.charge(entry.place, 0, Self::COST + entry.value.len());
        let topic = entry.key.topic();
        let moved = topic.and_then(|topic| self.topics.leave(topic, entry.place, entry.position));
        let moved = moved.and_then(|number| self.entries.get_mut(&number));
        moved.into_iter().for_each(|moved| moved.position = entry.position);
        Some(entry)
    }

    fn charge(&mut self, place: Place, more: usize, less: usize) {
        let before = self.shares.remove(&place).unwrap_or(0);
        self.greediest.remove(&(before, place));
        let after = before + more - less;
        if after > 0 {
            self.shares.insert(place, after);
            self.greediest.insert((after, place));
        }
        self.bytes = self.bytes + more - less;
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self) {
        let cost = |entry: &Entry<K, V>| Self::COST + entry.value.len();
        assert!(self.bytes <= self.limit);
        assert_eq!(self.bytes, self.entries.values().map(cost).sum::<usize>());
        assert_eq!(self.bytes, self.shares.values().sum::<usize>());
        assert_eq!(self.index.len(), self.entries.len());
        assert_eq!(self.of_place.len(), self.entries.len());
        assert!(
            self.shares.iter().map(|(place, bytes)| (*bytes, *place)).collect::<BTreeSet<_>>()
                == self.greediest
        );
        assert!(self.entries.values().is_sorted_by_key(|entry| entry.at));
        for (number, entry) in &self.entries {
            assert_eq!(self.index.get(&entry.key), Some(number));
            assert!(self.of_place.contains(&(entry.place, *number)));
            let topic = entry.key.topic();
            let at = |topic| self.topics.at(topic, entry.place, entry.position);
            assert!(topic.is_none_or(|topic| at(topic) == Some(*number)));
        }
        self.topics.check_invariants(if K::HAS_TOPIC { self.entries.len() } else { 0 });
    }
}

impl<K, V> Entry<K, V> {
    const fn value(&self) -> &V {
        &self.value
    }

    /// Whether it is of use still.
    fn counts(&self, now: Instant, life: Duration) -> bool {
        now.saturating_since(self.at) < life
    }
}

/// Entries of a node of the standard library's B-trees: at least, but in the root, and at most.
const NODE_MIN: usize = 5;
const NODE_MAX: usize = 11;
/// Places of a list for each entry in it, at most.
pub(super) const LIST_SLACK: usize = 4;
/// What shares a payload takes, whether it is shared or not.
const SHARED: usize = 3 * size_of::<usize>();

/// What an entry takes of a B-tree, at most: each node has entries for all its places, and 16 bytes more; inner nodes, one in six at
/// most, have as many children and one.
pub(super) const fn in_tree<T>() -> usize {
    let leaf = NODE_MAX * size_of::<T>() + 16;
    let inner = (NODE_MAX + 1) * size_of::<usize>();
    (leaf + inner / NODE_MIN).div_ceil(NODE_MIN)
}
