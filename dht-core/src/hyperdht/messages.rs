//! The values of hyperdht's requests and answers, as bytes and back. Mirrors `lib/messages.js`.
//!
//! Numbers are as in [`wire`]: at most 2^53 - 1, longer forms than needed are accepted,
//! so are unknown flags and bytes after the last field. Whether a signature holds or an address can be sent to is not
//! looked at here.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use bytes::Bytes;

use super::keys::{PublicKey, Signature};
use crate::wire::cursor::Reader;
use crate::wire::{self, DecodeError, varint};

/// How many relay addresses of a peer are kept and told.
pub const RELAY_ADDRESSES_MAX: usize = 3;

/// Who has sent a handshake or a hole punch, and what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// The client: to the node that it asks to relay.
    FromClient = 0,
    /// The server: to the node that has relayed it.
    FromServer = 1,
    /// A node that the client has asked.
    FromRelay = 2,
    /// A node that another node has asked.
    FromSecondRelay = 3,
    /// The answer to the client.
    Reply = 4,
}

/// The value of `PEER_HANDSHAKE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// Who has sent it.
    pub mode: Mode,
    /// What is between client and server.
    pub noise: &'a [u8],
    /// The client, for a server; in an answer, the server.
    pub peer_address: Option<SocketAddrV4>,
    /// A node that relays.
    pub relay_address: Option<SocketAddrV4>,
}

/// The value of `PEER_HOLEPUNCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holepunch<'a> {
    /// Who has sent it.
    pub mode: Mode,
    /// The number of the connection.
    pub id: u64,
    /// What is between client and server.
    pub payload: &'a [u8],
    /// The client, for a server; in an answer, the server.
    pub peer_address: Option<SocketAddrV4>,
}

/// A peer that has announced itself: the value of an answer to `FIND_PEER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRecord {
    /// Its key.
    pub public_key: PublicKey,
    /// Nodes that relay handshakes to it.
    pub relay_addresses: Vec<SocketAddrV4>,
}

/// The value of `ANNOUNCE` and `UNANNOUNCE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// Who announces.
    pub peer: Option<PeerRecord>,
    /// With a peer, the hash of the token that will refresh the announcement; without, that token.
    pub refresh: Option<[u8; 32]>,
    /// The peer's signature.
    pub signature: Option<Signature>,
    /// A time in milliseconds since 1970 by which peers of the topic agree on when it was bumped last; 0 for none.
    pub bump: u64,
}

/// The value of an answer to `LOOKUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Who has announced the topic, at most 20.
    pub peers: Vec<PeerRecord>,
    /// The highest bump that a peer has announced the topic with; 0 for none.
    pub bump: u64,
}

/// The value of `MUTABLE_PUT`; without the key, that of an answer to `MUTABLE_GET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutable<'a> {
    /// Counts the versions of the value.
    pub seq: u64,
    /// The value itself.
    pub value: &'a [u8],
    /// Of both, by the key.
    pub signature: Signature,
}

/// The value of `PLUGIN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginRequest<'a> {
    /// The name of the plugin.
    pub plugin: &'a str,
    /// Its version.
    pub version: u64,
    /// The plugin's own command.
    pub command: u64,
    /// What goes with it.
    pub value: Option<&'a [u8]>,
}

impl Mode {
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match varint::read(from)? {
            0 => Self::FromClient,
            1 => Self::FromServer,
            2 => Self::FromRelay,
            3 => Self::FromSecondRelay,
            4 => Self::Reply,
            _ => return Err(DecodeError::NotOurs),
        })
    }
}

impl<'a> Handshake<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// If bytes are missing, or the mode is unknown.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(bytes);
        let flags = varint::read(from)?;
        Ok(Self {
            mode: Mode::read(from)?,
            noise: blob(from)?,
            peer_address: addr_if(from, flags & 1 != 0)?,
            relay_address: addr_if(from, flags & 2 != 0)?,
        })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let [peer, relay] = [self.peer_address, self.relay_address];
        let mut out = Out::new(16 + self.noise.len());
        out.uint(u64::from(peer.is_some()) | u64::from(relay.is_some()) << 1);
        out.uint(self.mode as u64);
        out.blob(self.noise);
        out.addrs(peer.into_iter().chain(relay));
        out.done()
    }
}

