//! The memory that a node takes with its driver at most, whatever its peers do.

use core::task::Waker;

use super::builder::Builder;
use super::mail::{DATAGRAMS_MAX, Datagram, EVENTS_MAX, Note, REQUESTS_MAX, Received};
use super::names::LOOKUPS_MAX;
use super::runtime::Runtime;
use super::shared::Shared;
use super::task::Driver;
use crate::bounded::memory::Heap;
#[cfg(feature = "hyperdht")]
use crate::hyperdht::Service;
use crate::{DATAGRAM_MAX, Event, Node};

/// What an entry of a map of wakers, or of a set of ids, takes at most, in bytes. After most entries were removed
/// the standard library's tree nodes are less than half full.
const OWNER: usize = 96;
const ID: usize = 40;
/// The longest name that can be looked up.
const NAME_MAX: usize = 256;

impl<R: Runtime> Builder<R> {
    /// The most memory that the node takes together with its driver, in bytes: [`Node::memory_bound`], and what
    /// peers can have the driver keep, if there are streams for it: [`REQUESTS_MAX`] requests, [`DATAGRAMS_MAX`]
    /// foreign datagrams of up to [`DATAGRAM_MAX`] bytes, a datagram for each socket that takes none, and the
    /// items of one order ([`Dht::items`](super::Dht::items)). 6 MB of it with the defaults; and what the node stores for others, if it serves hyperdht's commands. `usize::MAX` for
    /// options that [`build`](Self::build) refuses because of a number.
    ///
    /// What the user keeps or has wait is not counted, since no peer can make it grow: requests and queries
    /// that wait for a place (at most [`WAITING_MAX`](super::WAITING_MAX) of each), datagrams of the user's own
    /// ([`RAW_MAX`](super::RAW_MAX) for each socket), handles, futures and streams, with [`EVENTS_MAX`] events
    /// in each [`Events`](super::Events) and [`RAW_MAX`](super::RAW_MAX) datagrams in each
    /// [`ExtraSocket`](super::ExtraSocket). Nor is what the runtime takes: sockets, timers, look-ups.
    #[must_use]
    pub fn memory_bound(&self) -> usize {
        let config = &self.config;
        let node = Node::memory_bound(config);
        if node == usize::MAX {
            return node;
        }
        let mut heap = Heap::default();
        // `Node::memory_bound` counts the node.
        heap.fixed(1, size_of::<Shared>() - size_of::<Node>() + 2 * size_of::<usize>());
        heap.fixed(1, size_of::<Driver<R>>());
        heap.fixed(2, DATAGRAM_MAX + 1);

        // The bound is for requests in both queues together, but each may have got room for all of them.
        heap.lists::<Received>(1, REQUESTS_MAX);
        heap.payloads(REQUESTS_MAX, config.max_value_received());
        heap.lists::<Datagram>(1, DATAGRAMS_MAX);
        heap.payloads(DATAGRAMS_MAX, DATAGRAM_MAX + 1);
        // The datagram that a socket could not take.
        heap.fixed(2, config.max_datagram);

        let (requests, queries) = (config.max_requests, config.max_queries);
        let replies = queries * (config.max_unread_replies + 1);
        heap.lists::<Note>(1, EVENTS_MAX + REQUESTS_MAX + requests + replies);
        heap.fixed(REQUESTS_MAX, size_of::<Received>());
        heap.fixed(requests + queries, OWNER + ID);
        heap.lists::<Waker>(1, requests + queries);
        heap.lists::<Event>(1, 2 * EVENTS_MAX);

        heap.fixed(LOOKUPS_MAX, NAME_MAX);
        #[cfg(feature = "hyperdht")]
        self.service().iter().for_each(|config| {
            heap.fixed(1, size_of::<Service>());
            heap.fixed(1, Service::memory_bound(config));
        });
        node.saturating_add(heap.total())
    }
}
