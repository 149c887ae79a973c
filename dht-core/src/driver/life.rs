//! The life of a node as far as sockets are concerned: whether there are any, and what the driver has to do next.
//!
//! ```text
//! New ──bound──▶ Bound ──suspend──▶ Suspending ──unbound──▶ Suspended
//!                 ▲ │                   │ resume                │ resume
//!                 │ └─not bound─┐       ▼                       ▼
//!                 │             │   Restarting ───unbound──▶ Resuming ──bound──▶ Bound
//!                 └───bound── Seeking ◀───────────────not bound────┘
//! ```
//!
//! `Seeking` can be suspended and resumed as `Bound` can; `Ended` follows on any of them. The core knows besides
//! whether it is suspended or closed: a closed node is wound up whatever its phase is.

use core::net::SocketAddrV4;
use std::io;

use super::error::Error;
use super::retry::Retry;
use crate::{Instant, Node};

/// Which sockets a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No sockets were bound so far. `suspend`: the node is to be suspended as soon as they are.
    New { suspend: bool },
    /// The sockets are bound, or lost sockets are being replaced.
    Bound,
    /// The node is suspended, and the driver has not closed the sockets yet.
    Suspending,
    /// The node is suspended, and the sockets are closed.
    Suspended,
    /// The node was resumed before the driver had closed the sockets.
    Restarting,
    /// The node was resumed, and the sockets are to be bound.
    Resuming,
    /// The sockets could not be bound again: the core is suspended until they are.
    Seeking,
    /// The driver is gone.
    Ended { first_bind_failed: bool },
}

/// What the driver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Bind the sockets.
    Bind,
    /// Close the sockets.
    Unbind,
    /// Carry datagrams. `look`: the user says that the network has changed, so the sockets are looked at.
    Run { look: bool },
    /// Nothing: the node is suspended, or it is too early to bind again.
    Rest,
    /// Send the last datagrams, then end.
    WindUp,
}

/// A step in the life of a node that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Listening,
    Bootstrapped,
    Suspended,
    Resumed,
    Closed,
}

/// The phase of a node, why it has no sockets, and when binding is tried again.
pub(crate) struct Life {
    phase: Phase,
    failure: Option<Error>,
    /// When binding is tried again, and lost sockets are replaced.
    pub(crate) retry: Retry,
    look: bool,
}

impl Life {
    pub(crate) fn new() -> Self {
        let phase = Phase::New { suspend: false };
        Self { phase, failure: None, retry: Retry::default(), look: false }
    }

    pub(crate) fn duty(&mut self, now: Instant, node: &Node, has_sockets: bool) -> Duty {
        match self.phase {
            _ if node.closed() => Duty::WindUp,
            Phase::Suspending | Phase::Restarting => Duty::Unbind,
            Phase::Suspended => Duty::Rest,
            Phase::Seeking if now < self.retry.due() => Duty::Rest,
            _ if has_sockets => Duty::Run { look: core::mem::take(&mut self.look) },
            _ => Duty::Bind,
        }
    }

