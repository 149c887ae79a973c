//! What `dht-core` is held against from outside: a [second decoder](decoder), and what the fuzz targets do,
//! free of any fuzzer.
//!
//! A target is a function of bytes that panics when something is wrong. `fuzz/fuzz_targets` hands these to
//! libFuzzer, and `cargo test -p dht-model` runs them over the corpus in `fuzz/corpus`, and the long-winded ones over some
//! hundred random inputs.
//!
//! ```sh
//! cargo +nightly fuzz run decode -- -max_total_time=60
//! cargo run -p dht-model --example write_seeds   # after a change to seeds.rs
//! ```
//!
//! An input that once broke something belongs into `fuzz/corpus/<target>/`, as `<what>.bin`.
//!
//! A new target is a module with its function, a line in [`TARGETS`], seeds, a file in
//! `fuzz/fuzz_targets` and a `[[bin]]` in `fuzz/Cargo.toml`. It takes what it needs from the bytes with [`Source`].
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a target says that something is wrong by a panic"
)]

mod decode;
pub mod decoder;
#[cfg(feature = "driver")]
mod driver;
#[cfg(feature = "hyperdht")]
mod hyperdht;
mod node_ops;
mod roundtrip;
pub mod seeds;
mod source;
mod two_nodes;

pub use decode::decode;
#[cfg(feature = "driver")]
pub use driver::driver;
#[cfg(feature = "hyperdht")]
pub use hyperdht::hyperdht;
pub use node_ops::node_ops;
pub use roundtrip::roundtrip;
pub use source::Source;
pub use two_nodes::{two_nodes, two_nodes_measured};

/// A target's name, which is that of its corpus too, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("decode", decode),
    #[cfg(feature = "driver")]
    ("driver", driver),
    #[cfg(feature = "hyperdht")]
    ("hyperdht", hyperdht),
    ("node_ops", node_ops),
    ("roundtrip", roundtrip),
    ("two_nodes", two_nodes),
];
