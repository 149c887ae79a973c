//! How a command fails.

use std::fmt;
use std::io;
use std::process::ExitCode;

use dht_sim::Violation;
use dht_sim::scenario::Impossible;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something that must hold did not, and how to see it again.
    Violated(Violation, Vec<String>),
    /// It can't be run like this: in words, for whoever asked.
    Because(String),
    /// By Ctrl-C or the like.
    Interrupted,
    /// Nobody reads the results any more.
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
                say(format_args!("error: {why}"));
                ExitCode::from(2)
            }
            // As the shell says of a process that the signal ended.
            Self::Interrupted => ExitCode::from(130),
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

/// A failure, in words.
pub(crate) fn because(why: impl Into<String>) -> Failure {
    Failure::Because(why.into())
}

/// What became of writing to standard output.
pub(crate) fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
        done => Ok(done?),
    }
}

/// A line on standard error, if that is still there.
pub(crate) fn say(text: impl fmt::Display) {
    use io::Write;

    let _ = writeln!(io::stderr(), "{text}");
}
