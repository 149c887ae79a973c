//! The service against a model that keeps everything in plain lists and looks through all of them each time.

use std::net::SocketAddrV4;
use std::time::Duration;

use bytes::Bytes;
use dht_core::hyperdht::{
    Action, Holepunch, KeyPair, Mode, PeerRecord, Peers, PublicKey, ServiceConfig, command,
    error_code, hash,
};
use dht_core::{Answer, Id, Instant};
use proptest::prelude::*;

use super::serving_rig::{Rig, Said, done, host, own, pair, stored, topic_of, value_of};

struct Entry<K, V> {
    key: K,
    value: V,
    at: Instant,
    place: u32,
}

/// The oldest first.
struct List<K, V> {
    limit: usize,
    life: Duration,
    cost: fn(&V) -> usize,
    entries: Vec<Entry<K, V>>,
}

impl<K: PartialEq + Copy, V: Clone> List<K, V> {
    fn new(limit: usize, life: Duration, cost: fn(&V) -> usize) -> Self {
        Self { limit, life, cost, entries: Vec::new() }
    }

    fn expire(&mut self, now: Instant) {
        self.entries.retain(|entry| now.saturating_since(entry.at) < self.life);
    }

    fn take(&mut self, key: K) -> Option<Entry<K, V>> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    fn get(&mut self, now: Instant, key: K) -> Option<V> {
        self.expire(now);
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
    }

    fn renew(&mut self, now: Instant, key: K) -> Option<V> {
        self.expire(now);
        let entry = self.take(key)?;
        let value = entry.value.clone();
        self.entries.push(Entry { at: now, ..entry });
        Some(value)
    }

    fn put(&mut self, at: Instant, key: K, value: V, place: u32, theirs: bool) -> bool {
        self.expire(at);
        let before = self.take(key).map(|entry| entry.place);
        let place = before.filter(|_| !theirs).unwrap_or(place);
        self.entries.push(Entry { key, value, at, place });
        while self.bytes(|_| true) > self.limit {
            let greed = |entry: &Entry<K, V>| {
                let place = entry.place;
                (self.bytes(|other| other == place), place)
            };
            let greediest = self.entries.iter().map(greed).max().unwrap();
            let oldest = self.entries.iter().position(|entry| greed(entry) == greediest);
            self.entries.remove(oldest.unwrap());
        }
        self.entries.iter().any(|entry| entry.key == key)
    }

    fn bytes(&self, of: impl Fn(u32) -> bool) -> usize {
        let those = self.entries.iter().filter(|entry| of(entry.place));
        those.map(|entry| (self.cost)(&entry.value)).sum()
    }
}

#[derive(Clone)]
struct Forward(SocketAddrV4, Bytes);

type Kept = (Id, PublicKey, Bytes);

struct Model {
    now: Instant,
    records: List<(Id, PublicKey), Bytes>,
    forwards: List<Id, Forward>,
    refreshes: List<Id, Kept>,
    bumps: List<Id, u64>,
    mutables: List<Id, (u64, Bytes, Bytes)>,
    immutables: List<Id, Bytes>,
}

/// What entries take beside their payload, which is not for a model to know.
fn costs() -> &'static [usize; 6] {
    static COSTS: std::sync::OnceLock<[usize; 6]> = std::sync::OnceLock::new();
    COSTS.get_or_init(|| {
        let mut rig = Rig::new();
        rig.service.handle_wall_clock(rig.now, Duration::from_secs(1));
        let said = Said { refresh: Some([1; 32]), bump: 1, ..Said::default() };
        rig.announce(host(1, 1), &pair(1), topic(0), &said);
        rig.announce(host(1, 1), &pair(1), topic_of(&pair(1)), &Said::default());
        rig.put(host(1, 1), &pair(1), 1, b"");
        rig.immutable_put(host(1, 1), b"");
        let stats = rig.service.stats();
        [
            stats.topics.bytes - 33,
            stats.peers.bytes - 33,
            stats.refreshes.bytes - 33,
            stats.bumps.bytes,
            stats.mutables.bytes - 66,
            stats.immutables.bytes,
        ]
    })
}

/// Room for two or three entries, so that some have to give way.
const LIMIT: usize = 3_400;
const SHORT: Duration = Duration::from_secs(20 * 60);
const LONG: Duration = Duration::from_secs(48 * 60 * 60);
/// The time since 1970 when a rig begins, in milliseconds.
const TIME: u64 = 1_000_000;

fn config() -> ServiceConfig {
    ServiceConfig {
        topic_bytes: LIMIT,
        peer_bytes: LIMIT,
        refresh_bytes: LIMIT,
        bump_bytes: LIMIT,
        mutable_bytes: LIMIT,
        immutable_bytes: LIMIT,
        max_value: 2_100,
        checks_per_second: u32::MAX,
        checks_per_source: u32::MAX,
        ..ServiceConfig::default()
    }
}

