//! A service by itself: requests are handed to it, and what it does about them is looked at. And how the files of vectors
//! are read.

#![allow(unreachable_pub, reason = "within a test")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use dht_core::hyperdht::{
    Action, Announcement, KeyPair, Mutable, PeerRecord, Service, ServiceConfig, command, hash,
};
use dht_core::{Answer, Handled, Id, Incoming, Instant, Token, Via};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::support::lab::{Ask, Lab};
use crate::support::{addr, target};

/// The id of the node that serves.
pub fn own() -> Id {
    target(4711)
}

pub const TOKEN: [u8; 32] = [7; 32];

/// A request in which nothing is asked: only a node can make one.
fn template() -> Incoming<'static> {
    static TEMPLATE: OnceLock<Incoming<'static>> = OnceLock::new();
    *TEMPLATE.get_or_init(|| {
        let datagram = Ask::user(0).bytes().leak();
        match Lab::persistent().hand_in(Via::Server, addr(1), datagram) {
            Handled::Request(incoming) => incoming,
            other => panic!("{other:?}"),
        }
    })
}

/// A public host: number `host` of /24 number `net`.
pub fn host(net: u16, host: u8) -> SocketAddrV4 {
    let [a, b] = net.to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(45, a, b, host), 4000)
}

pub fn pair(n: u16) -> KeyPair {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    KeyPair::from_seed(seed)
}

/// The topic by which a peer is found.
pub fn topic_of(pair: &KeyPair) -> Id {
    hash(&pair.public_key().0)
}

/// What a peer says with an announcement.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub relays: Vec<SocketAddrV4>,
    pub refresh: Option<[u8; 32]>,
    pub bump: u64,
}

#[derive(Clone)]
pub struct Rig {
    pub service: Service,
    pub now: Instant,
    pub own: Option<Id>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(ServiceConfig::default())
    }

    pub fn with(config: ServiceConfig) -> Self {
        let service = Service::new(config, &mut ChaCha20Rng::seed_from_u64(1));
        Self { service, now: Instant::from_millis(1_000_000), own: Some(own()) }
    }

    /// Hands a request in.
    pub fn ask<'d>(
        &mut self,
        from: SocketAddrV4,
        command: u64,
        target: Option<Id>,
        token: Option<[u8; 32]>,
        value: Option<&'d [u8]>,
    ) -> Action<'d> {
        let mut request: Incoming<'d> = template();
        request.from.addr = from;
        (request.command, request.target, request.value) = (command, target, value);
        request.token = token.map(Token::from);
        self.service.handle_request(self.now, self.own, &request)
    }

    /// Asks for something, and returns the value of the answer.
    pub fn get(&mut self, command: u64, target: Id) -> Option<Bytes> {
        let value = (command == command::MUTABLE_GET).then_some(&[0][..]);
        match self.ask(host(9999, 9), command, Some(target), None, value) {
            Action::Reply(answer) => value_of(&answer),
            other => panic!("{other:?}"),
        }
    }

    pub fn announce(
        &mut self,
        from: SocketAddrV4,
        pair: &KeyPair,
        topic: Id,
        said: &Said,
    ) -> Action<'static> {
        let value = signed(command::ANNOUNCE, pair, topic, said);
        self.store(from, command::ANNOUNCE, topic, &value)
    }

    pub fn unannounce(&mut self, from: SocketAddrV4, pair: &KeyPair, topic: Id) -> Action<'static> {
        let value = signed(command::UNANNOUNCE, pair, topic, &Said::default());
        self.store(from, command::UNANNOUNCE, topic, &value)
    }

    pub fn refresh(&mut self, from: SocketAddrV4, topic: Id, token: [u8; 32]) -> Action<'static> {
        let value = Announcement { refresh: Some(token), ..Announcement::default() }.encode();
        self.store(from, command::ANNOUNCE, topic, &value)
    }

    pub fn put(
        &mut self,
        from: SocketAddrV4,
        pair: &KeyPair,
        seq: u64,
        value: &[u8],
    ) -> Action<'static> {
        let value = Mutable::sign(pair, seq, value).unwrap().encode_put(&pair.public_key());
        self.store(from, command::MUTABLE_PUT, topic_of(pair), &value)
    }

    pub fn immutable_put(&mut self, from: SocketAddrV4, value: &[u8]) -> Action<'static> {
        self.store(from, command::IMMUTABLE_PUT, hash(value), value)
    }

    fn store(
        &mut self,
        from: SocketAddrV4,
        command: u64,
        target: Id,
        value: &[u8],
    ) -> Action<'static> {
        match self.ask(from, command, Some(target), Some(TOKEN), Some(value)) {
            Action::Reply(answer) => Action::Reply(answer),
            Action::Silent => Action::Silent,
            other => panic!("{other:?}"),
        }
    }

    /// The peers of a topic, in no order.
    pub fn peers(&mut self, topic: Id) -> Vec<PeerRecord> {
        let value = self.get(command::LOOKUP, topic);
        let peers = value.map(|value| dht_core::hyperdht::Peers::decode(&value).unwrap());
        let mut peers = peers.unwrap_or_default().peers;
        peers.sort_by_key(|peer| peer.public_key);
        peers
    }

    pub fn bump(&mut self, topic: Id) -> u64 {
        let value = self.get(command::LOOKUP, topic);
        value.map_or(0, |value| dht_core::hyperdht::Peers::decode(&value).unwrap().bump)
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn minutes(&mut self, minutes: u64) {
        self.wait(Duration::from_secs(60 * minutes));
    }
}

