//! The end of a run that is to heal: nothing is done to the network any more, and a while later nearly
//! everything has to be found.

use std::cmp::Reverse;

use super::{Run, Step};
use crate::sim::{Return, Violation};
use crate::world::{HostId, SECOND};

/// Of the lookups after everything has healed: how many, and what they have to find on average.
const LOOKUPS: u32 = 40;
const RECALL: f64 = 0.95;

impl Run {
    /// All that was done to the network ends, and it gets some time.
    pub(super) fn heal(&mut self) {
        self.churns = false;
        self.end_attacks();
        self.sim.set_link(self.scenario.healed_link());
        self.sim.end_partitions();
        // A node that returns needs a node to join by.
        for host in 0..self.scenario.bootstraps {
            let _ = self.sim.restart(HostId(host), Return::WithTable);
        }
        let waiting = std::mem::take(&mut self.agenda);
        self.agenda = waiting
            .into_iter()
            .filter(|Reverse((_, _, step))| {
                matches!(step, Step::Sample | Step::Resume(_) | Step::Cancel(..) | Step::Return(..))
            })
            .collect();
        let lookups = self.sim.now() + self.scenario.heal_us.unwrap_or(0);
        for n in 0..LOOKUPS {
            self.plan(lookups + u64::from(n) * SECOND / 4, Step::Lookup(1));
        }
        self.healing = true;
    }

    /// The lookups after healing are over.
    pub(super) fn judge_healing(&mut self) -> Result<(), Violation> {
        let from =
            self.scenario.run_from() + self.scenario.run_us + self.scenario.heal_us.unwrap_or(0);
        let healed = self.tally.lookups_since(from);
        let (invariant, message) = match healed {
            Some((count, recall)) if count >= LOOKUPS / 2 && recall >= RECALL => return Ok(()),
            Some((count, recall)) => {
                ("healing", format!("{count} lookups found {recall:.4} of the closest"))
            }
            // A node that is all alone has no other to find.
            None if self.sim.persistent_count() < 2 => return Ok(()),
            None => ("ends", "no lookup has ended".to_owned()),
        };
        Err(self.sim.violation(invariant, message))
    }
}