impl<'a> Holepunch<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// If bytes are missing, or the mode is unknown.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(bytes);
        let flags = varint::read(from)?;
        Ok(Self {
            mode: Mode::read(from)?,
            id: varint::read(from)?,
            payload: blob(from)?,
            peer_address: addr_if(from, flags & 1 != 0)?,
        })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Out::new(20 + self.payload.len());
        out.uint(self.peer_address.is_some().into());
        out.uint(self.mode as u64);
        out.uint(self.id);
        out.blob(self.payload);
        out.addrs(self.peer_address);
        out.done()
    }
}

impl PeerRecord {
    /// Reads it.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let public_key = PublicKey(*from.array()?);
        // A number that is too large is found out before much is read.
        let count = varint::read(from)?.saturating_mul(6);
        let addresses = from.bytes(count)?.chunks_exact(6).filter_map(<[u8]>::first_chunk);
        let relay_addresses = addresses.map(|addr| wire::addr_from_bytes(*addr)).collect();
        Ok(Self { public_key, relay_addresses })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let addresses = self.relay_addresses.len();
        // Is stored, so no byte too many.
        let mut out = Out::new(32 + varint::len(addresses as u64) + 6 * addresses);
        out.peer(self);
        out.done()
    }
}

impl Announcement {
    /// Reads it.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(bytes);
        let flags = varint::read(from)?;
        let has = |flag| flags & flag != 0;
        Ok(Self {
            peer: has(1).then(|| PeerRecord::read(from)).transpose()?,
            refresh: has(2).then(|| from.array().copied()).transpose()?,
            signature: has(4).then(|| from.array().map(|it| Signature(*it))).transpose()?,
            bump: if has(8) { varint::read(from)? } else { 0 },
        })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let flags =
            [self.peer.is_some(), self.refresh.is_some(), self.signature.is_some(), self.bump != 0];
        let mut out = Out::new(160);
        out.uint(flags.iter().rev().fold(0, |all, flag| all << 1 | u64::from(*flag)));
        self.peer.iter().for_each(|peer| out.peer(peer));
        self.refresh.iter().for_each(|refresh| out.put(refresh));
        self.signature.iter().for_each(|signature| out.put(&signature.0));
        if self.bump != 0 {
            out.uint(self.bump);
        }
        out.done()
    }
}

impl Peers {
    /// Reads it.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(bytes);
        let count = varint::read(from)?;
        let peers = (0..count).map(|_| PeerRecord::read(from)).collect::<Result<_, _>>()?;
        // Older nodes send none.
        let bump = if from.is_empty() { 0 } else { varint::read(from)? };
        Ok(Self { peers, bump })
    }

    /// Writes peers that are written already.
    pub(super) fn encode_raw<'a>(
        peers: impl ExactSizeIterator<Item = &'a [u8]>,
        bump: u64,
    ) -> Bytes {
        let mut out = Out::new(1_040);
        out.uint(peers.len() as u64);
        peers.for_each(|peer| out.put(peer));
        out.uint(bump);
        out.done()
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let peers: Vec<_> = self.peers.iter().map(PeerRecord::encode).collect();
        Self::encode_raw(peers.iter().map(|peer| &peer[..]), self.bump)
    }
}

