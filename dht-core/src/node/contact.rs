//! Whether anybody answers: as the user means it, and not as the reference does, where a node is online until
//! many have been silent. That judgement is [`health`](crate::upkeep::health)'s, and counts here as well.

use core::time::Duration;

use super::Node;
use crate::api::event::Event;
use crate::time::Instant;

/// After so long without an answer, and so many who did not give one, nobody seems to be there. Twice is a
/// node of the table asked in that time, however little else there is to do.
const SILENCE: Duration = Duration::from_secs(60);
const MISSES: u8 = 4;

/// Answers, and what there was instead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contact {
    online: bool,
    /// Requests that nobody answered since the last answer, up to 255.
    misses: u8,
    answered_at: Instant,
}

impl Contact {
    /// Somebody has not answered.
    pub(super) const fn missed(&mut self) {
        self.misses = self.misses.saturating_add(1);
    }
}

impl Node {
    /// Whether anybody answers: somebody has, since the node was bound, resumed or woken up, and has not fallen silent
    /// again. That is when [`health`](Self::health) says so, which takes two ticks of requests without any
    /// answer, or after a minute without one, and four requests. [`Event::Online`] and [`Event::Offline`] tell.
    #[must_use]
    pub fn online(&self) -> bool {
        self.contact.online
    }

    /// Somebody has answered.
    pub(super) fn on_contact(&mut self) {
        let was_online = self.contact.online;
        self.contact = Contact { online: true, misses: 0, answered_at: self.cx.now };
        if !was_online {
            self.emit(Event::Online);
        }
    }

    /// Now and then. `offline`: the health has just found that nobody answers.
    pub(super) fn review_contact(&mut self, offline: bool) {
        let Contact { online, misses, answered_at } = self.contact;
        let silent = misses >= MISSES && self.cx.now.saturating_since(answered_at) >= SILENCE;
        if online && (offline || silent) {
            self.contact.online = false;
            self.emit(Event::Offline);
        }
    }

    /// Who has answered until now need not be there any more. What has happened is an event of its own.
    pub(super) fn forget_contact(&mut self) {
        self.contact.online = false;
    }
}
