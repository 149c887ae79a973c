//! What came of a run, in figures; and how a run stands, from time to time.

use std::time::{Duration, Instant};

use dht_sim::histogram::{Histogram, Summary};
use dht_sim::text_table::TextTable;
use dht_sim::{Counts, Micros, Run};
use serde::Serialize;

use crate::memory;
use crate::units::{bytes_text, duration_text, percent_text, rate_text, thousands, trimmed};

/// What is measured beside what the run itself measures.
#[derive(Debug)]
pub(crate) struct Meter {
    begun: Instant,
    /// Of the third phase, for how long all nodes together were up.
    node_us: f64,
    before: (Micros, u32),
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), node_us: 0.0, before: (0, 0) }
    }

    /// An interval is over.
    pub(crate) fn at(&mut self, run: &Run) {
        let (now, up) = (run.sim().now(), run.sim().up_count());
        let (before, up_before) = self.before;
        let from = before.max(run.scenario().run_from());
        let mean = (f64::from(up_before) + f64::from(up)) / 2.0;
        self.node_us += now.saturating_sub(from) as f64 * mean;
        self.before = (now, up);
    }
}

/// The sizes of all tables.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Tables {
    pub(crate) mean: f64,
    min: u64,
    max: u64,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    seed: u64,
    nodes: u32,
    up: u32,
    persistent: usize,
    virtual_seconds: f64,
    wall_seconds: f64,
    #[serde(flatten)]
    counts: Counts,
    delivered_per_wall_second: f64,
    lookups: u64,
    /// Lookups that have not ended well: with their nodes, with an error, not by the end, not even begun.
    aborted: u64,
    failed: u64,
    unfinished: u64,
    not_begun: u64,
    reached: u64,
    complete: u64,
    recall: Option<f64>,
    hops: Summary,
    latency_us: Summary,
    asked: Summary,
    /// Datagrams per node and second in the third phase, without the datagrams of lookups.
    upkeep: Option<f64>,
    table: Tables,
    memory_bytes: Option<u64>,
    checked: bool,
    trace: String,
    violation: Option<String>,
    replay: String,
}

impl Figures {
    pub(crate) fn new(run: &Run, meter: &Meter, violation: Option<String>, replay: String) -> Self {
        let (sim, tally) = (run.sim(), run.tally());
        let (counts, wall) = (sim.counts(), meter.begun.elapsed().max(Duration::from_micros(1)));
        let asked = tally.asked.summary();
        let of_lookups = 2.0 * asked.mean.unwrap_or(0.0) * asked.count as f64;
        let upkeep = tally
            .sent_since_begin(sim)
            .filter(|_| meter.node_us > 0.0)
            .map(|(_, sent)| (sent as f64 - of_lookups).max(0.0) / (meter.node_us / 1e6));
        Self {
            seed: run.scenario().seed,
            nodes: run.scenario().nodes,
            up: sim.up_count(),
            persistent: sim.persistent_count(),
            virtual_seconds: sim.now() as f64 / 1e6,
            wall_seconds: wall.as_secs_f64(),
            counts,
            delivered_per_wall_second: counts.delivered as f64 / wall.as_secs_f64(),
            lookups: tally.lookups,
            aborted: sim.lookups_aborted(),
            failed: sim.lookups_failed(),
            unfinished: sim.lookups_under_way() as u64,
            not_begun: tally.not_begun,
            reached: tally.reached,
            complete: tally.complete,
            recall: Some(tally.recall()).filter(|_| tally.lookups > 0),
            hops: tally.hops.summary(),
            latency_us: tally.latency.summary(),
            asked,
            upkeep,
            table: tables(run),
            memory_bytes: memory::peak(),
            checked: run.scenario().checks,
            trace: format!("{:016x}", sim.trace_hash()),
            violation,
            replay,
        }
    }

    /// The command that runs it again.
    pub(crate) fn replay(&self) -> &str {
        &self.replay
    }

    /// For a terminal.
    pub(crate) fn table(&self) -> TextTable {
        let mut table = TextTable::default();
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        let rate = rate_text(self.delivered_per_wall_second);
        row("nodes", self.who());
        row("time", self.time());
        row("datagrams", self.datagrams());
        row("rate", format!("{rate} datagrams delivered per second of real time"));
        if self.all_lookups() > 0 {
            row("lookups", self.lookups());
        }
        if self.lookups > 0 {
            row("recall", self.recall());
            row("lookup hops", quantiles(&self.hops, |hops| hops.to_string()));
            row("lookup time", quantiles(&self.latency_us, duration_text));
            row("lookup cost", format!("{:.1} nodes asked on average", self.asked_mean()));
        }
        if let Some(upkeep) = self.upkeep {
            let what = "datagrams sent per node and second, besides those of lookups";
            row("upkeep", format!("{upkeep:.2} {what}"));
        }
        let Tables { mean, min, max } = self.table;
        let ends = format!("{min} in the smallest, {max} in the largest");
        row("table size", format!("{mean:.0} nodes on average, {ends}"));
        if let Some(peak) = self.memory_bytes {
            row("memory", format!("{} at most, for all nodes together", bytes_text(peak)));
        }
        if self.checked {
            row("checks", self.violation.clone().unwrap_or_else(|| "all passed".to_owned()));
        }
        row("trace hash", self.trace.clone());
        table
    }

