//! What the fuzz targets do, free of any fuzzer: a target is a function of bytes that
//! panics when something is wrong. `fuzz_targets/` hands these to libFuzzer, and
//! `dht-core/tests/fuzz_corpus.rs` runs them over the corpus with a plain `cargo test`.
//!
//! ```sh
//! cargo +nightly fuzz run decode -- -max_total_time=60
//! cargo run --example write_seeds   # after a change to seeds.rs
//! ```
//!
//! An input that once broke something belongs into `corpus/<target>/`, as `<what>.bin`.
//!
//! A new target is a module with its function, a line in [`TARGETS`], seeds, a file in
//! `fuzz_targets/` and a `[[bin]]`. Take what it needs from the bytes with [`Source`].

mod decode;
#[path = "../../dht-core/tests/support/naive_wire.rs"]
mod naive_wire;
mod node_ops;
mod roundtrip;
pub mod seeds;
mod source;

pub use decode::decode;
pub use node_ops::node_ops;
pub use roundtrip::roundtrip;
pub use source::Source;

/// A target's name, which is that of its corpus too, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] =
    &[("decode", decode), ("node_ops", node_ops), ("roundtrip", roundtrip)];
