//! `hash`: one number per seed that stands for everything that happens in a small network. The same
//! on every machine, optimised or not.

use std::io::{self, Write};
use std::process::ExitCode;

use dht_sim::churn::{Churn, Length};
use dht_sim::link::{Latency, Link, Loss, Reorder};
use dht_sim::nat::{Kind, Nat};
use dht_sim::partition::Side;
use dht_sim::scenario::{Clocks, Fault, FaultKind, NatGroup};
use dht_sim::{Micros, Run, Scenario};

use crate::drive::drive;
use crate::failure::{Failure, printed};
use crate::stop::Stop;
use crate::units;

/// Of which seeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The seeds
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = units::whole)]
    #[arg(default_value = "1,2,3")]
    seeds: Vec<u64>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match hashes(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn hashes(args: &Args) -> Result<(), Failure> {
    let stop = Stop::new()?;
    for seed in &args.seeds {
        let mut run = Run::new(scenario(*seed))?;
        if let Some(violation) = drive(&mut run, 60 * SECOND, &stop, |_, _| Ok(()))? {
            return Err(Failure::Violated(violation, Vec::new()));
        }
        printed(writeln!(io::stdout(), "{seed} {:016x}", run.sim().trace_hash()))?;
    }
    Ok(())
}

const SECOND: Micros = 1_000_000;

/// Something of everything, and never anything else: hashes are compared with those of other versions.
fn scenario(seed: u64) -> Scenario {
    let nats = [Kind::PortRestricted, Kind::Symmetric, Kind::Firewall];
    let nats =
        nats.map(|kind| NatGroup { part: 0.1, share: 1, nat: Nat { kind, ..Nat::default() } });
    let first = Side::Fraction(0.4);
    let cut = FaultKind::Partition { first, one_way: true, for_us: 20 * SECOND, flap: None };
    let faults = [
        (10, FaultKind::Sleep { host: 5, for_us: 15 * SECOND }),
        (20, cut),
        (50, FaultKind::FlashCrowd { nodes: 10, over_us: 5 * SECOND }),
        (70, FaultKind::RebindNats),
        (80, FaultKind::MassLeave { part: 0.2 }),
    ];
    Scenario {
        seed,
        nodes: 40,
        bootstraps: 2,
        join_over_us: 20 * SECOND,
        settle_us: 20 * SECOND,
        run_us: 120 * SECOND,
        link: Link {
            latency: Latency::LogNormal {
                median_us: 40_000,
                sigma: 0.5,
                min_us: 4_000,
                per_pair: true,
                jitter_sigma: 0.1,
            },
            loss: Loss::GilbertElliott {
                p_good_to_bad: 0.01,
                p_bad_to_good: 0.2,
                loss_good: 0.01,
                loss_bad: 0.8,
            },
            duplicate: 0.01,
            reorder: Reorder { probability: 0.02, extra_us: 200_000 },
            corrupt: 0.01,
            truncate: 0.01,
            ..Link::default()
        },
        nats: nats.to_vec(),
        clocks: Clocks { drift_ppm: 100, offset_us: 5 * SECOND },
        churn: Some(Churn {
            session: Length::Weibull { scale_us: 60 * SECOND, shape: 0.6 },
            downtime: Length::Pareto { min_us: 5 * SECOND, shape: 1.5 },
            permanent: 0.2,
            return_with_table: 0.5,
        }),
        lookups: 40,
        faults: faults.map(|(at, what)| Fault { at_us: at * SECOND, what }).to_vec(),
        ..Scenario::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_have_equal_hashes() {
        let hash = |seed| {
            let mut run = Run::new(scenario(seed)).unwrap();
            run.finish().unwrap();
            run.sim().trace_hash()
        };
        let (one, again, two) = (hash(1), hash(1), hash(2));
        assert!(one == again && one != two, "{one:x} {again:x} {two:x}");
    }
}
