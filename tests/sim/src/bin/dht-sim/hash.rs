//! `hash`: one number per seed that stands for everything that happens in a small network. The same
//! on every machine, optimised or not.

use dht_sim::{Run, SECOND, Scenario, script};

use crate::drive::drive;
use crate::failure::{Failure, because, print};
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

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::new()?;
    for seed in &args.seeds {
        let mut run = Run::new(scenario(*seed)?)?;
        if let Some(violation) = drive(&mut run, 60 * SECOND, &stop, |_, _| Ok(()))? {
            return Err(Failure::Violated(violation, Vec::new()));
        }
        print(format_args!("{seed} {:016x}", run.sim().trace_hash()))?;
    }
    Ok(())
}

/// Some of everything. It never changes: the hashes are compared with hashes of other versions.
fn scenario(seed: u64) -> Result<Scenario, Failure> {
    let scenario = script::parse(include_str!("hash.json"));
    Ok(Scenario { seed, ..scenario.map_err(|error| because(error.to_string()))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_have_equal_hashes() {
        let hash = |seed| {
            let mut run = Run::new(scenario(seed).unwrap()).unwrap();
            run.finish().unwrap();
            run.sim().trace_hash()
        };
        let (one, again, two) = (hash(1), hash(1), hash(2));
        assert!(one == again && one != two, "{one:x} {again:x} {two:x}");
    }
}
