//! Node ids and the XOR metric.
//!
//! An id cannot be chosen: it is BLAKE2b-256 over the six bytes of a node's public
//! address, so each receiver of a datagram can check the id in it.
//! Mirrors `lib/peer.js`.

use core::fmt;
use core::net::SocketAddrV4;
use core::str::FromStr;

use blake2::{Blake2b256, Digest};
use thiserror::Error;

use crate::{hex, wire};

/// A 32-byte point in the key space: a node's id, or the target of a request.
///
/// ```
/// use dht_core::Id;
///
/// let id = Id::of("45.0.0.1:49737".parse()?);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(id.distance(&id).shared_bits(), 256);
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// The id of the node at `addr`.
    // Where it is inlined, the hash is not inlined into it, and costs 4 % more.
    #[inline(never)]
    #[must_use]
    pub fn of(addr: SocketAddrV4) -> Self {
        Self(Blake2b256::digest(wire::addr_bytes(addr)).into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The distance between `self` and `other`: their XOR, compared as a big-endian number.
    #[must_use]
    pub fn distance(&self, other: &Self) -> Distance {
        let mut xor = self.0;
        for (x, other) in xor.iter_mut().zip(&other.0) {
            *x ^= other;
        }
        Distance(xor)
    }

    /// The id with one bit inverted, counted from the most significant one.
    pub(crate) fn flip(&self, bit: u32) -> Option<Self> {
        let mut flipped = *self;
        *flipped.0.get_mut((bit / 8) as usize)? ^= 0x80 >> (bit % 8);
        Some(flipped)
    }

    /// The first eight bytes as a number: distances between prefixes order like
    /// distances between ids, except for ties.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl From<[u8; 32]> for Id {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(")?;
        fmt::Display::fmt(self, f)?;
        f.write_str(")")
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

/// From 64 hexadecimal digits, as [`Display`](fmt::Display) writes them.
impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        hex::parse(text).map(Self).ok_or(ParseIdError)
    }
}

/// A text that is no [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an id has 64 hexadecimal digits")]
pub struct ParseIdError;

/// An XOR distance between two [`Id`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance([u8; 32]);

impl Distance {
    /// The first eight bytes as a number; see [`Id::prefix`].
    #[must_use]
    pub fn prefix(&self) -> u64 {
        Id(self.0).prefix()
    }

    /// The number of leading bits that the two ids share: 256 if they are equal.
    #[must_use]
    pub fn shared_bits(&self) -> u32 {
        // Of two random ids, the first eight bytes nearly always decide.
        match self.prefix().leading_zeros() {
            u64::BITS => {
                let equal = self.0.iter().take_while(|byte| **byte == 0).count();
                let next = self.0.get(equal).map_or(0, |byte| byte.leading_zeros());
                equal as u32 * u8::BITS + next
            }
            bits => bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use alloc::vec::Vec;

    use quickcheck::quickcheck;

    use super::*;

    #[test]
    fn id_of_an_address_is_the_hash_of_its_six_bytes() {
        // BLAKE2b-256 of 7f 00 00 01 11 27, by an independent implementation.
        let id = Id::of(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 10001));
        assert_eq!(
            alloc::format!("{id}"),
            "e96e0146a33e022987fe256c6343ac5d20dba47ea1b6341f932903b48469453e"
        );
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = Id::of(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
        let text = alloc::format!("{id}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for wrong in ["", &text[1..], &alloc::format!("{text}0"), &text.replace('a', "g"), "+1"] {
            assert_eq!(wrong.parse::<Id>(), Err(ParseIdError), "{wrong}");
        }
    }

    quickcheck! {
        fn distance_is_a_metric(a: Vec<u8>, b: Vec<u8>, c: Vec<u8>) -> bool {
            let [a, b, c] = [a, b, c].map(|bytes| Id(Blake2b256::digest(bytes).into()));
            let xor = |x: &Id, y: &Id| x.distance(y);
            xor(&a, &a).shared_bits() == 256
                && xor(&a, &b) == xor(&b, &a)
                && (a == b) == (xor(&a, &b).shared_bits() == 256)
                && (xor(&a, &b) == xor(&a, &c)) == (b == c)
        }

        fn shared_bits_counts_bit_by_bit(a: u64, b: u64) -> bool {
            let id = |n: u64| { let mut id = [0; 32]; id[..8].copy_from_slice(&n.to_be_bytes()); Id(id) };
            let naive = (0..64).take_while(|i| (a ^ b) << i >> 63 == 0).count() as u32;
            let expected = if naive == 64 { 256 } else { naive };
            id(a).distance(&id(b)).shared_bits() == expected
        }
    }
}
