//! Plausibility of addresses named by peers.
//!
//! A stranger can name any address as a node. An address that cannot be a node's, or only one
//! in a network that the stranger is not part of, is never contacted or stored. Addresses given
//! by the user must only be sendable.

use core::net::{Ipv4Addr, SocketAddrV4};

/// A range of addresses: one of them, and how many of its bits are those of all.
pub(crate) type Range = (Ipv4Addr, u8);

/// Loopback, private, link-local, and of carriers' NATs.
pub(crate) const LOCAL: [Range; 6] = [
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];

/// Whether `ip` is in one of these ranges.
pub(crate) fn is_in(ranges: &[Range], ip: Ipv4Addr) -> bool {
    ranges.iter().any(|(one, bits)| {
        let others = 32_u32.saturating_sub((*bits).into());
        (one.to_bits() ^ ip.to_bits()).checked_shr(others).unwrap_or(0) == 0
    })
}

/// Whether `ip` is [local](LOCAL): to hosts elsewhere it means nothing, or another host.
pub(crate) fn is_local(ip: Ipv4Addr) -> bool {
    is_in(&LOCAL, ip)
}

/// Whether a datagram can come from `addr`: never port 0, 0/8 ("this network"), or 224/3
/// (multicast, reserved, broadcast).
pub(crate) fn is_host(addr: SocketAddrV4) -> bool {
    addr.port() != 0 && matches!(addr.ip().octets(), [1..=223, ..])
}

/// Whether datagrams can be sent to an address of the user's at all.
pub(crate) fn is_sendable(addr: SocketAddrV4) -> bool {
    addr.port() != 0 && !addr.ip().is_unspecified()
}

/// Whether a node at `addr` can exist and the host `from` can know of it.
///
/// A local address counts only from a sender with a local address, a loopback address only from loopback.
pub(crate) fn learnable(addr: SocketAddrV4, from: Ipv4Addr) -> bool {
    let ip = *addr.ip();
    is_host(addr) && (!is_local(ip) || is_local(from)) && (!ip.is_loopback() || from.is_loopback())
}

/// The first 24 bits of `ip`: the smallest block that a holder of addresses usually has.
pub(crate) fn prefix24(ip: Ipv4Addr) -> u32 {
    ip.to_bits() >> 8
}

/// An address as a number, which is faster to compare; numbers are in the order of addresses.
pub(crate) fn number(addr: SocketAddrV4) -> u64 {
    u64::from(addr.ip().to_bits()) << 16 | u64::from(addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: Ipv4Addr = Ipv4Addr::new(88, 99, 3, 86);
    const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    /// Per range: one below its first address, its first, its last, one above.
    const LOCAL: [[&str; 4]; 6] = [
        ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
        ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"],
        ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"],
        ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"],
        ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"],
        ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"],
    ];

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn local_ranges_end_where_they_should() {
        for [below, first, last, above] in LOCAL {
            assert!(is_local(ip(first)) && is_local(ip(last)), "{first} to {last}");
            assert!(!is_local(ip(below)) && !is_local(ip(above)), "around {first}");
        }
        for outside in ["0.0.0.0", "1.1.1.1", "255.255.255.255"] {
            assert!(!is_local(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn local_addresses_are_learned_from_local_senders_only() {
        for range in LOCAL {
            for (addr, local) in range.into_iter().zip([false, true, true, false]) {
                let addr = SocketAddrV4::new(ip(addr), 1);
                let loopback = addr.ip().is_loopback();
                assert_eq!(learnable(addr, PRIVATE), !loopback, "{addr} from a private sender");
                assert!(learnable(addr, Ipv4Addr::LOCALHOST), "{addr} from loopback");
                assert_eq!(learnable(addr, PUBLIC), !local, "{addr} from a public sender");
            }
        }
    }

    #[test]
    fn impossible_addresses_are_never_learned() {
        for (addr, possible) in [
            ("0.0.0.0:1", false),
            ("0.255.255.255:1", false),
            ("1.0.0.0:1", true),
            ("223.255.255.255:1", true),
            ("224.0.0.0:1", false),
            ("239.255.255.250:1900", false),
            ("240.0.0.0:1", false),
            ("255.255.255.255:65535", false),
            ("8.8.8.8:0", false),
            ("8.8.8.8:1", true),
            ("8.8.8.8:65535", true),
        ] {
            for from in [PUBLIC, PRIVATE] {
                let known: SocketAddrV4 = addr.parse().unwrap();
                assert_eq!(learnable(known, from), possible, "{addr} from {from}");
            }
        }
        let local = SocketAddrV4::new(PRIVATE, 0);
        assert!(!learnable(local, PRIVATE), "port 0 is none even at home");
    }

    #[test]
    fn prefix_drops_the_last_octet() {
        assert_eq!(prefix24(ip("1.2.3.0")), 0x01_02_03);
        assert_eq!(prefix24(ip("1.2.3.255")), 0x01_02_03);
        assert_ne!(prefix24(ip("1.2.4.0")), 0x01_02_03);
        assert_eq!(prefix24(ip("255.255.255.255")), 0xff_ff_ff);
    }
}
