//! Ids by address: hashed, unless the embedder keeps those of many nodes at hand.
//!
//! Whoever hears of an address has to know its id, to see whether a claimed one is true and how
//! far a named node is from a target, so a hash is most of what a datagram with twenty closer
//! nodes costs. Many nodes in one process hear of the same addresses.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddrV4;

use crate::id::Id;

/// Tells the ids of addresses, faster than hashing them would: for a server with many nodes, or a
/// simulator. See [`Config::ids`](crate::Config::ids).
#[derive(Clone)]
pub struct IdCache(Arc<dyn Fn(SocketAddrV4) -> Option<Id> + Send + Sync>);

impl IdCache {
    /// Wraps a function. It must answer what [`Id::of`] would, or `None`: then the node hashes the
    /// address itself. It may remember what it was asked for; it is asked on the datagram path, so
    /// it must be fast, and bounded, since peers choose the addresses.
    ///
    /// A wrong answer misleads this node alone: it takes true ids for false ones, or false ones for
    /// true, and knows and finds the wrong nodes. Nothing panics, and nobody else is affected.
    pub fn new(get: impl Fn(SocketAddrV4) -> Option<Id> + Send + Sync + 'static) -> Self {
        Self(Arc::new(get))
    }

    /// Asks it.
    #[must_use]
    pub fn get(&self, addr: SocketAddrV4) -> Option<Id> {
        (self.0)(addr)
    }
}

impl fmt::Debug for IdCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdCache(..)")
    }
}

/// Where a node has its ids from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids(Option<IdCache>);

impl Ids {
    pub(crate) const fn new(cache: Option<IdCache>) -> Self {
        Self(cache)
    }

    /// The id of the node at `addr`.
    pub(crate) fn of(&self, addr: SocketAddrV4) -> Id {
        let known = self.0.as_ref().and_then(|cache| cache.get(addr));
        known.unwrap_or_else(|| Id::of(addr))
    }

    /// `id` if it is the one of the address that it came from: only then it counts.
    pub(crate) fn proven(&self, id: Option<&[u8; 32]>, from: SocketAddrV4) -> Option<Id> {
        let id = Id(*id?);
        (id == self.of(from)).then_some(id)
    }
}
