//! The stream of everything that a node brings: entries of one kind, which wait in the state until they are taken.
#![allow(private_bounds, reason = "which kinds there are is up to this crate")]

use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;

use super::queue::Mailbox;
use super::shared::Shared;
use super::state::{Look, State};
use crate::{Event, Instant};

/// What a feed gives.
pub(crate) trait Kind: Sized {
    /// An entry as it waits: plain data.
    type Note: 'static;
    /// Which mailbox a feed reads, if there are several.
    type Key: Copy + Unpin;

    /// Where notes wait for reader `number`, which is about to join, or has joined.
    fn mailbox(state: &mut State, key: Self::Key, number: u64) -> &mut Mailbox<Self::Note>;

    /// The last reader of a mailbox is gone.
    fn clear(state: &mut State, now: Instant, key: Self::Key, number: u64);

    /// Makes an entry of a note, without the lock; `None` if what the note is about is gone.
    fn build(shared: &Arc<Shared>, note: Self::Note) -> Option<Self>;
}

/// What a node brings, from the moment on when this stream was made: [`Events`](super::Events),
/// [`Requests`](super::Requests), [`Items`](super::Items), [`Datagrams`](super::Datagrams), or what an
/// [`ExtraSocket`](super::ExtraSocket) has to send. Each of these says how much waits in it at most.
///
/// A feed ends when the node is closed, which it does not prevent.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::Event;
/// use dht_core::driver::Feed;
///
/// let node = Local::node().await;
/// let mut events: Feed<Event> = node.events();
/// assert_eq!(events.try_next(), None);
/// node.close().await?;
/// // `Feed` is a `futures_core::Stream` as well.
/// while let Some(event) = events.next().await {
///     println!("{event:?}");
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "while it lives, entries wait in it"]
pub struct Feed<T: Kind> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: T::Key,
    number: u64,
}

impl<T: Kind> Feed<T> {
    pub(crate) fn new(shared: Arc<Shared>, key: T::Key) -> Self {
        let number = shared.act(|state, _| {
            let number = state.ticket();
            T::mailbox(state, key, number).readers.slot(number);
            number
        });
        Self { shared, key, number }
    }

    /// The next entry; `None` when the node is closed.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The next entry, if there is one already.
    pub fn try_next(&mut self) -> Option<T> {
        while let Some(note) = self.mailbox(|mailbox| mailbox.queue.pop()) {
            let entry = T::build(&self.shared, note);
            if entry.is_some() {
                return entry;
            }
        }
        None
    }

    pub(crate) fn mailbox<U>(&self, look: impl FnOnce(&mut Mailbox<T::Note>) -> U) -> U {
        self.shared.drive(|state, _| look(T::mailbox(state, self.key, self.number)))
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            let note = ready!(self.shared.poll(cx, |state, _| {
                let is_over = state.life.ended();
                let Mailbox { queue, readers } = T::mailbox(state, self.key, self.number);
                match queue.pop() {
                    None if !is_over => Look::Wait(readers.slot(self.number)),
                    note => Look::Ready(note),
                }
            }));
            let Some(note) = note else { return Poll::Ready(None) };
            let entry = T::build(&self.shared, note);
            if entry.is_some() {
                return Poll::Ready(entry);
            }
        }
    }
}

impl<T: Kind> Stream for Feed<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll(cx)
    }
}

impl<T: Kind> Drop for Feed<T> {
    fn drop(&mut self) {
        self.shared.act(|state, now| {
            let readers = &mut T::mailbox(state, self.key, self.number).readers;
            let waker = readers.leave(self.number);
            if readers.is_empty() {
                T::clear(state, now, self.key, self.number);
            }
            state.wakes.bury(waker);
        });
    }
}

impl<T: Kind> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("number", &self.number).finish_non_exhaustive()
    }
}

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
