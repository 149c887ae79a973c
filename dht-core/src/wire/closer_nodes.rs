//! The list of addresses in a response, kept as bytes until it is read.

use core::fmt;
use core::net::SocketAddrV4;

use super::cursor::{Reader, Writer};
use super::{ADDR_LEN, CLOSER_NODES_MAX, DecodeError, EncodeError, addr_from_bytes, varint};

/// Addresses that a response carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CloserNodes<'a> {
    /// Whole addresses, one after the other.
    bytes: &'a [u8],
}

impl<'a> CloserNodes<'a> {
    /// The first [`CLOSER_NODES_MAX`] of `nodes`, each in the form of
    /// [`addr_bytes`](super::addr_bytes).
    #[must_use]
    pub fn new(nodes: &'a [[u8; ADDR_LEN]]) -> Self {
        let bytes = nodes.as_flattened();
        Self { bytes: bytes.get(..READ_MAX).unwrap_or(bytes) }
    }

    /// The number of addresses. In a datagram it is what the sender put there, up to
    /// thousands: more than [`iter`](Self::iter) gives.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / ADDR_LEN
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The first [`CLOSER_NODES_MAX`], in the order of the sender, who may have put any
    /// address there.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddrV4> + Clone + use<'a> {
        let mut rest = self.bytes.get(..READ_MAX).unwrap_or(self.bytes);
        core::iter::from_fn(move || {
            let (node, others) = rest.split_first_chunk()?;
            rest = others;
            Some(addr_from_bytes(*node))
        })
    }

    /// The announced addresses must all be there, even beyond the ones that are read: a cut
    /// datagram is dropped, as in the reference.
    pub(super) fn decode(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = varint::read(from)?;
        if count > COUNT_MAX {
            return Err(DecodeError::TooManyNodes);
        }
        let bytes = from.bytes(count * ADDR_LEN as u64)?;
        Ok(Self { bytes })
    }

    pub(super) fn encoded_len(&self) -> usize {
        varint::len(self.len() as u64) + self.bytes.len()
    }

    pub(super) fn encode(&self, to: &mut Writer<'_>) -> Result<(), EncodeError> {
        varint::write(to, self.len() as u64)?;
        to.put(self.bytes)
    }
}

impl fmt::Debug for CloserNodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The reference drops a response that announces more. A UDP datagram has no room for this
/// number, but the error differs from that of a cut datagram.
const COUNT_MAX: u64 = 0x10_0000;
/// How many bytes are ever looked at.
const READ_MAX: usize = CLOSER_NODES_MAX * ADDR_LEN;
