//! Time as the caller tells it.
//!
//! The core has no clock. Every entry point takes `now`, an [`Instant`] counted
//! from an epoch that the caller chooses once. It should count on while the
//! machine sleeps (boot time, not monotonic time on Linux), since that is how
//! the node notices that it slept.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point in time: microseconds since an epoch of the caller's choice.
///
/// ```
/// use core::time::Duration;
/// use dht_core::Instant;
///
/// let started = std::time::Instant::now(); // better a clock that counts through sleep
/// let now = || Instant::from_micros(started.elapsed().as_micros() as u64);
///
/// let due = now() + Duration::from_millis(20);
/// assert!(due.saturating_since(now()) <= Duration::from_millis(20));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// Later than anything that can be waited for (about 584,000 years).
    pub const MAX: Self = Self(u64::MAX);

    /// `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds after the epoch, or [`Instant::MAX`] if that is out of range.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Saturates at [`Instant::MAX`].
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

/// Saturates at the epoch.
impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }
}

fn micros(by: Duration) -> u64 {
    u64::try_from(by.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(Instant::MAX + second, Instant::MAX);
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::MAX);
        assert_eq!(Instant::from_millis(10) - second, Instant::ZERO);
        assert_eq!(Instant::from_millis(u64::MAX), Instant::MAX);
        assert_eq!(Instant::ZERO.saturating_since(Instant::MAX), Duration::ZERO);
    }
}
