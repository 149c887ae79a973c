//! A dht-rpc node as a pure state machine.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod id;
mod table;
mod time;
pub mod wire;

pub use id::{Distance, Id};
pub use table::{COARSE_REACH, COARSE_UNIT, Insert, K, NodeInfo, PINGED_REACH, Slot, Table};
pub use time::Instant;
