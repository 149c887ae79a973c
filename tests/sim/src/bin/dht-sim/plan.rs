//! From the command line to a [`Scenario`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dht_sim::churn::{Churn, Length, trace};
use dht_sim::link::Link;
use dht_sim::scenario::{Fault, FaultKind, Impossible};
use dht_sim::stream::{Purpose, Stream};
use dht_sim::{Micros, SECOND, Scenario, Snapshot, script};

use crate::args::{Faults, RunArgs};
use crate::failure::{Failure, because, say};
use crate::units::duration_text;
use crate::words::Churning;
use crate::words::Sharers;

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Plan {
    /// Puts together what the options and the files that they name say.
    pub(crate) fn new(args: &RunArgs) -> Result<Self, Failure> {
        let script = match &args.files.script {
            Some(path) => Some(script::read(path).map_err(|error| unusable_script(&error))?),
            None => None,
        };
        let snapshot = match &args.files.load {
            Some(path) => Some(load(path)?),
            None => None,
        };
        let saved = snapshot.as_ref().map(Snapshot::scenario);
        let from_file = script.is_some() || saved.is_some();
        let in_script = script.as_ref().and_then(|script| check(script).err());
        let mut scenario = script.or_else(|| saved.cloned()).unwrap_or_default();
        change(&mut scenario, args)?;
        if snapshot.is_some() {
            // Another time for it is refused.
            scenario.join_over_us = LOADED_OVER;
            scenario.settle_us = args.network.settle.unwrap_or(LOADED_SETTLE);
        } else if !from_file {
            let join_over = args.network.join_over;
            scenario.join_over_us = join_over.unwrap_or(join_over_for(scenario.nodes));
        }
        change_churn(&mut scenario, &args.faults)?;
        if let Some(path) = &args.faults.churn_trace {
            follow(path, &mut scenario, args)?;
        }
        check_times(&scenario, "give it more --time")?;
        check(&scenario).map_err(|wrong| match &args.files.script {
            // Of what no option has changed.
            Some(path) if in_script.as_ref() == Some(&wrong) => wrong_in(path, &wrong),
            _ => because(in_options(&wrong)),
        })?;
        if let (Some(snapshot), Some(path)) = (&snapshot, &args.files.load) {
            let fits = snapshot.check_fits(&scenario);
            fits.map_err(|error| because(format!("{}: {error}", path.display())))?;
        }
        Ok(Self { scenario, snapshot })
    }
}

/// A scenario from a file alone, with everything checked.
pub(crate) fn checked_script(path: &Path) -> Result<Scenario, Failure> {
    let mut scenario = script::read(path).map_err(|error| unusable_script(&error))?;
    scenario.checks = true;
    check_times(&scenario, &format!("make run_us longer in {}", path.display()))?;
    check(&scenario).map(|()| scenario).map_err(|wrong| wrong_in(path, &wrong))
}

fn check(scenario: &Scenario) -> Result<(), Impossible> {
    scenario.check()?;
    scenario.check_named_hosts()
}

fn wrong_in(path: &Path, Impossible(wrong): &Impossible) -> Failure {
    because(format!("{}: {wrong}", path.display()))
}

/// What is wrong, by the option that says so instead of the field of a script.
fn in_options(Impossible(wrong): &Impossible) -> String {
    let named = OPTIONS.iter().find_map(|(field, option)| {
        wrong.strip_prefix(field).map(|rest| format!("{option}{rest}"))
    });
    named.unwrap_or_else(|| wrong.clone())
}

/// Where several begin alike, the longer ones first.
const OPTIONS: [(&str, &str); 6] = [
    ("nodes and those of faults", "--nodes and --flash-crowd"),
    ("nodes", "--nodes"),
    ("bootstraps", "--bootstraps"),
    ("run_us", "--time"),
    ("lookups", "--lookups"),
    ("the parts of nats", "the parts of --nat"),
];

