//! The handle to a node: what it can be asked to do. What it can be asked to tell is in `observe`.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;

use super::error::Error;
use super::events::Events;
use super::guard::Valued;
use super::incoming::Requests;
use super::items::Items;
use super::milestone::{Goal, Milestone};
use super::query::QueryStream;
use super::raw::{Datagrams, ExtraSocket, RawTransmit};
use super::request::{RequestFuture, Session};
use super::shared::Shared;
use super::state::State;
use crate::{
    Answer, DATAGRAM_MAX, Id, InvalidNode, Query, QueryId, Reply, ReplyTo, Request, RequestId,
    SavedNode, SendError, SessionId, Via,
};

/// A node, for everybody who wants to use it: cheap to clone, and the same type on every
/// runtime.
///
/// All calls act when they are made, not when what they return is polled. The node lives
/// until it is [closed](Self::close) or its last handle is dropped; [`RequestFuture`],
/// [`QueryStream`], [`Session`] and [`Milestone`] count as handles, other streams don't.
/// If the driver is dropped, or its runtime goes away, the node is closed.
#[derive(Clone)]
pub struct Dht {
    handle: Arc<Handle>,
}

/// Counted, so that the last one closes the node.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.act(State::close);
    }
}

impl Dht {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let handle = Arc::new(Handle { shared });
        Self { handle }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn share(&self) -> Arc<Shared> {
        Arc::clone(&self.handle.shared)
    }

    /// Makes a request, which is on its way before this returns. What it gives is the
    /// answer: a reply, maybe with an error code, or why there is none. If
    /// [`Config::max_requests`](crate::Config::max_requests) are under way already, it waits for a place, in order;
    /// at most [`WAITING_MAX`](super::WAITING_MAX) wait.
    pub fn request(&self, request: Request) -> RequestFuture {
        RequestFuture::new(self.clone(), request)
    }

    /// PING.
    pub fn ping(&self, to: SocketAddrV4) -> RequestFuture {
        self.request(Request::ping(to))
    }

    /// PING with `size` zero bytes of padding, and with this time to live (0: the system's default).
    pub fn ping_with(&self, to: SocketAddrV4, size: usize, ttl: u8) -> RequestFuture {
        // What is larger than any datagram is refused all the same.
        static ZEROS: [u8; DATAGRAM_MAX] = [0; DATAGRAM_MAX];
        let zeros = ZEROS.get(..size).unwrap_or(&ZEROS);
        let ping = Request::ping(to).ttl(ttl);
        self.request(match zeros {
            [] => ping,
            zeros => ping.value(Bytes::from_static(zeros)),
        })
    }

    /// A PING that is answered after `delay`, to the millisecond.
    pub fn delayed_ping(&self, to: SocketAddrV4, delay: Duration) -> RequestFuture {
        self.request(Request::delayed_ping(to, delay))
    }

    /// Begins a query. If there are [`Config::max_queries`](crate::Config::max_queries) already, it waits for a
    /// place, as requests do.
    pub fn query(&self, query: Query) -> QueryStream {
        QueryStream::new(self.clone(), query)
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
        Session::new(self.clone(), SessionId(number))
    }

    /// Ends a session: its requests fail with [`RequestError::Destroyed`](crate::RequestError::Destroyed), its queries end
    /// with what they have. It can be used again.
    pub fn end_session(&self, session: SessionId) {
        self.shared().act(|state, now| {
            let (requests, queries) = (&mut state.waiting_requests, &mut state.waiting_queries);
            requests.end_session(session, &mut state.wakes);
            queries.end_session(session, &mut state.wakes);
            state.node.end_session(now, session);
            state.make_room();
        });
    }

    /// Requests of others, to be answered. While there is no such stream they are
    /// answered with error code 1, "unknown command".
    pub fn requests(&self) -> Requests {
        Requests::new(self.share())
    }

    /// Answers a request of another node that was left open ([`IncomingRequest::ignore`](super::IncomingRequest::ignore)).
    ///
    /// # Errors
    /// If the answer can't be sent; nothing is sent then.
    pub fn reply(&self, to: ReplyTo, answer: Answer) -> Result<(), SendError> {
        let answer = answer.own();
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
        value: Option<Bytes>,
    ) -> Result<(), SendError> {
        let value = value.own();
        self.shared().act(|state, now| state.node.relay(now, request, to, value))
    }

    /// State changes from now on. To miss nothing, take it before the node runs: between
    /// [`Builder::build`](super::Builder::build) and spawning the driver.
    pub fn events(&self) -> Events {
        Events::new(self.share())
    }

    /// Whether to tell of nodes that enter and leave the table; [`Config::node_events`](crate::Config::node_events) at first.
    pub fn set_node_events(&self, on: bool) {
        self.shared().drive(|state, _| state.node.set_node_events(on));
    }

