//! `dht`: a network to play with, a node to run, values to store and find.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 for
//! success, 1 if it failed or nothing was found, 2 for wrong usage.
#![forbid(unsafe_code)]

mod args;
mod ask;
mod demo;
mod failure;
mod format;
mod join;
mod keyfile;
mod memory;
mod network;
mod output;
mod progress;
mod records;
mod serve;
mod stop;
mod store;
mod topics;
mod values;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime;

use args::{Args, Command};
use failure::Failure;
use output::Output;
use stop::Stop;

/// For how long a name lookup that is not waited for any more may hold up the end.
const PATIENCE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let args = Args::given();
    let output = Output::new(args.json, args.quiet, args.is_verbose());
    let done = start().and_then(|runtime| {
        let done = runtime.block_on(run(args.command, &output));
        runtime.shutdown_timeout(PATIENCE);
        done
    });
    match done {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            output.error(&failure);
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<runtime::Runtime, Failure> {
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn run(command: Command, output: &Output) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    match command {
        Command::Demo { value, nodes } => stop.or(demo::run(value, nodes, output)).await,
        Command::Testnet { nodes, port, serving } => {
            serve::testnet(nodes, port, serving, output, &mut stop).await
        }
        Command::Bootstrap { port, host, limits, serving, watching: _ } => {
            serve::bootstrap(port, host, limits, serving, output, &mut stop).await
        }
        Command::Node { join, port, exact_port, serving, watching: _ } => {
            serve::node(join, port, exact_port, serving, output, &mut stop).await
        }
        Command::Ping { to } => stop.or(ask::ping(&to, output)).await,
        Command::FindNode { target, join } => stop.or(ask::find_node(target, join, output)).await,
        Command::Put { value, kind, key, seq, join } => {
            stop.or(values::put_command(value, kind, (key, seq), join, output)).await
        }
        Command::Get { key, kind, join } => {
            stop.or(values::get_command(key, kind, join, output)).await
        }
        Command::Announce { name, key, relays, join } => {
            topics::announce(name, &key, &relays, join, output, &mut stop).await
        }
        Command::Lookup { name, join } => stop.or(topics::lookup(name, join, output)).await,
    }
}
