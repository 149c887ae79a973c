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

#[allow(dead_code)]
mod addr;
#[allow(dead_code)]
mod congestion;
#[allow(dead_code)]
mod delayed;
#[allow(dead_code)]
mod health;
mod keyed;
#[allow(dead_code)]
mod nat;
#[allow(dead_code)]
mod rng;
#[allow(dead_code)]
mod timeouts;
#[allow(dead_code)]
mod token;
