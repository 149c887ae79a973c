//! A deterministic simulator for networks of [`dht_core`] nodes.
#![forbid(unsafe_code)]

mod check;
pub mod churn;
pub mod clock;
pub mod link;
pub mod nat;
pub mod partition;
pub mod stream;

/// Microseconds of virtual time since the simulation began.
pub type Micros = u64;
