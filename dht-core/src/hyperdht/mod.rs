//! What [hyperdht](https://github.com/holepunchto/hyperdht) adds to dht-rpc (feature `hyperdht`).

mod keys;

pub use keys::{KeyPair, ParsePublicKeyError, PublicKey, Signature, Signer};
