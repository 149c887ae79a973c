//! Swarm testing: random scenarios, one per seed, each run to its end with everything checked.
//!
//! What a run finds is a [`Failure`]: a scenario that can be written to a file, run again, and
//! [made smaller](crate::shrink). A panic of a node, or of the simulator, is one as well.

mod guard;
mod random;
pub mod shrink;
#[cfg(test)]
mod tests;

use smart_default::SmartDefault;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

pub use guard::{Guard, PANIC, STORM};

use crate::run::Run;
use crate::scenario::Scenario;
use crate::sim::{Violation, quiet};
use crate::world::{Micros, SECOND};

/// How large random scenarios are.
///
/// ```
/// use dht_sim::swarm::{SwarmOptions, run_seed};
///
/// let options = SwarmOptions { nodes: 10, time_us: 120_000_000, ..SwarmOptions::default() };
/// let stats = run_seed(1, &options)?;
/// assert_eq!(run_seed(1, &options)?.trace, stats.trace);
/// # Ok::<_, dht_sim::swarm::Failure>(())
/// ```
///
/// By default 100 nodes, an hour, up to 20 faults and 3 attackers.
#[derive(SmartDefault, Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwarmOptions {
    /// How many nodes there are at first.
    #[default(100)]
    pub nodes: u32,
    /// How long it is from the first node's start to the end, healing included, about.
    #[default(3_600 * SECOND)]
    pub time_us: Micros,
    /// How many faults there are at most.
    #[default(20)]
    pub faults_max: u32,
    /// How many attackers there are at most; most scenarios have none.
    #[default(3)]
    pub attacks_max: u32,
}

/// What a run that went well was like.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The trace hash at the end.
    pub trace: u64,
    /// Datagrams that arrived and deadlines that were met.
    pub events: u64,
    /// How long it was, in virtual time.
    pub time_us: Micros,
    /// Lookups that ended.
    pub lookups: u64,
    /// The part of the true closest that they found.
    pub recall: f64,
    /// The same for lookups after everything had healed, if the scenario has them.
    pub healed: Option<f64>,
}

/// A scenario in which something that must hold did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What to run to see it again.
    pub scenario: Box<Scenario>,
    /// What did not hold.
    pub violation: Violation,
    /// Datagrams that arrived and deadlines that were met until then.
    pub events: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { seed, nodes, faults, attacks, .. } = &*self.scenario;
        write!(f, "seed {seed} ({nodes} nodes, {} faults", faults.len())?;
        if !attacks.is_empty() {
            write!(f, ", {} attackers", attacks.len())?;
        }
        write!(f, "): {}", self.violation)
    }
}

impl std::error::Error for Failure {}

/// The name of the invariant that a scenario violates that can't be run.
pub const IMPOSSIBLE: &str = "scenario";

/// Runs the random scenario of a seed.
///
/// # Errors
/// If something that must hold does not, or something panics.
pub fn run_seed(seed: u64, options: &SwarmOptions) -> Result<Stats, Failure> {
    run_scenario(Scenario::random(seed, options))
}

/// Runs a scenario to its end.
///
/// # Errors
/// If something that must hold does not, or something panics, or it is impossible.
pub fn run_scenario(scenario: Scenario) -> Result<Stats, Failure> {
    run_prepared(scenario, |_| ())
}

/// The same with more invariants, or whatever else is not in the scenario.
///
/// # Errors
/// As [`run_scenario`].
pub fn run_prepared(scenario: Scenario, prepare: impl FnOnce(&mut Run)) -> Result<Stats, Failure> {
    perform(scenario, prepare, &|| false)
}

/// The same as [`run_scenario`], unless `stop` says so meanwhile: then there is no result. It is asked
/// every second of virtual time.
pub fn run_unless(scenario: Scenario, stop: impl Fn() -> bool) -> Option<Result<Stats, Failure>> {
    if stop() {
        return None;
    }
    match perform(scenario, |_| (), &stop) {
        // Of what may be only its beginning.
        Ok(_) if stop() => None,
        result => Some(result),
    }
}

fn perform(
    scenario: Scenario,
    prepare: impl FnOnce(&mut Run),
    stop: &dyn Fn() -> bool,
) -> Result<Stats, Failure> {
    let seed = scenario.seed;
    let kept = Box::new(scenario.clone());
    let fail = |violation, events| Failure { scenario: kept.clone(), violation, events };
    let plain = |name: &str, message| fail(Violation::before(seed, name, message), 0);
    let mut run = match quiet::catch(|| Run::new(scenario)) {
        Ok(Ok(run)) => run,
        Ok(Err(impossible)) => return Err(plain(IMPOSSIBLE, impossible.to_string())),
        Err(panic) => return Err(plain(PANIC, panic)),
    };
    if let Err(panic) = quiet::catch(|| prepare(&mut run)) {
        return Err(fail(run.sim().violation(PANIC, panic), run.sim().counts().events()));
    }
    let result = run_calmly(&mut run, stop);
    let events = run.sim().counts().events();
    match result {
        Ok(()) => Ok(stats(&run, events)),
        Err(violation) => Err(fail(violation, events)),
    }
}

/// Runs to the end, unless it is stopped.
fn run_calmly(run: &mut Run, stop: &dyn Fn() -> bool) -> Result<(), Violation> {
    let mut guard = Guard::new(run);
    loop {
        let next = run.sim().now() + SECOND;
        guard.run_to(run, next)?;
        if next >= run.end() || stop() {
            return Ok(());
        }
    }
}

fn stats(run: &Run, events: u64) -> Stats {
    let scenario = run.scenario();
    let healed_from = scenario.heal_us.map(|heal| scenario.run_from() + scenario.run_us + heal);
    let healed = healed_from.and_then(|from| run.tally().lookups_since(from));
    Stats {
        trace: run.sim().trace_hash(),
        events,
        time_us: run.sim().now(),
        lookups: run.tally().lookups,
        recall: run.tally().recall(),
        healed: healed.map(|(_, recall)| recall),
    }
}

/// Runs one seed after the other, on this many threads (at least one), until there are no more, or it is `until`, or
/// `on_result` says that it is enough, which is called in this thread, as results come. How many seeds were run. Seeds
/// under way when `stop` says so do not count: it is asked all the time, by all threads.
///
/// Each seed gives the same result, whatever the number of threads; only their order may differ.
pub fn run_many(
    seeds: impl Iterator<Item = u64> + Send,
    options: &SwarmOptions,
    threads: usize,
    until: Option<Instant>,
    stop: impl Fn() -> bool + Sync,
    mut on_result: impl FnMut(u64, Result<Stats, Failure>) -> ControlFlow<()>,
) -> u64 {
    let seeds = Mutex::new(seeds.fuse());
    let late = || until.is_some_and(|until| Instant::now() >= until);
    let next = || match late() || stop() {
        true => None,
        false => seeds.lock().ok()?.next(),
    };
    let mut count = 0;
    std::thread::scope(|scope| {
        let (sender, results) = sync_channel(1);
        for _ in 0..threads.max(1) {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while let Some(seed) = next() {
                    let result = run_unless(Scenario::random(seed, options), stop);
                    let sent = result.map(|result| sender.send((seed, result)));
                    if !matches!(sent, Some(Ok(()))) {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (seed, result) in &results {
            count += 1;
            if on_result(seed, result).is_break() {
                // A thread with another result can't send it any more, and ends.
                break;
            }
        }
        drop(results);
    });
    count
}
