//! A second opinion on a result that is too thin, or of too few hosts. Who names his own nodes only leads a walk to where
//! there is nobody else: all twenty are his then, and they are much farther from the target than twenty of a network this
//! large should be. Nodes from all over the routing table, wherever they are, know others.

use core::net::SocketAddrV4;

use super::Walk;
use super::seen::State;
use crate::addr::prefix24;
use crate::api::id_cache::Ids;
use crate::api::stats::QueryStats;

/// How many are asked at once, and how often, if the result stays thin.
const WITNESSES: usize = 8;
const ROUNDS: u8 = 3;
/// This many times as far from the target as expected, the farthest of the closest is too far. By chance one result in 70
/// is twice as far, one in 2,000 three times.
const THIN: u64 = 2;
const STILL_THIN: u64 = 3;

/// Nodes of the routing table that are asked wherever they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Witnesses {
    waiting: heapless::Vec<u16, WITNESSES, u8>,
    rounds: u8,
}

impl Witnesses {
    pub(super) fn next(&mut self) -> Option<u16> {
        self.waiting.pop()
    }

    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Walk {
    /// Whether the result is so thin, or of so few hosts, that witnesses should be asked. They are to be
    /// [offered](Self::offer_witness) then.
    pub(crate) fn wants_witnesses(&mut self) -> bool {
        let thin = if self.witnesses.rounds == 0 { THIN } else { STILL_THIN };
        let crowd = self.witnesses.rounds == 0 && self.closest.has_crowd();
        let wants = (self.is_thin(thin) || crowd && self.reach().is_some())
            && self.witnesses.rounds < ROUNDS
            && !self.plan.only_given;
        self.witnesses.rounds += u8::from(wants);
        wants
    }

    /// Counts what was strange about a walk that is over.
    pub(crate) fn count_in(&self, stats: &mut QueryStats) {
        let asked = self.witnesses.rounds > 0;
        stats.asked_witnesses += u64::from(asked);
        stats.thin += u64::from(asked && self.is_thin(STILL_THIN));
        stats.crowded += u64::from(self.closest.is_wide());
    }

    /// Whether the result is this many times as far from the target as expected.
    fn is_thin(&self, times: u64) -> bool {
        self.reach().is_some_and(|last| last / times > self.plan.radius)
    }

    /// Offers a node of the routing table as a witness, of another /24 than the nodes found. Whether more are wanted.
    pub(crate) fn offer_witness(&mut self, ids: &Ids, addr: SocketAddrV4) -> bool {
        let near = |other: SocketAddrV4| prefix24(*other.ip()) == prefix24(*addr.ip());
        let is_found = !self.plan.exempt.covers(*addr.ip())
            && self.closest.nodes().any(|(_, other)| near(other));
        let node = match self.seen.get(addr) {
            _ if is_found => None,
            Some((node, _, State::Pending)) => {
                self.frontier.retain(|other| other != node);
                self.deferred.retain(|other| *other != node);
                Some(node)
            }
            Some(_) => None,
            None => {
                let distance = ids.of(addr).prefix() ^ self.plan.target.prefix();
                self.seen.insert(addr, distance, false)
            }
        };
        if let Some(node) = node {
            let _ = self.witnesses.waiting.push(node);
        }
        !self.witnesses.waiting.is_full()
    }
}
