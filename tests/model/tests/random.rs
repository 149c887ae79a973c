//! Some hundred inputs from a fixed seed for the targets that need long ones, with no fuzzer.

#![allow(clippy::unwrap_used, reason = "a test, in functions that clippy doesn't take for one")]

#[path = "../../../dht-core/tests/heap/mod.rs"]
mod heap;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Inputs of up to `len` bytes.
fn each(inputs: u64, len: u64, run: impl Fn(&[u8])) {
    let only = std::env::var("DHT_INPUT").ok().map(|number| number.parse::<u64>().unwrap());
    for number in 0..inputs {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let mut input = vec![0; (rng.next_u64() % len) as usize];
        rng.fill_bytes(&mut input);
        if only.is_none_or(|only| only == number) {
            // Captured, and shown beside the panic of an input that breaks something.
            println!("DHT_INPUT={number}");
            run(&input);
        }
    }
}

#[test]
fn two_nodes() {
    heap::counted(|| each(300, 1_000, |input| dht_model::two_nodes_measured(input, heap::used)));
}

#[test]
fn hyperdht() {
    each(300, 1_000, dht_model::hyperdht);
}

#[test]
fn driver() {
    each(300, 1_000, dht_model::driver);
}
