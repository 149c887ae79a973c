//! The state of a node as its handle sees it, and its routing table.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::io;

use super::bind::Ports;
use super::dht::Dht;
use super::error::Error;
use super::guard::guard_io;
use super::mail::Drops;
use super::state::State;
use crate::{Config, HealthInfo, Id, InvalidNode, Persistence, Reply, SavedNode, Stats, Via};

/// All that a node tells about itself at one moment, made by [`Dht::status`].
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// let node = Local::node().await;
/// let status = node.status();
/// assert!(status.ephemeral && status.id.is_none() && !status.suspended);
/// assert_eq!(status.server_address.unwrap().ip(), status.address.unwrap().ip());
/// println!("knows {} nodes; {:?}", status.table_len, status.persistence);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The node's own id; `None` while it is ephemeral.
    pub id: Option<Id>,
    /// The id that the routing table is arranged around.
    pub table_id: Id,
    /// How many nodes are in the routing table.
    pub table_len: usize,
    /// The public host as other nodes see it, if they agree.
    pub host: Option<Ipv4Addr>,
    /// The public port as other nodes see it; 0 if unknown or not the same for everyone.
    pub port: u16,
    /// A NAT seems to give every peer another port.
    pub randomized: bool,
    /// The public address at which the node can be reached by everyone; `None` if firewalled or unknown.
    pub remote_address: Option<SocketAddrV4>,
    /// The socket that requests leave by now; `None` before the first bind.
    pub address: Option<SocketAddrV4>,
    /// Where the client socket is bound; `None` before the first bind.
    pub client_address: Option<SocketAddrV4>,
    /// Where the server socket is bound; `None` before the first bind.
    pub server_address: Option<SocketAddrV4>,
    /// The ports that the server socket may have, as given.
    pub port_range: Ports,
    /// Other nodes are not to put the node into their tables.
    pub ephemeral: bool,
    /// Why the node is persistent, or is not; [`Event::Persistence`](crate::Event::Persistence) tells of changes.
    pub persistence: Persistence,
    /// No unasked datagram seems to reach the node.
    pub firewalled: bool,
    /// The node is bootstrapped.
    pub bootstrapped: bool,
    /// The node is suspended, will be as soon as it is bound, or has no sockets until they can be
    /// bound again ([`Event::BindFailed`](crate::Event::BindFailed)).
    pub suspended: bool,
    /// The node is closed; its sockets may be open for a moment still.
    pub closed: bool,
    /// Some node has answered, and not all have fallen silent since. As JavaScript has it, a node is
    /// also online until that is known: [`HealthInfo::online`](crate::HealthInfo::online).
    pub online: bool,
    /// How well other nodes answer.
    pub health: HealthInfo,
    /// Counters of the front-end.
    pub drops: Drops,
    /// Why the node has no sockets, if they could not be bound. It is closed if that was the first
    /// time; else binding is tried again. Or that the driver was dropped before the node was closed, most often with
    /// its runtime.
    pub failure: Option<Error>,
    /// The last error of the system's when a datagram was sent: why requests fail with
    /// [`RequestError::Unsent`](crate::RequestError::Unsent), in the system's own words. It may be over by now.
    pub send_error: Option<Arc<io::Error>>,
    /// The last error of the system's when the name of a bootstrap node was looked up.
    pub lookup_error: Option<Arc<io::Error>>,
}

/// # State
impl Dht {
    /// All that the node tells about itself, as a snapshot.
    #[must_use]
    pub fn status(&self) -> Status {
        let port_range = self.shared().ports;
        self.shared().look(|State { node, life, mail, send_error, lookup_error, .. }| Status {
            id: node.id(),
            table_id: node.table_id(),
            table_len: node.table_len(),
            host: node.host(),
            port: node.port(),
            randomized: node.randomized(),
            remote_address: node.remote_address(),
            address: match node.request_via() {
                Via::Server => node.server_addr(),
                Via::Client | Via::Extra(_) => node.client_addr(),
            },
            client_address: node.client_addr(),
            server_address: node.server_addr(),
            port_range,
            ephemeral: node.ephemeral(),
            persistence: node.persistence(),
            firewalled: node.firewalled(),
            bootstrapped: node.bootstrapped(),
            suspended: node.suspended() || life.will_suspend(),
            closed: node.closed(),
            online: node.online(),
            health: node.health(),
            drops: mail.drops,
            failure: life.failure().cloned(),
            send_error: send_error.clone(),
            lookup_error: lookup_error.clone(),
        })
    }

    /// Counters. Requests and queries that wait for a place count as active.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().look(|state| {
            let mut stats = state.node.stats();
            let [requests, queries] = state.calls.waiting().map(|waiting| waiting as u64);
            stats.requests.active += requests;
            stats.requests.total += requests;
            stats.queries.active += queries;
            stats.queries.total += queries;
            stats
        })
    }

    /// Where the server socket is bound; `None` before the first bind.
    #[must_use]
    pub fn server_address(&self) -> Option<SocketAddrV4> {
        self.shared().look(|state| state.node.server_addr())
    }

    /// The server socket's port at the first address of this machine that is not loopback, or at
    /// loopback if there is none; `None` before the first bind. Asks the system.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddrV4> {
        let server = self.server_address()?;
        let interfaces = guard_io(|| self.shared().host.interfaces()).unwrap_or_default();
        let ip = interfaces.into_iter().find(|ip| !ip.is_loopback());
        Some(SocketAddrV4::new(ip.unwrap_or(Ipv4Addr::LOCALHOST), server.port()))
    }

    /// Whether the node is closed; its sockets may be open for a moment still.
    #[doc(alias = "destroyed")]
    #[must_use]
    pub fn closed(&self) -> bool {
        self.shared().look(|state| state.node.closed())
    }

    /// The address that an answer came from in the last 15 s when `asked` was asked
    /// ([`Node::answered_instead`](crate::Node::answered_instead)).
    #[must_use]
    pub fn answered_instead(&self, asked: SocketAddrV4) -> Option<SocketAddrV4> {
        self.shared().look(|state| state.node.answered_instead(asked))
    }

    /// How the node is configured.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared().look(|state| state.node.config().clone())
    }

    /// Round-trip times and closer nodes as found by a lookup of the node heard from last.
    ///
    /// # Errors
    /// As [`QueryStream::finished`](super::QueryStream::finished).
    pub async fn rtt_stats(&self) -> Result<RttStats, Error> {
        let Some(latest) = self.nodes(1).pop() else { return Ok(RttStats::none()) };
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

/// # Routing table
impl Dht {
    /// At most `limit` nodes of the routing table, first the one heard from last;
    /// `usize::MAX` for all.
    #[doc(alias = "to_array")]
    #[must_use]
    pub fn nodes(&self, limit: usize) -> Vec<SocketAddrV4> {
        self.shared().look(|state| state.node.nodes().take(limit).collect())
    }

    /// The routing table, to be saved and given back later ([`import`](Self::import)).
    #[must_use]
    pub fn export(&self) -> Vec<SavedNode> {
        self.shared().look(|state| state.node.export())
    }

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

/// Round-trip times and closer nodes, found by [`Dht::rtt_stats`].
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// let node = Local::node().await;
/// let stats = node.rtt_stats().await?;
/// assert_eq!((stats.successes, stats.responses.errors), (0, 0), "it knows no other node");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
    /// A node that knows no other one has zero everywhere.
    const fn none() -> Self {
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
