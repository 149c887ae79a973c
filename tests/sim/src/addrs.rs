//! Who has which address.
//!
//! Hosts get public addresses in a row, one per /24 (11.0.0.1, 11.0.1.1, …), so that limits per
//! network apply as they would out there, and so that the owner of an address follows from it without a
//! look-up. Other addresses are kept in a map.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::{HostId, NatId};

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
}

/// The address of a host in the row.
pub(crate) fn in_row(host: usize) -> Ipv4Addr {
    Ipv4Addr::from(FIRST + ((host as u32) << 8))
}

/// The number of the host that an address of the row belongs to, if there are so many.
pub(crate) fn host_at(ip: Ipv4Addr) -> Option<usize> {
    let offset = ip.to_bits().checked_sub(FIRST)?;
    let host = (offset >> 8) as usize;
    (offset & 0xff == 0 && host < HOSTS_MAX).then_some(host)
}

/// Addresses outside of the row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addrs(BTreeMap<Ipv4Addr, Owner>);

impl Addrs {
    /// `false`: it is somebody's already.
    pub(crate) fn claim(&mut self, ip: Ipv4Addr, owner: Owner) -> bool {
        match self.0.get(&ip) {
            Some(other) => *other == owner,
            None => {
                self.0.insert(ip, owner);
                true
            }
        }
    }

    pub(crate) fn get(&self, ip: Ipv4Addr) -> Option<Owner> {
        self.0.get(&ip).copied()
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
