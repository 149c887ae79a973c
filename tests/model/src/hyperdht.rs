//! A node that serves hyperdht's commands, and peers who ask anything of it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use dht_core::hyperdht::{
    Action, Announcement, Handshake, Holepunch, KeyPair, Mode, Mutable, PeerRecord, Peers,
    PluginRequest, Service, ServiceConfig, ServiceStats, command, hash,
};
use dht_core::wire::{self, Message};
use dht_core::{Config, DATAGRAM_MAX, Exempt, Handled, Id, Incoming, Instant, Node, Via};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Source;

/// Whatever is asked, in any order: the stores stay consistent and within their limits, what is signed or bound to a token wrongly
/// is not served, what is right is, and nothing is sent to where the sender could not send it.
///
/// The input: two bytes for the configuration, then steps, each a byte for which and as many more as it needs (see
/// `World::step`).
pub fn hyperdht(data: &[u8]) {
    let mut source = Source::new(data);
    let mut world = World::new(&mut source);
    while !source.is_empty() {
        world.step(&mut source);
        world.check();
    }
}

const OWN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(45, 0, 0, 1), 2000);
/// Two of one /24, two at home, one on this machine.
const SENDERS: [[u8; 4]; 6] =
    [[46, 0, 0, 1], [46, 0, 0, 2], [46, 0, 1, 1], [10, 0, 0, 1], [192, 168, 0, 1], [127, 0, 0, 1]];
/// Each the hash of the one before.
const TOKENS: usize = 5;

struct World {
    now: Instant,
    node: Node,
    service: Service,
    config: ServiceConfig,
    pairs: [KeyPair; 3],
    refreshes: [[u8; 32]; TOKENS],
    /// The last token that was asked for, of any sender.
    stale: [u8; 32],
}

/// What is asked, and whether it is as it should be.
struct Ask {
    command: u64,
    target: Option<Id>,
    value: Option<Bytes>,
    /// Whether it needs a token.
    stores: bool,
    /// Signed for something else, or under the hash of something else.
    forged: bool,
    /// Not as it was made.
    changed: bool,
}

impl World {
    fn new(source: &mut Source<'_>) -> Self {
        let (switches, now) = (source.byte(), Instant::ZERO);
        let mut rng = ChaCha20Rng::from_seed([source.byte(); 32]);
        let bytes = [1_000, 3_000, 9_000, 40_000][usize::from(switches & 3)];
        let config = ServiceConfig {
            topic_bytes: bytes,
            peer_bytes: bytes,
            refresh_bytes: bytes,
            bump_bytes: bytes,
            mutable_bytes: bytes,
            immutable_bytes: bytes,
            checks_per_second: [2, 50][usize::from(switches >> 2 & 1)],
            checks_per_source: [1, 20][usize::from(switches >> 3 & 1)],
            exempt: if switches & 16 == 0 { Exempt::Local } else { Exempt::Nobody },
            ..ServiceConfig::default()
        };
        let own = Config::bootstrapper(OWN.port(), &OWN.ip().to_string()).expect("an address");
        let mut node = Node::new(own, &mut rng, now).expect("numbers within their ranges");
        node.handle_bound(now, SocketAddrV4::new(*OWN.ip(), 1000), OWN);
        let mut service = Service::new(config.clone(), &mut rng);
        service.register("chat", 1);
        let mut refreshes = [[9; 32]; TOKENS];
        for at in 1..TOKENS {
            refreshes[at] = hash(&refreshes[at - 1]).0;
        }
        let pairs = [1, 2, 3].map(|n| KeyPair::from_seed([n; 32]));
        Self { now, node, service, config, pairs, refreshes, stale: [0; 32] }
    }

