//! Requests under way: where they are kept, how an answer finds its request, and when
//! a try is given up. What a request is for and what follows is not decided here.
//!
//! An answer counts only if transaction id and source address are both those of a request
//! that was sent. Mirrors parts of `lib/io.js`.

mod asked;
#[cfg(any(test, feature = "_invariants"))]
mod invariants;
mod tids;
mod waiting;

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::SocketAddrV4;

use crate::api::error::{RequestError, Unsent};
use crate::api::message::{Reply, RequestId};
use crate::bounded::memory::{Capped, Heap};
pub(crate) use crate::requests::call::{Call, Purpose, Question};
use crate::requests::congestion::Class;
use crate::secret::rng::Rng;
use crate::time::Instant;
use asked::Asked;
pub(crate) use asked::MISSES_MAX;
use tids::{REST, Tids};
use waiting::{Link, Lists};
pub(crate) use waiting::{URGENCIES, Urgency};

/// A request under way.
#[derive(Clone)]
pub(crate) struct Flight {
    pub(crate) call: Call,
    pub(crate) tid: u16,
    /// An earlier transaction id that an answer may still come under.
    old_tid: Option<u16>,
    /// Tries so far. At most one more than `retries`, or [`tries_to_be_sure`](crate::requests::pace::Pace::tries_to_be_sure)
    /// for a request that judges.
    pub(crate) sent: u16,
    /// When the first try left, and the last.
    pub(crate) first_sent_at: Instant,
    pub(crate) sent_at: Instant,
    /// When that try is given up; `None` while the request waits to leave.
    pub(crate) deadline: Option<Instant>,
    /// Whether it goes with our id: decided once, so that a retry has the same bytes.
    pub(crate) with_id: Option<bool>,
    /// Why the system did not send a try, the last time that it did not.
    pub(crate) unsent: Option<Unsent>,
    /// Answers with its transaction id from elsewhere.
    wrong_sources: u8,
    /// How many answers from its address had missed when it was sent.
    missed: u16,
    /// Its place in a list of waiting requests.
    link: Option<Link>,
}

#[derive(Clone)]
enum Slot {
    Free,
    Live(u64, Flight),
    Ended(u64, Result<Reply, RequestError>),
}

/// After this many answers from elsewhere a retry draws a new transaction id.
const WRONG_SOURCES_MAX: u8 = 8;
/// Slots are numbered by 16 bits of a request's id.
const SLOTS_MAX: usize = 65_000;

/// With no more places than these there is memory for all from the first on.
const AT_ONCE_MAX: usize = 32;
/// Deadlines of ended requests are removed when there are more of them than this and than
/// deadlines of live requests.
const STALE_MIN: usize = 64;

/// All requests under way.
#[derive(Clone, Default)]
pub(crate) struct Inflight {
    /// How many there may be.
    max: usize,
    slots: Vec<Slot>,
    free: Vec<u16>,
    serial: u64,
    live: usize,
    /// The user's requests, including ended ones that wait to be taken.
    users: usize,
    lists: Lists,
    asked: Asked,
    tids: Tids,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
}

/// What an answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// This request, as it takes answers: from the address that was asked, or from anywhere.
    Fits(RequestId),
    /// Someone that was not asked answers under a live transaction id: of this request, if it was sent yet.
    WrongSource(Option<RequestId>),
    /// Nothing that is in flight.
    Unknown,
}

