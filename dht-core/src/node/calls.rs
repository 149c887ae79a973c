//! What callers ask for: requests, answers, sessions.

use core::net::SocketAddrV4;

use bytes::Bytes;

use super::{Node, Parts};
use crate::addr::is_sendable;
use crate::api::ask::{Answer, Request};
use crate::api::error::{RequestError, SendError};
use crate::api::message::{Reply, ReplyTo, RequestId, SessionId};
use crate::api::way::Way;
use crate::replies::Out;
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::time::Instant;
use crate::wire::{self, VARINT_MAX};

impl Node {
    /// Begins a request. It leaves by [`poll_transmit`](Self::poll_transmit), at once if the
    /// window has room and the node is bound, else as soon as that is so.
    /// [`Event::Response`](crate::Event::Response) tells when it has ended.
    ///
    /// # Errors
    /// If it can't be begun: see [`SendError`]. Nothing is sent then.
    pub fn request(&mut self, now: Instant, request: Request) -> Result<RequestId, SendError> {
        self.parts.enter(now, |node| node.request(request))
    }

    /// How a request ended, once: the first call after [`Event::Response`](crate::Event::Response)
    /// takes it, and frees the request's place.
    #[must_use]
    pub fn take_response(&mut self, id: RequestId) -> Option<Result<Reply, RequestError>> {
        self.parts.enter_now(|node| node.requests.take_result(&mut node.cx, id))
    }

    /// Forgets a request, ended or not. No event about it follows from now on.
    pub fn cancel_request(&mut self, now: Instant, id: RequestId) {
        self.parts.enter(now, |node| {
            if node.requests.call(id).is_some_and(|call| call.purpose == Purpose::User) {
                node.requests.forget(&mut node.cx, id);
            }
            drop(node.requests.take_result(&mut node.cx, id));
        });
    }

    /// Answers an incoming request. It may come late, twice, or never.
    ///
    /// # Errors
    /// If the node is closed or suspended, the value is too large even without closer nodes
    /// (the closer nodes are trimmed to what fits), or too many answers wait to be polled.
    pub fn reply(&mut self, now: Instant, to: ReplyTo, answer: Answer) -> Result<(), SendError> {
        self.parts.enter(now, |node| node.reply(to, answer))
    }

    /// Passes an incoming request on to another node, under its transaction id and with its
    /// command and target, but with another value. That node may answer the one who asked
    /// first ([`Answer::to`]), if that one takes it ([`Request::any_replier`]).
    ///
    /// # Errors
    /// As with [`reply`](Self::reply).
    pub fn relay(
        &mut self,
        now: Instant,
        request: ReplyTo,
        to: SocketAddrV4,
        value: Option<Bytes>,
    ) -> Result<(), SendError> {
        self.parts.enter(now, |node| node.relay(request, to, value))
    }

    /// Cancels everything in a session: its requests end with
    /// [`RequestError::Destroyed`], its queries end with what they have, or
    /// fail if they had still to commit.
    pub fn end_session(&mut self, now: Instant, session: SessionId) {
        let of_session =
            |call: &Call| call.request.session == Some(session) && call.purpose == Purpose::User;
        self.parts.enter(now, |node| {
            node.fail_all(of_session, RequestError::Destroyed);
            node.end_queries(Some(session), RequestError::Destroyed);
        });
    }
}

impl Parts {
    /// An id or a token where only its size matters.
    pub(super) const ANY_KEY: [u8; 32] = [0; 32];

    fn request(&mut self, request: Request) -> Result<RequestId, SendError> {
        self.upkeep.check_open()?;
        if !is_sendable(request.to) {
            return Err(SendError::InvalidAddress);
        }
        if request.command > VARINT_MAX {
            return Err(SendError::OutOfRange);
        }
        if request.delay > self.cx.config.max_ping_delay {
            return Err(SendError::DelayTooLong { max: self.cx.config.max_ping_delay });
        }
        self.check_request_size(&request)?;
        if self.requests.user_is_busy(&self.cx.config) {
            return Err(SendError::Busy);
        }
        let any_replier = request.any_replier && !request.internal;
        let request = Request { any_replier, ..request };
        self.begin(Call::new(request, Class::User, Purpose::User)).ok_or(SendError::Busy)
    }

    fn reply(&mut self, to: ReplyTo, answer: Answer) -> Result<(), SendError> {
        self.upkeep.check_open()?;
        let dest = answer.to.unwrap_or(to.from);
        let way = answer.via.map_or(to.way, |via| Way::new(via, None));
        if !is_sendable(dest) {
            return Err(SendError::InvalidAddress);
        }
        if answer.error > VARINT_MAX {
            return Err(SendError::OutOfRange);
        }
        let size = wire::Response {
            tid: to.tid,
            to: dest,
            id: Some(&Self::ANY_KEY),
            token: answer.token.then_some(&Self::ANY_KEY),
            closer_nodes: None,
            error: answer.error,
            value: answer.value.as_deref(),
        };
        self.check_size(size.encoded_len(), answer.value.as_ref())?;
        let reply = Out::Reply {
            to: dest,
            way,
            tid: to.tid,
            closer_to: to.target.filter(|_| answer.closer_nodes),
            token: answer.token,
            error: answer.error,
            value: answer.value,
        };
        if self.replies.push(&mut self.cx, reply) { Ok(()) } else { Err(SendError::Busy) }
    }

    fn relay(
        &mut self,
        request: ReplyTo,
        to: SocketAddrV4,
        value: Option<Bytes>,
    ) -> Result<(), SendError> {
        self.upkeep.check_open()?;
        if !is_sendable(to) {
            return Err(SendError::InvalidAddress);
        }
        let ReplyTo { tid, command, internal, target, .. } = request;
        let size = wire::Request {
            tid,
            to,
            id: Some(&Self::ANY_KEY),
            token: None,
            internal,
            command,
            target: target.as_ref().map(crate::Id::as_bytes),
            value: value.as_deref(),
        };
        self.check_size(size.encoded_len(), value.as_ref())?;
        let relay = Out::Relay { to, via: request.via(), tid, internal, command, target, value };
        if self.replies.push(&mut self.cx, relay) { Ok(()) } else { Err(SendError::Busy) }
    }

    /// Whether there is room in a datagram for a message of `len` bytes with `value` in it.
    fn check_size(&self, len: usize, value: Option<&Bytes>) -> Result<(), SendError> {
        let value = value.map_or(0, Bytes::len);
        if len <= self.cx.config.max_datagram {
            return Ok(());
        }
        // The length in front of a value that fills a datagram takes three bytes.
        let others = len.saturating_sub(value + wire::varint_len(value as u64));
        Err(SendError::TooLarge { limit: self.cx.config.max_datagram.saturating_sub(others + 3) })
    }

    pub(super) fn check_request_size(&self, request: &Request) -> Result<(), SendError> {
        let len = request.message(0, Some(&Self::ANY_KEY)).encoded_len();
        self.check_size(len, request.value.as_ref())
    }
}