    fn step(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        if which < 0xe0 {
            return self.request(u64::from(which % 13), source);
        }
        match which % 8 {
            0..=5 => {
                let millis = [1, 1_000, 8_000, 400_000, 1_200_000, 72_000_000];
                self.pass(Duration::from_millis(millis[usize::from(which % 8)]));
            }
            6 => self.service.handle_timeout(self.now),
            _ => {
                let n = source.byte();
                self.service.handle_wall_clock(self.now, Duration::from_secs(u64::from(n)));
                self.service.unannounce(&self.topic(n / 8), &self.pair(n).public_key());
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.node.handle_timeout(self.now);
        self.drain();
    }

    fn pair(&self, n: u8) -> &KeyPair {
        &self.pairs[usize::from(n) % self.pairs.len()]
    }

    /// Two topics, and those of the keys.
    fn topic(&self, n: u8) -> Id {
        match n % 5 {
            n @ 0..2 => hash(&[n]),
            n => hash(self.pair(n - 2).public_key().as_bytes()),
        }
    }

    fn request(&mut self, command: u64, source: &mut Source<'_>) {
        let [sender, how, at] = source.array();
        let host = Ipv4Addr::from(SENDERS[usize::from(sender) % SENDERS.len()]);
        let from = SocketAddrV4::new(host, 4000);
        let token = match how & 3 {
            0 | 1 => self.token(from),
            2 => Some(self.stale),
            _ => None,
        };
        let genuine = how & 3 < 2 && token.is_some();
        let mut ask = self.ask(command, how & 4 != 0, token.unwrap_or([5; 32]), source);
        if how & 8 != 0 {
            ask.target = None;
            ask.changed = true;
        }
        if how & 16 != 0 {
            let mut value = ask.value.unwrap_or_default().to_vec();
            let len = value.len().max(1);
            match value.get_mut(usize::from(at) % len) {
                Some(byte) if how & 32 != 0 => *byte ^= source.byte().max(1),
                _ => value.truncate(usize::from(at) % len),
            }
            (ask.value, ask.changed) = (Some(value.into()), true);
        }
        self.hand_in(from, token, genuine, &ask);
    }

    /// What somebody asks: with `forged`, wrongly.
    fn ask(&self, command: u64, forged: bool, token: [u8; 32], source: &mut Source<'_>) -> Ask {
        let [a, b, c] = source.array();
        let (topic, pair) = (self.topic(a), self.pair(a / 5));
        let mut ask = Ask {
            command,
            target: Some(topic),
            value: None,
            stores: false,
            forged,
            changed: false,
        };
        match command {
            command::PEER_HANDSHAKE | command::PEER_HOLEPUNCH => {
                ask.value = Some(relayed(command, b, c));
            }
            command::ANNOUNCE if b >= 0xf0 => {
                let refresh = Some(self.refreshes[usize::from(b) % TOKENS]);
                let announcement = Announcement { refresh, ..Announcement::default() };
                // Whether there is something to refresh is not known here.
                (ask.value, ask.stores, ask.changed) = (Some(announcement.encode()), true, true);
            }
            command::ANNOUNCE | command::UNANNOUNCE => {
                let refresh = (c % 2 == 0).then(|| self.refreshes[usize::from(c / 2) % TOKENS]);
                let bound = if forged { self.topic(a % 5 + 1) } else { topic };
                let announcement =
                    self.signed(command, bound, pair, token, usize::from(b % 6), refresh);
                let bump = u64::from(b) * 700;
                let value = Announcement { bump, ..announcement }.encode();
                (ask.value, ask.stores) = (Some(value), true);
            }
            command::MUTABLE_PUT => {
                let value = vec![b % 4; usize::from(c) * 5];
                let signed = Mutable::sign(pair, u64::from(b / 64), &value);
                let mut signed = signed.unwrap_or_else(|never| match never {});
                signed.seq += u64::from(forged);
                ask.target = Some(hash(pair.public_key().as_bytes()));
                (ask.value, ask.stores) = (Some(signed.encode_put(&pair.public_key())), true);
            }
            command::MUTABLE_GET => {
                ask.target = Some(hash(pair.public_key().as_bytes()));
                ask.value = Some(vec![b % 8].into());
            }
            command::IMMUTABLE_PUT | command::IMMUTABLE_GET => {
                let value = vec![b % 8; usize::from(c) * 5];
                ask.target = Some(if forged { topic } else { hash(&value) });
                ask.stores = command == command::IMMUTABLE_PUT;
                ask.value = ask.stores.then(|| value.into());
            }
            command::PLUGIN => {
                let plugin = PluginRequest {
                    plugin: ["chat", "chit"][usize::from(b % 2)],
                    version: u64::from(b / 2 % 2),
                    command: u64::from(c),
                    value: None,
                };
                ask.value = Some(plugin.encode());
            }
            _ => {}
        }
        ask
    }

    fn signed(
        &self,
        command: u64,
        topic: Id,
        pair: &KeyPair,
        token: [u8; 32],
        relays: usize,
        refresh: Option<[u8; 32]>,
    ) -> Announcement {
        let own = self.node.id().expect("a bootstrap node has one");
        let peer = PeerRecord { public_key: pair.public_key(), relay_addresses: vec![OWN; relays] };
        let bound = [
            &topic.0[..],
            &own.0,
            &token,
            &peer.encode(),
            refresh.as_ref().map_or(&[][..], |it| it),
        ];
        let namespace = [&hash(b"hyperswarm/dht").0[..], &[command as u8]].concat();
        let signable = [hash(&namespace).0, hash(&bound.concat()).0].concat();
        let signature = Some(pair.sign(&signable));
        Announcement { peer: Some(peer), refresh, signature, bump: 0 }
    }

    /// The node's token for a sender, who asks for nodes to get it. None if too many ask.
    fn token(&mut self, from: SocketAddrV4) -> Option<[u8; 32]> {
        let target = hash(b"");
        let ask = wire::Request {
            tid: 1,
            to: OWN,
            id: None,
            token: None,
            internal: true,
            command: 2,
            target: Some(&target.0),
            value: None,
        };
        let mut buf = [0; DATAGRAM_MAX];
        let len = ask.encode(&mut buf).expect("room");
        let _ = self.node.handle_datagram(self.now, Via::Server, from, &buf[..len]);
        let mut token = None;
        while let Some(out) = self.node.poll_transmit(self.now, &mut buf) {
            if let Ok(Message::Response(response)) = wire::decode(&buf[..out.len]) {
                token = response.token.copied().or(token);
            }
        }
        self.stale = token.unwrap_or(self.stale);
        token
    }

    fn hand_in(&mut self, from: SocketAddrV4, token: Option<[u8; 32]>, genuine: bool, ask: &Ask) {
        let request = wire::Request {
            tid: 2,
            to: OWN,
            id: None,
            token: token.as_ref(),
            internal: false,
            command: ask.command,
            target: ask.target.as_ref().map(|target| &target.0),
            value: ask.value.as_deref(),
        };
        let mut buf = vec![0; DATAGRAM_MAX];
        let len = request.encode(&mut buf).expect("a datagram has room for it");
        let handled = self.node.handle_datagram(self.now, Via::Server, from, &buf[..len]);
        let Handled::Request(incoming) = handled else { return self.drain() };
        let (before, own) = (self.service.stats(), self.node.id());
        let mut twin = self.service.clone();
        let action = self.service.handle_request(self.now, own, &incoming);
        assert_eq!(twin.handle_request(self.now, own, &incoming), action, "the same again");
        self.judge(ask, genuine, before, &action);
        self.act(&incoming, action);
    }

    fn judge(&self, ask: &Ask, genuine: bool, before: ServiceStats, action: &Action<'_>) {
        let unchecked = self.service.stats().unchecked - before.unchecked;
        assert_eq!(matches!(action, Action::NotMine), ask.command > command::PLUGIN);
        if !ask.stores {
            return;
        }
        // A token that is old may still be good.
        let served = matches!(action, Action::Reply(_));
        assert!(!served || !ask.forged || ask.changed, "forged");
        if genuine && !ask.forged && !ask.changed && unchecked == 0 {
            assert!(served, "{action:?} to {}", ask.command);
        }
        if unchecked > 0 {
            assert_eq!(*action, Action::Silent);
        }
    }

    fn act(&mut self, incoming: &Incoming<'_>, action: Action<'_>) {
        let (to, from) = (incoming.reply_to, incoming.from.addr);
        let asked = incoming.value.map_or(0, <[u8]>::len);
        let sent = match action {
            Action::Reply(answer) => self.node.reply(self.now, to, answer),
            Action::Relay { to: next, value } => {
                assert!(value.len() <= asked + 12, "{} to {asked}", value.len());
                assert_may_send(from, next);
                self.node.relay(self.now, to, next, Some(value))
            }
            Action::Plugin(request) => {
                assert_eq!((request.plugin, request.version), ("chat", 1));
                return;
            }
            _ => return,
        };
        let _ = sent;
        let mut buf = [0; DATAGRAM_MAX];
        while let Some(out) = self.node.poll_transmit(self.now, &mut buf) {
            assert_may_send(from, out.to);
            if let Ok(Message::Response(response)) = wire::decode(&buf[..out.len]) {
                read(incoming.command, response.value);
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        let mut buf = [0; DATAGRAM_MAX];
        while self.node.poll_transmit(self.now, &mut buf).is_some() {}
        while self.node.poll_event().is_some() {}
    }

    fn check(&self) {
        self.service.check_invariants();
        self.node.check_invariants();
        let stats = self.service.stats();
        let limit = self.config.topic_bytes;
        for store in [
            stats.topics,
            stats.peers,
            stats.refreshes,
            stats.bumps,
            stats.mutables,
            stats.immutables,
        ] {
            assert!(store.bytes <= limit && store.entries <= limit, "{store:?}");
        }
        assert!(stats.bad_signatures <= stats.checked);
    }
}

/// A handshake or hole punch of any mode, also an unknown one, with any addresses.
fn relayed(command: u64, modes: u8, places: u8) -> Bytes {
    let addr = |n: u8| match n % 9 {
        0 => None,
        7 => Some(SocketAddrV4::new(Ipv4Addr::new(46, 0, 0, 1), 0)),
        8 => Some(SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 1), 1)),
        n => Some(SocketAddrV4::new(Ipv4Addr::from(SENDERS[usize::from(n - 1)]), 4000)),
    };
    use Mode::{FromClient, FromRelay, FromSecondRelay, FromServer, Reply};
    let all = [FromClient, FromServer, FromRelay, FromSecondRelay, Reply];
    let mode = all[usize::from(modes) % all.len()];
    let (peer_address, relay_address) = (addr(places), addr(places / 16));
    match command {
        command::PEER_HANDSHAKE => {
            Handshake { mode, noise: b"noise", peer_address, relay_address }.encode()
        }
        _ => Holepunch { mode, id: modes.into(), payload: b"payload", peer_address }.encode(),
    }
}

/// Nobody has a node send to where they could not send themselves.
fn assert_may_send(from: SocketAddrV4, to: SocketAddrV4) {
    let at_home = |addr: SocketAddrV4| addr.ip().is_private() || addr.ip().is_loopback();
    assert!(to.port() != 0 && !to.ip().is_multicast(), "{to}");
    assert!(!at_home(to) || at_home(from), "{to} for {from}");
    assert!(!to.ip().is_loopback() || from.ip().is_loopback(), "{to} for {from}");
}

/// Answers can be read.
fn read(command: u64, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    match command {
        command::LOOKUP => {
            let peers = Peers::decode(value).expect("peers").peers;
            assert!((1..=20).contains(&peers.len()));
            assert!(peers.iter().all(|peer| peer.relay_addresses.len() <= 3));
        }
        command::FIND_PEER => assert!(PeerRecord::decode(value).is_ok()),
        command::MUTABLE_GET => assert!(Mutable::decode(value).is_ok()),
        command::PEER_HANDSHAKE => {
            assert_eq!(Handshake::decode(value).map(|it| it.mode), Ok(Mode::Reply));
        }
        command::PEER_HOLEPUNCH => {
            assert_eq!(Holepunch::decode(value).map(|it| it.mode), Ok(Mode::Reply));
        }
        _ => {}
    }
}
