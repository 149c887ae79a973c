//! `Service::memory_bound` is kept, counted by the allocator: with stores full of the smallest and of the largest entries, of
//! few topics and of many, filled, thinned out and filled again.
#![cfg(feature = "hyperdht")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, in functions that clippy doesn't take for one"
)]

mod heap;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use dht_core::hyperdht::{
    Action, Announcement, KeyPair, Mutable, PeerRecord, Service, ServiceConfig, Signature, command,
    hash,
};
use dht_core::{Config, DATAGRAM_MAX, Handled, Id, Incoming, Instant, Node, Token, Via, wire};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use heap::counted;

const OWN: Id = Id([3; 32]);
const TOKEN: [u8; 32] = [7; 32];

/// A request in which nothing is asked: only a node can make one.
fn template() -> Incoming<'static> {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut node = Node::new(Config::default(), &mut rng, Instant::ZERO).unwrap();
    let own = SocketAddrV4::new(Ipv4Addr::new(45, 0, 0, 1), 1);
    node.handle_bound(Instant::ZERO, own, own);
    let asks = wire::Request {
        tid: 1,
        to: own,
        id: None,
        token: None,
        internal: false,
        command: 0,
        target: None,
        value: None,
    };
    let datagram = vec![0; DATAGRAM_MAX].leak();
    let len = asks.encode(datagram).unwrap();
    match node.handle_datagram(Instant::ZERO, Via::Server, own, &datagram[..len]) {
        Handled::Request(incoming) => incoming,
        other => panic!("{other:?}"),
    }
}

struct Full {
    service: Service,
    template: Incoming<'static>,
    now: Instant,
    rng: ChaCha20Rng,
    bound: usize,
    pair: KeyPair,
}

/// Room for this many bytes in each store.
fn config(bytes: usize) -> ServiceConfig {
    ServiceConfig {
        topic_bytes: bytes,
        peer_bytes: bytes,
        refresh_bytes: bytes,
        bump_bytes: bytes,
        mutable_bytes: bytes,
        immutable_bytes: bytes,
        checks_per_second: 1_000,
        checks_per_source: 1_000,
        ..ServiceConfig::default()
    }
}

impl Full {
    fn new(config: ServiceConfig) -> Self {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let template = template();
        let bound = Service::memory_bound(&config);
        heap::reset();
        let mut service = counted(|| Service::new(config, &mut rng));
        let now = Instant::from_millis(1_000_000);
        service.handle_wall_clock(now, Duration::from_secs(1));
        let pair = KeyPair::from_seed([1; 32]);
        Self { service, template, now, rng, bound, pair }
    }

    /// A sender: each in a /24 of its own, or all of one.
    fn from(&mut self, nets: u32) -> SocketAddrV4 {
        let n = self.rng.next_u32() % nets;
        SocketAddrV4::new(Ipv4Addr::from_bits(0x2d00_0001 + (n << 8)), 1)
    }

    fn store(&mut self, nets: u32, command: u64, target: Id, value: &[u8]) {
        // For the signatures: a /24 may have 200 of 1,000 checked.
        self.now += Duration::from_millis(5);
        let mut request: Incoming<'_> = self.template;
        request.from.addr = self.from(nets);
        (request.command, request.target, request.value) = (command, Some(target), Some(value));
        request.token = Some(Token::from(TOKEN));
        let (service, now) = (&mut self.service, self.now);
        let gave_way = |service: &Service| {
            let stats = service.stats();
            let stores = [stats.topics, stats.peers, stats.mutables, stats.immutables];
            stores.iter().map(|store| store.gave_way).sum::<u64>()
        };
        let before = gave_way(service);
        let action = counted(|| service.handle_request(now, Some(OWN), &request));
        // What gives way at once is not confirmed.
        let is_kept = matches!(action, Action::Reply(_));
        assert!(is_kept || gave_way(service) > before, "{action:?}");
        let used = heap::peak() as usize;
        assert!(used <= self.bound, "{used} of {}", self.bound);
        counted(|| drop(action));
    }

    fn announce(&mut self, nets: u32, topic: Id, pair: &KeyPair, relays: usize) {
        let relay = SocketAddrV4::new(Ipv4Addr::new(45, 0, 0, 1), 1);
        let peer =
            PeerRecord { public_key: pair.public_key(), relay_addresses: vec![relay; relays] };
        let mut refresh = [0; 32];
        self.rng.fill_bytes(&mut refresh);
        let bound = [&topic.0[..], &OWN.0, &TOKEN, &peer.encode(), &refresh].concat();
        let namespace = [&hash(b"hyperswarm/dht").0[..], &[command::ANNOUNCE as u8]].concat();
        let signable = [hash(&namespace).0, hash(&bound).0].concat();
        let signature = Some(pair.sign(&signable));
        let (peer, refresh, bump) = (Some(peer), Some(refresh), 5);
        let value = Announcement { peer, refresh, signature, bump }.encode();
        self.store(nets, command::ANNOUNCE, topic, &value);
    }

    fn id(&mut self) -> Id {
        let mut id = [0; 32];
        self.rng.fill_bytes(&mut id);
        Id(id)
    }

    /// A pair of its own.
    fn pair(&mut self) -> KeyPair {
        KeyPair::from_seed(self.id().0)
    }