    /// Everything that happens from now on, in one order, including incoming requests
    /// and what [`start_request`](Self::start_request) and [`start_query`](Self::start_query) begin.
    pub fn items(&self) -> Items {
        Items::new(self.share())
    }

    /// Makes a request whose answer comes among the [`Items`]. If there is no such stream,
    /// nobody hears of it.
    ///
    /// # Errors
    /// If it can't begin. It does not wait for a place.
    pub fn start_request(&self, request: Request) -> Result<RequestId, SendError> {
        let request = request.own();
        self.shared().act(|state, now| {
            let id = state.node.request(now, request)?;
            if state.items.is_read() {
                state.item_requests.insert(id);
            }
            Ok(id)
        })
    }

    /// Forgets a request that [`start_request`](Self::start_request) began: nothing follows.
    pub fn cancel_request(&self, id: RequestId) {
        self.shared().act(|state, now| {
            if state.item_requests.contains(&id) {
                state.node.cancel_request(now, id);
                state.forget_request(id);
                state.make_room();
            }
        });
    }

    /// Begins a query whose replies and outcome come among the [`Items`]. If there is no
    /// such stream, nobody hears of it.
    ///
    /// # Errors
    /// If it can't begin. It does not wait for a place.
    pub fn start_query(&self, query: Query) -> Result<QueryId, SendError> {
        let query = query.own();
        self.shared().act(|state, now| {
            let id = state.node.query(now, query)?;
            match state.items.is_read() {
                true => drop(state.item_queries.insert(id)),
                false => state.node.discard_replies(id),
            }
            Ok(id)
        })
    }

    /// Ends a query that [`start_query`](Self::start_query) began, with what it has so far: replies
    /// that were not taken are gone, [`Item::Finished`](super::Item::Finished) follows.
    pub fn finish_query(&self, id: QueryId) {
        self.shared().act(|state, now| {
            if state.item_queries.contains(&id) {
                state.node.finish_query(now, id);
            }
        });
    }

    /// Forgets a query that [`start_query`](Self::start_query) began: nothing follows.
    pub fn cancel_query(&self, id: QueryId) {
        self.shared().act(|state, now| {
            if state.item_queries.contains(&id) {
                state.node.cancel_query(now, id);
                state.forget_query(id);
                state.make_room();
            }
        });
    }

    /// Datagrams from now on that come in by the node's sockets and are not dht-rpc's.
    pub fn datagrams(&self) -> Datagrams {
        Datagrams::new(self.share())
    }

    /// Sends a datagram of another protocol by one of the node's sockets, with this time
    /// to live or the system's default. At most [`RAW_MAX`](super::RAW_MAX) wait per socket.
    ///
    /// # Errors
    /// If the node is closed or suspended, the queue is full, or `via` is no socket of the node's.
    pub fn send_datagram(
        &self,
        via: Via,
        to: SocketAddrV4,
        data: impl Into<Bytes>,
        ttl: Option<u8>,
    ) -> Result<(), SendError> {
        let data = Bytes::copy_from_slice(&data.into());
        let transmit = RawTransmit { to, ttl, data };
        self.shared().act(|state, _| state.send_raw(via, transmit))
    }

    /// Lets the node use a socket of the embedder's own as [`Via::Extra`].
    pub fn extra(&self, number: u16) -> ExtraSocket {
        ExtraSocket::new(self.share(), number)
    }

