//! Everything that can go wrong at a handle, in one type.

use alloc::sync::Arc;
use core::net::SocketAddrV4;
use std::io;

use thiserror::Error;

use crate::{ConfigError, QueryError, RequestError, SendError, Unsent};

/// Why something that was asked of a [`Dht`](super::Dht) did not happen.
///
/// ```
/// use dht_core::driver::Error;
/// use dht_core::{RequestError, SendError};
///
/// let error = Error::from(RequestError::Timeout);
/// assert_eq!(error.code(), Some("REQUEST_TIMEOUT"));
/// assert_eq!(error.to_string(), "request timed out");
/// assert_eq!(Error::from(SendError::Busy).code(), None);
/// ```
#[derive(Clone, Debug, Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum Error {
    /// The options are invalid.
    Config(#[from] ConfigError),
    /// A request, a query or an answer was not begun.
    Send(#[from] SendError),
    /// A request ended without an answer.
    Request(#[from] RequestError),
    /// A query failed.
    Query(#[from] QueryError),
    /// The system refused: a socket that can't be bound, most often. Its address is in the message then, and the
    /// system's error is the source, of the same kind. If that was the first bind, the node is closed.
    Io(Arc<io::Error>),
    /// A [`Signer`](crate::hyperdht::Signer) of the user's failed.
    #[cfg(feature = "hyperdht")]
    #[error("the signer failed: {0}")]
    Signer(Arc<dyn core::error::Error + Send + Sync>),
}

impl Error {
    /// The node is closed.
    pub(crate) const CLOSED: Self = Self::Send(SendError::Closed);

    /// The code that dht-rpc gives this error in JavaScript, if it has one and the error is not
    /// the system's.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Request(error) | Self::Query(QueryError::Cancelled(error)) => Some(error.code()),
            Self::Send(SendError::Suspended) => Some(RequestError::Suspended.code()),
            _ => None,
        }
    }

    /// Whether the end of the node is the reason.
    pub(crate) const fn is_closing(&self) -> bool {
        matches!(
            self,
            Self::Send(SendError::Closed)
                | Self::Request(RequestError::Destroyed)
                | Self::Query(
                    QueryError::NodeDestroyed | QueryError::Cancelled(RequestError::Destroyed)
                )
        )
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Why a socket could not be bound, and where.
#[derive(Debug, Error)]
#[error("can't listen on {addr}: {source}")]
struct NotBound {
    addr: SocketAddrV4,
    source: io::Error,
}

/// Says where a socket could not be bound.
pub(crate) fn not_bound(addr: SocketAddrV4, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), NotBound { addr, source })
}

/// An error of the system's as the core is told of it. [`Status::send_error`](super::Status::send_error) has its own words.
pub(crate) fn unsent(error: &io::Error) -> Unsent {
    use io::ErrorKind::{
        AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, PermissionDenied,
    };
    match error.kind() {
        // Without an address of its own the machine is in no network either.
        NetworkUnreachable | NetworkDown | AddrNotAvailable => Unsent::NetworkUnreachable,
        HostUnreachable => Unsent::HostUnreachable,
        PermissionDenied => Unsent::Denied,
        _ => Unsent::Other,
    }
}
