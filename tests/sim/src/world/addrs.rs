//! Who has which address.
//!
//! Hosts get public addresses in a row, one per /24 (11.0.0.1, 11.0.1.1, …), so that limits per network apply as
//! on the internet, and so that the owner of an address follows from it without a look-up. Other addresses are kept in a
//! map: addresses that were asked for, and addresses of a [model](crate::addresses) in which hosts share them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::addresses::NODES_PER_ADDRESS_MAX;
use super::{HostId, NatId};

/// Where the row begins.
const FIRST: u32 = 0x0b00_0001;
/// As many as there are before the first range that is not public (100.64.0.0/10).
pub(crate) const HOSTS_MAX: usize = 0x58_0000;

const _: () = assert!(FIRST + ((HOSTS_MAX as u32) << 8) < 0x6440_0000);

/// Where a datagram to an address goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Host(HostId),
    Nat(NatId),
    /// Of several hosts: the port tells which.
    Shared,
}

/// The address of a host in the row.
pub(crate) fn in_row(host: usize) -> Ipv4Addr {
    Ipv4Addr::from(FIRST + ((host as u32) << 8))
}

/// The number of the host that an address of the row belongs to, if the row is that long.
pub(crate) fn host_at(ip: Ipv4Addr) -> Option<usize> {
    let offset = ip.to_bits().checked_sub(FIRST)?;
    let host = (offset >> 8) as usize;
    (offset & 0xff == 0 && host < HOSTS_MAX).then_some(host)
}

/// The first port of the first generation.
pub(crate) const PORT: u16 = 2000;
/// How many generations have ports of their own.
const GENERATIONS: u32 = 30_000;

/// Nodes at an address that is shared take turns with their ports: each has fewer generations.
const SLOTS: u32 = NODES_PER_ADDRESS_MAX;
const _: () = assert!(GENERATIONS.is_multiple_of(SLOTS));

/// The server port of a host's generation: a node made anew has another port, and so another id.
pub(crate) const fn port_of(slot: Option<u16>, generation: u32) -> u16 {
    let number = match slot {
        None => generation,
        Some(slot) => generation % (GENERATIONS / SLOTS) * SLOTS + slot as u32,
    };
    PORT + 2 * (number % GENERATIONS) as u16
}

/// Which of the nodes at a shared address has a port. Sockets of an embedder's own (`Via::Extra`) belong to
/// some node by the same rule.
pub(crate) fn slot_of(port: u16) -> Option<u16> {
    Some(port.checked_sub(PORT)? / 2 % SLOTS as u16)
}

/// Addresses outside of the row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addrs {
    owners: BTreeMap<Ipv4Addr, Owner>,
    /// Who is which node of a shared address.
    nodes: BTreeMap<(Ipv4Addr, u16), HostId>,
}

impl Addrs {
    /// `false`: it is taken.
    pub(crate) fn claim(&mut self, ip: Ipv4Addr, owner: Owner) -> bool {
        match self.owners.get(&ip) {
            Some(other) => *other == owner,
            None => {
                self.owners.insert(ip, owner);
                true
            }
        }
    }

    /// The same for one of the places at an address that several share.
    pub(crate) fn claim_slot(&mut self, ip: Ipv4Addr, slot: u16, host: HostId) -> bool {
        self.claim(ip, Owner::Shared) && self.nodes.insert((ip, slot), host).is_none()
    }

    /// Whether an address is taken.
    pub(crate) fn is_taken(&self, ip: Ipv4Addr) -> bool {
        self.owners.contains_key(&ip)
    }

    pub(crate) fn get(&self, addr: SocketAddrV4) -> Option<Owner> {
        let ip = *addr.ip();
        match self.owners.get(&ip).copied()? {
            Owner::Shared => self.nodes.get(&(ip, slot_of(addr.port())?)).copied().map(Owner::Host),
            owner => Some(owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_by_its_address() {
        for host in [0, 1, 255, 256, 1_000_000, HOSTS_MAX - 1] {
            let ip = in_row(host);
            assert_eq!(host_at(ip), Some(host));
            assert!(!ip.is_private() && !ip.is_loopback());
            assert_eq!(host_at(Ipv4Addr::from(ip.to_bits() + 1)), None);
        }
        assert_eq!(host_at(in_row(HOSTS_MAX)), None);
        assert_eq!(host_at(Ipv4Addr::LOCALHOST), None);
    }
}