impl Model {
    fn new(now: Instant) -> Self {
        Self {
            now,
            records: List::new(LIMIT, SHORT, |record| costs()[0] + record.len()),
            forwards: List::new(LIMIT, SHORT, |Forward(_, record)| costs()[1] + record.len()),
            refreshes: List::new(LIMIT, SHORT, |(_, _, record)| costs()[2] + record.len()),
            bumps: List::new(LIMIT, SHORT, |_| costs()[3]),
            mutables: List::new(LIMIT, LONG, |(_, _, encoded)| costs()[4] + encoded.len()),
            immutables: List::new(LIMIT, LONG, |value| costs()[5] + value.len()),
        }
    }

    fn keep(&mut self, from: SocketAddrV4, (topic, key, record): Kept) -> bool {
        let now = self.now;
        if hash(&key.0) == topic {
            self.records.take((topic, key));
            self.forwards.put(now, topic, Forward(from, record), place(from), true)
        } else {
            self.records.put(now, (topic, key), record, place(from), true)
        }
    }

    fn announce(
        &mut self,
        from: SocketAddrV4,
        pair: &KeyPair,
        topic: Id,
        said: &Said,
    ) -> Action<'static> {
        let (now, public_key) = (self.now, pair.public_key());
        let relay_addresses = said.relays.iter().copied().take(3).collect();
        let record = PeerRecord { public_key, relay_addresses }.encode();
        let kept = (topic, public_key, record);
        if !self.keep(from, kept.clone()) {
            return Action::Silent;
        }
        let latest = TIME + 60_000 + now.as_micros() / 1_000 - 1_000_000;
        if topic != topic_of(pair) {
            let before = self.bumps.renew(now, topic).unwrap_or(0);
            if (before + 1..=latest).contains(&said.bump) {
                self.bumps.put(now, topic, said.bump, place(from), false);
            }
        }
        if let Some(refresh) = said.refresh {
            self.refreshes.put(now, Id(refresh), kept, place(from), true);
        }
        done()
    }

    fn refresh(&mut self, from: SocketAddrV4, token: [u8; 32]) -> Action<'static> {
        let Some(kept) = self.refreshes.get(self.now, hash(&token)) else { return Action::Silent };
        if !self.keep(from, kept.clone()) {
            return Action::Silent;
        }
        self.refreshes.take(hash(&token));
        self.refreshes.put(self.now, Id(token), kept, place(from), true);
        done()
    }

    fn lookup(&mut self, topic: Id) -> Peers {
        let now = self.now;
        let bump = self.bumps.renew(now, topic).unwrap_or(0);
        let own = self.forwards.renew(now, topic).map(|Forward(_, record)| record);
        self.records.expire(now);
        let records = self.records.entries.iter().filter(|entry| entry.key.0 == topic);
        let records = records.map(|entry| entry.value.clone()).chain(own);
        Peers { peers: records.map(|bytes| PeerRecord::decode(&bytes).unwrap()).collect(), bump }
    }

    fn put(&mut self, from: SocketAddrV4, pair: &KeyPair, seq: u64, value: &Bytes) -> Action<'_> {
        let key = topic_of(pair);
        let before = self.mutables.renew(self.now, key);
        if let Some((kept, other, _)) = &before {
            if *kept > seq {
                return Action::Reply(Answer::error(error_code::SEQ_TOO_LOW));
            }
            if *kept == seq && other != value {
                return Action::Reply(Answer::error(error_code::SEQ_REUSED));
            }
        }
        let encoded = dht_core::hyperdht::Mutable::sign(pair, seq, value).unwrap().encode();
        let later = before.is_none_or(|(kept, ..)| kept < seq);
        let put = (seq, value.clone(), encoded);
        kept(self.mutables.put(self.now, key, put, place(from), later))
    }
}

/// All at home are one.
fn place(from: SocketAddrV4) -> u32 {
    let ip = *from.ip();
    if ip.is_private() { u32::MAX } else { u32::from_be_bytes(ip.octets()) >> 8 }
}

fn topic(n: usize) -> Id {
    if n < 2 { hash(&[n as u8]) } else { topic_of(&pair(n as u16 - 2)) }
}

/// Each the hash of the one before.
fn token(n: usize) -> [u8; 32] {
    (0..n).fold([9; 32], |token, _| hash(&token).0)
}

fn sender(n: usize) -> SocketAddrV4 {
    let at_home = |host| SocketAddrV4::new([10, host, 0, 1].into(), 1);
    [host(1, 1), host(1, 2), host(2, 1), host(3, 1), at_home(1), at_home(2)][n]
}

fn value(n: usize) -> Bytes {
    Bytes::from(vec![n as u8; [0, 1, 1, 700, 700, 1_500, 2_000, 3][n]])
}

/// What is done, by whom, with which key and topic, and two numbers more; and how long after the step before.
type Step = (usize, usize, usize, usize, usize, usize, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..11_usize, 0..6_usize, 0..6_usize, 0..8_usize, 0..8_usize, 0..6_usize, 0..12_usize);
    prop::collection::vec(step, 1..250)
}

