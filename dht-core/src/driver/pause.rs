//! Pauses of a socket that brings nothing but errors.

use core::time::Duration;

use crate::Instant;

/// The number of failures in a row that begins a pause.
pub(crate) const STREAK_MAX: u32 = 16;
/// The same for errors that are news of single peers, which weigh less.
const NEWS_MAX: u32 = 1024;
/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pause {
    /// The weight of failures in a row; at [`NEWS_MAX`] a pause begins.
    streak: u32,
    pauses: u32,
    until: Option<Instant>,
}

impl Pause {
    pub(crate) const fn succeeded(&mut self) {
        *self = Self { streak: 0, pauses: 0, until: None };
    }

    /// Counts a failure, or news of a single peer. Whether it begins the first pause since the last success.
    pub(crate) fn failed(&mut self, now: Instant, is_news: bool) -> bool {
        self.streak += if is_news { 1 } else { NEWS_MAX / STREAK_MAX };
        if self.streak < NEWS_MAX {
            return false;
        }
        let pause = PAUSE_MIN.saturating_mul(1 << self.pauses.min(16));
        self.pauses = self.pauses.saturating_add(1);
        self.streak = 0;
        self.until = Some(now + pause.min(PAUSE_MAX));
        self.pauses == 1
    }

    /// Whether there is a pause now; the time is asked for only if there was one.
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
        for round in 0..12 {
            for _ in 1..STREAK_MAX {
                assert!(!pause.failed(now, false));
                assert!(!pause.is_on(|| now));
            }
            assert_eq!(pause.failed(now, false), round == 0);
            let until = pause.until(now).unwrap();
            waits.push(until.saturating_since(now).as_millis());
            now = until;
            assert_eq!(pause.until(now), None);
        }
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!(waits[9..], [5000, 5000, 5000]);
        pause.succeeded();
        let told = (0..STREAK_MAX).filter(|_| pause.failed(now, false)).count();
        assert_eq!((told, pause.until(now)), (1, Some(now + PAUSE_MIN)));
        pause.succeeded();
        assert!((1..NEWS_MAX).all(|_| !pause.failed(now, true)) && !pause.is_on(|| now));
        assert!(pause.failed(now, true) && pause.is_on(|| now));
    }
}
