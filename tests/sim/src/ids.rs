//! The ids of all nodes, hashed once and shared by all.

use std::net::SocketAddrV4;
use std::sync::{Arc, PoisonError, RwLock};

use dht_core::Id;

use crate::addrs;

/// By host number: an address and its id. What is in here is true for ever, since an id is the hash of its
/// address; a host that comes back at another port takes the place of its former self.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedIds(Arc<RwLock<Vec<Known>>>);

/// What is known of a host.
type Known = Option<(SocketAddrV4, Id)>;

impl SharedIds {
    pub(crate) fn set(&self, addr: SocketAddrV4) -> Id {
        let id = Id::of(addr);
        if let Some(host) = addrs::host_at(*addr.ip()) {
            let mut ids = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if ids.len() <= host {
                ids.resize(host + 1, None);
            }
            ids[host] = Some((addr, id));
        }
        id
    }

    pub(crate) fn get(&self, addr: SocketAddrV4) -> Option<Id> {
        let host = addrs::host_at(*addr.ip())?;
        let ids = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (known, id) = (*ids.get(host)?)?;
        (known == addr).then_some(id)
    }

    pub(crate) fn of(&self, addr: SocketAddrV4) -> Id {
        self.get(addr).unwrap_or_else(|| Id::of(addr))
    }
}
