//! What handles and driver share, and the lock around it.
//!
//! The discipline: under the lock there is only plain data, the core, and wakers that
//! are moved, never woken, cloned or dropped. What handles give out (futures, guards)
//! is built without the lock. The only code of others that runs under it belongs to the core: the node
//! filter and the cache of ids. Neither may call a handle; if it panics, it has said no.
//!
//! Whatever else panics under the lock is a fault of our own. It leaves the core in the middle of something, so
//! that is the end of it, and everybody who waits gets to know.

use alloc::sync::Arc;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bind::Ports;
use super::guard::guard;
use super::runtime::Host;
use super::state::State;
use crate::{Instant, Node};

/// The lock, and what can be had without it.
pub(crate) struct Shared {
    host: Arc<dyn Host>,
    /// By how many microseconds the timer's clock is ahead of the host's.
    ahead: AtomicU64,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(host: Arc<dyn Host>, node: Node, ports: Ports) -> Self {
        let state = State::new(node, ports);
        Self { host, ahead: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// The time, for everything that concerns this node. A clock that panics does not go on.
    pub(crate) fn now(&self) -> Instant {
        let host = guard(|| self.host.now()).unwrap_or(Instant::ZERO);
        host + Duration::from_micros(self.ahead.load(Ordering::Relaxed))
    }

    /// The timer's clock is so far ahead of the host's; it does not fall back.
    pub(crate) fn keep_up(&self, ahead: Duration) {
        let micros = u64::try_from(ahead.as_micros()).unwrap_or(u64::MAX);
        self.ahead.fetch_max(micros, Ordering::Relaxed);
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// Looks without touching anything.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// A call by the driver: acts, hands out what happened.
    pub(crate) fn drive<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let result = act(&mut state, now);
            state.route(now);
            result
        }));
        let broken = result.is_err().then(|| state.break_down(now));
        let wakes = core::mem::take(&mut state.wakes);
        drop(state);
        wakes.wake();
        guard(|| drop(broken));
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The driver stops. Should the core break down over it, it is another one that is told again.
    pub(crate) fn end(&self) {
        let _ = guard(|| self.drive(State::end)).or_else(|| guard(|| self.drive(State::end)));
    }

    /// A call by a handle: as [`drive`](Self::drive), and the driver gets to know.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        self.drive(|state, now| {
            let result = act(state, now);
            state.poke();
            result
        })
    }

    /// Looks for a result; if there is none yet, leaves the waker where the look says.
    /// A future that is polled again by the same task keeps its waker.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut look: impl for<'s> FnMut(&'s mut State, Instant) -> Look<'s, T>,
    ) -> Poll<T> {
        let mut fresh = None;
        loop {
            let found = self.drive(|state, now| match look(state, now) {
                Look::Ready(result) => Some(Poll::Ready(result)),
                Look::Never => Some(Poll::Pending),
                Look::Wait(Some(waker)) if waker.will_wake(cx.waker()) => Some(Poll::Pending),
                Look::Wait(slot) => {
                    let waker = fresh.take()?;
                    fresh = slot.replace(waker);
                    Some(Poll::Pending)
                }
            });
            match found {
                Some(poll) => return poll,
                None => fresh = Some(cx.waker().clone()),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a future finds.
pub(crate) enum Look<'s, T> {
    /// Its result.
    Ready(T),
    /// Nothing yet: here its waker has to be.
    Wait(&'s mut Option<Waker>),
    /// Nothing, and there never will be.
    Never,
}
