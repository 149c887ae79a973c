//! Which request leaves next, and its bytes: by class, within the window and the share of its destination.

use core::net::SocketAddrV4;
use core::num::NonZeroU8;
use core::time::Duration;

use super::{Call, Class, Flight, Purpose, Requests, Urgency};
use crate::addr::prefix24;
use crate::api::config::DATAGRAM_MAX;
use crate::api::message::{QueryId, RequestId, Transmit, Via};
use crate::context::Cx;
use crate::id::Id;
use crate::requests::inflight::URGENCIES;

/// The time-out of a try, unless time-outs are adaptive.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Visits of ended queries leave only while one in this many places of the window is free.
const LATE_ROOM: u32 = 4;
/// Unanswered requests to one /24 may fill one in this many places of the window.
const SHARE_OF_PREFIX: u32 = 2;

/// What this part has to know of the walks that visits belong to.
pub(crate) trait Walks {
    /// The number of a walk's requests without an answer.
    fn debt(&self, query: QueryId) -> u16;
    /// How long a walk waits for an answer before the next try, if it knows how soon answers come.
    fn patience(&self, query: QueryId, tries: u16, waited: Duration) -> Option<Duration>;
    /// The same for a single try to a node that has answered before.
    fn last_patience(&self, query: QueryId, waited: Duration) -> Option<Duration>;
}

impl Requests {
    /// The next verification to leave. It leaves before answers, so that a node is in the table soon after its request,
    /// and past the window, since verifications have a bound of their own. `own`: our id, if it is told.
    pub(crate) fn poll_verification(
        &mut self,
        cx: &mut Cx,
        only: Option<Via>,
        own: Option<&Id>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        // Mostly none waits, and this is asked before each answer.
        if !self.flights.has_verifications() {
            return None;
        }
        self.verify(cx, only, own, buf)
    }

    #[inline(never)]
    fn verify(
        &mut self,
        cx: &mut Cx,
        only: Option<Via>,
        own: Option<&Id>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        let id = self.flights.dequeue(Urgency::Verify, only, |_| Some(0))?;
        let len = self.encode(cx, id, own, buf)?;
        self.sent(cx, id, len, TIMEOUT)
    }

    /// The next request to leave that is no verification.
    pub(crate) fn poll_transmit(
        &mut self,
        cx: &mut Cx,
        only: Option<Via>,
        own: Option<&Id>,
        walks: &impl Walks,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        // Mostly nothing waits, and this is asked after each datagram.
        if self.flights.in_lanes() == 0 {
            return None;
        }
        self.transmit(cx, only, own, walks, buf)
    }

    #[inline(never)]
    fn transmit(
        &mut self,
        cx: &mut Cx,
        only: Option<Via>,
        own: Option<&Id>,
        walks: &impl Walks,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        let id = self.next(cx, only, walks)?;
        let len = self.encode(cx, id, own, buf)?;
        let timeout = self.timeout(cx, id, walks);
        let transmit = self.sent(cx, id, len, timeout)?;
        self.window.sent();
        self.shares.taken(*transmit.to.ip(), self.flights.max());
        Some(transmit)
    }

    /// The most urgent request that may leave now.
    fn next(&mut self, cx: &Cx, only: Option<Via>, walks: &impl Walks) -> Option<RequestId> {
        let share = (cx.config.max_window / SHARE_OF_PREFIX).max(1);
        let room = self.window.room_for(Class::Hint);
        let scarce = room < cx.config.max_window / LATE_ROOM;
        for urgency in URGENCIES {
            let (full, share) = match urgency {
                Urgency::Class(class) => (
                    // Requests that may not fill the reserve of queries are looked at one by one.
                    self.window.full_for(class.min(Class::KeepAlive)),
                    // A quarter of a share is kept for the user's requests.
                    if class == Class::User { share } else { share - share / 4 },
                ),
                _ => (false, u32::MAX),
            };
            if full {
                continue;
            }
            let debt = |call: &Call| match call.purpose {
                // Its query has ended and does not wait for it.
                Purpose::Late { .. } => (!scarce).then_some(u16::MAX),
                Purpose::Visit { query, .. } if urgency == Urgency::Class(Class::Hint) => {
                    let astray = call.class == Class::Hint;
                    (!astray || room > 0).then(|| walks.debt(query))
                }
                _ => Some(0),
            };
            while let Some(id) = self.flights.dequeue(urgency, only, debt) {
                let to = *self.flights.get(id)?.call.to().ip();
                if self.shares.admit(to, share, &cx.config.exempt) {
                    return Some(id);
                }
                self.flights.park(id);
            }
        }
        None
    }

