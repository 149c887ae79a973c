//! What a signature of 100 bytes costs, here and in sodium-native under Node.js, in microseconds:
//! `cargo run --release -p dht-interop --example signing_cost`.

use std::hint::black_box;
use std::time::Instant;

use dht_core::hyperdht::KeyPair;
use dht_interop::js::{self, Asked};
use dht_interop::json;

/// Batches per figure; the fastest one counts, since others use the machine too.
const BATCHES: usize = 10;
const ROUNDS: u32 = 2_000;

fn cost(mut work: impl FnMut()) -> f64 {
    let batch = |_| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    };
    (0..BATCHES).map(batch).fold(f64::INFINITY, f64::min)
}

fn main() {
    let (pair, message) = (KeyPair::from_seed([7; 32]), [9; 100]);
    let (key, signature) = (pair.public_key(), pair.sign(&message));
    let verified = cost(|| assert!(black_box(key).verifies(black_box(&message), &signature)));
    let signed = cost(|| {
        black_box(pair.sign(black_box(&message)));
    });
    println!("here     verified {verified:.1}, signed {signed:.1}");
    if js::available() {
        let costs =
            Asked::new("verdicts.mjs").ask(&json!({ "batches": BATCHES, "rounds": ROUNDS }));
        let (verified, signed) = (&costs["verified"], &costs["signed"]);
        println!("Node.js  verified {verified}, signed {signed}");
    }
}
