//! The asking half of hyperdht: which queries and requests its calls consist of, and what the replies mean. Mirrors
//! the calls of `index.js`.
//!
//! Plain values, without state. [`Node::query`](crate::Node::query) runs a query, [`Node::next_reply`](crate::Node::next_reply)
//! brings its replies, and [`peers`], [`peer`], [`immutable`] and [`mutable`] read them. To announce or store, make a request for each of
//! [`Outcome::closest`](crate::Outcome::closest) at the query's end: the token in it, and what is signed, are for one node only.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use bytes::Bytes;

use super::command;
use super::keys::{PublicKey, Signer};
use super::messages::{self, Announcement, Mutable, PeerRecord, Peers};
use super::signing::{self, Bound, hash};
use crate::api::ask::{Query, Request};
use crate::api::message::Reply;
use crate::api::token::Token;
use crate::id::Id;
use crate::wire::VARINT_MAX;

/// Asks who has announced `topic`; [`peers`] reads the replies.
#[must_use]
pub fn lookup(topic: Id) -> Query {
    Query::new(topic, command::LOOKUP)
}

/// Asks where a peer has announced itself; [`peer`] reads the replies.
#[must_use]
pub fn find_peer(public_key: &PublicKey) -> Query {
    Query::new(hash(&public_key.0), command::FIND_PEER)
}

/// Asks for the value with this [`hash()`]; [`immutable`] reads the replies.
#[must_use]
pub fn immutable_get(target: Id) -> Query {
    Query::new(target, command::IMMUTABLE_GET)
}

/// Asks for what a key has signed, of version `seq` or later; [`mutable`] reads the replies.
#[must_use]
pub fn mutable_get(public_key: &PublicKey, seq: u64) -> Query {
    let seq = messages::encode_uint(seq.min(VARINT_MAX));
    Query::new(hash(&public_key.0), command::MUTABLE_GET).value(seq)
}

/// The peers in a reply to [`lookup`], if there are any.
#[must_use]
pub fn peers(reply: &Reply) -> Option<Peers> {
    Peers::decode(reply.value.as_ref()?).ok()
}

/// The peer in a reply to [`find_peer`], if it has this key.
#[must_use]
pub fn peer(reply: &Reply, public_key: &PublicKey) -> Option<PeerRecord> {
    let peer = PeerRecord::decode(reply.value.as_ref()?).ok()?;
    (peer.public_key == *public_key).then_some(peer)
}

/// The value in a reply to [`immutable_get`], if it has this hash.
#[must_use]
pub fn immutable(reply: &Reply, target: Id) -> Option<Bytes> {
    reply.value.clone().filter(|value| hash(value) == target)
}

/// The value in a reply to [`mutable_get`], if the key has signed it and it is of version `seq` or later.
#[must_use]
pub fn mutable<'r>(reply: &'r Reply, public_key: &PublicKey, seq: u64) -> Option<Mutable<'r>> {
    let value = Mutable::decode(reply.value.as_ref()?).ok()?;
    (value.seq >= seq && value.is_signed_by(public_key)).then_some(value)
}

/// What is announced, and by whom.
#[derive(Clone, Debug)]
pub struct Announcing<'s, S> {
    /// The topic: the [`hash()`] of the key if a peer announces itself.
    pub topic: Id,
    /// Who announces and signs.
    pub signer: &'s S,
    /// Nodes that relay handshakes to the peer; the first three count.
    pub relay_addresses: Vec<SocketAddrV4>,
    /// The hash of a token by which the announcement can be [refreshed](refresh).
    pub refresh: Option<[u8; 32]>,
    /// A time in milliseconds since 1970, or 0: see [`Peers::bump`].
    pub bump: u64,
}

impl<'s, S: Signer> Announcing<'s, S> {
    /// Announces `topic`, without relays.
    pub const fn new(topic: Id, signer: &'s S) -> Self {
        Self { topic, signer, relay_addresses: Vec::new(), refresh: None, bump: 0 }
    }

