//! The key-value store of `examples/kv`: nothing that was stored is lost under loss, churn and a
//! partition, and the same test notices when a store does lose values.

use dht_sim::Violation;

#[path = "../../examples/kv/main.rs"]
#[allow(dead_code, reason = "the example's own main")]
mod kv;

use kv::{CUT, END, Flaw, HEALED, NothingIsLost, SAMPLE, network, trial};

fn run(seed: u64, flaw: Flaw) -> Result<(), Violation> {
    let mut sim = network(seed, flaw).unwrap();
    trial(&mut sim, true).map_err(|error| *error.downcast().unwrap())
}

/// Most seeds, not all, show a flaw: the first seed that does.
#[track_caller]
fn violation(flaw: Flaw) -> Violation {
    let violation = (1..=6).find_map(|seed| run(seed, flaw).err());
    let violation = violation.expect("somebody misses a value, with one of the seeds");
    println!("as it should be: {violation}");
    violation
}

#[track_caller]
fn nothing_is_lost(seed: u64, churn: bool) {
    let mut sim = network(seed, Flaw::None).unwrap();
    if let Err(violation) = trial(&mut sim, churn) {
        panic!("{violation}");
    }
    // That no value is missed means little unless enough was looked for.
    let stored = &sim.invariant::<NothingIsLost>().unwrap().stored;
    let in_a_half = stored.values().filter(|value| (CUT[0]..CUT[1]).contains(&value.at));
    assert!(stored.len() >= 20 && in_a_half.count() > 0, "seed {seed}: {} stored", stored.len());
    for (key, value) in stored.iter().filter(|(_, value)| value.at < END) {
        let hosts = value.found_by.len();
        assert!(hosts >= SAMPLE, "seed {seed}: {key} was found by {hosts} hosts only");
    }
}

#[test]
fn nothing_is_lost_seed_1() {
    nothing_is_lost(1, true);
}

#[test]
fn nothing_is_lost_seed_2() {
    nothing_is_lost(2, true);
}

#[test]
fn nothing_is_lost_seed_3() {
    nothing_is_lost(3, true);
}

/// No newcomer leads the two halves together: the nodes have to remember the nodes that they have lost.
#[test]
fn nothing_is_lost_if_nobody_comes_or_goes() {
    nothing_is_lost(4, false);
}

#[test]
fn what_is_never_put_again_is_lost_and_the_seed_replays_it() {
    let lost = violation(Flaw::Never);
    assert!(lost.at > HEALED && lost.to_string().contains(&format!("seed {}", lost.seed)));
    assert_eq!(run(lost.seed, Flaw::Never), Err(lost), "to the last byte");
}

#[test]
fn what_only_its_writer_puts_again_is_lost() {
    violation(Flaw::Writer);
}
