//! A dht-rpc node on tokio.
//!
//! ```
//! # fn main() -> Result<(), dht_tokio::Error> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let bootstrap = dht_tokio::bootstrapper(port(), "127.0.0.1").spawn()?;
//! bootstrap.fully_bootstrapped().await?;
//! let addr = bootstrap.server_address().unwrap();
//!
//! let node = dht_tokio::builder().bootstrap([format!("127.0.0.1:{}", addr.port())]).spawn()?;
//! let reply = node.ping(format!("127.0.0.1:{}", addr.port()).parse().unwrap()).await?;
//! println!("{:?} answered within {:?}", reply.from.addr, reply.rtt);
//! node.close().await?;
//! # Ok(())
//! # })
//! # }
//! # fn port() -> u16 {
//! #     std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
//! # }
//! ```
//!
//! The runtime needs I/O and time, as `#[tokio::main]` and `enable_all` make it.
//! [`builder`] and [`bootstrapper`] take the options, under the names that they have in JavaScript, and
//! give a [`Dht`], the handle to a node that runs as a task of the current runtime. If the
//! runtime is shut down, the node is closed, and everything that waits for it ends with an error.
//!
//! *The clock* of a node is the system's, which counts on while the machine sleeps, not tokio's. While tokio's clock is
//! paused (`#[tokio::test(start_paused = true)]`), timers ring early by the system's clock. The node's clock is then
//! moved on with tokio's, so that tests of hours take moments. Peers in another process or runtime go by clocks of
//! their own, and have no time to answer.
//!
//! *Names* are looked up by the system's resolver on tokio's blocking threads, where nothing can interrupt it: a runtime
//! that is dropped waits until the resolver ends (30 s, if no server answers).
//! [`Runtime::shutdown_timeout`](tokio::runtime::Runtime::shutdown_timeout) does not wait. Bootstrap nodes that are
//! given by address need no lookup.
//!
//! This crate brings the sockets and the timer of tokio; all the rest is in [`dht_core::driver`] and [`dht_core`]. The
//! types that applications need are re-exported here, so that this crate is enough.
#![forbid(unsafe_code)]

mod runtime;
mod socket;

pub use dht_core;
pub use dht_core::bytes;
#[cfg(feature = "hyperdht")]
pub use dht_core::driver::{Announcer, Replies, Stored};
pub use dht_core::driver::{
    Builder, Datagram, Datagrams, Dht, Driver, Drops, Error, Events, ExtraSocket, Feed,
    IncomingRequest, Item, Items, Milestone, Ports, QueryStream, RawTransmit, ReplyStats,
    RequestFuture, Requests, RttStats, Runtime, Session, Spawn, Status,
};
#[cfg(feature = "hyperdht")]
pub use dht_core::hyperdht;
pub use dht_core::{
    Answer, BootstrapNode, Commit, Config, ConfigError, DropReason, Event, Exempt, HealthInfo, Id,
    IdCache, Instant, InvalidNode, NodeFilter, Outcome, Peer, Persistence, Query, QueryError,
    QueryId, Reply, ReplyTo, Request, RequestError, RequestId, SavedNode, SendError, SessionId,
    Stats, Unsent, Via, error_code,
};

pub use runtime::{Sleep, Tokio};
pub use socket::UdpSocket;

/// Options of a node, with the defaults: any port, no bootstrap nodes. End them with
/// [`spawn`](Builder::spawn), within a runtime that has I/O and time enabled.
pub fn builder() -> Builder<Tokio> {
    Builder::new(Tokio)
}

/// A bootstrap node at the public address `host:port`: bound to that port and no other,
/// persistent and not firewalled, unless further options say otherwise.
pub fn bootstrapper(port: u16, host: &str) -> Builder<Tokio> {
    Builder::bootstrapper(Tokio, port, host)
}
