//! How soon answers come, as a walk sees it: so that it repeats a request when an answer is late by
//! that measure, and need not wait whole seconds for the dead.
//!
//! Smoothed average and deviation as in RFC 6298, over all who have answered, not per destination as
//! in [`timeouts`](crate::timeouts): whom a walk asks, it has mostly never asked before.
//!
//! By that measure alone a few that are far away are taken for dead: they are not waited for, so they
//! are not measured either. (Two nodes in ten with a round trip of 600 ms, the others of 20: none of
//! the former was ever found.) So a walk that gives up early learns if it was wrong, by an answer that
//! comes too late, and for a while all walks wait for a second.

use core::time::Duration;

/// The least patience, by the number of answers: the first few may come from next door while all others
/// are oceans away, so little is concluded from them; and even the quickest of processes pause.
const FLOORS_US: [(u8, u32); 3] = [(10, 100_000), (3, 300_000), (1, 500_000)];
/// What a fixed time-out would be.
const CEILING_US: u32 = 1_000_000;
/// The average and this many deviations are waited for.
const DEVIATIONS: u32 = 3;
/// After one that was, or would have been, given up too early, nobody is given up within a second until so
/// many others have answered: about three walks.
const CAREFUL: u8 = 100;
/// The same at first: what a bootstrap brings.
const CAREFUL_AT_FIRST: u8 = 30;

/// The round trips of late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    average_us: u32,
    deviation_us: u32,
    samples: u8,
    /// For how many answers more nobody is given up early.
    careful: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self { average_us: 0, deviation_us: 0, samples: 0, careful: CAREFUL_AT_FIRST }
    }
}

impl Pace {
    /// An answer came after so long: since the first try, if there were several, since it may be to
    /// that one. That is too long rather than too short, so a pace that was set too fast slows down.
    /// Whether it would have been given up if nobody were careful.
    pub(crate) fn record(&mut self, rtt: Duration) -> bool {
        let hasty = self.patience().is_some_and(|patience| rtt > 2 * patience);
        self.careful = if hasty { CAREFUL } else { self.careful.saturating_sub(1) };
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).min(4 * CEILING_US);
        if self.samples == 0 {
            (self.average_us, self.deviation_us) = (rtt, rtt / 2);
        } else {
            let off_by = self.average_us.abs_diff(rtt);
            self.deviation_us = self.deviation_us - self.deviation_us / 4 + off_by / 4;
            self.average_us = self.average_us - self.average_us / 8 + rtt / 8;
        }
        self.samples = self.samples.saturating_add(1);
        hasty
    }

    /// Somebody was given up, and answered then.
    pub(crate) fn was_hasty(&mut self) {
        self.careful = CAREFUL;
    }

    /// For requests that are answered at another pace, over the same ways.
    pub(crate) fn unmeasured(&self) -> Self {
        Self { careful: self.careful, ..Self::default() }
    }

    /// How long to wait for an answer before asking again.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let (_, floor_us) = FLOORS_US.into_iter().find(|(samples, _)| self.samples >= *samples)?;
        let us = self.average_us.saturating_add(DEVIATIONS * self.deviation_us);
        Some(Duration::from_micros(us.clamp(floor_us, CEILING_US).into()))
    }

    /// And after asking again, before giving up, if so much time has passed since the first try.
    pub(crate) fn last_patience(&self, waited: Duration) -> Option<Duration> {
        let patience = self.patience()?;
        let second = Duration::from_micros(CEILING_US.into());
        let rest = if self.careful > 0 { second.saturating_sub(waited) } else { Duration::ZERO };
        Some(patience.max(rest))
    }
}
