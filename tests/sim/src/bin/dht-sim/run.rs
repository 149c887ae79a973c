//! A run as the options say, and everything that comes out of it.

use std::io::Write;
use std::path::{Path, PathBuf};

use dht_sim::atomic_file::{self, AtomicFile};
use dht_sim::{Run, Scenario, Snapshot, Violation, script};

use crate::args::RunArgs;
use crate::command_line::quoted;
use crate::drive::{Moment, drive};
use crate::failure::{Failure, because, origin_text, print, print_json, say};
use crate::figures::{Figures, Meter, Sample};
use crate::memory;
use crate::outputs;
use crate::page;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::records::Records;
use crate::stop::Stop;
use crate::units::{bytes_text, duration_text, thousands};

/// How often a run is looked at without `--sample`, in microseconds.
const INTERVAL: u64 = 10_000_000;

/// Runs; `again` is the command for a seed.
pub(crate) fn run(args: &RunArgs, again: &dyn Fn(u64) -> String) -> Result<(), Failure> {
    let Plan { scenario, snapshot } = Plan::new(args)?;
    check_outputs(args, &scenario)?;
    memory::check(&scenario, args.files.force, args.output.quiet)?;
    if let Some(path) = &args.files.write_script {
        let text = script::to_text(&scenario);
        atomic_file::write(path, text)?;
        what_it_needs(args, path).into_iter().for_each(say);
    }
    if args.files.dry_run {
        return print(what_it_would_be(&scenario));
    }

    let stop = Stop::new()?;
    let replay = again(scenario.seed);
    let mut records = Records::new(&args.output)?;
    let [report, save] = [&args.output.report, &args.files.save].map(Option::as_ref);
    let report = report.map(AtomicFile::create).transpose()?;
    let mut save = save.map(AtomicFile::create).transpose()?;
    let mut meter = Meter::new();
    let mut run = match snapshot {
        Some(snapshot) => Run::load(scenario, snapshot)?,
        None => Run::new(scenario)?,
    };
    records.begin(&mut run);
    let json = args.output.json;
    let mut progress = Progress::new(&run, args.output.quiet);
    let interval = args.output.sample.unwrap_or(INTERVAL);
    let violation = drive(&mut run, interval, &stop, |run, moment| {
        records.take(run)?;
        progress.at(run);
        match moment {
            Moment::Interval => {
                meter.at(run);
                if json { print_json("sample", &Sample::of(run)) } else { Ok(()) }
            }
            Moment::Settled => save.take().map_or(Ok(()), |file| saved(run, file)),
            Moment::Slice => Ok(()),
        }
    })?;
    drop(progress);

    let said = violation.as_ref().map(ToString::to_string);
    let figures = Figures::new(&run, &meter, said, replay);
    let timeline = records.finish(run.scenario())?;
    if let Some(mut file) = report {
        file.write_all(page::of(&run, &figures, violation.as_ref()).html().as_bytes())?;
        file.commit()?;
    }
    timeline.into_iter().try_for_each(print)?;
    if json {
        print_json("summary", &figures)?;
    }
    if let Some(violation) = violation {
        let hints = hints(args, run.scenario(), &violation, figures.replay());
        return Err(Failure::Violated(violation, hints));
    }
    if !json {
        let (table, replay) = (figures.table().plain(), figures.replay());
        print(format_args!("{table}\nThe same again: {replay}"))?;
    }
    Ok(())
}

/// Looks at all that is to be written, and at what is read.
fn check_outputs(args: &RunArgs, scenario: &Scenario) -> Result<(), Failure> {
    let (files, output) = (&args.files, &args.output);
    let written = [&files.save, &files.write_script, &output.report].into_iter().flatten();
    let captures = output.pcap.iter().map(|(_, path)| path);
    let written: Vec<_> = written.chain(captures).map(PathBuf::as_path).collect();
    let read = [&files.script, &files.load, &args.faults.churn_trace];
    let read: Vec<_> = read.into_iter().flatten().map(PathBuf::as_path).collect();
    outputs::check(&written, &read)?;
    if files.save.is_some() && scenario.run_from() == 0 {
        return Err(because("--save saves a network that has settled: give it some --settle time"));
    }
    Records::check(output, scenario)
}

/// Of a scenario that begins with a saved network, what else is needed to run it again.
fn what_it_needs(args: &RunArgs, script: &Path) -> Option<String> {
    let load = args.files.load.as_ref()?;
    let [script, load] = [script, load].map(|path| quoted(path.as_os_str()));
    let settle = args.network.settle.map(|us| match us % 1_000_000 {
        0 => format!(" --settle {}s", us / 1_000_000),
        _ => format!(" --settle {us}us"),
    });
    let settle = settle.unwrap_or_default();
    Some(format!(
        "{script} needs the network too: cargo sim --script {script} --load {load}{settle}"
    ))
}

fn saved(run: &Run, mut file: AtomicFile) -> Result<(), Failure> {
    Snapshot::of(run).write(&mut file)?;
    Ok(file.commit()?)
}

fn what_it_would_be(scenario: &Scenario) -> String {
    format!(
        "{} nodes for {} of virtual time, in about {} of memory: nothing was run",
        thousands(scenario.nodes.into()),
        duration_text(scenario.end()),
        bytes_text(scenario.memory_estimate()),
    )
}

/// What can be done about a violation.
fn hints(args: &RunArgs, scenario: &Scenario, violation: &Violation, replay: &str) -> Vec<String> {
    let keep = match &args.files.write_script {
        Some(path) => format!("the scenario is in {}", path.display()),
        None => "to keep the scenario, add --write-script FILE".to_owned(),
    };
    let unsaved = args.files.save.is_some() && violation.at < scenario.run_from();
    let unsaved = unsaved.then(|| "nothing was saved".to_owned());
    let rest = [origin_text(scenario), format!("run it again: {replay}"), keep];
    unsaved.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn what_was_not_saved_is_said() {
        let scenario = Scenario::default();
        let settled = scenario.run_from();
        let says = |options: &[&str], at| {
            let cli = Cli::parse_from([&["dht-sim"], options].concat());
            let violation = Violation { at, ..violation() };
            hints(&cli.run, &scenario, &violation, "again")
                .contains(&"nothing was saved".to_owned())
        };
        assert!(says(&["--save", "a"], 0) && says(&["--save", "a"], settled - 1));
        assert!(!says(&["--save", "a"], settled) && !says(&[], 0));
    }

    fn violation() -> Violation {
        let run = Run::new(Scenario { nodes: 2, ..Scenario::default() }).unwrap();
        run.sim().violation("some", "thing".to_owned())
    }
}
