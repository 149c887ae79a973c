//! The handle to a node: asking, answering and life. Its state is in [`status`](super::status), what bindings and logs
//! need is in [`bindings`](super::bindings).

use alloc::sync::Arc;
use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;

use super::feed::Feed;
use super::guard::own;
use super::incoming::Requests;
use super::life::{Goal, Life};
use super::milestone::Milestone;
use super::query::QueryStream;
use super::request::{RequestFuture, Session};
use super::shared::{Handle, Shared};
use super::state::State;
use crate::{
    Answer, DATAGRAM_MAX, Id, Instant, InvalidNode, Node, Query, ReplyTo, Request, SavedNode,
    SendError, SessionId,
};

/// A handle to a node: cheap to clone, and the same type on every runtime.
///
/// All calls act when they are made, not when what they return is polled. The node lives
/// until it is [closed](Self::close) or its last handle is dropped; [`RequestFuture`],
/// [`QueryStream`], [`Session`] and [`Milestone`] count as handles, other streams don't.
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

/// # Life
impl Dht {
    /// Waits until the sockets are bound.
    ///
    /// # Errors
    /// If they can't be, or the node is closed.
    #[must_use = "this only waits"]
    pub fn listening(&self) -> Milestone {
        self.milestone(Goal::Listening)
    }

    /// Waits until the node is bootstrapped. Nothing else needs to wait for that.
    ///
    /// It succeeds even if no node answered, or no name could be resolved, after two seconds or so:
    /// [`Event::BootstrapSilent`](crate::Event::BootstrapSilent) tells, and the node goes on trying.
    ///
    /// # Errors
    /// If the sockets can't be bound, or the node is closed.
    #[doc(alias = "ready")]
    #[must_use = "this only waits"]
    pub fn fully_bootstrapped(&self) -> Milestone {
        self.milestone(Goal::Bootstrapped)
    }

    /// Closes the node: requests fail with `Destroyed`, answers that wait are still sent,
    /// then the sockets are closed, which can be waited for. May be called again; it always
    /// succeeds.
    ///
    /// # Errors
    /// None.
    #[doc(alias = "destroy")]
    pub fn close(&self) -> Milestone {
        self.shared().act(State::close);
        self.milestone(Goal::Closed)
    }

    /// Suspends the node: requests fail with `Suspended`, queries end with what they have,
    /// the sockets are closed, which can be waited for. Before the first bind it waits for
    /// that; on a suspended or closed node it does nothing and succeeds.
    ///
    /// # Errors
    /// If the sockets could not be bound in the first place.
    pub fn suspend(&self) -> Milestone {
        self.step(Life::suspend, Goal::Suspended)
    }

    /// Takes a suspended node back: binds the same ports if it can, which can be waited for,
    /// and refreshes. On a node that is not suspended, or closed, it does nothing and succeeds.
    ///
    /// # Errors
    /// If the sockets can't be bound now. The node lives on, with its table and its handles, but what it
    /// is asked for fails as while it is suspended. It tries again by itself, after 1 s at first and after 60 s
    /// at most, and at once when this is called again; [`Event::Resumed`](crate::Event::Resumed) tells of success.
    pub fn resume(&self) -> Milestone {
        self.step(Life::resume, Goal::Resumed)
    }

    /// Tells the node that its machine is in another network, as systems of mobile devices tell their apps. Sockets that
    /// are gone, or that turn out to be deaf within 15 s, are replaced; what peers said of the own address is
    /// forgotten, and the table refreshed, at most every 30 s ([`Node::handle_network_change`]). Without this call the
    /// driver notices by itself, since it looks every 5 s.
    ///
    /// [`Node::handle_network_change`]: crate::Node::handle_network_change
    pub fn network_changed(&self) {
        self.shared().act(State::network_changed);
    }

    /// Tells the node that its machine has slept. Driver and core notice by themselves as a rule.
    pub fn wakeup(&self) {
        self.shared().act(|state, now| state.node.handle_wakeup(now));
    }

    fn step(&self, step: fn(&mut Life, Instant, &mut Node), goal: Goal) -> Milestone {
        self.shared().act(|state, now| state.step(|life, node| step(life, now, node)));
        self.milestone(goal)
    }

    fn milestone(&self, goal: Goal) -> Milestone {
        Milestone::new(self.handle.clone(), goal)
    }
}

/// # Routing table
impl Dht {
    /// Puts a node into the routing table, unasked and unchecked. Whether it is there now: not if the table
    /// has no place for it, if it is the node itself, or if the node is closed.
    ///
    /// # Errors
    /// If that is no node's address: 0.0.0.0, or port 0.
    pub fn add_node(&self, addr: SocketAddrV4) -> Result<bool, InvalidNode> {
        self.shared().act(|state, now| state.node.add_node(now, addr))
    }

    /// Puts nodes back into the routing table that [`export`](Self::export) gave, `away` ago. How many of
    /// them are there now: the table has no place for the rest, or their addresses are no node's.
    pub fn import(&self, nodes: &[SavedNode], away: Duration) -> usize {
        self.shared().act(|state, now| state.node.import(now, nodes, away))
    }

    /// Looks up a random node in the background, which freshens the routing table.
    pub fn refresh(&self) {
        self.shared().act(|state, now| state.node.refresh(now));
    }

    /// Runs the periodic upkeep without waiting for its 5 s. `quiet`: only what needs no packet.
    #[doc(alias = "tick")]
    pub fn maintain(&self, quiet: bool) {
        self.shared().act(|state, now| state.node.maintain(now, quiet));
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
