//! What can go wrong at a handle: one type for all of it.

use alloc::sync::Arc;
use core::fmt;
use std::io;

use crate::{ConfigError, QueryError, RequestError, SendError, Unsent};

/// Why something that was asked of a [`Dht`](super::Dht) did not happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The options are no good.
    Config(ConfigError),
    /// It was not even begun.
    Send(SendError),
    /// A request ended without an answer.
    Request(RequestError),
    /// A query failed.
    Query(QueryError),
    /// The system refused: a socket that can't be bound, most often. If that was the first time,
    /// the node is closed.
    Io(Arc<io::Error>),
}

impl Error {
    /// The node is closed.
    pub(crate) const CLOSED: Self = Self::Send(SendError::Closed);

    /// The code that dht-rpc gives this error in JavaScript, if it has one and it is not
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Query(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// What the core hears when the system does not send. For its own words there is [`Dht::send_error`](super::Dht::send_error).
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
