//! From a scenario that fails to a small one that fails in the same way: fewer faults, fewer nodes, less of
//! everything, a shorter time.
//!
//! A candidate is run from its beginning, and kept if it violates the same invariant (the
//! message may differ). Faults are dropped by delta debugging (Zeller and Hildebrandt, 2002), features one
//! by one, numbers by halves, over and over until nothing helps. Given enough time, the result
//! depends on the scenario alone.

mod simpler;
#[cfg(test)]
mod tests;

use smart_default::SmartDefault;
use std::collections::BTreeSet;
use std::mem::take;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::scenario::Scenario;
use crate::sim::Violation;
use crate::swarm::{Failure, run_scenario};
use crate::world::{Micros, SECOND};

/// How long to try.
///
/// ```
/// use dht_sim::Scenario;
/// use dht_sim::shrink::{ShrinkOptions, shrink};
/// use dht_sim::swarm::run_scenario;
///
/// // It can't be run, and nothing can be taken away from that.
/// let scenario = Scenario { nodes: 1, ..Scenario::default() };
/// let failure = run_scenario(scenario).unwrap_err();
/// let shrunk = shrink(failure, ShrinkOptions { attempts: 10, ..ShrinkOptions::default() });
/// assert_eq!(shrunk.violation.invariant, "scenario");
/// ```
///
/// By default a minute, and as many candidates as fit in there.
#[derive(SmartDefault, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShrinkOptions {
    /// No candidate is begun after this time.
    #[default(Duration::from_secs(60))]
    pub time: Duration,
    /// How many candidates are run, at most.
    #[default(100_000)]
    pub attempts: u32,
}

/// How large a failing scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Size {
    /// Faults and attackers in it.
    pub faults: usize,
    /// Nodes in it, at first.
    pub nodes: u32,
    /// What happens until it fails: datagrams that arrive and deadlines that are met.
    pub events: u64,
}

