//! Waiting for the life of the node to go on: bound, bootstrapped, suspended, closed.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::error::Error;
use super::handle::Dht;
use super::shared::Look;
use super::state::State;

/// Where the node has to get to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Listening,
    Bootstrapped,
    Suspended,
    Resumed,
    Closed,
}

impl Goal {
    fn reached(self, state: &State) -> Option<Result<(), Error>> {
        let over = state.node.closed() || state.ended;
        match self {
            Self::Closed => state.ended.then_some(Ok(())),
            Self::Listening if state.was_bound && !over => Some(Ok(())),
            Self::Bootstrapped if state.node.bootstrapped() && !over => Some(Ok(())),
            Self::Listening | Self::Bootstrapped if over => Some(Err(state.explain(Error::CLOSED))),
            Self::Listening | Self::Bootstrapped => None,
            // A closed node can't be bothered, unless it could not be bound.
            Self::Suspended | Self::Resumed if over => {
                let failure = state.failure.clone().filter(|_| !state.was_bound);
                Some(failure.map_or(Ok(()), Err))
            }
            Self::Resumed if state.seeking => state.failure.clone().map(Err),
            // Somebody may have asked for the contrary since; then this is over as well.
            Self::Suspended => (!state.unbind && !state.suspend_when_bound).then_some(Ok(())),
            Self::Resumed => {
                (state.bound || state.node.suspended() || !state.was_bound).then_some(Ok(()))
            }
        }
    }
}

/// The wait for a step in a node's life: what [`Dht::listening`], [`Dht::fully_bootstrapped`],
/// [`Dht::suspend`], [`Dht::resume`] and [`Dht::close`] give.
///
/// What they ask for has begun when they return; dropping this only ends the wait.
pub struct Milestone {
    dht: Dht,
    goal: Goal,
    waiter: Option<u64>,
}

impl Milestone {
    pub(crate) const fn new(dht: Dht, goal: Goal) -> Self {
        Self { dht, goal, waiter: None }
    }
}

impl Future for Milestone {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.dht.shared().poll(cx, |state, _| {
            if let Some(result) = this.goal.reached(state) {
                return Look::Ready(result);
            }
            let waiter = *this.waiter.get_or_insert_with(|| state.ticket());
            Look::Wait(state.milestones.entry(waiter).or_default())
        })
    }
}

impl Drop for Milestone {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            let _waker = self.dht.shared().drive(|state, _| state.milestones.remove(&waiter));
        }
    }
}

impl fmt::Debug for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Milestone").field(&self.goal).finish()
    }
}
