//! What attackers achieve, and what the defences cost: the rows of `tests/HARDENING-RESULTS.md`.
//!
//! `cargo run --release -p dht-sim --example hardening [-- ROW..]`; without rows all of them, which takes an hour.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;
use std::time::Duration;

use dht_core::{Id, Query};
use dht_sim::results::hostile::{Hosts, eclipse, poisoned, settled, store};
use dht_sim::{HostId, Sim, Violation};

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
    ("H5 16 /24s", || stored(10_000, Hosts::Apart(16))),
    ("H5 nobody hostile", || stored(10_000, Hosts::Apart(0))),
    ("cost 60 honest", || cost(60)),
    ("cost 300 honest", || cost(300)),
    ("cost 1,000 honest", || cost(1_000)),
    ("cost 3,000 honest", || cost(3_000)),
];

fn network(nodes: u32) -> Result<Sim, Violation> {
    settled(7, nodes, None)
}

/// What lookups cost among honest nodes.
fn cost(nodes: u32) -> Result<String, Violation> {
    const LOOKUPS: u32 = 2_000;
    let mut sim = network(nodes)?;
    sim.run_for(Duration::from_secs(540))?;
    let (mut asked, mut millis, mut found) = (0, 0.0, 0);
    for n in 0..LOOKUPS {
        let at = HostId(n.wrapping_mul(7_919) % nodes);
        let target = Id::of(SocketAddrV4::new(Ipv4Addr::from_bits(0x0101_0101 + n), 1));
        let (own, begun) = (sim.address(at), sim.now());
        let walk = sim.walk(at, Query::find_node(target), Duration::from_secs(60))?;
        millis += (sim.now() - begun) as f64 / 1e3;
        let outcome = walk.and_then(|(_, outcome)| outcome.ok()).unwrap_or_default();
        asked += outcome.asked;
        let truth = sim.true_closest(&target, 21).into_iter().map(|host| sim.address(host));
        let truth = truth.filter(|addr| *addr != own).take(20);
        let is_found = |addr: &_| outcome.closest.iter().any(|reply| reply.from.addr == *addr);
        found += truth.filter(is_found).count();
    }
    let mean = |sum: f64| sum / f64::from(LOOKUPS);
    let (asked, millis, recall) = (mean(asked.into()), mean(millis), mean(found as f64) / 20.0);
    Ok(format!("{asked:.2} asked per lookup, {millis:.1} ms, recall {recall:.5}"))
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

fn stored(honest: u32, hosts: Hosts) -> Result<String, Violation> {
    let stored = store(&network(honest)?, hosts, 6)?;
    let mean = |sum: u32| f64::from(sum) / f64::from(stored.values);
    Ok(format!(
        "{:.1} of {:.1} copies per value are with honest nodes, {} at least; {:.2} of later lookups find the value",
        mean(stored.honest),
        mean(stored.commits),
        stored.fewest,
        f64::from(stored.found) / f64::from(stored.lookups)
    ))
}
