//! Requests of other nodes, to be answered.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddrV4;

use bytes::Bytes;

use super::guard::own;
use super::mail::Received;
use super::queue::Mailbox;
use super::reader::{Reader, Source, stream};
use super::shared::Shared;
use super::state::State;
use crate::wire::Token;
use crate::{Answer, Id, Instant, Peer, ReplyTo, SendError};

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

impl IncomingRequest {
    pub(crate) const fn new(shared: Arc<Shared>, received: Received) -> Self {
        Self { shared, received, open: true }
    }

    /// Who asks.
    #[must_use]
    pub const fn from(&self) -> Peer {
        self.received.from
    }

    /// Our own address as they see it.
    #[must_use]
    pub const fn to(&self) -> SocketAddrV4 {
        self.received.to
    }

    /// A token, if they sent back a valid one of ours: their address is theirs.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        self.received.token.as_ref()
    }

    /// What they look for.
    #[must_use]
    pub const fn target(&self) -> Option<Id> {
        self.received.target
    }

    /// What they want.
    #[must_use]
    pub const fn command(&self) -> u64 {
        self.received.command
    }

    /// With what. An empty value is not the same as none.
    #[must_use]
    pub const fn value(&self) -> Option<&Bytes> {
        self.received.value.as_ref()
    }

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

/// Prints no token and no content.
impl fmt::Debug for IncomingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Received { from, command, .. } = &self.received;
        f.debug_struct("IncomingRequest")
            .field("from", from)
            .field("command", command)
            .field("token", &self.received.token.is_some())
            .field("value", &self.received.value.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// The requests of other nodes, made by [`Dht::requests`](super::Dht::requests).
///
/// At most [`REQUESTS_MAX`](super::REQUESTS_MAX) wait here; any further one is dropped and counted. The last stream of
/// this kind answers what it leaves with error code 1, as is every request while there is none. Ends when the node is
/// closed, which it does not prevent.
#[must_use = "while it lives, requests wait in it"]
pub struct Requests(Reader<Asked>);

pub(crate) struct Asked;

impl Source for Asked {
    type Entry = Received;

    fn mailbox<'s>(&self, state: &'s mut State, _: u64) -> &'s mut Mailbox<Received> {
        &mut state.mail.requests
    }

    fn clear(&self, state: &mut State, now: Instant, _: u64) {
        for received in state.mail.requests.queue.take() {
            state.refuse(now, &received.reply_to);
        }
    }
}

impl Requests {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Reader::new(shared, Asked))
    }
}

stream!(
    Requests,
    IncomingRequest,
    "The next request; `None` when the node is closed.",
    |own: &Reader<Asked>, received| Some(IncomingRequest::new(own.shared.clone(), received))
);
