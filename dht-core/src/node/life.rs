//! The stages of a node's life: bound, bootstrapped, asleep, suspended, closed.
//! Mirrors `_bootstrap`, `_onwakeup`, `suspend`, `resume` and `destroy` of `index.js`.

use core::net::SocketAddrV4;
use core::time::Duration;

use super::{Node, Stage};
use crate::api::error::RequestError;
use crate::api::event::Event;
use crate::api::message::Outcome;
use crate::reach::Binding;
use crate::requests::call::Purpose;
use crate::sources::names::Failures;
use crate::table::{K, place_of};
use crate::time::Instant;

/// A bootstrap that met only silence is tried again after so many seconds, and then ever less often.
const RETRY_MIN: u16 = 5;
const RETRY_MAX: u16 = 320;

/// Nodes that are asked early whether they can reach the server socket.
const QUICK: u8 = 3;

/// Changes of the network are dealt with at most this often.
const CHANGE_EVERY: Duration = Duration::from_secs(30);

/// Changes of the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// There was one that is not dealt with.
    pending: bool,
    not_before: Instant,
}

impl Changes {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pending.then_some(self.not_before)
    }
}

/// Where the bootstrap stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Bootstrap {
    /// `ready` has been told.
    done: bool,
    /// A walk or a check of the bootstrap is under way.
    active: bool,
    /// The second walk, under the id just gained.
    second: bool,
    /// How many early probes of the firewall are still to be made, and where those have gone that were.
    quick: u8,
    quick_asked: [u32; QUICK as usize],
    /// One of them was answered.
    reached: bool,
    retry: Option<Instant>,
    /// In seconds; 0 if somebody has answered.
    patience: u16,
}

impl Bootstrap {
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether it has begun and is not over.
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Whether nobody has answered so far, so that it goes on in the background.
    pub(super) fn is_silent(&self) -> bool {
        self.patience > 0
    }

    /// Whether `to` gets an early probe: the first three who answer do, of different /24s, unless one of them has got
    /// through already. (In the reference the very first decides alone.)
    pub(super) fn take_quick_nat(&mut self, to: SocketAddrV4) -> bool {
        let place = place_of(to, 0);
        if self.quick == 0 || self.reached || self.quick_asked.contains(&place) {
            return false;
        }
        self.quick -= 1;
        if let Some(asked) = self.quick_asked.get_mut(usize::from(self.quick)) {
            *asked = place;
        }
        true
    }

    pub(super) fn on_quick_nat(&mut self) {
        self.reached = true;
    }
}

impl Node {
    /// The sockets are bound, to these local addresses. The first time, the node begins to
    /// bootstrap; after [`resume`](Self::resume), it is back, and at another port its id is no more what it
    /// was. Requests that were held can leave.
    pub fn handle_bound(&mut self, now: Instant, client: SocketAddrV4, server: SocketAddrV4) {
        let now = self.enter(now);
        let resumed = self.stage == Stage::Resuming;
        if !resumed && self.stage != Stage::Unbound {
            return;
        }
        let first = self.reach.binding().is_none();
        self.stage = Stage::Running;
        self.move_to(Binding { client, server });
        self.clock.start(now);
        self.queries.start_clocks(now);
        if first {
            self.emit(Event::Listening);
            let persistent = self.cx.config.ephemeral == Some(false);
            let quick = self.reach.is_firewalled() && self.cx.config.quick_firewall && !persistent;
            self.bootstrap.quick = if quick { QUICK } else { 0 };
            self.start_bootstrap();
        } else {
            self.start_refresh();
            if !self.bootstrap.done || self.bootstrap.is_silent() {
                self.start_bootstrap();
            }
        }
        if resumed {
            self.emit(Event::Resumed);
        }
        self.pump_stalled();
    }

    /// The sockets of a running node were replaced, and the new ones are bound here: as when the system took
    /// the old ones away. What was on its way to these is lost, and asked for again in its time; the table is
    /// refreshed. On any other node it is [`handle_bound`](Self::handle_bound).
    ///
    /// At the same ports nothing else changes. At others, now or after a [`resume`](Self::resume), what
    /// peers said of the own address counts no more; and if it is the server socket's port, a node that is told to
    /// be reachable has another id at once, and one that has found it out is ephemeral and firewalled until it
    /// has found it out again.
    pub fn handle_rebound(&mut self, now: Instant, client: SocketAddrV4, server: SocketAddrV4) {
        let now = self.enter(now);
        if self.stage != Stage::Running {
            return self.handle_bound(now, client, server);
        }
        // First of all: it may change the socket that requests leave by.
        self.move_to(Binding { client, server });
        if self.bootstrap.done {
            self.start_refresh();
        }
        self.retry_silent_bootstrap();
        self.pump_stalled();
    }