    /// When the driver has to look for sockets by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.is_seeking().then(|| self.retry.due())
    }

    /// The driver has bound the sockets.
    pub(crate) fn bound(
        &mut self,
        now: Instant,
        node: &mut Node,
        [client, server]: [SocketAddrV4; 2],
    ) {
        self.failure = None;
        if self.phase == Phase::Bound {
            return node.handle_rebound(now, client, server);
        }
        if self.phase == Phase::Seeking {
            node.resume(now);
        }
        node.handle_bound(now, client, server);
        match self.phase {
            Phase::New { suspend: true } => {
                node.suspend(now);
                self.phase = Phase::Suspending;
            }
            // The node was suspended while the sockets were bound, so they are closed again.
            Phase::Suspending | Phase::Suspended => self.phase = Phase::Suspending,
            _ => self.phase = Phase::Bound,
        }
    }

    /// The driver could not bind the sockets. The first time this closes the node; later the core is suspended, and
    /// binding is tried again.
    pub(crate) fn not_bound(&mut self, now: Instant, node: &mut Node, error: &Error) {
        match self.phase {
            Phase::New { .. } => node.close(now),
            // The sockets are not wanted any more.
            Phase::Suspending | Phase::Suspended => return,
            _ if node.closed() => return,
            _ => {
                node.suspend(now);
                self.phase = Phase::Seeking;
            }
        }
        self.failure = Some(error.clone());
    }

    /// The driver has closed the sockets of a suspended node.
    pub(crate) fn unbound(&mut self) {
        match self.phase {
            Phase::Suspending => self.phase = Phase::Suspended,
            Phase::Restarting => self.phase = Phase::Resuming,
            _ => {}
        }
    }

    /// Suspends the node; before the first bind, as soon as the sockets are bound.
    pub(crate) fn suspend(&mut self, now: Instant, node: &mut Node) {
        match self.phase {
            _ if node.closed() => {}
            Phase::New { .. } => self.phase = Phase::New { suspend: true },
            Phase::Suspending | Phase::Suspended => {}
            _ => {
                node.suspend(now);
                self.phase = Phase::Suspending;
                self.failure = None;
            }
        }
    }

    pub(crate) fn resume(&mut self, now: Instant, node: &mut Node) {
        self.phase = match self.phase {
            Phase::New { .. } => return self.phase = Phase::New { suspend: false },
            Phase::Suspending if !node.closed() => Phase::Restarting,
            Phase::Suspended | Phase::Seeking if !node.closed() => Phase::Resuming,
            _ => return,
        };
        node.resume(now);
        self.retry = Retry::default();
        self.failure = None;
    }

    /// The network is another one: the driver looks at its sockets, or for new ones, at once.
    pub(crate) fn network_changed(&mut self) {
        self.look = true;
        self.retry = Retry::default();
    }

    /// The driver is gone. If the node was not closed before, that is why it has no sockets.
    pub(crate) fn end(&mut self, node: &Node) {
        self.phase = Phase::Ended { first_bind_failed: self.first_failure().is_some() };
        if !node.closed() && self.failure.is_none() {
            let gone = io::Error::other("the node's driver was dropped, or it panicked");
            self.failure = Some(gone.into());
        }
    }

    /// Whether the driver is gone, so that nothing moves any more.
    pub(crate) const fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    pub(crate) fn is_seeking(&self) -> bool {
        self.phase == Phase::Seeking
    }

    /// Whether the node is to be suspended after the first bind.
    pub(crate) fn will_suspend(&self) -> bool {
        self.phase == Phase::New { suspend: true }
    }

    const fn was_bound(&self) -> bool {
        !matches!(self.phase, Phase::New { .. } | Phase::Ended { first_bind_failed: true })
    }

    /// Why the node has no sockets.
    pub(crate) const fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Why the node never had sockets, which is why it is closed.
    pub(crate) fn first_failure(&self) -> Option<&Error> {
        self.failure.as_ref().filter(|_| !self.was_bound())
    }

    /// The result of a wait for `goal`, if it is over.
    pub(crate) fn reached(&self, goal: Goal, node: &Node) -> Option<Result<(), Error>> {
        let failed = |failure: Option<&Error>| failure.cloned().map_or(Ok(()), Err);
        match goal {
            Goal::Closed => self.ended().then_some(Ok(())),
            Goal::Listening | Goal::Bootstrapped if node.closed() => {
                Some(Err(self.first_failure().cloned().unwrap_or(Error::CLOSED)))
            }
            Goal::Listening => self.was_bound().then_some(Ok(())),
            Goal::Bootstrapped => node.bootstrapped().then_some(Ok(())),
            // A closed node succeeds at both, unless it is closed because it could not be bound.
            Goal::Suspended | Goal::Resumed if node.closed() => Some(failed(self.first_failure())),
            // The waits below are over as well if the opposite was asked for since.
            Goal::Suspended => {
                let pending = matches!(self.phase, Phase::Suspending | Phase::Restarting);
                (!pending && !self.will_suspend()).then_some(Ok(()))
            }
            Goal::Resumed => match self.phase {
                Phase::Restarting | Phase::Resuming => None,
                Phase::Seeking => Some(failed(self.failure())),
                _ => Some(Ok(())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::Config;

    const NOW: Instant = Instant::ZERO;
    const AT: [SocketAddrV4; 2] = [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9); 2];

    /// A node that was never bound.
    fn new() -> (Life, Node) {
        (Life::new(), Node::seeded(Config::default(), [1; 32], NOW).unwrap())
    }

    /// What the driver has to do while it has no sockets.
    fn duty(life: &mut Life, node: &Node) -> Duty {
        life.duty(NOW, node, false)
    }

    fn refusal() -> Error {
        Error::from(io::Error::from(io::ErrorKind::AddrInUse))
    }

    #[test]
    fn from_the_first_bind_to_the_end() {
        let (mut life, mut node) = new();
        assert_eq!(duty(&mut life, &node), Duty::Bind);
        assert!(life.reached(Goal::Listening, &node).is_none());
        life.bound(NOW, &mut node, AT);
        assert!(life.reached(Goal::Listening, &node).unwrap().is_ok());
        assert_eq!(life.duty(NOW, &node, true), Duty::Run { look: false });
        life.network_changed();
        let looks = [true, false].map(|look| life.duty(NOW, &node, true) == Duty::Run { look });
        assert_eq!(looks, [true; 2], "told once");

        life.suspend(NOW, &mut node);
        assert!(life.reached(Goal::Suspended, &node).is_none());
        assert_eq!(duty(&mut life, &node), Duty::Unbind);
        life.unbound();
        assert!(life.reached(Goal::Suspended, &node).unwrap().is_ok());
        assert_eq!(duty(&mut life, &node), Duty::Rest);
        life.resume(NOW, &mut node);
        assert_eq!(duty(&mut life, &node), Duty::Bind);
        assert!(life.reached(Goal::Resumed, &node).is_none());
        life.bound(NOW, &mut node, AT);
        assert!(life.reached(Goal::Resumed, &node).unwrap().is_ok());

        node.close(NOW);
        assert_eq!(duty(&mut life, &node), Duty::WindUp);
        assert!(life.reached(Goal::Closed, &node).is_none() && !life.ended());
        life.end(&node);
        assert!(life.reached(Goal::Closed, &node).unwrap().is_ok() && life.ended());
    }

    #[test]
    fn what_is_asked_for_while_the_sockets_are_bound_counts() {
        // Before the first bind.
        let (mut life, mut node) = new();
        life.suspend(NOW, &mut node);
        assert!(life.will_suspend() && !node.suspended());
        life.bound(NOW, &mut node, AT);
        assert!(node.suspended());
        assert_eq!(duty(&mut life, &node), Duty::Unbind);

        // The new sockets do for a node that was suspended and resumed meanwhile.
        life.resume(NOW, &mut node);
        assert_eq!(life.duty(NOW, &node, true), Duty::Unbind, "of before");
        life.bound(NOW, &mut node, AT);
        assert_eq!(life.duty(NOW, &node, true), Duty::Run { look: false });

        // Suspended meanwhile: they are closed again, or never were.
        life.suspend(NOW, &mut node);
        life.bound(NOW, &mut node, AT);
        assert_eq!(life.duty(NOW, &node, true), Duty::Unbind);
        life.not_bound(NOW, &mut node, &refusal());
        assert!(life.failure().is_none());
    }

    #[test]
    fn the_first_bind_that_fails_closes_the_node() {
        let (mut life, mut node) = new();
        life.not_bound(NOW, &mut node, &refusal());
        for ended in [false, true] {
            assert!(node.closed() && life.first_failure().is_some());
            for goal in [Goal::Listening, Goal::Bootstrapped, Goal::Suspended, Goal::Resumed] {
                assert!(matches!(life.reached(goal, &node), Some(Err(Error::Io(_)))), "{goal:?}");
            }
            assert_eq!(life.reached(Goal::Closed, &node).is_some(), ended);
            life.end(&node);
        }
    }

    #[test]
    fn a_later_bind_that_fails_is_tried_again() {
        let (mut life, mut node) = new();
        life.bound(NOW, &mut node, AT);
        for _ in 0..2 {
            life.retry.tried(NOW);
            life.not_bound(NOW, &mut node, &refusal());
            assert!(life.is_seeking() && node.suspended() && life.first_failure().is_none());
            assert_eq!(duty(&mut life, &node), Duty::Rest);
            assert!(matches!(life.reached(Goal::Resumed, &node), Some(Err(_))));
            let due = life.deadline().unwrap();
            assert_eq!(life.duty(due, &node, false), Duty::Bind);
        }
        life.resume(NOW, &mut node);
        assert_eq!((duty(&mut life, &node), life.deadline()), (Duty::Bind, None), "at once");
        life.not_bound(NOW, &mut node, &refusal());
        life.bound(NOW, &mut node, AT);
        assert!(life.failure().is_none() && !node.suspended());
    }
}
