//! How requests begin, whoever wants them, and how the user is told that there is something to take.

use core::net::SocketAddrV4;

use super::Parts;
use crate::api::event::Event;
use crate::api::message::RequestId;
use crate::requests::call::{Call, Purpose};

impl Parts {
    /// Begins a request of any kind.
    pub(super) fn begin(&mut self, mut call: Call) -> Option<RequestId> {
        call.request.via.get_or_insert(self.reach.request_via());
        self.requests.begin(&mut self.cx, call)
    }

    /// Begins a request of the node's own, if there is a place for one.
    pub(super) fn ask(&mut self, call: Call) -> bool {
        self.cx.may_ask() && self.begin(call).is_some()
    }

    /// Asks what a part wants to ask, if anything.
    pub(super) fn ask_some(&mut self, mut call: Option<Call>) {
        while let Some(next) = call.take() {
            if next.purpose == Purpose::Verify && !self.may_knock(next.purpose, next.to(), false) {
                // The next one may be of another /24.
                call = self.members.on_verify(&mut self.cx, next.to(), false);
                let count = &mut self.cx.stats.verifications;
                (count.sent, count.failed) = (count.sent - 1, count.failed - 1);
            } else {
                self.ask(next);
            }
        }
    }

    /// Whether a try may leave now. Nodes that only peers have named, or that claim an id, may not be there, and their /24
    /// may have been silent; what leaves for them is counted. `again`: they were asked before.
    #[inline(never)]
    pub(super) fn may_knock(&mut self, purpose: Purpose, to: SocketAddrV4, again: bool) -> bool {
        let stranger = match purpose {
            Purpose::Visit { query, node, .. } => self.queries.is_hearsay(query, node),
            Purpose::Verify => !self.members.is_lost(to),
            Purpose::Late { .. } => true,
            _ => false,
        };
        let may = !stranger
            || self.members.table().get(to).is_some()
            || self.replies.may_knock(&self.cx, *to.ip(), again);
        self.cx.stats.withheld.requests += u64::from(!may);
        may
    }

    /// Tells the user that there is something to take. Earlier notes of what was taken without waiting for them are let go.
    pub(super) fn note(&mut self, event: Event) {
        self.cx.emit(event);
        let (events, requests) = (&mut self.cx.events, &self.requests);
        let most = self.cx.config.max_events + 2 * requests.flights().users();
        if events.notes() > most && events.notes() > most + 2 * self.queries.notes() {
            let queries = &mut self.queries;
            queries.count_notes();
            events.retain(|event| match event {
                Event::Response(id) => requests.flights().has_result(*id),
                Event::Reply(id) => queries.keeps_note(*id),
                Event::Finished(id) => queries.has(*id),
                _ => true,
            });
        }
    }
}