fn answer(value: Option<Bytes>) -> Action<'static> {
    Action::Reply(value.map_or(Answer::empty(), Answer::value))
}

/// What is said to who stores a value.
fn kept(is_kept: bool) -> Action<'static> {
    if is_kept { stored() } else { Action::Silent }
}

fn sorted(mut peers: Peers) -> Peers {
    peers.peers.sort_by_key(|peer| peer.public_key);
    peers
}

fn peers_of(action: &Action<'_>) -> Peers {
    let Action::Reply(answer) = action else { panic!("{action:?}") };
    value_of(answer).map(|value| Peers::decode(&value).unwrap()).unwrap_or_default()
}

fn wait(rig: &mut Rig, model: &mut Model, which: usize) {
    let seconds = [0, 0, 0, 0, 0, 1, 1, 30, 400, 1_199, 1_200, 100_000][which];
    rig.wait(Duration::from_secs(seconds));
    if seconds == 400 {
        rig.service.handle_timeout(rig.now);
    }
    model.now = rig.now;
}

fn check(rig: &mut Rig, model: &mut Model, step: Step) {
    let (what, from, key, at, a, b, _) = step;
    let (from, key, topic, now) = (sender(from), pair(key as u16), topic(at), rig.now);
    match what {
        0..=2 => {
            let relays = (0..b).map(|n| host(n as u16, 7)).collect();
            let refresh = (a > 2).then(|| token(a - 2));
            let time = TIME + now.as_micros() / 1_000 - 1_000_000;
            let bump = [0, 0, 0, 5, 6, 7, time + 60_000, time + 60_001][a];
            let said = Said { relays, refresh, bump };
            let expected = model.announce(from, &key, topic, &said);
            assert_eq!(rig.announce(from, &key, topic, &said), expected);
        }
        3 => {
            let expected = model.refresh(from, token(b));
            assert_eq!(rig.refresh(from, topic, token(b)), expected);
        }
        4 => {
            let expected = sorted(model.lookup(topic));
            let peers = peers_of(&rig.ask(from, command::LOOKUP, Some(topic), None, None));
            // Of a topic without peers not even the bump is told.
            let bump = if expected.peers.is_empty() { 0 } else { expected.bump };
            assert_eq!(sorted(peers), Peers { bump, ..expected });
        }
        5 if a < 4 => {
            let expected = answer(model.forwards.renew(now, topic).map(|it| it.1));
            assert_eq!(rig.ask(from, command::FIND_PEER, Some(topic), None, None), expected);
        }
        5 => {
            let punch =
                Holepunch { mode: Mode::FromClient, id: 1, payload: &[], peer_address: None };
            let value = Holepunch { mode: Mode::FromRelay, peer_address: Some(from), ..punch };
            let to = model.forwards.renew(now, topic).map(|it| it.0);
            // A server at home is none for strangers.
            let to = to.filter(|to| !to.ip().is_private() || from.ip().is_private());
            let relay = |to| Action::Relay { to, value: value.encode() };
            let expected = to.map_or(Action::Silent, relay);
            let value = punch.encode();
            let action = rig.ask(from, command::PEER_HOLEPUNCH, Some(topic), None, Some(&value));
            assert_eq!(action, expected);
        }
        6 => {
            if topic_of(&key) == topic {
                model.forwards.take(topic);
            }
            model.records.take((topic, key.public_key()));
            assert_eq!(rig.unannounce(from, &key, topic), done());
        }
        _ => check_values(rig, model, step),
    }
}

fn check_values(rig: &mut Rig, model: &mut Model, (what, from, key, _, a, b, _): Step) {
    let (from, key, now) = (sender(from), pair(key as u16), rig.now);
    match what {
        7 => {
            let expected = model.put(from, &key, b as u64, &value(a));
            assert_eq!(rig.put(from, &key, b as u64, &value(a)), expected);
        }
        8 => {
            let kept = model.mutables.renew(now, topic_of(&key));
            let expected = answer(kept.filter(|kept| kept.0 >= b as u64).map(|kept| kept.2));
            let (target, least) = (Some(topic_of(&key)), [b as u8]);
            let action = rig.ask(from, command::MUTABLE_GET, target, None, Some(&least));
            assert_eq!(action, expected);
        }
        9 => {
            let put = model.immutables.put(now, hash(&value(a)), value(a), place(from), false);
            assert_eq!(rig.immutable_put(from, &value(a)), kept(put));
        }
        _ => {
            let target = hash(&value(a));
            let expected = answer(model.immutables.renew(now, target));
            assert_eq!(rig.ask(from, command::IMMUTABLE_GET, Some(target), None, None), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_service_does_what_the_model_does(steps in steps()) {
        let mut rig = Rig::with(config());
        rig.own = Some(own());
        rig.service.handle_wall_clock(rig.now, Duration::from_millis(TIME));
        let mut model = Model::new(rig.now);
        for step in steps {
            wait(&mut rig, &mut model, step.6);
            check(&mut rig, &mut model, step);
            rig.service.check_invariants();
        }
    }
}
