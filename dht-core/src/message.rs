//! What callers hand in and get out: addresses with ids, requests, replies, queries.
//! Plain values without behaviour; how they look as bytes is [`crate::wire`]'s concern.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;

use crate::id::Id;
use crate::wire::{CLOSER_NODES_MAX, Token};

/// Which local socket a datagram came in by, or leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// Any free port: requests leave by it while the node is firewalled.
    Client,
    /// The port that the node would like to be known by.
    Server,
    /// One of the embedder's own sockets, by its number (hole punching): it never
    /// sends an id, and what comes in by it never counts for the own address.
    Extra(u16),
}

/// Someone on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Where datagrams of theirs come from.
    pub addr: SocketAddrV4,
    /// Their id, if they sent one and it is the one of their address.
    pub id: Option<Id>,
}

/// A request's handle. Ids are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// A query's handle. Ids are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub(crate) u64);

/// A group of requests and queries that can be cancelled together
/// ([`Node::end_session`](crate::Node::end_session)). It exists from its first use;
/// the caller chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Addresses of nodes, at most 20.
pub type Nodes = heapless::Vec<SocketAddrV4, CLOSER_NODES_MAX>;

/// An answer to a request of ours.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Who answered.
    pub from: Peer,
    /// Our own address as they see it.
    pub to: SocketAddrV4,
    /// A token that proves to them, for 7.5 to 15 s, that our address is ours.
    pub token: Option<Token>,
    /// Nodes that they know near the target, the first 20 of them.
    pub closer_nodes: Option<Nodes>,
    /// 0 for success; see [`crate::error_code`].
    pub error: u64,
    /// The value. An empty one is not the same as none.
    pub value: Option<Bytes>,
    /// The time from the last transmission of the request to this answer.
    pub rtt: Duration,
}

/// Prints no token and no content.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("from", &self.from)
            .field("error", &self.error)
            .field("token", &self.token.is_some())
            .field("closer_nodes", &self.closer_nodes.as_ref().map(|nodes| nodes.len()))
            .field("value", &self.value.as_ref().map(Bytes::len))
            .field("rtt", &self.rtt)
            .finish_non_exhaustive()
    }
}

/// Where an answer to an incoming request goes. Plain data that the embedder keeps
/// as long as it likes: it may be used later, twice or never.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    pub(crate) from: SocketAddrV4,
    pub(crate) via: Via,
    pub(crate) tid: u16,
    pub(crate) command: u64,
    pub(crate) internal: bool,
    pub(crate) target: Option<Id>,
}

const _: () = assert!(size_of::<ReplyTo>() <= 64);

impl ReplyTo {
    /// Who asked.
    #[must_use]
    pub const fn from(&self) -> SocketAddrV4 {
        self.from
    }

    /// The socket that the request came in by, and that the answer leaves by.
    #[must_use]
    pub const fn via(&self) -> Via {
        self.via
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("from", &self.from)
            .field("via", &self.via)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// An incoming request for the application. Borrows the datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming<'d> {
    /// Who asks.
    pub from: Peer,
    /// Our own address as they see it.
    pub to: SocketAddrV4,
    /// Whether they sent back a valid token of ours: their address is theirs.
    pub token: Option<&'d Token>,
    /// What they look for.
    pub target: Option<Id>,
    /// What they want.
    pub command: u64,
    /// With what.
    pub value: Option<&'d [u8]>,
    /// Whom to answer.
    pub reply_to: ReplyTo,
}

/// Prints no token and no content.
impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("token", &self.token.is_some())
            .field("target", &self.target)
            .field("command", &self.command)
            .field("value", &self.value.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request wants an answer, and what is not ours may be somebody else's"]
pub enum Handled<'d> {
    /// The node has dealt with it.
    Consumed,
    /// A request for the application: answer it by [`Node::reply`](crate::Node::reply), or don't.
    Request(Incoming<'d>),
    /// Not dht-rpc: for another protocol on the same socket.
    NotOurs,
}

/// A datagram to send; its bytes are in the buffer that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send it by.
    pub via: Via,
    /// Where to.
    pub to: SocketAddrV4,
    /// The time to live for this datagram; `None` for the system's default.
    pub ttl: Option<u8>,
    /// How many bytes of the buffer.
    pub len: usize,
}

/// An answer to an incoming request.
///
/// By default a value goes with a fresh token and, if the request had a target, up to
/// 20 closer nodes; an error goes without a token but with closer nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// Whether to send a fresh token along.
    #[must_use]
    pub fn token(mut self, send: bool) -> Self {
        self.token = send;
        self
    }

