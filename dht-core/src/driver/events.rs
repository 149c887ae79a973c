//! State changes, for anybody who wants to hear of them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::mailbox::Wakes;
use super::shared::{Look, Shared};
use crate::Event;

/// State changes that wait to be taken, at most, per [`Events`].
pub const EVENTS_MAX: usize = 256;

/// State changes that wait. When they are too many, the oldest one of the same kind
/// gives way, or else the oldest of all: what the state is in the end still shows.
#[derive(Default)]
pub(crate) struct Changes {
    queue: VecDeque<Event>,
    lost: u64,
}

impl Changes {
    pub(crate) fn push(&mut self, event: Event) {
        if self.queue.len() >= EVENTS_MAX {
            let kind = mem::discriminant(&event);
            let same = |other: &Event| mem::discriminant(other) == kind;
            let oldest = self.queue.iter().position(same).unwrap_or(0);
            self.queue.remove(oldest);
            self.lost += 1;
        }
        self.queue.push_back(event);
    }
}

/// One stream's share.
#[derive(Default)]
pub(crate) struct Subscriber {
    changes: Changes,
    slot: Option<Waker>,
}

impl Subscriber {
    pub(crate) fn push(&mut self, event: Event, wakes: &mut Wakes) {
        self.changes.push(event);
        self.wake(wakes);
    }

    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        wakes.push(self.slot.take());
    }
}

/// State changes from now on, made by [`Dht::events`](super::Dht::events). Each such
/// stream gets all of them.
///
/// At most [`EVENTS_MAX`] wait here; after that the oldest one of the same kind gives way,
/// and [`lost`](Self::lost) counts. Requests, replies and outcomes are not among them.
/// Ends when the node is closed, which it does not prevent.
#[must_use = "a stream does nothing unless it is read"]
pub struct Events {
    shared: Arc<Shared>,
    reader: u64,
}

impl Events {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let reader = shared.drive(|state, _| {
            let reader = state.ticket();
            state.events.insert(reader, Subscriber::default());
            reader
        });
        Self { shared, reader }
    }

    /// The next change; `None` when the node is closed.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How many were lost here, since nobody took them in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.look(|state| state.events.get(&self.reader).map_or(0, |own| own.changes.lost))
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.shared.poll(cx, |state, _| {
            let ended = state.ended;
            let own = state.events.entry(self.reader).or_default();
            match own.changes.queue.pop_front() {
                Some(event) => Look::Ready(Some(event)),
                None if ended => Look::Ready(None),
                None => Look::Wait(&mut own.slot),
            }
        })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _left = self.shared.drive(|state, _| state.events.remove(&self.reader));
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_same_kind_gives_way() {
        let nat = |port| Event::NatUpdate { host: None, port };
        let mut changes = Changes::default();
        changes.push(Event::Listening);
        for port in 0..1000 {
            changes.push(nat(port));
        }
        changes.push(Event::Ready);
        assert_eq!(changes.queue.len(), EVENTS_MAX);
        assert_eq!(changes.lost, 1002 - EVENTS_MAX as u64);
        // No other `Ready` was there: the oldest of all gave way.
        assert_eq!(changes.queue.front(), Some(&nat(1000 - EVENTS_MAX as u16 + 1)));
        assert_eq!(changes.queue.back(), Some(&Event::Ready));
    }
}
