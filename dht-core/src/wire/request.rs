//! Requests.

use core::fmt;
use core::net::SocketAddrV4;

use super::cursor::{Reader, Writer, key_len, value_len};
use super::head::{Head, VALUE, flag};
use super::{DecodeError, EncodeError, REQUEST, VARINT_MAX, varint};
use crate::Id;

/// A request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Chosen by the sender; the response repeats it.
    pub tid: u16,
    /// Where the sender believes that it is sending.
    pub to: SocketAddrV4,
    /// The sender's id, as claimed: present if the sender wants to be in the receiver's table.
    pub id: Option<&'a [u8; 32]>,
    /// The [token](crate::Token) that the receiver gave out earlier, as claimed.
    pub token: Option<&'a [u8; 32]>,
    /// Whether the command is the protocol's own, rather than the application's.
    pub internal: bool,
    /// What to do, at most [`VARINT_MAX`].
    pub command: u64,
    /// The point of the key space that this is about.
    pub target: Option<&'a [u8; 32]>,
    /// What comes with it. An empty value is not the same as none.
    pub value: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// How many bytes [`Request::encode`] writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.head().encoded_len()
            + varint::len(self.command)
            + key_len(self.target)
            + value_len(self.value)
    }

    /// Writes the request to the start of `buf`, and returns its length. The bytes after
    /// it stay as they are.
    ///
    /// # Errors
    ///
    /// [`EncodeError::VarintTooLarge`] if the command is above [`VARINT_MAX`], else
    /// [`EncodeError::BufferTooSmall`] if `buf` is shorter than
    /// [`encoded_len`](Self::encoded_len). Nothing has been written then.
    pub fn encode(&self, buf: &mut [u8]) -> Result<usize, EncodeError> {
        if self.command > VARINT_MAX {
            return Err(EncodeError::VarintTooLarge);
        }
        let len = self.encoded_len();
        let mut to = Writer::new(buf, len)?;
        let flags = flag(INTERNAL, self.internal)
            | flag(TARGET, self.target.is_some())
            | flag(VALUE, self.value.is_some());
        self.head().encode(&mut to, REQUEST, flags)?;
        varint::write(&mut to, self.command)?;
        to.put_key(self.target)?;
        to.put_value(self.value)?;
        Ok(len)
    }

    pub(super) fn decode(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (flags, Head { tid, to, id, token }) = Head::decode(from)?;
        Ok(Self {
            tid,
            to,
            id,
            token,
            internal: flags & INTERNAL != 0,
            command: varint::read(from)?,
            target: from.key_if(flags & TARGET != 0)?,
            value: from.value_if(flags & VALUE != 0)?,
        })
    }

    fn head(&self) -> Head<'a> {
        Head { tid: self.tid, to: self.to, id: self.id, token: self.token }
    }
}

/// Prints no token and no content.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("tid", &self.tid)
            .field("to", &self.to)
            .field("id", &self.id.map(|id| Id(*id)))
            .field("has_token", &self.token.is_some())
            .field("internal", &self.internal)
            .field("command", &self.command)
            .field("target", &self.target.map(|target| Id(*target)))
            .field("value_len", &self.value.map(<[u8]>::len))
            .finish()
    }
}

const INTERNAL: u64 = 4;
const TARGET: u64 = 8;