    /// The part of the bound that was ever taken, in percent.
    fn percent(&self) -> usize {
        heap::peak() as usize * 100 / self.bound
    }

    fn end(self) {
        self.service.check_invariants();
        counted(|| drop(self.service));
        assert_eq!(heap::used(), 0);
    }
}

#[test]
fn full_of_announcements() {
    for (bytes, steps, nets, relays, least) in [
        (400_000, 1_500, 1 << 16, 0, 40),
        (400_000, 1_500, 1, 3, 40),
        (40_000, 400, 50, 1, 20),
        (1_500, 100, 9, 2, 1),
        (0, 50, 9, 0, 0),
    ] {
        for topics in [1, 7, usize::MAX] {
            let mut full =
                Full::new(ServiceConfig { mutable_bytes: 0, immutable_bytes: 0, ..config(bytes) });
            let all: Vec<_> = (0..topics.min(10)).map(|_| full.id()).collect();
            for step in 0..steps {
                let pair = full.pair();
                let topic = match topics {
                    usize::MAX if step % 2 == 0 => hash(&pair.public_key().0),
                    usize::MAX => full.id(),
                    _ => all[step % all.len()],
                };
                full.announce(nets, topic, &pair, relays);
                // Of those that came together some go together.
                if step % (steps / 4) == 0 {
                    full.now += Duration::from_secs(9 * 60);
                }
            }
            let percent = full.percent();
            println!("{bytes} bytes, {topics} topics, {nets} /24s: {percent} % of the bound");
            let stats = full.service.stats();
            assert!(bytes == 0 || stats.topics.gave_way > 0 && stats.refreshes.gave_way > 0);
            // Else this would say little. Few topics leave the other stores empty.
            assert!(topics < 10 || percent >= least, "{percent} %");
            full.end();
        }
    }
}

#[test]
fn full_of_values() {
    for bytes in [1 << 20, 100_000, 1_500, 0] {
        for (least, most) in [(0, 1), (900, 1_000), (65_000, 65_300), (0, 3_000)] {
            let mut full = Full::new(ServiceConfig {
                mutable_bytes: bytes,
                immutable_bytes: bytes,
                max_value: 65_507,
                ..config(0)
            });
            let enough = 3 * bytes / (1_000 + least);
            for step in 0..(enough as u64).max(50) {
                let len = least + full.rng.next_u32() as usize % (most - least);
                let mut value = vec![7; len];
                let start = value.len().min(8);
                full.rng.fill_bytes(&mut value[..start]);
                full.store(1 << 16, command::IMMUTABLE_PUT, hash(&value), &value);
                let pair = full.pair();
                let put = Mutable::sign(&pair, step, &value).unwrap();
                let put = put.encode_put(&pair.public_key());
                let target = hash(&pair.public_key().0);
                full.store(1 << 16, command::MUTABLE_PUT, target, &put);
            }
            let percent = full.percent();
            println!("{bytes} bytes, values of {least}: {percent} % of the bound");
            let large = bytes == 1 << 20 && least > 10_000;
            assert!(!large || percent > 70, "{percent} % says little");
            full.end();
        }
    }
}

/// What a peer gets for a request that is not stored is freed; who is refused leaves nothing behind.
#[test]
fn what_is_refused_takes_nothing() {
    let mut full = Full::new(config(100_000));
    let value: Bytes = Announcement {
        peer: Some(PeerRecord { public_key: full.pair.public_key(), relay_addresses: Vec::new() }),
        refresh: None,
        signature: Some(Signature([1; 64])),
        bump: 0,
    }
    .encode();
    for n in 0..20_000_u32 {
        let mut request: Incoming<'_> = full.template;
        request.from.addr = SocketAddrV4::new(Ipv4Addr::from_bits(0x2d00_0001 + (n << 8)), 1);
        (request.command, request.target, request.value) =
            (command::ANNOUNCE, Some(OWN), Some(&value[..]));
        request.token = Some(Token::from(TOKEN));
        let (service, now) = (&mut full.service, full.now);
        let action = counted(|| service.handle_request(now, Some(OWN), &request));
        assert_eq!(action, Action::Silent);
    }
    // A thousand /24s whose signatures were checked.
    let stats = full.service.stats();
    assert_eq!((stats.checked, stats.bad_signatures, stats.unchecked), (1_000, 1_000, 19_000));
    assert!(heap::peak() < 40_000, "{}", heap::peak());
    full.end();
}

#[test]
fn what_it_may_take() {
    let bound = |config: &ServiceConfig| Service::memory_bound(config);
    let usual = ServiceConfig::default();
    let mib = bound(&usual) >> 20;
    assert!((116..=120).contains(&mib), "{mib} MiB");
    let raise: [fn(&mut ServiceConfig); 7] = [
        |c| c.topic_bytes += 1,
        |c| c.peer_bytes += 1,
        |c| c.refresh_bytes += 1,
        |c| c.bump_bytes += 1,
        |c| c.mutable_bytes += 1,
        |c| c.immutable_bytes += 1,
        |c| c.checks_per_second += 1,
    ];
    for (at, raise) in raise.into_iter().enumerate() {
        let mut config = usual.clone();
        raise(&mut config);
        assert!(bound(&config) > bound(&usual), "{at}");
    }
    let mut all = usual;
    all.topic_bytes = usize::MAX;
    assert_eq!(bound(&all), usize::MAX);
}
