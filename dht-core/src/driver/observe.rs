//! What a handle tells about its node. All of it is a snapshot.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::io;

use super::bind::Ports;
use super::error::Error;
use super::guard::guard_io;
use super::handle::Dht;
use super::state::Drops;
use crate::{Config, HealthInfo, Id, Persistence, SavedNode, Stats, Via};

impl Dht {
    /// The node's own id; `None` while it is ephemeral.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        self.shared().look(|state| state.node.id())
    }

    /// The id that the routing table is arranged around.
    #[must_use]
    pub fn table_id(&self) -> Id {
        self.shared().look(|state| state.node.table_id())
    }

    /// The public address as other nodes see it, if they agree.
    #[must_use]
    pub fn host(&self) -> Option<Ipv4Addr> {
        self.shared().look(|state| state.node.host())
    }

    /// The public port as other nodes see it; 0 if unknown or not the same for everyone.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared().look(|state| state.node.port())
    }

    /// Whether a NAT seems to give every peer another port.
    #[must_use]
    pub fn randomized(&self) -> bool {
        self.shared().look(|state| state.node.randomized())
    }

    /// Whether others are not to put the node into their tables.
    #[must_use]
    pub fn ephemeral(&self) -> bool {
        self.shared().look(|state| state.node.ephemeral())
    }

    /// Why the node is persistent, or is not; [`Event::Persistence`](crate::Event::Persistence) tells of changes.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        self.shared().look(|state| state.node.persistence())
    }

    /// Whether nobody seems to be able to reach the node unasked.
    #[must_use]
    pub fn firewalled(&self) -> bool {
        self.shared().look(|state| state.node.firewalled())
    }

    /// Whether the node is bootstrapped.
    #[must_use]
    pub fn bootstrapped(&self) -> bool {
        self.shared().look(|state| state.node.bootstrapped())
    }

    /// Whether the node is suspended, will be as soon as it is bound, or has no sockets until they can be
    /// bound again ([`Event::BindFailed`](crate::Event::BindFailed)).
    #[must_use]
    pub fn suspended(&self) -> bool {
        self.shared().look(|state| state.node.suspended() || state.suspend_when_bound)
    }

    /// Whether the node is closed; its sockets may be open for a moment still.
    #[doc(alias = "destroyed")]
    #[must_use]
    pub fn closed(&self) -> bool {
        self.shared().look(|state| state.node.closed())
    }

    /// Whether anybody answers: somebody has, and has not fallen silent again. As JavaScript has it, a node is
    /// also online until that is known: [`HealthInfo::online`](crate::HealthInfo::online).
    #[must_use]
    pub fn online(&self) -> bool {
        self.shared().look(|state| state.node.online())
    }

    /// Whether many don't answer.
    #[must_use]
    pub fn degraded(&self) -> bool {
        self.shared().look(|state| state.node.degraded())
    }

    /// Why the node has no sockets, if so: they could not be bound. It is closed if that was the first
    /// time; else they are sought again.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.shared().look(|state| state.failure.clone())
    }

    /// What the system said the last time that it did not send a datagram: why requests fail with
    /// [`RequestError::Unsent`](crate::RequestError::Unsent), in its own words. It may be over by now.
    #[must_use]
    pub fn send_error(&self) -> Option<Arc<io::Error>> {
        self.shared().look(|state| state.send_error.clone())
    }

    /// What the system said the last time that it did not find the address of a bootstrap node's name.
    #[must_use]
    pub fn lookup_error(&self) -> Option<Arc<io::Error>> {
        self.shared().look(|state| state.lookup_error.clone())
    }

    /// Who has answered in the last 15 s when `asked` was asked, as [`Node::answered_instead`](crate::Node::answered_instead) has it.
    #[must_use]
    pub fn answered_instead(&self, asked: SocketAddrV4) -> Option<SocketAddrV4> {
        self.shared().look(|state| state.node.answered_instead(asked))
    }

    /// Where the socket is bound that requests leave by now; `None` before the first bind.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddrV4> {
        self.shared().look(|state| match state.node.request_via() {
            Via::Server => state.node.server_addr(),
            Via::Client | Via::Extra(_) => state.node.client_addr(),
        })
    }

    /// Where the client socket is bound; `None` before the first bind.
    #[must_use]
    pub fn client_address(&self) -> Option<SocketAddrV4> {
        self.shared().look(|state| state.node.client_addr())
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
        let interfaces = guard_io(|| self.shared().host().interfaces()).unwrap_or_default();
        let ip = interfaces.into_iter().find(|ip| !ip.is_loopback());
        Some(SocketAddrV4::new(ip.unwrap_or(Ipv4Addr::LOCALHOST), server.port()))
    }

    /// The public address at which anybody can reach the node; `None` if firewalled or unknown.
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddrV4> {
        self.shared().look(|state| state.node.remote_address())
    }

    /// The ports that the server socket may have, as given.
    #[must_use]
    pub fn port_range(&self) -> Ports {
        self.shared().look(|state| state.ports)
    }

    /// At most `limit` nodes of the routing table, the one heard from last first;
    /// `usize::MAX` for all.
    #[doc(alias = "to_array")]
    #[must_use]
    pub fn nodes(&self, limit: usize) -> Vec<SocketAddrV4> {
        self.shared().look(|state| state.node.nodes().take(limit).collect())
    }

    /// How many nodes are in the routing table.
    #[must_use]
    pub fn table_len(&self) -> usize {
        self.shared().look(|state| state.node.table_len())
    }

    /// The routing table, to be saved and given back later ([`import`](Self::import)).
    #[must_use]
    pub fn export(&self) -> Vec<SavedNode> {
        self.shared().look(|state| state.node.export())
    }

    /// Counters. Requests and queries that wait for a place count as active.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().look(|state| {
            let mut stats = state.node.stats();
            let requests = state.waiting_requests.len() as u64;
            stats.requests.active += requests;
            stats.requests.total += requests;
            let queries = state.waiting_queries.len() as u64;
            stats.queries.active += queries;
            stats.queries.total += queries;
            stats
        })
    }

    /// What the front-end itself had to let go.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.shared().look(|state| state.drops)
    }

    /// How well others answer.
    #[must_use]
    pub fn health(&self) -> HealthInfo {
        self.shared().look(|state| state.node.health())
    }

    /// How the node behaves.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared().look(|state| state.node.config().clone())
    }
}
