//! The figures that a node has to reach: each a scenario, what is read off it, and the goal. At full size
//! they are the results that are checked in; a small size of the same is run by the checks of
//! every change, against recorded values.

use std::time::Duration;

use crate::churn::{Churn, Length};
use crate::invariant::Violation;
use crate::link::{Latency, Link, Loss};
use crate::partition::Side;
use crate::run::Run;
use crate::scenario::{Fault, FaultKind, NodeOptions, SECOND, Scenario};
use crate::{HostId, Micros};

/// How large the networks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As the goals ask for.
    Full,
    /// Seconds, for the checks of every change.
    Small,
}

/// One measure.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Measure {
    /// Its number.
    pub id: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What is to be reached.
    pub goal: &'static str,
    /// How.
    run: fn(Size) -> Result<Vec<Figure>, Violation>,
}

/// What came out of a measure, for one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The network, and what was done to it.
    pub network: String,
    /// The result, in words and numbers that are the same in each run.
    pub result: String,
    /// Whether it reaches the goal, at full size.
    pub met: bool,
    /// The trace hash at the end.
    pub trace: u64,
}

impl Measure {
    /// Measures.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn run(&self, size: Size) -> Result<Vec<Figure>, Violation> {
        (self.run)(size)
    }
}

/// All measures, in order.
pub const MEASURES: &[Measure] = &[
    Measure {
        id: "M7",
        what: "hops of a lookup, median / p99",
        goal: "0.5 / 0.7 log2 N",
        run: hops,
    },
    Measure {
        id: "M8",
        what: "recall of the true 20",
        goal: "static 0.9999; 20 % dead 0.996",
        run: recall,
    },
    Measure {
        id: "M9",
        what: "recall, sessions of 60 min, 5 % loss",
        goal: "0.99",
        run: mild_churn,
    },
    Measure {
        id: "M10",
        what: "recall, sessions of 10 min, 20 % loss",
        goal: "0.95",
        run: wild_churn,
    },
    Measure {
        id: "M11",
        what: "lookups that reach one of the true 20, 30 % loss",
        goal: "99.9 %",
        run: heavy_loss,
    },
    Measure {
        id: "M12",
        what: "time of a lookup, RTT 80 ms",
        goal: "p50 600 ms, p99 1.5 s",
        run: latency,
    },
    Measure {
        id: "M13",
        what: "the same, 20 % dead entries",
        goal: "p50 1.2 x healthy",
        run: latency_among_dead,
    },
    Measure { id: "M14", what: "requests per lookup", goal: "45", run: requests },
    Measure { id: "M15", what: "upkeep of an idle node, datagrams/s", goal: "0.5", run: upkeep },
    Measure {
        id: "M18",
        what: "50/50 partition for 30 min, then time to recall 0.99",
        goal: "10 min",
        run: partition,
    },
    Measure {
        id: "M19",
        what: "half of the nodes leave, then time to recall 0.95",
        goal: "5 min",
        run: mass_leave,
    },
];

const MINUTE: Micros = 60 * SECOND;

impl Size {
    fn nodes(self, full: u32) -> u32 {
        match self {
            Self::Full => full,
            Self::Small => 400,
        }
    }

    fn lookups(self, full: u32) -> u32 {
        match self {
            Self::Full => full,
            Self::Small => full / 10,
        }
    }
}

/// A settled network without faults, in which lookups are made for a minute.
fn calm(nodes: u32, lookups: u32) -> Scenario {
    Scenario {
        seed: 7,
        nodes,
        bootstraps: 3,
        join_over_us: join_over(nodes),
        settle_us: 10 * MINUTE,
        run_us: MINUTE,
        lookups,
        ..Scenario::default()
    }
}

/// So that at most about 500 nodes join per second.
fn join_over(nodes: u32) -> Micros {
    MINUTE.max(u64::from(nodes) * SECOND / 500)
}

fn churning(nodes: u32, session: Micros, loss: f64, lookups: u32) -> Scenario {
    let churn = Churn {
        session: Length::Exponential { mean_us: session },
        downtime: Length::Exponential { mean_us: 30 * SECOND },
        permanent: 0.0,
        return_with_table: 0.0,
    };
    let link = Link { loss: Loss::Independent(loss), ..Link::default() };
    // Long enough for the network to forget how it began.
    let run_us = 2 * session;
    Scenario { link, churn: Some(churn), run_us, ..calm(nodes, lookups) }
}

/// Round trips of 80 ms in the middle, other ones for other pairs.
fn realistic() -> Link {
    let latency = Latency::LogNormal {
        median_us: 40_000,
        sigma: 0.4,
        min_us: 2_000,
        per_pair: true,
        jitter_sigma: 0.1,
    };
    Link { latency, ..Link::default() }
}

