//! A key-value store on top of the node, put to the test: 20 % of all datagrams are lost, nodes crash every five
//! minutes (a third of them come back, the rest are replaced), and for six minutes the network is in two halves. Once it
//! has healed, every value that was stored must be found by every node.
//!
//! `cargo run --release -p dht-sim --example kv_sim -- [SEED [sound | writer | never]]`
//!
//! This is the test; the store itself is in `store.rs`. What makes it hold:
//!
//! - A value is kept under its hash, by the 20 nodes closest to that. To put it is a query that
//!   commits, repeated until 15 nodes have taken it. Only then is it called stored.
//! - Every holder puts it again when no other has for 5 to 6 minutes, so that it moves to nodes
//!   that have come, and over a gap that has closed. The first holder spares the rest the trouble.
//! - A holder lets a value go when 15 of 20 closer nodes have just taken it.
//! - What comes in is checked against its hash, and a get asks three times.
//!
//! The other words are stores with a flaw, in which the test finds what gets lost: only the `writer`
//! puts a value again, or it `never` is.
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dht_core::{Id, bytes::Bytes};
use dht_sim::link::{Latency, Link, Loss};
use dht_sim::partition::{Partition, Side};
use dht_sim::stream::{Purpose, Stream};
use dht_sim::{HostId, Invariant, Micros, Return, Sim, Spec, Verdict};

pub(crate) use store::Flaw;
use store::{MINUTE, Note, REPUBLISH, SECOND, Store, hash};

mod store;

/// The first two hosts stay up; all later ones join through them.
const HOSTS: u32 = 70;
/// How many of these have a value to store.
const VALUES: u32 = 30;
/// From when to when the network is in two halves.
pub(crate) const CUT: [Micros; 2] = [8 * MINUTE, 14 * MINUTE];
/// By then every value was put again by some holder, for which it may have taken two tries.
pub(crate) const HEALED: Micros = CUT[1] + REPUBLISH + REPUBLISH / 4 + 2 * MINUTE;
/// When nodes stop coming and going.
pub(crate) const END: Micros = 28 * MINUTE;
/// How many hosts look for each value then.
pub(crate) const SAMPLE: usize = 3;

/// "A stored value is found by everyone, once the network has healed."
#[derive(Clone, Default)]
pub(crate) struct NothingIsLost {
    /// How much of each host's notes was looked at.
    seen: Vec<usize>,
    /// The values whose owner was told that they are stored.
    pub(crate) stored: BTreeMap<Id, Stored>,
}

#[derive(Clone, Default)]
pub(crate) struct Stored {
    pub(crate) at: Micros,
    /// Who has found it since the network has healed.
    pub(crate) found_by: BTreeSet<HostId>,
}

impl Invariant for NothingIsLost {
    fn name(&self) -> &'static str {
        "a stored value is found by everyone"
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        self.seen.resize(sim.hosts() as usize, 0);
        for (host, seen) in (0..).map(HostId).zip(&mut self.seen) {
            let Some(store) = sim.app::<Store>(host) else { continue };
            for note in &store.notes[*seen..] {
                match *note {
                    Note::Stored { key } => {
                        self.stored
                            .entry(key)
                            .or_insert(Stored { at: sim.now(), ..<_>::default() });
                    }
                    Note::Read { since, .. } if since < HEALED => {}
                    Note::Read { key, since, found } => match self.stored.get_mut(&key) {
                        Some(stored) if found => _ = stored.found_by.insert(host),
                        Some(stored) if stored.at < since => {
                            let (at, since) = (stored.at / SECOND, since / SECOND);
                            return Err(format!(
                                "host {} looked for {key} at {since} s in vain; it was stored at {at} s",
                                host.0,
                            ));
                        }
                        _ => {}
                    },
                }
            }
            *seen = store.notes.len();
        }
        Ok(())
    }
}

/// What the user of a host is going to store, if it is one of the first.
fn value(host: u32) -> Bytes {
    Bytes::from(format!("what host {host} has to say"))
}

