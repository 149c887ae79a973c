//! Responses.

use core::fmt;
use core::net::SocketAddrV4;

use super::cursor::{Reader, Writer, value_len};
use super::head::{Head, VALUE, flag};
use super::{CloserNodes, DecodeError, EncodeError, RESPONSE, VARINT_MAX, varint};
use crate::Id;

/// A response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The request's.
    pub tid: u16,
    /// The receiver's address as the sender sees it: how a node learns its own.
    pub to: SocketAddrV4,
    /// The sender's id, as claimed: present if the sender wants to be in the receiver's table.
    pub id: Option<&'a [u8; 32]>,
    /// A [token](crate::Token) that the sender will accept from the receiver for a while.
    pub token: Option<&'a [u8; 32]>,
    /// Nodes that the sender believes to be closer to the request's target. The
    /// protocol leaves an empty list out; `Some` of an empty list is written as it is.
    pub closer_nodes: Option<CloserNodes<'a>>,
    /// Why the request failed, at most [`VARINT_MAX`]; 0 if it didn't.
    pub error: u64,
    /// The answer. An empty value is not the same as none.
    pub value: Option<&'a [u8]>,
}

impl<'a> Response<'a> {
    /// How many bytes [`Response::encode`] writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let error = match self.error {
            0 => 0,
            code => varint::len(code),
        };
        let closer_nodes = self.closer_nodes.as_ref().map_or(0, CloserNodes::encoded_len);
        self.head().encoded_len() + closer_nodes + error + value_len(self.value)
    }

    /// Writes the response to the start of `buf`, and returns its length. The bytes
    /// after it stay as they are.
    ///
    /// # Errors
    ///
    /// [`EncodeError::VarintTooLarge`] if the error code is above [`VARINT_MAX`], else
    /// [`EncodeError::BufferTooSmall`] if `buf` is shorter than
    /// [`encoded_len`](Self::encoded_len). Nothing has been written then.
    pub fn encode(&self, buf: &mut [u8]) -> Result<usize, EncodeError> {
        if self.error > VARINT_MAX {
            return Err(EncodeError::VarintTooLarge);
        }
        let len = self.encoded_len();
        let mut to = Writer::new(buf, len)?;
        let flags = flag(CLOSER_NODES, self.closer_nodes.is_some())
            | flag(ERROR, self.error != 0)
            | flag(VALUE, self.value.is_some());
        self.head().encode(&mut to, RESPONSE, flags)?;
        if let Some(nodes) = &self.closer_nodes {
            nodes.encode(&mut to)?;
        }
        if self.error != 0 {
            varint::write(&mut to, self.error)?;
        }
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
            closer_nodes: (flags & CLOSER_NODES != 0)
                .then(|| CloserNodes::decode(from))
                .transpose()?,
            error: match flags & ERROR {
                0 => 0,
                _ => varint::read(from)?,
            },
            value: from.value_if(flags & VALUE != 0)?,
        })
    }

    fn head(&self) -> Head<'a> {
        Head { tid: self.tid, to: self.to, id: self.id, token: self.token }
    }
}

/// Prints no token and no content.
impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("tid", &self.tid)
            .field("to", &self.to)
            .field("id", &self.id.map(|id| Id(*id)))
            .field("has_token", &self.token.is_some())
            .field("closer_nodes", &self.closer_nodes)
            .field("error", &self.error)
            .field("value_len", &self.value.map(<[u8]>::len))
            .finish()
    }
}

const CLOSER_NODES: u64 = 4;
const ERROR: u64 = 8;
