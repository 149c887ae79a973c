//! What a report looks like, with invented figures: for work on its style.
//!
//! `cargo run -p dht-sim --example report -- report.html`

use std::env;
use std::io;

use dht_sim::atomic_file;
use dht_sim::report::{Axis, Goal, Kind, Mark, Plot, Report, Table, Unit};
use dht_sim::stream::{Purpose, Stream};
use dht_sim::text_table::TextTable;

const MINUTES: u32 = 90;

fn main() -> io::Result<()> {
    let path = env::args_os().nth(1).unwrap_or_else(|| "report.html".into());
    atomic_file::write(path, report().html())
}

fn report() -> Report {
    let summary = [
        ("nodes", "10,000"),
        ("simulated", "90 min"),
        ("it took", "18.4 s"),
        ("recall of the true 20", "99.62 %"),
        ("hops, median / p99", "4 / 6"),
        ("lookup, median", "412 ms"),
        ("lookup, p99", "1.41 s"),
        ("datagrams", "38.2M"),
    ];
    Report {
        title: "10,000 nodes, half of them cut off for 30 minutes".into(),
        command:
            "cargo sim --nodes 10000 --churn 60m --loss 5% --lookups 1000 --partition 30m@30m \
                  --seed 7 --report out.html"
                .into(),
        seed: 7,
        summary: summary.map(|(what, value)| (what.into(), value.into())).into(),
        notes: vec![
            "While the network is cut in two, recall counts the true 20 of the whole network, so \
             half of them can't be found by anybody."
                .into(),
            "These figures are invented.".into(),
        ],
        plots: vec![recall(), latency(), hops(), latencies(), traffic(), tables()],
        tables: vec![table()],
    }
}

/// One point for each minute, in seconds.
fn per_minute(mut height: impl FnMut(f64) -> f64) -> Vec<(f64, f64)> {
    (0..=MINUTES).map(f64::from).map(|minute| (minute * 60.0, height(minute))).collect()
}

/// Noise around 1.
fn noise(purpose: u32, by: f64) -> impl FnMut() -> f64 {
    let mut stream = Stream::new(7, Purpose::App, purpose);
    move || 1.0 + by * (stream.unit() + stream.unit() + stream.unit() - 1.5)
}

fn time() -> Axis {
    Axis::new("time since the start", Unit::Seconds)
}

fn partition() -> Vec<Mark> {
    vec![Mark { from: 1_800.0, to: 3_600.0, label: "partition".into() }]
}

fn recall() -> Plot {
    let mut noise = noise(1, 0.004);
    let height = |minute: f64| {
        let steady = 0.996 - 0.2 * (-minute / 2.0).exp();
        let cut = (30.0..60.0).contains(&minute);
        let healed = 1.0 - 0.4 * (-(minute - 60.0) / 1.5).exp();
        let height = if cut {
            0.52
        } else if minute < 30.0 {
            steady
        } else {
            steady.min(healed)
        };
        (height * noise()).min(1.0)
    };
    Plot {
        title: "Lookups find the nodes that are there".into(),
        caption: "Part of the true 20 closest live nodes that a lookup returned, mean per minute."
            .into(),
        x: time(),
        y: Axis::new("recall", Unit::Fraction),
        points: per_minute(height),
        marks: partition(),
        goals: vec![Goal { at: 0.99, label: "goal: 99 %".into() }],
        ..Plot::default()
    }
}

fn latency() -> Plot {
    let mut noise = noise(2, 0.12);
    let points = per_minute(|minute| {
        let cut = if (30.0..62.0).contains(&minute) { 1.4 } else { 1.0 };
        0.4 * cut * noise()
    });
    Plot {
        title: "Dead entries cost time until they are gone".into(),
        caption: "Time of a lookup from its start to its result, median per minute.".into(),
        x: time(),
        y: Axis::new("time of a lookup", Unit::Seconds),
        points,
        marks: partition(),
        ..Plot::default()
    }
}

fn hops() -> Plot {
    let counts = [(1, 3), (2, 48), (3, 251), (4, 402), (5, 226), (6, 61), (7, 8), (8, 1)];
    let points = counts.map(|(hops, count)| (f64::from(hops), f64::from(count))).into();
    Plot {
        title: "Most lookups need four hops".into(),
        caption: "Lookups by the number of hops to the node that knew the result.".into(),
        x: Axis::new("hops", Unit::Count),
        y: Axis::new("lookups", Unit::Count),
        kind: Kind::Bars,
        points,
        ..Plot::default()
    }
}

fn latencies() -> Plot {
    let points = (0..=60).map(|n| {
        let millis = f64::from(n) * 30.0;
        let x: f64 = ((millis + 15.0) / 420.0).ln() / 0.42;
        (millis / 1e3, (2_600.0 * (-x * x / 2.0).exp()).round())
    });
    Plot {
        title: "A long tail, as networks have it".into(),
        caption: "How long lookups took.".into(),
        x: Axis::new("time of a lookup", Unit::Seconds),
        y: Axis::new("lookups", Unit::Count),
        kind: Kind::Histogram,
        points: points.collect(),
        marks: vec![Mark { from: 0.412, to: 0.412, label: "median 412 ms".into() }],
        ..Plot::default()
    }
}

fn traffic() -> Plot {
    let mut noise = noise(3, 0.08);
    let points = per_minute(|minute| 12_700.0 * (1.0 + 1.5 * (-minute).exp()) * noise());
    Plot {
        title: "Traffic settles within minutes".into(),
        caption: "Datagrams per second, all nodes together.".into(),
        x: time(),
        y: Axis::new("datagrams per second", Unit::Count),
        points,
        ..Plot::default()
    }
}

fn tables() -> Plot {
    let points = per_minute(|minute| {
        let cut = if minute < 30.0 { 0.0 } else { (1.0 - (-(minute - 30.0) / 8.0).exp()) * 0.12 };
        (196.0 * (1.0 - (-minute / 6.0).exp()) * (1.0 - cut)).round()
    });
    Plot {
        title: "Tables fill up, and forget the other half".into(),
        caption: "Entries in the routing tables, median.".into(),
        x: time(),
        y: Axis::new("entries", Unit::Count),
        points,
        marks: partition(),
        ..Plot::default()
    }
}

fn table() -> Table {
    let mut table = TextTable::new(["phase", "lookups", "recall", "p50", "p99", "lost datagrams"]);
    table.row(["before", "1,000", "99.62 %", "412 ms", "1.41 s", "5.01 %"]);
    table.row(["partition", "1,000", "51.90 %", "604 ms", "3.37 s", "38.20 %"]);
    table.row(["after", "1,000", "99.60 %", "409 ms", "1.43 s", "4.98 %"]);
    Table {
        title: "Before, during and after".into(),
        caption: "All lookups of a phase together.".into(),
        table,
    }
}
