//! The stages of a node's life: bound, bootstrapped, asleep, suspended, closed.
//! Mirrors `_bootstrap`, `_onwakeup`, `suspend`, `resume` and `destroy` of `index.js`.

use core::net::SocketAddrV4;

use super::Node;
use crate::api::error::RequestError;
use crate::api::event::Event;
use crate::api::message::Outcome;
use crate::reach::Binding;
use crate::requests::call::Purpose;
use crate::table::K;
use crate::time::Instant;
use crate::upkeep::Stage;
use crate::upkeep::bootstrap::Next;

impl Node {
    /// The sockets are bound, to these local addresses. The first time, the node begins to
    /// bootstrap; after [`resume`](Self::resume), it is back, and at another port its id is no more what it
    /// was. Requests that were held can leave.
    pub fn handle_bound(&mut self, now: Instant, client: SocketAddrV4, server: SocketAddrV4) {
        let now = self.enter(now);
        let resumed = self.upkeep.stage == Stage::Resuming;
        if !resumed && self.upkeep.stage != Stage::Unbound {
            return;
        }
        let first = self.reach.binding().is_none();
        self.upkeep.stage = Stage::Running;
        self.move_to(Binding { client, server });
        self.upkeep.clock.start(now);
        self.queries.start_clocks(now);
        if first {
            self.cx.emit(Event::Listening);
            let persistent = self.cx.config.ephemeral == Some(false);
            let quick = self.reach.is_firewalled() && self.cx.config.quick_firewall && !persistent;
            self.upkeep.bootstrap.ask_early(quick);
            self.begin_bootstrap();
        } else {
            self.start_refresh();
            if !self.upkeep.bootstrap.is_done() || self.upkeep.bootstrap.is_silent() {
                self.begin_bootstrap();
            }
        }
        if resumed {
            self.cx.emit(Event::Resumed);
        }
        self.pump_stalled();
    }

    /// The sockets of a running node were replaced, and the new ones are bound here: as when the system took
    /// the old ones away. What was on its way to these is lost, and asked for again in its time; the table is
    /// refreshed. On any other node it is [`handle_bound`](Self::handle_bound).
    ///
    /// At the same ports nothing else changes. At other ports, now or after a [`resume`](Self::resume), what
    /// peers said of the own address counts no more; and if it is the server socket's port, a node that is told to
    /// be reachable has another id at once, and a node that has found it out is ephemeral and firewalled until it
    /// has found it out again.
    pub fn handle_rebound(&mut self, now: Instant, client: SocketAddrV4, server: SocketAddrV4) {
        let now = self.enter(now);
        if !self.upkeep.is_running() {
            return self.handle_bound(now, client, server);
        }
        // First of all: it may change the socket that requests leave by.
        self.move_to(Binding { client, server });
        if self.upkeep.bootstrap.is_done() {
            self.start_refresh();
        }
        self.retry_silent_bootstrap();
        self.pump_stalled();
    }

    fn move_to(&mut self, binding: Binding) {
        self.reach.bind(&mut self.cx, binding);
        self.after_reach();
    }

    fn begin_bootstrap(&mut self) {
        let next = self.upkeep.bootstrap.begin();
        self.go_on(next);
    }

    /// Goes on with the bootstrap.
    pub(super) fn go_on(&mut self, next: Next) {
        match next {
            Next::Wait => {}
            Next::Walk => self.start_bootstrap_walk(),
            Next::Look { only_firewall } => self.look(only_firewall),
            Next::Over => {
                self.members.settle();
                self.upkeep.bootstrap.end(&mut self.cx);
            }
        }
    }

    /// A walk towards the own id is over.
    pub(super) fn on_bootstrap_walked(&mut self, outcome: &Outcome) {
        let unsent = self.upkeep.contact.unsent();
        let next = self.upkeep.bootstrap.walked(&mut self.cx, &self.sources, outcome, unsent);
        self.go_on(next);
    }

    /// A refresh is over.
    pub(super) fn on_refreshed(&mut self, outcome: &Outcome) {
        let alone = self.members.table().is_empty();
        self.upkeep.bootstrap.refreshed(&self.cx, &self.sources, outcome, alone);
    }