    /// The request by which the sender of this reply keeps the announcement; `None` if it can't, since it has sent no
    /// token or has no id.
    ///
    /// # Errors
    /// If the signer fails.
    pub fn announce(&self, reply: &Reply) -> Option<Result<Request, S::Error>> {
        self.request(reply, command::ANNOUNCE)
    }

    /// The request by which the sender of this reply forgets the announcement; `None` as for [`announce`](Self::announce).
    /// `relay_addresses`, `refresh` and `bump` don't matter.
    ///
    /// # Errors
    /// If the signer fails.
    pub fn unannounce(&self, reply: &Reply) -> Option<Result<Request, S::Error>> {
        let plain = Self { relay_addresses: Vec::new(), refresh: None, bump: 0, ..*self };
        plain.request(reply, command::UNANNOUNCE)
    }

    fn request(&self, reply: &Reply, command: u64) -> Option<Result<Request, S::Error>> {
        let (token, node) = (reply.token?, reply.from.id?);
        let bound = Bound { target: self.topic, node, token };
        let public_key = self.signer.public_key();
        let peer = PeerRecord { public_key, relay_addresses: self.relay_addresses.clone() };
        let signable = bound.signable(command, &peer, self.refresh.as_ref());
        Some(self.signer.sign(&signable).map(|signature| {
            let announcement = Announcement {
                peer: Some(peer),
                refresh: self.refresh,
                signature: Some(signature),
                bump: self.bump.min(VARINT_MAX),
            };
            let request = Request::new(reply.from.addr, command);
            request.target(self.topic).token(token).value(announcement.encode())
        }))
    }
}

/// The request by which the sender of this reply keeps an announcement for longer; `None` if it has sent no token. `token`:
/// its hash is the announcement's [`refresh`](Announcing::refresh). The next refresh takes a token whose hash is this `token`: make a
/// chain of hashes first, and use it from its end.
#[must_use]
pub fn refresh(topic: Id, reply: &Reply, token: [u8; 32]) -> Option<Request> {
    let announcement = Announcement { refresh: Some(token), ..Announcement::default() };
    let request = Request::new(reply.from.addr, command::ANNOUNCE);
    Some(request.target(topic).token(reply.token?).value(announcement.encode()))
}

/// The request by which the sender of this reply stores a value under its [`hash()`]; `None` if it has sent no token.
#[must_use]
pub fn immutable_put(reply: &Reply, value: Bytes) -> Option<Request> {
    Some(put_immutable(reply.from.addr, reply.token?, value))
}

pub(crate) fn put_immutable(to: SocketAddrV4, token: impl Into<Token>, value: Bytes) -> Request {
    let request = Request::new(to, command::IMMUTABLE_PUT).target(hash(&value));
    request.token(token).value(value)
}

/// The request by which the sender of this reply stores a value that a key has signed; `None` if it has sent no token.
#[must_use]
pub fn mutable_put(reply: &Reply, public_key: &PublicKey, value: &Mutable<'_>) -> Option<Request> {
    Some(put_mutable(reply.from.addr, reply.token?, public_key, value))
}

pub(crate) fn put_mutable(
    to: SocketAddrV4,
    token: impl Into<Token>,
    public_key: &PublicKey,
    value: &Mutable<'_>,
) -> Request {
    let request = Request::new(to, command::MUTABLE_PUT).target(hash(&public_key.0));
    request.token(token).value(value.encode_put(public_key))
}

impl<'a> Mutable<'a> {
    /// Signs version `seq` of a value. No node reads a `seq` above 2^53 - 1.
    ///
    /// # Errors
    /// If the signer fails.
    pub fn sign<S: Signer>(signer: &S, seq: u64, value: &'a [u8]) -> Result<Self, S::Error> {
        let signature = signer.sign(&signing::mutable(seq, value))?;
        Ok(Self { seq, value, signature })
    }
}
