//! Names of bootstrap nodes: which names are to be looked up, and what was found.
//!
//! A name is one source among several: the node does not wait for it while a peer answers, all its
//! addresses are tried, and addresses found earlier stay when a resolver fails later.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use crate::addr::is_sendable;
use crate::api::config::BootstrapNode;
use crate::bounded::memory::Heap;
use crate::time::Instant;

/// How long a result is good.
const FRESH: Duration = Duration::from_secs(60);
/// How long a failure counts: less than the pause before the bootstrap tries again.
const FAILED: Duration = Duration::from_secs(4);
/// The time after which an unanswered look-up has failed.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses taken of one result, at most.
const TAKEN_MAX: usize = 8;
/// Addresses remembered of a name. A resolver may give a few of many in turn, and one wrong result
/// must not displace all addresses that worked.
const FOUND_MAX: usize = 2 * TAKEN_MAX;

/// A name to look up: [`Node::name_of`](crate::Node::name_of) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameLookup(u16);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Idle,
    /// Asked for since; `told`: the embedder knows.
    Wanted {
        since: Instant,
        told: bool,
    },
    Known {
        at: Instant,
    },
    /// Nothing was found, or nothing that can be sent to.
    Failed {
        at: Instant,
        unusable: bool,
    },
}

#[derive(Clone, Debug, Default)]
struct Name {
    state: State,
    /// The latest first.
    found: heapless::Vec<Ipv4Addr, FOUND_MAX>,
}

impl Name {
    const fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted { .. })
    }

    /// Takes addresses that can be sent to. Whether any is new.
    fn remember(&mut self, ips: impl Iterator<Item = Ipv4Addr>) -> bool {
        let before = core::mem::take(&mut self.found);
        let mut news = false;
        for ip in ips {
            news |= !before.contains(&ip);
            self.add(ip);
        }
        before.into_iter().for_each(|ip| self.add(ip));
        news
    }

    fn add(&mut self, ip: Ipv4Addr) {
        if !self.found.contains(&ip) {
            // The oldest find no place.
            let _ = self.found.push(ip);
        }
    }
}

/// Names without a usable address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// There was no answer, or none so far, or none with an address.
    pub(crate) unresolved: u16,
    /// There are only addresses that nothing can be sent to.
    pub(crate) unusable: u16,
}

/// One entry per bootstrap node.
#[derive(Clone, Debug)]
pub(crate) struct NameLookups {
    names: Vec<Name>,
    /// The name to continue with: names without an answer must not keep the rest from being asked for.
    next: u16,
}

impl NameLookups {
    pub(crate) fn add_to(heap: &mut Heap, nodes: usize) {
        heap.exact::<Name>(nodes);
    }

    pub(crate) fn new(nodes: &[BootstrapNode]) -> Self {
        Self { names: nodes.iter().map(|_| Name::default()).collect(), next: 0 }
    }

    /// Asks for every name without a fresh result. Returns whether any result is awaited now.
    pub(crate) fn want(&mut self, now: Instant, nodes: &[BootstrapNode]) -> bool {
        for (name, node) in self.names.iter_mut().zip(nodes) {
            let fresh = match name.state {
                State::Idle => false,
                State::Wanted { .. } => true,
                State::Known { at } => now < at + FRESH,
                State::Failed { at, .. } => now < at + FAILED,
            };
            if node.name().is_some() && !fresh {
                name.state = State::Wanted { since: now, told: false };
            }
        }
        self.pending()
    }

    /// The sockets are bound: only from now on does a look-up that is wanted take time. If the node was suspended, its
    /// user may have given it up, so it is asked for `anew`.
    pub(crate) fn start_clocks(&mut self, now: Instant, anew: bool) {
        for name in &mut self.names {
            if let State::Wanted { since, told } = &mut name.state {
                (*since, *told) = (now, *told && !anew);
            }
        }
    }

    /// Whether anything is awaited.
    pub(crate) fn pending(&self) -> bool {
        self.names.iter().any(Name::is_wanted)
    }

    /// Whether a result is awaited for a node without any known address: a node with a suggested
    /// address, or one found before, can be asked without its name.
    pub(crate) fn pending_alone(&self, nodes: &[BootstrapNode]) -> bool {
        let mut both = self.names.iter().zip(nodes);
        both.any(|(name, node)| {
            name.is_wanted() && name.found.is_empty() && node.addrs().next().is_none()
        })
    }

    /// What is known, of all `nodes`.
    pub(crate) fn known<'n>(
        &'n self,
        nodes: &'n [BootstrapNode],
    ) -> impl Iterator<Item = SocketAddrV4> + 'n {
        self.names
            .iter()
            .zip(nodes)
            .flat_map(|(name, node)| name.found.iter().map(|ip| SocketAddrV4::new(*ip, node.port)))
    }

    /// The number of names that were looked up in vain lately.
    pub(crate) fn failures(&self) -> Failures {
        let mut failures = Failures::default();
        for name in &self.names {
            match name.state {
                State::Failed { unusable: true, .. } => failures.unusable += 1,
                State::Failed { .. } | State::Wanted { .. } => failures.unresolved += 1,
                State::Idle | State::Known { .. } => {}
            }
        }
        failures
    }

    /// The next name that the embedder has not been told of.
    pub(crate) fn poll(&mut self) -> Option<NameLookup> {
        let (first, last) = self.names.split_at_mut_checked(self.next.into())?;
        let (first, last) = (first.iter_mut().zip(0..), last.iter_mut().zip(self.next..));
        let found = last.chain(first).find_map(|(name, at)| match &mut name.state {
            State::Wanted { told: told @ false, .. } => {
                *told = true;
                Some(NameLookup(at))
            }
            _ => None,
        })?;
        self.next = (found.0 + 1) % u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        Some(found)
    }

    /// Takes a result. `None` if it was not awaited; else whether it brings a new address. A late
    /// result is still good.
    pub(crate) fn resolved(
        &mut self,
        now: Instant,
        lookup: NameLookup,
        ips: &[Ipv4Addr],
    ) -> Option<bool> {
        let name = self.names.get_mut(usize::from(lookup.0))?;
        if !matches!(name.state, State::Wanted { .. } | State::Failed { .. }) {
            return None;
        }
        let usable = |ip: &Ipv4Addr| is_sendable(SocketAddrV4::new(*ip, 1));
        let mut usable = ips.iter().copied().filter(usable).take(TAKEN_MAX).peekable();
        name.state = match usable.peek() {
            Some(_) => State::Known { at: now },
            None => State::Failed { at: now, unusable: !ips.is_empty() },
        };
        Some(name.remember(usable))
    }

    /// Gives up look-ups that have taken too long. Returns whether there were any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut any = false;
        for name in &mut self.names {
            if matches!(name.state, State::Wanted { since, .. } if since + LOOKUP_TIMEOUT <= now) {
                name.state = State::Failed { at: now, unusable: false };
                any = true;
            }
        }
        any
    }

    /// The next moment at which a look-up may be given up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let since = self.names.iter().filter_map(|name| match name.state {
            State::Wanted { since, .. } => Some(since + LOOKUP_TIMEOUT),
            _ => None,
        });
        since.min()
    }

    pub(crate) fn index(lookup: NameLookup) -> usize {
        usize::from(lookup.0)
    }
}
