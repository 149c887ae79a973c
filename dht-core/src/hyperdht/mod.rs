//! What [hyperdht](https://github.com/holepunchto/hyperdht) adds to dht-rpc (feature `hyperdht`).

pub mod asking;
mod checks;
mod config;
mod keys;
mod messages;
mod relay;
mod service;
mod signing;
mod store;

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
    /// Asks for such a value, of a version or later.
    pub const MUTABLE_GET: u64 = 7;
    /// Stores a value under its hash.
    pub const IMMUTABLE_PUT: u64 = 8;
    /// Asks for such a value.
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
