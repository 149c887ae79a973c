//! A dht-rpc node as a pure state machine.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod addr;
mod command;
mod config;
mod congestion;
mod delayed;
#[cfg(feature = "driver")]
pub mod driver;
mod error;
mod event;
mod events;
mod firewall;
mod health;
mod id;
mod index;
mod inflight;
mod keyed;
mod lanes;
mod lookup;
mod message;
mod nat;
mod node;
mod query;
mod rng;
mod stats;
mod table;
mod time;
mod timeouts;
mod token;
mod upkeep;
pub mod wire;

pub use config::{BootstrapNode, Config, DATAGRAM_MAX, NodeFilter};
pub use error::{ConfigError, QueryError, RequestError, SendError};
pub use event::Event;
pub use id::{Distance, Id};
pub use lookup::Lookup;
pub use message::*;
pub use node::{HealthInfo, Node};
pub use stats::*;
pub use table::K;
pub use time::Instant;

/// Error codes that the protocol itself defines. Applications use 16 and above.
pub mod error_code {
    /// No error.
    pub const OK: u64 = 0;
    /// Nobody handles the command.
    pub const UNKNOWN_COMMAND: u64 = 1;
    /// The token is not one of ours, or too old. The answer carries a fresh one.
    pub const INVALID_TOKEN: u64 = 2;
}
