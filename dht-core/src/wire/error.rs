//! Why bytes are no message, or a message can't become bytes.

use thiserror::Error;

/// Why a datagram could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Shorter than two bytes, or of another version or type: perhaps another protocol
    /// on the same socket.
    #[error("not a message of this protocol")]
    NotOurs,
    /// A field ends after the datagram does.
    #[error("message is cut off")]
    Truncated,
    /// A number above [`VARINT_MAX`](super::VARINT_MAX).
    #[error("number above 2^53 - 1")]
    VarintTooLarge,
    /// More closer nodes than the protocol allows (1,048,576).
    #[error("too many closer nodes")]
    TooManyNodes,
}

/// Why a message could not be written. The buffer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message is longer than the buffer: see `encoded_len`.
    #[error("message does not fit into the buffer")]
    BufferTooSmall,
    /// A command or an error code above [`VARINT_MAX`](super::VARINT_MAX), which every
    /// receiver would drop.
    #[error("number above 2^53 - 1")]
    VarintTooLarge,
}
