//! `cargo sim`: a network in virtual time, from the command line.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 if all is
//! well, 1 if something that must hold did not, 2 for wrong usage or a file that can't be used.
#![forbid(unsafe_code)]

mod args;
mod command_line;
mod drive;
mod failure;
mod figures;
mod hash;
mod memory;
mod outputs;
mod page;
mod phrases;
mod plan;
mod progress;
mod records;
mod replay;
mod results;
mod run;
mod stop;
mod swarm;
mod units;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};

fn main() -> ExitCode {
    let command = Cli::command();
    let given = command.clone().get_matches_from(args::joined(std::env::args_os()));
    let cli = Cli::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Hash(args)) => hash::run(&args),
        Some(Command::Results(args)) => results::run(&args),
        Some(Command::Swarm(args)) => swarm::run(&args),
        Some(Command::Shrink(args)) => swarm::run_shrink(&args),
        None => run::run(&cli.run, &|seed| command_line::of(&command, &given, seed)),
    };
    done.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}
