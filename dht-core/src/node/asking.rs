//! How requests begin, whoever wants them, and how the user is told that there is something to take.

use core::net::SocketAddrV4;
use core::time::Duration;

use super::Parts;
use crate::addr::learnable;
use crate::api::event::Event;
use crate::api::message::{RequestId, Via};
use crate::requests::call::{Ask, Call, Purpose};
use crate::wire::command::FIND_NODE;

impl Parts {
    /// Begins a request of any kind.
    pub(super) fn begin(&mut self, call: Call) -> Option<RequestId> {
        self.requests.begin(&mut self.cx, call)
    }

    /// Begins a request of the node's own, if there is a place for one.
    pub(super) fn ask(&mut self, ask: Ask) -> bool {
        self.cx.may_ask() && {
            let call = self.call_of(ask);
            self.begin(call).is_some()
        }
    }

    /// Asks what a part wants to ask, if anything.
    pub(super) fn ask_some(&mut self, ask: Option<Ask>) {
        if let Some(ask) = ask {
            self.ask(ask);
        }
    }

    pub(super) fn call_of(&self, ask: Ask) -> Call {
        let Ask { to, command, value, class, purpose } = ask;
        Call {
            to,
            via: if purpose == Purpose::Probe { Via::Client } else { self.reach.request_via() },
            internal: true,
            command,
            target: (command == FIND_NODE).then(|| self.members.table().ids().of(to)),
            token: None,
            value,
            ttl: None,
            retries: if purpose == Purpose::Verify { 0 } else { 3 },
            delay: Duration::ZERO,
            class,
            force: false,
            any_replier: false,
            session: None,
            purpose,
        }
    }

    /// Whether an address that `from` has named may be visited; `own` are ours.
    pub(super) fn is_visitable(
        &self,
        addr: SocketAddrV4,
        from: SocketAddrV4,
        own: &[SocketAddrV4],
    ) -> bool {
        learnable(addr, *from.ip()) && !own.contains(&addr) && self.cx.admits(addr)
    }

    /// Tells the user that there is something to take. Earlier notes of what was taken without waiting for them are let go.
    pub(super) fn note(&mut self, event: Event) {
        self.cx.emit(event);
        let (events, requests) = (&mut self.cx.events, &self.requests);
        let most = self.cx.config.max_events + 2 * requests.users();
        if events.notes() > most && events.notes() > most + 2 * self.queries.notes() {
            let queries = &mut self.queries;
            queries.count_notes();
            events.retain(|event| match event {
                Event::Response(id) => requests.has_result(*id),
                Event::Reply(id) => queries.keeps_note(*id),
                Event::Finished(id) => queries.has(*id),
                _ => true,
            });
        }
    }
}
