//! Why bytes are no message, or a message can't become bytes.

use core::fmt;

/// Why a datagram could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// Shorter than two bytes, or of another version or type: perhaps another protocol
    /// on the same socket.
    NotOurs,
    /// A field ends after the datagram does.
    Truncated,
    /// A number above [`VARINT_MAX`](super::VARINT_MAX).
    VarintTooLarge,
    /// More closer nodes than the protocol allows (1,048,576).
    TooManyNodes,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOurs => "not a message of this protocol",
            Self::Truncated => "message is cut off",
            Self::VarintTooLarge => "number above 2^53 - 1",
            Self::TooManyNodes => "too many closer nodes",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Why a message could not be written. The buffer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message is longer than the buffer: see `encoded_len`.
    BufferTooSmall,
    /// A command or an error code above [`VARINT_MAX`](super::VARINT_MAX), which every
    /// receiver would drop.
    VarintTooLarge,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooSmall => "message does not fit into the buffer",
            Self::VarintTooLarge => "number above 2^53 - 1",
        })
    }
}

impl core::error::Error for EncodeError {}
