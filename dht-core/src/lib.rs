//! A [dht-rpc] node (RPC over a Kademlia DHT, as spoken by Hyperswarm) as a pure state machine.
//!
//! [`Node`] turns incoming datagrams and the passing of time into outgoing datagrams and events.
//! It has no sockets, no clock and no randomness of its own, so the same inputs give the same
//! bytes out on every machine, and it can be driven by any event loop, a simulator or a fuzzer.
//! It needs `alloc`, not `std`.
//!
//! [dht-rpc]: https://github.com/holepunchto/dht-rpc
//!
//! # The loop
//!
//! The owner of the sockets does this, in any order, as often as it likes:
//!
//! - in: [`handle_datagram`](Node::handle_datagram) for what arrives,
//!   [`handle_timeout`](Node::handle_timeout) when [`poll_timeout`](Node::poll_timeout) says so;
//! - out, each until `None`: [`poll_transmit`](Node::poll_transmit) for what is to be sent,
//!   [`poll_event`](Node::poll_event) for what has happened,
//!   [`poll_name`](Node::poll_name) for names to resolve.
//!
//! Here two nodes on a wire without delay, one of them serving a command:
//!
//! ```
//! use core::net::SocketAddrV4;
//! use core::time::Duration;
//! use dht_core::{Answer, Config, DATAGRAM_MAX, Event, Handled, Instant, Node, Request, Via};
//! use rand_core::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
//! let mut now = Instant::ZERO;
//! let addrs: [SocketAddrV4; 2] = ["45.0.0.1:49737".parse()?, "45.0.1.1:49737".parse()?];
//!
//! let first = Config::bootstrapper(addrs[0].port(), "45.0.0.1")?;
//! let mut second = Config::default();
//! second.bootstrap = vec![addrs[0].into()];
//! let mut nodes = [Node::new(first, &mut rng, now)?, Node::new(second, &mut rng, now)?];
//! for (node, addr) in nodes.iter_mut().zip(addrs) {
//!     // Both sockets of a node would have a port of their own; here one does for both.
//!     node.handle_bound(now, addr, addr);
//! }
//!
//! let asked = nodes[1].request(now, Request::new(addrs[0], 7).value(&b"hello"[..]))?;
//! let reply = loop {
//!     let mut buf = [0; DATAGRAM_MAX];
//!     for (from, to) in [(0, 1), (1, 0)] {
//!         while let Some(transmit) = nodes[from].poll_transmit(now, &mut buf) {
//!             let data = &buf[..transmit.len];
//!             match nodes[to].handle_datagram(now, Via::Client, addrs[from], data) {
//!                 Handled::Consumed | Handled::NotOurs => {}
//!                 Handled::Request(request) => {
//!                     let answer = Answer::value(request.value.unwrap_or_default().to_vec());
//!                     nodes[to].reply(now, request.reply_to, answer)?;
//!                 }
//!             }
//!         }
//!     }
//!     if let Some(response) = nodes[1].take_response(asked) {
//!         break response?;
//!     }
//!     now = now + Duration::from_millis(1);
//! };
//! assert_eq!(reply.value.as_deref(), Some(&b"hello"[..]));
//! assert_eq!(nodes[1].poll_event(), Some(Event::Listening));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! The complete loop over real sockets is `examples/blocking.rs`; `driver::guide` says what to bring and what may
//! go wrong.
//!
//! # Rules
//!
//! - Any order of calls is legal. Polling late delays; it never corrupts.
//! - Nothing from the network is an error. It is dropped and counted: [`Stats::drops`].
//! - Everything is bounded, by [`Config`] or by a constant: `dht_core::limits` lists them.
//! - `now` should count on while the machine sleeps: that is how a node notices that it has slept.
//!
//! # Where it is stricter than the reference
//!
//! Transaction ids are unpredictable, and an answer counts only from the address that was asked.
//! Only nodes that have answered enter the routing table; only time-outs evict. What peers say of
//! the own address counts only in answers. Addresses that can't be real are never contacted. A
//! query asks the nearest candidate first, and ends when nothing better can come soon. A commit
//! succeeds only by answers without an error code. None of it shows to an honest peer.
//!
//! # Features
//!
//! None by default: no `std`, but `alloc` and atomics with compare-and-swap (for `Arc`). `driver` (implies
//! `std`): the runtime-neutral front-end that adapters like `dht-tokio` are made of. `system` (implies
//! `driver`): clock, randomness and interfaces of an ordinary operating system, for adapters. `hyperdht`: the
//! commands of hyperdht's nodes and the calls of its users; the only feature that brings public-key cryptography.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod addr;
mod api;
mod bounded;
mod context;
#[cfg(feature = "driver")]
pub mod driver;
mod hex;
#[cfg(doc)]
pub mod how_it_is_made;
#[cfg(feature = "hyperdht")]
pub mod hyperdht;
mod id;
#[cfg(doc)]
#[doc = include_str!("limits.md")]
pub mod limits {}
mod members;
mod node;
mod queries;
mod reach;
mod replies;
mod requests;
mod secret;
mod sources;
mod table;
mod time;
mod upkeep;
pub mod wire;

pub use api::ask::{Answer, Query, Request};
pub use api::config::{BootstrapNode, Config, DATAGRAM_MAX, NodeFilter};
pub use api::drop_reason::DropReason;
pub use api::error::{ConfigError, InvalidNode, QueryError, RequestError, SendError, Unsent};
pub use api::event::Event;
pub use api::exempt::Exempt;
pub use api::health_info::HealthInfo;
pub use api::id_cache::IdCache;
pub use api::message::{
    Commit, Handled, Incoming, Nodes, Outcome, Peer, QueryId, Reply, ReplyTo, RequestId, SavedNode,
    SessionId, Transmit, Via,
};
pub use api::persistence::Persistence;
pub use api::stats::{
    CommandCount, CommandStats, DropStats, QueryStats, RequestStats, Stats, VerificationStats,
    WithheldStats,
};
pub use api::token::Token;
pub use bytes;
pub use id::{Distance, Id, ParseIdError};
pub use node::Node;
pub use sources::names::NameLookup;
pub use table::K;
pub use time::Instant;

/// Error codes that the protocol itself defines. Applications use 16 and above.
pub mod error_code {
    /// No error.
    pub const OK: u64 = 0;
    /// The command has no handler.
    pub const UNKNOWN_COMMAND: u64 = 1;
    /// The token is not one of ours, or too old. The answer carries a fresh one.
    pub const INVALID_TOKEN: u64 = 2;
}
