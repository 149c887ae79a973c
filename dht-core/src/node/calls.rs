//! What callers ask for: requests, answers, sessions.

use core::net::SocketAddrV4;

use bytes::Bytes;

use super::{Node, Parts};
use crate::addr::is_sendable;
use crate::api::ask::{Answer, Request};
use crate::api::error::{RequestError, SendError};
use crate::api::message::{Reply, ReplyTo, RequestId, SessionId, Via};
use crate::replies::{Out, Paid, most};
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::table::K;
use crate::time::Instant;
use crate::wire::{self, ADDR_LEN, VARINT_MAX};

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
        self.parts.enter(now, |node| node.send(Out::answer(to, answer), Some(to.len.into())))
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
        self.parts.enter(now, |node| node.send(Out::relay(request, to, value), None))
    }

    /// Whether a request would fit into a datagram.
    #[cfg(all(feature = "hyperdht", feature = "driver"))]
    pub(crate) fn check_size(&self, request: &Request) -> Result<(), SendError> {
        self.parts.check_request_size(request)
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

    /// Has an answer to a request of `asked` bytes, or a request of a peer, leave.
    fn send(&mut self, mut out: Out, asked: Option<usize>) -> Result<(), SendError> {
        self.check_sendable(&[out.to], out.number)?;
        let len = out.message(Some(&Self::ANY_KEY), Some(&Self::ANY_KEY)).encoded_len();
        self.check_size(len, out.value.as_ref())?;
        if asked.is_some_and(|asked| !self.affords(&mut out, most(asked))) {
            self.cx.stats.withheld.answers += 1;
            return Ok(());
        }
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

    /// Whether an answer may leave, where a host that may not be there gets `most` bytes for its request. It may have to do
    /// without closer nodes.
    fn affords(&mut self, out: &mut Out, most: usize) -> bool {
        let own = !self.reach.is_ephemeral() && out.way.via() == Via::Server;
        let len = out.message(own.then_some(&Self::ANY_KEY), Some(&Self::ANY_KEY)).encoded_len();
        // Their number takes a byte.
        let nodes = out.target.map_or(0, |_| 1 + ADDR_LEN * K.min(self.members.table().len()));
        let (to, now) = (out.to, self.cx.now);
        if len + nodes <= most || self.is_there(to) {
            return true;
        }
        let paid = if out.value.is_some() {
            self.replies.budget.pay(now, *to.ip(), self.cx.config.marks())
        } else {
            Paid::Yes
        };
        if paid != Paid::Yes {
            // Many ask there, from behind one NAT perhaps: one answer, and they have no limit any more.
            let ask = self.members.ask_for_proof(&mut self.cx, to, out.way.via());
            self.ask_some(ask);
        }
        if out.value.is_some() && paid != Paid::No {
            return true;
        }
        out.nodes = (most.saturating_sub(len + 1) / ADDR_LEN).min(K) as u8;
        let fits = len <= most;
        self.cx.stats.withheld.closer_nodes += u64::from(fits && out.value.is_some());
        fits
    }

    /// Whether a host has shown that it is there: lately, or it is one of the table's nodes.
    fn is_there(&self, addr: SocketAddrV4) -> bool {
        self.cx.config.exempt.covers(*addr.ip())
            || self.replies.budget.is_proven(self.cx.now, *addr.ip())
            || self.members.table().get(addr).is_some()
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
