//! The front-end that every runtime shares: handles, futures and streams over the core.
//!
//! An adapter brings a [`Runtime`]: sockets, a timer, a clock, name lookup. What it gets is
//! a [`Builder`], and from that a [`Dht`], the handle, which is one type whatever the
//! runtime, and a [`Driver`], the future that makes the node live. [`guide`] says how to write one.
//!
//! ```text
//!  Dht, RequestFuture, QueryStream, …  ──call──▶  the core, behind a lock  ◀──call──  Driver ◀──▶ sockets
//!           ▲                                        │      │                          ▲
//!           └───────────────wake─────────────────────┘      └──────────wake────────────┘
//! ```
//!
//! Handles call the core at once and wake the driver; there are no channels and no tasks
//! in between. What waits anywhere is bounded, and what is let go for that is counted.
//!
//! What of a runtime the node can do without for a while (names, interfaces, new sockets, the time) may panic, and
//! so may wakers, the node filter and the cache of ids: it has failed then, no more. The filter
//! ([`Config::filter`](crate::Config::filter)) and the cache ([`Config::ids`](crate::Config::ids)) run under the node's lock: they
//! must not call a handle. Values that are handed in are copied.

mod bind;
mod bound;
mod builder;
mod error;
mod events;
mod guard;
pub mod guide;
mod handle;
mod incoming;
mod items;
mod look;
mod mailbox;
mod milestone;
mod observe;
#[cfg(feature = "system")]
mod packet_info;
mod pause;
mod port;
mod query;
mod raw;
mod request;
mod retry;
mod runtime;
mod shared;
mod state;
#[cfg(feature = "system")]
mod system;
mod task;
mod waiting;

pub use bind::Ports;
pub use builder::Builder;
pub use error::Error;
pub use events::{EVENTS_MAX, Events};
pub use handle::{Dht, ReplyStats, RttStats};
pub use incoming::{IncomingRequest, Requests};
pub use items::{Item, Items};
pub use milestone::Milestone;
#[cfg(feature = "system")]
pub use packet_info::PacketInfo;
pub use query::QueryStream;
pub use raw::{Datagram, Datagrams, ExtraSocket, RAW_MAX, RawTransmit};
pub use request::{RequestFuture, Session};
pub use runtime::{Host, LookupFuture, Runtime, Socket, Spawn, Timer};
pub use state::{DATAGRAMS_MAX, Drops, REQUESTS_MAX};
#[cfg(feature = "system")]
pub use system::{System, all_v4, bind_udp};
pub use task::Driver;
pub use waiting::WAITING_MAX;

/// All of it, and what of the core comes with it: what an adapter is again.
pub mod prelude {
    pub use super::*;
    pub use crate::{
        Answer, BootstrapNode, Commit, Config, ConfigError, Event, HealthInfo, Id, Instant,
        InvalidNode, NodeFilter, Outcome, Peer, Persistence, Query, QueryError, QueryId, Reply,
        ReplyTo, Request, RequestError, RequestId, SavedNode, SendError, SessionId, Stats, Unsent,
        Via, error_code,
    };
}

#[cfg(test)]
mod tests;
