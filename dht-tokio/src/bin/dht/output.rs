//! Results on standard output, everything else on standard error.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::failure::Failure;
use crate::progress::{Mode, Progress};

/// Where a command says what it has to say.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    verbose: bool,
    mode: Mode,
    /// Whether a person reads the results.
    terminal: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        let term = env::var("TERM").ok();
        Self {
            json,
            verbose,
            mode: Mode::choose(quiet, io::stderr().is_terminal(), term.as_deref()),
            terminal: io::stdout().is_terminal(),
        }
    }

    /// A result: as text, or as one line of JSON.
    pub(crate) fn result(&self, text: impl fmt::Display, json: &Value) -> Result<(), Failure> {
        match self.json {
            true => self.write(format!("{json}\n").as_bytes()),
            false => self.write(format!("{text}\n").as_bytes()),
        }
    }

    /// A result that as text is just these bytes, with the end of a line if a person reads it.
    pub(crate) fn bytes(&self, bytes: &[u8], json: &Value) -> Result<(), Failure> {
        match self.json {
            true => self.result("", json),
            false => {
                self.write(bytes)?;
                let open = self.terminal && !bytes.ends_with(b"\n");
                self.write(if open { b"\n" } else { b"" })
            }
        }
    }

    /// What else there is to say.
    pub(crate) fn log(&self, text: impl fmt::Display) {
        if self.mode != Mode::Quiet {
            say(text);
        }
    }

    /// What only those want to know who asked for more: as text on standard error, or as one line of JSON with the results.
    pub(crate) fn detail(&self, text: impl fmt::Display, json: &Value) -> Result<(), Failure> {
        match (self.verbose, self.json) {
            (false, _) => Ok(()),
            (true, true) => self.result("", json),
            (true, false) => {
                self.log(text);
                Ok(())
            }
        }
    }

    pub(crate) fn error(&self, failure: &Failure) {
        say(format_args!("error: {failure}"));
    }

    /// Shows how far a step of `total` parts has come.
    pub(crate) fn progress(&self, what: &str, total: usize) -> Progress {
        self.mode.begin(what, total)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
            done => Ok(done?),
        }
    }
}

/// A line on standard error, if that is still there.
pub(crate) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
