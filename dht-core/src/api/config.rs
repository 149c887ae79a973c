//! How a node behaves: every choice and every bound, with its default.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::str::FromStr;
use core::time::Duration;

use crate::addr::is_sendable;
use crate::api::error::{ConfigError, InvalidNode};
use crate::api::exempt::Exempt;
use crate::api::id_cache::IdCache;
use crate::sources::given::GIVEN_MAX;
use crate::table::{K, PLACES_MAX};

/// The longest datagram that is accepted or sent, in bytes, and the size of the buffer for
/// [`Node::poll_transmit`](crate::Node::poll_transmit). Peers drop longer ones.
pub const DATAGRAM_MAX: usize = 2048;
/// The least value of the limits on datagrams: the payload that every host accepts (576 bytes less the headers).
/// All messages of the protocol itself fit into half of it.
const DATAGRAM_MIN: usize = 576 - 68;
/// The least that stands before a value: the head of a message, and the length field of a long
/// value.
const VALUE_HEAD: usize = 10 + 3;
/// Nodes to join the network by.
const BOOTSTRAP_MAX: usize = 256;
/// How many addresses a query remembers, unless told otherwise.
pub(crate) const SEEN_MAX: usize = 4096;
/// Verifications under way: of nodes never met, and of nodes that were lost. An attacker who forges requests
/// can fill the places of the former, not of the latter.
const STRANGERS_MAX: usize = 16;
const VERIFICATIONS_OF_LOST_MAX: usize = 4;
/// Buckets, proofs and silent /24s that are remembered.
const MARKS_MAX: usize = 512;
/// Visits under way whose queries have ended.
const LATE_VISITS_MAX: usize = 32;
/// Two queries that bootstrap or refresh, and one after a reunion.
const BACKGROUND_QUERIES_MAX: usize = 3;
/// Replies of a query that may wait.
const MAILBOX_MAX: usize = 64;

