//! The stages of a node's life: bound, bootstrapped, asleep, suspended, closed.
//! Mirrors `_bootstrap`, `_onwakeup`, `suspend`, `resume` and `destroy` of `index.js`.

use core::net::SocketAddrV4;
use core::time::Duration;

use super::{Binding, Node, Stage};
use crate::error::RequestError;
use crate::event::Event;
use crate::inflight::Purpose;
use crate::message::Outcome;
use crate::pace::Pace;
use crate::time::Instant;

/// A bootstrap that met only silence is tried again after this, and then ever less often.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(320);

/// Where the bootstrap stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Bootstrap {
    /// `ready` has been told.
    done: bool,
    /// A walk or a check of the bootstrap is under way.
    active: bool,
    /// The second walk, under the id just gained.
    second: bool,
    /// The one early probe of the firewall is still to be made.
    quick: bool,
    /// That probe was answered.
    reached: bool,
    retry: Option<Instant>,
    patience: Duration,
}

impl Bootstrap {
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether it has begun and is not over.
    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Whether nobody has answered so far, so that it goes on in the background.
    fn is_silent(&self) -> bool {
        !self.patience.is_zero()
    }

    /// Whether the early probe is due; it is only once.
    pub(super) fn take_quick_nat(&mut self) -> bool {
        core::mem::take(&mut self.quick)
    }

    pub(super) fn on_quick_nat(&mut self) {
        self.reached = true;
    }
}

impl Node {
    /// The sockets are bound, to these local addresses. The first time, the node begins to
    /// bootstrap; after [`resume`](Self::resume), it is back. Requests that were held can leave.
    pub fn handle_bound(&mut self, now: Instant, client: SocketAddrV4, server: SocketAddrV4) {
        let now = self.enter(now);
        let resumed = self.stage == Stage::Resuming;
        if !resumed && self.stage != Stage::Unbound {
            return;
        }
        let first = self.binding.is_none();
        self.binding = Some(Binding { client, server });
        self.stage = Stage::Running;
        self.upkeep.start(now);
        self.queries.start_clocks(now);
        if first {
            self.emit(Event::Listening);
            let persistent = self.config.ephemeral == Some(false);
            self.bootstrap.quick = self.firewalled && self.config.quick_firewall && !persistent;
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

    fn start_bootstrap(&mut self) {
        self.bootstrap.active = true;
        self.bootstrap.second = false;
        self.bootstrap.retry = None;
        self.start_bootstrap_walk();
    }

    /// Tries again what met only silence.
    pub(super) fn bootstrap_on_time(&mut self) {
        if self.bootstrap.retry.is_some_and(|at| at <= self.now) {
            self.start_bootstrap();
        }
    }

    /// A walk towards the own id is over.
    pub(super) fn on_bootstrap_walked(&mut self, outcome: &Outcome, unresolved: usize) {
        let forced = self.config.ephemeral == Some(false);
        let silent = outcome.successes == 0 && !self.config.bootstrap.is_empty();
        if silent && !self.bootstrap.second {
            // Ours may be the only bootstrap node, asked for itself; then nobody was silent.
            if outcome.asked > 0 || unresolved > 0 {
                self.plan_retry();
                self.emit(Event::BootstrapSilent {
                    asked: outcome.asked,
                    timed_out: outcome.timed_out,
                    unresolved: u32::try_from(unresolved).unwrap_or(u32::MAX),
                    unsent: self.unsent,
                });
            }
        } else {
            self.bootstrap.patience = Duration::ZERO;
        }
        if self.bootstrap.second || (!self.bootstrap.reached && !forced) {
            return self.bootstrap_over();
        }
        self.update_network_state(!forced);
    }

    fn plan_retry(&mut self) {
        let patience = (self.bootstrap.patience * 2).clamp(RETRY_MIN, RETRY_MAX);
        self.bootstrap.patience = patience;
        self.bootstrap.retry = Some(self.now + patience);
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
        if !core::mem::replace(&mut self.bootstrap.done, true) {
            self.emit(Event::Ready);
        }
    }

    /// The machine has slept: call it when you know; the node also notices by itself when it is
    /// entered more than 10 s after the deadline that it had asked for.
    pub fn handle_wakeup(&mut self, now: Instant) {
        self.enter(now);
        if self.stage == Stage::Running {
            self.wake_up();
            self.pump_stalled();
        }
    }

    pub(super) fn wake_up(&mut self) {
        self.upkeep.wake_up(self.now);
        self.pace = Pace::default();
        if self.health.reset().is_some() {
            self.emit(Event::NetworkUpdate);
        }
        if self.upkeep.adaptive && !self.ephemeral {
            self.ephemeral = true;
            self.emit(Event::Ephemeral);
        }
        self.forget_contact();
        self.emit(Event::WakeUp);
        if self.stage == Stage::Running {
            self.retry_silent_bootstrap();
        }
    }

    /// The network interfaces have changed: what peers said of the own address may be out of date,
    /// so each is listened to anew, and the table is refreshed.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.enter(now);
        if self.stage != Stage::Running {
            return;
        }
        self.emit(Event::NetworkChange);
        self.emit(Event::NetworkUpdate);
        self.pace = Pace::default();
        self.anonymous_samples.clear();
        self.table.forget_samples();
        if self.bootstrap.done {
            self.start_refresh();
        }
        self.retry_silent_bootstrap();
        self.pump_stalled();
    }

    /// What met only silence may be answered now.
    fn retry_silent_bootstrap(&mut self) {
        if self.bootstrap.is_silent() && !self.bootstrap.active {
            self.start_bootstrap();
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
        self.probe = None;
        self.forget_contact();
        self.bootstrap.active = false;
        self.bootstrap.retry = None;
        self.end_all_queries(error);
        self.forget_flights(|purpose| purpose != Purpose::User);
        self.fail_all(|_| true, error);
        self.queries.stalled = false;
        self.upkeep.hint_checks = 0;
        self.upkeep.swaps = 0;
        self.candidates.clear();
        self.namers.clear();
        self.delayed.clear();
        self.window.clear();
        self.shares.clear();
        if self.stage == Stage::Suspended {
            self.outbox.clear();
        }
    }
}
