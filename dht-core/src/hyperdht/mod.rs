//! What [hyperdht](https://github.com/holepunchto/hyperdht) adds to dht-rpc (feature `hyperdht`): peers announce topics and find each other,
//! values are stored, handshakes are relayed. Connections between peers are not part of it.
//!
//! *The serving half*, [`Service`], stands beside a [`Node`](crate::Node), and says what to do with each request:
//!
//! ```
//! use core::time::Duration;
//! use dht_core::hyperdht::{Action, Service, ServiceConfig};
//! use dht_core::{Answer, Config, DATAGRAM_MAX, Handled, Instant, Node, Via, error_code};
//! # use rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
//!
//! let now = Instant::ZERO;
//! let mut node = Node::new(Config::bootstrapper(49737, "45.0.0.1")?, &mut rng, now)?;
//! let mut service = Service::new(ServiceConfig::default(), &mut rng);
//! service.handle_wall_clock(now, Duration::from_secs(1_800_000_000)); // now and then
//!
//! # let own = "45.0.0.1:49737".parse()?;
//! # node.handle_bound(now, own, own);
//! # let mut asker = Node::new(Config::default(), &mut rng, now)?;
//! # let from = "45.0.1.1:49737".parse()?;
//! # asker.handle_bound(now, from, from);
//! # let ask = dht_core::Request::new(own, dht_core::hyperdht::command::LOOKUP).target(dht_core::Id([1; 32]));
//! # asker.request(now, ask)?;
//! # let mut buf = [0; DATAGRAM_MAX];
//! # let len = asker.poll_transmit(now, &mut buf).ok_or("nothing")?.len;
//! # let data = &buf[..len];
//! // For each datagram:
//! if let Handled::Request(request) = node.handle_datagram(now, Via::Server, from, data) {
//!     let to = request.reply_to;
//!     match service.handle_request(now, node.id(), &request) {
//!         Action::Reply(answer) => node.reply(now, to, answer)?,
//!         Action::Relay { to: next, value } => node.relay(now, to, next, Some(value))?,
//!         Action::Silent => {}
//!         // A plugin, or a command of your own.
//!         _ => node.reply(now, to, Answer::error(error_code::UNKNOWN_COMMAND))?,
//!     }
//! }
//! # let len = node.poll_transmit(now, &mut buf).ok_or("nothing")?.len;
//! # let _ = asker.handle_datagram(now, Via::Client, own, &buf[..len]);
//! // Now and then: frees memory.
//! service.handle_timeout(now);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! The front-end does that by itself (`driver::Builder::hyperdht`).
//!
//! *The asking half*: [`asking`] makes queries and requests, and reads replies; an [`Announcer`] beside the node keeps an announcement
//! alive. The front-end has both as methods of `driver::Dht`, named as hyperdht's calls.
//!
//! An embedder that is a server itself, and speaks hyperdht's handshake, looks at `PEER_HANDSHAKE` and `PEER_HOLEPUNCH` for its own
//! targets before it asks the service.
//!
//! # Where it is stricter than the reference
//!
//! - Handshakes and hole punches are not passed on to a local address if the sender's is public, to a loopback address if the
//!   sender's is not loopback, or to an address that no node can have.
//! - Stores are bounded in bytes. In a full one the /24 that has stored most gives way, its oldest entry first. A value that
//!   gives way at once, or that no answer has room for, is not confirmed.
//! - The number of signatures that are checked in a second is limited ([`ServiceConfig`]); tokens are checked first.
//! - The peers in an answer to `LOOKUP` are drawn from each /24 alike, so that one host with many keys does not hide the others.
//! - Of an announcement that is made again the latest record counts at once.

mod announcer;
pub mod asking;
mod checks;
mod config;
mod keys;
mod messages;
mod relay;
mod service;
mod signing;
mod store;
mod topics;

pub use announcer::{AnnounceError, Announcer, Slot, Want};
pub use config::ServiceConfig;
pub use keys::{KeyPair, ParsePublicKeyError, PublicKey, Signature, Signer};
pub use messages::{
    Announcement, Handshake, Holepunch, Mode, Mutable, PeerRecord, Peers, PluginRequest,
    RELAY_ADDRESSES_MAX,
};
pub use service::{Action, Service, ServiceStats, StoreStats};
pub use signing::hash;

/// The commands of hyperdht's nodes.
pub mod command {
    /// A client's handshake with a server, and the answer to it, on the way between them.
    pub const PEER_HANDSHAKE: u64 = 0;
    /// The same for what they tell each other to get through firewalls.
    pub const PEER_HOLEPUNCH: u64 = 1;
    /// Which peer has announced itself under the hash of its key?
    pub const FIND_PEER: u64 = 2;
    /// Who has announced a topic?
    pub const LOOKUP: u64 = 3;
    /// Announces a topic, or refreshes an announcement.
    pub const ANNOUNCE: u64 = 4;
    /// Takes an announcement back.
    pub const UNANNOUNCE: u64 = 5;
    /// Stores a value under the hash of the key that has signed it.
    pub const MUTABLE_PUT: u64 = 6;
    /// Asks for a mutable value, of a version or later.
    pub const MUTABLE_GET: u64 = 7;
    /// Stores a value under its hash.
    pub const IMMUTABLE_PUT: u64 = 8;
    /// Asks for an immutable value.
    pub const IMMUTABLE_GET: u64 = 9;
    /// A request to a plugin.
    pub const PLUGIN: u64 = 10;
}

/// Error codes of hyperdht's nodes.
pub mod error_code {
    /// A mutable value of this version is stored already, and it is another one.
    pub const SEQ_REUSED: u64 = 16;
    /// A later version of a mutable value is stored already.
    pub const SEQ_TOO_LOW: u64 = 17;
}
