//! A report of a run as one HTML file that works offline: its style and its plots are in it, and it
//! loads and runs nothing.
//!
//! It knows nothing of the simulation: a caller with figures fills in a [`Report`], which is plain data. The plots are drawn here rather than by a plotting crate, since these crates fix every colour and size in the
//! picture, and then there is no dark mode, no text that stays readable on a phone, and nothing for a screen reader.

pub mod histogram;
mod html;
mod scale;
pub mod series;
mod shapes;
mod style;
mod svg;
pub mod text_table;

use text_table::TextTable;

/// What a report says. Any text may be in any field: all of it is escaped.
///
/// ```
/// use dht_sim::report::{Axis, Plot, Report, Unit};
///
/// let plot = Plot {
///     title: "Traffic".to_owned(),
///     x: Axis::new("time", Unit::Seconds),
///     y: Axis::new("datagrams per second", Unit::Count),
///     points: vec![(0.0, 10.0), (1.0, 20.0)],
///     ..Plot::default()
/// };
/// let report = Report { title: "100 nodes".to_owned(), plots: vec![plot], ..Report::default() };
/// assert!(report.html().contains("<svg"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What was run.
    pub title: String,
    /// The command that runs it again.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// The figures to see first: what they are, and what they came to. A handful or two.
    pub summary: Vec<(String, String)>,
    /// What a reader has to know besides.
    pub notes: Vec<String>,
    /// The plots.
    pub plots: Vec<Plot>,
    /// The tables.
    pub tables: Vec<Table>,
}

impl Report {
    /// The report as the text of an HTML file: the same for equal reports.
    pub fn html(&self) -> String {
        html::page(self)
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// What is in it.
    pub table: TextTable,
}

/// A plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// How the points are drawn.
    pub kind: Kind,
    /// What is drawn, from left to right. All of them are drawn: a few hundred are as good as more.
    pub points: Vec<(f64, f64)>,
    /// What happened when: a partition, for example.
    pub marks: Vec<Mark>,
    /// Heights to compare with: a goal, for example.
    pub goals: Vec<Goal>,
}

/// How points become a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A line through the points. A height that is no number interrupts it.
    #[default]
    Lines,
    /// A bar at each point: for numbers that can be counted on fingers.
    Bars,
    /// An area of steps. Each point is where a bucket begins and how high it is; the last one only
    /// says where the last bucket ends.
    Histogram,
}

/// One axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What is measured.
    pub label: String,
    /// In what.
    pub unit: Unit,
    /// Where it begins, if the points should not decide it.
    pub min: Option<f64>,
    /// Where it ends, if the points should not decide it.
    pub max: Option<f64>,
}

impl Axis {
    /// An axis whose ends the points decide.
    pub fn new(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, ..Self::default() }
    }
}

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Numbers of anything: `1.5k`.
    #[default]
    Count,
    /// Seconds, shown as microseconds to days.
    Seconds,
    /// Parts of one, shown as per cent.
    Fraction,
}

/// A part of the time, or of whatever is to the right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// Where it begins.
    pub from: f64,
    /// Where it ends: may be the same.
    pub to: f64,
    /// What happened then.
    pub label: String,
}

/// A height to compare with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goal {
    /// How high.
    pub at: f64,
    /// What it is.
    pub label: String,
}
