//! What the table hands out of its nodes: their places, and what it remembers of them.

use core::net::SocketAddrV4;

/// A node's place in a [`Table`](super::Table).
///
/// It stays valid until that node is removed or the table is rebased, whatever
/// happens to other nodes. After that it is stale, which does no harm: it carries the
/// node's address, so it never stands for another node, reads as `None`, and
/// changes nothing. If the same node returns to the same place, the slot is
/// valid again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(super) index: u16,
    pub(super) addr: SocketAddrV4,
}

impl Slot {
    /// The address of the node that this is, or was, the place of.
    #[must_use]
    pub(crate) const fn addr(self) -> SocketAddrV4 {
        self.addr
    }
}

/// What became of a node that was to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Insert {
    /// It is new.
    Added(Slot),
    /// It was there before; nothing changed.
    Present(Slot),
    /// Its bucket has no room.
    Full,
    /// Its id is the table's own.
    Own,
}

/// A node, as the table remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeInfo {
    /// Where it is reached.
    pub(crate) addr: SocketAddrV4,
    /// The tick of the last contact or attempt. Exact for [`PINGED_REACH`](super::ages::PINGED_REACH)
    /// ticks; what is older may look younger, down to that.
    pub(crate) pinged: u32,
    /// The tick when it was inserted, rounded up to whole [`COARSE_UNIT`](super::ages::COARSE_UNIT)s, so it
    /// may lie up to three ticks ahead. Kept for [`COARSE_REACH`](super::ages::COARSE_REACH) ticks; what is
    /// older may look younger, down to that.
    pub(crate) added: u32,
    /// The tick when its view of our address was last taken, as coarse as `added`.
    pub(crate) sampled: Option<u32>,
    /// How often it was heard from. It wraps: only differences count.
    pub(crate) seen: u8,
    /// Whether someone said that it is down.
    pub(crate) hinted: bool,
    /// Whether it has answered FIND_NODE since it was last asked whether it is there.
    pub(crate) serves: bool,
    /// How many answers without an id came from it in a row; at most 7.
    pub(crate) answers_without_id: u8,
}

impl NodeInfo {
    /// Ticks since the last contact or attempt, at `tick`.
    #[must_use]
    pub(crate) const fn pinged_ago(&self, tick: u32) -> u32 {
        tick.saturating_sub(self.pinged)
    }

    /// Ticks since the node was inserted, at `tick`; up to three too few.
    #[must_use]
    pub(crate) const fn added_ago(&self, tick: u32) -> u32 {
        tick.saturating_sub(self.added)
    }

    /// Ticks since the last sample, at `tick`; up to three too few.
    #[must_use]
    pub(crate) fn sampled_ago(&self, tick: u32) -> Option<u32> {
        self.sampled.map(|sampled| tick.saturating_sub(sampled))
    }
}
