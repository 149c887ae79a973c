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
    pub(super) fn ask_some(&mut self, call: Option<Call>) {
        if let Some(call) = call {
            self.ask(call);
        }
    }

    /// A request leaves, of a stranger's making perhaps, for a host that may not be there: this is counted.
    pub(super) fn knock(&mut self, purpose: Purpose, to: SocketAddrV4) {
        if self.queries.is_hearsay(purpose) {
            self.cx.knock(*to.ip());
        }
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
