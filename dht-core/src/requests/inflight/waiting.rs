//! Requests that wait to leave: in a lane for each local socket by urgency, or parked until their
//! destination's share of the window has a place.
//!
//! The lists go through the places of the requests themselves. So waiting takes no memory of its own, and
//! a request that ends leaves nothing behind.

#[cfg(any(test, feature = "_invariants"))]
use super::Purpose;
use super::{Call, Flight, Inflight, Slot, slot_of};
use crate::addr::prefix24;
use crate::api::message::{RequestId, Via};
use crate::requests::congestion::Class;

/// How urgent a request is: past the window, or by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// A verification, which has a bound of its own.
    Verify,
    Force,
    Class(Class),
}

/// From the most urgent to the least, verifications aside.
pub(crate) const URGENCIES: [Urgency; 5] = [
    Urgency::Force,
    Urgency::Class(Class::User),
    Urgency::Class(Class::Query),
    Urgency::Class(Class::KeepAlive),
    Urgency::Class(Class::Hint),
];

/// No request.
const NONE: u16 = u16::MAX;
/// For each of three sockets a lane for each urgency, that of verifications first.
const LANES: u8 = 1 + URGENCIES.len() as u8;
/// Lists: these lanes, and several for parked requests, by their /24, so that
/// thousands for one /24 don't make requests for another wait.
const PARKED: u8 = 3 * LANES;
const PARKED_LISTS: u8 = 8;
const LISTS: usize = (PARKED + PARKED_LISTS) as usize;

/// Where a request stands in a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    list: u8,
    prev: u16,
    next: u16,
}

/// The ends of all lists.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    /// The first and the last.
    ends: [[u16; 2]; LISTS],
    /// How many requests are in lanes, verifications aside.
    in_lanes: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self { ends: [[NONE; 2]; LISTS], in_lanes: 0 }
    }
}

/// The list of a lane: one for all of the embedder's own sockets.
fn list_of(via: Via, urgency: Urgency) -> u8 {
    let urgency = match urgency {
        Urgency::Verify => 0,
        Urgency::Force => 1,
        Urgency::Class(class) => 2 + class as u8,
    };
    via.lane() * LANES + urgency
}

/// Whether what is in a list waits for the window.
fn counts(list: u8) -> bool {
    list < PARKED && !list.is_multiple_of(LANES)
}

/// The list of requests parked for a /24.
fn parked_for(prefix: u32) -> u8 {
    PARKED + ((prefix ^ prefix >> 4 ^ prefix >> 12) % u32::from(PARKED_LISTS)) as u8
}

impl Inflight {
    /// Requests that wait in lanes, verifications aside.
    pub(crate) fn in_lanes(&self) -> usize {
        self.lists.in_lanes
    }

    /// Whether a verification waits in any lane.
    pub(crate) fn has_verifications(&self) -> bool {
        (0..3).any(|lane| self.lists.ends[usize::from(lane * LANES)][0] != NONE)
    }

    /// Puts a request into the lane of its socket, `first` or last.
    pub(crate) fn enqueue(&mut self, id: RequestId, urgency: Urgency, first: bool) {
        if let Some(flight) = self.get(id) {
            let list = list_of(flight.call.via(), urgency);
            self.link(slot_of(id), list, first);
        }
    }

    /// Has a request wait for a place in its share.
    pub(crate) fn park(&mut self, id: RequestId) {
        if let Some(flight) = self.get(id) {
            let list = parked_for(prefix24(*flight.call.to().ip()));
            self.link(slot_of(id), list, false);
        }
    }

    /// Takes a request out of the lanes, or out of the lanes of the socket `only`: the first with the least `debt`.
    /// Requests without a debt stay.
    pub(crate) fn dequeue(
        &mut self,
        urgency: Urgency,
        only: Option<Via>,
        debt: impl Fn(&Call) -> Option<u16>,
    ) -> Option<RequestId> {
        let lanes = match only {
            None => [Via::Client, Via::Server, Via::Extra(0)],
            Some(via) => [via; 3],
        };
        let may_leave = |flight: &Flight| only.is_none_or(|via| flight.call.via() == via);
        let debt = |flight: &Flight| debt(&flight.call).filter(|_| may_leave(flight));
        let least = |via| self.least(list_of(via, urgency), &debt);
        let (slot, id) = lanes.into_iter().find_map(least)?;
        self.unlink(slot);
        Some(id)
    }

