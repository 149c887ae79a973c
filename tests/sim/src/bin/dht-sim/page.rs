//! A run as a page with plots.

use dht_sim::histogram::Histogram;
use dht_sim::report::{Axis, Goal, Kind, Mark, Plot, Report, Table, Unit};
use dht_sim::scenario::FaultKind;
use dht_sim::series::{self, Interval};
use dht_sim::text_table::TextTable;
use dht_sim::{Micros, Run, Scenario, Violation};
use serde_json::Value;

use crate::figures::Figures;
use crate::units::{duration_text, percent_text, thousands};

/// The most points of a line.
const POINTS: usize = 120;
/// More marks can't be read.
const MARKS: usize = 12;

pub(crate) fn of(run: &Run, figures: &Figures, violation: Option<&Violation>) -> Report {
    let scenario = run.scenario();
    let mut notes: Vec<_> =
        violation.map(|violation| format!("Violated: {violation}")).into_iter().collect();
    let (marks, others) = marks(scenario);
    if others > 0 {
        notes.push(format!("{} more things that befall nodes are not marked.", thousands(others)));
    }
    Report {
        title: title(scenario),
        command: figures.replay().to_owned(),
        seed: scenario.seed,
        summary: figures.highlights(),
        notes,
        plots: plots(run, &marks),
        tables: vec![
            Table { title: "Figures".to_owned(), caption: String::new(), table: figures.table() },
            Table {
                title: "Scenario".to_owned(),
                caption: "What is not as usual; as --write-script writes it.".to_owned(),
                table: fields(scenario),
            },
        ],
    }
}

fn title(scenario: &Scenario) -> String {
    let nodes = thousands(scenario.nodes.into());
    let churn = scenario
        .churn
        .map(|churn| format!("sessions of {}", duration_text(churn.session.mean_us() as Micros)));
    let loss = scenario.link.loss.mean();
    let loss = (loss > 0.0).then(|| format!("{} loss", percent_text(loss)));
    let dead = (scenario.dead > 0.0).then(|| format!("{} dead", percent_text(scenario.dead)));
    let rest: Vec<_> = [churn, loss, dead].into_iter().flatten().collect();
    match rest.is_empty() {
        true => format!("{nodes} nodes"),
        false => format!("{nodes} nodes, {}", rest.join(", ")),
    }
}

/// Times on the page count from the third phase, as times of faults do.
struct Clock(f64);

impl Clock {
    fn points(
        &self,
        of: &series::Series,
        value: impl Fn(&Interval) -> Option<f64>,
    ) -> Vec<(f64, f64)> {
        let mut few = series::Series::new(of.width(), POINTS);
        few.merge(of);
        let mut intervals: Vec<_> = few.intervals().collect();
        // It may not be over.
        intervals.pop();
        let point = |i: &Interval| value(i).map(|value| (i.middle_secs() - self.0, value));
        intervals.iter().filter_map(point).collect()
    }
}

fn plots(run: &Run, marks: &[Mark]) -> Vec<Plot> {
    let tally = run.tally();
    let clock = Clock(run.scenario().run_from() as f64 / 1e6);
    let over_time = |title: &str, caption: &str, y: Axis, points: Vec<(f64, f64)>| Plot {
        title: title.to_owned(),
        caption: caption.to_owned(),
        x: Axis::new("time since the run began", Unit::Seconds),
        y,
        points,
        marks: marks.to_vec(),
        ..Plot::default()
    };
    let recall = clock.points(&tally.recall_over_time, |i| i.mean().map(|mean| mean / 1e6));
    let least = recall.iter().map(|(_, recall)| *recall).fold(1.0, f64::min);
    // What matters is how far it is from 1.
    let floor = [0.99, 0.98, 0.95, 0.9, 0.8, 0.5].into_iter().find(|floor| *floor <= least);
    let recall_axis = Axis {
        min: Some(floor.unwrap_or(0.0)),
        max: Some(1.0),
        ..Axis::new("recall", Unit::Fraction)
    };
    let latency = clock.points(&tally.latency_over_time, |i| i.mean().map(|mean| mean / 1e6));
    let traffic = clock.points(&tally.traffic, |i| Some(i.per_second()));
    let tables = clock.points(&tally.tables, Interval::mean);
    let persistent = clock.points(&tally.persistent, Interval::mean);
    let lookup = Axis::new("time of a lookup", Unit::Seconds);
    let [datagrams, in_table, nodes] = ["datagrams per second", "nodes in a table", "nodes"]
        .map(|label| Axis::new(label, Unit::Count));
    let mut plots = Vec::new();
    if tally.lookups > 0 {
        let found = "Of the 20 nodes that really are the closest, how many lookups found.";
        let until = "On average, until the last answer.";
        plots.extend([
            over_time("Recall over time", found, recall_axis, recall),
            hops(&tally.hops),
            asked(&tally.asked),
            percentiles(&tally.latency),
            over_time("Time of lookups over time", until, lookup, latency),
        ]);
    }
    let known = "Nodes that are up and in the tables of others.";
    plots.extend([
        over_time("Traffic", "Datagrams sent by all nodes.", datagrams, traffic),
        over_time("Table sizes", "Nodes in a routing table, on average.", in_table, tables),
        over_time("Persistent nodes", known, nodes, persistent),
    ]);
    plots
}