/// Says in words for people what happens too late.
fn check_times(scenario: &Scenario, remedy: &str) -> Result<(), Failure> {
    let faults = scenario.faults.iter().map(|fault| fault.at_us);
    let mut all = faults.chain(scenario.attacks.iter().map(|attack| attack.at_us));
    match all.find(|at| *at > scenario.run_us) {
        None => Ok(()),
        Some(at) => Err(because(format!(
            "something happens at {}, but the run ends at {}: {remedy}",
            duration_text(at),
            duration_text(scenario.run_us)
        ))),
    }
}

/// What a file that is no scenario calls for.
fn unusable_script(error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::InvalidData => " (correct it, or write a new one with --write-script)",
        _ => "",
    };
    because(format!("{error}{hint}"))
}

fn load(path: &Path) -> Result<Snapshot, Failure> {
    let name = path.display();
    let bytes = fs::read(path).map_err(|error| because(format!("{name}: {error}")))?;
    Snapshot::parse(&bytes)
        .map_err(|error| because(format!("{name}: {error} (write a new one with --save)")))
}

/// Nodes join over a minute, or one in 3 ms if there are many: over five minutes at most.
fn join_over_for(nodes: u32) -> Micros {
    (u64::from(nodes) * 3_000).clamp(60 * SECOND, 300 * SECOND)
}

/// Nodes that have tables start over this time, during which none asks another one.
const LOADED_OVER: Micros = 4 * SECOND;
/// After that, each asks some.
const LOADED_SETTLE: Micros = 6 * SECOND;

fn change(scenario: &mut Scenario, args: &RunArgs) -> Result<(), Failure> {
    fn set<T, U: From<T>>(field: &mut U, value: Option<T>) {
        value.map(U::from).into_iter().for_each(|value| *field = value);
    }
    let network = &args.network;
    set(&mut scenario.seed, network.seed);
    set(&mut scenario.nodes, network.nodes);
    set(&mut scenario.bootstraps, network.bootstraps);
    set(&mut scenario.join_over_us, network.join_over);
    set(&mut scenario.settle_us, network.settle);
    set(&mut scenario.run_us, network.time);
    set(&mut scenario.lookups, network.lookups);
    if network.time == Some(0) && network.lookups.is_none() {
        scenario.lookups = 0;
    }

    let Link { latency, loss, duplicate, reorder, corrupt, truncate, mtu } = &mut scenario.link;
    set(latency, args.datagrams.latency.clone());
    set(loss, args.datagrams.loss);
    set(duplicate, args.datagrams.duplicate);
    set(reorder, args.datagrams.reorder);
    set(corrupt, args.datagrams.corrupt);
    set(truncate, args.datagrams.truncate);
    set(mtu, args.datagrams.mtu.map(|mtu| usize::try_from(mtu).unwrap_or(usize::MAX)));

    let nodes = &args.nodes;
    if !nodes.nat.is_empty() {
        scenario.nats.clone_from(&nodes.nat);
    }
    set(&mut scenario.addresses, nodes.addresses.map(|Sharers(addresses)| addresses));
    set(&mut scenario.clocks.drift_ppm, nodes.clock_drift);
    set(&mut scenario.clocks.offset_us, nodes.clock_offset);
    set(&mut scenario.node.ephemeral, nodes.ephemeral);
    set(&mut scenario.node.unsure, nodes.unsure);
    set(&mut scenario.node.concurrency, nodes.concurrency);
    set(&mut scenario.node.adaptive_timeout, nodes.adaptive_timeout);
    set(&mut scenario.node.thorough, nodes.thorough);

    let faults = &args.faults;
    set(&mut scenario.dead, faults.dead);
    set(&mut scenario.checks, faults.checks);
    if faults.heal.is_some() {
        if faults.checks == Some(false) {
            return Err(because("--heal checks that all is well: it can't go with --checks=off"));
        }
        scenario.heal_us = faults.heal;
        scenario.checks = true;
    }
    let more = [&faults.partition, &faults.mass_leave, &faults.flash_crowd, &faults.fault];
    scenario.faults.extend(more.into_iter().flatten().cloned());
    scenario.attacks.extend(&faults.attack);
    Ok(())
}

