//! What is measured of a run: lookups, tables, traffic. Whole numbers only, in a bounded space, so that equal
//! runs measure equal figures.

use crate::report::{histogram::Histogram, series::Series};
use crate::sim::{Lookup, Sim};
use crate::world::{HostId, Micros};

/// Tables that are looked at per sample.
const TABLES: u32 = 64;
/// Recall is kept in millionths.
const WHOLE: f64 = 1e6;

/// The measurements of a run so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lookups that have ended, in all phases.
    pub lookups: u64,
    /// Of these, how many found at least one of the true 20.
    pub reached: u64,
    /// How many found all of them.
    pub complete: u64,
    /// Lookups that no node could begin: none was up, or the node that was drawn had too much to do.
    pub not_begun: u64,
    found: u64,
    wanted: u64,
    /// How many answers led to the closest node.
    pub hops: Histogram,
    /// How long lookups took, in microseconds.
    pub latency: Histogram,
    /// How many nodes they asked.
    pub asked: Histogram,
    /// Recall over time, in millionths.
    pub recall_over_time: Series,
    /// How long lookups took, over time, in microseconds.
    pub latency_over_time: Series,
    /// Datagrams sent over time.
    pub traffic: Series,
    /// Sizes of tables over time: of a sample of nodes.
    pub tables: Series,
    /// How many nodes were up and persistent, over time.
    pub persistent: Series,
    /// When the third phase began, and how many datagrams had been sent by then.
    begun: Option<(Micros, u64)>,
    seen: u64,
    recent: Vec<(Micros, u32, u32)>,
}

impl Tally {
    pub(crate) fn lookup(&mut self, lookup: &Lookup) {
        self.lookups += 1;
        self.reached += u64::from(lookup.found > 0);
        self.complete += u64::from(lookup.found == lookup.wanted);
        self.found += u64::from(lookup.found);
        self.wanted += u64::from(lookup.wanted);
        let took = lookup.ended - lookup.started;
        self.hops.record(u64::from(lookup.hops));
        self.latency.record(took);
        self.asked.record(u64::from(lookup.asked));
        self.recall_over_time.add(lookup.ended, (lookup.recall() * WHOLE) as u64);
        self.latency_over_time.add(lookup.ended, took);
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push((lookup.started, lookup.found, lookup.wanted));
    }

    pub(crate) fn begin(&mut self, sim: &Sim) {
        self.begun = Some((sim.now(), sim.counts().sent));
    }

    pub(crate) fn sample(&mut self, sim: &Sim) {
        let (now, counts) = (sim.now(), sim.counts());
        self.traffic.add(now.saturating_sub(1), counts.sent - self.seen);
        self.seen = counts.sent;
        self.persistent.add(now, sim.persistent_count() as u64);
        let step = (sim.hosts() / TABLES).max(1);
        for host in (0..sim.hosts()).step_by(step as usize) {
            if let Some(node) = sim.node(HostId(host)) {
                self.tables.add(now, node.table_len() as u64);
            }
        }
    }

    /// The part of the true closest that lookups found, in all. 1.0 if none was made.
    pub fn recall(&self) -> f64 {
        if self.wanted == 0 { 1.0 } else { self.found as f64 / self.wanted as f64 }
    }

    /// The same for lookups begun at `from` or later, of the last thousand; and how many these are.
    pub fn lookups_since(&self, from: Micros) -> Option<(u32, f64)> {
        let since = self.recent.iter().filter(|(started, ..)| *started >= from);
        let (count, found, wanted) =
            since.fold((0, 0, 0), |(n, f, w), (_, found, wanted)| (n + 1, f + found, w + wanted));
        (wanted > 0).then(|| (count, f64::from(found) / f64::from(wanted)))
    }

    /// For how long it has been since the third phase began, and how many datagrams were sent meanwhile.
    pub fn sent_since_begin(&self, sim: &Sim) -> Option<(Micros, u64)> {
        let (at, before) = self.begun?;
        Some((sim.now() - at, sim.counts().sent - before))
    }
}

/// How many lookups are remembered one by one.
const RECENT: usize = 1_000;