fn hops(hops: &Histogram) -> Plot {
    let all = hops.count().max(1) as f64;
    let bars = hops.buckets().map(|(middle, count)| (middle as f64, count as f64 / all));
    Plot {
        title: "Hops".to_owned(),
        caption: "Answers in a row between a node's own table and the closest node.".to_owned(),
        x: Axis::new("hops", Unit::Count),
        y: Axis::new("part of lookups", Unit::Fraction),
        kind: Kind::Bars,
        points: bars.collect(),
        ..Plot::default()
    }
}

fn asked(asked: &Histogram) -> Plot {
    let all = asked.count().max(1) as f64;
    // Next to each other: what is not there is none.
    let (low, high) = (asked.min().unwrap_or(0), asked.max().unwrap_or(0));
    let width = ((high - low) / 40 + 1).max(1);
    let starts = (0..).map(|n| low + n * width).take_while(|start| *start <= high);
    let mut steps: Vec<_> = starts.map(|start| (start as f64, 0.0)).collect();
    for (middle, count) in asked.buckets() {
        let at = usize::try_from((middle - low) / width).unwrap_or(usize::MAX);
        if let Some((_, part)) = steps.get_mut(at) {
            *part += count as f64 / all;
        }
    }
    steps.push((steps.last().map_or(0.0, |(start, _)| *start) + width as f64, 0.0));
    Plot {
        title: "Nodes asked".to_owned(),
        caption: "How many nodes a lookup asked.".to_owned(),
        x: Axis::new("nodes", Unit::Count),
        y: Axis { min: Some(0.0), ..Axis::new("part of lookups", Unit::Fraction) },
        kind: Kind::Histogram,
        points: steps,
        ..Plot::default()
    }
}

fn percentiles(latency: &Histogram) -> Plot {
    let steps = (1..=199).map(|step| f64::from(step) / 200.0).chain([0.999]);
    let points = steps.filter_map(|part| Some((latency.quantile(part)? as f64 / 1e6, part)));
    let goal = |at: f64, label: &str| Goal { at, label: label.to_owned() };
    Plot {
        title: "Time of lookups".to_owned(),
        caption: "How many were over by when.".to_owned(),
        x: Axis { min: Some(0.0), ..Axis::new("time of a lookup", Unit::Seconds) },
        y: Axis { min: Some(0.0), max: Some(1.0), ..Axis::new("part of lookups", Unit::Fraction) },
        points: points.collect(),
        goals: vec![goal(0.5, "p50"), goal(0.99, "p99")],
        ..Plot::default()
    }
}

