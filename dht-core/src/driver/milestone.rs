//! Waits for a step in the life of a node: bound, bootstrapped, suspended, closed.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::error::Error;
use super::life::Goal;
use super::shared::Handle;
use super::state::Look;

/// The wait for a step in a node's life, made by [`Dht::listening`], [`Dht::fully_bootstrapped`],
/// [`Dht::suspend`], [`Dht::resume`] and [`Dht::close`].
///
/// What was asked for has begun when this is made; dropping it only ends the wait. It keeps the node alive, as a
/// handle does.
///
/// [`Dht::listening`]: super::Dht::listening
/// [`Dht::fully_bootstrapped`]: super::Dht::fully_bootstrapped
/// [`Dht::suspend`]: super::Dht::suspend
/// [`Dht::resume`]: super::Dht::resume
/// [`Dht::close`]: super::Dht::close
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use std::net::Ipv4Addr;
/// use dht_core::driver::Builder;
///
/// let node = Builder::new(Local).host(Ipv4Addr::LOCALHOST).spawn()?;
/// node.listening().await?;
/// let before = node.server_address();
/// // The node is suspended whether or not this is waited for.
/// let suspended = node.suspend();
/// suspended.await?;
/// node.resume().await?;
/// assert_eq!(node.server_address(), before);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Milestone {
    handle: Handle,
    goal: Goal,
    ticket: Option<u64>,
}

impl Milestone {
    pub(crate) const fn new(handle: Handle, goal: Goal) -> Self {
        Self { handle, goal, ticket: None }
    }
}

impl Future for Milestone {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.handle.poll(cx, |state, _| match state.life.reached(this.goal, &state.node) {
            Some(result) => Look::Ready(result),
            None => {
                let ticket = *this.ticket.get_or_insert_with(|| state.ticket());
                Look::Wait(state.milestones.slot(ticket))
            }
        })
    }
}

impl Drop for Milestone {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.handle.drive(|state, _| {
                let waker = state.milestones.leave(ticket);
                state.wakes.bury(waker);
            });
        }
    }
}
