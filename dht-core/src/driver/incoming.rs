//! Requests of other nodes, to be answered.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddrV4;
use core::ops::Deref;

use bytes::Bytes;

use super::feed::{Feed, Kind};
use super::guard::own;
use super::mail::Received;
use super::queue::Mailbox;
use super::shared::Shared;
use super::state::State;
use crate::{Answer, Instant, ReplyTo, SendError};

/// A request of another node, for the application to answer, given by [`Requests`] and [`Items`](super::Items).
///
/// If it is dropped without an answer, or its answer can't be sent, it is answered with error code 1, "unknown command", unless the node is
/// closed; [`ignore`](Self::ignore) leaves it without an answer. It does not keep the node alive.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::{Answer, Request};
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let mut requests = other.requests();
/// let to = other.server_address().unwrap();
/// let asked = [7, 8, 9].map(|command| node.request(Request::new(to, command).value("ping")));
/// for _ in 0..3 {
///     let request = requests.next().await.expect("open");
///     match request.command {
///         7 => request.reply_value("pong")?,
///         8 => {
///             // The answer may come later, also when the request itself is gone.
///             let reply_to = request.ignore();
///             other.reply(reply_to, Answer::error(16))?;
///         }
///         _ => drop(request), // answers "unknown command"
///     }
/// }
/// let [pong, error, unknown] = asked;
/// assert_eq!(pong.await?.value.unwrap(), "pong");
/// assert_eq!((error.await?.error, unknown.await?.error), (16, 1));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "dropping it answers \"unknown command\""]
pub struct IncomingRequest {
    shared: Arc<Shared>,
    received: Received,
    open: bool,
}

impl Deref for IncomingRequest {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.received
    }
}

impl IncomingRequest {
    /// Answers.
    ///
    /// # Errors
    /// If the answer can't be sent. The node that asks gets error code 1 in its stead, as if the request were dropped:
    /// without any answer it would ask again until its time-out, and take this node for dead. So it is if the value
    /// is too large: with the defaults at most 1,323 bytes fit, and [`SendError::TooLarge`] has the limit of this
    /// answer. To answer with another error code, compare the length before.
    pub fn reply(self, mut answer: Answer) -> Result<(), SendError> {
        own(&mut answer.value);
        self.answer(|state, now, to| state.node.reply(now, to, answer))
    }

    fn answer(
        mut self,
        send: impl FnOnce(&mut State, Instant, ReplyTo) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        // If the call panics there is no node to refuse it.
        self.open = false;
        let to = self.received.reply_to;
        let sent = self.shared.act(|state, now| send(state, now, to));
        // What was not answered is refused on drop.
        self.open = sent.is_err();
        sent
    }

    /// Answers with a value, a fresh token and, if there was a target, closer nodes.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn reply_value(self, value: impl Into<Bytes>) -> Result<(), SendError> {
        self.reply(Answer::value(value))
    }

    /// Answers with an error code, by convention 16 or above.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn error(self, code: u64) -> Result<(), SendError> {
        self.reply(Answer::error(code))
    }

    /// Passes the request on to `to`, with another value, for that node to answer the
    /// sender: [`Answer::to`]. The sender has to expect it: [`Request::any_replier`](crate::Request::any_replier).
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn relay(self, to: SocketAddrV4, mut value: Option<Bytes>) -> Result<(), SendError> {
        own(&mut value);
        self.answer(|state, now, request| state.node.relay(now, request, to, value))
    }

    /// Leaves it without an answer; or for later: with what comes back,
    /// [`Dht::reply`](super::Dht::reply) can answer at any time, once, twice or never.
    pub fn ignore(mut self) -> ReplyTo {
        self.open = false;
        self.received.reply_to
    }
}

impl Drop for IncomingRequest {
    fn drop(&mut self) {
        if self.open {
            self.shared.act(|state, now| state.refuse(now, &self.received.reply_to));
        }
    }
}

impl fmt::Debug for IncomingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.received.fmt(f)
    }
}

/// The requests of other nodes, made by [`Dht::requests`](super::Dht::requests).
///
/// At most [`REQUESTS_MAX`](super::REQUESTS_MAX) wait here; any further one is dropped and counted. The last feed of
/// this kind answers what it leaves with error code 1, as is every request while there is none.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use std::collections::HashMap;
/// use dht_core::{Answer, Id, Request};
/// use dht_core::driver::Requests;
///
/// /// Keeps a value for each target.
/// async fn serve(mut requests: Requests) {
///     let mut values = HashMap::new();
///     while let Some(request) = requests.next().await {
///         let Some(target) = request.target else { continue };
///         let known = values.get(&target).cloned();
///         values.extend(request.value.clone().map(|value| (target, value)));
///         request.reply(known.map_or(Answer::empty(), Answer::value)).ok();
///     }
/// }
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let requests = other.requests();
/// std::thread::spawn(|| block_on(serve(requests)));
/// let get = || Request::new(other.server_address().unwrap(), 7).target(Id([1; 32]));
/// node.request(get().value("kept")).await?;
/// assert_eq!(node.request(get()).await?.value.unwrap(), "kept");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type Requests = Feed<IncomingRequest>;

impl Kind for IncomingRequest {
    type Note = Received;
    type Key = ();

    fn mailbox(state: &mut State, (): (), _: u64) -> &mut Mailbox<Received> {
        &mut state.mail.requests
    }

    fn clear(state: &mut State, now: Instant, (): (), _: u64) {
        for received in state.mail.requests.queue.take() {
            state.refuse(now, &received.reply_to);
        }
    }

    fn build(shared: &Arc<Shared>, received: Received) -> Option<Self> {
        Some(Self { shared: Arc::clone(shared), received, open: true })
    }
}
