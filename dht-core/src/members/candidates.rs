//! Candidates: nodes that claim an id and have not answered us yet. Each gets one datagram to answer. The number of
//! verifications at once is bounded, in all and per /24, since the request that makes its sender a candidate may be forged.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::addr::prefix24;
use crate::api::config::Config;
use crate::api::exempt::Exempt;
use crate::bounded::memory::{Capped, Heap};
use crate::secret::rng::Rng;

/// Candidates that wait for their verification; a random one gives way to the next.
const CANDIDATES_MAX: usize = 64;
/// Verifications under way per /24 (no limit for local addresses).
const VERIFICATIONS_PER_PREFIX_MAX: usize = 3;

/// Candidates that wait, and candidates that are being asked.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// Verifications at once: of nodes never met, and in all.
    strangers: usize,
    max: usize,
    waiting: Vec<SocketAddrV4>,
    verifying: Vec<SocketAddrV4>,
}

impl Candidates {
    pub(super) fn new(config: &Config) -> Self {
        let (strangers, max) = (config.strangers(), config.verifications());
        Self { strangers, max, waiting: Vec::new(), verifying: Vec::new() }
    }

    pub(super) fn add_to(heap: &mut Heap, verifications: usize) {
        heap.capped::<SocketAddrV4>(CANDIDATES_MAX);
        heap.capped::<SocketAddrV4>(verifications);
    }

    pub(super) fn knows(&self, addr: SocketAddrV4) -> bool {
        self.waiting.contains(&addr) || self.verifying.contains(&addr)
    }

    /// Whether a stranger may be asked now.
    pub(super) fn has_place_for(&self, addr: SocketAddrV4, exempt: &Exempt) -> bool {
        let prefix = prefix24(*addr.ip());
        let same = self.verifying.iter().filter(|other| prefix24(*other.ip()) == prefix);
        self.verifying.len() < self.strangers
            && (exempt.covers(*addr.ip()) || same.count() < VERIFICATIONS_PER_PREFIX_MAX)
    }

    /// Takes a place for a node that was lost, if there is one; forged requests can't use up these places.
    pub(super) fn take_place_for_lost(&mut self, addr: SocketAddrV4) -> bool {
        let free = self.verifying.len() < self.max && !self.verifying.contains(&addr);
        if free {
            self.waiting.retain(|other| *other != addr);
        }
        free
    }

    /// The candidates that are being asked.
    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, exempt: &Exempt) -> &[SocketAddrV4] {
        assert!(self.waiting.len() <= CANDIDATES_MAX && self.verifying.len() <= self.max);
        for (at, addr) in self.verifying.iter().enumerate() {
            assert!(
                !self.waiting.contains(addr)
                    && self.verifying.iter().position(|a| a == addr) == Some(at)
            );
            let prefix = prefix24(*addr.ip());
            let same = self.verifying.iter().filter(|other| prefix24(*other.ip()) == prefix);
            assert!(
                exempt.covers(*addr.ip())
                    || same.count() <= VERIFICATIONS_PER_PREFIX_MAX + self.max - self.strangers
            );
        }
        &self.verifying
    }

    /// Queues a candidate, if there is room.
    pub(super) fn push(&mut self, addr: SocketAddrV4) {
        if self.waiting.len() < CANDIDATES_MAX && !self.knows(addr) {
            self.wait(addr);
        }
    }

    /// Queues a candidate, if need be in place of a random one; returns whether it displaced one.
    pub(super) fn wait_or_displace(&mut self, rng: &mut Rng, addr: SocketAddrV4) -> bool {
        let room = self.waiting.len() < CANDIDATES_MAX;
        if room {
            self.wait(addr);
        } else {
            let at = rng.below(CANDIDATES_MAX as u32) as usize;
            self.waiting.get_mut(at).into_iter().for_each(|place| *place = addr);
        }
        !room
    }

    /// Takes the next candidate that may be asked.
    pub(super) fn next(&mut self, exempt: &Exempt) -> Option<SocketAddrV4> {
        let next = self.waiting.iter().position(|addr| self.has_place_for(*addr, exempt))?;
        Some(self.waiting.remove(next))
    }

    /// The candidate is asked now.
    pub(super) fn begin(&mut self, addr: SocketAddrV4) {
        self.verifying.put(self.max, addr);
    }

    /// The candidate is no longer asked.
    pub(super) fn end(&mut self, addr: SocketAddrV4) {
        self.verifying.retain(|other| *other != addr);
    }

    pub(super) fn wait(&mut self, addr: SocketAddrV4) {
        self.waiting.put(CANDIDATES_MAX, addr);
    }

    pub(super) fn clear(&mut self) {
        (self.waiting, self.verifying) = (Vec::new(), Vec::new());
    }
}
