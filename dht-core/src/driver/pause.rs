//! Leaving a socket alone that brings nothing but errors.

use core::time::Duration;

use crate::Instant;

/// So many failures in a row are taken in stride.
const STREAK_MAX: u32 = 16;
/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pause {
    streak: u32,
    pauses: u32,
    until: Option<Instant>,
}

impl Pause {
    pub(crate) const fn succeeded(&mut self) {
        *self = Self { streak: 0, pauses: 0, until: None };
    }

    /// One failure too many begins a pause.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.streak += 1;
        if self.streak < STREAK_MAX {
            return;
        }
        let pause = PAUSE_MIN.saturating_mul(1 << self.pauses.min(16));
        self.pauses += 1;
        self.streak = 0;
        self.until = Some(now + pause.min(PAUSE_MAX));
    }

    /// Whether there is a pause; the time is asked for only if there was one.
    pub(crate) fn is_on(&mut self, now: impl FnOnce() -> Instant) -> bool {
        self.until.is_some() && self.until(now()).is_some()
    }

    /// When the pause ends, if there is one.
    pub(crate) fn until(&mut self, now: Instant) -> Option<Instant> {
        self.until = self.until.filter(|until| *until > now);
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_with_the_first_success() {
        let mut pause = Pause::default();
        let mut now = Instant::ZERO;
        let mut waits = alloc::vec::Vec::new();
        for _ in 0..12 {
            for _ in 1..STREAK_MAX {
                pause.failed(now);
                assert!(!pause.is_on(|| now));
            }
            pause.failed(now);
            let until = pause.until(now).unwrap();
            waits.push(until.saturating_since(now).as_millis());
            now = until;
            assert_eq!(pause.until(now), None);
        }
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!(waits[9..], [5000, 5000, 5000]);
        pause.succeeded();
        (0..STREAK_MAX).for_each(|_| pause.failed(now));
        assert_eq!(pause.until(now), Some(now + PAUSE_MIN));
    }
}
