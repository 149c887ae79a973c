//! Addresses that a walk is told of: which of them it remembers, and who has named whom.

use core::net::SocketAddrV4;

use super::seen::State;
use super::{DEFERRED_MAX, Walk};
use crate::api::id_cache::Ids;
use crate::bounded::memory::Capped;
use crate::context::knocks;

/// One node that is asked may fill this part of what is remembered, once half of it is full.
const SHARE_OF_NAMER: usize = 10;

/// What became of an address that a node has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is closer than the closest known so far; it is visited if it was not yet.
    Closer,
    /// It is known to be down.
    Down,
    /// It would not be among the closest.
    Farther,
    /// Enough nodes of its host, or of its /24, are nearer.
    Crowded,
}

impl Walk {
    /// Offers an address of the user's, of the table or of a bootstrap node.
    pub(crate) fn offer(&mut self, ids: &Ids, addr: SocketAddrV4) -> Offer {
        self.offer_named(ids, addr, None)
    }

    /// Offers an address that the node of a visit has named. After the first that is
    /// [`Offer::Farther`] the rest of its reply is not worth reading.
    pub(crate) fn offer_from(&mut self, ids: &Ids, addr: SocketAddrV4, by: u16) -> Offer {
        if self.plan.only_given { Offer::Farther } else { self.offer_named(ids, addr, Some(by)) }
    }

    fn offer_named(&mut self, ids: &Ids, addr: SocketAddrV4, by: Option<u16>) -> Offer {
        if let Some((node, distance, state)) = self.seen.get(addr) {
            match state {
                State::Down if by.is_some() => return Offer::Down,
                State::Pending | State::Asked => self.mention(node, by),
                State::Withheld => {
                    self.mention(node, by);
                    // Others may be believed who were not.
                    self.seen.set(node, State::Pending);
                    self.wait(node, distance, addr);
                }
                State::Done | State::Down => {}
            }
            return self.unwanted(distance, addr).unwrap_or(Offer::Closer);
        }
        let distance = ids.of(addr).prefix() ^ self.plan.target.prefix();
        if let Some(unwanted) = self.unwanted(distance, addr) {
            return unwanted;
        }
        if by.is_some_and(|by| !self.may_tell(by)) {
            return Offer::Farther;
        }
        let hearsay = by.is_some();
        let added = self.seen.insert(addr, distance, hearsay);
        if let Some(node) = added.or_else(|| self.replace_farthest(addr, distance, hearsay)) {
            self.wait(node, distance, addr);
            self.mention(node, by);
        }
        Offer::Closer
    }

    /// A candidate waits for its visit.
    fn wait(&mut self, node: u16, distance: u64, addr: SocketAddrV4) {
        if !self.closest.is_over(distance, addr) {
            self.frontier.push(&self.seen, node, self.plan.max_query_addresses);
        } else if self.deferred.len() < DEFERRED_MAX {
            self.deferred.put(DEFERRED_MAX, node);
        }
    }

    /// Why an address is not worth a visit, if it is not.
    fn unwanted(&self, distance: u64, addr: SocketAddrV4) -> Option<Offer> {
        match () {
            () if self.closest.would_take(distance, addr) => None,
            () if self.closest.is_over(distance, addr) => Some(Offer::Crowded),
            () => Some(Offer::Farther),
        }
    }

    /// Whether one who was asked may name one more. Once memory is scarce each has a share of it, or a few
    /// liars would fill it with nodes that don't exist, and take seconds to be found out.
    fn may_tell(&mut self, by: u16) -> bool {
        let told = if self.teller.0 == by { self.teller.1 } else { 0 };
        self.teller = (by, told + 1);
        self.seen.len() < self.plan.max_query_addresses / 2
            || usize::from(told) < self.plan.max_query_addresses / SHARE_OF_NAMER
    }

    fn replace_farthest(
        &mut self,
        addr: SocketAddrV4,
        distance: u64,
        hearsay: bool,
    ) -> Option<u16> {
        let farther = self.frontier.pop_farther(&self.seen, distance);
        // Else the dead have to do: they would take all the places, were there enough of them.
        let node = farther.or_else(|| self.seen.forget_dead())?;
        self.seen.replace(node, addr, distance, hearsay);
        self.mentions.retain(|(named, _)| *named != node);
        Some(node)
    }

    fn mention(&mut self, node: u16, by: Option<u16>) {
        let Some(by) = by.filter(|_| self.mentions.len() < self.plan.max_query_addresses) else {
            return;
        };
        // All of one reply stand together, at the end.
        let mut of_reply = self.mentions.iter().rev().take_while(|(_, other)| *other == by);
        if !of_reply.any(|(named, _)| *named == node) {
            self.mentions.put(self.plan.max_query_addresses, (node, by));
        }
    }

    /// How many /24s have named a node, as far as that matters. One has, even if it is not remembered.
    pub(crate) fn voices(&self, node: u16) -> usize {
        knocks::voices(self.named_by(node)).max(1)
    }

    /// The nodes that have named a node.
    pub(crate) fn named_by(&self, node: u16) -> impl Iterator<Item = SocketAddrV4> + '_ {
        let by = self.mentions.iter().filter(move |(named, _)| *named == node);
        by.filter_map(|(_, by)| self.seen.addr(*by))
    }
}