/// How a node behaves. The defaults are dht-rpc's; the fields have the names of its options, in snake case.
///
/// Presets: [`server`](Self::server), [`client`](Self::client), [`embedded`](Self::embedded) and [`lan`](Self::lan).
/// [`Node::memory_bound`](crate::Node::memory_bound) tells the memory that each takes at most; an idle node takes
/// a few kilobytes.
///
/// ```
/// use dht_core::{Config, Node};
///
/// let mut config = Config::client();
/// config.bootstrap = vec!["88.99.3.86@node1.hyperdht.org:49737".parse()?];
/// config.max_requests = 100;
/// assert!(Node::memory_bound(&config) < Node::memory_bound(&Config::client()));
/// # Ok::<_, dht_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Nodes to join the network by, at most 256. None: nothing is contacted. An address with the port 0 or
    /// the host 0.0.0.0 is refused, here and in [`nodes`](Self::nodes).
    pub bootstrap: Vec<BootstrapNode>,
    /// Nodes known from before, put into the routing table, the first one as the most recent. The first 64
    /// (fewer if [`max_nodes`](Self::max_nodes) is below 768: a twelfth of that) are never forgotten: while
    /// silent they are asked ever less often, down to once an hour.
    pub nodes: Vec<SocketAddrV4>,
    /// `Some(true)`: the node stays ephemeral, so it is in no routing table. `Some(false)`: it becomes persistent
    /// while it bootstraps, if it is reachable, or as soon as it is: a check that has failed is repeated after two
    /// minutes, then ever less often, down to every half an hour. `None`: as [`adaptive`](Self::adaptive) says.
    /// [`Node::persistence`](crate::Node::persistence) tells why a node is persistent or ephemeral.
    pub ephemeral: Option<bool>,
    /// Whether an ephemeral node becomes persistent after about 20 stable minutes, if it is reachable; if not, the
    /// check is repeated every hour. It counts only while [`ephemeral`](Self::ephemeral) is `None`.
    pub adaptive: bool,
    /// Whether the node counts as unreachable until the firewall check says otherwise. A node that has passed the
    /// check is checked again every half an hour, and becomes ephemeral again when no probe gets through.
    /// With `false` it becomes persistent when peers agree on its address, without a check. It is checked only when in
    /// doubt, because a peer sees it elsewhere or the network may have changed, whether it has moved; and not at its
    /// [`public_address`](Self::public_address).
    pub firewalled: bool,
    /// Whether quick probes while bootstrapping, up to three, may start the firewall check early.
    pub quick_firewall: bool,
    /// The node's public address, if it is known: a bootstrapper has no peer to learn it from.
    pub public_address: Option<SocketAddrV4>,
    /// Requests under way at once per query: 1 to 256. Far from its target, a query has half as many.
    /// Where replies are read, more than [`max_unread_replies`](Self::max_unread_replies) are of no use.
    pub concurrency: u16,
    /// The congestion window: requests under way that were sent in the same 750 ms, 1 to 16,384; twice as many
    /// that were sent in 3 s. With 80: 80 and 160.
    pub max_window: u32,
    /// The longest delayed ping, asked or answered: at most an hour.
    pub max_ping_delay: Duration,
    /// Whether a node that does not answer is reported (a down hint) to the peers that named it.
    pub send_down_hints: bool,
    /// Down hints sent per 5 s; `None`: no limit (-1 in JavaScript).
    pub down_hints_rate_limit: Option<u32>,
    /// Keeps nodes that were heard of, or from, over the network out of table and queries.
    pub filter: Option<NodeFilter>,
    /// Whom limits per host and per /24 don't apply to: local addresses, unless told otherwise.
    pub exempt: Exempt,
    /// Ids by address, for many nodes in one process; `None`: the node hashes addresses itself.
    /// Its behaviour is the same either way.
    pub ids: Option<IdCache>,
    /// Time-outs from each destination's round-trip times instead of a fixed second.
    pub adaptive_timeout: bool,
    /// The longest datagram to send, in bytes: 508 to 2,048.
    pub max_datagram: usize,
    /// The longest datagram that is accepted, in bytes: 508 to 2,048 (peers send no longer ones). Values of
    /// answers wait in memory, so a low limit saves memory, and longer values never arrive.
    pub max_datagram_received: usize,
    /// Nodes in the routing table: 20 to 5,120. With fewer than about 20 for each doubling of the network, lookups
    /// take more steps. In a full table a newcomer gets the place of a silent node, or of a node in the fullest
    /// bucket that has been in the table (or, after a change of the own id, in the rebuilt table) for less than ten
    /// minutes. So the table keeps nodes near and far, and an older node stays while it answers.
    pub max_nodes: usize,
    /// The user's requests under way or waiting, at most: 1 to 60,000.
    pub max_requests: usize,
    /// Requests of queries and upkeep under way or waiting, at most: 8 to 4,096.
    pub max_background_requests: usize,
    /// The user's queries under way, or ended with an outcome that is not taken yet, at most: 1 to 4,096. Beside
    /// them as many queries of the node's own may be under way, but no more than three.
    pub max_queries: usize,
    /// Addresses that a query remembers, at most: 64 to 4,096. After that the addresses farthest from its target
    /// give way.
    pub max_query_addresses: usize,
    /// A query stops asking while this many of its replies are unread or under way: 1 to 64.
    pub max_unread_replies: usize,
    /// Events that wait to be polled, at most, apart from events about requests and queries: 16 to 4,096. Events
    /// about nodes give way first, and are counted; then the oldest of the same kind; then the oldest.
    pub max_events: usize,
    /// Replies waiting to be sent, at most: 1 to 65,536. Beside them, replies to delayed pings wait until they are
    /// due: up to twice as many, at most 1,024.
    pub max_replies: usize,
    /// Whether there are events for nodes that enter and leave the table.
    pub node_events: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            nodes: Vec::new(),
            ephemeral: None,
            adaptive: true,
            firewalled: true,
            quick_firewall: true,
            public_address: None,
            concurrency: 10,
            max_window: 80,
            max_ping_delay: Duration::from_secs(10),
            send_down_hints: true,
            down_hints_rate_limit: Some(50),
            filter: None,
            exempt: Exempt::Local,
            ids: None,
            adaptive_timeout: false,
            max_datagram: 1400,
            max_datagram_received: DATAGRAM_MAX,
            max_nodes: PLACES_MAX,
            max_requests: 4096,
            max_background_requests: 640,
            max_queries: 256,
            max_query_addresses: SEEN_MAX,
            max_unread_replies: MAILBOX_MAX,
            max_events: 256,
            max_replies: 1024,
            node_events: false,
        }
    }
}

