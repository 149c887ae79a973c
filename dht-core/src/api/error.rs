//! What can go wrong at the caller's side. Nothing that comes from the network is
//! ever an error here: it is dropped and counted ([`crate::Stats`]).

use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::api::message::Commit;

/// The address that was given for a node's is none: its port is 0, or it is the unspecified address. The
/// latter is what a socket that listens at all addresses of its machine shows as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidNode(pub SocketAddrV4);

impl fmt::Display for InvalidNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(addr) = self;
        match addr.port() {
            0 => write!(f, "{addr} is no node's address: its port is 0"),
            port => write!(
                f,
                "{addr} is no node's address: it stands for all of a machine's; one on this machine is at \
                 127.0.0.1:{port}"
            ),
        }
    }
}

impl core::error::Error for InvalidNode {}

/// Why a [`Config`](crate::Config) can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A bootstrapper was given port 0.
    PortRequired,
    /// A bootstrapper was given an empty host.
    HostRequired,
    /// A bootstrapper was given the unspecified address.
    InvalidHost,
    /// A bootstrapper was given a host that is not a dotted IPv4 address.
    HostNotIpv4,
    /// A bootstrap node is not `host:port` or `ip@host:port` with a port from 1 to 65,535.
    BootstrapFormat,
    /// A node was given by an address that is none.
    InvalidNode {
        /// Where: `bootstrap` or `nodes`.
        field: &'static str,
        /// Which.
        node: InvalidNode,
    },
    /// A number is outside its documented range, or an address is none; the field's name is given.
    OutOfRange(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortRequired => "Port is required",
            Self::HostRequired => "Host is required",
            Self::InvalidHost => "Invalid host",
            Self::HostNotIpv4 => "Host must be a IPv4 address",
            Self::BootstrapFormat => "Bootstrap node format is host:port",
            Self::InvalidNode { field, node } => return write!(f, "`{field}`: {node}"),
            Self::OutOfRange(field) => return write!(f, "`{field}` is out of range"),
        })
    }
}

impl core::error::Error for ConfigError {}

/// Why a request, a query or a reply was not even begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The node is closed.
    Closed,
    /// The node is suspended.
    Suspended,
    /// As many are under way as the configuration allows; try again when one has ended.
    Busy,
    /// The value does not fit into a datagram: at most `limit` bytes do here.
    TooLarge {
        /// The longest value that this very message could carry, in bytes.
        limit: usize,
    },
    /// A delayed ping asks for more than [`Config::max_ping_delay`](crate::Config::max_ping_delay).
    DelayTooLong {
        /// The longest delay, as configured.
        max: Duration,
    },
    /// Nothing can be sent to port 0 or to the unspecified address.
    InvalidAddress,
    /// A command or an error code above 2^53 - 1, which no peer would read.
    OutOfRange,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Node destroyed"),
            Self::Suspended => f.write_str("I/O suspended"),
            Self::Busy => f.write_str("too many requests are under way"),
            Self::TooLarge { limit } => {
                write!(f, "the value is too large: at most {limit} bytes fit")
            }
            Self::DelayTooLong { max } => {
                write!(f, "Delay exceeds max delay: {}ms", max.as_millis())
            }
            Self::InvalidAddress => f.write_str("nothing can be sent to this address"),
            Self::OutOfRange => f.write_str("a number is above 2^53 - 1"),
        }
    }
}

impl core::error::Error for SendError {}

/// How a request that was begun ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer to any try.
    Timeout,
    /// The node was closed, or the request's session ended.
    Destroyed,
    /// The node was suspended.
    Suspended,
    /// No answer, and the system did not send at least one of the tries, the last time for this reason. Says
    /// nothing of the one who was asked.
    Unsent(Unsent),
    /// No answer to any try from the one who was asked, but one from this address, maybe another of the same machine's:
    /// see [`Node::answered_instead`](crate::Node::answered_instead). Don't rely on it.
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

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "Request timed out",
            Self::Destroyed => "Request destroyed",
            Self::Suspended => "I/O suspended",
            Self::Unsent(why) => return write!(f, "Request not sent: {why}"),
            Self::Elsewhere(from) => {
                return write!(f, "Request timed out; an answer came from {from} instead");
            }
        })
    }
}

impl core::error::Error for RequestError {}

/// Why the system did not send a datagram: what an embedder tells by
/// [`Node::handle_unsent`](crate::Node::handle_unsent).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unsent {
    /// There is no network, or no way into it.
    NetworkUnreachable,
    /// There is no way to this host.
    HostUnreachable,
    /// It is forbidden, by a firewall for instance.
    Denied,
    /// Anything else.
    Other,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkUnreachable => "the network is unreachable",
            Self::HostUnreachable => "the host is unreachable",
            Self::Denied => "the system does not permit it",
            Self::Other => "the system refused",
        })
    }
}

/// How a query failed. A query without a commit fails only with [`QueryError::NodeDestroyed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// Nobody is there to commit to: of those who answered none has an id and sent no error code.
    TooFewNodes {
        /// How many nodes were asked.
        asked: u32,
        /// How many of them answered, with or without an error code.
        answered: u32,
        /// How many of these have no id: ephemeral nodes, which keep nothing.
        without_id: u32,
        /// How many of those asked did not answer.
        timed_out: u32,
    },
    /// There were nodes to commit to, and none took it.
    Commit(Commit),
    /// The node was closed while there were still nodes to ask.
    NodeDestroyed,
    /// The session ended, or the node was suspended or closed, before the commit was done.
    Cancelled(RequestError),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewNodes { asked, answered, without_id, timed_out } => {
                write!(f, "Too few nodes responded (asked {asked}, answered {answered}, ")?;
                if *without_id > 0 {
                    write!(f, "{without_id} of these without an id, ")?;
                }
                write!(f, "timed out {timed_out})")
            }
            Self::Commit(commit) => write!(f, "no node took the commit ({commit})"),
            Self::NodeDestroyed => f.write_str("Node was destroyed"),
            Self::Cancelled(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for QueryError {}
