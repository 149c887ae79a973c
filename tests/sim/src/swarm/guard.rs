//! One way to run a scenario, so that a run from the command line finds the same as one of a swarm.

use crate::run::Run;
use crate::scenario::Scenario;
use crate::sim::{Violation, quiet};
use crate::world::{Micros, SECOND};

/// The name of the invariant that a panic violates.
pub const PANIC: &str = "panic";
/// The name of the invariant that a run with far too much going on violates.
pub const STORM: &str = "storm";
/// Events in a second of virtual time, per host, that only a loop of datagrams can cause, beside the events that
/// each lookup and each datagram of an attacker may cause.
const STORM_EVENTS: u64 = 20_000;
const LOOKUP_EVENTS: u64 = 1_000;
const ATTACK_EVENTS: u64 = 20;
/// What runs until it is looked whether there is a storm.
const SLICE: Micros = 10 * SECOND;

/// Runs a [`Run`], in which storms and panics are violations too.
#[derive(Debug)]
pub struct Guard {
    /// When it was looked for a storm, and how many events there had been.
    from: Micros,
    before: u64,
    /// What lookups and attackers may cause in a slice.
    asked_for: u64,
}

impl Guard {
    /// From now on.
    pub fn new(run: &Run) -> Self {
        let (from, before) = (run.sim().now(), run.sim().counts().events());
        Self { from, before, asked_for: asked_for(run.scenario()) }
    }

    /// Runs until this virtual time, or to the end if that is sooner. How it is sliced makes no
    /// difference.
    ///
    /// # Errors
    /// If an invariant does not hold, or something panics, or there is a storm.
    pub fn run_to(&mut self, run: &mut Run, until: Micros) -> Result<(), Violation> {
        let until = until.min(run.end());
        loop {
            let whole = self.from.saturating_add(SLICE).min(run.end());
            let next = until.min(whole);
            match quiet::catch(|| run.run_to(next)) {
                Ok(ran) => ran?,
                Err(panic) => return Err(run.sim().violation(PANIC, panic)),
            }
            if next == whole {
                self.judge(run)?;
            }
            if next >= until {
                return Ok(());
            }
        }
    }

    /// A slice is over.
    fn judge(&mut self, run: &Run) -> Result<(), Violation> {
        let now = run.sim().counts().events();
        let loops = STORM_EVENTS * u64::from(run.sim().hosts()) * (SLICE / SECOND);
        let count = now - self.before;
        if count > loops.saturating_add(self.asked_for) {
            return Err(run.sim().violation(STORM, format!("{count} events in 10 s")));
        }
        (self.from, self.before) = (run.sim().now(), now);
        Ok(())
    }
}

/// Of all attackers at once, so that it is only more than it can be.
fn asked_for(scenario: &Scenario) -> u64 {
    let rates = scenario.attacks.iter().map(|attack| u64::from(attack.rate)).sum::<u64>();
    let slices = (scenario.run_us / SLICE).max(1);
    let lookups = u64::from(scenario.lookups).div_ceil(slices);
    rates * ATTACK_EVENTS * (SLICE / SECOND) + lookups * LOOKUP_EVENTS
}