impl Config {
    /// A bootstrap node at the public address `host:port`: persistent and not firewalled from the start.
    ///
    /// # Errors
    /// If the port is 0, or the host is empty, the unspecified address, or not dotted IPv4.
    pub fn bootstrapper(port: u16, host: &str) -> Result<Self, ConfigError> {
        let host = match host {
            _ if port == 0 => return Err(ConfigError::PortRequired),
            "" => return Err(ConfigError::HostRequired),
            "0.0.0.0" | "::" => return Err(ConfigError::InvalidHost(host.into())),
            host => host.parse::<Ipv4Addr>().map_err(|_| ConfigError::HostNotIpv4(host.into()))?,
        };
        Ok(Self {
            ephemeral: Some(false),
            firewalled: false,
            public_address: Some(SocketAddrV4::new(host, port)),
            ..Self::default()
        })
    }

    /// For a server: persistent from the start, if it can be reached, with room for thousands of
    /// requests at once. Set its [`public_address`](Self::public_address) if you know it.
    #[must_use]
    pub fn server() -> Self {
        Self {
            ephemeral: Some(false),
            max_window: 1024,
            down_hints_rate_limit: Some(500),
            max_requests: 16_384,
            max_background_requests: 2048,
            max_replies: 8192,
            ..Self::default()
        }
    }

    /// For an application that asks more than it is asked: the node stays ephemeral, and its queues
    /// are smaller.
    #[must_use]
    pub fn client() -> Self {
        Self {
            ephemeral: Some(true),
            max_nodes: 1024,
            max_requests: 256,
            max_background_requests: 256,
            max_queries: 32,
            max_replies: 64,
            max_query_addresses: 1024,
            max_unread_replies: 32,
            ..Self::default()
        }
    }

