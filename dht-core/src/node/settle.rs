//! What the parts want of one another: polled after every change until they want nothing.

use core::net::SocketAddrV4;

use super::Parts;
use crate::context::Cx;
use crate::members::Members;
use crate::queries::{Sight, Step};
use crate::requests::Requests;
use crate::sources::Sources;

/// What queries are shown of the other parts.
struct View<'a> {
    cx: &'a Cx,
    members: &'a Members,
    requests: &'a Requests,
    sources: &'a Sources,
}

impl Sight for View<'_> {
    fn is_suspected(&self, addr: SocketAddrV4) -> bool {
        self.members.is_suspected(self.cx, addr)
    }

    fn is_in_crowd(&self, addr: SocketAddrV4) -> bool {
        self.members.is_in_crowd(self.cx, addr)
    }

    fn may_knock(&self, addr: SocketAddrV4, voices: &dyn Fn() -> usize) -> bool {
        self.cx.may_knock(*addr.ip(), voices, false) || self.members.table().get(addr).is_some()
    }

    fn times_seen(&self, prefix: u64, addr: SocketAddrV4) -> u8 {
        self.members.times_seen(prefix, addr)
    }

    fn free(&self) -> usize {
        self.requests.free(&self.cx.config)
    }

    fn window(&self) -> usize {
        self.requests.window_for_walks()
    }

    fn awaits_names(&self) -> bool {
        self.sources.names.pending_alone(&self.cx.config.bootstrap)
    }
}

impl Parts {
    /// Lets the parts have what they want.
    #[inline(never)]
    pub(super) fn settle(&mut self) {
        if !self.is_settled() {
            self.carry_all();
        }
    }

    /// Whether no part wants anything. So it is after most changes; to find out costs far less than to poll each part.
    fn is_settled(&self) -> bool {
        let wants =
            self.reach.wants() || self.upkeep.bootstrap.wants() || self.queries.want(self.cx.busy);
        !wants
    }

    #[inline(never)]
    fn carry_all(&mut self) {
        loop {
            if self.reach.wants() {
                self.carry_reach();
            }
            if self.carry_bootstrap() {
                continue;
            }
            let view = View {
                cx: &self.cx,
                members: &self.members,
                requests: &self.requests,
                sources: &self.sources,
            };
            let step = self.queries.poll(&self.cx, &view);
            self.cx.stats.withheld.requests += u64::from(self.queries.take_withheld());
            let Some(step) = step else { return };
            match step {
                Step::Ask(call) => {
                    self.knock(call.purpose, call.to());
                    let begun = self.begin(call);
                    debug_assert!(begun.is_some(), "there was a place");
                }
                Step::Reclass(id, class) => self.requests.reclass(id, class),
                Step::GiveUp { query, node, addr } => self.give_up(query, node, addr),
                Step::Seed(id) => self.seed(id),
                Step::Witnesses(id) => self.call_witnesses(id),
                Step::Walked(id) => self.on_walked(id),
                Step::Committed(id) => self.on_committed(id),
            }
        }
    }
}
