//! The bootstrap: a walk towards the own id; a check whether peers reach the node, if a few early answers make that likely
//! or the user says so; and if they do, a second walk, under the new id. A bootstrap without any answer is tried
//! again, with ever longer pauses. Mirrors `_bootstrap` of `index.js`, which tries once.

use core::net::SocketAddrV4;
use core::time::Duration;

use crate::api::error::Unsent;
use crate::api::event::Event;
use crate::api::exempt::Exempt;
use crate::api::message::Outcome;
use crate::context::Cx;
use crate::sources::Sources;
use crate::sources::names::Failures;
use crate::table::place_of;
use crate::time::Instant;

/// Seconds until a bootstrap without any answer is tried again; the pause then doubles.
const RETRY_MIN: u16 = 5;
const RETRY_MAX: u16 = 320;

/// Nodes that are asked early whether they can reach the server socket.
const QUICK: u8 = 3;

/// What a bootstrap wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A walk towards the own id.
    Walk,
    /// A check whether peers reach the node, and nothing else if `only_firewall`.
    Look { only_firewall: bool },
    /// It is over.
    Over,
}

/// What of the bootstrap is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Nothing,
    FirstWalk,
    /// Its check whether peers reach the node.
    Check,
    /// The second walk, under the id just gained.
    SecondWalk,
}

/// Where the bootstrap stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bootstrap {
    /// `ready` has been told.
    done: bool,
    phase: Phase,
    /// Early probes of the firewall that are still to be made, and the /24s of the ones that were.
    quick: u8,
    quick_asked: [u32; QUICK as usize],
    /// An early probe was answered.
    reached: bool,
    retry: Option<Instant>,
    /// The pause, in seconds; 0 if a node has answered.
    patience: u16,
    next: Option<Next>,
}

impl Bootstrap {
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether it has begun and is not over.
    pub(crate) fn is_active(&self) -> bool {
        self.phase != Phase::Nothing
    }

