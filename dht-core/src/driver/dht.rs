//! The handle to a node: asking and answering. Further methods are in [`status`](super::status),
//! [`milestone`](super::milestone) and [`bindings`](super::bindings).

use alloc::sync::Arc;
use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;

use super::feed::Feed;
use super::guard::own;
use super::incoming::Requests;
use super::query::QueryStream;
use super::request::{RequestFuture, Session};
use super::shared::{Handle, Shared};
use crate::{Answer, DATAGRAM_MAX, Id, Query, ReplyTo, Request, SendError, SessionId};

/// A handle to a node: cheap to clone, and the same type on every runtime.
///
/// All calls act when they are made, not when what they return is polled. The node lives
/// until it is [closed](Self::close) or its last handle is dropped; [`RequestFuture`],
/// [`QueryStream`], [`Session`] and [`Milestone`](super::Milestone) count as handles, other streams don't.
/// If the driver is dropped, or its runtime goes away, the node is closed.
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
///
/// // The request is on its way before `request` returns.
/// let asked = node.request(Request::new(to, 7).value("hello"));
/// let request = requests.next().await.expect("open");
/// request.reply(Answer::value("world"))?;
/// assert_eq!(asked.await?.value.unwrap(), "world");
///
/// node.close().await?;
/// assert!(node.closed() && !other.closed());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Dht {
    pub(crate) handle: Handle,
}

/// # Asking
impl Dht {
    /// Makes a request, which is on its way before this returns. The future gives the
    /// answer: a reply, maybe with an error code, or why there is none. If
    /// [`Config::max_requests`](crate::Config::max_requests) are under way already, it waits for a place, in order;
    /// at most [`WAITING_MAX`](super::WAITING_MAX) wait.
    pub fn request(&self, request: Request) -> RequestFuture {
        RequestFuture::new(self.handle.clone(), request)
    }

    /// PING.
    pub fn ping(&self, to: SocketAddrV4) -> RequestFuture {
        self.request(Request::ping(to))
    }

    /// Begins a query. If there are [`Config::max_queries`](crate::Config::max_queries) already, it waits for a
    /// place, as requests do.
    pub fn query(&self, query: Query) -> QueryStream {
        QueryStream::new(self.handle.clone(), query)
    }

    /// Looks for the nodes closest to `target`.
    pub fn find_node(&self, target: Id) -> QueryStream {
        self.query(Query::find_node(target))
    }

    /// A group of requests and queries that can be ended together.
    #[must_use]
    pub fn session(&self) -> Session {
        // Out of the way of numbers that the caller may have chosen.
        let number = self.shared().drive(|state, _| state.ticket()) | 1 << 63;
        Session::new(self.handle.clone(), SessionId(number))
    }

    /// PING with `size` zero bytes of padding, and with this time to live (0: the system's default).
    pub fn ping_with(&self, to: SocketAddrV4, size: usize, ttl: u8) -> RequestFuture {
        // A ping longer than any datagram is refused as this one is.
        static ZEROS: [u8; DATAGRAM_MAX] = [0; DATAGRAM_MAX];
        let ping = Request::ping(to).ttl(ttl);
        self.request(match ZEROS.get(..size).unwrap_or(&ZEROS) {
            [] => ping,
            zeros => ping.value(Bytes::from_static(zeros)),
        })
    }

    /// A PING that is answered after `delay`, to the millisecond.
    pub fn delayed_ping(&self, to: SocketAddrV4, delay: Duration) -> RequestFuture {
        self.request(Request::delayed_ping(to, delay))
    }
}

/// # Answering
impl Dht {
    /// Requests of other nodes, to be answered. While there is no stream of this kind they are
    /// answered with error code 1, "unknown command".
    pub fn requests(&self) -> Requests {
        Feed::new(self.handle.share(), ())
    }

    /// Answers a request of another node that was left open ([`IncomingRequest::ignore`](super::IncomingRequest::ignore)).
    ///
    /// # Errors
    /// If the answer can't be sent; nothing is sent then.
    pub fn reply(&self, to: ReplyTo, mut answer: Answer) -> Result<(), SendError> {
        own(&mut answer.value);
        self.shared().act(|state, now| state.node.reply(now, to, answer))
    }

    /// Passes on a request of another node that was left open, as
    /// [`IncomingRequest::relay`](super::IncomingRequest::relay) does.
    ///
    /// # Errors
    /// If the request can't be sent; nothing is sent then.
    pub fn relay(
        &self,
        request: ReplyTo,
        to: SocketAddrV4,
        mut value: Option<Bytes>,
    ) -> Result<(), SendError> {
        own(&mut value);
        self.shared().act(|state, now| state.node.relay(now, request, to, value))
    }
}

impl Dht {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { handle: Handle::new(shared) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle
    }
}
