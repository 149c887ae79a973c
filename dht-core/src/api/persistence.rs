//! Why a node is persistent, or is not.

use core::fmt;

/// Why a node is persistent or ephemeral: [`Node::persistence`](crate::Node::persistence).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Persistence {
    /// Persistent: a check has shown that peers reach the server socket. It is repeated every half an hour, and
    /// sooner when a peer sees another address.
    Reachable,
    /// Persistent: the configuration says that the node can be reached (`firewalled` is off), and peers agree on
    /// its address, or it is given as well.
    Told,
    /// Ephemeral, as the configuration wants it: `ephemeral` is on, or `adaptive` is off.
    Declined,
    /// Ephemeral until the node has bootstrapped.
    Bootstrapping,
    /// Ephemeral until the node has run for long enough without a sleep, 20 minutes at first.
    Settling,
    /// Ephemeral: too few peers have told the public address, or they don't agree.
    AddressUnknown,
    /// Ephemeral: each peer sees another port, as behind a NAT that maps each destination anew.
    PortVaries,
    /// Ephemeral: the check whether peers reach the server socket is about to begin.
    Unchecked,
    /// Ephemeral: peers did not reach the server socket, since a firewall or a NAT keeps them out. The check is
    /// repeated, ever less often, down to every half an hour (every hour if the node decides by itself).
    Unreachable,
}

impl Persistence {
    /// Whether the node is persistent.
    #[must_use]
    pub const fn is_persistent(self) -> bool {
        matches!(self, Self::Reachable | Self::Told)
    }

    /// Its name, in lower case with hyphens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Told => "told",
            Self::Declined => "declined",
            Self::Bootstrapping => "bootstrapping",
            Self::Settling => "settling",
            Self::AddressUnknown => "address-unknown",
            Self::PortVaries => "port-varies",
            Self::Unchecked => "unchecked",
            Self::Unreachable => "unreachable",
        }
    }
}

/// In words.
impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reachable => "persistent: others reach this node",
            Self::Told => "persistent: configured as reachable",
            Self::Declined => "ephemeral: as configured",
            Self::Bootstrapping => "ephemeral: not bootstrapped yet",
            Self::Settling => "ephemeral: not running for long enough yet",
            Self::AddressUnknown => "ephemeral: peers don't agree on its address",
            Self::PortVaries => "ephemeral: its NAT shows each peer another port",
            Self::Unchecked => "ephemeral: not checked yet whether others reach it",
            Self::Unreachable => "ephemeral: others don't reach this node",
        })
    }
}