    /// Takes the request with the least `rank` that waits for a place in the share of a /24; among equals the one that has
    /// waited longest.
    pub(crate) fn unpark(
        &mut self,
        prefix: u32,
        rank: impl Fn(&Flight) -> u16,
    ) -> Option<RequestId> {
        let to = |flight: &Flight| prefix24(*flight.call.to().ip());
        let rank = |flight: &Flight| (to(flight) == prefix).then(|| rank(flight));
        let (slot, id) = self.least(parked_for(prefix), &rank)?;
        self.unlink(slot);
        Some(id)
    }

    /// The first request of a list with the least debt, and its slot. Requests without a debt do not count.
    fn least(&self, list: u8, debt: &dyn Fn(&Flight) -> Option<u16>) -> Option<(u16, RequestId)> {
        let mut least: Option<(u16, u16, RequestId)> = None;
        for (slot, id, flight) in self.list(list) {
            let Some(debt) = debt(flight) else { continue };
            if least.is_none_or(|(least, ..)| debt < least) {
                least = Some((debt, slot, id));
            }
            if debt == 0 {
                break;
            }
        }
        least.map(|(_, slot, id)| (slot, id))
    }

    /// A list from its first request on.
    fn list(&self, list: u8) -> impl Iterator<Item = (u16, RequestId, &Flight)> {
        let mut next = self.lists.ends.get(usize::from(list)).map_or(NONE, |ends| ends[0]);
        core::iter::from_fn(move || {
            let slot = next;
            let Some(Slot::Live(id, flight)) = self.slots.get(usize::from(slot)) else {
                return None;
            };
            next = flight.link.map_or(NONE, |link| link.next);
            Some((slot, RequestId(*id), flight))
        })
    }

    fn link(&mut self, slot: u16, list: u8, first: bool) {
        self.unlink(slot);
        let Some(ends) = self.lists.ends.get_mut(usize::from(list)) else { return };
        let [front, back] = *ends;
        let (prev, next) = if first { (NONE, front) } else { (back, NONE) };
        match first {
            true => ends[0] = slot,
            false => ends[1] = slot,
        }
        if front == NONE {
            *ends = [slot; 2];
        }
        self.lists.in_lanes += usize::from(counts(list));
        if let Some(link) = self.link_of(slot) {
            *link = Some(Link { list, prev, next });
        }
        self.join(prev, slot);
        self.join(slot, next);
    }

    /// Takes a request out of the list that it is in, if any.
    pub(super) fn unlink(&mut self, slot: u16) {
        let Some(link) = self.link_of(slot).and_then(Option::take) else { return };
        if let Some(ends) = self.lists.ends.get_mut(usize::from(link.list)) {
            if link.prev == NONE {
                ends[0] = link.next;
            }
            if link.next == NONE {
                ends[1] = link.prev;
            }
        }
        self.lists.in_lanes -= usize::from(counts(link.list));
        self.join(link.prev, link.next);
    }

    /// Two requests follow one another; either may be none.
    fn join(&mut self, prev: u16, next: u16) {
        if let Some(Some(link)) = self.link_of(prev) {
            link.next = next;
        }
        if let Some(Some(link)) = self.link_of(next) {
            link.prev = prev;
        }
    }

    fn link_of(&mut self, slot: u16) -> Option<&mut Option<Link>> {
        match self.slots.get_mut(usize::from(slot))? {
            Slot::Live(_, flight) => Some(&mut flight.link),
            _ => None,
        }
    }

    /// All that wait, and whether they are parked.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn waiting(&self) -> alloc::vec::Vec<(RequestId, bool)> {
        let (mut all, mut in_lanes) = (alloc::vec::Vec::new(), 0);
        for list in 0..LISTS as u8 {
            let (mut prev, mut last) = (NONE, NONE);
            for (slot, id, flight) in self.list(list) {
                let link = flight.link.map(|link| (link.list, link.prev));
                assert_eq!(link, Some((list, prev)), "a list that is torn");
                assert!(list >= PARKED || list % LANES < 2 || !flight.call.force);
                let verifies = flight.call.purpose == Purpose::Verify;
                assert_eq!(verifies, list < PARKED && list.is_multiple_of(LANES));
                (prev, last) = (slot, slot);
                all.push((id, list >= PARKED));
                in_lanes += usize::from(counts(list));
            }
            assert_eq!(self.lists.ends[usize::from(list)][1], last);
        }

        assert_eq!(self.lists.in_lanes, in_lanes, "what waits is counted wrongly");
        all
    }
}
