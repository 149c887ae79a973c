//! When a tick passes: every five seconds; and how a sleep changes that.

use core::time::Duration;

use crate::context::{OLD, TICK};
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
/// From here on no ticks are skipped any more, so that there is always a next tick: it takes half a year of
/// sleeps, one per tick, to get here, and 340 years from here to the end.
const SKIPPED_MAX: u32 = u32::MAX / 2;

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    next: Instant,
    /// No tick has passed since the machine woke up.
    woken: bool,
}

impl Clock {
    pub(crate) const fn new() -> Self {
        Self { next: Instant::MAX, woken: false }
    }

    /// The first tick: a random number, so that nodes started together don't act in step.
    pub(crate) fn first_tick(rng: &mut Rng) -> u32 {
        PAST + 51 + rng.below(50)
    }

    pub(crate) const fn next_tick(&self) -> Instant {
        self.next
    }

    /// Whether nodes are checked in this tick.
    pub(crate) const fn is_keep_alive(tick: u32) -> bool {
        tick.is_multiple_of(KEEP_ALIVE)
    }

    /// The sockets are bound: the first tick comes in five seconds. After a suspension the next one comes when
    /// it was due, or now.
    pub(crate) fn start(&mut self, now: Instant) {
        self.next = if self.next == Instant::MAX { now + TICK } else { self.next.max(now) };
    }

    /// A tick passes, at its planned moment.
    pub(crate) fn pass(&mut self, tick: &mut u32) {
        *tick = tick.saturating_add(1);
        self.next += TICK;
        self.woken = false;
    }

    /// A tick passes out of turn.
    pub(crate) fn skip(tick: &mut u32) {
        *tick += u32::from(*tick < SKIPPED_MAX);
    }

    /// The machine has slept, or is said to have: everything looks old, and within two ticks the oldest nodes are pinged.
    /// This delays no deadline, however often it happens.
    pub(crate) fn wake_up(&mut self, tick: &mut u32) {
        if !core::mem::replace(&mut self.woken, true) && *tick < SKIPPED_MAX {
            let phase = (*tick % KEEP_ALIVE).max(KEEP_ALIVE - 2);
            let later = *tick + 2 * OLD;
            *tick = later - later % KEEP_ALIVE + phase;
        }
    }

    /// Puts off the tick that was slept through by five seconds, so that the network is there again; but
    /// not twice in a row.
    pub(crate) fn put_off(&mut self, now: Instant) {
        if self.next <= now {
            self.next = if self.woken { now } else { now + TICK };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> (Clock, u32) {
        let mut clock = Clock::new();
        clock.start(Instant::ZERO);
        (clock, Clock::first_tick(&mut Rng::new([1; 32])))
    }

    #[test]
    fn wake_ups_without_a_tick_between_them_are_one() {
        let (mut clock, mut tick) = started();
        for _ in 0..KEEP_ALIVE {
            clock.pass(&mut tick);
            let (before, next) = (tick, clock.next_tick());
            clock.wake_up(&mut tick);
            let woken = tick;
            assert!((before + 2 * OLD..before + 2 * OLD + KEEP_ALIVE).contains(&woken));
            clock.wake_up(&mut tick);
            assert_eq!((tick, clock.next_tick()), (woken, next));
        }
    }

    #[test]
    fn ticks_do_not_come_to_an_end() {
        let (mut clock, mut tick) = started();
        for _ in 0..6_000_000 {
            let before = tick;
            clock.pass(&mut tick);
            clock.wake_up(&mut tick);
            assert!(before < tick);
        }
        tick = SKIPPED_MAX - 1;
        (0..9).for_each(|_| Clock::skip(&mut tick));
        assert_eq!(tick, SKIPPED_MAX);
        tick = u32::MAX;
        clock.pass(&mut tick);
        assert_eq!(tick, u32::MAX);
    }
}