    fn move_to(&mut self, binding: Binding) {
        self.reach.bind(&mut self.cx, binding);
        self.after_reach();
    }

    fn start_bootstrap(&mut self) {
        self.bootstrap.active = true;
        self.bootstrap.second = false;
        self.bootstrap.retry = None;
        self.start_bootstrap_walk();
    }

    /// Tries again what met only silence.
    pub(super) fn bootstrap_on_time(&mut self) {
        if self.bootstrap.retry.is_some_and(|at| at <= self.cx.now) && !self.bootstrap.active {
            self.start_bootstrap();
        }
    }

    /// A walk towards the own id is over.
    pub(super) fn on_bootstrap_walked(&mut self, outcome: &Outcome) {
        let forced = self.cx.config.ephemeral == Some(false);
        if outcome.successes == 0 && self.sources.any(&self.cx.config) && !self.bootstrap.second {
            if self.is_met_by_silence(outcome) {
                let failures = self.sources.names.failures();
                self.plan_retry();
                self.emit(Event::BootstrapSilent {
                    asked: outcome.asked,
                    timed_out: outcome.timed_out,
                    unresolved: failures.unresolved,
                    unusable: failures.unusable,
                    unsent: self.contact.unsent(),
                });
            }
        } else if outcome.successes > 0 || !self.sources.any(&self.cx.config) {
            self.bootstrap.patience = 0;
        }
        if self.bootstrap.second || (!self.bootstrap.reached && !forced) {
            return self.bootstrap_over();
        }
        self.look(!forced);
    }

    fn plan_retry(&mut self) {
        let patience = (self.bootstrap.patience * 2).clamp(RETRY_MIN, RETRY_MAX);
        self.bootstrap.patience = patience;
        // Nodes that the user gave without any bootstrap node are asked one by one.
        let any = !self.cx.config.bootstrap.is_empty();
        self.bootstrap.retry = any.then(|| self.cx.now + Duration::from_secs(patience.into()));
    }

    /// Whether somebody should have answered a walk. Not if ours is the only bootstrap node.
    fn is_met_by_silence(&self, outcome: &Outcome) -> bool {
        let asks_names = self.sources.names.failures() != Failures::default();
        outcome.successes == 0
            && self.sources.any(&self.cx.config)
            && (outcome.asked > 0 || asks_names)
    }

    /// A refresh is over. If it was the last that anybody could tell us, the bootstrap begins anew, and goes
    /// on with ever more patience.
    pub(super) fn on_refreshed(&mut self, outcome: &Outcome) {
        let silent = self.is_met_by_silence(outcome) || !self.sources.given.is_empty();
        let alone = self.members.table().is_empty() && outcome.successes == 0 && silent;
        if alone && !self.bootstrap.active && !self.bootstrap.is_silent() {
            self.plan_retry();
        }
    }

    /// Somebody is in the table, after nobody was; one that was silent for a while, if it `came_back`.
    pub(super) fn no_longer_alone(&mut self, came_back: bool) {
        // Not at once: the answer that tells so is not dealt with yet.
        if self.bootstrap.is_silent() && !self.bootstrap.active {
            self.bootstrap.patience = RETRY_MIN / 2;
            self.bootstrap.retry = Some(self.cx.now);
            return;
        }
        if came_back && !self.bootstrap.active && self.bootstrap.done {
            self.start_search(self.members.table().own());
        }
    }

    /// The network state was looked at; if that was for the bootstrap, it goes on.
    pub(super) fn bootstrap_checked(&mut self, reached: bool) {
        if !self.bootstrap.active || self.bootstrap.second {
            return;
        }
        if reached {
            self.bootstrap.second = true;
            self.start_bootstrap_walk();
        } else {
            self.bootstrap_over();
        }
    }

    fn bootstrap_over(&mut self) {
        self.bootstrap.active = false;
        self.members.settle();
        if !core::mem::replace(&mut self.bootstrap.done, true) {
            self.emit(Event::Ready);
        }
    }

    /// The machine has slept: call it when you know; the node also notices by itself when it is
    /// entered more than 10 s after the deadline that it had asked for. However often it is called,
    /// periodic work is not put off by it.
    pub fn handle_wakeup(&mut self, now: Instant) {
        self.enter(now);
        if self.stage == Stage::Running {
            self.wake_up();
            self.pump_stalled();
        }
    }

