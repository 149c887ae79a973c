//! Runs random scenarios: `swarm [FIRST] [COUNT] [SECONDS] [SHRINK]`. Failures are told with their seeds;
//! with SHRINK, the first of each kind is made small in that many seconds, and told as JSON.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use dht_sim::shrink::{ShrinkOptions, shrink};
use dht_sim::swarm::{Failure, SwarmOptions, run_many};

fn main() {
    let mut numbers = std::env::args().skip(1).map_while(|text| text.parse().ok());
    let first: u64 = numbers.next().unwrap_or(0);
    let count: u64 = numbers.next().unwrap_or(100);
    let seconds = numbers.next().unwrap_or(3_600);
    let patience = numbers.next().map(Duration::from_secs);
    let mut kinds = BTreeSet::new();
    let begun = Instant::now();
    let until = Some(begun + Duration::from_secs(seconds));
    let (mut failed, mut events, mut least) = (0, 0, 1.0_f64);
    let options = SwarmOptions::default();
    let seeds = first..first.saturating_add(count);
    let run = run_many(
        seeds,
        &options,
        1,
        until,
        || false,
        |seed, result| {
            match result {
                Ok(stats) => {
                    events += stats.events;
                    let healed = stats.healed.unwrap_or(1.0);
                    least = least.min(healed);
                    if healed < 0.99 {
                        println!("seed {seed}: recall {:.3}, healed {healed:.3}", stats.recall);
                    }
                }
                Err(failure) => {
                    failed += 1;
                    println!("{failure}");
                    let new = kinds.insert(failure.violation.invariant.clone());
                    if let Some(patience) = patience.filter(|_| new) {
                        tell_small(failure, patience);
                    }
                }
            }
            ControlFlow::Continue(())
        },
    );
    let took = begun.elapsed().as_secs_f64();
    let per_hour = 3_600.0 * run as f64 / took;
    println!("{run} seeds, {failed} failed, {took:.1} s: {per_hour:.0} per hour;");
    println!("{events} events, least healed recall {least:.3}");
}

fn tell_small(failure: Failure, patience: Duration) {
    let begun = Instant::now();
    let small = shrink(failure, ShrinkOptions { time: patience, ..ShrinkOptions::default() });
    let (before, after, took) = (small.before, small.after, begun.elapsed());
    println!("{before:?} to {after:?} by {} attempts in {took:.1?}", small.attempts);
    println!("{}", small.violation);
    println!("{}", serde_json::to_string(&small.scenario).unwrap_or_default());
}
