//! A dht-rpc node as a pure state machine.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod id;
mod time;
pub mod wire;

pub use id::{Distance, Id};
pub use time::Instant;
