//! What can go wrong at the caller's side. Nothing that comes from the network is
//! ever an error here: it is dropped and counted ([`crate::Stats`]).

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;

use thiserror::Error;

use crate::api::message::Commit;
use crate::error_code::UNKNOWN_COMMAND;

/// An address that was given for a node's can't be one: its port is 0, or it is the unspecified address. The
/// latter is what a socket that listens at all addresses of its machine shows as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub struct InvalidNode(pub SocketAddrV4);

impl fmt::Display for InvalidNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(addr) = self;
        match addr.port() {
            0 => write!(f, "{addr} is no node's address: its port is 0"),
            port => write!(
                f,
                "{addr} is no node's address: it stands for all of a machine's; a node on this machine is at \
                 127.0.0.1:{port}"
            ),
        }
    }
}

/// Why a [`Config`](crate::Config) can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A bootstrapper was given port 0.
    #[error("port is required")]
    PortRequired,
    /// A bootstrapper was given an empty host.
    #[error("host is required")]
    HostRequired,
    /// A bootstrapper was given the unspecified address, written like this.
    #[error("invalid host: `{0}` stands for all addresses of a machine")]
    InvalidHost(String),
    /// A bootstrapper was given this host, which is not a dotted IPv4 address.
    #[error("host must be a IPv4 address, and `{0}` is none")]
    HostNotIpv4(String),
    /// A bootstrap node is not `host:port` or `ip@host:port` with a port from 1 to 65,535.
    #[error("bootstrap node format is host:port, and `{text}` {flaw}")]
    BootstrapFormat {
        /// What was given.
        text: String,
        /// What is wrong with it, for example "has no port".
        flaw: &'static str,
    },
    /// This is not a range of addresses like `203.0.113.0/24`.
    #[error("`{0}` is not a range of IPv4 addresses, like 203.0.113.0/24")]
    InvalidRange(String),
    /// A node was given by an address that can't be one.
    #[error("`{field}`: {node}")]
    InvalidNode {
        /// Where: `bootstrap`, `nodes` or `public_address`.
        field: &'static str,
        /// Which.
        node: InvalidNode,
    },
    /// A number is outside its documented range.
    #[error("`{field}` is out of range: {value} is not in {min}..={max}")]
    OutOfRange {
        /// The field of [`Config`](crate::Config).
        field: &'static str,
        /// What was given: a number, how many there are, or milliseconds.
        value: usize,
        /// The least that is allowed.
        min: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// A range of ports for the server socket has no port in it.
    #[error("`port`: there is no port in the range {start}..{end}")]
    NoPort {
        /// The first port.
        start: u32,
        /// The last port, exclusive.
        end: u32,
    },
}

/// Why a request, a query or a reply was not even begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The node is closed.
    #[error("node destroyed")]
    Closed,
    /// The node is suspended.
    #[error("I/O suspended")]
    Suspended,
    /// As many are under way as the configuration allows; try again when one has ended.
    #[error("too many requests are under way")]
    Busy,
    /// The value does not fit into a datagram: at most `limit` bytes do here.
    #[error("the value is too large: at most {limit} bytes fit")]
    TooLarge {
        /// The longest value that this very message could carry, in bytes.
        limit: usize,
    },
    /// A delayed ping asks for more than [`Config::max_ping_delay`](crate::Config::max_ping_delay).
    #[error("delay exceeds max delay: {}ms", max.as_millis())]
    DelayTooLong {
        /// The longest delay, as configured.
        max: Duration,
    },
    /// Nothing can be sent to port 0 or to the unspecified address.
    #[error("nothing can be sent to this address")]
    InvalidAddress,
    /// A command or an error code above 2^53 - 1, which no peer would read.
    #[error("a number is above 2^53 - 1")]
    OutOfRange,
}

/// How a request that was begun ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer to any try.
    #[error("request timed out")]
    Timeout,
    /// The node was closed, or the request's session ended.
    #[error("request destroyed")]
    Destroyed,
    /// The node was suspended.
    #[error("I/O suspended")]
    Suspended,
    /// No answer, and the system did not send at least one of the tries, the last time for this reason. Says
    /// nothing of the node that was asked.
    #[error("request not sent: {0}")]
    Unsent(Unsent),
    /// No answer to any try from the address that was asked, but an answer from this one, maybe of the same machine:
    /// see [`Node::answered_instead`](crate::Node::answered_instead). Don't rely on it.
    #[error("request timed out; an answer came from {0} instead")]
    Elsewhere(SocketAddrV4),
}

impl RequestError {
    /// The code that dht-rpc gives this error in JavaScript.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            // The reference does not look at what else there is to know.
            Self::Timeout | Self::Unsent(_) | Self::Elsewhere(_) => "REQUEST_TIMEOUT",
            Self::Destroyed => "REQUEST_DESTROYED",
            Self::Suspended => "IO_SUSPENDED",
        }
    }
}

/// Why the system did not send a datagram: what an embedder tells by
/// [`Node::handle_unsent`](crate::Node::handle_unsent).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Unsent {
    /// There is no network, or no way into it.
    #[error("the network is unreachable")]
    NetworkUnreachable,
    /// There is no way to this host.
    #[error("the host is unreachable")]
    HostUnreachable,
    /// It is forbidden, by a firewall for instance.
    #[error("the system does not permit it")]
    Denied,
    /// Anything else.
    #[error("the system refused")]
    Other,
}

/// How a query failed. A query without a commit fails only with [`QueryError::NodeDestroyed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no node to commit to: of the nodes that answered, none has both an id and success as its answer.
    #[error(
        "too few nodes responded (asked {asked}, answered {answered}, {without_id} of these without an id, \
         {refused} with an error code{}, timed out {timed_out})",
        last_code(*refusal)
    )]
    TooFewNodes {
        /// How many nodes were asked.
        asked: u32,
        /// How many of them answered, with or without an error code.
        answered: u32,
        /// How many of these have no id: ephemeral nodes, which keep nothing.
        without_id: u32,
        /// How many of them answered with an error code.
        refused: u32,
        /// The last of these error codes: 1 if the node does not know the command.
        refusal: Option<u64>,
        /// Nodes that were asked and did not answer.
        timed_out: u32,
    },
    /// There were nodes to commit to, and none took it.
    #[error("no node took the commit ({0})")]
    Commit(Commit),
    /// The node was closed while there were still nodes to ask.
    #[error("node was destroyed")]
    NodeDestroyed,
    /// The session ended, or the node was suspended or closed, before the commit was done.
    #[error(transparent)]
    Cancelled(RequestError),
}

/// The last error code, as it is said beside the number of nodes that sent one.
fn last_code(code: Option<u64>) -> String {
    match code {
        Some(UNKNOWN_COMMAND) => format!(" (the last: {UNKNOWN_COMMAND}, unknown command)"),
        Some(code) => format!(" (the last: {code})"),
        None => String::new(),
    }
}
