//! What callers ask for: requests, queries and answers, as builders. These are plain values;
//! sending them is the business of [`Node`](crate::Node).

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;
use core::num::NonZeroU8;
use core::time::Duration;

use bytes::Bytes;

use crate::api::message::{SessionId, Via};
use crate::api::token::Token;
use crate::id::Id;
use crate::wire;
use crate::wire::command::{DELAYED_PING, FIND_NODE, PING};

/// An answer to an incoming request.
///
/// By default a value goes with a fresh token and, if the request had a target, up to
/// 20 closer nodes; an error goes without a token but with closer nodes.
///
/// ```
/// use dht_core::{Answer, error_code};
///
/// // The value, closer nodes and a token.
/// let found = Answer::value("42");
/// // A refusal, and no token to try again with.
/// let refused = Answer::error(error_code::UNKNOWN_COMMAND).token(false).closer_nodes(false);
/// # let _ = (found, refused);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub(crate) value: Option<Bytes>,
    pub(crate) error: u64,
    pub(crate) token: bool,
    pub(crate) closer_nodes: bool,
    pub(crate) to: Option<SocketAddrV4>,
    pub(crate) via: Option<Via>,
}

impl Answer {
    /// Success, with a value.
    #[must_use]
    pub fn value(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::empty() }
    }

    /// Success, without a value.
    #[must_use]
    pub const fn empty() -> Self {
        Self { value: None, error: 0, token: true, closer_nodes: true, to: None, via: None }
    }

    /// An error code, by convention 16 or above for applications; 0 would be success.
    #[must_use]
    pub const fn error(code: u64) -> Self {
        Self { value: None, error: code, token: false, closer_nodes: true, to: None, via: None }
    }

    /// Whether a fresh token goes along.
    #[must_use]
    pub fn token(mut self, send: bool) -> Self {
        self.token = send;
        self
    }

    /// Whether closer nodes go along, if the request has a target.
    #[must_use]
    pub fn closer_nodes(mut self, send: bool) -> Self {
        self.closer_nodes = send;
        self
    }

    /// Sends the answer to `addr` instead of to the sender: at the end of a relay chain, to the node that asked first.
    #[must_use]
    pub fn to(mut self, addr: SocketAddrV4) -> Self {
        self.to = Some(addr);
        self
    }

    /// Sends the answer by another socket than the one by which the request arrived.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }
}

/// Prints no content.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("value_len", &self.value.as_ref().map(Bytes::len))
            .field("error", &self.error)
            .field("token", &self.token)
            .field("closer_nodes", &self.closer_nodes)
            .field("to", &self.to)
            .field("via", &self.via)
            .finish()
    }
}

/// A request to one node.
///
/// ```
/// use dht_core::{Config, Id, Instant, Node, Request};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// const GET: u64 = 7; // a command of our own
/// let (now, peer) = (Instant::ZERO, "45.0.0.1:49737".parse()?);
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// let asked = node.request(now, Request::new(peer, GET).target(Id([1; 32])).retries(1))?;
/// assert!(node.take_response(asked).is_none()); // not answered yet
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Request {
    pub(crate) to: SocketAddrV4,
    pub(crate) internal: bool,
    pub(crate) command: u64,
    pub(crate) target: Option<Id>,
    pub(crate) token: Option<Token>,
    pub(crate) value: Option<Bytes>,
    pub(crate) retries: u8,
    pub(crate) delay: Duration,
    pub(crate) session: Option<SessionId>,
    pub(crate) ttl: Option<NonZeroU8>,
    pub(crate) via: Option<Via>,
    pub(crate) any_replier: bool,
}

impl Request {
    /// The application's `command`, for the node at `to`: four tries of one second each.
    #[must_use]
    pub const fn new(to: SocketAddrV4, command: u64) -> Self {
        Self {
            to,
            internal: false,
            command,
            target: None,
            token: None,
            value: None,
            retries: 3,
            delay: Duration::ZERO,
            session: None,
            ttl: None,
            via: None,
            any_replier: false,
        }
    }

    /// PING.
    #[must_use]
    pub fn ping(to: SocketAddrV4) -> Self {
        Self::internal(to, PING)
    }

    /// A PING that is answered after `delay`, to the millisecond; each try waits a second longer than that.
    #[must_use]
    pub fn delayed_ping(to: SocketAddrV4, delay: Duration) -> Self {
        let millis = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        Self {
            value: Some(Bytes::copy_from_slice(&millis.to_le_bytes())),
            delay,
            ..Self::internal(to, DELAYED_PING)
        }
    }

    /// FIND_NODE: which nodes are closest to `target`?
    pub(crate) fn find_node(to: SocketAddrV4, target: Id) -> Self {
        Self { target: Some(target), ..Self::internal(to, FIND_NODE) }
    }

    /// A command of the protocol's own.
    pub(crate) const fn internal(to: SocketAddrV4, command: u64) -> Self {
        let mut request = Self::new(to, command);
        request.internal = true;
        request
    }

    /// The point in the key space that the request is about.
    #[must_use]
    pub fn target(mut self, target: Id) -> Self {
        self.target = Some(target);
        self
    }

    /// The value to send along. For a ping: padding.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// The token of an earlier reply by the same node.
    #[must_use]
    pub fn token(mut self, token: impl Into<Token>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Further tries after a try without an answer; 3 by default.
    #[must_use]
    pub fn retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// Makes the request part of a session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The time to live (TTL) of its datagrams, for probing a NAT; 0 means the system's default.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = NonZeroU8::new(ttl);
        self
    }

    /// The socket to send by, instead of the node's current one for requests.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }

    /// Accepts an answer from any address, as the end of a relay chain may need. An attacker has to guess only the
    /// 16 bits of the transaction id to answer such a request, so its answer teaches the node nothing.
    #[must_use]
    pub fn any_replier(mut self) -> Self {
        self.any_replier = true;
        self
    }

    /// What is sent, under this transaction id and with our `id`, if that is told.
    pub(crate) fn message<'a>(&'a self, tid: u16, id: Option<&'a [u8; 32]>) -> wire::Request<'a> {
        wire::Request {
            tid,
            to: self.to,
            id,
            token: self.token.as_ref().map(Token::as_bytes),
            internal: self.internal,
            command: self.command,
            target: self.target.as_ref().map(Id::as_bytes),
            value: self.value.as_deref(),
        }
    }
}

/// Prints no token and no content.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("to", &self.to)
            .field("internal", &self.internal)
            .field("command", &self.command)
            .field("target", &self.target)
            .field("has_token", &self.token.is_some())
            .field("value_len", &self.value.as_ref().map(Bytes::len))
            .field("retries", &self.retries)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A walk towards a target: it asks ever closer nodes until the 20 closest have answered.
///
/// ```
/// use dht_core::{Config, Id, Instant, Node, Query, QueryError};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// const PUT: u64 = 8; // a command of our own
/// let now = Instant::ZERO;
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// // Stores a value at the nodes closest to the key; only the outcome is of interest.
/// let query = Query::new(Id([1; 32]), PUT).value("hello").commit().discard_replies();
/// let query = node.query(now, query)?;
/// // This node knows no other, so the query is over at once.
/// let outcome = node.take_outcome(query);
/// assert!(matches!(outcome, Some(Err(QueryError::TooFewNodes { asked: 0, .. }))));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Query {
    pub(crate) target: Id,
    pub(crate) internal: bool,
    pub(crate) command: u64,
    pub(crate) value: Option<Bytes>,
    pub(crate) commit: bool,
    pub(crate) nodes: Vec<SocketAddrV4>,
    pub(crate) only_closest_nodes: bool,
    pub(crate) concurrency: u16,
    pub(crate) retries: u8,
    pub(crate) thorough: bool,
    pub(crate) force: bool,
    pub(crate) discard: bool,
    pub(crate) session: Option<SessionId>,
}

impl Query {
    /// Sends the application's `command` to every node on the way to `target`.
    #[must_use]
    pub const fn new(target: Id, command: u64) -> Self {
        Self {
            target,
            internal: false,
            command,
            value: None,
            commit: false,
            nodes: Vec::new(),
            only_closest_nodes: false,
            concurrency: 0,
            retries: 5,
            thorough: false,
            force: false,
            discard: false,
            session: None,
        }
    }

    /// FIND_NODE: looks for the nodes closest to `target`.
    #[must_use]
    pub fn find_node(target: Id) -> Self {
        Self { internal: true, ..Self::new(target, FIND_NODE) }
    }

    /// The value to send along.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// At the end, sends the same command again to each of the closest nodes, with the token of its reply.
    #[must_use]
    pub fn commit(mut self) -> Self {
        self.commit = true;
        self
    }

    /// Nodes to begin with, instead of the routing table (from which the query is filled up if fewer than 20 are given).
    /// At most the first 4,096 are taken. If an address among them can't be sent to, the query
    /// is refused ([`SendError::InvalidAddress`](crate::SendError::InvalidAddress)).
    #[must_use]
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.nodes = nodes.into_iter().take(crate::api::config::SEEN_MAX).collect();
        self
    }

    /// Visits the given [`nodes`](Self::nodes) only.
    #[must_use]
    pub fn only_closest_nodes(mut self) -> Self {
        self.only_closest_nodes = true;
        self
    }

    /// Requests under way at once, half as many far from the target; 0 means as configured.
    #[must_use]
    pub fn concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Further tries for a node that does not answer; 5 by default. Each of the first four tries, except
    /// the last one, may be shorter than a second if other nodes answer quickly.
    #[must_use]
    pub fn retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// Ends as dht-rpc does: with 20 answers as soon as every other node has missed its first try; with fewer answers
    /// only after the last try of each node, about six seconds for a dead node.
    ///
    /// Without this a query ends when every node that could still be among the closest has missed two tries (up to
    /// four where datagrams are lost), and it does not wait for nodes that were silent lately. Two tries take two
    /// seconds until the first answer; after that, as long as the pace of answers suggests, down to 200 ms, and each
    /// further try half as long; but a second if some node was slower lately.
    ///
    /// Either way the walk has 20 s while requests are under way; then it ends with what it has.
    #[must_use]
    pub fn thorough(mut self) -> Self {
        self.thorough = true;
        self
    }

    /// One try per node, past the congestion window.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Keeps no replies for [`Node::next_reply`](crate::Node::next_reply): only the outcome counts.
    /// Without this a query pauses while its unread replies are at the limit
    /// [`Config::max_unread_replies`](crate::Config::max_unread_replies).
    #[must_use]
    pub fn discard_replies(mut self) -> Self {
        self.discard = true;
        self
    }

    /// Makes the query part of a session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// What a node of the walk is asked; with a token, it is a commit.
    pub(crate) fn request(&self, to: SocketAddrV4, token: Option<Token>) -> Request {
        Request {
            internal: self.internal,
            target: Some(self.target),
            token,
            value: self.value.clone(),
            session: self.session,
            ..Request::new(to, self.command)
        }
    }
}

/// Prints no content.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("target", &self.target)
            .field("internal", &self.internal)
            .field("command", &self.command)
            .field("value_len", &self.value.as_ref().map(Bytes::len))
            .field("commit", &self.commit)
            .field("nodes", &self.nodes.len())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
