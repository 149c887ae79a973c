//! How a command fails.

use std::fmt;
use std::io;

use dht_tokio::error_code::UNKNOWN_COMMAND;
use dht_tokio::{Error, Outcome, QueryError};
use serde_json::Value;

use crate::format;
use crate::output::Output;

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

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(QueryError::TooFewNodes { asked, answered, refused, refusal, .. })
                if answered > 0 && answered == refused =>
            {
                unserved(asked, answered, refusal)
            }
            error => Self::Because(error.to_string()),
        }
    }
}

/// A failure, in words.
pub(crate) fn because(why: impl Into<String>) -> Failure {
    Failure::Because(why.into())
}

/// Nothing was found: either `why`, or no node serves the command that asks for it.
pub(crate) fn not_found(
    outcome: &Outcome,
    json: &Value,
    why: impl Into<String>,
    output: &Output,
) -> Failure {
    if outcome.answered > 0 && outcome.successes == 0 {
        return unserved(outcome.asked, outcome.answered, outcome.refusal);
    }
    output.bytes(b"", json).err().unwrap_or_else(|| because(why))
}

/// No node answered without an error code.
fn unserved(asked: u32, answered: u32, refusal: Option<u64>) -> Failure {
    let last = match refusal {
        Some(UNKNOWN_COMMAND) => " (the last: 1, unknown command)".into(),
        Some(code) => format!(" (the last: {code})"),
        None => String::new(),
    };
    because(format!(
        "no node serves this: of {} asked, {answered} answered with an error code{last}, and {} did not answer; announce, \
         lookup, --immutable and --mutable need nodes with --hyperdht, put and get of other values nodes without it",
        format::count(asked as usize, "node"),
        asked.saturating_sub(answered),
    ))
}
