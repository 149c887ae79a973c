//! The key-value store of `examples/kv`: nothing that was stored is lost under loss, churn and a
//! partition, and the same test notices when a store does lose values.

use dht_sim::Violation;

#[path = "../examples/kv/main.rs"]
#[allow(dead_code, reason = "the example's own main")]
mod kv;

use kv::{CUT, END, HEALED, NothingIsLost, SAMPLE, Upkeep, network, trial};

/// The violation that ends a run, if one does.
fn violation(seed: u64, upkeep: Upkeep) -> Option<Violation> {
    let mut sim = network(seed, upkeep).unwrap();
    let error = trial(&mut sim).err()?;
    Some(*error.downcast().unwrap())
}

#[track_caller]
fn nothing_is_lost(seed: u64) {
    let mut sim = network(seed, Upkeep::Holders).unwrap();
    if let Err(violation) = trial(&mut sim) {
        panic!("{violation}");
    }
    // That nobody has missed anything means little unless enough was looked for.
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
    nothing_is_lost(1);
}

#[test]
fn nothing_is_lost_seed_2() {
    nothing_is_lost(2);
}

#[test]
fn nothing_is_lost_seed_3() {
    nothing_is_lost(3);
}

#[test]
fn what_nobody_puts_again_is_lost_and_the_seed_says_how() {
    let first = violation(2, Upkeep::Nobody).expect("somebody misses a value");
    println!("as it should be: {first}");
    assert!(first.at > HEALED && first.seed == 2);
    assert!(first.to_string().contains("seed 2"));
    assert_eq!(violation(2, Upkeep::Nobody), Some(first), "the same again, to the last byte");
}

#[test]
fn what_only_its_writer_puts_again_is_lost() {
    let lost = violation(2, Upkeep::Writer).expect("somebody misses a value");
    println!("as it should be: {lost}");
}
