//! `swarm`: random scenarios for a given time, and what fails made small; `shrink`: the latter for a
//! scenario from a file.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dht_sim::shrink::{ShrinkOptions, shrink_by};
use dht_sim::swarm::{self, SwarmOptions};
use dht_sim::{Micros, atomic_file, script};

use crate::command_line::quoted;
use crate::failure::{Failure, because, print, say};
use crate::outputs;
use crate::plan::checked_script;
use crate::stop::Stop;
use crate::units::{self, thousands};

/// Which scenarios, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on for so long, by the clock on the wall
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, default_value = "10m")]
    time: Micros,
    /// The first seed
    #[arg(long, value_name = "N", value_parser = units::whole, default_value = "1")]
    seed: u64,
    /// Seeds at most
    #[arg(long, value_name = "N", value_parser = units::whole)]
    seeds: Option<u64>,
    /// Nodes in each
    #[arg(long, value_name = "N", value_parser = units::count_between::<u32>(10, 10_000))]
    nodes: Option<u32>,
    /// Virtual time of each
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    virtual_time: Option<Micros>,
    /// Seeds at once
    #[arg(long, value_name = "N", value_parser = units::count_between::<usize>(1, 64))]
    #[arg(default_value = "1")]
    threads: usize,
    /// Make what fails small within this time
    #[arg(long, value_name = "TIME", value_parser = units::duration, default_value = "60s")]
    shrink: Micros,
    /// Where the scenarios of failures go, as seed-N.json
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Go on after a failure
    #[arg(long)]
    keep_going: bool,
}

/// What to make small.
#[derive(Debug, clap::Args)]
pub(crate) struct ShrinkArgs {
    /// A scenario that fails
    script: PathBuf,
    /// Where the smaller one goes
    #[arg(long, value_name = "FILE", default_value = "small.json")]
    out: PathBuf,
    /// Try for so long
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, default_value = "60s")]
    time: Micros,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let none = [("--seeds", args.seeds == Some(0)), ("--for", args.time == 0)];
    if let Some((option, _)) = none.into_iter().find(|(_, none)| *none) {
        return Err(because(format!("{option} must not be 0: nothing would be run")));
    }
    if !args.out.is_dir() {
        return Err(because(format!("{} is no directory", args.out.display())));
    }
    let file = |seed: u64| args.out.join(format!("seed-{seed}.json"));
    outputs::check(&[&file(args.seed)], &[])?;
    let usual = SwarmOptions::default();
    let (nodes, time_us) = (args.nodes.unwrap_or(usual.nodes), args.virtual_time);
    let options = SwarmOptions { nodes, time_us: time_us.unwrap_or(usual.time_us), ..usual };
    let stop = Stop::new()?;
    let begun = Instant::now();
    let until = begun.checked_add(Duration::from_micros(args.time));
    let count = usize::try_from(args.seeds.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let seeds = (args.seed..).take(count);
    let mut failures = Vec::new();
    let stopped = || stop.is_set();
    let run = swarm::run_many(seeds, &options, args.threads, until, stopped, |_, result| {
        failures.extend(result.err());
        let enough = !(failures.is_empty() || args.keep_going);
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let hours = begun.elapsed().as_secs_f64() / 3_600.0 * args.threads as f64;
    let rate = run as f64 / hours;
    let (failed, count) = (!failures.is_empty(), failures.len());
    print(format_args!("{run} seeds, {count} failed; {rate:.0} seeds per hour and thread"))?;
    for failure in failures {
        let seed = failure.scenario.seed;
        print(&failure)?;
        make_small(failure, args.shrink, &file(seed), &stop)?;
    }
    ended(failed, &stop, format_args!("after {run} seeds"))
}

pub(crate) fn run_shrink(args: &ShrinkArgs) -> Result<(), Failure> {
    let scenario = checked_script(&args.script)?;
    outputs::check(&[&args.out], &[&args.script])?;
    let stop = Stop::new()?;
    match swarm::run_unless(scenario, || stop.is_set()) {
        None => Err(stop.interrupted("before anything failed")),
        Some(Ok(_)) => Err(because("nothing fails in this scenario")),
        Some(Err(failure)) => {
            print(&failure)?;
            make_small(failure, args.time, &args.out, &stop)?;
            ended(true, &stop, "before it was as small as it gets")
        }
    }
}

/// How a search has ended. A failure that was found counts for more than that the search was stopped.
fn ended(failed: bool, stop: &Stop, at: impl Display) -> Result<(), Failure> {
    let interrupted = stop.is_set().then(|| stop.interrupted(at));
    if !failed {
        return interrupted.map_or(Ok(()), Err);
    }
    interrupted.map(|interrupted| interrupted.report());
    Err(Failure::Found)
}

/// Writes the smallest scenario that there is by when the time is over, or it is stopped.
fn make_small(
    failure: swarm::Failure,
    time: Micros,
    path: &Path,
    stop: &Stop,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let options = ShrinkOptions { time: Duration::from_micros(time), ..ShrinkOptions::default() };
    let mut attempts = 0;
    let shrunk = shrink_by(failure, options, |candidate| {
        let result = swarm::run_unless(candidate.clone(), || stop.is_set())?;
        attempts += 1;
        result.err()
    });
    let text = script::to_text(&shrunk.scenario);
    atomic_file::write(path, text)?;
    let (before, after) = (shrunk.before, shrunk.after);
    let seconds = begun.elapsed().as_secs_f64();
    let events = [after, before].map(|size| thousands(size.events)).join(" instead of ");
    print(format_args!(
        "made small in {seconds:.1} s and {attempts} attempts: faults and attackers {} instead of {}, \
         nodes {} instead of {}, events {events}\n  {}",
        after.faults, before.faults, after.nodes, before.nodes, shrunk.violation
    ))?;
    say(format_args!("run it again: cargo sim replay {}", quoted(path.as_os_str())));
    Ok(())
}
