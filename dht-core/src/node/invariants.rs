//! What must hold after every call, whatever was called: for tests and fuzzing only.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::net::SocketAddrV4;

use super::queries::Kind;
use super::{Node, Stage};
use crate::addr::prefix24;
use crate::api::message::RequestId;
use crate::requests::inflight::Purpose;
use crate::upkeep::schedule::{HINT_CHECKS_MAX, SWAPS_MAX};

impl Node {
    /// As [`check_invariants`](Self::check_invariants), but only what costs next to nothing: that counters
    /// close and bounds are kept. For after each of many calls.
    #[doc(hidden)]
    pub fn check_counters(&self) {
        self.inflight.check_counters();
        let (verifying, requests) =
            (self.candidates.check_invariants().len(), &self.cx.stats.requests);
        let ended = requests.responses + requests.timeouts + requests.unsent + requests.cancelled;
        assert_eq!(requests.total, requests.active + ended, "counters don't close");
        assert_eq!(self.inflight.live(), requests.active as usize + verifying);
        assert!(self.inflight.users() <= self.cx.config.max_requests);
        assert!(self.inflight.others() <= self.cx.config.max_background_requests);
        assert!(self.upkeep.hint_checks <= HINT_CHECKS_MAX && self.upkeep.swaps <= SWAPS_MAX);
        self.check_bounds();
        self.check_stage();
    }

