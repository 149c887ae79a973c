//! Whether peers answer: as the user means it, and as the reference does, where a node is online until many requests
//! have failed. [`health`](crate::upkeep::health) makes the second judgement, which counts for the first as well.

use core::time::Duration;

use crate::api::error::Unsent;
use crate::api::event::Event;
use crate::api::health_info::HealthInfo;
use crate::context::Cx;
use crate::time::Instant;
use crate::upkeep::health::Health;

/// After this long without an answer, and this many failed requests, no peer seems to be there. Nodes of
/// the table are asked at least twice in that time, however little else there is to do.
const SILENCE: Duration = Duration::from_secs(60);
const MISSES: u8 = 4;

/// Answers and failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contact {
    online: bool,
    /// Requests that failed since the last answer, up to 255.
    misses: u8,
    answered_at: Instant,
    health: Health,
    /// The basis of the health: answers and silence that strangers can't cause.
    answers: u64,
    silences: u64,
    /// Why the system did not send, if it refused since the last answer.
    unsent: Option<Unsent>,
}

impl Contact {
    /// Whether peers answer.
    pub(crate) const fn online(&self) -> bool {
        self.online
    }

    /// Why the system did not send, if it refused since the last answer.
    pub(crate) const fn unsent(&self) -> Option<Unsent> {
        self.unsent
    }

    /// An answer has come that tells of the network.
    pub(crate) fn count_answer(&mut self) {
        self.answers += 1;
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, cx: &mut Cx) {
        let was_online = self.online;
        (self.online, self.misses, self.answered_at, self.unsent) = (true, 0, cx.now, None);
        if !was_online {
            cx.emit(Event::Online);
        }
    }

    /// A request that tells of the network was not answered.
    pub(crate) fn missed(&mut self) {
        self.silences += 1;
        self.misses = self.misses.saturating_add(1);
    }

    /// The system did not send.
    pub(crate) fn not_sent(&mut self, why: Unsent) {
        self.unsent = Some(why);
    }

    /// A tick has passed.
    pub(crate) fn review(&mut self, cx: &mut Cx) {
        let changed = self.health.update(self.answers, self.silences).is_some();
        if changed {
            cx.emit(Event::NetworkUpdate);
        }
        let offline = changed && !self.health.online();
        let silent = self.misses >= MISSES && cx.now.saturating_since(self.answered_at) >= SILENCE;
        if self.online && (offline || silent) {
            self.online = false;
            cx.emit(Event::Offline);
        }
    }

    /// The machine has slept.
    pub(crate) fn wake_up(&mut self, cx: &mut Cx) {
        if self.health.wake_up().is_some() {
            cx.emit(Event::NetworkUpdate);
        }
    }

    /// Nodes that have answered until now need not be there any more. Told by an event of its own, so not by `Offline`.
    pub(crate) fn forget(&mut self) {
        self.online = false;
    }

    /// The health in figures.
    pub(crate) fn health(&self) -> HealthInfo {
        self.health.info(self.unsent)
    }

    /// The state that an answer may change here.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn taught(&self) -> [alloc::string::String; 2] {
        let Self { online, misses, answered_at, .. } = self;
        [
            alloc::format!("{} {}", self.answers, self.silences),
            alloc::format!("{online} {misses} {answered_at:?}"),
        ]
    }
}