impl<'a> Mutable<'a> {
    /// Reads the value of an answer to `MUTABLE_GET`.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes))
    }

    /// Reads the value of `MUTABLE_PUT`.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn decode_put(bytes: &'a [u8]) -> Result<(PublicKey, Self), DecodeError> {
        let from = &mut Reader::new(bytes);
        Ok((PublicKey(*from.array()?), Self::read(from)?))
    }

    fn read(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (seq, value) = (varint::read(from)?, blob(from)?);
        Ok(Self { seq, value, signature: Signature(*from.array()?) })
    }

    /// Writes the value of an answer to `MUTABLE_GET`.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.write(None)
    }

    /// Writes the value of `MUTABLE_PUT`.
    #[must_use]
    pub fn encode_put(&self, public_key: &PublicKey) -> Bytes {
        self.write(Some(public_key))
    }

    fn write(&self, public_key: Option<&PublicKey>) -> Bytes {
        let (key, len) = (public_key.map_or(0, |key| key.0.len()), self.value.len());
        // Is stored, so no byte too many.
        let mut out = Out::new(key + varint::len(self.seq) + varint::len(len as u64) + len + 64);
        public_key.into_iter().for_each(|key| out.put(&key.0));
        out.uint(self.seq);
        out.blob(self.value);
        out.put(&self.signature.0);
        out.done()
    }

    /// What is signed of it.
    pub(super) fn signed(seq: u64, value: &[u8]) -> Bytes {
        let mut out = Out::new(18 + value.len());
        out.uint(seq);
        out.blob(value);
        out.done()
    }
}

impl<'a> PluginRequest<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// If bytes are missing, or the name is no UTF-8.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let from = &mut Reader::new(bytes);
        let plugin = core::str::from_utf8(blob(from)?).map_err(|_| DecodeError::NotOurs)?;
        let [version, command, flags] =
            [varint::read(from)?, varint::read(from)?, varint::read(from)?];
        let value = from.value_if(flags & 1 != 0)?;
        Ok(Self { plugin, version, command, value })
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Out::new(30 + self.plugin.len() + self.value.map_or(0, <[u8]>::len));
        out.blob(self.plugin.as_bytes());
        out.uint(self.version);
        out.uint(self.command);
        out.uint(self.value.is_some().into());
        self.value.into_iter().for_each(|value| out.blob(value));
        out.done()
    }
}

/// A number, as the value of `MUTABLE_GET`.
pub(super) fn encode_uint(n: u64) -> Bytes {
    let mut out = Out::new(9);
    out.uint(n);
    out.done()
}

pub(super) fn decode_uint(bytes: &[u8]) -> Result<u64, DecodeError> {
    varint::read(&mut Reader::new(bytes))
}

fn blob<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = varint::read(from)?;
    from.bytes(len)
}

fn addr_if(from: &mut Reader<'_>, present: bool) -> Result<Option<SocketAddrV4>, DecodeError> {
    present.then(|| from.array().map(|addr| wire::addr_from_bytes(*addr))).transpose()
}

/// A message being written.
struct Out(Vec<u8>);

impl Out {
    fn new(len: usize) -> Self {
        Self(Vec::with_capacity(len))
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn uint(&mut self, n: u64) {
        varint::push(&mut self.0, n);
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.put(bytes);
    }

    fn addrs(&mut self, addrs: impl IntoIterator<Item = SocketAddrV4>) {
        addrs.into_iter().for_each(|addr| self.put(&wire::addr_bytes(addr)));
    }

    fn peer(&mut self, peer: &PeerRecord) {
        self.put(&peer.public_key.0);
        self.uint(peer.relay_addresses.len() as u64);
        self.addrs(peer.relay_addresses.iter().copied());
    }

    fn done(self) -> Bytes {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn what_is_stored_takes_no_more_than_its_length() {
        let is_exact = |bytes: Bytes| {
            let len = bytes.len();
            assert_eq!(bytes.try_into_mut().map(|bytes| bytes.capacity()), Ok(len));
        };
        let key = PublicKey([1; 32]);
        for count in [0, 1, 3, 252, 253] {
            let relay_addresses = alloc::vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1); count];
            is_exact(PeerRecord { public_key: key, relay_addresses }.encode());
        }
        for seq in [0, 0xfc, 0xfd, 0x1_0000, wire::VARINT_MAX] {
            for value in [&[][..], &[1; 252], &[1; 253], &[1; 1_000]] {
                let mutable = Mutable { seq, value, signature: Signature([1; 64]) };
                is_exact(mutable.encode());
                is_exact(mutable.encode_put(&key));
            }
        }
    }
}
