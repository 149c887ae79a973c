//! Requests of others, to be answered.

use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddrV4;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::guard::Valued;
use super::shared::{Look, Shared};
use crate::wire::Token;
use crate::{Answer, Id, Incoming, Peer, ReplyTo, SendError};

/// A request as it waits to be taken: plain data, without any duty to answer.
pub(crate) struct Received {
    from: Peer,
    to: SocketAddrV4,
    token: Option<Token>,
    target: Option<Id>,
    command: u64,
    value: Option<Bytes>,
    pub(crate) reply_to: ReplyTo,
}

impl From<&Incoming<'_>> for Received {
    fn from(incoming: &Incoming<'_>) -> Self {
        Self {
            from: incoming.from,
            to: incoming.to,
            token: incoming.token.copied(),
            target: incoming.target,
            command: incoming.command,
            value: incoming.value.map(Bytes::copy_from_slice),
            reply_to: incoming.reply_to,
        }
    }
}

/// A request of another node, for the application to answer.
///
/// Dropped without an answer it is answered with error code 1, "unknown command",
/// unless the node is closed; [`ignore`](Self::ignore) leaves it alone. It does not keep
/// the node alive.
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
    pub fn reply(self, answer: Answer) -> Result<(), SendError> {
        let shared = Arc::clone(&self.shared);
        let (to, answer) = (self.ignore(), answer.own());
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
    pub fn relay(self, to: SocketAddrV4, value: Option<Bytes>) -> Result<(), SendError> {
        let shared = Arc::clone(&self.shared);
        let (request, value) = (self.ignore(), value.own());
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

/// The requests of others, made by [`Dht::requests`](super::Dht::requests).
///
/// At most [`REQUESTS_MAX`](super::REQUESTS_MAX) wait here; what comes then is dropped
/// and counted. The last such stream to go answers what it leaves with error code 1, as
/// is everything while there is none. Ends when the node is closed, which it does not prevent.
#[must_use = "while it lives, requests wait in it"]
pub struct Requests {
    shared: Arc<Shared>,
    reader: u64,
}

impl Requests {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let reader = shared.act(|state, _| {
            let reader = state.ticket();
            state.incoming.join(reader);
            reader
        });
        Self { shared, reader }
    }

    /// The next request; `None` when the node is closed.
    pub async fn next(&mut self) -> Option<IncomingRequest> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Requests {
    type Item = IncomingRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<IncomingRequest>> {
        let reader = self.reader;
        let next = self.shared.poll(cx, |state, _| match state.incoming.pop() {
            Some(received) => Look::Ready(Some(received)),
            None if state.ended => Look::Ready(None),
            None => Look::Wait(state.incoming.slot(reader)),
        });
        next.map(|received| {
            received.map(|received| IncomingRequest::new(Arc::clone(&self.shared), received))
        })
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let _left = self.shared.act(|state, now| {
            let (waker, left) = state.incoming.leave(self.reader);
            for received in &left {
                state.refuse(now, &received.reply_to);
            }
            (waker, left)
        });
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}
