//! `replay`: a scenario from a file, with everything checked.

use std::path::PathBuf;

use dht_sim::Run;

use crate::command_line::quoted;
use crate::drive::drive;
use crate::failure::{Failure, origin_text, print};
use crate::memory;
use crate::plan::checked_script;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::units::{self, duration_text, thousands};

/// Of which scenario.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scenario, as --write-script writes it
    script: PathBuf,
    /// With another seed
    #[arg(long, value_name = "N", value_parser = units::whole)]
    seed: Option<u64>,
    /// Even if there may be too little memory
    #[arg(long)]
    force: bool,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut scenario = checked_script(&args.script)?;
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    memory::check(&scenario, args.force, args.quiet)?;
    let stop = Stop::new()?;
    let mut run = Run::new(scenario)?;
    let mut progress = Progress::new(&run, args.quiet);
    let violation = drive(&mut run, 60_000_000, &stop, |run, _| {
        progress.at(run);
        Ok(())
    })?;
    drop(progress);
    let (sim, seed) = (run.sim(), run.scenario().seed);
    if let Some(violation) = violation {
        let script = quoted(args.script.as_os_str());
        let again = format!("run it again: cargo sim replay {script} --seed {seed}");
        let origin = origin_text(run.scenario());
        return Err(Failure::Violated(violation, vec![origin, again]));
    }
    let (time, sent) = (duration_text(sim.now()), thousands(sim.counts().sent));
    let trace = sim.trace_hash();
    let done = format!("in {time} and {sent} datagrams (seed {seed}, trace {trace:016x})");
    print(format_args!("ok: nothing was violated {done}"))
}
