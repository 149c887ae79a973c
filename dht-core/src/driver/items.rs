//! Everything in one order.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use super::error::Error;
use super::events::EVENTS_MAX;
use super::incoming::{IncomingRequest, Received};
use super::mailbox::{Mailbox, Wakes};
use super::shared::{Look, Shared};
use super::state::{REQUESTS_MAX, State};
use crate::bounded::memory::Heap;
use crate::{Event, Outcome, QueryId, Reply, RequestId};

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// The state has changed; never `Response`, `Reply` or `Finished`.
    Event(Event),
    /// A request that [`Dht::start_request`](super::Dht::start_request) began has ended.
    Response(RequestId, Result<Reply, Error>),
    /// A reply to a query that [`Dht::start_query`](super::Dht::start_query) began.
    Reply(QueryId, Reply),
    /// Such a query has ended: this is the last of it.
    Finished(QueryId, Result<Outcome, Error>),
    /// Somebody asks something.
    Request(IncomingRequest),
}

/// Notes about what happened. What is large stays in the core until its note is read,
/// so what waits here is bounded by what the core keeps.
pub(crate) struct Notes {
    mailbox: Mailbox<Note>,
    /// How many of them are about the state.
    changes: usize,
    /// How many of them are incoming requests.
    requests: usize,
    /// Whether incoming requests come here.
    takes_requests: bool,
    lost: u64,
}

enum Note {
    Event(Event),
    /// Boxed: it is large, and most notes are events.
    Request(Box<Received>),
}

impl Notes {
    pub(crate) const fn new() -> Self {
        Self {
            // What comes is bounded by kind.
            mailbox: Mailbox::new(usize::MAX),
            changes: 0,
            requests: 0,
            takes_requests: true,
            lost: 0,
        }
    }

    /// What they take of the heap at most, if the core keeps so much for those who ask by items.
    pub(crate) fn add_to(heap: &mut Heap, results: usize) {
        heap.lists::<Note>(1, EVENTS_MAX + REQUESTS_MAX + results);
        heap.fixed(REQUESTS_MAX, size_of::<Received>());
    }

    pub(crate) fn is_read(&self) -> bool {
        self.mailbox.is_read()
    }

    pub(crate) fn takes_requests(&self) -> bool {
        self.takes_requests && self.is_read()
    }

    /// How many incoming requests wait.
    pub(crate) const fn requests(&self) -> usize {
        self.requests
    }

    pub(crate) fn push_request(&mut self, request: Received, wakes: &mut Wakes) {
        self.requests += 1;
        self.push(Note::Request(Box::new(request)), wakes);
    }

    pub(crate) fn push_event(&mut self, event: Event, wakes: &mut Wakes) {
        if !self.is_read() {
            return;
        }
        if event.is_change() {
            if self.changes >= EVENTS_MAX {
                self.forget_change(&event);
            }
            self.changes += 1;
        }
        self.push(Note::Event(event), wakes);
    }

    fn push(&mut self, note: Note, wakes: &mut Wakes) {
        // There is a reader.
        let _ = self.mailbox.push(note, wakes);
    }

    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        self.mailbox.wake(wakes);
    }

    /// The oldest change of the same kind as `event` gives way, or the oldest of all.
    fn forget_change(&mut self, event: &Event) {
        let kind = mem::discriminant(event);
        let queue = self.mailbox.queue();
        let find = |same: bool| {
            queue.iter().position(|note| match note {
                Note::Event(other) if same => mem::discriminant(other) == kind,
                Note::Event(other) => other.is_change(),
                Note::Request(_) => false,
            })
        };
        if let Some(oldest) = find(true).or_else(|| find(false)) {
            queue.remove(oldest);
            self.changes -= 1;
            self.lost += 1;
        }
    }

    /// Nobody wants to hear of this request or query any more.
    fn forget(&mut self, about: impl Fn(&Event) -> bool) {
        let queue = self.mailbox.queue();
        queue.retain(|note| !matches!(note, Note::Event(event) if about(event)));
    }
}

