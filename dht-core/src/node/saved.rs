//! Nodes that the user brings, and the table that he takes away with him.

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use super::{Node, Parts};
use crate::addr::is_sendable;
use crate::api::error::InvalidNode;
use crate::api::message::SavedNode;
use crate::time::Instant;
use crate::upkeep::Stage;

/// # The table
impl Node {
    /// Puts a node into the table, for instance one known from an earlier run. It is asked
    /// in time, like any other; the node filter does not apply. It is not forgotten, like the nodes of
    /// [`Config::nodes`](crate::Config::nodes); if there are too many of these, the first ones count. Whether it is in the table now: not if that
    /// has no place for it, if it is the node itself, or if the node is closed.
    ///
    /// # Errors
    /// If that is no node's address.
    pub fn add_node(&mut self, now: Instant, addr: SocketAddrV4) -> Result<bool, InvalidNode> {
        if !is_sendable(addr) {
            return Err(InvalidNode(addr));
        }
        Ok(self.parts.enter(now, |node| {
            let open = node.upkeep.stage != Stage::Closed;
            if open {
                node.sources.given.add(node.cx.config.given(), node.cx.tick, addr);
            }
            open && node.members.admit(&mut node.cx, addr)
        }))
    }

    /// All nodes of the table, the one heard of most recently first.
    pub fn nodes(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.parts.members.table().iter().map(|(_, addr)| addr)
    }

    /// The table with its ages, to be saved: the one heard of most recently first.
    #[must_use]
    pub fn export(&self) -> Vec<SavedNode> {
        self.parts.members.export(self.parts.cx.tick)
    }

    /// Puts saved nodes into the table, beside what is there. `away` is how long ago they were saved.
    /// How many of them are in the table now: the rest found no place there, or have no node's address.
    pub fn import(&mut self, now: Instant, nodes: &[SavedNode], away: Duration) -> usize {
        self.parts.enter(now, |node| node.import(nodes, away))
    }
}

impl Parts {
    fn import(&mut self, nodes: &[SavedNode], away: Duration) -> usize {
        if self.upkeep.stage == Stage::Closed {
            return 0;
        }
        // Where there are bootstrap nodes, there is always a way back.
        if self.cx.config.bootstrap.is_empty() {
            let given = nodes.iter().map(|node| node.addr).filter(|addr| is_sendable(*addr));
            let max = self.cx.config.given() / 2;
            given.take(max).for_each(|addr| self.sources.given.add(max, self.cx.tick, addr));
        }
        let nodes = nodes.iter().rev().filter(|node| is_sendable(node.addr));
        nodes.filter(|node| self.members.restore(&mut self.cx, node, away)).count()
    }
}
