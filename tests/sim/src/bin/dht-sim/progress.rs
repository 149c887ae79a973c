//! A bar that shows how far a run is, where there is a terminal to show it.

use std::env;
use std::io::{self, IsTerminal};
use std::time::Instant;

use dht_sim::{Micros, Run};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units::{duration_text, rate_text, thousands};

/// A run under way. Its bar goes when this does.
#[derive(Debug)]
pub(crate) struct Progress(Option<Bar>);

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    end: Micros,
    seen: (Instant, u64),
    rate: f64,
}

/// What a rate is averaged over, in seconds.
const WINDOW: f64 = 1.0;

impl Progress {
    pub(crate) fn new(run: &Run, quiet: bool) -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if quiet || dumb || !io::stderr().is_terminal() {
            return Self(None);
        }
        let target = ProgressDrawTarget::stderr_with_hz(10);
        let bar = ProgressBar::with_draw_target(Some(run.end()), target);
        // 20 columns for the bar, at most 57 for the text.
        let style = ProgressStyle::with_template("{bar:20} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Some(Bar { bar, end: run.end(), seen: (Instant::now(), 0), rate: 0.0 }))
    }

    /// So far it is.
    pub(crate) fn at(&mut self, run: &Run) {
        let Some(Bar { bar, end, seen, rate }) = &mut self.0 else { return };
        let (sim, now) = (run.sim(), Instant::now());
        let events = sim.counts().events();
        let passed = now.duration_since(seen.0).as_secs_f64();
        if passed > 0.0 {
            let new = (events - seen.1) as f64 / passed;
            let weight = if *rate == 0.0 { 1.0 } else { (passed / WINDOW).min(1.0) };
            *rate += (new - *rate) * weight;
            *seen = (now, events);
        }
        bar.set_position(sim.now());
        bar.set_message(format!(
            "{} of {}  {} events/s  {} up",
            duration_text(sim.now() / 1_000_000 * 1_000_000),
            duration_text(*end),
            rate_text(*rate),
            thousands(sim.up_count().into()),
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.bar.finish_and_clear();
        }
    }
}
