//! The life of a node as its handle sees it: steps that can be asked for, and waits for them.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::dht::Dht;
use super::error::Error;
use super::life::{Goal, Life};
use super::shared::Handle;
use super::state::{Look, State};
use crate::{Instant, Node};

/// The wait for a step in a node's life, made by [`Dht::listening`], [`Dht::fully_bootstrapped`],
/// [`Dht::suspend`], [`Dht::resume`] and [`Dht::close`].
///
/// What was asked for has begun when this is made; dropping it only ends the wait. It keeps the node alive, as a
/// handle does.
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

/// # Life
impl Dht {
    /// Waits until the sockets are bound.
    ///
    /// # Errors
    /// If they can't be, or the node is closed.
    #[must_use = "this only waits"]
    pub fn listening(&self) -> Milestone {
        self.milestone(Goal::Listening)
    }

    /// Waits until the node is bootstrapped. Nothing else needs to wait for that.
    ///
    /// It succeeds even if no node answered, or no name could be resolved, after two seconds or so:
    /// [`Event::BootstrapSilent`](crate::Event::BootstrapSilent) tells, and the node goes on trying.
    ///
    /// # Errors
    /// If the sockets can't be bound, or the node is closed.
    #[doc(alias = "ready")]
    #[must_use = "this only waits"]
    pub fn fully_bootstrapped(&self) -> Milestone {
        self.milestone(Goal::Bootstrapped)
    }

    /// Closes the node: requests fail with `Destroyed`, answers that wait are still sent,
    /// then the sockets are closed, which can be waited for. May be called again; it always
    /// succeeds.
    ///
    /// # Errors
    /// None.
    #[doc(alias = "destroy")]
    pub fn close(&self) -> Milestone {
        self.shared().act(State::close);
        self.milestone(Goal::Closed)
    }

    /// Suspends the node: requests fail with `Suspended`, queries end with what they have,
    /// the sockets are closed, which can be waited for. Before the first bind it waits for
    /// that; on a suspended or closed node it does nothing and succeeds.
    ///
    /// # Errors
    /// If the sockets could not be bound in the first place.
    pub fn suspend(&self) -> Milestone {
        self.step(Life::suspend, Goal::Suspended)
    }

    /// Takes a suspended node back: binds the same ports if it can, which can be waited for,
    /// and refreshes. On a node that is not suspended, or closed, it does nothing and succeeds.
    ///
    /// # Errors
    /// If the sockets can't be bound now. The node lives on, with its table and its handles, but what it
    /// is asked for fails as while it is suspended. It tries again by itself, after 1 s at first and after 60 s
    /// at most, and at once when this is called again; [`Event::Resumed`](crate::Event::Resumed) tells of success.
    pub fn resume(&self) -> Milestone {
        self.step(Life::resume, Goal::Resumed)
    }

    /// Tells the node that its machine is in another network, as systems of mobile devices tell their apps. Sockets that
    /// are gone, or that turn out to be deaf within 15 s, are replaced; what peers said of the own address is
    /// forgotten, and the table refreshed, at most every 30 s ([`Node::handle_network_change`]). Without this call the
    /// driver notices by itself, since it looks every 5 s.
    ///
    /// [`Node::handle_network_change`]: crate::Node::handle_network_change
    pub fn network_changed(&self) {
        self.shared().act(State::network_changed);
    }

    /// Tells the node that its machine has slept. Driver and core notice by themselves as a rule.
    pub fn wakeup(&self) {
        self.shared().act(|state, now| state.node.handle_wakeup(now));
    }

    fn step(&self, step: fn(&mut Life, Instant, &mut Node), goal: Goal) -> Milestone {
        self.shared().act(|state, now| state.step(|life, node| step(life, now, node)));
        self.milestone(goal)
    }

    fn milestone(&self, goal: Goal) -> Milestone {
        Milestone::new(self.handle.clone(), goal)
    }
}