    /// The machine has slept: call it when you know; the node also notices by itself when it is
    /// entered more than 10 s after the deadline that it had asked for. However often it is called,
    /// periodic work is not put off by it.
    pub fn handle_wakeup(&mut self, now: Instant) {
        self.enter(now);
        if self.upkeep.is_running() {
            self.wake_up();
            self.pump_stalled();
        }
    }

    pub(super) fn wake_up(&mut self) {
        if self.upkeep.is_running() {
            self.upkeep.clock.put_off(self.cx.now);
        }
        self.upkeep.clock.wake_up(&mut self.cx.tick);
        self.members.wake_up();
        self.requests.forget_pace();
        self.upkeep.contact.wake_up(&mut self.cx);
        self.reach.wake_up(&mut self.cx);
        self.upkeep.contact.forget();
        self.cx.emit(Event::WakeUp);
        if self.upkeep.is_running() {
            self.retry_silent_bootstrap();
        }
    }

    /// The network interfaces have changed: what peers said of the own address may be out of date,
    /// so each is listened to anew, and the table is refreshed.
    ///
    /// It happens at most every 30 s, since peers may be able to set it off: changes that come earlier
    /// are dealt with together, when that time is over. Unless the node is running, nothing happens.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.enter(now);
        if !self.upkeep.is_running() {
            return;
        }
        self.upkeep.changed();
        self.change_on_time();
        self.pump_stalled();
    }

    /// Deals with a change of the network, unless the last one is too recent.
    pub(super) fn change_on_time(&mut self) {
        if !self.upkeep.take_change(&mut self.cx) {
            return;
        }
        self.requests.forget_pace();
        self.reach.doubt();
        self.members.forget_samples();
        if self.upkeep.bootstrap.is_done() {
            self.start_refresh();
        }
        self.retry_silent_bootstrap();
    }

    fn retry_silent_bootstrap(&mut self) {
        let next = self.upkeep.bootstrap.retry_if_silent();
        self.go_on(next);
    }

    /// A name has brought new addresses. Walks that were under way have them; where there
    /// was none any more, and few nodes are known, it is worth another.
    pub(super) fn use_late_addresses(&mut self) {
        let busy = self.upkeep.bootstrap.is_active() || self.queries.background().next().is_some();
        if !self.upkeep.is_running() || busy || self.members.table().len() >= K {
            return;
        }
        match self.upkeep.bootstrap.is_silent() {
            true => self.begin_bootstrap(),
            false => self.start_search(self.members.table().own()),
        }
    }

    /// Suspends the node: its requests fail with [`RequestError::Suspended`], its queries end with
    /// what they have, and nothing is sent or taken until it is resumed. A bootstrap that was
    /// under way begins anew then, and [`Event::Ready`] comes after it. Close the sockets then.
    /// Does nothing unless the node is running, or not bound yet.
    pub fn suspend(&mut self, now: Instant) {
        self.enter(now);
        if matches!(self.upkeep.stage, Stage::Suspended | Stage::Closed) {
            return;
        }
        self.count_interrupted_checks();
        self.upkeep.stage = Stage::Suspended;
        self.end_everything(RequestError::Suspended);
        self.cx.emit(Event::Suspended);
    }

    /// Resumes a suspended node, as after a sleep. Bind the sockets, to the same ports if
    /// possible, and tell by [`handle_bound`](Self::handle_bound).
    pub fn resume(&mut self, now: Instant) {
        self.enter(now);
        if self.upkeep.stage != Stage::Suspended {
            return;
        }
        self.wake_up();
        self.upkeep.stage = Stage::Resuming;
    }

    /// Closes the node for good: its requests fail with [`RequestError::Destroyed`], its queries
    /// end. Answers that were given before can still be polled and sent.
    pub fn close(&mut self, now: Instant) {
        self.enter(now);
        if self.upkeep.stage == Stage::Closed {
            return;
        }
        self.upkeep.stage = Stage::Closed;
        self.end_everything(RequestError::Destroyed);
        self.cx.emit(Event::Closed);
    }

    fn end_everything(&mut self, error: RequestError) {
        self.reach.stop();
        self.upkeep.stop();
        self.end_all_queries(error);
        self.requests.forget_all(&mut self.cx, |purpose| purpose != Purpose::User);
        self.fail_all(|_| true, error);
        self.queries.forget_stalled();
        self.members.stop();
        self.replies.clear(self.upkeep.stage == Stage::Suspended);
        self.requests.clear();
    }
}