fn run(scenario: Scenario) -> Result<Run, Violation> {
    let seed = scenario.seed;
    let mut run = Run::new(scenario).map_err(|error| Violation {
        invariant: "scenario".to_owned(),
        message: error.to_string(),
        host: None,
        at: 0,
        seed,
        trace: 0,
    })?;
    run.finish()?;
    Ok(run)
}

fn figure(run: &Run, network: impl Into<String>, result: String, met: bool) -> Figure {
    let (scenario, trace) = (run.scenario(), run.sim().trace_hash());
    let network = network.into();
    let network =
        format!("{} nodes{}{network}", scenario.nodes, if network.is_empty() { "" } else { ", " });
    Figure { network, result, met, trace }
}

fn hops(size: Size) -> Result<Vec<Figure>, Violation> {
    let mut figures = Vec::new();
    for nodes in sizes(size) {
        let run = run(calm(nodes, size.lookups(2_000)))?;
        let hops = &run.tally().hops;
        let (median, p99) = (hops.quantile(0.5).unwrap_or(0), hops.quantile(0.99).unwrap_or(0));
        // log2 by whole numbers is enough to tell.
        let log2 = libm::log2(f64::from(nodes));
        let met = median as f64 <= 0.5 * log2 && p99 as f64 <= 0.7 * log2;
        figures.push(figure(&run, "", format!("{median} / {p99}"), met));
    }
    Ok(figures)
}

fn sizes(size: Size) -> Vec<u32> {
    match size {
        Size::Full => vec![1_000, 16_000, 100_000],
        Size::Small => vec![size.nodes(0)],
    }
}

fn recall(size: Size) -> Result<Vec<Figure>, Violation> {
    let nodes = size.nodes(16_000);
    let healthy = run(calm(nodes, size.lookups(5_000)))?;
    let among_dead = run(Scenario { dead: 0.2, ..calm(nodes, size.lookups(5_000)) })?;
    Ok(vec![
        figure(&healthy, "", percent(healthy.tally().recall()), healthy.tally().recall() >= 0.9999),
        figure(
            &among_dead,
            "20 % of which have just left",
            percent(among_dead.tally().recall()),
            among_dead.tally().recall() >= 0.996,
        ),
    ])
}

fn percent(part: f64) -> String {
    format!("{part:.5}")
}

fn churn_figure(scenario: Scenario, goal: f64, network: &str) -> Result<Vec<Figure>, Violation> {
    let run = run(scenario)?;
    let recall = run.tally().recall();
    Ok(vec![figure(&run, network, percent(recall), recall >= goal)])
}

fn mild_churn(size: Size) -> Result<Vec<Figure>, Violation> {
    let scenario = churning(size.nodes(10_000), 60 * MINUTE, 0.05, size.lookups(5_000));
    churn_figure(scenario, 0.99, "2 h")
}

fn wild_churn(size: Size) -> Result<Vec<Figure>, Violation> {
    let scenario = churning(size.nodes(10_000), 10 * MINUTE, 0.2, size.lookups(5_000));
    churn_figure(scenario, 0.95, "20 min")
}

fn heavy_loss(size: Size) -> Result<Vec<Figure>, Violation> {
    let link = Link { loss: Loss::Independent(0.3), ..Link::default() };
    let run = run(Scenario { link, ..calm(size.nodes(10_000), size.lookups(20_000)) })?;
    let (reached, all) = (run.tally().reached, run.tally().lookups);
    let part = reached as f64 / all.max(1) as f64;
    Ok(vec![figure(&run, "", format!("{reached} of {all}"), part >= 0.999)])
}

fn millis(us: Option<u64>) -> u64 {
    us.unwrap_or(0) / 1_000
}

fn latency(size: Size) -> Result<Vec<Figure>, Violation> {
    let run =
        run(Scenario { link: realistic(), ..calm(size.nodes(100_000), size.lookups(5_000)) })?;
    let latency = &run.tally().latency;
    let (p50, p99) = (millis(latency.quantile(0.5)), millis(latency.quantile(0.99)));
    let met = p50 <= 600 && p99 <= 1_500;
    Ok(vec![figure(&run, "", format!("p50 {p50} ms, p99 {p99} ms"), met)])
}

fn latency_among_dead(size: Size) -> Result<Vec<Figure>, Violation> {
    let nodes = size.nodes(10_000);
    let scenario = Scenario { link: realistic(), ..calm(nodes, size.lookups(5_000)) };
    let healthy = run(scenario.clone())?;
    let mut figures = Vec::new();
    for adaptive_timeout in [false, true] {
        let node = NodeOptions { adaptive_timeout, ..NodeOptions::default() };
        let run = run(Scenario { dead: 0.2, node, ..scenario.clone() })?;
        let at = |run: &Run, q| millis(run.tally().latency.quantile(q));
        let (p50, p99) = (at(&run, 0.5), at(&run, 0.99));
        let times = |q, now: u64| now as f64 / at(&healthy, q).max(1) as f64;
        let result = format!(
            "p50 {p50} ms, {:.2} x healthy; p99 {p99} ms, {:.2} x; recall {:.5}",
            times(0.5, p50),
            times(0.99, p99),
            run.tally().recall()
        );
        let name = if adaptive_timeout { "adaptive time-outs" } else { "time-outs of 1 s" };
        figures.push(figure(&run, name, result, times(0.5, p50) <= 1.2));
    }
    Ok(figures)
}

