//! The state that handles and driver share, behind its lock.
//!
//! The discipline: under the lock there is only plain data, the core, and wakers, which are moved but never woken,
//! cloned or dropped. What is handed out (futures, streams, requests to answer) is built without the lock. The only
//! foreign code that runs under it is called by the core: the node filter and the cache of ids. Neither may call a
//! handle. A filter that panics has refused the node, and a cache that panics does not know the address.
//!
//! Any other panic under the lock is a fault of our own. It leaves the core in the middle of a call, so the core is
//! replaced by a closed one, and every wait for it ends.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bind::Ports;
use super::guard::guard;
use super::runtime::Host;
use super::state::{Look, State};
use crate::{Instant, Node};

/// The lock, and what can be had without it.
pub(crate) struct Shared {
    pub(crate) host: Arc<dyn Host>,
    /// As given.
    pub(crate) ports: Ports,
    /// By how many microseconds the timer's clock is ahead of the host's.
    ahead: AtomicU64,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(host: Arc<dyn Host>, node: Node, ports: Ports) -> Self {
        Self { host, ports, ahead: AtomicU64::new(0), state: Mutex::new(State::new(node)) }
    }

    /// The time, for everything that concerns this node. A clock that panics stands still.
    pub(crate) fn now(&self) -> Instant {
        let host = guard(|| self.host.now()).unwrap_or(Instant::ZERO);
        host + Duration::from_micros(self.ahead.load(Ordering::Relaxed))
    }

    /// Notes that the timer's clock is ahead of the host's. It never falls back.
    pub(crate) fn keep_up(&self, ahead: Duration) {
        let micros = u64::try_from(ahead.as_micros()).unwrap_or(u64::MAX);
        self.ahead.fetch_max(micros, Ordering::Relaxed);
    }

    /// Looks without touching anything.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// A call by the driver: acts, then routes what happened.
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

    /// A call by a handle: as [`drive`](Self::drive), and the driver gets to know.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        self.drive(|state, now| {
            let result = act(state, now);
            state.poke();
            result
        })
    }

    /// The driver stops. If the core breaks down over it, the core that takes its place is told again.
    pub(crate) fn end(&self) {
        let _ = guard(|| self.drive(State::end)).or_else(|| guard(|| self.drive(State::end)));
    }

    /// Looks for a result; if there is none, leaves the waker where the look says. A future that is polled again by
    /// the same task keeps its waker.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut look: impl for<'s> FnMut(&'s mut State, Instant) -> Look<'s, T>,
    ) -> Poll<T> {
        let mut fresh = None;
        loop {
            let found = self.drive(|state, now| match look(state, now) {
                Look::Ready(result) => Some(Poll::Ready(result)),
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

/// A reference that keeps the node alive: the last one closes it.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Counted>);

struct Counted(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Counted(shared)))
    }

    /// A reference that does not keep the node alive.
    pub(crate) fn share(&self) -> Arc<Shared> {
        Arc::clone(&self.0.0)
    }
}

impl Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.act(State::close);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