/// The answer to an announcement.
pub fn done() -> Action<'static> {
    Action::Reply(Answer::empty().token(false).closer_nodes(false))
}

/// The answer to a put.
pub fn stored() -> Action<'static> {
    Action::Reply(Answer::empty())
}

/// An answer's parts show only in what a node sends of it.
pub fn value_of(answer: &Answer) -> Option<Bytes> {
    thread_local! {
        static LAB: Lab = Lab::persistent();
    }
    // A node of its own for each answer: it sends so many at a time.
    let sent = LAB.with(Lab::clone).serve(addr(1), &Ask::user(0), answer.clone());
    sent.response().value.map(Bytes::copy_from_slice)
}

/// The value of a signed announcement, or withdrawal. What is signed is fixed by the vectors.
pub fn signed(command: u64, pair: &KeyPair, topic: Id, said: &Said) -> Bytes {
    let peer = PeerRecord { public_key: pair.public_key(), relay_addresses: said.relays.clone() };
    let refresh = said.refresh.as_ref().map_or(&[][..], |refresh| refresh);
    let bound = [&topic.0[..], &own().0, &TOKEN, &peer.encode(), refresh].concat();
    let namespace = [&hash(b"hyperswarm/dht").0[..], &[command as u8]].concat();
    let signable = [hash(&namespace).0, hash(&bound).0].concat();
    let signature = Some(pair.sign(&signable));
    Announcement { peer: Some(peer), refresh: said.refresh, signature, bump: said.bump }.encode()
}

/// The fields of a line: `name=value`.
pub type Fields<'t> = BTreeMap<&'t str, &'t str>;

pub fn fields<'t>(words: impl Iterator<Item = &'t str>) -> Fields<'t> {
    words.map(|word| word.split_once('=').unwrap()).collect()
}

/// `-` stands for none; a run of one byte is `(5a*64)`.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if text == "empty" {
        return Some(bytes);
    }
    for part in (text != "-").then_some(text)?.split(')') {
        let (plain, run) = part.split_once('(').unwrap_or((part, "00*0"));
        let byte = |text: &str| u8::from_str_radix(text, 16).unwrap();
        bytes.extend((0..plain.len()).step_by(2).map(|at| byte(&plain[at..at + 2])));
        let (repeated, count) = run.split_once('*').unwrap();
        bytes.extend(vec![byte(repeated); count.parse().unwrap()]);
    }
    Some(bytes)
}

pub fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex(text).map(|bytes| bytes.try_into().unwrap())
}

pub fn address(text: &str) -> Option<SocketAddrV4> {
    (text != "-").then(|| text.parse().unwrap())
}

pub fn addresses(text: &str) -> Vec<SocketAddrV4> {
    text.split(',').filter(|text| *text != "none").filter_map(address).collect()
}
