//! Who has a place, and who gives way where there is none: in a table with few places the buckets share them.

use super::bucket::{Bucket, Entry};
use super::{K, Slot, Table, join, shared_bits};
use crate::id::Id;

/// By how many nodes more than another a bucket of a full table has clearly more.
pub(super) const SURPLUS: usize = 2;

impl Table {
    /// Whether there is a place for a node with this id.
    #[must_use]
    pub(crate) fn has_place_for(&self, id: &Id) -> bool {
        self.len < self.buckets.max() && self.bucket_of(id).is_none_or(|bucket| bucket.len() < K)
    }

    /// The bucket in which one has to give way to a node with this id, where there is no place for it: in a full
    /// table the fullest, and of these the one of the nodes farthest away, if it has clearly more than the bucket
    /// that the id falls in; else that.
    fn contested(&self, id: &Id) -> Option<Bucket<'_>> {
        let own = self.buckets.bucket(shared_bits(&self.own, id)?);
        let len = own.map_or(0, |bucket| bucket.len());
        let most = self.buckets.iter().rev().max_by_key(|bucket| bucket.len());
        let is_fuller = |bucket: &Bucket<'_>| len < K && bucket.len() > len + SURPLUS;
        most.filter(is_fuller).filter(|_| self.len >= self.buckets.max()).or(own)
    }

    /// The one that gives way to a node with this id without being asked, where there is no place for it: in another
    /// bucket than its own, of those that have been in the table, as it is now, for less than `firm` ticks,
    /// the one that was pinged the longest ago.
    #[must_use]
    pub(crate) fn youngster(&self, id: &Id, tick: u32, firm: u32) -> Option<Slot> {
        let bucket = self.contested(id).filter(|_| !self.has_place_for(id))?;
        let young = |entry: &Entry| {
            let added = self.epochs.coarse_tick(entry.added).unwrap_or(0).max(self.rebased);
            tick.saturating_sub(added) < firm
        };
        let is_own = shared_bits(&self.own, id).is_none_or(|own| own == bucket.number);
        if is_own { None } else { Self::least_recent_of(bucket, young) }
    }

    /// Moves entries to free positions before them, and gives up what is behind, so that other buckets can
    /// grow. Slots have to be asked for again.
    pub(super) fn close_gaps(&mut self) {
        for number in 0..self.buckets.len() {
            while let Some((last, _)) = self.buckets.gap(number) {
                let Some(&entry) = self.buckets.get(number, last) else { return };
                self.buckets.remove(number, last);
                if let Some(free) = self.buckets.insert(number, entry) {
                    self.link(join(number, free), entry.older, entry.newer);
                }
            }
        }
        self.buckets.tighten();
    }

    /// Of the nodes in the bucket where one has to give way to a node with this id, the one that was pinged the longest
    /// ago, those aside that were at `tick`; among several, the one that was added first.
    #[must_use]
    pub(crate) fn least_recent(&self, id: &Id, tick: u32) -> Option<Slot> {
        let before = |entry: &Entry| self.epochs.pinged_tick(entry.pinged) != tick;
        Self::least_recent_of(self.contested(id)?, before)
    }

    fn least_recent_of(bucket: Bucket<'_>, which: impl Fn(&Entry) -> bool) -> Option<Slot> {
        let those = bucket.iter().filter(|(_, entry)| which(entry));
        let (position, entry) = those.min_by_key(|(_, entry)| (entry.pinged, entry.added))?;
        Some(Slot { index: join(bucket.number, position), addr: entry.addr() })
    }
}
