//! How a command fails.

use std::fmt;
use std::io;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// In words, for the user.
    Because(String),
    /// By Ctrl-C or the like.
    Interrupted,
    /// The reader of the results is gone.
    ReaderGone,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Because(why) => f.write_str(why),
            Self::Interrupted => f.write_str("interrupted"),
            Self::ReaderGone => f.write_str("nobody reads the results"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Because(error.to_string())
    }
}

impl From<dht_tokio::Error> for Failure {
    fn from(error: dht_tokio::Error) -> Self {
        Self::Because(error.to_string())
    }
}

/// A failure, in words.
pub(crate) fn because(why: impl Into<String>) -> Failure {
    Failure::Because(why.into())
}