fn requests(size: Size) -> Result<Vec<Figure>, Violation> {
    let mut figures = Vec::new();
    for nodes in sizes(size) {
        let run = run(calm(nodes, size.lookups(2_000)))?;
        let mean = run.tally().asked.mean().unwrap_or(0.0);
        let result = format!("{mean:.2} at recall {:.5}", run.tally().recall());
        figures.push(figure(&run, "", result, mean <= 45.0));
    }
    Ok(figures)
}

fn upkeep(size: Size) -> Result<Vec<Figure>, Violation> {
    // Old enough for nodes to know each other for over half an hour.
    let (settle_us, run_us) = (60 * MINUTE, 60 * MINUTE);
    let nodes = size.nodes(2_000);
    let lookups = size.lookups(500);
    let idle = run(Scenario { settle_us, run_us, lookups: 0, ..calm(nodes, 0) })?;
    let per_node = idle
        .tally()
        .since_begin(idle.sim())
        .map_or(0.0, |(time, counts)| counts.sent as f64 * 1e6 / time as f64 / f64::from(nodes));
    // What it is worth: lookups at the end of such an hour.
    let looked = run(Scenario { settle_us: settle_us + run_us, lookups, ..calm(nodes, 0) })?;
    let result = format!("{per_node:.3}, recall {:.5} after it", looked.tally().recall());
    Ok(vec![figure(&idle, "idle for an hour", result, per_node <= 0.5)])
}

/// Lookups go on; the first moment from which the recall of a hundred in a row is good.
fn time_to_recall(
    mut run: Run,
    from: Micros,
    until: Micros,
    goal: f64,
) -> Result<(Run, Option<Micros>), Violation> {
    const STEP: Micros = 5 * SECOND;
    run.run_to(from)?;
    let mut at = from;
    while at < until {
        for n in 0..100 {
            let host = HostId((n * 7_919 + (at / STEP) as u32 * 31) % run.sim().hosts());
            run.look_up_random(host);
        }
        run.run_to(at + STEP)?;
        let found = run.tally().lookups_since(at);
        if found.is_some_and(|(count, recall)| count >= 40 && recall >= goal) {
            return Ok((run, Some(at - from)));
        }
        at += STEP;
    }
    Ok((run, None))
}

fn seconds(time: Option<Micros>) -> String {
    time.map_or("not within an hour".to_owned(), |time| format!("{} s", time / SECOND))
}

fn partition(size: Size) -> Result<Vec<Figure>, Violation> {
    let cut = FaultKind::Partition {
        first: Side::Fraction(0.5),
        one_way: false,
        for_us: 30 * MINUTE,
        flap: None,
    };
    let scenario = Scenario {
        faults: vec![Fault { at_us: 0, what: cut }],
        run_us: 2 * 60 * MINUTE,
        lookups: 0,
        ..calm(size.nodes(5_000), 0)
    };
    let healed = scenario.run_from() + 30 * MINUTE;
    recovery(scenario, healed, 0.99, 10 * MINUTE, "halves that could not talk for 30 min")
}

fn mass_leave(size: Size) -> Result<Vec<Figure>, Violation> {
    let scenario = Scenario {
        faults: vec![Fault { at_us: 0, what: FaultKind::MassLeave { part: 0.5 } }],
        run_us: 60 * MINUTE,
        lookups: 0,
        ..calm(size.nodes(10_000), 0)
    };
    let left = scenario.run_from();
    recovery(scenario, left, 0.95, 5 * MINUTE, "half of which have just left")
}

fn recovery(
    scenario: Scenario,
    from: Micros,
    recall: f64,
    goal: Micros,
    network: &str,
) -> Result<Vec<Figure>, Violation> {
    let run = Run::new(scenario).map_err(|error| Violation {
        invariant: "scenario".to_owned(),
        message: error.to_string(),
        host: None,
        at: 0,
        seed: 7,
        trace: 0,
    })?;
    let (run, took) = time_to_recall(run, from, from + 60 * MINUTE, recall)?;
    let met = took.is_some_and(|took| took <= goal);
    Ok(vec![figure(&run, network, seconds(took), met)])
}

/// How long a measure took, for people.
#[must_use]
pub fn wall(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
