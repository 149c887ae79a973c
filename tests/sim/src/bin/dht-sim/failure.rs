//! How a command fails.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use dht_sim::scenario::Impossible;
use dht_sim::{Scenario, Violation};
use serde::Serialize;

use crate::units::duration_text;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something that must hold did not, and how to see it again.
    Violated(Violation, Vec<String>),
    /// It can't be run like this: why, in words.
    Because(String),
    /// By Ctrl-C or the like: where, and what tells the shell so.
    Interrupted { at: String, status: u8 },
    /// A scenario fails, and has been printed.
    Found,
    /// Nothing reads the results any more.
    ReaderGone,
}

impl Failure {
    /// Says what there is to say, and tells the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Violated(violation, hints) => {
                say(format_args!("violated: {violation}"));
                hints.iter().for_each(say);
                ExitCode::from(1)
            }
            Self::Because(why) => {
                say(format_args!("error: {}", without_code(why)));
                ExitCode::from(2)
            }
            Self::Interrupted { at, status } => {
                say(format_args!("interrupted {at}"));
                ExitCode::from(*status)
            }
            Self::Found => ExitCode::FAILURE,
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Because(error.to_string())
    }
}

impl From<Impossible> for Failure {
    fn from(Impossible(why): Impossible) -> Self {
        Self::Because(why)
    }
}

/// From where times count, for a reader who compares them.
pub(crate) fn origin_text(scenario: &Scenario) -> String {
    format!(
        "times are since the first node's start; the network had settled at {}, from where `at` counts",
        duration_text(scenario.run_from())
    )
}

/// What the system said, but for its number.
fn without_code(why: &str) -> String {
    match why.split_once(" (os error ") {
        Some((before, rest)) => {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{}", after.strip_prefix(')').unwrap_or(after))
        }
        None => why.to_owned(),
    }
}

/// A failure, in words.
pub(crate) fn because(why: impl Into<String>) -> Failure {
    Failure::Because(why.into())
}

/// A line of the results.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
        done => Ok(done?),
    }
}

/// The same for a record, in JSON: one object, its `kind` first, for scripts and `jq`.
pub(crate) fn print_json(kind: &str, record: &impl Serialize) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        kind: &'a str,
        #[serde(flatten)]
        record: &'a T,
    }
    print(serde_json::to_string(&Line { kind, record }).map_err(io::Error::other)?)
}

/// A line on standard error, if that is still there.
pub(crate) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let missing = "a: No such file or directory";
        assert_eq!(without_code("a: No such file or directory (os error 2)"), missing);
        assert_eq!(without_code("a: No (os error 2) (write one)"), "a: No (write one)");
        assert_eq!(without_code(missing), missing);
    }
}
