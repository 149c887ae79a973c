//! How a run stands, from time to time.

use dht_sim::Run;
use serde::Serialize;

/// A record for a reader of the lines.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    /// Virtual time, in seconds.
    at: f64,
    phase: &'static str,
    up: u32,
    persistent: usize,
    sent: u64,
    delivered: u64,
    lost: u64,
    unreachable: u64,
    in_flight: usize,
    lookups: u64,
    recall: Option<f64>,
    latency_p50_us: Option<u64>,
}

impl Sample {
    pub(crate) fn of(run: &Run) -> Self {
        let (sim, tally, scenario) = (run.sim(), run.tally(), run.scenario());
        let counts = sim.counts();
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
            sent: counts.sent,
            delivered: counts.delivered,
            lost: counts.lost,
            unreachable: counts.unreachable,
            in_flight: sim.in_flight(),
            lookups: tally.lookups,
            recall: Some(tally.recall()).filter(|_| tally.lookups > 0),
            latency_p50_us: tally.latency.quantile(0.5),
        }
    }
}
