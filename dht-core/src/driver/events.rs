//! State changes, for the application.

use alloc::sync::Arc;

use super::queue::Mailbox;
use super::reader::{Reader, Source, stream};
use super::shared::Shared;
use super::state::State;
use crate::{Event, Instant};

/// State changes from now on, made by [`Dht::events`](super::Dht::events). Each stream of this kind gets all of them.
///
/// At most [`EVENTS_MAX`](super::EVENTS_MAX) wait here; after that the oldest one of the same kind gives way, and
/// [`lost`](Self::lost) counts. Requests, replies and outcomes are not among them. Ends when the node is closed,
/// which it does not prevent.
#[must_use = "a stream does nothing unless it is read"]
pub struct Events(Reader<Changes>);

pub(crate) struct Changes;

impl Source for Changes {
    type Entry = Event;

    fn mailbox<'s>(&self, state: &'s mut State, number: u64) -> &'s mut Mailbox<Event> {
        state.mail.events_of(number)
    }

    fn clear(&self, state: &mut State, _: Instant, number: u64) {
        state.mail.events.remove(&number);
    }
}

impl Events {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Reader::new(shared, Changes))
    }

    /// How many changes gave way to later ones, since they were not taken in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.mailbox(|own| own.queue.lost())
    }
}

stream!(Events, Event, "The next change; `None` when the node is closed.", |_, event| Some(event));
