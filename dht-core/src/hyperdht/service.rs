//! What a node of hyperdht does for its peers: it keeps announcements and values, and relays handshakes. Mirrors
//! `onrequest` of `index.js` and `lib/persistent.js`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;
use rand_core::CryptoRng;

use super::checks::Checks;
use super::config::ServiceConfig;
use super::keys::PublicKey;
use super::messages::{
    self, Announcement, Mutable, PeerRecord, Peers, PluginRequest, RELAY_ADDRESSES_MAX,
};
use super::signing::{Bound, hash};
use super::store::{Key, Payload, Place, Store};
use super::{command, error_code, relay};
use crate::api::ask::Answer;
use crate::api::message::Incoming;
use crate::bounded::memory::Heap;
use crate::id::Id;
use crate::secret::rng::Rng;
use crate::time::Instant;

/// Peers in an answer to `LOOKUP`, at most.
const PEERS_MAX: usize = 20;
/// How far in the future a bump may be, in milliseconds.
const BUMP_DRIFT: u64 = 60_000;
/// What a peer's record takes at most: its key, and three addresses of six bytes behind their number.
const RECORD_MAX: usize = 32 + 1 + 6 * RELAY_ADDRESSES_MAX;
/// What stands around the records in an answer to `LOOKUP`: their number, and the bump.
const PEERS_HEAD: usize = 1 + 9;

/// What to do about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'d> {
    /// Answer it: [`Node::reply`](crate::Node::reply).
    Reply(Answer),
    /// Pass it on: [`Node::relay`](crate::Node::relay).
    Relay {
        /// Where to.
        to: SocketAddrV4,
        /// With this value.
        value: Bytes,
    },
    /// A request to a plugin that was [registered](Service::register): answer it, or don't.
    Plugin(PluginRequest<'d>),
    /// Nothing.
    Silent,
    /// It is none of hyperdht's commands, or none that a node without an id serves. Unless the application
    /// knows it, the answer is the error [`UNKNOWN_COMMAND`](crate::error_code::UNKNOWN_COMMAND).
    NotMine,
}

/// What is kept, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStats {
    /// Announcements of topics.
    pub topics: StoreStats,
    /// Peers that have announced themselves.
    pub peers: StoreStats,
    /// Announcements that can be refreshed.
    pub refreshes: StoreStats,
    /// Bumps of topics.
    pub bumps: StoreStats,
    /// Mutable values.
    pub mutables: StoreStats,
    /// Immutable values.
    pub immutables: StoreStats,
    /// Signatures checked.
    pub checked: u64,
    /// Signatures that did not hold.
    pub bad_signatures: u64,
    /// Requests dropped because there were too many signatures to check.
    pub unchecked: u64,
    /// Handshakes passed on towards a server.
    pub handshakes: u64,
    /// Hole punches passed on towards a server.
    pub holepunches: u64,
}

/// What one store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Entries, among them some whose time may be over.
    pub entries: usize,
    /// What they take, in bytes, with all bookkeeping at its largest.
    pub bytes: usize,
    /// Entries that had to give way to later ones so far.
    pub gave_way: u64,
}

/// A peer that has announced itself.
#[derive(Clone, Debug)]
struct Forward {
    /// From where, so that handshakes can be relayed.
    relay: SocketAddrV4,
    record: Bytes,
}

/// An announcement that its peer can refresh without a signature.
#[derive(Clone, Debug)]
struct Refresh {
    target: Id,
    public_key: PublicKey,
    record: Bytes,
}

impl Key for (Id, PublicKey) {
    const HAS_TOPIC: bool = true;

    fn topic(&self) -> Option<Id> {
        Some(self.0)
    }
}

impl Payload for Forward {
    fn len(&self) -> usize {
        self.record.len()
    }
}

impl Payload for Refresh {
    fn len(&self) -> usize {
        self.record.len()
    }
}

impl Payload for u64 {
    fn len(&self) -> usize {
        0
    }
}

/// The serving half of hyperdht, beside a [`Node`](crate::Node) that brings requests and takes answers.
#[derive(Clone, Debug)]
pub struct Service {
    config: ServiceConfig,
    rng: Rng,
    records: Store<(Id, PublicKey), Bytes>,
    forwards: Store<Id, Forward>,
    refreshes: Store<Id, Refresh>,
    bumps: Store<Id, u64>,
    mutables: Store<Id, Bytes>,
    immutables: Store<Id, Bytes>,
    plugins: Vec<(Box<str>, u64)>,
    checks: Checks,
    /// When it was which time since 1970.
    clock: Option<(Instant, Duration)>,
    checked: u64,
    bad_signatures: u64,
    unchecked: u64,
    handshakes: u64,
    holepunches: u64,
}

