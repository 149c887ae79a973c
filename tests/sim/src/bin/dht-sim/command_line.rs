//! The command line that runs something again.

use std::ffi::OsStr;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::args::OUTPUT;

/// The options that were given, without the ones about output and files to be written, and with the seed: these alone
/// decide what happens.
pub(crate) fn of(command: &Command, given: &ArgMatches, seed: u64) -> String {
    let mut words = vec!["cargo sim".to_owned()];
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let (Some(long), Some(ValueSource::CommandLine)) = (arg.get_long(), given.value_source(id))
        else {
            continue;
        };
        if arg.get_help_heading() == Some(OUTPUT) || NOT_AGAIN.contains(&id) {
            continue;
        }
        let switch = arg.is_require_equals_set();
        let values: Vec<_> = given.get_raw(id).into_iter().flatten().map(quoted).collect();
        match values.len() {
            _ if switch && values.iter().all(|value| value == "on") => {
                words.push(format!("--{long}"));
            }
            _ if switch => words.push(format!("--{long}={}", values.concat())),
            _ if !arg.get_action().takes_values() => words.push(format!("--{long}")),
            _ => words.extend(values.iter().map(|value| format!("--{long} {value}"))),
        }
    }
    words.push(format!("--seed {seed}"));
    words.join(" ")
}

/// What is known otherwise, or of no use a second time.
const NOT_AGAIN: [&str; 5] = ["seed", "save", "write_script", "dry_run", "force"];

/// As a shell takes it.
pub(crate) fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=%+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn again(line: &[&str]) -> String {
        let command = Cli::command();
        let given = command.clone().try_get_matches_from(line).unwrap();
        of(&command, &given, 7)
    }

    #[test]
    fn only_what_decides_is_repeated() {
        let line = "sim --nodes 20 --json --sample 5s --nat symmetric:20%x16 --nat firewall:5% \
                    --checks --thorough=off --save a.snap -q --pcap 3:x.pcap --seed 7 --script s.json";
        let line: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            again(&line),
            "cargo sim --nodes 20 --nat symmetric:20%x16 --nat firewall:5% --thorough=off --checks \
             --script s.json --seed 7"
        );
        let partition = again(&["sim", "--partition", "50% at 10m for 30m"]);
        assert_eq!(partition, "cargo sim --partition '50% at 10m for 30m' --seed 7");
        assert_eq!(again(&["sim"]), "cargo sim --seed 7");
    }

    #[test]
    fn shells_get_what_was_meant() {
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(OsStr::new("")), "''");
        assert_eq!(quoted(OsStr::new("$HOME")), "'$HOME'");
    }
}
