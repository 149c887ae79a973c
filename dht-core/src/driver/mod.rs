//! The front-end that every runtime shares: handles, futures and streams over the core.
//!
//! An adapter brings a [`Runtime`]: sockets, a timer, a clock, name lookup. Its users get a [`Builder`], and from that
//! a [`Dht`], the handle, which is one type whatever the runtime is, and a [`Driver`], the future that makes the node
//! live. [`guide`] says how to write an adapter.
//!
//! ```text
//!  Dht, RequestFuture, QueryStream, …  ──call──▶  the core, behind a lock  ◀──call──  Driver ◀──▶ sockets
//!           ▲                                        │      │                          ▲
//!           └───────────────wake─────────────────────┘      └──────────wake────────────┘
//! ```
//!
//! Handles call the core at once and wake the driver; there are no channels and no tasks in between. Everything that
//! waits is bounded; entries that are dropped at a bound are counted.
//!
//! Parts of a runtime that a node can do without for a while (names, interfaces, new sockets, the time) may panic, as
//! may wakers, the node filter and the cache of ids: that counts as a failure of this part alone. The filter
//! ([`Config::filter`](crate::Config::filter)) and the cache ([`Config::ids`](crate::Config::ids)) run under the node's
//! lock: they must not call a handle. Values that are handed in are copied.

// Files import one way. From the bottom: what a runtime brings (`runtime`, `socket`) and tools (`error`, `guard`,
// `queue`, `pause`, `retry`); the parts of the state (`life`, `calls`, `mail`), which do not know each other, and the
// `state` that holds them; its lock (`shared`); what users hold (`feed` and its kinds, `call`, `request`, `query`, then
// `dht` with `status`, `milestone` and `bindings`); beside these the driver (`bind`, `look`, `names`, `port`, then
// `task`); and on top of both the `builder`.

mod bind;
mod builder;
mod call;
mod calls;
mod datagrams;
mod error;
mod feed;
mod guard;
pub mod guide;
#[cfg(feature = "hyperdht")]
mod hyperdht;
mod incoming;
mod items;
mod life;
mod look;
mod mail;
mod memory_bound;
mod names;
#[cfg(feature = "system")]
mod packet_info;
mod pause;
mod port;
mod query;
mod queue;
mod request;
mod retry;
mod runtime;
mod shared;
mod socket;
mod state;
#[cfg(feature = "system")]
mod system;
mod task;

// The documentation shows the methods of `Dht` in this order.
mod dht;

mod status;

mod milestone;

mod bindings;

pub use bind::Ports;
pub use builder::Builder;
pub use calls::WAITING_MAX;
pub use datagrams::{Datagrams, ExtraSocket};
pub use dht::Dht;
pub use error::Error;
pub use feed::{Events, Feed};
pub use futures_core::Stream;
#[cfg(feature = "hyperdht")]
pub use hyperdht::{Announcer, Replies, Stored};
pub use incoming::{IncomingRequest, Requests};
pub use items::{Item, Items};
pub use mail::{
    DATAGRAMS_MAX, Datagram, Drops, EVENTS_MAX, RAW_MAX, REQUESTS_MAX, RawTransmit, Received,
};
pub use milestone::Milestone;
#[cfg(feature = "system")]
pub use packet_info::PacketInfo;
pub use query::QueryStream;
pub use request::{RequestFuture, Session};
pub use runtime::{Host, LookupFuture, Runtime};
pub use socket::{Socket, Timer};
pub use status::{ReplyStats, RttStats, Status};
#[cfg(feature = "system")]
pub use system::{System, all_v4, bind_udp};
pub use task::{Driver, Spawn};

#[cfg(test)]
mod tests;