    /// Writes a request, and returns its length. It fits: what does not never begins.
    fn encode(
        &mut self,
        cx: &mut Cx,
        id: RequestId,
        own: Option<&Id>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<usize> {
        let via = self.flights.get(id)?.call.via();
        let own = own.filter(|_| via == Via::Server);
        let with_id = self.flights.with_id(id, own.is_some());
        let own = own.filter(|_| with_id);
        self.flights.renew_tid(cx.now, id, &mut cx.rng);
        let Flight { call, tid, .. } = self.flights.get(id)?;
        call.request.message(*tid, own.map(Id::as_bytes)).encode(buf).ok()
    }

    /// Records that a try leaves now.
    fn sent(&mut self, cx: &Cx, id: RequestId, len: usize, timeout: Duration) -> Option<Transmit> {
        self.flights.sent(cx.now, id, cx.now + timeout);
        let call = &self.flights.get(id)?.call;
        let (via, to, ttl) = (call.via(), call.to(), call.request.ttl.map(NonZeroU8::get));
        Some(Transmit { via, to, source: None, ttl, len, request: Some(id) })
    }

    /// The time-out of the next try.
    fn timeout(&mut self, cx: &mut Cx, id: RequestId, walks: &impl Walks) -> Duration {
        let Some(flight) = self.flights.get(id) else { return TIMEOUT };
        let (call, tries) = (&flight.call, flight.sent);
        if let Some(rtts) = self.rtts.as_mut().filter(|_| call.request.delay.is_zero()) {
            return rtts.timeout(cx.now, call.to(), u32::from(tries) + 1, &mut cx.rng);
        }
        let waited = cx.now.saturating_since(flight.first_sent_at);
        let patience = match call.purpose {
            // The last try is not cut short: after it the node is given up.
            Purpose::Visit { query, .. } if tries < u16::from(call.request.retries) => {
                walks.patience(query, tries, waited)
            }
            Purpose::Gap { query, .. } => walks.last_patience(query, waited),
            _ => None,
        };
        patience.unwrap_or(call.request.delay + TIMEOUT)
    }

    /// A datagram to this address is no longer out.
    pub(super) fn release_share(&mut self, to: SocketAddrV4) {
        self.shares.freed(*to.ip());
        self.wake_parked(to);
    }

    /// Puts the next request that waits for a place in its share back into its lane. What may not fill the window comes last:
    /// it might keep the place without taking it.
    pub(super) fn wake_parked(&mut self, to: SocketAddrV4) {
        let rank = |flight: &Flight| match flight.call.purpose {
            Purpose::Late { .. } => 5,
            Purpose::Visit { .. } if flight.call.class == Class::Hint => 4,
            Purpose::Visit { .. } if flight.sent > 0 => Class::Hint as u16,
            _ => flight.call.class as u16,
        };
        if let Some(id) = self.flights.unpark(prefix24(*to.ip()), rank) {
            self.enqueue(id, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::api::ask::Request;
    use crate::api::config::Config;
    use crate::api::stats::Stats;
    use crate::context::events::Events;
    use crate::secret::rng::Rng;
    use crate::time::Instant;

    /// Walks whose debt is the number of their id.
    struct Debts;

    impl Walks for Debts {
        fn debt(&self, query: QueryId) -> u16 {
            query.0 as u16
        }

        fn patience(&self, _: QueryId, _: u16, _: Duration) -> Option<Duration> {
            None
        }

        fn last_patience(&self, _: QueryId, _: Duration) -> Option<Duration> {
            None
        }
    }

    fn with(config: Config) -> (Requests, Cx) {
        let config = Arc::new(config);
        let requests = Requests::new(&config, Instant::ZERO);
        let cx = Cx {
            knocks: crate::context::knocks::Knocks::default(),
            alarms: crate::context::alarms::Alarms::default(),
            now: Instant::ZERO,
            tick: 0,
            busy: false,
            rng: Rng::new([1; 32]),
            stats: Stats::default(),
            events: Events::new(9, 9),
            config,
        };
        (requests, cx)
    }

    /// The ports that requests leave for now.
    fn leave(requests: &mut Requests, cx: &mut Cx) -> Vec<u16> {
        let mut buf = [0; DATAGRAM_MAX];
        let next = || requests.poll_transmit(cx, None, None, &Debts, &mut buf);
        core::iter::from_fn(next).map(|sent| sent.to.port()).collect()
    }

    /// The order in which calls leave, as indices into the order in which they began.
    fn order(calls: &[(Purpose, Class)]) -> Vec<usize> {
        let (mut requests, mut cx) = with(Config::default());
        for (n, (purpose, class)) in calls.iter().enumerate() {
            let to = SocketAddrV4::new(Ipv4Addr::new(80, n as u8, 0, 1), 1 + n as u16);
            let call = Call::new(Request::ping(to), *class, *purpose);
            requests.begin(&mut cx, call).unwrap();
        }
        leave(&mut requests, &mut cx).into_iter().map(|port| usize::from(port) - 1).collect()
    }

    #[test]
    fn what_nobody_waits_for_leaves_last() {
        let visit = |debt| Purpose::Visit { query: QueryId(debt), node: 0, seen: 0 };
        let (late, check) = (Purpose::Late { seen: 0 }, Purpose::Check { seen: 0, hinted: false });
        // A late visit leaves last, whatever its class; in a lane, the walk with the least debt goes first.
        for class in [Class::User, Class::Query, Class::Hint] {
            let calls = [
                (late, class),
                (visit(9), Class::Hint),
                (visit(2), Class::Hint),
                (Purpose::Hint { seen: 0 }, Class::Hint),
                (check, Class::KeepAlive),
                (visit(0), Class::Query),
                (Purpose::User, Class::User),
            ];
            assert_eq!(order(&calls), [6, 5, 4, 3, 2, 1, 0], "{class:?}");
        }
    }

    /// What may have to wait for the window all the same is woken last, or it would keep the places in its share from the rest.
    #[test]
    fn a_place_in_a_share_goes_to_the_most_urgent_that_waits_for_it() {
        let (mut requests, mut cx) = with(Config { max_window: 16, ..Config::default() });
        let begin = |requests: &mut Requests, cx: &mut Cx, purpose, class, to| {
            let to = SocketAddrV4::new(Ipv4Addr::new(80, 0, (to / 100) as u8, 1), to);
            requests.begin(cx, Call::new(Request::ping(to), class, purpose)).unwrap()
        };
        let check = Purpose::Check { seen: 0, hinted: false };
        let out: Vec<_> =
            (1..7).map(|to| begin(&mut requests, &mut cx, check, Class::KeepAlive, to)).collect();
        assert_eq!(leave(&mut requests, &mut cx), [1, 2, 3, 4, 5, 6]);
        // These wait for a place in their share: visits that nobody waits for, and one of a walk that is led astray.
        let astray = Purpose::Visit { query: QueryId(1), node: 0, seen: 0 };
        begin(&mut requests, &mut cx, astray, Class::Hint, 10);
        for to in 11..17 {
            begin(&mut requests, &mut cx, Purpose::Late { seen: 0 }, Class::Query, to);
        }
        assert_eq!(leave(&mut requests, &mut cx), []);
        begin(&mut requests, &mut cx, check, Class::KeepAlive, 20);
        assert_eq!(leave(&mut requests, &mut cx), []);
        // The places become free; but there is a lot of other traffic.
        out.into_iter().for_each(|id| requests.forget(&mut cx, id));
        for to in 0..8 {
            begin(&mut requests, &mut cx, Purpose::User, Class::User, 1_000 + 100 * to);
        }
        assert_eq!(leave(&mut requests, &mut cx)[8..], [20, 10]);
    }
}
