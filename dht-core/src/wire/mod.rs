//! Messages as bytes.
use core::net::SocketAddrV4;

/// An address as the wire has it: four octets, then the port, little-endian.
#[must_use]
pub fn addr_bytes(addr: SocketAddrV4) -> [u8; 6] {
    let [a, b, c, d] = addr.ip().octets();
    let [lo, hi] = addr.port().to_le_bytes();
    [a, b, c, d, lo, hi]
}
