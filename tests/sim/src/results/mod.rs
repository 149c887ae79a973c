//! The figures that a node has to reach: each a scenario, what is read off it, and the goal. At full size
//! they are the results that are checked in; a small size of the same is run by the checks of
//! every change, against recorded values.

pub mod hostile;
mod serving;

use crate::report::histogram::Histogram;
use crate::run::Run;
use crate::scenario::{Fault, FaultKind, Impossible, NodeOptions, Scenario};
use crate::sim::Violation;
use crate::world::churn::{Churn, Length};
use crate::world::link::{Latency, Link, Loss};
use crate::world::{HostId, Micros, SECOND, addresses::Addresses, partition::Side};
use hostile::Hosts;

/// How large the networks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As the goals ask for.
    Full,
    /// Seconds, for the checks of every change.
    Small,
}

/// A few measures that one run, or one kind of run, gives.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Measure {
    /// Their numbers.
    pub ids: &'static [&'static str],
    run: fn(Size) -> Result<Vec<Figure>, Violation>,
}

/// What came out of a measure, for one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The number of the measure.
    pub id: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// The network, and what was done to it.
    pub network: String,
    /// The result, in words and numbers that are the same in each run.
    pub result: String,
    /// What is to be reached, at full size.
    pub goal: &'static str,
    /// Whether it is.
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

/// All measures.
pub const MEASURES: &[Measure] = &[
    Measure { ids: &["M7", "M8", "M14"], run: calm_lookups },
    Measure { ids: &["M8"], run: among_dead },
    Measure { ids: &["M8"], run: among_neighbours },
    Measure { ids: &["M9"], run: mild_churn },
    Measure { ids: &["M9b"], run: times_under_faults },
    Measure { ids: &["M10"], run: wild_churn },
    Measure { ids: &["M11"], run: heavy_loss },
    Measure { ids: &["M12"], run: latency },
    Measure { ids: &["M13"], run: latency_among_dead },
    Measure { ids: &["M15"], run: upkeep },
    Measure { ids: &["M18"], run: partition },
    Measure { ids: &["M19"], run: mass_leave },
    Measure { ids: &["M23", "M24"], run: serving::kept_for_others },
    Measure { ids: &["S6", "S7"], run: eclipses },
    Measure { ids: &["S8"], run: one_in_five },
];

const MINUTE: Micros = 60 * SECOND;
const SEED: u64 = 7;

impl Size {
    fn pick<T>(self, full: T, small: T) -> T {
        match self {
            Self::Full => full,
            Self::Small => small,
        }
    }

    fn nodes(self, full: u32) -> u32 {
        self.pick(full, 400)
    }

    fn lookups(self, full: u32) -> u32 {
        self.pick(full, full / 10)
    }
}

