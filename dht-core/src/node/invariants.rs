//! What must hold after every call, whatever was called: for tests and fuzzing only.

use alloc::string::String;
use core::net::SocketAddrV4;

use super::{Node, Parts};
use crate::queries::Kind;
use crate::requests::call::Purpose;
use crate::upkeep::Stage;

impl Node {
    /// As [`check_invariants`](Self::check_invariants), but only what costs next to nothing: that counters
    /// close and bounds are kept. For after each of many calls.
    #[doc(hidden)]
    pub fn check_counters(&self) {
        let node = &self.parts;
        node.requests
            .check_counters(&node.cx, node.members.verifying(&node.cx.config.exempt).len());
        node.check_stage();
    }

    /// Panics if the node's state contradicts itself, exceeds a bound, or waits for what can't come.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        let node = &self.parts;
        node.requests.check_invariants(&node.cx, node.members.verifying(&node.cx.config.exempt));
        node.replies.check_invariants(&node.cx.config);
        let calls: alloc::vec::Vec<_> =
            node.requests.flights().calls().map(|call| call.purpose).collect();
        node.queries.check_invariants(&node.cx, &calls, node.sources.names.pending());
        node.cx.events.check_invariants();
        node.cx.knocks.check_invariants(node.cx.config.marks());
        node.check_requests();
        node.check_reachability();
        node.check_stage();
    }

    /// All that an answer from `addr` may change, or silence, by name.
    #[doc(hidden)]
    #[must_use]
    pub fn taught(&self, addr: SocketAddrV4) -> [(&'static str, String); 9] {
        let [table, trust, lost] = self.parts.members.taught(addr);
        let [pace, rtt, window] = self.parts.requests.taught();
        let [health, contact] = self.parts.upkeep.contact.taught();
        [
            ("table", table),
            ("vote", self.parts.reach.taught()),
            ("trust", trust),
            ("pace", pace),
            ("rtt", rtt),
            ("window", window),
            ("health", health),
            ("contact", contact),
            ("lost", lost),
        ]
    }

    /// Whether a node is left out of answers for now.
    #[doc(hidden)]
    #[must_use]
    pub fn suspects(&self, addr: SocketAddrV4) -> bool {
        self.parts.members.suspects(addr)
    }
}

impl Parts {
    fn check_stage(&self) {
        if matches!(self.upkeep.stage, Stage::Suspended | Stage::Closed) {
            assert_eq!((self.requests.flights().live(), self.cx.stats.queries.active), (0, 0));
            assert_eq!(self.next_deadline(), None);
        }
        let active = self.upkeep.bootstrap.is_active();
        assert!(!self.upkeep.is_running() || active || self.upkeep.bootstrap.is_done());
    }

    fn check_requests(&self) {
        let count = |wanted: fn(Purpose) -> bool| {
            self.requests.flights().calls().filter(|call| wanted(call.purpose)).count()
        };
        let hinted = count(|purpose| matches!(purpose, Purpose::Check { hinted: true, .. }));
        let swaps = count(|purpose| matches!(purpose, Purpose::Swap { .. }));
        self.members.check_invariants(hinted, swaps);
    }

    fn check_reachability(&self) {
        let count = |wanted: fn(Purpose) -> bool| {
            self.requests.flights().calls().filter(|call| wanted(call.purpose)).count()
        };
        let views = count(|purpose| matches!(purpose, Purpose::View { .. }));
        self.reach.check_invariants(count(|purpose| purpose == Purpose::Probe), views);
        let active = self.upkeep.bootstrap.is_active();
        let walks = self.queries.is_running(Kind::Bootstrap);
        assert!(!active || walks || self.reach.is_checking(), "a bootstrap waits for nothing");
    }
}