/// What happened when, and how much more did.
fn marks(scenario: &Scenario) -> (Vec<Mark>, u64) {
    let seconds = |us: Micros| us as f64 / 1e6;
    let mark = |from: f64, to: f64, label: String| Mark { from, to, label };
    let [from, join] = [scenario.run_from(), scenario.join_over_us].map(seconds);
    let mut marks = vec![mark(-from, join - from, "joining".to_owned())];
    let mut others = 0;
    if scenario.dead > 0.0 {
        marks.push(mark(0.0, 0.0, format!("{} die", percent_text(scenario.dead))));
    }
    if scenario.churn.is_some() {
        marks.push(mark(0.0, 0.0, "churn begins".to_owned()));
    }
    let faults = scenario.faults.iter().map(|fault| {
        let said = match &fault.what {
            FaultKind::Partition { for_us, .. } => Some((*for_us, "partition".to_owned())),
            FaultKind::MassLeave { part } => Some((0, format!("{} leave", percent_text(*part)))),
            FaultKind::FlashCrowd { nodes, over_us } => {
                Some((*over_us, format!("{} join", thousands((*nodes).into()))))
            }
            FaultKind::RebindNats => Some((0, "NATs rebind".to_owned())),
            FaultKind::Link { .. } => Some((0, "link changes".to_owned())),
            _ => None,
        };
        (fault.at_us, said)
    });
    let attacks = scenario.attacks.iter();
    let attacks = attacks.map(|at| (at.at_us, Some((at.for_us, at.kind.to_string()))));
    for (at_us, said) in faults.chain(attacks) {
        match said.filter(|_| marks.len() < MARKS) {
            Some((for_us, label)) => {
                marks.push(mark(seconds(at_us), seconds(at_us + for_us), label));
            }
            None => others += 1,
        }
    }
    if scenario.heal_us.is_some() {
        let at = seconds(scenario.run_us);
        marks.push(mark(at, at, "all heals".to_owned()));
    }
    (marks, others)
}

/// Longer lists are only counted.
const ITEMS: usize = 12;

/// What of a scenario is not as usual, field by field, and what everybody asks for.
fn fields(scenario: &Scenario) -> TextTable {
    let mut table = TextTable::new(["field", "value"]);
    let [mut fields, mut usual] = [Vec::new(), Vec::new()];
    flatten("", &to_value(scenario), &mut fields);
    flatten("", &to_value(&Scenario::default()), &mut usual);
    for (name, text) in fields.into_iter().filter(|(name, _)| name != "version") {
        let basic =
            text != "0.0" && !name.contains('.') && text.starts_with(|c: char| c.is_ascii_digit());
        if basic || !usual.contains(&(name.clone(), text.clone())) {
            table.row([name, text]);
        }
    }
    table
}

fn to_value(scenario: &Scenario) -> Value {
    serde_json::to_value(scenario).unwrap_or_default()
}

/// All that is in `value`, with the way to it: `link.latency.constant.delay`, `40 ms`.
fn flatten(name: &str, value: &Value, to: &mut Vec<(String, String)>) {
    let inside = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    let shown = |to: &mut Vec<_>, text: String| {
        to.push((name.trim_end_matches("_us").replace('_', " "), text));
    };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&inside(key), value, to));
        }
        Value::Array(items) if items.len() <= ITEMS => {
            (1..)
                .zip(items)
                .for_each(|(n, item): (u32, _)| flatten(&format!("{name} {n}"), item, to));
        }
        Value::Array(items) => shown(to, format!("{} of them", thousands(items.len() as u64))),
        Value::Number(number) => match number.as_u64() {
            Some(us) if name.ends_with("_us") => shown(to, duration_text(us)),
            Some(number) if !name.ends_with("seed") => shown(to, thousands(number)),
            _ => shown(to, number.to_string()),
        },
        Value::Bool(yes) => shown(to, if *yes { "yes" } else { "no" }.to_owned()),
        Value::String(text) => shown(to, text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use dht_sim::link::{Latency, Link, Loss};

    use super::*;

    #[test]
    fn what_is_not_as_usual_is_said() {
        let link = Link {
            latency: Latency::Uniform { min_us: 20_000, max_us: 1_500_000 },
            loss: Loss::Independent(0.05),
            ..Link::default()
        };
        let scenario = Scenario { nodes: 10_000, link, checks: true, ..Scenario::default() };
        let rows = fields(&scenario).rows;
        let has = |name: &str, value: &str| rows.contains(&vec![name.to_owned(), value.to_owned()]);
        assert!(has("nodes", "10,000") && has("run", "10 m") && has("checks", "yes"), "{rows:?}");
        assert!(has("link.latency.uniform.max", "1.5 s"), "{rows:?}");
        assert!(has("link.loss.independent", "0.05"), "{rows:?}");
        assert!(!rows.iter().any(|row| row[0].contains("mtu") || row[0] == "dead"), "{rows:?}");
    }
}