    /// The figures to see first, for a page.
    pub(crate) fn highlights(&self) -> Vec<(String, String)> {
        let mut tiles = Vec::new();
        let mut tile = |name: &str, value: String| tiles.push((name.to_owned(), value));
        tile("nodes", thousands(self.nodes.into()));
        tile("virtual time", duration_text((self.virtual_seconds * 1e6) as Micros));
        tile("wall time", wall_text(self.wall_seconds));
        tile("datagrams delivered", rate_text(self.counts.delivered as f64));
        tile("datagrams per wall second", rate_text(self.delivered_per_wall_second));
        if let Some(recall) = self.recall {
            let pair = |of: &Summary, text: fn(f64) -> String| {
                let [p50, p99] = [of.p50, of.p99].map(|value| text(value.unwrap_or(0) as f64));
                format!("{p50} / {p99}")
            };
            tile("recall", percent_text(recall));
            tile("hops, p50 / p99", pair(&self.hops, |hops| format!("{hops:.0}")));
            tile("seconds, p50 / p99", pair(&self.latency_us, |us| format!("{:.2}", us / 1e6)));
            tile("asked per lookup", format!("{:.1}", self.asked_mean()));
        }
        if let Some(upkeep) = self.upkeep {
            tile("upkeep per node", format!("{upkeep:.2} /s"));
        }
        tile("table size", format!("{:.0}", self.table.mean));
        if let Some(peak) = self.memory_bytes {
            tile("memory", bytes_text(peak));
        }
        tiles
    }

    fn who(&self) -> String {
        let (nodes, up) = (self.nodes as usize, self.up as usize);
        let unknown = up.saturating_sub(self.persistent);
        let parts = [
            (up != nodes, up, "up at the end"),
            (unknown > 0, unknown, "of these in nobody's table"),
        ];
        let parts = parts.into_iter().filter(|(differs, ..)| *differs);
        let parts = parts.map(|(_, count, what)| format!(", {} {what}", thousands(count as u64)));
        let parts: String = parts.collect();
        let at_first = if parts.is_empty() { "" } else { " at first" };
        format!("{}{at_first}{parts}", thousands(self.nodes.into()))
    }

    fn time(&self) -> String {
        let virtual_time = duration_text((self.virtual_seconds * 1e6) as Micros);
        let (wall, times) = (self.wall_seconds, self.virtual_seconds / self.wall_seconds);
        let times = if times < 10.0 { trimmed(times, 1) } else { thousands(times.round() as u64) };
        format!("{virtual_time} simulated in {}, {times} times as fast", wall_text(wall))
    }

    fn datagrams(&self) -> String {
        let Counts { sent, lost, unreachable, .. } = self.counts;
        let part = |count: u64| percent_text(count as f64 / sent.max(1) as f64);
        let (sent, lost, nobody) = (thousands(sent), part(lost), part(unreachable));
        format!("{sent} sent; {lost} lost, {nobody} to nodes down or out of reach")
    }

    fn asked_mean(&self) -> f64 {
        self.asked.mean.unwrap_or(0.0)
    }

    fn lookups(&self) -> String {
        let all = match self.all_lookups() {
            all if all == self.lookups => String::new(),
            all => format!(" of {}", thousands(all)),
        };
        let reached = percent_text(self.reached as f64 / self.lookups.max(1) as f64);
        let others = [
            (self.aborted, "ended with their node"),
            (self.failed, "failed"),
            (self.unfinished, "under way at the end"),
            (self.not_begun, "that no node could begin"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        let others = others.map(|(count, what)| format!("; {} {what}", thousands(count)));
        let (lookups, others) = (thousands(self.lookups), others.collect::<String>());
        format!("{lookups}{all}; {reached} found at least one of the 20 closest nodes{others}")
    }

    fn all_lookups(&self) -> u64 {
        self.lookups + self.aborted + self.failed + self.unfinished + self.not_begun
    }

    fn recall(&self) -> String {
        let complete = percent_text(self.complete as f64 / self.lookups.max(1) as f64);
        let recall = self.recall.map_or_else(|| "–".to_owned(), percent_text);
        format!("{recall} of the 20 closest nodes found; {complete} of lookups found all of them")
    }
}

fn quantiles(of: &Summary, text: impl Fn(u64) -> String) -> String {
    let [p50, p99, max] = [of.p50, of.p99, of.max].map(|value| text(value.unwrap_or(0)));
    format!("half within {p50}, 99 % within {p99}, all within {max}")
}

fn wall_text(seconds: f64) -> String {
    match seconds {
        ..0.1 => format!("{:.0} ms", seconds * 1e3),
        ..100.0 => format!("{seconds:.1} s"),
        _ => duration_text(seconds.round() as Micros * 1_000_000),
    }
}

fn tables(run: &Run) -> Tables {
    let sizes: Histogram = run.sim().nodes().map(|(_, node)| node.table_len() as u64).collect();
    Tables {
        mean: sizes.mean().unwrap_or(0.0),
        min: sizes.min().unwrap_or(0),
        max: sizes.max().unwrap_or(0),
    }
}

/// How a run stands.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    /// Virtual time, in seconds.
    at: f64,
    phase: &'static str,
    up: u32,
    persistent: usize,
    #[serde(flatten)]
    counts: Counts,
    in_flight: usize,
    lookups: u64,
    recall: Option<f64>,
    latency_p50_us: Option<u64>,
}

impl Sample {
    pub(crate) fn of(run: &Run) -> Self {
        let (sim, tally, scenario) = (run.sim(), run.tally(), run.scenario());
        let phase = match sim.now() {
            at if at < scenario.join_over_us => "join",
            at if at < scenario.run_from() => "settle",
            at if at <= scenario.run_from().saturating_add(scenario.run_us) => "run",
            _ => "heal",
        };
        Self {
            at: sim.now() as f64 / 1e6,
            phase,
            up: sim.up_count(),
            persistent: sim.persistent_count(),
            counts: sim.counts(),
            in_flight: sim.in_flight(),
            lookups: tally.lookups,
            recall: Some(tally.recall()).filter(|_| tally.lookups > 0),
            latency_p50_us: tally.latency.quantile(0.5),
        }
    }
}
