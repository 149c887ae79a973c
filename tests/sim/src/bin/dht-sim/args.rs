//! The command line: what can be asked, and in which words.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dht_sim::churn::Length;
use dht_sim::link::{Latency, Loss, Reorder};
use dht_sim::scenario::{Attack, Fault, NatGroup};
use dht_sim::{HostId, Micros};

use crate::words::Churning;
use crate::{hash, phrases, replay, results, swarm, units, words};

/// Run networks of thousands of nodes in virtual time: the same seed, the same run.
#[derive(Debug, Parser)]
#[command(name = "dht-sim", bin_name = "cargo sim", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The words of a command line, where `--time -5s` becomes `--time=-5s`: refused as a negative time, and not as an
/// unknown option.
pub(crate) fn joined(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    for word in words {
        let text = word.to_string_lossy();
        let number = text.strip_prefix('-').unwrap_or_default();
        let negative = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let before = all.last_mut().filter(|before| {
            let before = before.to_string_lossy();
            before.len() > 2 && before.starts_with("--") && !before.contains('=')
        });
        match before {
            Some(option) if negative => {
                option.push("=");
                option.push(&word);
            }
            _ => all.push(word),
        }
    }
    all
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a scenario from a file, with everything checked
    Replay(replay::Args),
    /// Print the trace hashes of a small scenario: the same on every machine
    Hash(hash::Args),
    /// Measure what the table of results holds
    Results(results::Args),
    /// Run random scenarios, and make small what fails
    Swarm(swarm::Args),
    /// Make a failing scenario small
    Shrink(swarm::ShrinkArgs),
}

const EXAMPLES: &str = "\
Examples:
  cargo sim --nodes 10000 --churn 60m --loss 5% --lookups 1000 --report out.html
  cargo sim --nodes 1000 --partition '50% at 5m for 10m' --time 30m --checks
  cargo sim --nodes 500 --nat symmetric:20% --nat port-restricted:30%x16
  cargo sim --nodes 500 --addresses usual --attack grind:hosts=16,stands=beside
  cargo sim --nodes 100k --time 0 --save big.snap
  cargo sim --load big.snap --latency regions --dead 20% --time 5m

The nodes join, the network settles, and then time counts: what happens `at` 5m
happens five minutes after that. Timelines, captures, samples and violations
have times since the first node's start. Exit status: 0 if all is well, 1 if
something that must hold did not, 2 for wrong usage or a file that can't be
used.";

/// A run.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) network: Network,
    #[command(flatten)]
    pub(crate) datagrams: Datagrams,
    #[command(flatten)]
    pub(crate) nodes: Nodes,
    #[command(flatten)]
    pub(crate) faults: Faults,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// How many nodes there are: 1000, 10k [default: 100]
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) nodes: Option<u32>,
    /// How many of them are bootstrap nodes [default: 1]
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) bootstraps: Option<u32>,
    /// What decides everything random [default: 1]
    #[arg(long, value_name = "N", value_parser = units::whole)]
    pub(crate) seed: Option<u64>,
    /// They join over this time [default: 1 to 5m]
    #[arg(long, value_name = "TIME", value_parser = units::duration, conflicts_with = "load")]
    pub(crate) join_over: Option<Micros>,
    /// Then nothing happens for so long [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) settle: Option<Micros>,
    /// How long the run is after that [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) time: Option<Micros>,
    /// Lookups of random keys, evenly over it [default: 100]
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) lookups: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Datagrams")]
pub(crate) struct Datagrams {
    /// One way: 80ms, 20ms..120ms, regions,
    /// lognormal:80ms,0.5[,per-pair,jitter=0.1]
    /// [default: 40ms]
    #[arg(long, value_name = "TIME", value_parser = words::latency, verbatim_doc_comment)]
    pub(crate) latency: Option<Latency>,
    /// Lost: 5%, or ten in a row: burst:5%,10
    #[arg(long, value_name = "PART", value_parser = words::loss)]
    pub(crate) loss: Option<Loss>,
    /// Arrive twice: 1%
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) duplicate: Option<f64>,
    /// Held up for a while: 1%,100ms
    #[arg(long, value_name = "PART,TIME", value_parser = words::reorder)]
    pub(crate) reorder: Option<Reorder>,
    /// Arrive with a byte changed: 1%
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) corrupt: Option<f64>,
    /// Arrive cut short: 1%
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) truncate: Option<f64>,
    /// Longer ones, with headers, are lost [default: 1500]
    #[arg(long, value_name = "BYTES", value_parser = units::count_between::<u32>(29, u32::MAX))]
    pub(crate) mtu: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct Nodes {
    /// Behind a NAT: symmetric:20%,
    /// port-restricted:30%x16 (16 behind each),
    /// full-cone, address-restricted, firewall
    /// [,timeout=30s,no-hairpin,random-ports]
    #[arg(long, value_name = "KIND:PART", value_parser = words::nat, verbatim_doc_comment)]
    pub(crate) nat: Vec<NatGroup>,
    /// Who shares a /24, an address, a NAT: usual, or
    /// networks=20%x40,servers=5%x50,nats=30%x20
    /// (of /24s 20% have 2 to 40 hosts, and so on)
    /// [default: alone, each in a /24 of its own]
    #[arg(long, value_name = "WHO", value_parser = words::addresses, verbatim_doc_comment)]
    pub(crate) addresses: Option<words::Sharers>,
    /// Clocks are fast or slow by at most: 100ppm
    #[arg(long, value_name = "PPM", value_parser = units::ppm)]
    pub(crate) clock_drift: Option<u32>,
    /// Wall clocks are off by at most: 5s
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) clock_offset: Option<Micros>,
    /// Ask, but are in no table: 10%
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) ephemeral: Option<f64>,
    /// Don't know at first if they can be reached
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) unsure: Option<f64>,
    /// Requests per query at once [default: 10]
    #[arg(long, value_name = "N", value_parser = units::count_between::<u16>(1, 256))]
    pub(crate) concurrency: Option<u16>,
    /// Time-outs follow round trips
    #[arg(long, value_name = "off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = words::switch)]
    pub(crate) adaptive_timeout: Option<bool>,
    /// Lookups wait for everybody's last try
    #[arg(long, value_name = "off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = words::switch)]
    pub(crate) thorough: Option<bool>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What happens")]
