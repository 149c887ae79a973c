//! What callers get out: addresses with ids, replies, incoming requests, outcomes.
//! Plain values without behaviour; how they look as bytes is [`crate::wire`]'s concern.

use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use bytes::Bytes;

use crate::api::error::QueryError;
use crate::api::token::Token;
use crate::api::way::Way;
use crate::id::Id;
use crate::wire::CLOSER_NODES_MAX;

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

impl Via {
    /// Which of three queues is for it: all of the embedder's own share one.
    pub(crate) const fn lane(self) -> u8 {
        match self {
            Self::Client => 0,
            Self::Server => 1,
            Self::Extra(_) => 2,
        }
    }
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
///
/// ```
/// use dht_core::wire::{Message, Response, decode};
/// use dht_core::{Config, DATAGRAM_MAX, Id, Instant, Node, Request, Via};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// let now = Instant::ZERO;
/// let [own, peer] = ["45.0.0.1:49737".parse()?, "45.0.1.1:49737".parse()?];
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// node.handle_bound(now, own, own);
/// let asked = node.request(now, Request::ping(peer))?;
///
/// // The peer's part, by hand.
/// let (mut out, mut answer) = ([0; DATAGRAM_MAX], [0; DATAGRAM_MAX]);
/// let transmit = node.poll_transmit(now, &mut out).ok_or("nothing to send")?;
/// let Message::Request(ping) = decode(&out[..transmit.len])? else { panic!("a request") };
/// let id = Id::of(peer);
/// let pong = Response {
///     tid: ping.tid,
///     to: own,
///     id: Some(id.as_bytes()),
///     token: None,
///     closer_nodes: None,
///     error: 0,
///     value: None,
/// };
/// let len = pong.encode(&mut answer)?;
/// let _ = node.handle_datagram(now, transmit.via, peer, &answer[..len]);
///
/// let reply = node.take_response(asked).ok_or("no answer")??;
/// assert_eq!((reply.from.addr, reply.from.id), (peer, Some(id)));
/// assert_eq!((reply.seen_as, reply.error), (own, 0)); // where the peer sees us
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Who answered.
    pub from: Peer,
    /// Our own address as they see it.
    pub seen_as: SocketAddrV4,
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
            .field("has_token", &self.token.is_some())
            .field("closer_nodes", &self.closer_nodes.as_ref().map(|nodes| nodes.len()))
            .field("value_len", &self.value.as_ref().map(Bytes::len))
            .field("rtt", &self.rtt)
            .finish_non_exhaustive()
    }
}

/// Where an answer to an incoming request goes. Plain data that the embedder keeps
/// as long as it likes: it may be used later, twice or never.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    pub(crate) from: SocketAddrV4,
    pub(crate) way: Way,
    pub(crate) tid: u16,
    pub(crate) command: u64,
    pub(crate) internal: bool,
    pub(crate) target: Option<Id>,
    /// The length of the request.
    pub(crate) len: u16,
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
        self.way.via()
    }

    /// Which of this machine's addresses was asked, and answers, if that is known
    /// ([`Node::handle_datagram_at`](crate::Node::handle_datagram_at)).
    #[must_use]
    pub fn at(&self) -> Option<Ipv4Addr> {
        self.way.source()
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo")
            .field("from", &self.from)
            .field("via", &self.via())
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
    pub seen_as: SocketAddrV4,
    /// A valid token of ours, if the sender sent one: then its address is not forged.
    pub token: Option<Token>,
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
            .field("seen_as", &self.seen_as)
            .field("has_token", &self.token.is_some())
            .field("target", &self.target)
            .field("command", &self.command)
            .field("value_len", &self.value.map(<[u8]>::len))
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
#[non_exhaustive]
pub struct Transmit {
    /// The socket to send it by.
    pub via: Via,
    /// Where to.
    pub to: SocketAddrV4,
    /// Which of this machine's addresses to send it from, on a socket that is bound to all of them, where the
    /// system can: who was asked at one takes no answer from another. `None`: as the system likes.
    pub source: Option<Ipv4Addr>,
    /// The time to live for this datagram; `None` for the system's default.
    pub ttl: Option<u8>,
    /// How many bytes of the buffer.
    pub len: usize,
    /// Which request it is a try of.
    pub(crate) request: Option<RequestId>,
}

/// How a query ended.
///
/// ```
/// use core::time::Duration;
/// use dht_core::{Config, DATAGRAM_MAX, Id, Instant, Node, Query};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// let mut now = Instant::ZERO;
/// let [own, peer] = ["45.0.0.1:49737".parse()?, "45.0.1.1:49737".parse()?];
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// node.handle_bound(now, own, own);
/// let query = Query::find_node(Id([1; 32])).nodes([peer]).only_closest_nodes();
/// let query = node.query(now, query)?;
///
/// // The peer does not answer.
/// let mut buf = [0; DATAGRAM_MAX];
/// let outcome = loop {
///     while node.poll_transmit(now, &mut buf).is_some() {}
///     if let Some(outcome) = node.take_outcome(query) {
///         break outcome?;
///     }
///     now = node.poll_timeout().unwrap_or(now).max(now + Duration::from_millis(1));
///     node.handle_timeout(now);
/// };
/// assert_eq!((outcome.asked, outcome.answered, outcome.timed_out), (1, 0, 1));
/// assert!(outcome.closest.is_empty());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The replies of the closest nodes with a proven id, the closest first: of one host at most 2, and of one /24 at
    /// most 3, where there are others (more in a network of few hosts; see [`Config::exempt`](crate::Config::exempt)). At
    /// most 20; or up to 60 where these are so near that somebody may crowd the target
    /// (and [`Config::max_query_addresses`](crate::Config::max_query_addresses) is 480 or more). Replies after the first
    /// 20 have no values.
    pub closest: Vec<Reply>,
    /// Answers without an error code.
    pub successes: u32,
    /// Answers with an error code, and requests that failed.
    pub errors: u32,
    /// The last error code of an answer.
    pub refusal: Option<u64>,
    /// How many nodes were asked.
    pub asked: u32,
    /// How many of them answered, with or without an error code.
    pub answered: u32,
    /// Of these, nodes without an id, or with a false one: other nodes can't find them, so nothing is
    /// committed to them.
    pub without_id: u32,
    /// Nodes that were asked and did not answer, after their last try or when the query ended without waiting
    /// for them any longer.
    pub timed_out: u32,
    /// How the commit went, if there was one.
    pub commit: Option<Commit>,
}

impl Outcome {
    /// Why nothing could be committed: of the nodes that answered, none has both an id and success as its answer.
    pub(crate) fn too_few(&self) -> QueryError {
        let Self { asked, answered, without_id, refusal, timed_out, .. } = *self;
        let refused = answered.saturating_sub(self.successes);
        QueryError::TooFewNodes { asked, answered, without_id, refused, refusal, timed_out }
    }
}

/// How many nodes took a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// Answered without an error code.
    pub succeeded: u32,
    /// Answered with an error code.
    pub refused: u32,
    /// The last error code of a refusal.
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
