//! Requests under way, of any kind: begun by a [`Call`], ended by an answer, by silence, or by their owner.
//!
//! This part owns all that is counted in pairs: places for requests, the window, datagrams out per /24, transaction
//! ids. It knows when each request may leave and how long its answer is waited for. It does not know what an end means:
//! each end is handed out as [`Ended`], and its [`Purpose`] tells `Node` which part is concerned. Mirrors parts of
//! `lib/io.js`.

pub(crate) mod call;
pub(crate) mod congestion;
mod elsewhere;
mod ending;
pub(crate) mod inflight;
#[cfg(any(test, feature = "_invariants"))]
mod invariants;
mod leaving;
mod lessons;
pub(crate) mod pace;
mod shares;
mod timeouts;

use alloc::boxed::Box;
use core::net::SocketAddrV4;

use crate::api::config::Config;
use crate::api::error::{RequestError, Unsent};
use crate::api::message::{QueryId, Reply, RequestId};
use crate::bounded::memory::Heap;
use crate::context::Cx;
use crate::time::Instant;
use call::{Call, Purpose, Question};
use congestion::{Class, Window};
use elsewhere::Elsewhere;
pub(crate) use ending::{Ended, Overdue, Unmatched};
use inflight::{Flight, Inflight, Urgency};
pub(crate) use leaving::Walks;
use pace::Pace;
use shares::Shares;
use timeouts::{DESTINATIONS, Rtts};

#[derive(Clone)]
pub(crate) struct Requests {
    flights: Inflight,
    window: Window,
    shares: Shares,
    /// How soon the protocol's own commands are answered.
    pace: Pace,
    /// Round trips per destination, where time-outs are adaptive. Boxed: few users want it.
    rtts: Option<Box<Rtts>>,
    elsewhere: Elsewhere,
}

/// How many requests there may be, of all kinds.
const fn places(config: &Config) -> usize {
    config.max_requests + config.max_background_requests
}

impl Requests {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            flights: Inflight::new(places(config)),
            window: Window::new(config.max_window, now),
            shares: Shares::default(),
            pace: Pace::default(),
            rtts: config.adaptive_timeout.then(|| Box::new(Rtts::new(DESTINATIONS))),
            elsewhere: Elsewhere::default(),
        }
    }

    /// What all requests take of the heap, at most, apart from values.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
        Inflight::add_to(heap, places(config));
        Shares::add_to(heap, places(config));
        if config.adaptive_timeout {
            Rtts::add_to(heap);
        }
    }

    /// What is under way, to be looked at.
    pub(crate) const fn flights(&self) -> &Inflight {
        &self.flights
    }

    /// Whether the user has as many requests as he may.
    pub(crate) fn user_is_busy(&self, config: &Config) -> bool {
        self.flights.users() >= config.max_requests
    }

    /// Places were taken, or have become free.
    fn count_places(&self, cx: &mut Cx) {
        cx.busy = self.flights.is_full() || self.free(&cx.config) == 0;
    }

    /// Places left for requests that are not the user's.
    pub(crate) fn free(&self, config: &Config) -> usize {
        config.max_background_requests.saturating_sub(self.flights.others())
    }

    /// Places that the window has for walks.
    pub(crate) fn window_for_walks(&self) -> usize {
        self.window.room_for(Class::Query) as usize
    }

    /// Begins a request and puts it into its lane; `None` if there is no place.
    pub(crate) fn begin(&mut self, cx: &mut Cx, call: Call) -> Option<RequestId> {
        let (internal, command, purpose) =
            (call.request.internal, call.request.command, call.purpose);
        let id = self.flights.begin(cx.now, call, &mut cx.rng)?;
        if purpose != Purpose::Verify {
            cx.stats.requests.active += 1;
            cx.stats.requests.total += 1;
            if let Some(count) = cx.stats.commands.of(internal, command) {
                count.tx += 1;
            }
        }
        self.enqueue(id, false);
        self.count_places(cx);
        Some(id)
    }

    /// The result of a request of the user's that has ended. Its place is free then.
    pub(crate) fn take_result(
        &mut self,
        cx: &mut Cx,
        id: RequestId,
    ) -> Option<Result<Reply, RequestError>> {
        let result = self.flights.take_result(id);
        self.count_places(cx);
        result
    }

    /// The system did not send the try that is under way. Whether there is one.
    pub(crate) fn not_sent(&mut self, id: RequestId, why: Unsent) -> bool {
        self.flights.not_sent(id, why)
    }

    /// A request goes on for another purpose, and belongs to no session any more.
    pub(crate) fn go_on(&mut self, id: RequestId, purpose: Purpose) {
        self.flights.go_on(id, purpose);
    }

    /// Who has answered lately when `asked` was asked.
    pub(crate) fn answered_instead(&self, cx: &Cx, asked: SocketAddrV4) -> Option<SocketAddrV4> {
        self.elsewhere.instead_of(cx.tick, asked)
    }

    /// How soon the protocol's own commands are answered.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// A node that was given up has answered: what was measured may be of another way than the one of now.
    pub(crate) fn gave_up_too_early(&mut self) {
        self.pace.was_wrong();
    }

    /// The network is another one: nothing is known of its pace.
    pub(crate) fn forget_pace(&mut self) {
        self.pace = Pace::default();
    }

    /// Time has passed: the next slot of the window is a deadline once something waits, so it must not lie in the past.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.window.advance(now);
    }

    /// When a try may be overdue, or what waits for the window may leave.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let slot = (self.flights.in_lanes() > 0).then(|| self.window.next_advance());
        self.flights.next_deadline().into_iter().chain(slot).min()
    }

    /// Gives memory back that a burst has left behind.
    pub(crate) fn trim(&mut self, now: Instant) {
        self.flights.trim(now);
    }

    /// Nothing is under way any more, nor was anything sent.
    pub(crate) fn clear(&mut self) {
        self.window.clear();
        self.shares.clear();
    }

    /// The class of a walk has changed: its visits that wait go to where they belong now.
    pub(crate) fn reclass(&mut self, query: QueryId, class: Class) {
        let mut slot = 0;
        while let Some(id) =
            self.flights.next_from(&mut slot, &|call| call.purpose.is_visit_of(query))
        {
            self.flights.set_class(id, class);
            if self.flights.get(id).is_some_and(|flight| flight.deadline.is_none()) {
                self.enqueue(id, false);
            }
        }
    }

    /// Puts a request into its lane, `first` or last.
    fn enqueue(&mut self, id: RequestId, first: bool) {
        let Some(flight) = self.flights.get(id) else { return };
        self.flights.enqueue(id, urgency(flight), first);
    }
}

fn urgency(flight: &Flight) -> Urgency {
    match flight.call.purpose {
        Purpose::Verify => Urgency::Verify,
        _ if flight.call.force => Urgency::Force,
        // Queries that were sent to the dead must not hold up the other ones.
        Purpose::Late { .. } => Urgency::Class(Class::Hint),
        Purpose::Visit { .. } if flight.sent > 0 => Urgency::Class(Class::Hint),
        _ => Urgency::Class(flight.call.class),
    }
}
