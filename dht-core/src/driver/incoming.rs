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
/// If it is dropped without an answer, it is answered with error code 1, "unknown command", unless the node is
/// closed; [`ignore`](Self::ignore) leaves it without an answer. It does not keep the node alive.
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
    /// If the answer can't be sent; nothing is sent then.
    pub fn reply(self, mut answer: Answer) -> Result<(), SendError> {
        let shared = Arc::clone(&self.shared);
        own(&mut answer.value);
        let to = self.ignore();
        shared.act(|state, now| state.node.reply(now, to, answer))
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
        let shared = Arc::clone(&self.shared);
        own(&mut value);
        let request = self.ignore();
        shared.act(|state, now| state.node.relay(now, request, to, value))
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