    pub(super) fn wake_up(&mut self) {
        if self.stage == Stage::Running {
            self.clock.put_off(self.cx.now);
        }
        self.clock.wake_up(&mut self.cx.tick);
        self.members.wake_up();
        self.requests.forget_pace();
        self.contact.wake_up(&mut self.cx);
        self.reach.wake_up(&mut self.cx);
        self.contact.forget();
        self.emit(Event::WakeUp);
        if self.stage == Stage::Running {
            self.retry_silent_bootstrap();
        }
    }

    /// The network interfaces have changed: what peers said of the own address may be out of date,
    /// so each is listened to anew, and the table is refreshed.
    ///
    /// It happens at most every 30 s, since others may be able to set it off: one that comes earlier
    /// is remembered, and one is made of all such. Unless the node is running, nothing happens.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.enter(now);
        if self.stage != Stage::Running {
            return;
        }
        self.changes.pending = true;
        self.change_on_time();
        self.pump_stalled();
    }

    /// Deals with a change of the network, unless the last one is too recent.
    pub(super) fn change_on_time(&mut self) {
        if self.changes.next_due().is_none_or(|due| due > self.cx.now) {
            return;
        }
        self.changes = Changes { pending: false, not_before: self.cx.now + CHANGE_EVERY };
        self.emit(Event::NetworkChange);
        self.emit(Event::NetworkUpdate);
        self.requests.forget_pace();
        self.reach.doubt();
        self.members.forget_samples();
        if self.bootstrap.done {
            self.start_refresh();
        }
        self.retry_silent_bootstrap();
    }

    /// What met only silence may be answered now. It does not make the node wait longer afterwards.
    fn retry_silent_bootstrap(&mut self) {
        if self.bootstrap.is_silent() && !self.bootstrap.active {
            self.bootstrap.patience = RETRY_MIN / 2;
            self.start_bootstrap();
        }
    }

    /// A name has brought addresses that nobody knew of. Walks that were under way have them; where there
    /// was none any more, and few nodes are known, it is worth another.
    pub(super) fn use_late_addresses(&mut self) {
        let busy = self.bootstrap.active || self.queries.background().next().is_some();
        if self.stage != Stage::Running || busy || self.members.table().len() >= K {
            return;
        }
        match self.bootstrap.is_silent() {
            true => self.start_bootstrap(),
            false => self.start_search(self.members.table().own()),
        }
    }

    /// Suspends the node: its requests fail with [`RequestError::Suspended`], its queries end with
    /// what they have, and nothing is sent or taken until it is resumed. A bootstrap that was
    /// under way begins anew then, and [`Event::Ready`] comes after it. Close the sockets then.
    /// Does nothing unless the node is running, or not bound yet.
    pub fn suspend(&mut self, now: Instant) {
        self.enter(now);
        if matches!(self.stage, Stage::Suspended | Stage::Closed) {
            return;
        }
        self.count_interrupted_checks();
        self.stage = Stage::Suspended;
        self.end_everything(RequestError::Suspended);
        self.emit(Event::Suspended);
    }

    /// Resumes a suspended node, as after a sleep. Bind the sockets, to the same ports if
    /// possible, and tell by [`handle_bound`](Self::handle_bound).
    pub fn resume(&mut self, now: Instant) {
        self.enter(now);
        if self.stage != Stage::Suspended {
            return;
        }
        self.wake_up();
        self.stage = Stage::Resuming;
    }

    /// Closes the node for good: its requests fail with [`RequestError::Destroyed`], its queries
    /// end. Answers that were given before can still be polled and sent.
    pub fn close(&mut self, now: Instant) {
        self.enter(now);
        if self.stage == Stage::Closed {
            return;
        }
        self.stage = Stage::Closed;
        self.end_everything(RequestError::Destroyed);
        self.emit(Event::Closed);
    }

    fn end_everything(&mut self, error: RequestError) {
        self.reach.stop();
        self.contact.forget();
        self.bootstrap.active = false;
        self.bootstrap.retry = None;
        self.changes.pending = false;
        self.end_all_queries(error);
        self.requests.forget_all(&mut self.cx, |purpose| purpose != Purpose::User);
        self.fail_all(|_| true, error);
        self.queries.stalled = false;
        self.members.stop();
        self.replies.clear(self.stage == Stage::Suspended);
        self.requests.clear();
    }
}
