//! How fast an attacker goes.

use smart_default::SmartDefault;

use crate::sim::ActorCx;
use crate::world::{Micros, check};

/// The timer of a [`Pacer`].
pub(super) const TURN: u64 = 0;

/// When datagrams are sent: a burst at a time, each after a pause, until there were enough.
///
/// By default 10,000 a second, for 10 s.
#[derive(SmartDefault, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time until the first burst, in microseconds.
    pub after_us: Micros,
    /// From one burst to the next, in microseconds.
    #[default(1_000)]
    pub every_us: Micros,
    /// Datagrams in a burst.
    #[default(10)]
    pub burst: u32,
    /// Datagrams in all.
    #[default(100_000)]
    pub total: u64,
}

impl Pace {
    /// This rate a second, for this many seconds.
    pub fn per_second(rate: u32, seconds: u32) -> Self {
        // Not more often than every millisecond.
        let burst = (rate / 1_000).max(1);
        let every_us = 1_000_000 * u64::from(burst) / u64::from(rate.max(1));
        Self { after_us: 0, every_us, burst, total: u64::from(rate) * u64::from(seconds) }
    }

    /// The same, begun later.
    pub fn after(self, after_us: Micros) -> Self {
        Self { after_us, ..self }
    }

    /// Refuses what would never end, naming the field.
    pub fn check(&self) -> Result<(), String> {
        check::that(self.every_us > 0, "pace.every_us", "not be 0")?;
        check::that(self.burst > 0, "pace.burst", "not be 0")
    }
}

/// Keeps a [`Pace`].
#[derive(Clone, Debug, Default)]
pub(super) struct Pacer {
    pace: Pace,
    left: u64,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, left: pace.total }
    }

    pub(super) fn start(&self, cx: &mut ActorCx<'_>) {
        if self.left > 0 {
            cx.wake_after(self.pace.after_us, TURN);
        }
    }

    /// How many may be sent now that the timer has run out.
    pub(super) fn turn(&mut self, cx: &mut ActorCx<'_>) -> u64 {
        let now = self.left.min(self.pace.burst.into());
        self.left -= now;
        if self.left > 0 {
            cx.wake_after(self.pace.every_us, TURN);
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_on_average() {
        for rate in [1, 7, 100, 1_000, 10_000, 123_456] {
            let pace = Pace::per_second(rate, 3);
            pace.check().unwrap();
            let per_second = 1_000_000.0 * f64::from(pace.burst) / pace.every_us as f64;
            assert!((per_second / f64::from(rate) - 1.0).abs() < 0.01, "{rate}: {pace:?}");
            assert_eq!(pace.total, 3 * u64::from(rate));
        }
    }

    #[test]
    fn what_would_never_end_is_refused() {
        for (pace, field) in [
            (Pace { every_us: 0, ..Pace::default() }, "pace.every_us"),
            (Pace { burst: 0, ..Pace::default() }, "pace.burst"),
        ] {
            assert!(pace.check().unwrap_err().starts_with(field));
        }
    }
}