impl State {
    /// The next item whose content is still there.
    fn next_item(&mut self) -> Option<Content> {
        loop {
            let note = self.items.mailbox.pop()?;
            let item = match note {
                Note::Request(received) => {
                    self.items.requests -= 1;
                    return Some(Content::Request(*received));
                }
                Note::Event(Event::Response(id)) => {
                    let Some(result) = self.node.take_response(id) else {
                        continue;
                    };
                    self.item_requests.remove(&id);
                    self.make_room();
                    self.poke();
                    Item::Response(id, result.map_err(|error| self.explain(error)))
                }
                Note::Event(Event::Reply(id)) => {
                    let Some(reply) = self.node.next_reply(id) else {
                        continue;
                    };
                    // There is a place in the mailbox: the query may go on.
                    self.poke();
                    Item::Reply(id, reply)
                }
                Note::Event(Event::Finished(id)) => {
                    let Some(outcome) = self.node.take_outcome(id) else {
                        continue;
                    };
                    self.item_queries.remove(&id);
                    self.make_room();
                    Item::Finished(id, self.conclude(outcome))
                }
                Note::Event(event) => {
                    self.items.changes -= 1;
                    Item::Event(event)
                }
            };
            return Some(Content::Item(item));
        }
    }

    /// Forgets a request that ends among the items.
    pub(crate) fn forget_request(&mut self, id: RequestId) {
        self.item_requests.remove(&id);
        self.items.forget(|event| matches!(event, Event::Response(other) if *other == id));
    }

    /// Forgets a query that ends among the items.
    pub(crate) fn forget_query(&mut self, id: QueryId) {
        self.item_queries.remove(&id);
        self.items.forget(
            |event| matches!(event, Event::Reply(other) | Event::Finished(other) if *other == id),
        );
    }
}

/// An item before guards are built, which has to happen without the lock.
enum Content {
    Item(Item),
    Request(Received),
}

/// Everything that happens, in the order in which it does, made by [`Dht::items`](super::Dht::items):
/// state changes, incoming requests, and what [`Dht::start_request`](super::Dht::start_request)
/// and [`Dht::start_query`](super::Dht::start_query) began. Futures and streams of their own
/// keep what they are about.
///
/// Bounds: replies are left in the core, where 64 waiting ones make a query pause;
/// incoming requests as in [`Requests`](super::Requests), which gets none meanwhile; state
/// changes as in [`Events`](super::Events). If there are several, each item goes to one of
/// them. With the last one goes what was started for it. Ends when the node is closed,
/// which it does not prevent.
#[must_use = "while it lives, items wait in it"]
pub struct Items {
    shared: Arc<Shared>,
    reader: u64,
}

impl Items {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let reader = shared.act(|state, _| {
            let reader = state.ticket();
            state.items.mailbox.join(reader);
            reader
        });
        Self { shared, reader }
    }

    /// The next item; `None` when the node is closed.
    pub async fn next(&mut self) -> Option<Item> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next item, if there is one already.
    pub fn try_next(&mut self) -> Option<Item> {
        let content = self.shared.drive(|state, _| state.next_item());
        content.map(|content| self.build(content))
    }

    /// Whether incoming requests come here: at first they do. If not, they go to
    /// [`Requests`](super::Requests), or are answered with error code 1.
    pub fn take_requests(&self, take: bool) {
        self.shared.act(|state, _| state.items.takes_requests = take);
    }

    /// How many state changes were lost, since nobody took them in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.look(|state| state.items.lost)
    }

    fn build(&self, content: Content) -> Item {
        match content {
            Content::Item(item) => item,
            Content::Request(received) => {
                Item::Request(IncomingRequest::new(Arc::clone(&self.shared), received))
            }
        }
    }
}

impl Stream for Items {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let next = self.shared.poll(cx, |state, _| match state.next_item() {
            Some(content) => Look::Ready(Some(content)),
            None if state.ended => Look::Ready(None),
            None => Look::Wait(state.items.mailbox.slot(self.reader)),
        });
        next.map(|content| content.map(|content| self.build(content)))
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        let _left = self.shared.act(|state, now| {
            let (waker, left) = state.items.mailbox.leave(self.reader);
            if state.items.is_read() {
                return (waker, left);
            }
            for id in mem::take(&mut state.item_requests) {
                state.node.cancel_request(now, id);
            }
            for id in mem::take(&mut state.item_queries) {
                state.node.cancel_query(now, id);
            }
            state.make_room();
            (state.items.changes, state.items.requests) = (0, 0);
            state.items.takes_requests = true;
            for note in &left {
                if let Note::Request(received) = note {
                    state.refuse(now, &received.reply_to);
                }
            }
            (waker, left)
        });
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}
