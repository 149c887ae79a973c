//! Who has a place, and who gives way where there is none: in a table with few places the buckets share them.

use super::bucket::Entry;
use super::{K, Slot, Table, join, shared_bits};
use crate::id::Id;

impl Table {
    /// Whether there is a place for a node with this id.
    #[must_use]
    pub(crate) fn has_place_for(&self, id: &Id) -> bool {
        self.len < self.buckets.max() && self.bucket_of(id).is_none_or(|bucket| bucket.len() < K)
    }

    /// In a full table, the bucket in which one gives way to a node with this id, if it is another than its own: the
    /// fullest, and of these the one of the nodes farthest away, if it has clearly more than that.
    pub(super) fn crowded(&self, id: &Id) -> Option<usize> {
        let own = shared_bits(&self.own, id)?;
        if self.len < self.buckets.max() { None } else { self.buckets.surplus(own) }
    }

    /// The node that gives way, without being asked, to a node with this id in a full table. Its bucket has clearly
    /// more nodes than the newcomer's; it has been in the table, in its present form, for less than `firm` ticks; and
    /// of such nodes it was pinged the longest ago.
    #[must_use]
    pub(crate) fn youngster(&self, id: &Id, tick: u32, firm: u32) -> Option<Slot> {
        self.least_recent_of(self.crowded(id)?, &|entry| {
            let added = self.epochs.coarse_tick(entry.added).unwrap_or(0).max(self.rebased);
            tick.saturating_sub(added) < firm
        })
    }

    /// Moves entries to free positions before them, and gives up what is behind, so that other buckets can
    /// grow. Slots have to be asked for again.
    pub(super) fn close_gaps(&mut self) {
        for number in 0..self.buckets.len() {
            while let Some(free) = self.buckets.close_gap(number) {
                let index = join(number, free);
                if let Some(&Entry { older, newer, .. }) = self.at(index) {
                    self.link(index, older, newer);
                }
            }
        }
        self.buckets.tighten();
    }

    /// The node to give way to a node with this id, in the bucket that has to make room: the one pinged the longest ago,
    /// unless that was at `tick`; of several, the first one added.
    #[must_use]
    pub(crate) fn least_recent(&self, id: &Id, tick: u32) -> Option<Slot> {
        let bucket = self.crowded(id).or_else(|| shared_bits(&self.own, id))?;
        self.least_recent_of(bucket, &|entry| self.epochs.pinged_tick(entry.pinged) != tick)
    }

    fn least_recent_of(&self, bucket: usize, which: &dyn Fn(&Entry) -> bool) -> Option<Slot> {
        let nodes = self.buckets.bucket(bucket)?.iter().filter(|(_, entry)| which(entry));
        let (position, entry) = nodes.min_by_key(|(_, entry)| (entry.pinged, entry.added))?;
        Some(Slot { index: join(bucket, position), addr: entry.addr() })
    }
}