/// A settled network without faults, in which lookups are made for a minute.
fn calm(nodes: u32, lookups: u32) -> Scenario {
    Scenario {
        seed: SEED,
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
    let churn = exponential(session, 30 * SECOND);
    let link = Link { loss: Loss::Independent(loss), ..Link::default() };
    // Long enough for the network to forget how it began.
    let run_us = 2 * session;
    Scenario { link, churn: Some(churn), run_us, ..calm(nodes, lookups) }
}

fn exponential(session: Micros, downtime: Micros) -> Churn {
    let [session, downtime] = [session, downtime].map(|mean_us| Length::Exponential { mean_us });
    Churn::new(session, downtime)
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
    let mut run = Run::new(scenario).map_err(|error| impossible(&error))?;
    run.finish()?;
    Ok(run)
}

/// The scenarios in here are possible.
fn impossible(error: &Impossible) -> Violation {
    Violation::before(SEED, "scenario", error.to_string())
}

/// A measure: its number, what it is, and its goal.
type What = (&'static str, &'static str, &'static str);

/// What a run gives for a measure.
fn figure(run: &Run, what: What, network: &str, result: String, met: bool) -> Figure {
    let (id, what, goal) = what;
    let (nodes, trace) = (run.scenario().nodes, run.sim().trace_hash());
    let comma = if network.is_empty() { "" } else { ", " };
    let network = format!("{nodes} nodes{comma}{network}");
    Figure { id, what, network, result, goal, met, trace }
}

/// The recall of a run, which has to be at least this.
fn recall(what: What, least: f64, network: &str, run: &Run) -> Figure {
    let recall = run.tally().recall();
    figure(run, what, network, part(recall), recall >= least)
}

fn calm_lookups(size: Size) -> Result<Vec<Figure>, Violation> {
    let mut figures = Vec::new();
    for nodes in size.pick(vec![1_000, 16_000, 100_000], vec![400]) {
        let run = run(calm(nodes, size.lookups(5_000)))?;
        let tally = run.tally();
        let (median, p99) = (quantile(&tally.hops, 0.5), quantile(&tally.hops, 0.99));
        let log2 = libm::log2(f64::from(nodes));
        let short = median as f64 <= 0.5 * log2 && p99 as f64 <= 0.7 * log2;
        let hops = ("M7", "hops of a lookup, median / p99", "0.5 / 0.7 log2 N");
        let mean = tally.asked.mean().unwrap_or(0.0);
        let asked = ("M14", "requests per lookup", "45");
        figures.extend([
            figure(&run, hops, "", format!("{median} / {p99}"), short),
            recall(("M8", TRUE_20, "0.9999"), 0.9999, "", &run),
            figure(&run, asked, "", format!("{mean:.2}"), mean <= 45.0),
        ]);
    }
    Ok(figures)
}

const TRUE_20: &str = "recall of the true 20";

fn quantile(histogram: &Histogram, q: f64) -> u64 {
    histogram.quantile(q).unwrap_or(0)
}

fn part(part: f64) -> String {
    format!("{part:.5}")
}

fn among_dead(size: Size) -> Result<Vec<Figure>, Violation> {
    let run = run(Scenario { dead: 0.2, ..calm(size.nodes(16_000), size.lookups(5_000)) })?;
    Ok(vec![recall(("M8", TRUE_20, "0.996"), 0.996, "20 % of which have just left", &run)])
}

fn among_neighbours(size: Size) -> Result<Vec<Figure>, Violation> {
    let addresses = Some(Addresses::default());
    let run = run(Scenario { addresses, ..calm(size.nodes(16_000), size.lookups(5_000)) })?;
    let what = ("M8", "recall of the 20 closest within quotas", "0.99");
    Ok(vec![recall(what, 0.99, "which share /24s and addresses", &run)])
}

fn mild_churn(size: Size) -> Result<Vec<Figure>, Violation> {
    let run = run(churning(size.nodes(10_000), 60 * MINUTE, 0.05, size.lookups(5_000)))?;
    let what = ("M9", "recall, sessions of 60 min, 5 % loss", "0.99");
    Ok(vec![recall(what, 0.99, "2 h", &run)])
}

/// Each fault alone, and both: `cargo sim --nodes 2000 --churn 60m --loss 5% --lookups 500 --time 10m --seed 7`.
fn times_under_faults(size: Size) -> Result<Vec<Figure>, Violation> {
    let churn = exponential(60 * MINUTE, 6 * MINUTE);
    let loss = Loss::Independent(0.05);
    // The last ones: milliseconds for half of the lookups and for 99 of a hundred, and the recall.
    let kinds = [
        ("no faults", None, Loss::None, "p50 350 ms, p99 450 ms", (350, 450), 0.9999),
        (
            "sessions of 60 min",
            Some(churn),
            Loss::None,
            "p50 450 ms, p99 650 ms",
            (450, 650),
            0.9987,
        ),
        ("5 % loss", None, loss, "p50 550 ms, p99 1.2 s", (550, 1_200), 0.9987),
        ("both", Some(churn), loss, "p50 800 ms, p99 1.6 s", (800, 1_600), 0.9978),
    ];
    let mut figures = Vec::new();
    for (network, churn, loss, goal, most, least) in kinds {
        let (nodes, lookups) = (size.nodes(2_000), size.lookups(500));
        let link = Link { loss, ..Link::default() };
        let scenario = Scenario { seed: SEED, nodes, lookups, churn, link, ..Scenario::default() };
        let run = run(scenario)?;
        let tally = run.tally();
        let time = |q| quantile(&tally.latency, q) / 1_000;
        let (p50, p99, recall) = (time(0.5), time(0.99), tally.recall());
        let asked = tally.asked.mean().unwrap_or(0.0);
        let recalls = part(recall);
        let result = format!("p50 {p50} ms, p99 {p99} ms; recall {recalls}; {asked:.1} asked");
        let met = p50 <= most.0 && p99 <= most.1 && recall >= least;
        let what = ("M9b", "time of a lookup, RTT 80 ms", goal);
        figures.push(figure(&run, what, network, result, met));
    }
    Ok(figures)
}

fn wild_churn(size: Size) -> Result<Vec<Figure>, Violation> {
    let run = run(churning(size.nodes(10_000), 10 * MINUTE, 0.2, size.lookups(5_000)))?;
    let what = ("M10", "recall, sessions of 10 min, 20 % loss", "0.95");
    Ok(vec![recall(what, 0.95, "20 min", &run)])
}

fn heavy_loss(size: Size) -> Result<Vec<Figure>, Violation> {
    let link = Link { loss: Loss::Independent(0.3), ..Link::default() };
    let run = run(Scenario { link, ..calm(size.nodes(10_000), size.lookups(20_000)) })?;
    let (reached, all) = (run.tally().reached, run.tally().lookups);
    let met = reached as f64 >= 0.999 * all as f64;
    let what = ("M11", "lookups that reach one of the true 20, 30 % loss", "99.9 %");
    Ok(vec![figure(&run, what, "", format!("{reached} of {all}"), met)])
}

fn latency(size: Size) -> Result<Vec<Figure>, Violation> {
    let run =
        run(Scenario { link: realistic(), ..calm(size.nodes(100_000), size.lookups(5_000)) })?;
    let latency = &run.tally().latency;
    let (p50, p99) = (quantile(latency, 0.5) / 1_000, quantile(latency, 0.99) / 1_000);
    let what = ("M12", "time of a lookup, RTT 80 ms log-normal", "p50 600 ms, p99 1.5 s");
    let met = p50 <= 600 && p99 <= 1_500;
    Ok(vec![figure(&run, what, "", format!("p50 {p50} ms, p99 {p99} ms"), met)])
}

fn latency_among_dead(size: Size) -> Result<Vec<Figure>, Violation> {
    let scenario = Scenario { link: realistic(), ..calm(size.nodes(10_000), size.lookups(5_000)) };
    let healthy = run(scenario.clone())?;
    let mut figures = Vec::new();
    let usual = NodeOptions::default();
    let kinds = [
        ("the walk's own pace", usual),
        ("per-destination time-outs", NodeOptions { adaptive_timeout: true, ..usual }),
        ("as dht-rpc", NodeOptions { thorough: true, ..usual }),
    ];
    for (name, node) in kinds {
        let run = run(Scenario { dead: 0.2, node, ..scenario.clone() })?;
        let times = |q| {
            let of = |run: &Run| quantile(&run.tally().latency, q);
            (of(&run) / 1_000, of(&run) as f64 / of(&healthy).max(1) as f64)
        };
        let ((p50, p50_times), (p99, p99_times)) = (times(0.5), times(0.99));
        let result = format!(
            "p50 {p50} ms, {p50_times:.2} x healthy; p99 {p99} ms, {p99_times:.2} x; recall {}",
            part(run.tally().recall())
        );
        let what = ("M13", "the same, 20 % dead entries", "p50 1.2 x healthy");
        figures.push(figure(&run, what, name, result, p50_times <= 1.2));
    }
    Ok(figures)
}

fn upkeep(size: Size) -> Result<Vec<Figure>, Violation> {
    // Old enough for nodes to know each other for over half an hour; lookups when it is over.
    let (settle_us, run_us, heal_us) = (60 * MINUTE, 60 * MINUTE, Some(0));
    let nodes = size.nodes(2_000);
    let mut run = Run::new(Scenario { settle_us, run_us, heal_us, lookups: 0, ..calm(nodes, 0) })
        .map_err(|error| impossible(&error))?;
    run.run_to(run.scenario().run_from() + run_us - 1)?;
    let per_node = run
        .tally()
        .sent_since_begin(run.sim())
        .map_or(0.0, |(time, sent)| sent as f64 * 1e6 / time as f64 / f64::from(nodes));
    run.finish()?;
    let result = format!("{per_node:.3}; recall after it {}", part(run.tally().recall()));
    let what = ("M15", "upkeep of an idle node, datagrams/s", "0.5");
    Ok(vec![figure(&run, what, "idle for an hour", result, per_node <= 0.5)])
}

/// From `from` on a hundred lookups are begun every five seconds, until their recall is good: when that is.
fn time_to_recall(
    scenario: Scenario,
    from: Micros,
    goal: f64,
) -> Result<(Run, Option<Micros>), Violation> {
    const STEP: Micros = 5 * SECOND;
    let mut run = Run::new(scenario).map_err(|error| impossible(&error))?;
    run.run_to(from)?;
    for at in (from..from + 60 * MINUTE).step_by(STEP as usize) {
        for n in 0..100 {
            let host = HostId((n * 7_919 + (at / STEP) as u32 * 31) % run.sim().hosts());
            run.look_up_random(host);
        }
        run.run_to(at + STEP)?;
        let found = run.tally().lookups_since(at);
        if found.is_some_and(|(count, recall)| count >= 40 && recall >= goal) {
            return Ok((run, Some(at + STEP - from)));
        }
    }
    Ok((run, None))
}

fn partition(size: Size) -> Result<Vec<Figure>, Violation> {
    let (first, one_way, for_us, flap) = (Side::Fraction(0.5), false, 30 * MINUTE, None);
    let cut = FaultKind::Partition { first, one_way, for_us, flap };
    let faults = vec![Fault { at_us: 0, what: cut }];
    let scenario = Scenario { faults, run_us: 90 * MINUTE, ..calm(size.nodes(5_000), 0) };
    let healed = scenario.run_from() + for_us;
    let (run, took) = time_to_recall(scenario, healed, 0.99)?;
    let what = ("M18", "50/50 partition for 30 min, then time to recall 0.99", "10 min");
    Ok(vec![within(&run, what, took, 10 * MINUTE)])
}

fn mass_leave(size: Size) -> Result<Vec<Figure>, Violation> {
    let faults = vec![Fault { at_us: 0, what: FaultKind::MassLeave { part: 0.5 } }];
    let scenario = Scenario { faults, run_us: 60 * MINUTE, ..calm(size.nodes(10_000), 0) };
    let left = scenario.run_from();
    let (run, took) = time_to_recall(scenario, left, 0.95)?;
    let what = ("M19", "half of the nodes leave, then time to recall 0.95", "5 min");
    Ok(vec![within(&run, what, took, 5 * MINUTE)])
}

/// A time that has to be at most this.
fn within(run: &Run, what: What, took: Option<Micros>, most: Micros) -> Figure {
    let said = |time| format!("{} s", time / SECOND);
    let result = took.map_or("not within an hour".to_owned(), said);
    figure(run, what, "", result, took.is_some_and(|took| took <= most))
}

fn eclipses(size: Size) -> Result<Vec<Figure>, Violation> {
    let kinds = [
        ("S6", Hosts::Apart(1), None, "one host near the key", "2 of 20", 2.0),
        ("S7", Hosts::Together(16), None, "16 hosts in one /24", "3 of 20", 3.0),
        ("S7", Hosts::Apart(16), None, "16 hosts in 16 /24s", "3 of 20", 3.0),
        ("S6", Hosts::Apart(1), Some(Addresses::default()), SHARED, "2 of 20", 2.0),
    ];
    let mut figures = Vec::new();
    for nodes in size.pick(vec![1_000, 3_000], vec![400]) {
        let alone = hostile::settled(SEED, nodes, None)?;
        for (id, hosts, addresses, network, goal, most) in kinds {
            let shared = addresses.map(|_| hostile::settled(SEED, nodes, addresses)).transpose()?;
            let eclipse =
                hostile::eclipse(shared.as_ref().unwrap_or(&alone), hosts, size.pick(12, 2))?;
            let (mean, worst, lookups) = (eclipse.mean(), eclipse.worst, eclipse.lookups);
            let result = format!(
                "{mean:.2}, at most {worst}; majority in {} of {lookups}, all in {}",
                eclipse.majority, eclipse.all
            );
            let (what, met) = ("of the 20 found the attacker's", f64::from(worst) <= most);
            let (network, trace) = (format!("{nodes} nodes, {network}"), eclipse.trace);
            figures.push(Figure { id, what, network, result, goal, met, trace });
        }
    }
    Ok(figures)
}

/// Of the nodes, some share a /24 or an address.
const SHARED: &str = "one host near the key, nodes share addresses";

fn one_in_five(size: Size) -> Result<Vec<Figure>, Violation> {
    let mut figures = Vec::new();
    for nodes in size.pick(vec![1_000, 3_000], vec![400]) {
        for (addresses, network) in [
            (None, "20 % hostile, each in a /24"),
            (Some(Addresses::default()), "20 % hostile, each in a /24; nodes share addresses"),
        ] {
            let (minutes, lookups) = size.pick((20, 1_000), (5, 100));
            let sim = hostile::settled(SEED, nodes, addresses)?;
            let seen =
                hostile::poisoned(sim, Hosts::Apart(nodes / 4), nodes / 4, minutes, lookups)?;
            let result = format!(
                "{:.4}; none in {}, fewest {}; {:.1} of 20 hostile; {:.1} % of tables",
                seen.recall,
                seen.none,
                seen.fewest,
                seen.held,
                100.0 * seen.in_tables
            );
            let (id, what) = ("S8", "recall of honest nodes; lookups that find none");
            let goal = "0.95; 0.1 %";
            let met = seen.recall >= 0.95 && seen.none * 1_000 <= seen.lookups;
            let (network, trace) = (format!("{nodes} nodes, {network}"), seen.trace);
            figures.push(Figure { id, what, network, result, goal, met, trace });
        }
    }
    Ok(figures)
}