impl Service {
    /// Keeps nothing yet. `rng` is drawn from once.
    pub fn new(config: ServiceConfig, rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self::seeded(config, seed)
    }

    pub(crate) fn seeded(config: ServiceConfig, seed: [u8; 32]) -> Self {
        let mut rng = Rng::new(seed);
        let (short, long, secret) = (config.announcement_life, config.value_life, rng.next_u32());
        Self {
            rng,
            records: Store::new(config.topic_bytes, short, secret),
            forwards: Store::new(config.peer_bytes, short, 0),
            refreshes: Store::new(config.refresh_bytes, short, 0),
            bumps: Store::new(config.bump_bytes, short, 0),
            mutables: Store::new(config.mutable_bytes, long, 0),
            immutables: Store::new(config.immutable_bytes, long, 0),
            plugins: Vec::new(),
            checks: Checks::default(),
            clock: None,
            checked: 0,
            bad_signatures: 0,
            unchecked: 0,
            handshakes: 0,
            holepunches: 0,
            config,
        }
    }

    /// An upper bound on the heap that a service takes, in bytes; plugins' names and what the application keeps come on top.
    #[must_use]
    pub fn memory_bound(config: &ServiceConfig) -> usize {
        let mut heap = Heap::default();
        Store::<(Id, PublicKey), Bytes>::add_to(&mut heap, config.topic_bytes, RECORD_MAX);
        Store::<Id, Forward>::add_to(&mut heap, config.peer_bytes, RECORD_MAX);
        Store::<Id, Refresh>::add_to(&mut heap, config.refresh_bytes, RECORD_MAX);
        Store::<Id, u64>::add_to(&mut heap, config.bump_bytes, 0);
        Store::<Id, Bytes>::add_to(&mut heap, config.mutable_bytes, config.max_value);
        Store::<Id, Bytes>::add_to(&mut heap, config.immutable_bytes, config.max_value);
        Checks::add_to(&mut heap, config);
        heap.total()
    }

    /// Serves requests to a plugin, of this version only: they come as [`Action::Plugin`].
    pub fn register(&mut self, plugin: &str, version: u64) {
        self.plugins.retain(|(name, _)| **name != *plugin);
        self.plugins.push((plugin.into(), version));
    }

    /// Tells the time since 1970, now and then. Without it topics are not bumped, since a bump
    /// in the far future would count.
    pub fn handle_wall_clock(&mut self, now: Instant, since_1970: Duration) {
        self.clock = Some((now, since_1970));
    }