    /// Panics if the node's state contradicts itself, exceeds a bound, or waits for what can't come.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.table.check_invariants();
        self.inflight.check_invariants();
        self.queries.check_invariants(self);
        self.cx.events.check_invariants();
        self.check_requests();
        self.check_waiting();
        self.check_reachability();
        self.check_suspects();
        self.check_late();
        self.check_stage();
    }

    /// All that an answer from `addr` may change, or silence, by name.
    #[doc(hidden)]
    #[must_use]
    pub fn taught(&self, addr: SocketAddrV4) -> [(&'static str, String); 9] {
        let node = self.table.get(addr).and_then(|slot| self.table.node(slot));
        let known = node.map(|node| (node.seen, node.silent_answers));
        let samples = (&self.nat, &self.anonymous_samples, self.looks.is_doubted());
        [
            ("table", format!("{known:?}")),
            ("vote", format!("{samples:?}")),
            ("trust", format!("{}", self.suspects(addr))),
            ("pace", format!("{:?}", self.pace)),
            ("rtt", format!("{:?}", self.rtts)),
            ("window", format!("{:?}", self.window)),
            ("health", format!("{} {}", self.answers, self.silences)),
            ("contact", format!("{:?}", self.contact)),
            ("lost", format!("{}", self.lost.contains(addr))),
        ]
    }

    /// Whether a node is named to nobody for now.
    #[doc(hidden)]
    #[must_use]
    pub fn suspects(&self, addr: SocketAddrV4) -> bool {
        self.suspects.iter().any(|suspect| suspect == addr)
    }

    fn check_suspects(&self) {
        for addr in self.table.iter().map(|(_, addr)| addr) {
            let doubted = self.table.is_doubted(addr);
            assert_eq!(
                doubted,
                self.suspects(addr),
                "{addr} is suspected, or doubted, but not both"
            );
        }
    }

    fn check_stage(&self) {
        if matches!(self.stage, Stage::Suspended | Stage::Closed) {
            assert_eq!((self.inflight.live(), self.cx.stats.queries.active), (0, 0));
            assert_eq!(self.poll_timeout(), None);
        }
        assert_eq!(self.firewalled, self.request_via() == crate::Via::Client);
        let active = self.bootstrap.is_active();
        assert!(self.stage != Stage::Running || active || self.bootstrap.is_done());
    }

    fn check_bounds(&self) {
        // Verifications take no reply's place.
        assert!(self.outbox.answers() <= self.cx.config.max_replies);
    }

    fn check_requests(&self) {
        let count = |wanted: fn(Purpose) -> bool| {
            self.inflight.iter().filter(|(_, flight)| wanted(flight.call.purpose)).count()
        };
        assert!(self.inflight.users() <= self.cx.config.max_requests);
        assert!(self.inflight.others() <= self.cx.config.max_background_requests);

        let requests = &self.cx.stats.requests;
        let ended = requests.responses + requests.timeouts + requests.unsent + requests.cancelled;
        assert_eq!(requests.total, requests.active + ended, "counters don't close");
        assert_eq!(requests.active as usize, count(|purpose| purpose != Purpose::Verify));

        let verifying = self.candidates.check_invariants();
        assert_eq!(verifying.len(), count(|purpose| purpose == Purpose::Verify));
        for (_, flight) in self.inflight.iter().filter(|(_, f)| f.call.purpose == Purpose::Verify) {
            assert!(verifying.contains(&flight.call.to) && flight.sent <= 1);
        }
        let hinted = count(|purpose| matches!(purpose, Purpose::Check { hinted: true, .. }));
        let swaps = count(|purpose| matches!(purpose, Purpose::Swap { .. }));
        assert_eq!((self.upkeep.hint_checks.into(), self.upkeep.swaps.into()), (hinted, swaps));
        assert!(hinted <= HINT_CHECKS_MAX.into() && swaps <= SWAPS_MAX.into());
    }

    /// A request is in flight, or waits in exactly one place from where it will leave.
    fn check_waiting(&self) {
        let mut waiting = BTreeMap::new();
        let verifications = self.outbox.check_invariants().map(|id| (id, false));
        for (id, parked) in self.inflight.waiting().into_iter().chain(verifications) {
            if let Some(flight) = self.inflight.get(id) {
                assert_eq!(waiting.insert(id, parked), None, "waits in two places: {id:?}");
                assert_eq!(flight.deadline, None, "would be sent twice at once");
            }
        }
        let (mut outs, mut in_lanes) = (BTreeMap::new(), BTreeMap::new());
        for (id, flight) in self.inflight.iter() {
            let prefix = prefix24(*flight.call.to.ip());
            let counts = if flight.deadline.is_some() { &mut outs } else { &mut in_lanes };
            let counted = match flight.deadline {
                Some(_) => flight.call.purpose != Purpose::Verify,
                None => waiting.get(&id) == Some(&false),
            };
            if counted {
                *counts.entry(prefix).or_insert(0) += 1;
            }
        }
        let prefix_of = |id: &RequestId| Some(prefix24(*self.inflight.get(*id)?.call.to.ip()));
        for prefix in
            waiting.iter().filter(|(_, parked)| **parked).filter_map(|(id, _)| prefix_of(id))
        {
            let freed_by = outs.contains_key(&prefix) || in_lanes.contains_key(&prefix);
            assert!(freed_by, "waits for a place that nobody holds");
        }
        let out = self.shares.check_invariants();
        assert!(out.iter().copied().eq(outs), "datagrams that are out are counted wrongly");
        self.check_bounds();
        for (id, flight) in self.inflight.iter() {
            let waits = waiting.contains_key(&id);
            assert_eq!(waits, flight.deadline.is_none(), "waits nowhere: {id:?}");
        }
    }

    fn check_late(&self) {
        let late = self.inflight.iter().map(|(_, flight)| &flight.call);
        for call in late.filter(|call| matches!(call.purpose, Purpose::Late { .. })) {
            assert!(
                !call.force && call.value.is_none() && call.session.is_none(),
                "{:?}",
                call.purpose
            );
        }
    }

    fn check_reachability(&self) {
        let view = |p: Purpose| matches!(p, Purpose::View { .. });
        let views = self.inflight.iter().filter(|(_, f)| view(f.call.purpose)).count();
        assert_eq!(usize::from(self.survey.open), views, "a survey waits for nothing");
        let probes = self.inflight.iter().any(|(_, f)| f.call.purpose == Purpose::Probe);
        assert!(self.probe.is_none() || probes, "a check waits for nothing");
        let active = self.bootstrap.is_active();
        let walks = self.queries.is_running(Kind::Bootstrap);
        assert!(!active || walks || self.probe.is_some(), "a bootstrap waits for nothing");
    }
}
