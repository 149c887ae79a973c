//! What a node tells of itself when asked. Nothing here changes anything.

use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::{Node, Stage};
use crate::api::config::Config;
use crate::api::error::Unsent;
use crate::api::stats::Stats;
use crate::id::Id;

/// How well the network answers, over the last four ticks (20 s).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthInfo {
    /// Somebody answers, or it is not known: so the reference has it. [`Node::online`] is true only if somebody does.
    pub online: bool,
    /// More than half of the requests time out.
    pub degraded: bool,
    /// There are not four samples yet.
    pub cold: bool,
    /// Fewer than four requests ended in the last tick: too few to tell.
    pub idle: bool,
    /// Responses in the last tick, to what the node asks on its own account: not what strangers have it ask.
    pub responses: u64,
    /// Timeouts in the last tick, and requests that were not sent, of the same; of requests that are not the user's, only
    /// those to nodes of the table count, as long as there is any.
    pub timeouts: u64,
    /// Their part in both: 0 to 1.
    pub timeouts_rate: f64,
    /// Why the system did not send, if so since the last answer.
    pub unsent: Option<Unsent>,
}

impl Node {
    /// The own id; `None` while ephemeral.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        (!self.ephemeral).then(|| self.table.own())
    }

    /// The id that the table is built around: random until the own address is known to be reachable.
    #[must_use]
    pub fn table_id(&self) -> Id {
        self.table.own()
    }

    /// How many nodes are in the table.
    #[must_use]
    pub fn table_len(&self) -> usize {
        self.table.len()
    }

    /// The public host, as far as peers agree on one.
    #[must_use]
    pub fn host(&self) -> Option<Ipv4Addr> {
        self.nat.host()
    }

    /// The public port; 0 if unknown, or not the same for everyone.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.nat.port()
    }

    /// Whether the node seems to be behind a NAT that gives each destination another port.
    #[must_use]
    pub fn randomized(&self) -> bool {
        self.host().is_some() && self.port() == 0
    }

    /// Whether the node is without an id, and so in nobody's table.
    #[must_use]
    pub fn ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Whether the node believes that nobody can reach it unasked.
    #[must_use]
    pub fn firewalled(&self) -> bool {
        self.firewalled
    }

    /// Whether the node has bootstrapped.
    #[must_use]
    pub fn bootstrapped(&self) -> bool {
        self.bootstrap.is_done()
    }

    /// Whether the node is suspended.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.stage == Stage::Suspended
    }

    /// Whether the node is closed.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Whether more than half of the requests time out.
    #[must_use]
    pub fn degraded(&self) -> bool {
        self.health.degraded()
    }

    /// The health in figures.
    #[must_use]
    pub fn health(&self) -> HealthInfo {
        HealthInfo {
            online: self.health.online(),
            degraded: self.health.degraded(),
            cold: self.health.cold(),
            idle: self.health.idle(),
            responses: self.health.responses(),
            timeouts: self.health.timeouts(),
            timeouts_rate: self.health.timeouts_rate(),
            unsent: self.unsent,
        }
    }

    /// Where the client socket is bound.
    #[must_use]
    pub fn client_addr(&self) -> Option<SocketAddrV4> {
        self.binding.map(|binding| binding.client)
    }

    /// Where the server socket is bound.
    #[must_use]
    pub fn server_addr(&self) -> Option<SocketAddrV4> {
        self.binding.map(|binding| binding.server)
    }

    /// The public address at which anybody can reach the node, if it is known to be reachable
    /// and its public port is the one that the server socket is bound to.
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddrV4> {
        let addr = SocketAddrV4::new(self.host()?, self.port());
        let bound = self.server_addr()?;
        (!self.firewalled && addr.port() == bound.port()).then_some(addr)
    }

    /// All counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.cx.stats
    }

    /// The configuration, but for the nodes given at the start.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.cx.config
    }

    /// Switches [`Event::NodeAdded`](crate::Event::NodeAdded) and
    /// [`Event::NodeRemoved`](crate::Event::NodeRemoved) on or off.
    pub fn set_node_events(&mut self, on: bool) {
        if self.cx.config.node_events != on {
            Arc::make_mut(&mut self.cx.config).node_events = on;
        }
    }
}
