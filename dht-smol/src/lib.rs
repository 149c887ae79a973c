//! A dht-rpc node on smol, or on any executor.
//!
//! ```
//! # fn main() -> Result<(), dht_smol::Error> {
//! # smol::block_on(async {
//! let bootstrap = dht_smol::bootstrapper(port(), "127.0.0.1").spawn()?;
//! bootstrap.fully_bootstrapped().await?;
//! let addr = bootstrap.server_address().unwrap();
//!
//! let node = dht_smol::builder().bootstrap([format!("127.0.0.1:{}", addr.port())]).spawn()?;
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
//! [`builder`] and [`bootstrapper`] take the options, under the names that they have in JavaScript, and
//! give a [`Dht`], the handle to a node that runs as a task of smol's own executor. For another executor, call
//! [`build`](Builder::build), and run the [`Driver`] that it gives: it is a future like any other.
//!
//! *The clock* of a node is the system's, which counts on while the machine sleeps. *Names* are looked up by the system's
//! resolver on one of the threads of [`smol::unblock`], which is taken meanwhile; the end of the program does not wait
//! for it.
//!
//! This crate brings the sockets and the timer of smol; all the rest is in [`dht_core::driver`] and [`dht_core`]. The
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

pub use runtime::{Sleep, Smol};
pub use socket::UdpSocket;

/// Options of a node, with the defaults: any port, no bootstrap nodes. End them with
/// [`spawn`](Builder::spawn), or with [`build`](Builder::build) for an executor of your own.
pub fn builder() -> Builder<Smol> {
    Builder::new(Smol)
}

/// A bootstrap node at the public address `host:port`: bound to that port and no other,
/// persistent and not firewalled, unless further options say otherwise.
pub fn bootstrapper(port: u16, host: &str) -> Builder<Smol> {
    Builder::bootstrapper(Smol, port, host)
}