/// The network, before anything has happened in it.
pub(crate) fn network(seed: u64, flaw: Flaw) -> Result<Sim, Box<dyn Error>> {
    let mut sim = Sim::new(seed);
    sim.set_link(Link {
        latency: Latency::Uniform { min_us: 10_000, max_us: 90_000 },
        loss: Loss::Independent(0.2),
        ..Link::default()
    });
    let first = Side::Hosts((0..HOSTS).step_by(2).collect());
    sim.add_partition(&Partition::new(first, CUT[0], CUT[1]))?;
    sim.add_invariant(NothingIsLost::default());

    let links: Arc<[Id]> = (0..VALUES).map(|n| hash(&value(n))).collect();
    let mut first = Vec::new();
    for n in 0..HOSTS {
        if n < 2 {
            first.push(sim.next_address());
        }
        let spec = if n == 0 { Spec::bootstrapper(first[0])? } else { Spec::joining(&first) };
        let store = Store::new(flaw, (n < VALUES).then(|| value(n)), links.clone());
        sim.add(spec.app(store).after(u64::from(n) * SECOND))?;
    }
    Ok(sim)
}

/// Lets half an hour pass in which nodes crash after five minutes, each. One minute later a third of them are back,
/// with table and values, and new nodes have come in place of the rest. At the end, users of three hosts look for each
/// value.
pub(crate) fn trial(sim: &mut Sim, churn: bool) -> Result<(), Box<dyn Error>> {
    let mut rng = Stream::new(sim.seed(), Purpose::Churn, 0);
    sim.run_for(Duration::from_secs(180))?;
    while sim.now() < END {
        sim.run_for(Duration::from_secs(1))?;
        for host in (2..HOSTS).map(HostId).filter(|_| churn) {
            if sim.node(host).is_some() {
                if rng.chance(1.0 / 300.0) {
                    sim.crash(host);
                }
            } else if rng.chance(1.0 / 60.0) {
                let how = if rng.chance(0.33) { Return::WithTable } else { Return::Anew };
                sim.restart(host, how)?;
            }
        }
    }
    // Everyone must find it: here are some who may never have asked.
    let up: Vec<_> = sim.persistent().collect();
    for (at, key) in (0..VALUES).map(|n| hash(&value(n))).enumerate() {
        for host in up.iter().cycle().skip(at * SAMPLE).take(SAMPLE) {
            sim.with_app(*host, |store: &mut Store, cx| store.look_for(cx, key));
        }
    }
    sim.run_for(Duration::from_secs(120))?;
    Ok(())
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<_> = std::env::args().collect();
    let seed = args.get(1).map_or(Ok(1), |seed| seed.parse())?;
    let word = args.get(2).map_or("sound", String::as_str);
    let flaw = match word {
        "sound" => Flaw::None,
        "writer" => Flaw::Writer,
        "never" => Flaw::Never,
        other => return Err(format!("{other}: not one of sound, writer, never").into()),
    };
    let mut sim = network(seed, flaw)?;
    let result = trial(&mut sim, true);
    let stored = sim.invariant().map(|it: &NothingIsLost| it.stored.clone()).unwrap_or_default();
    let cut = stored.values().filter(|value| (CUT[0]..CUT[1]).contains(&value.at)).count();
    let found: usize = stored.values().map(|value| value.found_by.len()).sum();
    let counts = sim.counts();
    println!("simulated    {} s, {HOSTS} hosts, seed {seed}", sim.now() / SECOND);
    println!("datagrams    {} sent, {} lost on the way", counts.sent, counts.lost);
    println!("stored       {} values, {cut} of them in one half of the network", stored.len());
    println!("found        by {} hosts each, on average", found / stored.len().max(1));
    match result {
        Ok(()) => {
            println!("nothing was lost (trace {:016x})", sim.trace_hash());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            println!(
                "{error}\nthe same again: cargo run --release -p dht-sim --example kv_sim -- {seed} {word}"
            );
            Ok(ExitCode::FAILURE)
        }
    }
}