    /// Forgets what has lived for too long. It is of no use any more even without this call, but takes memory.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.records.expire(now);
        self.forwards.expire(now);
        self.refreshes.expire(now);
        self.bumps.expire(now);
        self.mutables.expire(now);
        self.immutables.expire(now);
    }

    /// A request has come. `own`: the node's id, if it has one ([`Node::id`](crate::Node::id)). Whether the token in it is one of
    /// the node's, the node has checked.
    pub fn handle_request<'d>(
        &mut self,
        now: Instant,
        own: Option<Id>,
        request: &Incoming<'d>,
    ) -> Action<'d> {
        let Incoming { command, target, value, from, .. } = *request;
        if matches!(command, command::PEER_HANDSHAKE | command::PEER_HOLEPUNCH) {
            return self.relay(now, request).unwrap_or(Action::Silent);
        }
        let Some(own) = own.filter(|_| command <= command::PLUGIN) else { return Action::NotMine };
        if command == command::PLUGIN {
            return value.and_then(|value| self.plugin(value)).unwrap_or(Action::Silent);
        }
        let Some(target) = target else { return Action::Silent };
        let stores = request.token.zip(value).map(|(token, value)| Put {
            now,
            bound: Bound { target, node: own, token },
            from: from.addr,
            value,
        });
        let answer = match command {
            command::FIND_PEER => Some(self.find_peer(now, &target)),
            command::LOOKUP => Some(self.lookup(now, &target)),
            command::MUTABLE_GET => value.and_then(|value| self.mutable_get(now, &target, value)),
            command::IMMUTABLE_GET => Some(answer(self.immutables.renew(now, &target))),
            command::ANNOUNCE => stores.and_then(|put| self.announce(&put)),
            command::UNANNOUNCE => stores.and_then(|put| self.on_unannounce(&put)),
            command::MUTABLE_PUT => stores.and_then(|put| self.mutable_put(&put)),
            _ => stores.and_then(|put| self.immutable_put(&put)),
        };
        answer.map_or(Action::Silent, Action::Reply)
    }

    /// Forgets that this peer has announced a topic: for an application that takes back what it has announced itself.
    pub fn unannounce(&mut self, topic: &Id, public_key: &PublicKey) {
        if hash(&public_key.0) == *topic {
            self.forwards.remove(topic);
        }
        self.records.remove(&(*topic, *public_key));
    }

    /// What is kept, and what was not.
    #[must_use]
    pub fn stats(&self) -> ServiceStats {
        ServiceStats {
            topics: store_stats(&self.records),
            peers: store_stats(&self.forwards),
            refreshes: store_stats(&self.refreshes),
            bumps: store_stats(&self.bumps),
            mutables: store_stats(&self.mutables),
            immutables: store_stats(&self.immutables),
            checked: self.checked,
            bad_signatures: self.bad_signatures,
            unchecked: self.unchecked,
            handshakes: self.handshakes,
            holepunches: self.holepunches,
        }
    }

    /// Asserts that the stores are as they should be.
    #[cfg(any(test, feature = "_invariants"))]
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.records.check_invariants();
        self.forwards.check_invariants();
        self.refreshes.check_invariants();
        self.bumps.check_invariants();
        self.mutables.check_invariants();
        self.immutables.check_invariants();
    }

    fn relay(&mut self, now: Instant, request: &Incoming<'_>) -> Option<Action<'static>> {
        let server = request.target.and_then(|target| self.forwards.renew(now, &target));
        let server = server.map(|forward| forward.relay);
        let (action, passed_on) = match request.command {
            command::PEER_HANDSHAKE => {
                (relay::handshake(request.from.addr, server, request.value?)?, &mut self.handshakes)
            }
            _ => (
                relay::holepunch(request.from.addr, server, request.value?)?,
                &mut self.holepunches,
            ),
        };
        *passed_on += u64::from(matches!(action, Action::Relay { .. }));
        Some(action)
    }

    fn plugin<'d>(&self, value: &'d [u8]) -> Option<Action<'d>> {
        let request = PluginRequest::decode(value).ok()?;
        let known = |(name, version): &(Box<str>, u64)| {
            **name == *request.plugin && *version == request.version
        };
        self.plugins.iter().any(known).then_some(Action::Plugin(request))
    }

    fn find_peer(&mut self, now: Instant, target: &Id) -> Answer {
        answer(self.forwards.renew(now, target).map(|forward| &forward.record))
    }

    fn lookup(&mut self, now: Instant, topic: &Id) -> Answer {
        let bump = self.bumps.renew(now, topic).copied().unwrap_or(0);
        let own = self.forwards.renew(now, topic).map(|forward| &forward.record);
        let mut peers = heapless::Vec::<&[u8], PEERS_MAX>::new();
        peers.extend(
            self.records.draw::<PEERS_MAX>(now, topic, &mut self.rng).map(|peer| &peer[..]),
        );
        // If there is a place.
        let _ = own.map(|own| peers.push(own));
        let mut left = self.config.max_value.saturating_sub(PEERS_HEAD);
        peers.retain(|peer| {
            let fits = peer.len() <= left;
            left -= if fits { peer.len() } else { 0 };
            fits
        });
        if peers.is_empty() {
            return Answer::empty();
        }
        Answer::value(Peers::encode_raw(peers.iter().copied(), bump))
    }

    fn announce(&mut self, put: &Put<'_>) -> Option<Answer> {
        let announcement = Announcement::decode(put.value).ok()?;
        let Some(peer) = &announcement.peer else {
            return self.refresh(put, &announcement.refresh?);
        };
        announcement.signature?;
        self.check(put, || put.bound.is_signed(command::ANNOUNCE, &announcement))?;
        let (now, target, public_key) = (put.now, put.bound.target, peer.public_key);
        let relay_addresses = peer.relay_addresses.iter().copied().take(RELAY_ADDRESSES_MAX);
        let record = PeerRecord { public_key, relay_addresses: relay_addresses.collect() }.encode();
        let kept = Refresh { target, public_key, record };
        if !self.keep(put, &kept) {
            return None;
        }
        if hash(&public_key.0) != target {
            self.bump(put, announcement.bump);
        }
        if let Some(refresh) = announcement.refresh {
            let place = self.place(put);
            self.refreshes.put(now, Id(refresh), kept, place, true);
        }
        Some(done())
    }

    fn refresh(&mut self, put: &Put<'_>, token: &[u8; 32]) -> Option<Answer> {
        let active = hash(token);
        let kept = self.refreshes.get(put.now, &active)?.clone();
        if !self.keep(put, &kept) {
            return None;
        }
        self.refreshes.remove(&active);
        let place = self.place(put);
        self.refreshes.put(put.now, Id(*token), kept, place, true);
        Some(done())
    }

    /// Keeps an announcement, of a peer's own key or of another topic, if there is room. The latest record counts; in the reference, of those of a topic
    /// the first, for up to 13 minutes.
    fn keep(&mut self, put: &Put<'_>, kept: &Refresh) -> bool {
        let (place, now) = (self.place(put), put.now);
        let Refresh { target, public_key, record } = kept.clone();
        if hash(&public_key.0) == target {
            self.forwards.put(now, target, Forward { relay: put.from, record }, place, true)
        } else {
            self.records.put(now, (target, public_key), record, place, true)
        }
    }

    fn bump(&mut self, put: &Put<'_>, bump: u64) {
        let (now, topic) = (put.now, put.bound.target);
        let Some((at, time)) = self.clock else { return };
        let time = time.saturating_add(now.saturating_since(at)).as_millis();
        let before = self.bumps.renew(now, &topic).copied().unwrap_or(0);
        if bump > before && u128::from(bump) <= time + u128::from(BUMP_DRIFT) {
            let place = self.place(put);
            self.bumps.put(now, topic, bump, place, false);
        }
    }

    fn on_unannounce(&mut self, put: &Put<'_>) -> Option<Answer> {
        let withdrawal = Announcement::decode(put.value).ok()?;
        let peer = withdrawal.peer.as_ref()?;
        withdrawal.signature?;
        self.check(put, || put.bound.is_signed(command::UNANNOUNCE, &withdrawal))?;
        self.unannounce(&put.bound.target, &peer.public_key);
        Some(done())
    }

    fn mutable_get(&mut self, now: Instant, target: &Id, value: &[u8]) -> Option<Answer> {
        let least = messages::decode_uint(value).ok()?;
        let kept = self.mutables.renew(now, target);
        let is_new = |kept: &&Bytes| Mutable::decode(kept).is_ok_and(|it| it.seq >= least);
        Some(answer(kept.filter(is_new)))
    }

    fn mutable_put(&mut self, put: &Put<'_>) -> Option<Answer> {
        let (public_key, new) = Mutable::decode_put(put.value).ok()?;
        let value = new.encode();
        if value.len() > self.config.max_value || hash(&public_key.0) != put.bound.target {
            return None;
        }
        self.check(put, || new.is_signed_by(&public_key))?;
        let target = put.bound.target;
        let kept = self.mutables.renew(put.now, &target);
        let kept = kept.and_then(|kept| Mutable::decode(kept).ok());
        let refusal = match kept {
            Some(kept) if kept.seq == new.seq && kept.value != new.value => error_code::SEQ_REUSED,
            Some(kept) if kept.seq > new.seq => error_code::SEQ_TOO_LOW,
            _ => 0,
        };
        if refusal != 0 {
            return Some(Answer::error(refusal));
        }
        // Every node can store a version again; a later version comes of the owner first.
        let later = kept.is_none_or(|kept| kept.seq < new.seq);
        let place = self.place(put);
        self.mutables.put(put.now, target, value, place, later).then(Answer::empty)
    }

    fn immutable_put(&mut self, put: &Put<'_>) -> Option<Answer> {
        if put.value.len() > self.config.max_value || hash(put.value) != put.bound.target {
            return None;
        }
        let value = Bytes::copy_from_slice(put.value);
        let place = self.place(put);
        self.immutables.put(put.now, put.bound.target, value, place, false).then(Answer::empty)
    }

    /// Checks a signature, if there is time.
    fn check(&mut self, put: &Put<'_>, is_signed: impl FnOnce() -> bool) -> Option<()> {
        let place = self.place(put);
        if !self.checks.take(&self.config, put.now, place) {
            self.unchecked += 1;
            return None;
        }
        self.checked += 1;
        let signed = is_signed();
        self.bad_signatures += u64::from(!signed);
        signed.then_some(())
    }

    fn place(&self, put: &Put<'_>) -> Place {
        Place::of(*put.from.ip(), &self.config.exempt)
    }
}

/// A request to store something, with a token.
struct Put<'d> {
    now: Instant,
    bound: Bound,
    from: SocketAddrV4,
    value: &'d [u8],
}

fn answer(value: Option<&Bytes>) -> Answer {
    Answer { value: value.cloned(), ..Answer::empty() }
}

fn done() -> Answer {
    Answer::empty().token(false).closer_nodes(false)
}

fn store_stats<K: Key, V: Payload>(store: &Store<K, V>) -> StoreStats {
    StoreStats { entries: store.len(), bytes: store.bytes(), gave_way: store.gave_way() }
}
