//! The fields that requests and responses have in common: flags, tid, the receiver's address,
//! and the sender's id and token.

use core::net::SocketAddrV4;

use super::cursor::{Reader, Writer, key_len};
use super::{ADDR_LEN, DecodeError, EncodeError, addr_bytes, addr_from_bytes, varint};

#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) tid: u16,
    pub(super) to: SocketAddrV4,
    pub(super) id: Option<&'a [u8; 32]>,
    pub(super) token: Option<&'a [u8; 32]>,
}

impl<'a> Head<'a> {
    /// The flags and the head. Only the flags of the head have been acted upon.
    pub(super) fn decode(from: &mut Reader<'a>) -> Result<(u64, Self), DecodeError> {
        let flags = varint::read(from)?;
        let head = Self {
            tid: u16::from_le_bytes(*from.array()?),
            to: addr_from_bytes(*from.array()?),
            id: from.key_if(flags & ID != 0)?,
            token: from.key_if(flags & TOKEN != 0)?,
        };
        Ok((flags, head))
    }

    /// How many bytes [`Head::encode`] takes.
    pub(super) fn encoded_len(&self) -> usize {
        const FIXED: usize = 1 + 1 + 2 + ADDR_LEN; // type, flags, tid, address
        FIXED + key_len(self.id) + key_len(self.token)
    }

    /// Writes a head of type `kind`, with `flags` for the fields that come after it.
    pub(super) fn encode(
        &self,
        to: &mut Writer<'_>,
        kind: u8,
        flags: u64,
    ) -> Result<(), EncodeError> {
        to.put(&[kind])?;
        varint::write(to, flags | flag(ID, self.id.is_some()) | flag(TOKEN, self.token.is_some()))?;
        to.put(&self.tid.to_le_bytes())?;
        to.put(&addr_bytes(self.to))?;
        to.put_key(self.id)?;
        to.put_key(self.token)
    }
}

/// `bit` if `set`.
pub(super) const fn flag(bit: u64, set: bool) -> u64 {
    if set { bit } else { 0 }
}

const ID: u64 = 1;
const TOKEN: u64 = 2;
/// The last field of both.
pub(super) const VALUE: u64 = 16;