    /// Puts a node into the routing table, unasked and unchecked. Whether it is there now: not if the table
    /// has no place for it, if it is the node itself, or if the node is closed.
    ///
    /// # Errors
    /// If that is no node's address: 0.0.0.0, or port 0.
    pub fn add_node(&self, addr: SocketAddrV4) -> Result<bool, InvalidNode> {
        self.shared().act(|state, now| state.node.add_node(now, addr))
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

    /// The machine has slept, or something like it. Driver and core notice by themselves,
    /// as a rule.
    pub fn wakeup(&self) {
        self.shared().act(|state, now| state.node.handle_wakeup(now));
    }

    /// The machine is in another network, says its system: mobile ones tell apps, and take their sockets, maybe.
    /// Sockets that are gone, or that turn out to be deaf within 15 s, are replaced; what peers said of the
    /// own address is forgotten, and the table refreshed, at most every 30 s ([`Node::handle_network_change`]).
    /// Nothing goes wrong without: the driver looks by itself every 5 s.
    ///
    /// [`Node::handle_network_change`]: crate::Node::handle_network_change
    pub fn network_changed(&self) {
        self.shared().act(State::network_changed);
    }

    /// Puts nodes back into the routing table that [`export`](Self::export) gave, `away` ago. How many of
    /// them are there now: others found no place, or have no node's address.
    pub fn import(&self, nodes: &[SavedNode], away: Duration) -> usize {
        self.shared().act(|state, now| state.node.import(now, nodes, away))
    }

    /// Waits until the sockets are bound.
    ///
    /// # Errors
    /// If they can't be, or the node is closed.
    #[must_use = "this only waits"]
    pub fn listening(&self) -> Milestone {
        Milestone::new(self.clone(), Goal::Listening)
    }

    /// Waits until the node is bootstrapped. Nothing else needs to wait for that.
    ///
    /// It succeeds even if nobody answered, or no name could be resolved, after two seconds or so:
    /// [`Event::BootstrapSilent`](crate::Event::BootstrapSilent) tells, and the node goes on trying.
    ///
    /// # Errors
    /// If the sockets can't be bound, or the node is closed.
    #[doc(alias = "ready")]
    #[must_use = "this only waits"]
    pub fn fully_bootstrapped(&self) -> Milestone {
        Milestone::new(self.clone(), Goal::Bootstrapped)
    }

    /// Suspends the node: requests fail with `Suspended`, queries end with what they have,
    /// the sockets are closed, which can be waited for. Before the first bind it waits for
    /// that; on a suspended or closed node it does nothing and succeeds.
    ///
    /// # Errors
    /// If the sockets could not be bound in the first place.
    pub fn suspend(&self) -> Milestone {
        let _previous = self.shared().act(State::suspend);
        Milestone::new(self.clone(), Goal::Suspended)
    }

    /// Takes a suspended node back: binds the same ports if it can, which can be waited for,
    /// and refreshes. On a node that is not suspended, or closed, it does nothing and succeeds.
    ///
    /// # Errors
    /// If the sockets can't be bound now. The node lives on, with its table and its handles, but what it
    /// is asked for fails as while it is suspended. It tries again by itself, after 1 s at first and after 60 s
    /// at most, and at once when this is called again; [`Event::Resumed`](crate::Event::Resumed) tells of success.
    pub fn resume(&self) -> Milestone {
        let _previous = self.shared().act(State::resume);
        Milestone::new(self.clone(), Goal::Resumed)
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
        Milestone::new(self.clone(), Goal::Closed)
    }

    /// Round-trip times and closer nodes as found by a lookup of the node heard from last.
    ///
    /// # Errors
    /// As [`QueryStream::finished`].
    pub async fn rtt_stats(&self) -> Result<RttStats, Error> {
        let latest = self.shared().look(|state| state.node.nodes().next());
        let Some(latest) = latest else {
            return Ok(RttStats::nobody());
        };
        let mut query = self.find_node(Id::of(latest));
        let replies = query.replies().await?;
        let outcome = query.finished().await?;
        Ok(RttStats {
            successes: outcome.successes,
            errors: outcome.errors,
            responses: ReplyStats::of(&replies),
            closest_replies: ReplyStats::of(&outcome.closest),
        })
    }
}

impl fmt::Debug for Dht {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dht")
    }
}

/// What [`Dht::rtt_stats`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RttStats {
    /// Answers without an error code.
    pub successes: u32,
    /// Answers with an error code, and requests that failed.
    pub errors: u32,
    /// About all replies.
    pub responses: ReplyStats,
    /// About the replies of the closest nodes.
    pub closest_replies: ReplyStats,
}

impl RttStats {
    /// A node that knows nobody has zero everywhere.
    const fn nobody() -> Self {
        let none =
            ReplyStats { avg_rtt: Some(Duration::ZERO), errors: 0, avg_closer_nodes: Some(0.0) };
        Self { successes: 0, errors: 0, responses: none, closest_replies: none }
    }
}

/// Averages over replies.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReplyStats {
    /// The mean round-trip time; `None` without replies.
    pub avg_rtt: Option<Duration>,
    /// The sum of their error codes.
    pub errors: u64,
    /// How many closer nodes they named on average; `None` without replies.
    pub avg_closer_nodes: Option<f64>,
}

impl ReplyStats {
    fn of(replies: &[Reply]) -> Self {
        let count = u32::try_from(replies.len()).unwrap_or(u32::MAX);
        let rtt: Duration = replies.iter().map(|reply| reply.rtt).sum();
        let nodes = |reply: &Reply| reply.closer_nodes.as_ref().map_or(0, |nodes| nodes.len());
        let nodes: usize = replies.iter().map(nodes).sum();
        Self {
            avg_rtt: rtt.checked_div(count),
            errors: replies.iter().fold(0, |sum, reply| sum.saturating_add(reply.error)),
            avg_closer_nodes: (count > 0).then(|| nodes as f64 / f64::from(count)),
        }
    }
}
