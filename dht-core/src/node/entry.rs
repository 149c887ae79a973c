//! The one way in to the parts: time is told first, and at the end they are settled. Nothing else can change them.

use core::ops::Deref;

use super::Parts;
use crate::time::Instant;
use crate::upkeep::clock::SLEEP;

/// Parts that want nothing of one another. Reading them is free; each change of them goes through [`enter`](Self::enter).
#[derive(Clone)]
pub(super) struct Settled(Parts);

impl Settled {
    pub(super) const fn new(parts: Parts) -> Self {
        Self(parts)
    }

    /// Lets `act` happen at this time, or at the latest so far: time never goes back.
    pub(super) fn enter<R>(&mut self, now: Instant, act: impl FnOnce(&mut Parts) -> R) -> R {
        if now > self.0.cx.now {
            self.begin(now);
        }
        self.enter_now(act)
    }

    /// As [`enter`](Self::enter), for calls that are told no time.
    pub(super) fn enter_now<R>(&mut self, act: impl FnOnce(&mut Parts) -> R) -> R {
        let result = act(&mut self.0);
        self.0.settle();
        result
    }

    /// Time has passed. Sleep is noticed before anything else.
    #[inline(never)]
    fn begin(&mut self, now: Instant) {
        let node = &mut self.0;
        // Counted from the last entry, if that was later: then the deadline was missed by a caller
        // who is awake, or left behind from before a suspension. So most entries need not look for
        // the deadline.
        let overslept = now.saturating_since(node.cx.now) > SLEEP
            && node.next_deadline().is_some_and(|deadline| now.saturating_since(deadline) > SLEEP);
        node.cx.now = now;
        node.requests.advance(now);
        if overslept {
            node.wake_up();
            node.settle();
        }
    }
}

impl Deref for Settled {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