fn change_churn(scenario: &mut Scenario, args: &Faults) -> Result<(), Failure> {
    match args.churn {
        None => {}
        Some(Churning::Off) => scenario.churn = None,
        Some(Churning::For(session)) => {
            let mean_us = (session.mean_us() / 10.0) as Micros;
            let away = Length::Exponential { mean_us: mean_us.max(1) };
            let new = Churn::new(session, away);
            scenario.churn = Some(Churn { session, ..scenario.churn.unwrap_or(new) });
        }
    }
    let Faults { downtime, permanent, return_with_table, .. } = *args;
    let Some(churn) = &mut scenario.churn else {
        let alone = [
            ("--downtime", downtime.is_some()),
            ("--permanent", permanent.is_some()),
            ("--return-with-table", return_with_table.is_some() && args.churn_trace.is_none()),
        ];
        return match alone.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(because(format!("{option} is of no use without --churn"))),
            None => Ok(()),
        };
    };
    churn.downtime = downtime.unwrap_or(churn.downtime);
    churn.permanent = permanent.unwrap_or(churn.permanent);
    churn.return_with_table = return_with_table.unwrap_or(churn.return_with_table);
    Ok(())
}

/// Has nodes come and go as in a trace. Its nodes, in the order of their numbers, are the hosts after
/// the bootstrap nodes.
fn follow(path: &Path, scenario: &mut Scenario, args: &RunArgs) -> Result<(), Failure> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| because(format!("{name}: {error}")))?;
    let changes = trace::parse(&text)
        .map_err(|error| because(format!("{name}:{}: {}", error.line, error.problem)))?;
    if scenario.churn.is_some() {
        return Err(because("--churn-trace is not for a scenario that has churn: add --churn off"));
    }
    let mut hosts: BTreeMap<u32, u32> = changes.iter().map(|change| (change.node, 0)).collect();
    let room = scenario.nodes.saturating_sub(scenario.bootstraps);
    if hosts.len() > room as usize {
        let count = hosts.len();
        return Err(because(format!(
            "{name}: there are {count} nodes in it, but {room} beside the bootstrap nodes: \
             add --nodes {}",
            count + scenario.bootstraps as usize
        )));
    }
    hosts.values_mut().zip(scenario.bootstraps..).for_each(|(host, number)| *host = number);
    if args.network.time.is_none() && args.files.script.is_none() {
        let last = changes.last().map_or(0, |change| change.at_us);
        scenario.run_us = last.saturating_add(60 * SECOND).div_ceil(SECOND) * SECOND;
    }
    let with_table = args.faults.return_with_table.unwrap_or(0.0);
    let mut draws = Stream::new(scenario.seed, Purpose::Scenario, TRACE);
    let (mut faults, mut late) = (Vec::new(), 0);
    let mut seen = std::collections::BTreeSet::new();
    for change in &changes {
        let host = hosts.get(&change.node).copied().unwrap_or_default();
        if seen.insert(host) && change.up {
            // Who comes was away.
            faults.push(Fault { at_us: 0, what: FaultKind::Crash { host } });
        }
        let with_table = draws.chance(with_table);
        let what = if change.up {
            FaultKind::Restart { host, with_table, anew: !with_table }
        } else {
            FaultKind::Crash { host }
        };
        match change.at_us {
            at_us if at_us <= scenario.run_us => faults.push(Fault { at_us, what }),
            _ => late += 1,
        }
    }
    if late > 0 {
        say(format_args!("{name}: {late} changes are after the end of the run: left out"));
    }
    faults.sort_by_key(|fault| fault.at_us);
    scenario.faults.append(&mut faults);
    Ok(())
}

/// The stream that decides who of a trace comes back with a table: not that of any host.
const TRACE: u32 = u32::MAX - 2;
