//! What must hold of requests after every call: for tests and fuzzing only.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::{Purpose, Requests};
use crate::addr::prefix24;
use crate::api::message::RequestId;
use crate::context::Cx;

impl Requests {
    /// That counters add up and bounds are kept; cheap.
    pub(crate) fn check_counters(&self, cx: &Cx, verifying: usize) {
        self.flights.check_counters();
        let requests = &cx.stats.requests;
        let ended = requests.responses + requests.timeouts + requests.unsent + requests.cancelled;
        assert_eq!(requests.total, requests.active + ended, "counters don't close");
        assert_eq!(self.flights.live(), requests.active as usize + verifying);
        assert_eq!(cx.busy, self.flights.is_full() || self.free(&cx.config) == 0);
        assert!(self.flights.users() <= cx.config.max_requests);
        assert!(self.flights.others() <= cx.config.max_background_requests);
    }

    /// The invariants of all requests. `verifying`: the addresses that are being verified.
    pub(crate) fn check_invariants(&self, cx: &Cx, verifying: &[core::net::SocketAddrV4]) {
        self.flights.check_invariants();
        self.check_counters(cx, verifying.len());
        let verifies = |call: &&super::Call| call.purpose == Purpose::Verify;
        assert_eq!(verifying.len(), self.flights.calls().filter(verifies).count());
        for (_, flight) in self.flights.iter().filter(|(_, flight)| verifies(&&flight.call)) {
            assert!(verifying.contains(&flight.call.to()) && flight.sent <= 1);
        }
        for call in self.flights.calls().filter(|call| matches!(call.purpose, Purpose::Late { .. }))
        {
            let bare =
                !call.force && call.request.value.is_none() && call.request.session.is_none();
            assert!(bare, "{:?}", call.purpose);
        }
        self.check_waiting();
    }

    /// A live request is either in flight, or in exactly one list from which it will leave.
    fn check_waiting(&self) {
        let mut waiting = BTreeMap::new();
        for (id, parked) in self.flights.waiting() {
            if let Some(flight) = self.flights.get(id) {
                assert_eq!(waiting.insert(id, parked), None, "waits in two places: {id:?}");
                assert_eq!(flight.deadline, None, "would be sent twice at once");
            }
        }
        let (mut outs, mut in_lanes) = (BTreeMap::new(), BTreeMap::new());
        for (id, flight) in self.flights.iter() {
            let waits = waiting.get(&id).copied();
            assert_eq!(waits.is_some(), flight.deadline.is_none(), "waits nowhere: {id:?}");
            let prefix = prefix24(*flight.call.to().ip());
            let counts = if flight.deadline.is_some() { &mut outs } else { &mut in_lanes };
            let counted = match flight.deadline {
                Some(_) => flight.call.purpose != Purpose::Verify,
                None => waits == Some(false),
            };
            if counted {
                *counts.entry(prefix).or_insert(0) += 1;
            }
        }
        let prefix_of = |id: &RequestId| Some(prefix24(*self.flights.get(*id)?.call.to().ip()));
        let parked = waiting.iter().filter(|(_, parked)| **parked);
        for prefix in parked.filter_map(|(id, _)| prefix_of(id)) {
            let freed_by = outs.contains_key(&prefix) || in_lanes.contains_key(&prefix);
            assert!(freed_by, "waits for a place that nobody holds");
        }
        let out = self.shares.check_invariants();
        assert!(out.iter().copied().eq(outs), "datagrams that are out are counted wrongly");
    }

    /// The state that an answer may change here: pace, round trips, window.
    pub(crate) fn taught(&self) -> [String; 3] {
        [format!("{:?}", self.pace), format!("{:?}", self.rtts), format!("{:?}", self.window)]
    }
}
