//! Names of bootstrap nodes: which are to be looked up, and what was found.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::config::BootstrapNode;
use crate::memory::Heap;
use crate::time::Instant;

/// For how long a result is good.
const FRESH: Duration = Duration::from_secs(60);
/// For how long a failure is taken for one: less than until the bootstrap tries again.
const FAILED: Duration = Duration::from_secs(4);
/// After how long an unanswered look-up has failed.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A name to look up: [`Node::lookup_host`](crate::Node::lookup_host) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lookup(u16);

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    /// Asked for since; `told`: the embedder knows.
    Wanted {
        since: Instant,
        told: bool,
    },
    Known {
        ip: Option<Ipv4Addr>,
        at: Instant,
    },
}

/// One entry per bootstrap node.
#[derive(Clone, Debug)]
pub(crate) struct Lookups(Vec<State>);

impl Lookups {
    pub(crate) fn add_to(heap: &mut Heap, nodes: usize) {
        heap.exact::<State>(nodes);
    }

    pub(crate) fn new(nodes: &[BootstrapNode]) -> Self {
        Self(nodes.iter().map(|_| State::Idle).collect())
    }

    /// Asks for everything that is not fresh. Whether anything is awaited now.
    pub(crate) fn want(&mut self, now: Instant, nodes: &[BootstrapNode]) -> bool {
        for (state, node) in self.0.iter_mut().zip(nodes) {
            let fresh = match *state {
                State::Idle => false,
                State::Wanted { .. } => true,
                State::Known { ip: Some(_), at } => now < at + FRESH,
                State::Known { ip: None, at } => now < at + FAILED,
            };
            if node.name().is_some() && !fresh {
                *state = State::Wanted { since: now, told: false };
            }
        }
        self.pending()
    }

    /// Whether anything is awaited.
    pub(crate) fn pending(&self) -> bool {
        self.0.iter().any(|state| matches!(state, State::Wanted { .. }))
    }

    /// Whether anything is awaited for which nothing else is known: a node with a suggested
    /// address can be asked without its name.
    pub(crate) fn pending_alone(&self, nodes: &[BootstrapNode]) -> bool {
        let mut both = self.0.iter().zip(nodes);
        both.any(|(state, node)| matches!(state, State::Wanted { .. }) && node.ip.is_none())
    }

    /// What is known.
    pub(crate) fn known(&self) -> impl Iterator<Item = (usize, Ipv4Addr)> + '_ {
        self.0.iter().enumerate().filter_map(|(at, state)| match state {
            State::Known { ip: Some(ip), .. } => Some((at, *ip)),
            _ => None,
        })
    }

    /// How many were looked up in vain.
    pub(crate) fn failures(&self) -> usize {
        self.0.iter().filter(|state| matches!(state, State::Known { ip: None, .. })).count()
    }

    /// The next one that the embedder does not know of.
    pub(crate) fn poll(&mut self) -> Option<Lookup> {
        self.0.iter_mut().zip(0..).find_map(|(state, at)| match state {
            State::Wanted { told: told @ false, .. } => {
                *told = true;
                Some(Lookup(at))
            }
            _ => None,
        })
    }

    /// Takes a result. Whether it was awaited. One that comes late is still good.
    pub(crate) fn resolved(&mut self, now: Instant, lookup: Lookup, ip: Option<Ipv4Addr>) -> bool {
        match self.0.get_mut(usize::from(lookup.0)) {
            Some(state @ (State::Wanted { .. } | State::Known { ip: None, .. })) => {
                *state = State::Known { ip, at: now };
                true
            }
            _ => false,
        }
    }

    /// Gives up on what has taken too long. Whether there was any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut any = false;
        for state in &mut self.0 {
            if matches!(state, State::Wanted { since, .. } if *since + LOOKUP_TIMEOUT <= now) {
                *state = State::Known { ip: None, at: now };
                any = true;
            }
        }
        any
    }

    /// When something may be given up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let since = self.0.iter().filter_map(|state| match state {
            State::Wanted { since, .. } => Some(*since + LOOKUP_TIMEOUT),
            _ => None,
        });
        since.min()
    }

    pub(crate) fn index(lookup: Lookup) -> usize {
        usize::from(lookup.0)
    }
}
