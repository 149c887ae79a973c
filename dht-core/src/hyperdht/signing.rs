//! What is signed: 64 bytes, a namespace and a hash of all that a signature binds. Mirrors `annSignable` and
//! `signMutable` of `lib/persistent.js`.

use blake2::{Blake2b256, Digest};

use super::command::MUTABLE_PUT;
use super::keys::PublicKey;
use super::messages::{Announcement, Mutable, PeerRecord};
use crate::api::token::Token;
use crate::id::Id;

/// What is signed.
pub(super) type Signable = [u8; 64];

/// What an announcement is bound to: it is of no use to another sender, at another node, for another topic or later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) target: Id,
    /// The id of the node that is to keep it.
    pub(super) node: Id,
    /// That node's token for the sender.
    pub(super) token: Token,
}

impl Bound {
    /// What is signed to announce, or to take it back.
    pub(super) fn signable(
        &self,
        command: u64,
        peer: &PeerRecord,
        refresh: Option<&[u8; 32]>,
    ) -> Signable {
        let hash = Blake2b256::new()
            .chain_update(self.target.0)
            .chain_update(self.node.0)
            .chain_update(self.token.as_bytes())
            .chain_update(peer.encode())
            .chain_update(refresh.map_or(&[][..], |refresh| refresh));
        in_namespace(command, hash)
    }

    /// Whether its peer has signed an announcement, or a withdrawal.
    pub(super) fn is_signed(&self, command: u64, announcement: &Announcement) -> bool {
        let Announcement { peer: Some(peer), signature: Some(signature), .. } = announcement else {
            return false;
        };
        let signable = self.signable(command, peer, announcement.refresh.as_ref());
        peer.public_key.verifies(&signable, signature)
    }
}

/// What is signed of a mutable value.
pub(super) fn mutable(seq: u64, value: &[u8]) -> Signable {
    in_namespace(MUTABLE_PUT, Blake2b256::new().chain_update(Mutable::signed(seq, value)))
}

impl Mutable<'_> {
    /// Whether this key has signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verifies(&mutable(self.seq, self.value), &self.signature)
    }
}

fn in_namespace(command: u64, hash: Blake2b256) -> Signable {
    let mut signable = [0; 64];
    let (namespace, rest) = signable.split_at_mut(32);
    namespace.copy_from_slice(&self::namespace(command));
    rest.copy_from_slice(&hash.finalize());
    signable
}

/// The hash of the name of the protocol's own, and the number of the command.
fn namespace(command: u64) -> [u8; 32] {
    let [command, ..] = command.to_le_bytes();
    let name = hash(b"hyperswarm/dht");
    Blake2b256::new().chain_update(name.0).chain_update([command]).finalize().into()
}

/// BLAKE2b-256: how names become topics, and public keys the topics by which they are found.
///
/// ```
/// let topic = dht_core::hyperdht::hash(b"my service");
/// # let _ = topic;
/// ```
#[must_use]
pub fn hash(data: &[u8]) -> Id {
    Id(Blake2b256::digest(data).into())
}