    /// Whether to send closer nodes along, if the request has a target.
    #[must_use]
    pub fn closer_nodes(mut self, send: bool) -> Self {
        self.closer_nodes = send;
        self
    }

    /// Sends the answer to `addr` instead: to the one who asked first, at the end of a relay chain.
    #[must_use]
    pub fn to(mut self, addr: SocketAddrV4) -> Self {
        self.to = Some(addr);
        self
    }

    /// Sends the answer by another socket than the one that the request came in by.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }
}

/// A request to one node.
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
    pub(crate) ttl: Option<u8>,
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
        Self { internal: true, ..Self::new(to, crate::command::PING) }
    }

    /// A PING that is answered after `delay`, to the millisecond; each try waits a second longer than that.
    #[must_use]
    pub fn delayed_ping(to: SocketAddrV4, delay: Duration) -> Self {
        let millis = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        Self {
            internal: true,
            value: Some(Bytes::copy_from_slice(&millis.to_le_bytes())),
            delay,
            ..Self::new(to, crate::command::DELAYED_PING)
        }
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
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// How many more times to try after a try that nobody answered; 3 unless told.
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

    /// The time to live of its datagrams (probing a NAT); 0 means the system's default.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = (ttl != 0).then_some(ttl);
        self
    }

    /// The socket to send it by, instead of the one that requests leave by now.
    #[must_use]
    pub fn via(mut self, via: Via) -> Self {
        self.via = Some(via);
        self
    }

    /// Takes an answer from any address, as the end of a relay chain may need. Whoever
    /// guesses 16 bits can answer such a request, so it teaches the node nothing.
    #[must_use]
    pub fn any_replier(mut self) -> Self {
        self.any_replier = true;
        self
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
            .field("token", &self.token.is_some())
            .field("value", &self.value.as_ref().map(Bytes::len))
            .field("retries", &self.retries)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A walk towards a target: asks ever closer nodes until the 20 closest have answered.
#[derive(Clone, Debug)]
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
        Self { internal: true, ..Self::new(target, crate::command::FIND_NODE) }
    }

    /// The value to send along.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// At the end, sends the same command again to each of the closest, with the token of its reply.
    #[must_use]
    pub fn commit(mut self) -> Self {
        self.commit = true;
        self
    }

    /// Where to begin, instead of with the routing table (which fills up if these are fewer than 20).
    /// At most the first 4,096 are taken.
    #[must_use]
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.nodes = nodes.into_iter().take(crate::query::SEEN_MAX).collect();
        self
    }

    /// Visits the given [`nodes`](Self::nodes) only.
    #[must_use]
    pub fn only_closest_nodes(mut self) -> Self {
        self.only_closest_nodes = true;
        self
    }

    /// How many requests may be under way at once; 0 means as configured.
    #[must_use]
    pub fn concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How many more times to try a node that does not answer; 5 unless told.
    #[must_use]
    pub fn retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// Waits for the last try of every node asked, as dht-rpc does, instead of ending
    /// when nothing better can come soon.
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
    /// Without this a query pauses while 64 replies wait to be taken.
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
}

/// How a query ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The replies of the closest nodes with a proven id, the closest first, at most 20.
    pub closest: Vec<Reply>,
    /// Answers without an error code.
    pub successes: u32,
    /// Answers with an error code, and requests that failed.
    pub errors: u32,
    /// How many nodes were asked.
    pub asked: u32,
    /// How many of them timed out for good.
    pub timed_out: u32,
    /// How the commit went, if there was one.
    pub commit: Option<Commit>,
}

/// How many nodes took a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// Answered without an error code.
    pub succeeded: u32,
    /// Answered with an error code.
    pub refused: u32,
    /// The last such code.
    pub refusal: Option<u64>,
    /// Did not answer.
    pub timed_out: u32,
    /// Had sent no token to commit with.
    pub without_token: u32,
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} took it, {} refused, {} timed out, {} sent no token",
            self.succeeded, self.refused, self.timed_out, self.without_token
        )
    }
}

/// A node of the table as it is saved and restored: how long ago things happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedNode {
    /// Its address.
    pub addr: SocketAddrV4,
    /// How long ago it was last heard of, to about 5 s.
    pub pinged: Duration,
    /// How long ago it entered the table, to about half a minute, at most an hour or so.
    pub added: Duration,
}
