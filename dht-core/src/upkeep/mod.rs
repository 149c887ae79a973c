//! What a node does without being asked, and when: the stages of its life, its clock, its bootstrap, changes of the network,
//! and whether peers answer. It decides what is due; `Node` carries it out.

pub(crate) mod bootstrap;
pub(crate) mod clock;
mod contact;
mod health;

use core::time::Duration;

use crate::api::error::SendError;
use crate::api::event::Event;
use crate::context::Cx;
use crate::time::Instant;
use bootstrap::Bootstrap;
use clock::Clock;
use contact::Contact;

/// Changes of the network are dealt with at most this often.
const CHANGE_EVERY: Duration = Duration::from_secs(30);

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No sockets yet; what is asked for is held.
    Unbound,
    Running,
    Suspended,
    /// Resumed, without sockets yet; it may never have had any.
    Resuming,
    Closed,
}

#[derive(Clone)]
pub(crate) struct Upkeep {
    pub(crate) stage: Stage,
    pub(crate) clock: Clock,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) contact: Contact,
    /// A change of the network that is not dealt with yet.
    changed: bool,
    no_change_before: Instant,
}

impl Upkeep {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Unbound,
            clock: Clock::new(),
            bootstrap: Bootstrap::default(),
            contact: Contact::default(),
            changed: false,
            no_change_before: Instant::ZERO,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// Whether anything can be asked, or answered.
    pub(crate) fn check_open(&self) -> Result<(), SendError> {
        match self.stage {
            Stage::Closed => Err(SendError::Closed),
            Stage::Suspended => Err(SendError::Suspended),
            Stage::Unbound | Stage::Running | Stage::Resuming => Ok(()),
        }
    }

    /// When there is something to do, while the node is running.
    pub(crate) fn next_deadline(&self) -> Instant {
        let change = self.changed.then_some(self.no_change_before);
        let others = self.bootstrap.next_retry().into_iter().chain(change);
        others.fold(self.clock.next_tick(), Ord::min)
    }

    /// The network has changed.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// Whether a change of the network is to be dealt with now: not if the last one is too recent.
    pub(crate) fn take_change(&mut self, cx: &mut Cx) -> bool {
        let due = self.changed && self.no_change_before <= cx.now;
        if due {
            (self.changed, self.no_change_before) = (false, cx.now + CHANGE_EVERY);
            cx.emit(Event::NetworkChange);
            cx.emit(Event::NetworkUpdate);
        }
        due
    }

    /// The node is suspended, or closed: nothing is due any more.
    pub(crate) fn stop(&mut self) {
        self.contact.forget();
        self.bootstrap.stop();
        self.changed = false;
    }
}
