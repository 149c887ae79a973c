//! The schedule of periodic work, in ticks of five seconds: what is due, not how it is done.
//! Mirrors the counters of `index.js`, with the reference's numbers, except that how many nodes are
//! checked, and how often the table is refreshed, follows what is found.

use core::net::Ipv4Addr;
use core::time::Duration;

use alloc::vec::Vec;

use crate::addr::is_local;
use crate::bounded::memory::{Capped, Heap};
use crate::context::{RECENT, TICK};
use crate::secret::rng::Rng;
use crate::time::Instant;

/// When the node is entered this long after the deadline that it had asked for, the machine
/// (or the process) has slept. With a tick of 5 s this is the reference's gap of 15 s.
pub(crate) const SLEEP: Duration = Duration::from_secs(10);
/// Ticks that lie behind the first one, so that imported nodes can be older than the node itself:
/// a multiple of all periods.
const PAST: u32 = 768;
/// Ticks between keep-alives: 40 s.
const KEEP_ALIVE: u32 = 8;
/// Ticks without a query until the table is refreshed, unless it was put off: 5 minutes.
const REFRESH: u32 = 60;
/// What a node said of our address is taken again after this many ticks: 30 minutes. After a sleep all
/// nodes look twice as old.
pub(crate) const OLD: u32 = 360;
/// In the table for so many ticks, a node is asked before it gives way, however small the table is: 10 minutes.
pub(crate) const FIRM: u32 = 120;
/// Nodes checked because of down hints at once; keep-alive pings have a budget of their own,
/// else hints could starve them.
pub(crate) const HINT_CHECKS_MAX: u8 = 10;
/// Hints taken from one host per tick, unless it is local.
const HINTS_PER_HOST_MAX: u8 = 5;
/// Hosts whose hints are counted per tick; hints of others are ignored after that.
const HINTERS_MAX: usize = 64;
/// Nodes of the table that are pinged per keep-alive, because they were not heard of for longest or
/// since a newcomer wants their place: the reference's number at first, then between these. A
/// failure raises it, since then there are more like that, and a keep-alive without any lowers it.
const CHECKS: u8 = 5;
const CHECKS_MIN: u8 = 2;
const CHECKS_MAX: u8 = 8;
const CHECKS_PER_FAILURE: u8 = 3;
/// A refresh that has nothing to do with a change is put off: twice as long each time, up to this many
/// ticks. 20 minutes.
const REFRESH_MAX: u32 = 4 * REFRESH;
/// Beyond this no ticks are skipped any more, so that those that pass never come to an end: it takes half a year of
/// sleeps, one per tick, to get here, and 340 years from here to the end.
const SKIPPED_MAX: u32 = u32::MAX / 2;
/// Nodes of full buckets that are pinged at once because a newcomer wants their place.
pub(crate) const SWAPS_MAX: u8 = 3;

/// What a tick brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Ping those not heard of for longest.
    pub(crate) keep_alive: bool,
    /// Refresh the table.
    pub(crate) refresh: bool,
    /// Refresh it if it is small.
    pub(crate) refresh_if_small: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Upkeep {
    next: Instant,
    refresh: u32,
    /// Down hints sent in this tick.
    pub(crate) hints_sent: u32,
    hinters: Vec<(Ipv4Addr, u8)>,
    pub(crate) hint_checks: u8,
    pub(crate) swaps: u8,
    /// Checks per keep-alive, what is left of them, and whether any has failed since.
    checks: u8,
    checks_left: u8,
    failed: bool,
    /// Ticks between refreshes, and whether the table has changed since the last.
    refresh_every: u32,
    changed: bool,
    /// No tick has passed since the machine woke up.
    woken: bool,
}

impl Upkeep {
    pub(crate) fn add_to(heap: &mut Heap) {
        heap.capped::<(Ipv4Addr, u8)>(HINTERS_MAX);
    }

    /// The schedule, and its first tick: a random number, so that nodes started together don't act in step.
    pub(crate) fn new(rng: &mut Rng) -> (Self, u32) {
        let tick = PAST + 51 + rng.below(50);
        let upkeep = Self {
            next: Instant::MAX,
            refresh: 31 + rng.below(30),
            hints_sent: 0,
            hinters: Vec::new(),
            hint_checks: 0,
            swaps: 0,
            checks: CHECKS,
            checks_left: CHECKS,
            failed: false,
            refresh_every: REFRESH,
            changed: true,
            woken: false,
        };
        (upkeep, tick)
    }

    /// A newcomer's rival may be checked, out of what the next keep-alive would do.
    pub(crate) fn take_check(&mut self) -> bool {
        let any = self.checks_left > 0;
        self.checks_left -= u8::from(any);
        any
    }

    /// A node of the table was found to be gone.
    pub(crate) fn table_shrank(&mut self) {
        self.changed = true;
        self.refresh_every = REFRESH;
        self.refresh = self.refresh.min(REFRESH);
    }

    /// A keep-alive has found it out. What queries and hints find says nothing of the others in the table.
    pub(crate) fn check_failed(&mut self) {
        self.failed = true;
        self.checks = (self.checks + CHECKS_PER_FAILURE).min(CHECKS_MAX);
    }

    /// A node has entered the table.
    pub(crate) fn table_grew(&mut self) {
        self.changed = true;
    }

