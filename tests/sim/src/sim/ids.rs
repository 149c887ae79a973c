//! The ids of all nodes, hashed once and shared by all.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, PoisonError, RwLock};

use dht_core::Id;

use crate::world::addrs;

/// By host number: an address and its id. What is in here is true for ever, since an id is the hash of its
/// address; a host that comes back at another port takes the place of its former self.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedIds(Arc<RwLock<Known>>);

/// The known ids: of hosts of the row by their numbers, of other hosts by their addresses.
#[derive(Debug, Default)]
struct Known {
    row: Vec<Option<(SocketAddrV4, Id)>>,
    others: BTreeMap<SocketAddrV4, Id>,
}

impl SharedIds {
    pub(crate) fn set(&self, addr: SocketAddrV4) -> Id {
        let id = Id::of(addr);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(host) = addrs::host_at(*addr.ip()) else {
            known.others.insert(addr, id);
            return id;
        };
        if known.row.len() <= host {
            known.row.resize(host + 1, None);
        }
        known.row[host] = Some((addr, id));
        id
    }

    /// No node will be at this address again soon.
    pub(crate) fn forget(&self, addr: SocketAddrV4) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.others.remove(&addr);
    }

    pub(crate) fn get(&self, addr: SocketAddrV4) -> Option<Id> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(host) = addrs::host_at(*addr.ip()) else {
            return known.others.get(&addr).copied();
        };
        let (there, id) = (*known.row.get(host)?)?;
        (there == addr).then_some(id)
    }

    pub(crate) fn of(&self, addr: SocketAddrV4) -> Id {
        self.get(addr).unwrap_or_else(|| Id::of(addr))
    }
}
