//! What must hold after every call, whatever was called: for tests and fuzzing only.

use alloc::string::String;
use core::net::SocketAddrV4;

use super::Node;
use crate::queries::Kind;
use crate::requests::call::Purpose;
use crate::upkeep::Stage;

impl Node {
    /// As [`check_invariants`](Self::check_invariants), but only what costs next to nothing: that counters
    /// close and bounds are kept. For after each of many calls.
    #[doc(hidden)]
    pub fn check_counters(&self) {
        self.requests.check_counters(&self.cx, self.members.verifying().len());
        self.check_stage();
    }

    /// Panics if the node's state contradicts itself, exceeds a bound, or waits for what can't come.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.requests.check_invariants(&self.cx, self.members.verifying());
        self.replies.check_invariants(&self.cx.config);
        let calls: alloc::vec::Vec<_> = self.requests.calls().map(|call| call.purpose).collect();
        self.queries.check_invariants(&self.cx, &calls, self.sources.names.pending());
        self.cx.events.check_invariants();
        self.check_requests();
        self.check_reachability();
        self.check_stage();
    }

    /// All that an answer from `addr` may change, or silence, by name.
    #[doc(hidden)]
    #[must_use]
    pub fn taught(&self, addr: SocketAddrV4) -> [(&'static str, String); 9] {
        let [table, trust, lost] = self.members.taught(addr);
        let [pace, rtt, window] = self.requests.taught();
        let [health, contact] = self.upkeep.contact.taught();
        [
            ("table", table),
            ("vote", self.reach.taught()),
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
        self.members.suspects(addr)
    }

    fn check_stage(&self) {
        if matches!(self.upkeep.stage, Stage::Suspended | Stage::Closed) {
            assert_eq!((self.requests.live(), self.cx.stats.queries.active), (0, 0));
            assert_eq!(self.poll_timeout(), None);
        }
        let active = self.upkeep.bootstrap.is_active();
        assert!(!self.upkeep.is_running() || active || self.upkeep.bootstrap.is_done());
    }

    fn check_requests(&self) {
        let count = |wanted: fn(Purpose) -> bool| {
            self.requests.calls().filter(|call| wanted(call.purpose)).count()
        };
        let hinted = count(|purpose| matches!(purpose, Purpose::Check { hinted: true, .. }));
        let swaps = count(|purpose| matches!(purpose, Purpose::Swap { .. }));
        self.members.check_invariants(hinted, swaps);
    }

    fn check_reachability(&self) {
        let count = |wanted: fn(Purpose) -> bool| {
            self.requests.calls().filter(|call| wanted(call.purpose)).count()
        };
        let views = count(|purpose| matches!(purpose, Purpose::View { .. }));
        self.reach.check_invariants(count(|purpose| purpose == Purpose::Probe), views);
        let active = self.upkeep.bootstrap.is_active();
        let walks = self.queries.is_running(Kind::Bootstrap);
        assert!(!active || walks || self.reach.is_checking(), "a bootstrap waits for nothing");
    }
}