    /// For a device with 64 KB of memory in all: the node stays ephemeral, has one query at a time and few
    /// requests, and uses datagrams of at most 508 bytes, which every host accepts (packets of 576 bytes, RFC 791,
    /// less at most 68 of headers). So it sends values of up to 398 bytes and receives values of up to 310, since
    /// an answer also carries a token, an id and twenty nodes. The node takes at most 57 KiB (54 KiB with pointers
    /// of 32 bits); buffers for datagrams and the stack come on top.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            ephemeral: Some(true),
            concurrency: 4,
            max_window: 16,
            down_hints_rate_limit: Some(10),
            max_datagram: DATAGRAM_MIN,
            max_datagram_received: DATAGRAM_MIN,
            max_nodes: 48,
            max_requests: 2,
            max_background_requests: 10,
            max_queries: 1,
            max_replies: 3,
            max_query_addresses: 108,
            max_unread_replies: 6,
            max_events: 16,
            ..Self::default()
        }
    }

    /// For the nodes of one owner among each other, at a test or in a closed network: persistent without a check,
    /// since all of them can be reached, and without limits per host or per /24.
    #[must_use]
    pub fn lan() -> Self {
        Self {
            ephemeral: Some(false),
            firewalled: false,
            exempt: Exempt::everybody(),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        // Not `as_millis`: dividing 128 bits takes half a kilobyte of code.
        let (secs, nanos) = (self.max_ping_delay.as_secs(), self.max_ping_delay.subsec_nanos());
        let delay = secs.saturating_mul(1_000).saturating_add(nanos.div_ceil(1_000_000).into());
        let delay = usize::try_from(delay).unwrap_or(usize::MAX);
        let datagram = (DATAGRAM_MIN, DATAGRAM_MAX);
        let ranges = [
            ("concurrency", self.concurrency.into(), (1, 256)),
            ("max_window", self.max_window as usize, (1, 16_384)),
            ("max_ping_delay", delay, (0, 3_600_000)),
            ("max_datagram", self.max_datagram, datagram),
            ("max_datagram_received", self.max_datagram_received, datagram),
            ("max_nodes", self.max_nodes, (K, PLACES_MAX)),
            ("max_requests", self.max_requests, (1, 60_000)),
            ("max_background_requests", self.max_background_requests, (8, 4096)),
            ("max_queries", self.max_queries, (1, 4096)),
            ("max_query_addresses", self.max_query_addresses, (64, SEEN_MAX)),
            ("max_unread_replies", self.max_unread_replies, (1, MAILBOX_MAX)),
            ("max_events", self.max_events, (16, 4096)),
            ("max_replies", self.max_replies, (1, 65_536)),
            ("bootstrap", self.bootstrap.len(), (0, BOOTSTRAP_MAX)),
        ];
        for (field, value, (min, max)) in ranges {
            if !(min..=max).contains(&value) {
                return Err(ConfigError::OutOfRange { field, value, min, max });
            }
        }
        check_nodes("public_address", self.public_address.into_iter())?;
        self.bootstrap.iter().try_for_each(BootstrapNode::check)?;
        check_nodes("nodes", self.nodes.iter().copied())
    }

    /// The longest value that can be received.
    pub(crate) fn max_value_received(&self) -> usize {
        self.max_datagram_received - VALUE_HEAD
    }

    /// The longest value that can be sent.
    pub(crate) fn max_value_sent(&self) -> usize {
        self.max_datagram - VALUE_HEAD
    }

    /// The longest value of an answer that can be sent with id and token.
    #[cfg(all(feature = "hyperdht", feature = "driver"))]
    pub(crate) const fn max_value_answered(&self) -> usize {
        self.max_datagram - VALUE_HEAD - 2 * 32
    }

    /// Verifications under way at once, of nodes never met.
    pub(crate) fn strangers(&self) -> usize {
        STRANGERS_MAX.min(self.max_background_requests / 4)
    }

    /// Verifications under way at once, including verifications of nodes that were lost.
    pub(crate) fn verifications(&self) -> usize {
        self.strangers() + (self.max_background_requests / 16).clamp(1, VERIFICATIONS_OF_LOST_MAX)
    }

    /// Visits under way at once whose queries have ended.
    pub(crate) fn late_visits(&self) -> usize {
        LATE_VISITS_MAX.min(self.max_background_requests / 8)
    }

    /// Nodes given by the user that are never forgotten: few where tables are small.
    pub(crate) fn given(&self) -> usize {
        GIVEN_MAX.min(self.max_nodes / 12)
    }

    /// Remembered pairs of a silent node and a node that named it, at most.
    pub(crate) fn namers(&self) -> usize {
        self.max_query_addresses / 8
    }

    /// Marks of each kind on hosts and /24s that may not be there.
    pub(crate) fn marks(&self) -> usize {
        MARKS_MAX.min(self.max_query_addresses / 4)
    }

    /// The node's own queries under way at once.
    pub(crate) fn background_queries(&self) -> usize {
        BACKGROUND_QUERIES_MAX.min(self.max_queries)
    }
}

/// Decides which nodes may enter table and queries: `true` lets one in.
///
/// ```
/// use dht_core::{Config, NodeFilter};
///
/// let mut config = Config::default();
/// config.filter = Some(NodeFilter::new(|addr| addr.port() >= 1024));
/// ```
#[derive(Clone)]
pub struct NodeFilter(Arc<dyn Fn(SocketAddrV4) -> bool + Send + Sync>);