impl Size {
    fn of(failure: &Failure) -> Self {
        let Scenario { faults, attacks, nodes, .. } = &*failure.scenario;
        Self { faults: faults.len() + attacks.len(), nodes: *nodes, events: failure.events }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shrunk {
    /// The smallest scenario that was found, and how it fails.
    pub scenario: Scenario,
    /// How it fails.
    pub violation: Violation,
    /// How many candidates were run.
    pub attempts: u32,
    /// How large it was.
    pub before: Size,
    /// How large it is.
    pub after: Size,
    /// Whether nothing more could be taken away: there was enough time.
    pub finished: bool,
}

/// Makes the scenario of a failure as small as it gets.
pub fn shrink(failure: Failure, options: ShrinkOptions) -> Shrunk {
    shrink_by(failure, options, |candidate| run_scenario(candidate.clone()).err())
}

/// The same with another way to find out how a candidate fails, if it does: for invariants of one's own.
pub fn shrink_by(
    failure: Failure,
    options: ShrinkOptions,
    fails: impl FnMut(&Scenario) -> Option<Failure>,
) -> Shrunk {
    let before = Size::of(&failure);
    let seen = BTreeSet::from([fingerprint(&failure.scenario)]);
    let until = Instant::now().checked_add(options.time);
    let mut shrinker =
        Shrinker { best: failure, fails, until, attempts: 0, most: options.attempts, seen };
    while shrinker.round() {}
    let (attempts, finished, best) = (shrinker.attempts, !shrinker.is_over(), shrinker.best);
    let after = Size::of(&best);
    let (scenario, violation) = (*best.scenario, best.violation);
    Shrunk { scenario, violation, attempts, before, after, finished }
}

/// One at work.
struct Shrinker<F> {
    best: Failure,
    fails: F,
    until: Option<Instant>,
    attempts: u32,
    most: u32,
    /// What has been tried.
    seen: BTreeSet<u64>,
}

/// The invariant that needs the healing.
const HEALING: &str = "healing";
/// So much later than the violation a run may end.
const AFTER: Micros = SECOND;

impl<F: FnMut(&Scenario) -> Option<Failure>> Shrinker<F> {
    fn is_over(&self) -> bool {
        self.attempts >= self.most || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Whether a candidate fails in the same way. If so, it is the best one so far.
    fn attempt(&mut self, candidate: Scenario) -> bool {
        let new = self.seen.insert(fingerprint(&candidate));
        if !new || self.is_over() || candidate.check().is_err() {
            return false;
        }
        self.attempts += 1;
        let failure = (self.fails)(&candidate);
        let same = |failure: &Failure| failure.violation.invariant == self.best.violation.invariant;
        match failure.filter(same) {
            Some(failure) => {
                self.best = Failure { scenario: Box::new(candidate), ..failure };
                true
            }
            None => false,
        }
    }

    /// The same for the best one after a change.
    fn change(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut candidate = (*self.best.scenario).clone();
        change(&mut candidate);
        // Without a crowd, there are fewer hosts to name.
        let hosts = candidate.last_host().0 + 1;
        simpler::wrap(&mut candidate, hosts);
        self.attempt(candidate)
    }

    /// Tries everything once: first what makes all that follows faster. Whether anything helped.
    fn round(&mut self) -> bool {
        let mut helped = self.shorten();
        helped |= self.drop_healing();
        helped |= self.drop_nodes();
        helped |= self.shorten();
        let faults = self.best.scenario.faults.clone();
        helped |= self.drop_parts(faults, |scenario, faults| scenario.faults = faults);
        let attacks = self.best.scenario.attacks.clone();
        helped |= self.drop_parts(attacks, |scenario, attacks| scenario.attacks = attacks);
        helped |= self.shorten();
        helped |= self.simplify(simpler::scenarios, |scenario, plain| {
            let (faults, attacks) = (take(&mut scenario.faults), take(&mut scenario.attacks));
            *scenario = Scenario { faults, attacks, ..plain };
        });
        while self.change(simpler::half_the_time) {
            helped = true;
        }
        for at in 0..self.best.scenario.faults.len() {
            helped |= self.simplify(
                |scenario| simpler::faults(&scenario.faults[at].what),
                |scenario, what| scenario.faults[at].what = what,
            );
        }
        for at in 0..self.best.scenario.attacks.len() {
            helped |= self.simplify(
                |scenario| simpler::attacks(&scenario.attacks[at]),
                |scenario, attack| scenario.attacks[at] = attack,
            );
        }
        helped |= self.drop_waiting();
        helped && !self.is_over()
    }

    /// Ends the run right after the violation, without what comes later.
    fn shorten(&mut self) -> bool {
        let Failure { scenario, violation, .. } = &self.best;
        let is_healing = violation.invariant == HEALING;
        let last = simpler::times(scenario).max().unwrap_or(0);
        // What has to heal must have happened; anything else up to where it shows.
        let needed = if is_healing {
            last + AFTER
        } else {
            violation.at.saturating_sub(scenario.run_from()) + AFTER
        };
        let (run_us, lookups) = (scenario.run_us, u64::from(scenario.lookups));
        // The lookups that remain are made when they were.
        let every = run_us.checked_div(lookups).filter(|every| *every > 0).unwrap_or(1);
        let run = needed.div_ceil(every).saturating_mul(every);
        if run >= run_us {
            return false;
        }
        self.change(|scenario| {
            scenario.run_us = run;
            scenario.lookups = scenario.lookups.min((run / every) as u32);
            scenario.faults.retain(|fault| fault.at_us <= run);
            scenario.attacks.retain(|attack| attack.at_us <= run);
        })
    }

    /// Healing matters only if it is what fails.
    fn drop_healing(&mut self) -> bool {
        let Failure { scenario, violation, .. } = &self.best;
        let Some(heal_us) = scenario.heal_us.filter(|_| violation.invariant != HEALING) else {
            return false;
        };
        // If it shows only then, the run has to be longer, or the healing shorter.
        let until = violation.at.saturating_sub(scenario.run_from()) + AFTER;
        let healing = until.saturating_sub(scenario.run_us).max(AFTER);
        self.change(|scenario| {
            scenario.heal_us = None;
            scenario.run_us = scenario.run_us.max(until);
        }) || (healing < heal_us && self.change(|scenario| scenario.heal_us = Some(healing)))
    }

    /// Fewer nodes: as few as possible at once, or else a little fewer.
    fn drop_nodes(&mut self) -> bool {
        let mut helped = false;
        loop {
            let (nodes, least) = (self.best.scenario.nodes, self.best.scenario.bootstraps + 1);
            let spare = nodes.saturating_sub(least);
            let steps = [spare, spare / 8 * 7, spare / 4 * 3, spare / 2, spare / 4, spare / 8, 1];
            let fewer = |by: u32| {
                move |scenario: &mut Scenario| {
                    scenario.nodes = nodes - by;
                    simpler::wrap(scenario, nodes - by);
                }
            };
            let possible = steps.into_iter().filter(|by| (1..=spare).contains(by));
            if !{ possible }.any(|by| self.change(fewer(by))) {
                return helped;
            }
            helped = true;
        }
    }

    /// Delta debugging: as few of `all` as possible.
    fn drop_parts<T: Clone>(
        &mut self,
        mut all: Vec<T>,
        put: impl Fn(&mut Scenario, Vec<T>),
    ) -> bool {
        if all.is_empty() {
            return false;
        }
        if self.change(|scenario| put(scenario, Vec::new())) {
            return true;
        }
        let (mut helped, mut parts) = (false, 2);
        while all.len() > 1 {
            parts = parts.min(all.len());
            let size = all.len().div_ceil(parts);
            let without = |part: usize| {
                let keep = |at: usize| at / size != part;
                let kept = all.iter().enumerate().filter(|(at, _)| keep(*at));
                kept.map(|(_, item)| item.clone()).collect::<Vec<_>>()
            };
            // Of later faults it depends less what happens, so they go first.
            let fewer = (0..parts).rev().map(without).find(|fewer| {
                fewer.len() < all.len() && self.change(|scenario| put(scenario, fewer.clone()))
            });
            match fewer {
                Some(fewer) => {
                    (all, helped) = (fewer, true);
                    parts = (parts - 1).max(2);
                }
                None if size == 1 => break,
                None => parts *= 2,
            }
        }
        helped
    }

    /// One simpler variant after the other, as long as any of them fails as well.
    fn simplify<T>(
        &mut self,
        simpler: impl Fn(&Scenario) -> Vec<T>,
        put: impl Fn(&mut Scenario, T),
    ) -> bool {
        let (mut helped, mut tried) = (false, 0);
        loop {
            let mut all = simpler(&self.best.scenario).into_iter().skip(tried);
            match all.position(|simpler| self.change(|scenario| put(scenario, simpler))) {
                Some(failed) => (helped, tried) = (true, tried + failed),
                None => return helped,
            }
        }
    }

    /// Everything happens sooner: less time to join and to settle, and until the first fault.
    fn drop_waiting(&mut self) -> bool {
        let mut helped = false;
        for wait in [0, SECOND, 10 * SECOND] {
            helped |= self.change(|scenario| scenario.settle_us = scenario.settle_us.min(wait));
            helped |=
                self.change(|scenario| scenario.join_over_us = scenario.join_over_us.min(wait));
        }
        for nth in 0.. {
            // Before the first one there is nothing.
            let times: BTreeSet<_> = simpler::times(&self.best.scenario).collect();
            let Some(at) = times.iter().nth(nth).copied() else { break };
            let before = times.range(..at).next_back().copied().unwrap_or(0);
            for keep in [SECOND, 10 * SECOND, 60 * SECOND] {
                let sooner = (at - before).saturating_sub(keep);
                let done = sooner == 0;
                if done || self.change(|scenario| simpler::advance(scenario, at, sooner)) {
                    helped |= !done;
                    break;
                }
            }
        }
        helped
    }
}

fn fingerprint(scenario: &Scenario) -> u64 {
    // Whatever can't be written is as good as tried.
    xxh3_64(&serde_json::to_vec(scenario).unwrap_or_default())
}
