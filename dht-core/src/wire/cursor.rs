//! Reader and writer of a buffer, from front to back. Both only ever split off bytes
//! that are there, so no length from the network can lead out of bounds.

use core::mem;

use super::{DecodeError, EncodeError, KEY_LEN, varint};

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    #[cfg(feature = "hyperdht")]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(array)
    }

    /// The next `len` bytes. A length beyond the address space is an error like any
    /// length beyond the datagram.
    pub(crate) fn bytes(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// An id, token or target, if its flag says that there is one.
    pub(super) fn key_if(
        &mut self,
        present: bool,
    ) -> Result<Option<&'a [u8; KEY_LEN]>, DecodeError> {
        present.then(|| self.array()).transpose()
    }

    /// A length and that number of bytes, if the flag says that the field is there.
    pub(crate) fn value_if(&mut self, present: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        present.then(|| varint::read(self).and_then(|len| self.bytes(len))).transpose()
    }
}

/// What is left to write to.
pub(super) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    /// A writer of the first `len` bytes of `buf`: all or nothing, so that a message
    /// that doesn't fit leaves no half of itself behind.
    pub(super) fn new(buf: &'a mut [u8], len: usize) -> Result<Self, EncodeError> {
        let rest = buf.get_mut(..len).ok_or(EncodeError::BufferTooSmall)?;
        Ok(Self { rest })
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let (to, rest) = mem::take(&mut self.rest)
            .split_at_mut_checked(bytes.len())
            .ok_or(EncodeError::BufferTooSmall)?;
        to.copy_from_slice(bytes);
        self.rest = rest;
        Ok(())
    }

    pub(super) fn put_key(&mut self, key: Option<&[u8; KEY_LEN]>) -> Result<(), EncodeError> {
        key.map_or(Ok(()), |key| self.put(key))
    }

    pub(super) fn put_value(&mut self, value: Option<&[u8]>) -> Result<(), EncodeError> {
        let Some(value) = value else { return Ok(()) };
        varint::write(self, value.len() as u64)?;
        self.put(value)
    }
}

/// How many bytes [`Writer::put_key`] takes.
pub(super) fn key_len(key: Option<&[u8; KEY_LEN]>) -> usize {
    key.map_or(0, |key| key.len())
}

/// How many bytes [`Writer::put_value`] takes. Can't overflow: a slice is at most half of
/// the address space.
pub(super) fn value_len(value: Option<&[u8]>) -> usize {
    value.map_or(0, |value| varint::len(value.len() as u64) + value.len())
}
