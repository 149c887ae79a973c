//! State changes, for the application.

use alloc::sync::Arc;

use super::feed::{Feed, Kind};
use super::queue::Mailbox;
use super::shared::Shared;
use super::state::State;
use crate::{Event, Instant};

/// State changes from now on, made by [`Dht::events`](super::Dht::events). Each feed of this kind gets all of them.
///
/// At most [`EVENTS_MAX`](super::EVENTS_MAX) wait here; after that the oldest one of the same kind gives way, and
/// [`lost`](Feed::lost) counts. Requests, replies and outcomes are not among them.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::Event;
///
/// let node = Local::node().await;
/// let mut events = node.events();
/// node.suspend().await?;
/// while events.next().await != Some(Event::Suspended) {}
/// assert_eq!(events.lost(), 0);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type Events = Feed<Event>;

impl Kind for Event {
    type Note = Self;
    type Key = ();

    fn mailbox(state: &mut State, (): (), number: u64) -> &mut Mailbox<Self> {
        state.mail.events_of(number)
    }

    fn clear(state: &mut State, _: Instant, (): (), number: u64) {
        state.mail.events.remove(&number);
    }

    fn build(_: &Arc<Shared>, event: Self) -> Option<Self> {
        Some(event)
    }
}

impl Feed<Event> {
    /// How many changes gave way to later ones, since they were not taken in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.mailbox(|own| own.queue.lost())
    }
}
