//! What callers ask for: requests, answers, sessions.

use core::net::SocketAddrV4;

use bytes::Bytes;

use super::{Node, Parts};
use crate::addr::is_sendable;
use crate::api::ask::{Answer, Request};
use crate::api::error::{RequestError, SendError};
use crate::api::message::{Reply, ReplyTo, RequestId, SessionId};
use crate::replies::Out;
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::time::Instant;
use crate::wire::{self, VARINT_MAX};

/// # Requests, and answers to them
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

    /// Forgets a request, ended or not. If it has ended, the event that tells so may still be polled; there is nothing to
    /// take then.
    pub fn cancel_request(&mut self, now: Instant, id: RequestId) {
        self.parts.enter(now, |node| {
            if node.requests.flights().call(id).is_some_and(|call| call.purpose == Purpose::User) {
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
        self.parts.enter(now, |node| node.send(Out::answer(to, answer)))
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
        self.parts.enter(now, |node| node.send(Out::relay(request, to, value)))
    }

    /// Cancels everything in a session: its requests end with
    /// [`RequestError::Destroyed`], its queries end with what they have, or
    /// fail if they had still to commit.
    pub fn end_session(&mut self, now: Instant, session: SessionId) {
        let of_session =
            |call: &Call| call.request.session == Some(session) && call.purpose == Purpose::User;
        self.parts.enter(now, |node| {
            node.fail_all(&of_session, RequestError::Destroyed);
            node.end_queries(Some(session), RequestError::Destroyed);
        });
    }
}

impl Parts {
    /// An id or a token where only its size matters.
    pub(super) const ANY_KEY: [u8; 32] = [0; 32];

    fn request(&mut self, request: Request) -> Result<RequestId, SendError> {
        self.check_sendable(&[request.to], request.command)?;
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

    /// Has an answer or a request of a peer leave.
    fn send(&mut self, out: Out) -> Result<(), SendError> {
        self.check_sendable(&[out.to], out.number)?;
        let len = out.message(Some(&Self::ANY_KEY), Some(&Self::ANY_KEY)).encoded_len();
        self.check_size(len, out.value.as_ref())?;
        if self.replies.push(&mut self.cx, out) { Ok(()) } else { Err(SendError::Busy) }
    }

    /// Whether something with this command or error code can be sent to these addresses now.
    pub(super) fn check_sendable(&self, to: &[SocketAddrV4], number: u64) -> Result<(), SendError> {
        self.upkeep.check_open()?;
        if !to.iter().all(|addr| is_sendable(*addr)) {
            return Err(SendError::InvalidAddress);
        }
        if number > VARINT_MAX {
            return Err(SendError::OutOfRange);
        }
        Ok(())
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
