//! The stages of a node's life: bound, bootstrapped, asleep, suspended, closed.
//! Mirrors `_bootstrap`, `_onwakeup`, `suspend`, `resume` and `destroy` of `index.js`.

use core::net::SocketAddrV4;

use super::{Node, Parts};
use crate::api::error::RequestError;
use crate::api::event::Event;
use crate::reach::Binding;
use crate::requests::call::Purpose;
use crate::table::K;
use crate::time::Instant;
use crate::upkeep::Stage;

/// # Stages of life
impl Node {
    /// The sockets are bound, to these local addresses. The first time, the node begins to
    /// bootstrap; after [`resume`](Self::resume), it is back, and at another port its id is no more what it
    /// was. Requests that were held can leave.
    pub fn handle_bound(&mut self, now: Instant, client: SocketAddrV4, server: SocketAddrV4) {
        self.parts.enter(now, |node| node.bound(Binding { client, server }));
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
        self.parts.enter(now, |node| node.rebound(Binding { client, server }));
    }

    /// The machine has slept: call it when you know; the node also notices by itself when it is
    /// entered more than 10 s after the deadline that it had asked for. However often it is called,
    /// periodic work is not put off by it.
    pub fn handle_wakeup(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            if node.upkeep.is_running() {
                node.wake_up();
            }
        });
    }

    /// The network interfaces have changed: what peers said of the own address may be out of date,
    /// so each is listened to anew, and the table is refreshed.
    ///
    /// It happens at most every 30 s, since peers may be able to set it off: changes that come earlier
    /// are dealt with together, when that time is over. Unless the node is running, nothing happens.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            if node.upkeep.is_running() {
                node.upkeep.changed();
                node.change_on_time();
            }
        });
    }

    /// Suspends the node: its requests fail with [`RequestError::Suspended`], its queries end with
    /// what they have, and nothing is sent or taken until it is resumed. A bootstrap that was
    /// under way begins anew then, and [`Event::Ready`] comes after it. Close the sockets then.
    /// Does nothing unless the node is running, or not bound yet.
    pub fn suspend(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            if !matches!(node.upkeep.stage, Stage::Suspended | Stage::Closed) {
                node.count_interrupted_checks();
                node.end_everything(Stage::Suspended, RequestError::Suspended);
                node.cx.emit(Event::Suspended);
            }
        });
    }

    /// Resumes a suspended node, as after a sleep. Bind the sockets, to the same ports if
    /// possible, and tell by [`handle_bound`](Self::handle_bound).
    pub fn resume(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            if node.upkeep.stage == Stage::Suspended {
                node.wake_up();
                node.upkeep.stage = Stage::Resuming;
            }
        });
    }

    /// Closes the node for good: its requests fail with [`RequestError::Destroyed`], its queries
    /// end. Answers that were given before can still be polled and sent.
    pub fn close(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            if node.upkeep.stage != Stage::Closed {
                node.end_everything(Stage::Closed, RequestError::Destroyed);
                node.cx.emit(Event::Closed);
            }
        });
    }
}

impl Parts {
    fn bound(&mut self, binding: Binding) {
        let resumed = self.upkeep.stage == Stage::Resuming;
        if !resumed && self.upkeep.stage != Stage::Unbound {
            return;
        }
        let first = self.reach.binding().is_none();
        self.upkeep.stage = Stage::Running;
        self.move_to(binding);
        self.upkeep.clock.start(self.cx.now);
        self.queries.start_clocks(self.cx.now);
        self.sources.names.start_clocks(self.cx.now, resumed);
        if first {
            self.cx.emit(Event::Listening);
            let persistent = self.cx.config.ephemeral == Some(false);
            let quick = self.reach.is_firewalled() && self.cx.config.quick_firewall && !persistent;
            self.upkeep.bootstrap.ask_early(quick);
            self.upkeep.bootstrap.begin();
        } else {
            self.start_refresh();
            if !self.upkeep.bootstrap.is_done() || self.upkeep.bootstrap.is_silent() {
                self.upkeep.bootstrap.begin();
            }
        }
        if resumed {
            self.cx.emit(Event::Resumed);
        }
    }

    fn rebound(&mut self, binding: Binding) {
        if !self.upkeep.is_running() {
            return self.bound(binding);
        }
        // First of all: it may change the socket that requests leave by.
        self.move_to(binding);
        if self.upkeep.bootstrap.is_done() {
            self.start_refresh();
        }
        self.upkeep.bootstrap.retry_if_silent();
    }

    fn move_to(&mut self, binding: Binding) {
        self.reach.bind(&mut self.cx, binding);
        // A bootstrap that waits for a check of the old port is over before another one begins.
        self.carry_reach();
        self.carry_bootstrap();
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
            self.upkeep.bootstrap.retry_if_silent();
        }
    }

    /// Deals with a change of the network, unless the last one is too recent.
    pub(super) fn change_on_time(&mut self) {
        if !self.upkeep.take_change(&mut self.cx) {
            return;
        }
        self.requests.forget_pace();
        self.reach.change_network(&mut self.cx);
        self.members.forget_samples();
        if self.upkeep.bootstrap.is_done() {
            self.start_refresh();
        }
        self.upkeep.bootstrap.retry_if_silent();
    }

    /// A name has brought new addresses. Walks that were under way have them; where there
    /// was none any more, and few nodes are known, it is worth another.
    pub(super) fn use_late_addresses(&mut self) {
        let busy = self.upkeep.bootstrap.is_active() || self.queries.background().next().is_some();
        if !self.upkeep.is_running() || busy || self.members.table().len() >= K {
            return;
        }
        match self.upkeep.bootstrap.is_silent() {
            true => self.upkeep.bootstrap.begin(),
            false => self.start_search(*self.members.table().own()),
        }
    }

    fn end_everything(&mut self, stage: Stage, error: RequestError) {
        self.upkeep.stage = stage;
        self.reach.stop();
        self.upkeep.stop();
        self.end_queries(None, error);
        self.requests.forget_all(&mut self.cx, &|purpose| purpose != Purpose::User);
        self.fail_all(&|_| true, error);
        self.queries.stop();
        self.members.stop();
        self.replies.clear(self.upkeep.stage == Stage::Suspended);
        self.requests.clear();
    }
}
