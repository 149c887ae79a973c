//! What attackers achieve, and what the defences cost: the rows of `tests/HARDENING-RESULTS.md`.
//!
//! `cargo run --release -p dht-sim --example hardening [-- ROW..]`; without rows all of them, which takes an hour.

use std::process::ExitCode;

use dht_sim::results::hostile::{Hosts, eclipse, poisoned, settled};
use dht_sim::{Sim, Violation};

fn main() -> ExitCode {
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    for (row, run) in ROWS {
        if wanted.is_empty() || wanted.iter().any(|wanted| row.starts_with(wanted.as_str())) {
            match run() {
                Ok(result) => println!("| {row} | {result} |"),
                Err(violation) => {
                    eprintln!("{row}: {violation}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

type Row = (&'static str, fn() -> Result<String, Violation>);

const ROWS: &[Row] = &[
    ("H1 1,000 honest + 111 /24s", || captured(1_000, Hosts::Apart(111), 111, 2_000)),
    ("H1 1,000 honest + 250 /24s", || captured(1_000, Hosts::Apart(250), 250, 2_000)),
    ("H1 300 honest + 75 /24s", || captured(300, Hosts::Apart(75), 75, 2_000)),
    ("H1 3,000 honest + 750 /24s", || captured(3_000, Hosts::Apart(750), 750, 1_000)),
    ("H2 3,000 honest + one host, 50 ports", || captured(3_000, Hosts::Apart(1), 50, 2_000)),
    ("H2 3,000 honest + one host, 100 ports", || captured(3_000, Hosts::Apart(1), 100, 2_000)),
    ("H2 300 honest + 4 hosts x 75 ports", || captured(300, Hosts::Apart(4), 300, 2_000)),
    ("H2 1,000 honest + 4 hosts x 75 ports", || captured(1_000, Hosts::Apart(4), 300, 2_000)),
    ("H2 3,000 honest + 4 hosts x 75 ports", || captured(3_000, Hosts::Apart(4), 300, 2_000)),
    ("H3 300 honest + one host, 100 ports", || captured(300, Hosts::Apart(1), 100, 500)),
    ("H3 300 honest + one host, 1,000 ports", || captured(300, Hosts::Apart(1), 1_000, 500)),
    ("H3 300 honest + 64 hosts, 4,000 ports", || captured(300, Hosts::Apart(64), 4_000, 500)),
    ("H4 one host", || eclipsed(10_000, Hosts::Apart(1))),
    ("H4 4 hosts in one /24", || eclipsed(10_000, Hosts::Together(4))),
    ("H4 16 hosts in one /24", || eclipsed(10_000, Hosts::Together(16))),
    ("H4 4 /24s", || eclipsed(10_000, Hosts::Apart(4))),
    ("H4 16 /24s", || eclipsed(10_000, Hosts::Apart(16))),
    ("S6 one host, 400 honest", || eclipsed(400, Hosts::Apart(1))),
];

fn network(nodes: u32) -> Result<Sim, Violation> {
    settled(7, nodes, None)
}

fn captured(honest: u32, hosts: Hosts, hostile: u32, lookups: u32) -> Result<String, Violation> {
    let found = poisoned(network(honest)?, hosts, hostile, 20, lookups)?;
    Ok(format!(
        "no honest node in {:.2} % of lookups; recall of honest nodes {:.4}; {:.2} of 20 hostile; {:.1} % of tables",
        100.0 * f64::from(found.none) / f64::from(found.lookups),
        found.recall,
        found.held,
        100.0 * found.in_tables
    ))
}

fn eclipsed(honest: u32, hosts: Hosts) -> Result<String, Violation> {
    let eclipse = eclipse(&network(honest)?, hosts, 6)?;
    Ok(format!("{:.1} of 20 hostile, {} at most", eclipse.mean(), eclipse.worst))
}