    /// When it is tried again: not before it is over.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.retry.filter(|_| !self.is_active())
    }

    /// Whether no node has answered so far, so that the bootstrap goes on in the background.
    pub(crate) const fn is_silent(&self) -> bool {
        self.patience > 0
    }

    /// The sockets are bound for the first time. `early`: whether a few nodes are asked early if they reach the server socket.
    pub(crate) fn ask_early(&mut self, early: bool) {
        self.quick = if early { QUICK } else { 0 };
    }

    /// Whether `to` gets an early probe: the first three that answer do, of different /24s, unless one of them has got
    /// through already. (In the reference the very first decides alone.)
    pub(crate) fn take_quick_nat(&mut self, to: SocketAddrV4, exempt: &Exempt) -> bool {
        let place = place_of(to, 0, exempt);
        if self.quick == 0 || self.reached || self.quick_asked.contains(&place) {
            return false;
        }
        self.quick -= 1;
        if let Some(asked) = self.quick_asked.get_mut(usize::from(self.quick)) {
            *asked = place;
        }
        true
    }

    /// An early probe has got through.
    pub(crate) fn on_quick_nat(&mut self) {
        self.reached = true;
    }

    /// Whether it wants something.
    pub(crate) fn wants(&self) -> bool {
        self.next.is_some()
    }

    /// What it wants next, once.
    pub(crate) fn poll(&mut self) -> Option<Next> {
        let next = self.next.take();
        if matches!(next, Some(Next::Look { .. })) {
            self.phase = Phase::Check;
        }
        next
    }

    /// Begins, or begins anew.
    pub(crate) fn begin(&mut self) {
        (self.phase, self.retry) = (Phase::FirstWalk, None);
        self.next = Some(Next::Walk);
    }

    /// Tries a bootstrap without any answer again, if its time has come.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if self.next_retry().is_some_and(|at| at <= now) {
            self.begin();
        }
    }

    /// A walk towards the own id is over.
    pub(crate) fn walked(
        &mut self,
        cx: &mut Cx,
        sources: &Sources,
        outcome: &Outcome,
        unsent: Option<Unsent>,
    ) {
        let first = self.phase == Phase::FirstWalk;
        let forced = cx.config.ephemeral == Some(false);
        if outcome.successes > 0 || !sources.any(&cx.config) {
            (self.patience, self.retry) = (0, None);
        } else if first && is_met_by_silence(cx, sources, outcome) {
            let failures = sources.names.failures();
            self.plan_retry(cx);
            cx.emit(Event::BootstrapSilent {
                asked: outcome.asked,
                timed_out: outcome.timed_out,
                unresolved: failures.unresolved,
                unusable: failures.unusable,
                unsent,
            });
        }
        let looks = first && (self.reached || forced);
        self.next = Some(if looks { Next::Look { only_firewall: !forced } } else { Next::Over });
    }

    fn plan_retry(&mut self, cx: &Cx) {
        self.patience = (self.patience * 2).clamp(RETRY_MIN, RETRY_MAX);
        // Nodes that the user gave without any bootstrap node are asked one by one.
        let any = !cx.config.bootstrap.is_empty();
        // At the end of time there is no later moment, and one that has come would be tried for ever.
        let at = cx.now + Duration::from_secs(self.patience.into());
        self.retry = (any && at > cx.now).then_some(at);
    }

    /// A refresh is over. If the node is `alone` and no peer answered, the refresh was the last hope: the bootstrap begins
    /// anew, with ever longer pauses.
    pub(crate) fn refreshed(&mut self, cx: &Cx, sources: &Sources, outcome: &Outcome, alone: bool) {
        let silent = is_met_by_silence(cx, sources, outcome) || !sources.given.is_empty();
        if alone && outcome.successes == 0 && silent && !self.is_active() && !self.is_silent() {
            self.plan_retry(cx);
        }
    }

    /// A node has entered the empty table; `came_back` if it had been silent for a while. Returns whether our neighbours
    /// are to be looked for.
    pub(crate) fn no_longer_alone(&mut self, now: Instant, came_back: bool) -> bool {
        // Not at once: the answer that tells so is still being handled.
        if self.is_silent() && !self.is_active() {
            self.patience = RETRY_MIN / 2;
            self.retry = Some(now);
            return false;
        }
        came_back && !self.is_active() && self.done
    }

    /// A node of the table has answered. A bootstrap without any answer that is not to be tried again by itself, since there is
    /// no bootstrap node, is tried again then.
    pub(crate) fn answered(&mut self, now: Instant) {
        if self.is_silent() && !self.is_active() && self.retry.is_none() {
            self.retry = Some(now + Duration::from_secs(self.patience.into()));
        }
    }

    /// A check of reachability is over; if the bootstrap asked for it, it goes on.
    pub(crate) fn looked(&mut self, reached: bool) {
        if self.phase == Phase::Check {
            self.next = Some(if reached { Next::Walk } else { Next::Over });
            if reached {
                self.phase = Phase::SecondWalk;
            }
        }
    }

    /// A bootstrap without any answer may find one now. It does not make the node wait longer afterwards.
    pub(crate) fn retry_if_silent(&mut self) {
        if self.is_silent() && !self.is_active() {
            self.patience = RETRY_MIN / 2;
            self.begin();
        }
    }

    /// It is over.
    pub(crate) fn end(&mut self, cx: &mut Cx) {
        self.phase = Phase::Nothing;
        if !core::mem::replace(&mut self.done, true) {
            cx.emit(Event::Ready);
        }
        self.on_time(cx.now);
    }

    /// The node is suspended, or closed.
    pub(crate) fn stop(&mut self) {
        (self.phase, self.retry, self.next) = (Phase::Nothing, None, None);
    }
}

/// Whether a node should have answered a walk. Not if ours is the only bootstrap node.
fn is_met_by_silence(cx: &Cx, sources: &Sources, outcome: &Outcome) -> bool {
    let asks_names = sources.names.failures() != Failures::default();
    outcome.successes == 0 && sources.any(&cx.config) && (outcome.asked > 0 || asks_names)
}
