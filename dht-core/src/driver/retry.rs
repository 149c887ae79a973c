//! When binding is tried again after it failed, or after the sockets were lost soon.

use core::time::Duration;

use crate::Instant;

/// The first wait; each further one is twice as long.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait. Sockets that lasted this long after it are no failure: the next wait is the first one again.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The wait between tries to bind that the driver makes by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retry {
    wait: Duration,
    due: Instant,
}

impl Retry {
    /// When the next try is due.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// A try is made now, with success or without.
    pub(crate) fn tried(&mut self, now: Instant) {
        let is_old = now.saturating_since(self.due) > WAIT_MAX;
        let wait = if is_old { WAIT_MIN } else { self.wait.saturating_mul(2) };
        self.wait = wait.clamp(WAIT_MIN, WAIT_MAX);
        self.due = now + self.wait;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn waits_grow_and_what_has_lasted_begins_anew() {
        let mut retry = Retry::default();
        let mut now = Instant::ZERO + 1000 * WAIT_MAX;
        let mut waits = Vec::new();
        for _ in 0..9 {
            retry.tried(now);
            waits.push(retry.due().saturating_since(now).as_secs());
            now = retry.due();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        now = retry.due() + WAIT_MAX;
        retry.tried(now);
        assert_eq!(retry.due(), now + WAIT_MAX);
        now = retry.due() + WAIT_MAX + Duration::from_micros(1);
        retry.tried(now);
        assert_eq!(retry.due(), now + WAIT_MIN);
    }
}
