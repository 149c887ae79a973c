//! Source addresses: an attacker's own, or forged.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::world::{Stream, check};

/// Where datagrams claim to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// One of these addresses.
    These(Vec<SocketAddrV4>),
    /// One host, any port.
    Host(Ipv4Addr),
    /// Any host of this /24, any port.
    Network(Ipv4Addr),
    /// Any public address, in a part of the net where no simulated host is.
    Anywhere,
}

impl Sources {
    /// A source address.
    pub fn draw(&self, rng: &mut Stream) -> SocketAddrV4 {
        let port = 1 + rng.below(u16::MAX.into()) as u16;
        let below = |n: usize, rng: &mut Stream| rng.below(n as u64);
        match self {
            Self::These(these) => {
                let at = below(these.len(), rng) as usize;
                these.get(at).copied().unwrap_or(SocketAddrV4::new(NOWHERE, port))
            }
            Self::Host(ip) => SocketAddrV4::new(*ip, port),
            Self::Network(ip) => {
                let host = 1 + below(254, rng) as u32;
                SocketAddrV4::new(Ipv4Addr::from(ip.to_bits() & !0xff | host), port)
            }
            Self::Anywhere => {
                // 128.0.0.0 to 159.255.255.255: all of it public, and above where hosts are put.
                SocketAddrV4::new(Ipv4Addr::from(0x8000_0000 | below(1 << 29, rng) as u32), port)
            }
        }
    }

    /// Refuses a list without addresses.
    pub fn check(&self) -> Result<(), String> {
        let some = !matches!(self, Self::These(these) if these.is_empty());
        check::that(some, "sources.these", "not be empty")
    }
}

/// Set aside for documentation.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::world::Purpose;

    #[test]
    fn they_are_where_they_should_be() {
        let mut rng = Stream::new(1, Purpose::Actor, 0);
        let ip = Ipv4Addr::new(66, 7, 8, 9);
        let mut hosts = BTreeSet::new();
        for _ in 0..2_000 {
            assert_eq!(*Sources::Host(ip).draw(&mut rng).ip(), ip);
            let near = Sources::Network(ip).draw(&mut rng);
            assert_eq!(near.ip().to_bits() >> 8, ip.to_bits() >> 8);
            hosts.insert(*near.ip());
            let far = Sources::Anywhere.draw(&mut rng);
            assert!((128..160).contains(&far.ip().octets()[0]) && far.port() != 0);
        }
        assert_eq!(hosts.len(), 254);
        let one = SocketAddrV4::new(ip, 5);
        assert_eq!(Sources::These(vec![one]).draw(&mut rng), one);
        assert!(Sources::These(Vec::new()).check().is_err());
    }
}
