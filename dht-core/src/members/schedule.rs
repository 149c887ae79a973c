//! Budgets for keeping the table in order, in ticks of five seconds: for checks of nodes, on our own account and
//! because of hints and newcomers, and for refreshes. Mirrors the counters of `index.js`, with the reference's numbers,
//! but the number of checks and the rate of refreshes adapt to what is found.

use core::net::Ipv4Addr;

use alloc::vec::Vec;

use crate::api::exempt::Exempt;
use crate::bounded::memory::{Capped, Heap};
use crate::context::RECENT;
use crate::secret::rng::Rng;

/// Ticks without a query until the table is refreshed, unless it was put off: 5 minutes.
const REFRESH: u32 = 60;
/// After this many ticks in the table, a node is asked before it gives way, even in a small table: 10 minutes.
pub(super) const FIRM: u32 = 120;
/// Nodes checked because of down hints at once; keep-alive pings have a budget of their own,
/// else hints could starve them.
pub(super) const HINT_CHECKS_MAX: u8 = 10;
/// Hints taken from one host per tick, unless it is local.
const HINTS_PER_HOST_MAX: u8 = 5;
/// Hosts whose hints are counted per tick; after that, hints of further hosts are ignored.
const HINTERS_MAX: usize = 64;
/// Nodes of the table that are checked per keep-alive, because they were not heard of for longest or
/// because a newcomer wants their place: the reference's number at first, then between the limits. A
/// failure raises it, since more failures are likely, and a keep-alive without any lowers it.
const CHECKS: u8 = 5;
const CHECKS_MIN: u8 = 2;
const CHECKS_MAX: u8 = 8;
const CHECKS_PER_FAILURE: u8 = 3;
/// A refresh that has nothing to do with a change is put off: twice as long each time, up to this many
/// ticks. 20 minutes.
const REFRESH_MAX: u32 = 4 * REFRESH;
/// Nodes of full buckets that are pinged at once because a newcomer wants their place.
pub(super) const SWAPS_MAX: u8 = 3;

#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    refresh: u32,
    /// Down hints sent in this tick.
    hints_sent: u32,
    hinters: Vec<(Ipv4Addr, u8)>,
    pub(super) hint_checks: u8,
    pub(super) swaps: u8,
    /// Checks per keep-alive, what is left of them, and whether any has failed since.
    checks: u8,
    checks_left: u8,
    failed: bool,
    /// Ticks between refreshes, and whether the table has changed since the last.
    refresh_every: u32,
    changed: bool,
    /// How many are still to be checked in this keep-alive.
    due: u8,
}

impl Schedule {
    pub(super) fn add_to(heap: &mut Heap) {
        heap.capped::<(Ipv4Addr, u8)>(HINTERS_MAX);
    }

    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            refresh: 31 + rng.below(30),
            checks: CHECKS,
            checks_left: CHECKS,
            refresh_every: REFRESH,
            changed: true,
            ..Self::default()
        }
    }

    /// Takes the check of a newcomer's rival from the budget of the next keep-alive.
    pub(super) fn take_check(&mut self) -> bool {
        let any = self.checks_left > 0;
        self.checks_left -= u8::from(any);
        any
    }

    /// A node of the table was found to be gone.
    pub(super) fn table_shrank(&mut self) {
        self.changed = true;
        self.refresh_every = REFRESH;
        self.refresh = self.refresh.min(REFRESH);
    }

    /// A keep-alive has found a node gone. Only keep-alives count here: what queries and hints find is no sample of the table.
    pub(super) fn check_failed(&mut self) {
        self.failed = true;
        self.checks = (self.checks + CHECKS_PER_FAILURE).min(CHECKS_MAX);
    }

    /// A node has entered the table.
    pub(super) fn table_grew(&mut self) {
        self.changed = true;
    }

    /// A keep-alive begins, with `most` checks at most, and a few even if newcomers' rivals have used up the
    /// budget.
    pub(super) fn begin_keep_alive(&mut self, most: u8) {
        self.due = self.checks_left.max(CHECKS_MIN).min(most);
        if !core::mem::take(&mut self.failed) {
            self.checks = (self.checks - 1).max(CHECKS_MIN);
        }
        self.checks_left = self.checks;
    }

    /// Whether one more node is to be checked in this keep-alive.
    pub(super) const fn has_check(&self) -> bool {
        self.due > 0
    }

    /// A node was checked; or, if none `can` be, the keep-alive is over.
    pub(super) fn checked(&mut self, can: bool) {
        self.due = if can { self.due - 1 } else { 0 };
    }

    /// A tick has passed. Whether the table is to be refreshed; sooner if it is `small`.
    pub(super) fn is_refresh_due(&mut self, tick: u32, small: bool) -> bool {
        self.refresh = self.refresh.saturating_sub(1);
        self.refresh == 0 || (small && tick & 63 == 0)
    }

    /// Whether one more down hint may be sent in this tick, of `limit`.
    pub(super) fn may_hint(&self, limit: Option<u32>) -> bool {
        limit.is_none_or(|max| self.hints_sent < max)
    }

    pub(super) fn hinted(&mut self) {
        self.hints_sent += 1;
    }

    /// Nothing is under way any more.
    pub(super) fn clear(&mut self) {
        (self.hint_checks, self.swaps) = (0, 0);
    }

    /// Renews what is allowed per tick.
    pub(super) fn reset_budgets(&mut self) {
        self.hints_sent = 0;
        self.hinters = Vec::new();
    }

    /// The machine has slept: the next tick refreshes.
    pub(super) fn wake_up(&mut self) {
        self.refresh = 1;
        self.checks = CHECKS;
        self.checks_left = CHECKS;
        self.refresh_every = REFRESH;
        // Nodes of the network will have come and gone meanwhile.
        self.changed = true;
    }

    /// A query has begun: a refresh can wait.
    pub(super) fn queried(&mut self) {
        self.refresh = self.refresh_every;
    }

    /// A refresh begins. The next one is due in five minutes if there was any change since the last, else
    /// later.
    pub(super) fn refreshing(&mut self) {
        let changed = core::mem::take(&mut self.changed);
        let longer = (2 * self.refresh_every).min(REFRESH_MAX);
        self.refresh_every = if changed { REFRESH } else { longer };
    }

    /// Whether no query has begun for a minute: what is kept for the next can be released.
    pub(super) fn is_quiet(&self) -> bool {
        self.refresh + RECENT <= self.refresh_every
    }

    /// Whether a hint from `from` may cause a check.
    pub(super) fn admits_hint(&mut self, from: Ipv4Addr, exempt: &Exempt) -> bool {
        if self.hint_checks >= HINT_CHECKS_MAX {
            return false;
        }
        if exempt.covers(from) {
            return true;
        }
        if let Some((_, count)) = self.hinters.iter_mut().find(|(host, _)| *host == from) {
            *count = count.saturating_add(1);
            return *count <= HINTS_PER_HOST_MAX;
        }
        let room = self.hinters.len() < HINTERS_MAX;
        if room {
            self.hinters.put(HINTERS_MAX, (from, 1));
        }
        room
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, hinted: usize, swaps: usize) {
        assert_eq!((self.hint_checks.into(), self.swaps.into()), (hinted, swaps));
        assert!(self.hint_checks <= HINT_CHECKS_MAX && self.swaps <= SWAPS_MAX);
    }
}
