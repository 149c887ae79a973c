//! How an op fails, in the protocol's codes and words.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use dht_core::driver::Error;
use dht_core::{Commit, ConfigError, QueryError, RequestError, SendError};

/// The error of an op.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
}

impl Failure {
    /// The caller did not keep to the protocol.
    pub(crate) fn protocol(message: &str) -> Failure {
        Failure { code: Some("PROTOCOL"), message: message.to_owned() }
    }

    /// An error of the library's, in its own words, which begin with a capital letter in JavaScript.
    fn says(message: &impl ToString) -> Failure {
        let message = message.to_string();
        let mut letters = message.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        Failure { code: None, message: first.into_iter().chain(letters).collect() }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        Error::from(error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let code = error.code();
        match error {
            Error::Query(QueryError::TooFewNodes { .. }) => {
                Failure::says(&"Too few nodes responded")
            }
            Error::Query(QueryError::Commit(commit)) => of_commit(commit),
            // What was given, and what is wrong with it, is not in dht-rpc's words.
            Error::Config(ConfigError::InvalidHost(_)) => Failure::says(&"Invalid host"),
            Error::Config(ConfigError::HostNotIpv4(_)) => {
                Failure::says(&"Host must be a IPv4 address")
            }
            Error::Config(ConfigError::BootstrapFormat { .. }) => {
                Failure::says(&"Bootstrap node format is host:port")
            }
            // What else is known of it is not dht-rpc's.
            Error::Request(RequestError::Unsent(_) | RequestError::Elsewhere(_)) => {
                Failure { code, ..Failure::says(&RequestError::Timeout) }
            }
            Error::Io(error) => Failure { code: code_of(&error), ..Failure::says(&error) },
            error => Failure { code, ..Failure::says(&error) },
        }
    }
}

/// dht-rpc tells of one of the nodes that did not take a commit, we of all. What it has no
/// error for, a refusal by everybody, is told in the library's words.
fn of_commit(commit: Commit) -> Failure {
    if commit.timed_out > 0 {
        Error::from(RequestError::Timeout).into()
    } else if commit.without_token > 0 {
        Failure::says(&"No token received for closest node")
    } else {
        Failure::says(&QueryError::Commit(commit))
    }
}

/// The name that JavaScript gives an error of the system.
fn code_of(error: &io::Error) -> Option<&'static str> {
    // Of a bind it is the cause, beside the address.
    let cause = error.source().and_then(|source| source.downcast_ref());
    let error: &io::Error = cause.unwrap_or(error);
    Some(match error.kind() {
        ErrorKind::AddrInUse => "EADDRINUSE",
        ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::InvalidInput => "EINVAL",
        ErrorKind::OutOfMemory => "ENOMEM",
        _ => match error.raw_os_error()? {
            23 => "ENFILE",
            24 => "EMFILE",
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_codes_and_words_of_the_protocol() {
        let commit = |timed_out, without_token| {
            let mut commit = Commit::default();
            (commit.timed_out, commit.without_token) = (timed_out, without_token);
            Error::Query(QueryError::Commit(commit))
        };
        let few = QueryError::TooFewNodes {
            asked: 3,
            answered: 0,
            without_id: 0,
            refused: 0,
            refusal: None,
            timed_out: 3,
        };
        let cancelled = QueryError::Cancelled(RequestError::Destroyed);
        for (error, code, message) in [
            (SendError::Closed.into(), None, "Node destroyed"),
            (SendError::Suspended.into(), Some("IO_SUSPENDED"), "I/O suspended"),
            (RequestError::Timeout.into(), Some("REQUEST_TIMEOUT"), "Request timed out"),
            (RequestError::Destroyed.into(), Some("REQUEST_DESTROYED"), "Request destroyed"),
            (few.into(), None, "Too few nodes responded"),
            (QueryError::NodeDestroyed.into(), None, "Node was destroyed"),
            (cancelled.into(), Some("REQUEST_DESTROYED"), "Request destroyed"),
            (commit(1, 1), Some("REQUEST_TIMEOUT"), "Request timed out"),
            (commit(0, 1), None, "No token received for closest node"),
        ] {
            let failure = Failure::from(error);
            assert_eq!((failure.code, failure.message.as_str()), (code, message));
        }
        let taken = Failure::from(Error::from(io::Error::from(ErrorKind::AddrInUse)));
        assert_eq!(taken.code, Some("EADDRINUSE"));
    }
}
