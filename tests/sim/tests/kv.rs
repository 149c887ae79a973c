//! The key-value store of `examples/kv`: nothing that was stored is lost under loss, churn and a
//! partition, and the same test notices when a store does lose values.

#![allow(clippy::unwrap_used, clippy::panic)]

use dht_sim::Violation;

#[path = "../examples/kv/main.rs"]
#[allow(dead_code, reason = "the example's own main")]
mod kv;

use kv::{CUT, END, Flaw, HEALED, NothingIsLost, SAMPLE, network, trial};

/// The violation that ends a run, if one does.
fn violation(seed: u64, flaw: Flaw, churn: bool) -> Option<Violation> {
    let mut sim = network(seed, flaw).unwrap();
    let error = trial(&mut sim, churn).err()?;
    let violation = *error.downcast().unwrap();
    println!("as it should be: {violation}");
    Some(violation)
}

#[track_caller]
fn nothing_is_lost(seed: u64, churn: bool) {
    let mut sim = network(seed, Flaw::None).unwrap();
    if let Err(violation) = trial(&mut sim, churn) {
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

#[test]
fn nothing_is_lost_if_nobody_comes_or_goes() {
    nothing_is_lost(4, false);
}

#[test]
fn what_is_never_put_again_is_lost() {
    let lost = violation(2, Flaw::Never, true).unwrap();
    assert!(lost.at > HEALED && lost.to_string().contains("seed 2"));
}

#[test]
fn what_only_its_writer_puts_again_is_lost() {
    violation(1, Flaw::Writer, true).unwrap();
}

#[test]
fn halves_that_nobody_leads_together_stay_apart_and_the_seed_replays_it() {
    let apart = violation(2, Flaw::Apart, false).unwrap();
    assert_eq!(violation(2, Flaw::Apart, false), Some(apart), "to the last byte");
}