    /// How many to ping in this keep-alive: a few even if newcomers' rivals have used it up.
    pub(crate) fn take_checks(&mut self) -> u8 {
        let count = self.checks_left.max(CHECKS_MIN);
        if !core::mem::take(&mut self.failed) {
            self.checks = (self.checks - 1).max(CHECKS_MIN);
        }
        self.checks_left = self.checks;
        count
    }

    pub(crate) fn next_tick(&self) -> Instant {
        self.next
    }

    /// The sockets are bound: the first tick comes in five seconds. After a suspension the next one comes when
    /// it was due, or now.
    pub(crate) fn start(&mut self, now: Instant) {
        self.next = if self.next == Instant::MAX { now + TICK } else { self.next.max(now) };
    }

    /// A tick passes; its moment is the one that was planned.
    pub(crate) fn pass(&mut self, tick: &mut u32) {
        *tick = tick.saturating_add(1);
        self.next += TICK;
        self.woken = false;
    }

    /// A tick passes out of turn.
    pub(crate) fn skip(tick: &mut u32) {
        *tick += u32::from(*tick < SKIPPED_MAX);
    }

    /// What the current tick brings, once the node has bootstrapped.
    pub(crate) fn due(&mut self, tick: u32) -> Due {
        self.refresh = self.refresh.saturating_sub(1);
        Due {
            keep_alive: tick.is_multiple_of(KEEP_ALIVE),
            refresh: self.refresh == 0,
            refresh_if_small: tick & 63 == 0,
        }
    }

    /// Renews what is allowed per tick.
    pub(crate) fn reset_budgets(&mut self) {
        self.hints_sent = 0;
        self.hinters = Vec::new();
    }

    /// The machine has slept, or is said to have: everything looks old, within two ticks the oldest are pinged,
    /// and the next tick refreshes. Nothing comes later for it, however often it happens.
    pub(crate) fn wake_up(&mut self, tick: &mut u32) {
        if !core::mem::replace(&mut self.woken, true) && *tick < SKIPPED_MAX {
            let phase = (*tick % KEEP_ALIVE).max(KEEP_ALIVE - 2);
            let later = *tick + 2 * OLD;
            *tick = later - later % KEEP_ALIVE + phase;
        }
        self.refresh = 1;
        self.checks = CHECKS;
        self.checks_left = CHECKS;
        self.refresh_every = REFRESH;
        // Others will have come and gone meanwhile.
        self.changed = true;
    }

    /// Has a tick that was slept through come in five seconds, when the network is there again; but not
    /// twice in a row.
    pub(crate) fn put_off(&mut self, now: Instant) {
        if self.next <= now {
            self.next = if self.woken { now } else { now + TICK };
        }
    }

    /// A query has begun: a refresh can wait.
    pub(crate) fn queried(&mut self) {
        self.refresh = self.refresh_every;
    }

    /// A refresh begins. The next one is due in five minutes if there was any change since the last, else
    /// later.
    pub(crate) fn refreshing(&mut self) {
        let changed = core::mem::take(&mut self.changed);
        let longer = (2 * self.refresh_every).min(REFRESH_MAX);
        self.refresh_every = if changed { REFRESH } else { longer };
    }

    /// Whether no query has begun for a minute: what is kept for the next can be released.
    pub(crate) fn is_quiet(&self) -> bool {
        self.refresh + RECENT <= self.refresh_every
    }

    /// Whether a hint from `from` may cause a check.
    pub(crate) fn admits_hint(&mut self, from: Ipv4Addr) -> bool {
        if self.hint_checks >= HINT_CHECKS_MAX {
            return false;
        }
        if is_local(from) {
            return true;
        }
        if let Some((_, count)) = self.hinters.iter_mut().find(|(host, _)| *host == from) {
            *count = count.saturating_add(1);
            return *count <= HINTS_PER_HOST_MAX;
        }
        let room = self.hinters.len() < HINTERS_MAX;
        if room {
            self.hinters.make_room(HINTERS_MAX);
            self.hinters.push((from, 1));
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_without_a_tick_between_them_are_one() {
        let (mut upkeep, mut tick) = Upkeep::new(&mut Rng::new([1; 32]));
        upkeep.start(Instant::ZERO);
        for _ in 0..KEEP_ALIVE {
            upkeep.pass(&mut tick);
            let (before, next) = (tick, upkeep.next_tick());
            upkeep.wake_up(&mut tick);
            let woken = tick;
            assert!((before + 2 * OLD..before + 2 * OLD + KEEP_ALIVE).contains(&woken));
            upkeep.wake_up(&mut tick);
            assert_eq!((tick, upkeep.next_tick()), (woken, next));
        }
    }

    #[test]
    fn ticks_do_not_come_to_an_end() {
        let (mut upkeep, mut tick) = Upkeep::new(&mut Rng::new([1; 32]));
        upkeep.start(Instant::ZERO);
        for _ in 0..6_000_000 {
            let before = tick;
            upkeep.pass(&mut tick);
            upkeep.wake_up(&mut tick);
            assert!(before < tick);
        }
        tick = SKIPPED_MAX - 1;
        (0..9).for_each(|_| Upkeep::skip(&mut tick));
        assert_eq!(tick, SKIPPED_MAX);
        tick = u32::MAX;
        upkeep.pass(&mut tick);
        assert_eq!(tick, u32::MAX);
    }
}