impl NodeFilter {
    /// Wraps a function. It must answer fast and always the same: it is asked on the datagram path. If it
    /// panics, so does the call that asked, and the node is of no use any more; a driver takes it for a `false`.
    pub fn new(allow: impl Fn(SocketAddrV4) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allow))
    }

    /// Asks it.
    #[must_use]
    pub fn allows(&self, addr: SocketAddrV4) -> bool {
        (self.0)(addr)
    }
}

impl fmt::Debug for NodeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeFilter(..)")
    }
}

/// A node to join by: `host:port`, or `ip@host:port` with an address to try beside the name.
///
/// ```
/// use dht_core::BootstrapNode;
///
/// let node: BootstrapNode = "45.0.0.1@dht.example:49737".parse()?;
/// assert_eq!((node.name(), node.port()), (Some("dht.example"), 49737));
/// assert!("dht.example".parse::<BootstrapNode>().is_err()); // no port
/// # Ok::<_, dht_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootstrapNode {
    text: String,
    colon: usize,
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) port: u16,
}

impl BootstrapNode {
    /// The host as given: a name, an address, or `ip@name`.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name to look up, if there is one: the host without a suggested address.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self.host().split_once('@') {
            Some((_, name)) => name.parse::<Ipv4Addr>().is_err().then_some(name),
            None => self.ip.is_none().then(|| self.host()),
        }
    }

    pub(crate) fn heap(&self) -> usize {
        self.text.capacity()
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_nodes("bootstrap", self.addrs())
    }

    /// The addresses that need no look-up: the host, if it is one, and the suggested one.
    pub(crate) fn addrs(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        let fallback = self.host().split_once('@').and_then(|(_, host)| host.parse().ok());
        self.ip.into_iter().chain(fallback).map(|ip| SocketAddrV4::new(ip, self.port))
    }
}

impl From<SocketAddrV4> for BootstrapNode {
    fn from(addr: SocketAddrV4) -> Self {
        let text = alloc::format!("{addr}");
        let colon = text.rfind(':').unwrap_or(text.len());
        Self { text, colon, ip: Some(*addr.ip()), port: addr.port() }
    }
}

/// Whether all of these can be sent to.
fn check_nodes(
    field: &'static str,
    mut nodes: impl Iterator<Item = SocketAddrV4>,
) -> Result<(), ConfigError> {
    let unusable = nodes.find(|addr| !is_sendable(*addr));
    unusable.map_or(Ok(()), |addr| Err(ConfigError::InvalidNode { field, node: InvalidNode(addr) }))
}

impl FromStr for BootstrapNode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let flawed = |flaw| ConfigError::BootstrapFormat { text: text.into(), flaw };
        let (host, port) = text.split_once(':').ok_or_else(|| flawed("has no port"))?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| flawed(flaw_without_port(text)))?;
        let (ip, name) = match host.split_once('@') {
            Some((ip, name)) => {
                let ip = ip.parse().map_err(|_| flawed("has no IPv4 address before the @"))?;
                (Some(ip), name)
            }
            None => (host.parse().ok(), host),
        };
        if name.is_empty() {
            return Err(flawed("has no host"));
        }
        let node = Self { text: text.into(), colon: host.len(), ip, port };
        node.check().map(|()| node)
    }
}

/// What is wrong with a text that has no valid port after its first colon.
fn flaw_without_port(text: &str) -> &'static str {
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    match () {
        () if text.contains("://") => "is a URL",
        // To parse one takes a kilobyte of code.
        () if text.starts_with('[') || (hex && colons > 1) => {
            "looks like an IPv6 address, which is not supported"
        }
        () => "has no port from 1 to 65535",
    }
}

impl fmt::Display for BootstrapNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