impl Inflight {
    /// With `max` places, of at most 65,000.
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.min(SLOTS_MAX), ..Self::default() }
    }

    /// What all that takes of the heap, at most, apart from values.
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        match max {
            0..=AT_ONCE_MAX => heap.exact::<Slot>(max.max(4)),
            _ => heap.capped::<Slot>(max),
        }
        heap.capped::<u16>(max);
        Tids::add_to(heap, max);
        Asked::add_to(heap, max);
        heap.capped::<Reverse<(Instant, u64)>>(deadlines_max(max, max) + 1);
    }

    /// How many there may be.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Requests that wait or are in flight.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// The user's requests, including ended ones whose result is not taken yet.
    pub(crate) fn users(&self) -> usize {
        self.users
    }

    /// Requests that are not the user's.
    pub(crate) fn others(&self) -> usize {
        self.slots.len() - self.free.len() - self.users
    }

    /// Whether the result of a request waits to be taken.
    pub(crate) fn has_result(&self, id: RequestId) -> bool {
        let slot = self.slots.get(slot_of(id) as usize);
        matches!(slot, Some(Slot::Ended(ended, _)) if *ended == id.0)
    }

    /// Whether no request can begin, of whatever purpose.
    pub(crate) fn is_full(&self) -> bool {
        self.tids.is_full() || (self.free.is_empty() && self.slots.len() >= self.max)
    }

    /// Begins a request; `None` if all slots or transaction ids are taken.
    pub(crate) fn begin(&mut self, now: Instant, call: Call, rng: &mut Rng) -> Option<RequestId> {
        if self.is_full() {
            return None;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let len = self.slots.len();
                if self.max <= AT_ONCE_MAX {
                    self.slots.reserve_exact(self.max - len);
                }
                self.slots.put(self.max, Slot::Free);
                u16::try_from(len).ok()?
            }
        };
        let tid = self.tids.draw(now, slot, call.to(), rng);
        self.asked.begin(self.max, call.to());
        self.serial += 1;
        let id = self.serial << 16 | u64::from(slot);
        self.users += usize::from(call.purpose == Purpose::User);
        self.live += 1;
        let flight = Flight {
            call,
            tid,
            old_tid: None,
            sent: 0,
            first_sent_at: now,
            sent_at: now,
            deadline: None,
            with_id: None,
            unsent: None,
            wrong_sources: 0,
            missed: 0,
            link: None,
        };
        self.set(slot, Slot::Live(id, flight));
        Some(RequestId(id))
    }

    /// A request that waits or is in flight.
    pub(crate) fn get(&self, id: RequestId) -> Option<&Flight> {
        match self.slots.get(slot_of(id) as usize)? {
            Slot::Live(live, flight) if *live == id.0 => Some(flight),
            _ => None,
        }
    }

    fn get_mut(&mut self, id: RequestId) -> Option<&mut Flight> {
        match self.slots.get_mut(slot_of(id) as usize)? {
            Slot::Live(live, flight) if *live == id.0 => Some(flight),
            _ => None,
        }
    }

    /// All that wait or are in flight, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RequestId, &Flight)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Live(id, flight) => Some((RequestId(*id), flight)),
            _ => None,
        })
    }

    /// What is asked by them.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.iter().map(|(_, flight)| &flight.call)
    }

    /// What is asked by a request, as long as it is under way.
    pub(crate) fn call(&self, id: RequestId) -> Option<&Call> {
        self.get(id).map(|flight| &flight.call)
    }

    /// The first live request in a slot from `slot` on that is wanted; `slot` becomes the one after it. So all of them
    /// can be gone through while some end.
    pub(crate) fn next_from(
        &self,
        slot: &mut usize,
        wanted: &dyn Fn(&Call) -> bool,
    ) -> Option<RequestId> {
        let mut live = self.slots.iter().zip(0..).skip(*slot).filter_map(|(slot, at)| match slot {
            Slot::Live(id, flight) if wanted(&flight.call) => Some((at, *id)),
            _ => None,
        });
        let (at, id) = live.next()?;
        *slot = at + 1;
        Some(RequestId(id))
    }

    /// Which request an answer under `tid` from `from` is to.
    pub(crate) fn find(&mut self, tid: u16, from: SocketAddrV4) -> Match {
        let Some(slot) = self.tids.slot(tid) else { return Match::Unknown };
        let Some(Slot::Live(id, flight)) = self.slots.get_mut(usize::from(slot)) else {
            return Match::Unknown;
        };
        let id = RequestId(*id);
        if flight.sent == 0 {
            // Not even sent yet: the answer is a guess.
            return Match::WrongSource(None);
        }
        if flight.call.to() == from {
            return Match::Fits(id);
        }
        flight.wrong_sources = flight.wrong_sources.saturating_add(1);
        match flight.call.request.any_replier {
            true => Match::Fits(id),
            false => Match::WrongSource(Some(id)),
        }
    }

    /// Whether anything is being asked there.
    pub(crate) fn asks(&self, addr: SocketAddrV4) -> bool {
        self.asked.misses(addr).is_some()
    }

    /// An answer from there belongs to nothing: it counts against all that is asked there.
    pub(crate) fn missed(&mut self, from: SocketAddrV4) {
        self.asked.missed(from);
    }

    /// Whether an attacker may be guessing the answer to this request.
    pub(crate) fn is_guessed_at(&self, flight: &Flight) -> bool {
        let misses = self.asked.misses(flight.call.to()).unwrap_or_default();
        misses.wrapping_sub(flight.missed) >= MISSES_MAX.into()
    }

    /// What an answer under `tid` from `from` is to, if that was given up, or was answered already: sent
    /// several times, or while more was asked there.
    pub(crate) fn rests(&self, now: Instant, tid: u16, from: SocketAddrV4) -> Option<Question> {
        self.tids.rests(now, tid, from)
    }

    /// A try leaves now and is given up at `deadline`.
    pub(crate) fn sent(&mut self, now: Instant, id: RequestId, deadline: Instant) {
        let first = self.get(id).filter(|flight| flight.sent == 0);
        let missed = first.map(|flight| self.asked.misses(flight.call.to()).unwrap_or_default());
        let Some(flight) = self.get_mut(id) else { return };
        if let Some(missed) = missed {
            (flight.first_sent_at, flight.missed) = (now, missed);
        }
        flight.sent = flight.sent.saturating_add(1);
        flight.sent_at = now;
        flight.deadline = Some(deadline);
        self.deadlines.put(deadlines_max(self.max, self.max) + 1, Reverse((deadline, id.0)));
        if self.deadlines.len() > deadlines_max(self.max, self.live) {
            self.drop_stale_deadlines();
        }
    }

    /// The system did not send the try that is under way. Whether there is one.
    pub(crate) fn not_sent(&mut self, id: RequestId, why: Unsent) -> bool {
        let flight = self.get_mut(id).filter(|flight| flight.deadline.is_some());
        flight.map(|flight| flight.unsent = Some(why)).is_some()
    }

    /// Ended requests leave their deadlines behind; these must not pile up.
    fn drop_stale_deadlines(&mut self) {
        let deadlines = core::mem::take(&mut self.deadlines).into_vec();
        self.deadlines = deadlines.into_iter().filter(|entry| self.is_due(entry)).collect();
    }

    /// Whether the request goes with our id, as decided at its first transmission.
    pub(crate) fn with_id(&mut self, id: RequestId, now_would: bool) -> bool {
        self.get_mut(id).is_some_and(|flight| *flight.with_id.get_or_insert(now_would))
    }

    /// The next request whose try is overdue at `now`. It counts as waiting then.
    pub(crate) fn pop_overdue(&mut self, now: Instant) -> Option<RequestId> {
        while let Some(&entry) = self.deadlines.peek() {
            let Reverse((deadline, id)) = entry;
            if deadline > now {
                break;
            }
            self.deadlines.pop();
            if self.is_due(&entry) {
                if let Some(flight) = self.get_mut(RequestId(id)) {
                    flight.deadline = None;
                }
                return Some(RequestId(id));
            }
        }
        None
    }

    /// When the next try may be overdue. Early, if that request has ended meanwhile.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Draws a new transaction id if too many strangers know the old one.
    pub(crate) fn renew_tid(&mut self, now: Instant, id: RequestId, rng: &mut Rng) {
        let Some(flight) = self.get(id) else { return };
        // Two ids for one request only while ids are not scarce: drawing one must end.
        if flight.wrong_sources < WRONG_SOURCES_MAX
            || flight.old_tid.is_some()
            || self.live > SLOTS_MAX / 4
        {
            return;
        }
        let tid = self.tids.draw(now, slot_of(id), flight.call.to(), rng);
        if let Some(flight) = self.get_mut(id) {
            flight.old_tid = Some(core::mem::replace(&mut flight.tid, tid));
        }
    }

    /// A request goes on for another purpose, and belongs to no session any more.
    pub(crate) fn go_on(&mut self, id: RequestId, purpose: Purpose) {
        if let Some(flight) = self.get_mut(id) {
            debug_assert!(flight.call.purpose != Purpose::User && purpose != Purpose::User);
            (flight.call.purpose, flight.call.request.session) = (purpose, None);
        }
    }

    /// How urgent a request is from now on.
    pub(crate) fn set_class(&mut self, id: RequestId, class: Class) {
        if let Some(flight) = self.get_mut(id) {
            flight.call.class = class;
        }
    }

    /// Ends a request and frees its slot. If an answer may still come, its transaction id rests.
    pub(crate) fn end(&mut self, now: Instant, id: RequestId, answered: bool) -> Option<Flight> {
        let slot = slot_of(id);
        let flight = self.take(now, id, answered)?;
        self.users -= usize::from(flight.call.purpose == Purpose::User);
        self.release(slot);
        Some(flight)
    }

    /// Ends a request of the user's; its result waits in the slot.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<Reply, RequestError>,
    ) -> Option<Flight> {
        let flight = self.take(now, id, result.is_ok())?;
        self.set(slot_of(id), Slot::Ended(id.0, result));
        Some(flight)
    }

    /// The result of a request of the user's that has ended.
    pub(crate) fn take_result(&mut self, id: RequestId) -> Option<Result<Reply, RequestError>> {
        if !self.has_result(id) {
            return None;
        }
        let slot = self.slots.get_mut(slot_of(id) as usize)?;
        let Slot::Ended(_, result) = core::mem::replace(slot, Slot::Free) else {
            return None;
        };
        self.users -= 1;
        self.release(slot_of(id));
        Some(result)
    }

    /// Gives memory back that a burst has left behind.
    pub(crate) fn trim(&mut self, now: Instant) {
        let last = self.slots.iter().rposition(|slot| !matches!(slot, Slot::Free));
        self.slots.truncate(last.map_or(0, |last| last + 1));
        if self.max > AT_ONCE_MAX {
            self.slots.shrink_to_fit();
        }
        let len = self.slots.len();
        self.free.retain(|slot| usize::from(*slot) < len);
        self.free.shrink_to_fit();
        self.drop_stale_deadlines();
        self.deadlines.shrink_to_fit();
        self.asked.trim();
        self.tids.trim(now);
    }

    fn take(&mut self, now: Instant, id: RequestId, answered: bool) -> Option<Flight> {
        self.get(id)?;
        self.unlink(slot_of(id));
        let slot = self.slots.get_mut(slot_of(id) as usize)?;
        let Slot::Live(_, flight) = core::mem::replace(slot, Slot::Free) else {
            return None;
        };
        self.live -= 1;
        self.asked.end(flight.call.to());
        // A copy of an answer counts as a miss where more is asked.
        let rests = flight.sent > u16::from(answered && !self.asks(flight.call.to()));
        for tid in [Some(flight.tid), flight.old_tid].into_iter().flatten() {
            self.tids.free(tid);
            if rests {
                let (to, question) = (flight.call.to(), flight.call.question());
                self.tids.rest(self.max, (now + REST, to, tid, question));
            }
        }
        Some(flight)
    }

    fn release(&mut self, slot: u16) {
        self.set(slot, Slot::Free);
        self.free.put(self.max, slot);
    }

    fn is_due(&self, &Reverse((deadline, id)): &Reverse<(Instant, u64)>) -> bool {
        self.get(RequestId(id)).is_some_and(|flight| flight.deadline == Some(deadline))
    }

    fn set(&mut self, slot: u16, to: Slot) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            *slot = to;
        }
    }
}

/// The number of deadlines at which deadlines of ended requests are removed.
fn deadlines_max(places: usize, live: usize) -> usize {
    STALE_MIN.min(places) + 2 * live
}

fn slot_of(id: RequestId) -> u16 {
    (id.0 & 0xffff) as u16
}
