//! What a node tells of itself when asked. Nothing here changes anything.

use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::{Node, Parts};
use crate::api::config::Config;
use crate::api::health_info::HealthInfo;
use crate::api::message::Via;
use crate::api::persistence::Persistence;
use crate::api::stats::Stats;
use crate::id::Id;
use crate::upkeep::Stage;

/// # State
impl Node {
    /// The own id; `None` while ephemeral.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        self.parts.id()
    }

    /// The id that the table is built around: random until the own address is known to be reachable.
    #[must_use]
    pub fn table_id(&self) -> Id {
        *self.parts.members.table().own()
    }

    /// How many nodes are in the table.
    #[must_use]
    pub fn table_len(&self) -> usize {
        self.parts.members.table().len()
    }

    /// The public host, as far as peers agree on one.
    #[must_use]
    pub fn host(&self) -> Option<Ipv4Addr> {
        self.parts.reach.host()
    }

    /// The public port; 0 if unknown, or not the same for everyone.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.parts.reach.port()
    }

    /// Whether the node seems to be behind a NAT that gives each destination another port.
    #[must_use]
    pub fn randomized(&self) -> bool {
        self.host().is_some() && self.port() == 0
    }

    /// Whether the node is without an id, and so in no other node's table.
    #[must_use]
    pub fn ephemeral(&self) -> bool {
        self.parts.reach.is_ephemeral()
    }

    /// Whether the node believes that other nodes can't reach it unasked.
    #[must_use]
    pub fn firewalled(&self) -> bool {
        self.parts.reach.is_firewalled()
    }

    /// Whether the node has bootstrapped.
    #[must_use]
    pub fn bootstrapped(&self) -> bool {
        self.parts.upkeep.bootstrap.is_done()
    }

    /// Whether the node is suspended.
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.parts.upkeep.stage == Stage::Suspended
    }

    /// Whether the node is closed.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.parts.upkeep.stage == Stage::Closed
    }

    /// Whether the network answers: a node has answered since this one was bound, resumed or woken up, and the network has not fallen silent
    /// since. That is when [`health`](Self::health) says so, which takes two ticks of requests without any
    /// answer, or after a minute without one, and four requests. [`Event::Online`](crate::Event::Online) and
    /// [`Event::Offline`](crate::Event::Offline) tell.
    #[must_use]
    pub fn online(&self) -> bool {
        self.parts.upkeep.contact.online()
    }

    /// Who has answered in the last 15 s when `asked` was asked, from another address of the same host, or the same port of
    /// another: most likely a machine with several addresses that answers from the wrong one. The answer does not
    /// count, since a stranger can send one by guessing 16 bits; this is for people to read. The last two are remembered.
    #[must_use]
    pub fn answered_instead(&self, asked: SocketAddrV4) -> Option<SocketAddrV4> {
        self.parts.requests.answered_instead(&self.parts.cx, asked)
    }

    /// The health in figures.
    #[must_use]
    pub fn health(&self) -> HealthInfo {
        self.parts.upkeep.contact.health()
    }

    /// Where the client socket is bound.
    #[must_use]
    pub fn client_addr(&self) -> Option<SocketAddrV4> {
        self.parts.reach.binding().map(|binding| binding.client)
    }

    /// Where the server socket is bound.
    #[must_use]
    pub fn server_addr(&self) -> Option<SocketAddrV4> {
        self.parts.reach.binding().map(|binding| binding.server)
    }

    /// The public address at which every host can reach the node, if it is known to be reachable
    /// and its public port is the port that the server socket is bound to.
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddrV4> {
        let addr = SocketAddrV4::new(self.host()?, self.port());
        let bound = self.server_addr()?;
        (!self.parts.reach.is_firewalled() && addr.port() == bound.port()).then_some(addr)
    }

    /// The socket that requests leave by: by the server's once the node knows that it is reachable.
    #[must_use]
    pub fn request_via(&self) -> Via {
        self.parts.reach.request_via()
    }

    /// All counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.parts.cx.stats
    }

    /// The configuration, but for the nodes given at the start.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.parts.cx.config
    }

    /// Switches [`Event::NodeAdded`](crate::Event::NodeAdded) and
    /// [`Event::NodeRemoved`](crate::Event::NodeRemoved) on or off.
    pub fn set_node_events(&mut self, on: bool) {
        self.parts.enter_now(|node| {
            if node.cx.config.node_events != on {
                Arc::make_mut(&mut node.cx.config).node_events = on;
            }
        });
    }

    /// Why the node is persistent, or is not: a snapshot. [`Event::Persistence`](crate::Event::Persistence) tells of changes.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        self.parts.reach.persistence(&self.parts.cx.config, self.parts.upkeep.bootstrap.is_done())
    }
}

impl Parts {
    /// The own id; `None` while ephemeral.
    pub(super) fn id(&self) -> Option<Id> {
        (!self.reach.is_ephemeral()).then(|| *self.members.table().own())
    }
}
