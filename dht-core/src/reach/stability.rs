//! Whether a node that decides by itself has run for long enough to become persistent: nodes that come and go harm
//! their peers' tables. Mirrors `_stableTicks` of `index.js`, with the reference's numbers.

use crate::context::RECENT;

/// Ticks after which a node that saw nothing bad happen may become persistent: 20 minutes.
const STABLE: u32 = 240;
/// The same after that failed, or after a sleep: an hour.
const MORE_STABLE: u32 = 3 * STABLE;

#[derive(Clone, Debug)]
pub(super) struct Stability {
    /// Whether the node decides by itself to become persistent.
    pub(super) adaptive: bool,
    /// Ticks that have yet to pass.
    left: u32,
}

impl Stability {
    pub(super) const fn new(adaptive: bool) -> Self {
        Self { adaptive, left: if adaptive { STABLE } else { 0 } }
    }

    /// A tick has passed in which nothing bad happened. Whether the node is stable.
    pub(super) fn pass(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.is_stable()
    }

    /// Whether the node has run for long enough.
    pub(super) const fn is_stable(&self) -> bool {
        self.left == 0
    }

    /// Whether that is so in a minute.
    pub(super) const fn is_stable_soon(&self) -> bool {
        self.left <= RECENT
    }

    /// To become persistent is being tried now, or was in vain, or the machine has slept.
    pub(super) fn try_later(&mut self) {
        self.left = MORE_STABLE;
    }
}
