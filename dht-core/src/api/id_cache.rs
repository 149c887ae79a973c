//! Ids by address, from a cache that nodes of one process may share; without one, each node hashes.
//!
//! A node needs the id of each address it hears of: to see whether a claimed id is true, and how far
//! a named node is from a target. So hashing is most of the cost of a datagram with twenty closer
//! nodes. Many nodes in one process hear of the same addresses, so a shared cache pays.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddrV4;

use crate::id::Id;

/// Tells the ids of addresses, faster than hashing them would: for a server with many nodes, or a
/// simulator. See [`Config::ids`](crate::Config::ids).
///
/// ```
/// use std::collections::HashMap;
///
/// use dht_core::{Config, Id, IdCache};
///
/// let known = "45.0.0.1:49737".parse()?;
/// let ids = HashMap::from([(known, Id::of(known))]);
/// let ids = IdCache::new(move |addr| ids.get(&addr).copied());
/// assert_eq!(ids.get(known), Some(Id::of(known)));
///
/// let mut config = Config::default();
/// config.ids = Some(ids.clone()); // all nodes of the process share it
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone)]
pub struct IdCache(Arc<dyn Fn(SocketAddrV4) -> Option<Id> + Send + Sync>);

impl IdCache {
    /// Wraps a function. It must return what [`Id::of`] would, or `None`, after which the node hashes the
    /// address itself. It may cache the addresses that it was asked for. It is called on the datagram
    /// path, so it must be fast, and its memory bounded, since peers choose the addresses.
    ///
    /// A wrong id misleads only this node: it takes true ids for false ones, or false ones for
    /// true, and knows and finds the wrong nodes. Nothing panics, and no other node is affected.
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
