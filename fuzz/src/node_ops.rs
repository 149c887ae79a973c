//! Any calls on one node, in any order, with whatever the network might say to it.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::{self, CloserNodes, Message, Token};
use dht_core::{
    Answer, BootstrapNode, Config, DATAGRAM_MAX, Event, Handled, Id, Instant, Lookup, Node,
    NodeFilter, Query, QueryId, ReplyTo, Request, RequestId, SavedNode, SessionId, Transmit, Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Source;

/// Whatever is called, the node's state stays consistent and within its bounds, what can't
/// count changes nothing that is sent, and in the end everything that was begun has ended,
/// once.
///
/// The input: six bytes for the configuration, then calls, each a byte for which and as many
/// more as it needs (see `World::call`).
pub fn node_ops(data: &[u8]) {
    let mut source = Source::new(data);
    let mut world = World::new(&mut source);
    while !source.is_empty() {
        world.call(&mut source);
        world.node.check_invariants();
    }
    world.settle();
}

/// How many of each kind of thing are remembered for later calls.
const KEPT: usize = 48;

struct World {
    node: Node,
    now: Instant,
    /// The latest that the node may have been told.
    latest: Instant,
    /// Requests, and whether their end was told and taken.
    requests: BTreeMap<RequestId, Ending>,
    queries: BTreeMap<QueryId, Ending>,
    /// For picking one, gone or not.
    request_ids: Vec<RequestId>,
    query_ids: Vec<QueryId>,
    /// Datagrams that the node has sent, the latest last.
    sent: VecDeque<(Transmit, Vec<u8>)>,
    /// Incoming requests, to be answered whenever.
    incoming: VecDeque<ReplyTo>,
    /// The last token that each address got from the node.
    tokens: BTreeMap<SocketAddrV4, Token>,
    lookups: VecDeque<Lookup>,
    saved: Vec<SavedNode>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ending {
    told: bool,
    taken: bool,
    cancelled: bool,
}

impl Ending {
    fn told(&mut self) {
        assert!(!self.told, "told twice");
        assert!(!self.cancelled, "told after it was cancelled");
        self.told = true;
    }

    fn taken(&mut self) {
        assert!(!self.taken && !self.cancelled, "taken twice, or after it was cancelled");
        self.taken = true;
    }

    fn is_over(self) -> bool {
        self.taken || self.cancelled
    }
}

impl World {
    fn new(source: &mut Source<'_>) -> Self {
        let now = Instant::from_millis(u64::from(source.byte()) * 1_000);
        let config = config(source);
        let seed = [source.byte(); 32];
        let node = Node::new(config, &mut ChaCha20Rng::from_seed(seed), now);
        let mut node = node.expect("numbers within their ranges");
        node.set_node_events(seed[0] & 1 != 0);
        Self {
            node,
            now,
            latest: now,
            requests: BTreeMap::new(),
            queries: BTreeMap::new(),
            request_ids: Vec::new(),
            query_ids: Vec::new(),
            sent: VecDeque::new(),
            incoming: VecDeque::new(),
            tokens: BTreeMap::new(),
            lookups: VecDeque::new(),
            saved: Vec::new(),
        }
    }

    /// One call. The most common ones have several numbers, so that they are.
    fn call(&mut self, source: &mut Source<'_>) {
        match source.byte() % 48 {
            0..=4 => self.transmit(None, usize::MAX),
            5 => {
                let only = source.byte();
                self.transmit(Some(via(only)), usize::from(only >> 4));
            }
            6..=13 => self.answer(source),
            14..=17 => self.ask(source),
            18 => {
                let (via, from) = (via(source.byte()), addr(source.byte()));
                let len = usize::from(source.byte());
                let bytes: Vec<u8> = (0..len).map(|_| source.byte()).collect();
                self.deliver(via, from, &bytes);
            }
            19 => self.echo(source),
            20..=22 => self.wait(source),
            23..=25 => self.timeout(),
            26 => self.events(usize::from(source.byte())),
            27..=29 => self.request(source),
            30 | 31 => self.query(source),
            32 => self.end_request(source),
            33 => self.read_query(source),
            34 => self.end_query(source),
            35 => {
                let session = SessionId(u64::from(source.byte() & 3));
                self.node.end_session(self.now, session);
            }
            36 => self.node.add_node(self.now, addr(source.byte())),
            37 => self.table(source),
            38 => self.reply(source),
            39 => self.node.maintain(self.now, source.byte() & 1 == 0),
            40 => self.look_up(source),
            41 => self.node.handle_network_change(self.now),
            42 => self.node.handle_wakeup(self.now),
            43 => self.life(source),
            // A fork has to behave like the original.
            44 => self.node = self.node.clone(),
            _ => {
                let (client, server) = (own(Via::Client), own(Via::Server));
                self.node.handle_bound(self.now, client, server);
            }
        }
    }

    fn transmit(&mut self, only: Option<Via>, most: usize) {
        let mut buf = [0; DATAGRAM_MAX];
        for _ in 0..most {
            let transmit = match only {
                Some(via) => self.node.poll_transmit_via(self.now, via, &mut buf),
                None => self.node.poll_transmit(self.now, &mut buf),
            };
            let Some(transmit) = transmit else { break };
            self.sent(transmit, &buf);
        }
    }

    fn sent(&mut self, transmit: Transmit, buf: &[u8; DATAGRAM_MAX]) {
        let bytes = &buf[..transmit.len];
        assert!(bytes.len() <= self.node.config().max_datagram);
        assert!(transmit.to.port() != 0 && !transmit.to.ip().is_unspecified());
        let id = match wire::decode(bytes).expect("what is sent can be read") {
            Message::Request(request) => {
                assert_eq!(request.to, transmit.to);
                request.id.copied()
            }
            Message::Response(response) => {
                if let Some(token) = response.token {
                    self.tokens.insert(transmit.to, *token);
                }
                response.id.copied()
            }
        };
        // Requests keep the id of their first try, hence no equality with `node.id()`.
        assert!(id.is_none() || transmit.via == Via::Server, "an id by another socket");
        keep(&mut self.sent, (transmit, bytes.to_vec()));
    }

    /// Somebody answers one of the node's requests, well or badly.
    fn answer(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let Some((transmit, bytes)) = nth_latest(&self.sent, which) else { return };
        let Ok(Message::Request(request)) = wire::decode(bytes) else { return };
        let from = if how & 0xc0 == 0xc0 { addr(source.byte()) } else { transmit.to };
        let tid = if how & 0xe0 == 0xa0 { source.byte().into() } else { request.tid };
        let more = source.byte();
        let id = match more & 3 {
            0 => None,
            1 => Some([more; 32]),
            _ => Some(*Id::of(from).as_bytes()),
        };
        let count = if how & 1 != 0 { source.byte() % 24 } else { 0 };
        let nodes: Vec<_> = (0..count).map(|_| wire::addr_bytes(addr(source.byte()))).collect();
        let response = wire::Response {
            tid,
            to: if more & 4 != 0 { addr(source.byte()) } else { own(transmit.via) },
            id: id.as_ref(),
            token: (how & 2 != 0).then_some(&[7; 32]),
            closer_nodes: (how & 1 != 0).then(|| CloserNodes::new(&nodes)),
            error: if how & 4 != 0 { u64::from(source.byte() & 3) } else { 0 },
            value: (how & 8 != 0).then_some(b"value"),
        };
        let mut buf = vec![0; response.encoded_len()];
        response.encode(&mut buf).expect("it fits");
        let via = if more & 8 != 0 { via(source.byte()) } else { transmit.via };
        self.deliver(via, from, &buf);
    }

    /// Somebody asks the node.
    fn ask(&mut self, source: &mut Source<'_>) {
        let (how, from) = (source.byte(), addr(source.byte()));
        let command = source.byte();
        let (internal, command) = (command & 8 == 0, u64::from(command & 7));
        let tokens = self.tokens.get(&from).copied();
        let id = match how & 3 {
            0 => None,
            1 => Some([how; 32]),
            _ => Some(*Id::of(from).as_bytes()),
        };
        let value = match command {
            1 => source.array::<2>().to_vec(),
            3 => wire::addr_bytes(addr(source.byte())).to_vec(),
            // Up to about 16 s.
            4 => (u32::from(source.byte()) << 6).to_le_bytes().to_vec(),
            _ => vec![how; 5],
        };
        let target = [how; 32];
        let request = wire::Request {
            tid: source.byte().into(),
            to: own(Via::Server),
            id: id.as_ref(),
            token: match how >> 2 & 3 {
                0 => Some(&[9; 32]),
                1 => tokens.as_ref(),
                _ => None,
            },
            internal,
            command,
            target: (how & 16 == 0).then_some(&target),
            value: (how & 32 == 0).then_some(&value[..]),
        };
        let mut buf = vec![0; request.encoded_len()];
        request.encode(&mut buf).expect("it fits");
        self.deliver(via(how >> 6), from, &buf);
    }

    /// Bytes that the node has sent come back, changed in some places or cut.
    fn echo(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let Some((transmit, bytes)) = nth_latest(&self.sent, which) else { return };
        let (mut bytes, from, via) = (bytes.clone(), transmit.to, transmit.via);
        for _ in 0..how & 3 {
            let at = usize::from(u16::from_le_bytes(source.array())) % bytes.len();
            bytes[at] ^= source.byte();
        }
        if how & 4 != 0 {
            bytes.truncate(usize::from(source.byte()));
        }
        if how & 8 != 0 {
            bytes.resize(DATAGRAM_MAX + usize::from(how >> 4) - 8, how);
        }
        self.deliver(via, from, &bytes);
    }

    fn deliver(&mut self, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        let before = self.node.clone();
        if let Handled::Request(incoming) = self.node.handle_datagram(self.now, via, from, bytes) {
            assert_eq!(incoming.reply_to.from(), from);
            assert!(incoming.from.id.is_none_or(|id| id == Id::of(from)));
            keep(&mut self.incoming, incoming.reply_to);
        }
        if ignored(&self.node) > ignored(&before) {
            // No answer to it, and nothing else that would not have been sent anyway. The
            // comparison begins where time has been noticed in both.
            let mut before = before;
            before.maintain(self.now, true);
            let mut after = self.node.clone();
            after.maintain(self.now, true);
            assert_eq!(after.table_len(), before.table_len());
            assert_eq!(after.poll_timeout(), before.poll_timeout());
            assert!(drain(after, self.now) == drain(before, self.now), "it had an effect");
        }
    }

    fn wait(&mut self, source: &mut Source<'_>) {
        let n = u64::from(source.byte());
        let ms = Duration::from_millis;
        self.now = match source.byte() % 8 {
            0 => self.now + Duration::from_micros(n),
            1 => self.now + ms(n),
            2 => self.now + ms(n * 20),
            3 => self.now + ms(n * 250),
            4 => self.now + ms(n * 60_000),
            5 => Instant::from_micros(self.now.as_micros().saturating_sub(n * 500_000)),
            6 => self.node.poll_timeout().unwrap_or(self.now) + ms(n * 50),
            _ if n == 255 => Instant::MAX,
            _ => self.now + ms(n * 750),
        };
        self.latest = self.latest.max(self.now);
    }

    /// The time that the node has asked for comes, or it was called too early.
    fn timeout(&mut self) {
        if let Some(deadline) = self.node.poll_timeout() {
            self.now = self.now.max(deadline);
        }
        self.node.handle_timeout(self.now);
        if let Some(deadline) = self.node.poll_timeout() {
            let due = deadline > self.now || self.now == Instant::MAX;
            assert!(due, "{deadline:?} is past at {:?}", self.now);
        }
    }

    fn events(&mut self, most: usize) {
        for _ in 0..most {
            match self.node.poll_event() {
                Some(Event::Response(id)) => {
                    let ending = self.requests.get_mut(&id).expect("it was begun");
                    ending.told();
                }
                Some(Event::Finished(id)) => {
                    let ending = self.queries.get_mut(&id).expect("it was begun");
                    ending.told();
                }
                Some(Event::Reply(id)) => {
                    let ending = self.queries.get(&id).expect("it was begun");
                    assert!(!ending.told, "a reply after the end");
                }
                Some(_) => {}
                None => break,
            }
        }
    }

    fn request(&mut self, source: &mut Source<'_>) {
        let (how, to, more) = (source.byte(), addr(source.byte()), source.byte());
        let mut request = match how & 7 {
            0 => Request::ping(to),
            1 => Request::delayed_ping(to, Duration::from_millis(u64::from(more) * 42)),
            2 => Request::new(to, u64::MAX >> (more & 15)),
            _ => Request::new(to, u64::from(more)),
        };
        if how & 7 > 1 {
            let len = if more & 0x40 != 0 { usize::from(more & 0x3f) * 40 } else { 3 };
            request = request.value(vec![more; len]);
        }
        if how & 8 != 0 {
            request = request.target(Id([more; 32])).token([more; 32]);
        }
        if how & 16 != 0 {
            request = request.session(SessionId(u64::from(more & 3))).ttl(more);
        }
        if how & 32 != 0 {
            request = request.any_replier();
        }
        if how & 64 != 0 {
            request = request.via(via(more));
        }
        if how & 128 != 0 {
            request = request.retries(if more == 255 { 255 } else { more & 7 });
        }
        if let Ok(id) = self.node.request(self.now, request) {
            assert_eq!(self.requests.insert(id, Ending::default()), None, "an id used twice");
            self.request_ids.push(id);
        }
    }

    fn query(&mut self, source: &mut Source<'_>) {
        let (how, more, target) = (source.byte(), source.byte(), source.byte());
        let target = Id([target; 32]);
        let mut query = match more & 1 {
            0 => Query::find_node(target),
            _ => Query::new(target, 5).value(vec![more; usize::from(more)]),
        };
        if how & 1 != 0 {
            query = query.commit();
        }
        if how & 2 != 0 {
            let count = usize::from(source.byte() & 0x3f);
            query = query.nodes((0..count).map(|_| addr(source.byte())));
        }
        if how & 4 != 0 {
            query = query.only_closest_nodes();
        }
        if how & 8 != 0 {
            query = query.concurrency(u16::from(more) * 4).retries(more & 3);
        }
        if how & 16 != 0 {
            query = query.thorough();
        }
        if how & 32 != 0 {
            query = query.force();
        }
        if how & 64 != 0 {
            query = query.discard_replies();
        }
        if how & 128 != 0 {
            query = query.session(SessionId(u64::from(more & 3)));
        }
        if let Ok(id) = self.node.query(self.now, query) {
            assert_eq!(self.queries.insert(id, Ending::default()), None, "an id used twice");
            self.query_ids.push(id);
        }
    }

    fn end_request(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        let Some(&id) = self.request_ids.get(usize::from(which >> 1)) else { return };
        if which & 1 == 0 {
            return self.take_response(id);
        }
        // Told or not: from now on there is silence about it.
        self.node.cancel_request(self.now, id);
        self.forget_request(id);
    }

    fn take_response(&mut self, id: RequestId) {
        let taken = self.node.take_response(id).is_some();
        let ending = self.requests.get_mut(&id).expect("it was begun");
        if taken {
            ending.taken();
        } else {
            assert!(!ending.told || ending.is_over(), "told, and not there");
        }
    }

    /// Events about it may still be in the queue, if it had ended already.
    fn forget_request(&mut self, id: RequestId) {
        self.events(usize::MAX);
        let ending = self.requests.get_mut(&id).expect("it was begun");
        ending.cancelled |= !ending.taken;
    }

    fn read_query(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        let Some(&id) = self.query_ids.get(usize::from(which >> 3)) else { return };
        for _ in 0..which & 7 {
            if let Some(reply) = self.node.next_reply(id) {
                assert_eq!(reply.error, 0);
            }
        }
        let closest = self.node.closest_nodes(id);
        assert!(closest.len() <= dht_core::K);
        assert!(closest.iter().all(|peer| peer.id == Some(Id::of(peer.addr))));
        if which & 7 == 0 {
            self.take_outcome(id);
        }
    }

    fn take_outcome(&mut self, id: QueryId) {
        let outcome = self.node.take_outcome(id);
        let ending = self.queries.get_mut(&id).expect("it was begun");
        match outcome {
            Some(outcome) => {
                ending.taken();
                if let Ok(outcome) = outcome {
                    assert!(outcome.closest.len() <= dht_core::K && outcome.asked <= 200);
                }
            }
            None => assert!(!ending.told || ending.is_over(), "told, and not there"),
        }
    }

    fn end_query(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        let Some(&id) = self.query_ids.get(usize::from(which >> 2)) else { return };
        match which & 3 {
            0 => self.node.discard_replies(id),
            1 => self.node.finish_query(self.now, id),
            _ => {
                self.node.cancel_query(self.now, id);
                self.events(usize::MAX);
                let ending = self.queries.get_mut(&id).expect("it was begun");
                ending.cancelled |= !ending.taken;
            }
        }
    }

    fn table(&mut self, source: &mut Source<'_>) {
        let how = source.byte();
        match how & 3 {
            0 => self.node.refresh(self.now),
            1 => {
                self.saved = self.node.export();
                assert!(self.saved.iter().map(|node| node.addr).eq(self.node.nodes()));
                assert_eq!(self.saved.len(), self.node.table_len());
            }
            2 => {
                let away = Duration::from_secs(u64::from(how) << (how & 31));
                self.node.import(self.now, &self.saved, away);
            }
            _ => self.node.set_node_events(how & 4 == 0),
        }
    }

    fn reply(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let Some(&to) = nth_latest(&self.incoming, which) else { return };
        let len = usize::from(how & 0x3f) * 32;
        let _refused = if how & 0xc0 == 0xc0 {
            let value = (how & 1 != 0).then(|| vec![how; len].into());
            self.node.relay(self.now, to, addr(which), value)
        } else {
            let mut answer = match how & 0xc0 {
                0 => Answer::value(vec![how; len]),
                0x40 => Answer::error(u64::from(how & 31)),
                _ => Answer::empty(),
            };
            if which & 128 != 0 {
                answer = answer.to(addr(how)).via(via(how)).token(how & 1 != 0);
            }
            self.node.reply(self.now, to, answer)
        };
    }

    fn look_up(&mut self, source: &mut Source<'_>) {
        let how = source.byte();
        if let Some(lookup) = self.node.poll_lookup() {
            assert!(!self.node.lookup_host(lookup).is_empty());
            keep(&mut self.lookups, lookup);
        }
        if let Some(&lookup) = nth_latest(&self.lookups, how & 7) {
            if how & 8 != 0 {
                let ip = (how & 16 == 0).then(|| *addr(how).ip());
                self.node.handle_resolved(self.now, lookup, ip);
            }
        }
    }

    fn life(&mut self, source: &mut Source<'_>) {
        match source.byte() {
            0..=4 => self.node.close(self.now),
            5..=127 => self.node.suspend(self.now),
            _ => self.node.resume(self.now),
        }
    }

    /// The embedder goes on as it should, and nobody answers any more: all has to end.
    fn settle(&mut self) {
        if self.latest == Instant::MAX {
            // Nothing comes after that.
            self.node.close(self.now);
        }
        self.node.resume(self.now);
        self.node.handle_bound(self.now, own(Via::Client), own(Via::Server));
        for rounds in 0.. {
            while self.node.poll_lookup().is_some() {}
            self.transmit(None, usize::MAX);
            self.events(usize::MAX);
            for id in self.request_ids.clone() {
                self.take_response(id);
            }
            for id in self.query_ids.clone() {
                while self.node.next_reply(id).is_some() {}
                self.take_outcome(id);
            }
            // What goes on for long says little new.
            if rounds < 32 || rounds % 16 == 0 {
                self.node.check_invariants();
            }
            self.requests.retain(|_, ending| !ending.is_over());
            self.queries.retain(|_, ending| !ending.is_over());
            self.request_ids.retain(|id| self.requests.contains_key(id));
            self.query_ids.retain(|id| self.queries.contains_key(id));
            if self.requests.is_empty() && self.queries.is_empty() {
                break;
            }
            assert!(rounds < 20_000, "it never ends: {:?} {:?}", self.requests, self.queries);
            self.timeout();
        }
        self.node.close(self.now);
        self.node.check_invariants();
        assert_eq!(self.node.poll_timeout(), None);
    }
}

fn config(source: &mut Source<'_>) -> Config {
    let [switches, bootstrap, window, bounds] = source.array();
    let on = |bit: u8| switches & bit != 0;
    let mut config = Config::default();
    if on(1) {
        config.ephemeral = Some(on(2));
    }
    config.firewalled = on(4);
    config.quick_firewall = !on(8);
    config.adaptive_timeout = on(16);
    if on(32) {
        config.public_address = Some(own(Via::Server));
    }
    if on(64) {
        // Everybody but one in eight.
        config.filter = Some(NodeFilter::new(|addr| addr.port() % 8 != 1));
    }
    if on(128) {
        config.nodes = (0..40).map(|n| addr(n * 6)).collect();
    }
    for n in 0..bootstrap & 3 {
        config.bootstrap.push(addr(n << 5 | 1).into());
    }
    for n in 0..bootstrap >> 2 & 3 {
        let name = format!("node{n}.example:4000");
        config.bootstrap.push(name.parse::<BootstrapNode>().expect("host:port"));
    }
    if window & 1 != 0 {
        config.max_window = u32::from(window >> 4) + 1;
        config.concurrency = u16::from(window >> 1) + 1;
    }
    if bounds & 1 != 0 {
        config.max_requests = usize::from(bounds >> 4) + 1;
        config.max_background_requests = 64;
        config.max_queries = 8;
        config.max_replies = usize::from(bounds >> 5) + 1;
        config.max_datagram = 1_000;
    }
    config.down_hints_rate_limit = (bounds & 2 != 0).then_some(3);
    config
}

/// Where the node's sockets seem to be from outside.
fn own(via: Via) -> SocketAddrV4 {
    let port = match via {
        Via::Client => 1_000,
        Via::Server => 2_000,
        Via::Extra(n) => 3_000 + n,
    };
    SocketAddrV4::new(Ipv4Addr::new(45, 9, 9, 9), port)
}

/// Few enough addresses that they meet again: eight networks, local ones and impossible
/// ones among them, of 32 addresses each.
fn addr(n: u8) -> SocketAddrV4 {
    let (host, port) = (n & 31, 4_000 + u16::from(n & 15));
    let ip = match n >> 5 {
        0 => Ipv4Addr::new(127, 0, 0, 1),
        1 => Ipv4Addr::new(45, 1, 1, host),
        2 => Ipv4Addr::new(45, 1, 2, host),
        // One per /24.
        3..=5 => Ipv4Addr::new(45, n, host, 1),
        6 => Ipv4Addr::new(192, 168, 0, host),
        _ => match host {
            0..=3 => return own(via(host)),
            4 => Ipv4Addr::UNSPECIFIED,
            5 => Ipv4Addr::BROADCAST,
            6 => return SocketAddrV4::new(Ipv4Addr::new(45, 1, 1, 1), 0),
            _ => Ipv4Addr::new(45, 1, 1, 1),
        },
    };
    // Many ports on the last one.
    SocketAddrV4::new(ip, port + if n >> 5 == 7 { u16::from(host) } else { 0 })
}

fn via(n: u8) -> Via {
    match n & 3 {
        0 => Via::Client,
        1 => Via::Server,
        n => Via::Extra(n.into()),
    }
}

/// What came in and can't have meant anything.
fn ignored(node: &Node) -> u64 {
    let drops = node.stats().drops;
    drops.not_ours
        + drops.oversize
        + drops.malformed
        + drops.port_zero
        + drops.suspended
        + drops.unsolicited
}

fn drain(mut node: Node, now: Instant) -> Vec<(Transmit, Vec<u8>)> {
    let mut buf = [0; DATAGRAM_MAX];
    let mut sent = Vec::new();
    while let Some(transmit) = node.poll_transmit(now, &mut buf) {
        sent.push((transmit, buf[..transmit.len].to_vec()));
    }
    sent
}

fn keep<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == KEPT {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// Counted from the end, so that the same number means the same for longer.
fn nth_latest<T>(queue: &VecDeque<T>, n: u8) -> Option<&T> {
    queue.iter().rev().nth(usize::from(n) % queue.len().max(1))
}
