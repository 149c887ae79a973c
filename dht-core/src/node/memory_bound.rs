//! How much memory a node may take, whatever its peers and its user do.

use core::net::SocketAddrV4;

use super::Node;
use crate::api::config::{BootstrapNode, Config};
use crate::bounded::memory::Heap;
use crate::context::events::Events;
use crate::context::knocks::Knocks;
use crate::members::Members;
use crate::queries::Queries;
use crate::reach::Reach;
use crate::replies::Replies;
use crate::requests::Requests;
use crate::sources::Sources;
use crate::wire::ADDR_LEN;

/// # Memory
impl Node {
    /// The most memory that a node of this configuration takes, in bytes, on the machine that this runs
    /// on: itself, and what it asks of the allocator, even while a buffer grows and is there twice.
    /// Neither peers nor calls can make it more: what does not fit is refused, or the oldest gives way.
    /// For a configuration that [`new`](Self::new) refuses it is `usize::MAX`.
    ///
    /// Values that are handed in count as if each filled a datagram of
    /// [`max_datagram`](Config::max_datagram) bytes; a `Bytes` that is a part of something larger, or made
    /// of a `Vec` with room to spare, keeps all of that. A query's list of nodes is the caller's until the
    /// call returns. What the node hands out is the caller's, as are the buffers for datagrams, a
    /// [`NodeFilter`](crate::NodeFilter) and an [`IdCache`](crate::IdCache), what an allocator takes for itself, and
    /// the stack (a few kilobytes).
    ///
    /// In practice a node takes a small part of it: one at rest has about 10 KB.
    ///
    /// ```
    /// use dht_core::{Config, Node};
    ///
    /// let mut config = Config::embedded();
    /// let bound = Node::memory_bound(&config);
    /// config.max_queries = 2;
    /// assert!(bound <= 57 << 10 && Node::memory_bound(&config) > bound);
    /// ```
    #[must_use]
    pub fn memory_bound(config: &Config) -> usize {
        if config.check().is_err() {
            return usize::MAX;
        }
        let mut heap = Heap::default();

        Requests::add_to(&mut heap, config);
        // The value of a request, then that of its answer; of our own only hints have one.
        heap.payloads(
            config.max_requests,
            config.max_value_sent().max(config.max_value_received()),
        );
        heap.payloads(config.max_background_requests, ADDR_LEN);
        // An answer that has just come.
        heap.payloads(1, config.max_value_received());

        Replies::add_to(&mut heap, config);
        heap.payloads(config.max_replies, config.max_value_sent());

        Queries::add_to(&mut heap, config);
        heap.payloads(config.max_queries, config.max_value_sent());

        Events::add_to(&mut heap, super::creation::events_max(config));
        Knocks::add_to(&mut heap, config.marks());

        Members::add_to(&mut heap, config);
        Reach::add_to(&mut heap, config);

        Sources::add_to(&mut heap, config);
        let names = config.bootstrap.iter().map(BootstrapNode::heap).sum();
        heap.fixed(1, size_of::<Config>() + 2 * size_of::<usize>());
        heap.exact::<BootstrapNode>(config.bootstrap.capacity());
        heap.fixed(1, names);
        // Copied along before they are in the table.
        heap.exact::<SocketAddrV4>(config.nodes.capacity());

        size_of::<Self>().saturating_add(heap.total())
    }
}
