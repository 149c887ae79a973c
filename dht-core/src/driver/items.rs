//! Everything in one order, as a stream.

use alloc::sync::Arc;

use super::calls::CallId;
use super::error::Error;
use super::feed::{Feed, Kind};
use super::incoming::IncomingRequest;
use super::mail::Note;
use super::queue::Mailbox;
use super::shared::Shared;
use super::state::State;
use crate::{Event, Instant, Outcome, QueryId, Reply, RequestId};

/// Something that happened, given by [`Items`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// The state has changed; never `Response`, `Reply` or `Finished`.
    Event(Event),
    /// A request that [`Dht::start_request`](super::Dht::start_request) began has ended.
    Response(RequestId, Result<Reply, Error>),
    /// A reply to a query that [`Dht::start_query`](super::Dht::start_query) began.
    Reply(QueryId, Reply),
    /// A query of that kind has ended: this is the last item about it.
    Finished(QueryId, Result<Outcome, Error>),
    /// Another node asks something.
    Request(IncomingRequest),
}

/// Everything that happens, in the order in which it does, made by [`Dht::items`](super::Dht::items):
/// state changes, incoming requests, and what [`Dht::start_request`](super::Dht::start_request)
/// and [`Dht::start_query`](super::Dht::start_query) began. Results of futures and query streams are told by these alone.
///
/// Bounds: replies are left in the core, where 64 waiting ones make a query pause; incoming requests are bounded as
/// in [`Requests`](super::Requests), which gets none meanwhile, and state changes as in [`Events`](super::Events). If
/// there are several feeds of this kind, each item goes to one of them. Dropping the last one cancels the requests and
/// queries that were started for it.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::Request;
/// use dht_core::driver::Item;
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let mut items = node.items();
/// let asked = node.start_request(Request::ping(other.server_address().unwrap()))?;
/// while let Some(item) = items.next().await {
///     match item {
///         Item::Response(id, reply) if id == asked => {
///             reply?;
///             break;
///         }
///         item => println!("{item:?}"),
///     }
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type Items = Feed<Item>;

impl Kind for Item {
    type Note = Note;
    type Key = ();

    fn mailbox(state: &mut State, (): (), _: u64) -> &mut Mailbox<Note> {
        &mut state.mail.items
    }

    fn clear(state: &mut State, now: Instant, (): (), _: u64) {
        state.calls.cancel_items(now, &mut state.node);
        (state.mail.item_requests, state.mail.requests_to_items) = (0, true);
        for note in state.mail.items.queue.take() {
            if let Note::Request(received) = note {
                state.refuse(now, &received.reply_to);
            }
        }
    }

    fn build(shared: &Arc<Shared>, note: Note) -> Option<Self> {
        match note {
            Note::Request(received) => {
                shared.drive(|state, _| state.mail.item_requests -= 1);
                IncomingRequest::build(shared, *received).map(Self::Request)
            }
            // There is a place for another reply, or for another request, so the driver gets to know.
            Note::Event(event) if !event.is_change() => shared.act(|state, _| state.content(event)),
            Note::Event(event) => Some(Self::Event(event)),
        }
    }
}

impl State {
    /// Takes from the core what an event is about.
    fn content(&mut self, event: Event) -> Option<Item> {
        Some(match event {
            Event::Response(id) => {
                let result = self.node.take_response(id)?;
                self.calls.disown(CallId::Request(id));
                Item::Response(id, result.map_err(|error| self.explain(error)))
            }
            Event::Reply(id) => Item::Reply(id, self.node.next_reply(id)?),
            Event::Finished(id) => {
                let outcome = self.node.take_outcome(id)?;
                self.calls.disown(CallId::Query(id));
                Item::Finished(id, self.conclude(outcome))
            }
            event => Item::Event(event),
        })
    }
}

impl Feed<Item> {
    /// Whether incoming requests come here: at first they do. If not, they go to
    /// [`Requests`](super::Requests), or are answered with error code 1.
    pub fn take_requests(&self, take: bool) {
        self.shared.act(|state, _| state.mail.requests_to_items = take);
    }

    /// How many state changes gave way to later ones, since they were not taken in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.mailbox(|items| items.queue.lost())
    }
}
