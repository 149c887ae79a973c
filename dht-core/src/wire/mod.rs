//! Messages as bytes, and bytes as messages.
//!
//! A datagram is one byte of version and type, flags that say which fields follow,
//! and the fields. [`decode`] borrows from the datagram and [`Request::encode`] and
//! [`Response::encode`] write into the caller's buffer: nothing here allocates,
//! recurses or panics, whatever the bytes. Mirrors the codecs of `lib/io.js` and
//! `lib/peer.js`.
//!
//! The *meaning* of a message is not checked here: the caller must check that an id belongs
//! to its sender, that a token is ours and that an address can be sent to.
//!
//! Leniency is the reference's: numbers in a longer form than they need, unknown flags
//! and bytes after the last field are no error.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod closer_nodes;
pub(crate) mod command;
pub(crate) mod cursor;
mod error;
mod head;
mod request;
mod response;
pub(crate) mod varint;

pub(crate) use varint::len as varint_len;

use core::net::{Ipv4Addr, SocketAddrV4};

pub use closer_nodes::CloserNodes;
pub use error::{DecodeError, EncodeError};
pub use request::Request;
pub use response::Response;

use cursor::Reader;

/// The version of the protocol: the low four bits of every message's first byte.
pub const VERSION: u8 = 0b11;

/// The greatest number that a message can carry: what JavaScript counts exactly.
pub const VARINT_MAX: u64 = (1 << 53) - 1;

/// Closer nodes read from a response, and written into one, at most: the size of a
/// bucket, and more are of no use.
pub const CLOSER_NODES_MAX: usize = 20;

/// A message, borrowing from the datagram that it was read from, or from what it is to
/// be written from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A node asks.
    Request(Request<'a>),
    /// A node answers.
    Response(Response<'a>),
}

impl Message<'_> {
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Request(request) => request.encoded_len(),
            Self::Response(response) => response.encoded_len(),
        }
    }
}

/// Reads the message in `data`, one whole datagram.
///
/// The work is bounded by the number of fields: closer nodes are skipped over here, and
/// parsed as [`CloserNodes::iter`] is asked for them.
///
/// # Errors
///
/// [`DecodeError::NotOurs`] if this isn't the protocol at all, as happens on a shared
/// socket. Every other error is a message of ours that is broken.
pub fn decode(data: &[u8]) -> Result<Message<'_>, DecodeError> {
    match *data {
        [REQUEST, _, ..] => Request::decode(&mut body(data)).map(Message::Request),
        [RESPONSE, _, ..] => Response::decode(&mut body(data)).map(Message::Response),
        _ => Err(DecodeError::NotOurs),
    }
}

/// An address as the wire has it: four octets, then the port, little-endian.
#[must_use]
pub fn addr_bytes(addr: SocketAddrV4) -> [u8; 6] {
    let [a, b, c, d] = addr.ip().octets();
    let [lo, hi] = addr.port().to_le_bytes();
    [a, b, c, d, lo, hi]
}

/// The address in six bytes from the wire. Any six bytes are an address, even one that
/// can't be sent to.
#[must_use]
pub fn addr_from_bytes([a, b, c, d, lo, hi]: [u8; 6]) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_le_bytes([lo, hi]))
}

/// Everything after the first byte.
fn body(data: &[u8]) -> Reader<'_> {
    Reader::new(data.get(1..).unwrap_or_default())
}

/// First byte of a request.
const REQUEST: u8 = VERSION;
/// First byte of a response.
const RESPONSE: u8 = 1 << 4 | VERSION;

/// Bytes of an address.
pub(crate) const ADDR_LEN: usize = 6;
/// Bytes of an id, a token or a target.
const KEY_LEN: usize = 32;
