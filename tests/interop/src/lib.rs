//! Harness of the interoperability tests: child processes that run DHT nodes, the reference's
//! and ours, behind one protocol (`agent-protocol.md`), so that a test tells its story once and
//! runs it with the roles swapped.
//!
//! It knows nothing of DHTs beyond what a story has to spell out: an address's id, a free port,
//! an application that stores values. What is true of a node is asserted in `tests/`.

// A harness speaks by panicking: the message is what a failed test has to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod agent;
pub mod dice;
pub mod internet;
pub mod js;
pub mod judge;
pub mod kv;
mod log;
pub mod netns;
pub mod node;
pub mod ours;
pub mod probe;
pub mod reading;
pub mod readme;
pub mod stage;
pub mod theirs;

pub use agent::{Agent, OpError};
pub use node::Node;
pub use serde_json::{Value, json};

/// The README's code compiles, and its store runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
