//! The command itself: what it prints, writes and returns, for good input and bad.
#![allow(clippy::unwrap_used)]

mod ends;
mod refusals;
mod runs;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs, process};

/// A small network that takes no time worth mentioning.
const SMALL: &[&str] = &["--nodes", "25", "--settle", "20s", "--time", "30s", "--lookups", "20"];

/// What is said about times in this network.
const ORIGIN: &str = "times are since the first node's start; the network had settled at 1 m 20 s, \
                      from where `at` counts";

/// A directory of a test's own, empty at first, in which commands run.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let dir = env::temp_dir().join(format!("dht-sim-command-{}-{test}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dht-sim"));
        command.args(args).current_dir(&self.0);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command that must succeed prints.
    fn prints(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{args:?}");
        text(&output.stdout)
    }

    /// What a command that must be refused says: in one line, unless it is about the options.
    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let errors = text(&output.stderr);
        assert!(errors.starts_with("error: "), "{args:?}: {errors}");
        let usage = errors.contains("For more information, try '--help'.");
        assert!(usage || errors.lines().count() == 1, "{args:?}: {errors}");
        errors
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [SMALL, more].concat()
}

fn trace(table: &str) -> String {
    let line = table.lines().find_map(|line| line.strip_prefix("trace hash")).unwrap();
    line.trim().to_owned()
}