pub(crate) struct Faults {
    /// Nodes come and go: 60m on average, off,
    /// weibull:60m,0.5 (scale and shape),
    /// pareto:20m,1.5 (least and shape), fixed:60m
    #[arg(long, value_name = "TIME", value_parser = words::churn, verbatim_doc_comment)]
    pub(crate) churn: Option<Churning>,
    /// And then stay away [default: a tenth of it]
    #[arg(long, value_name = "TIME", value_parser = words::downtime)]
    pub(crate) downtime: Option<Length>,
    /// Nodes that never leave: 10%
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) permanent: Option<f64>,
    /// Come back with their tables; the rest, anew
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) return_with_table: Option<f64>,
    /// Lines of `SECONDS NODE up|down`; its nodes,
    /// by number, are hosts 1, 2, 3 and so on
    /// (from N on if there are N bootstrap nodes)
    #[arg(long, value_name = "FILE", conflicts_with = "churn", verbatim_doc_comment)]
    pub(crate) churn_trace: Option<PathBuf>,
    /// Vanish at the beginning: 20%
    #[arg(long, value_name = "PART", value_parser = units::part)]
    pub(crate) dead: Option<f64>,
    /// '50% at 10m for 30m', and perhaps
    /// one-way, flap 60s open 20s
    #[arg(long, value_name = "PARTITION", value_parser = phrases::partition, verbatim_doc_comment)]
    pub(crate) partition: Vec<Fault>,
    /// Vanish at once: '50% at 10m'
    #[arg(long, value_name = "LEAVE", value_parser = phrases::mass_leave)]
    pub(crate) mass_leave: Vec<Fault>,
    /// New nodes join: '1000 at 10m over 30s'
    #[arg(long, value_name = "CROWD", value_parser = phrases::flash_crowd)]
    pub(crate) flash_crowd: Vec<Fault>,
    /// Anything else, as in a script:
    /// '{"at_us": 1000, "fault": "crash", "host": 3}'
    #[arg(long, value_name = "JSON", value_parser = phrases::fault, verbatim_doc_comment)]
    pub(crate) fault: Vec<Fault>,
    /// An attacker: guess, spoof, grind, grind-dead,
    /// hints, lie-nobody, -dead, -near, -doors,
    /// -impossible, -address, flood-ids,
    /// -delayed-pings, -find-node, -commands,
    /// -malformed, replay [:victim=3,at=5m,for=1m,
    /// rate=100,hosts=1,stands=apart] (or together
    /// in one /24, or beside the victim in its own)
    #[arg(long, value_name = "KIND", value_parser = words::attack, verbatim_doc_comment)]
    pub(crate) attack: Vec<Attack>,
    /// Check everything all the time
    #[arg(long, value_name = "off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = words::switch)]
    pub(crate) checks: Option<bool>,
    /// All faults end, and this later all is well;
    /// with --checks
    #[arg(long, value_name = "TIME", value_parser = units::duration, verbatim_doc_comment)]
    pub(crate) heal: Option<Micros>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct Files {
    /// Begin with this scenario; other options change it
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Write the scenario to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) write_script: Option<PathBuf>,
    /// Save all tables when the network has settled
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Begin with saved tables instead of joining
    #[arg(long, value_name = "FILE")]
    pub(crate) load: Option<PathBuf>,
    /// Even if there may be too little memory
    #[arg(long)]
    pub(crate) force: bool,
    /// Check all options, write the script, run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = OUTPUT)]
pub(crate) struct Output {
    /// Print JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// With --json, a line every so often [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = units::interval, requires = "json")]
    pub(crate) sample: Option<Micros>,
    /// Print what a node sent and received, its last 10,000
    #[arg(long, value_name = "HOST", value_parser = words::host, conflicts_with = "json")]
    pub(crate) timeline: Option<HostId>,
    /// Write all that a node sent and received for Wireshark
    #[arg(long, value_name = "HOST:FILE", value_parser = words::host_and_file)]
    pub(crate) pcap: Vec<(HostId, PathBuf)>,
    /// Write an HTML page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// No progress bar
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Options under this heading don't change what happens.
pub(crate) const OUTPUT: &str = "Output";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn negative_numbers_belong_to_their_options() {
        let line = |text: &str| joined(text.split(' ').map(OsString::from));
        let same = ["a --json -q", "a --time=5s -5", "a -- -5", "a 3 -5", "a --report -x --seed 3"];
        for text in same {
            assert_eq!(line(text), text.split(' ').collect::<Vec<_>>());
        }
        let negative = line("a --time -5s --loss -.5 -q");
        assert_eq!(negative, ["a", "--time=-5s", "--loss=-.5", "-q"]);
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal() {
        let help = Cli::command().render_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
