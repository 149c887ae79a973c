//! One node, alone with a scripted world: datagrams are forged by hand, and whoever is in
//! `peers` answers as told. Virtual time, nothing random but the node's own seed.

// Every test file uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::{self, Message, Token};
use dht_core::{
    Answer, Config, DATAGRAM_MAX, Event, Handled, Id, Instant, Node, Outcome, Query, QueryError,
    QueryId, Reply, Request, RequestError, RequestId, Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const PING: u64 = 0;
pub const PING_NAT: u64 = 1;
pub const FIND_NODE: u64 = 2;
pub const DOWN_HINT: u64 = 3;
pub const DELAYED_PING: u64 = 4;

/// The public host of the node.
pub const HOST: Ipv4Addr = Ipv4Addr::new(45, 0, 0, 1);
pub const LATENCY: Duration = Duration::from_millis(20);

/// A datagram that the node has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Instant,
    pub via: Via,
    pub to: SocketAddrV4,
    pub ttl: Option<u8>,
    pub bytes: Vec<u8>,
}

impl Sent {
    pub fn request(&self) -> wire::Request<'_> {
        self.as_request().unwrap_or_else(|| panic!("not a request: {self:?}"))
    }

    pub fn as_request(&self) -> Option<wire::Request<'_>> {
        match wire::decode(&self.bytes) {
            Ok(Message::Request(request)) => Some(request),
            _ => None,
        }
    }

    pub fn response(&self) -> wire::Response<'_> {
        match wire::decode(&self.bytes) {
            Ok(Message::Response(response)) => response,
            other => panic!("not a response: {other:?}"),
        }
    }

    pub fn nodes(&self) -> Vec<SocketAddrV4> {
        self.response().closer_nodes.into_iter().flatten().collect()
    }
}

/// How somebody out there answers whatever they are asked.
#[derive(Clone, Debug)]
pub struct Fake {
    pub latency: Duration,
    /// Sends the id of its address.
    pub id: bool,
    pub token: Option<Token>,
    pub error: u64,
    pub value: Option<Vec<u8>>,
    pub nodes: Vec<SocketAddrV4>,
    /// How many datagrams it ignores first.
    pub deaf: u32,
    /// What it does on datagrams with a token, one after the other: the error and the token
    /// of its answer. Empty: nothing special.
    pub commits: Vec<(u64, Option<Token>)>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            latency: LATENCY,
            id: true,
            token: Some([7; 32]),
            error: 0,
            value: None,
            nodes: Vec::new(),
            deaf: 0,
            commits: Vec::new(),
        }
    }
}

impl Fake {
    pub fn naming(nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        Self { nodes: nodes.into_iter().collect(), ..Self::default() }
    }

    fn answer(&mut self, from: SocketAddrV4, request: &wire::Request<'_>) -> Option<Vec<u8>> {
        if self.deaf > 0 {
            self.deaf = self.deaf.saturating_sub(u32::from(self.deaf != u32::MAX));
            return None;
        }
        let (mut error, mut token) = (self.error, self.token);
        if request.token.is_some() && !self.commits.is_empty() {
            (error, token) = self.commits.remove(0);
        }
        let id = Id::of(from);
        let answer = Forged {
            id: self.id.then_some(*id.as_bytes()),
            token,
            error,
            value: self.value.clone(),
            nodes: self.nodes.clone(),
        };
        Some(answer.bytes(request.tid))
    }
}

/// A response made by hand.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    pub id: Option<[u8; 32]>,
    pub token: Option<Token>,
    pub error: u64,
    pub value: Option<Vec<u8>>,
    pub nodes: Vec<SocketAddrV4>,
}

impl Forged {
    /// An answer as `from` would honestly give it.
    pub fn by(from: SocketAddrV4) -> Self {
        Self { id: Some(*Id::of(from).as_bytes()), ..Self::default() }
    }

    pub fn bytes(&self, tid: u16) -> Vec<u8> {
        let response = wire::Response {
            tid,
            to: SocketAddrV4::new(HOST, 1000),
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            closer_nodes: None,
            error: self.error,
            value: self.value.as_deref(),
        };
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        if let Some(count) = u8::try_from(self.nodes.len()).ok().filter(|count| *count > 0) {
            // Put in by hand: liars send more of them than the codec would.
            let keys = usize::from(self.id.is_some()) + usize::from(self.token.is_some());
            let nodes = self.nodes.iter().flat_map(|addr| wire::addr_bytes(*addr));
            let field: Vec<u8> = std::iter::once(count).chain(nodes).collect();
            let at = 10 + 32 * keys;
            bytes.splice(at..at, field);
            bytes[1] |= 4;
        }
        bytes
    }
}

/// A request made by hand.
#[derive(Clone, Debug)]
pub struct Ask {
    pub tid: u16,
    pub id: Option<[u8; 32]>,
    pub token: Option<Token>,
    pub internal: bool,
    pub command: u64,
    pub target: Option<Id>,
    pub value: Option<Vec<u8>>,
}

impl Ask {
    pub fn internal(command: u64) -> Self {
        Self { internal: true, ..Self::user(command) }
    }

    pub fn user(command: u64) -> Self {
        let (id, token, target, value) = (None, None, None, None);
        Self { tid: 0x1234, id, token, internal: false, command, target, value }
    }

    pub fn target(self, target: Id) -> Self {
        Self { target: Some(target), ..self }
    }

    pub fn value(self, value: &[u8]) -> Self {
        Self { value: Some(value.to_vec()), ..self }
    }

    pub fn token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let request = wire::Request {
            tid: self.tid,
            to: SocketAddrV4::new(HOST, 2000),
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            internal: self.internal,
            command: self.command,
            target: self.target.as_ref().map(Id::as_bytes),
            value: self.value.as_deref(),
        };
        let mut bytes = vec![0; request.encoded_len()];
        request.encode(&mut bytes).unwrap();
        bytes
    }
}

pub struct Solo {
    pub node: Node,
    pub now: Instant,
    /// All that left and was not taken yet.
    pub sent: Vec<Sent>,
    pub events: Vec<Event>,
    pub peers: BTreeMap<SocketAddrV4, Fake>,
    /// Datagrams on their way to the node.
    queue: BTreeMap<(Instant, u64), (Via, SocketAddrV4, Vec<u8>)>,
    serial: u64,
}

impl Solo {
    /// Not bound yet.
    pub fn unbound(config: Config) -> Self {
        Self::seeded(1, config)
    }

    pub fn seeded(seed: u8, config: Config) -> Self {
        let now = Instant::from_millis(1_000);
        let node = Node::new(config, &mut ChaCha20Rng::from_seed([seed; 32]), now).unwrap();
        Self {
            node,
            now,
            sent: Vec::new(),
            events: Vec::new(),
            peers: BTreeMap::new(),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    pub fn bind(&mut self) {
        let (client, server) = (SocketAddrV4::new(HOST, 1000), SocketAddrV4::new(HOST, 2000));
        self.node.handle_bound(self.now, client, server);
        self.flush();
    }

    /// Bound, and ready unless it has bootstrap nodes.
    pub fn with(config: Config) -> Self {
        let mut solo = Self::unbound(config);
        solo.bind();
        solo
    }

    /// Firewalled and ephemeral, with nobody to bootstrap from.
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    /// With an id, and reachable.
    pub fn persistent() -> Self {
        Self::with(Config::bootstrapper(2000, &HOST.to_string()).unwrap())
    }

    /// Hands a datagram in; what follows is in `sent`, even if it is a request for the application.
    pub fn hand_in<'d>(&mut self, via: Via, from: SocketAddrV4, data: &'d [u8]) -> Handled<'d> {
        let handled = self.node.handle_datagram(self.now, via, from, data);
        self.flush();
        handled
    }

    /// Somebody asks, at the server socket. What the node sends at once for it.
    pub fn ask(&mut self, from: SocketAddrV4, ask: &Ask) -> Vec<Sent> {
        self.sent.clear();
        let bytes = ask.bytes();
        assert_eq!(self.hand_in(Via::Server, from, &bytes), Handled::Consumed);
        std::mem::take(&mut self.sent)
    }

    /// Somebody asks the application, and gets this answer.
    pub fn serve(&mut self, from: SocketAddrV4, ask: &Ask, answer: Answer) -> Sent {
        let bytes = ask.bytes();
        let Handled::Request(incoming) = self.hand_in(Via::Server, from, &bytes) else {
            panic!("not handed on");
        };
        self.sent.clear();
        self.node.reply(self.now, incoming.reply_to, answer).unwrap();
        self.flush();
        assert_eq!(self.sent.len(), 1);
        self.sent.remove(0)
    }

    pub fn request(&mut self, request: Request) -> RequestId {
        let id = self.node.request(self.now, request).unwrap();
        self.flush();
        id
    }

    /// Several at once.
    pub fn requests(&mut self, requests: impl Iterator<Item = Request>) -> Vec<RequestId> {
        let begin = |request| self.node.request(self.now, request).unwrap();
        let ids = requests.map(begin).collect();
        self.flush();
        ids
    }

    pub fn query(&mut self, query: Query) -> QueryId {
        let id = self.node.query(self.now, query).unwrap();
        self.flush();
        id
    }

    /// Runs a query to its end, reading all replies.
    pub fn walk(&mut self, query: Query) -> (Vec<Reply>, Result<Outcome, QueryError>) {
        let id = self.query(query);
        let (mut replies, mut outcome) = (Vec::new(), None);
        self.run_until(|solo| {
            while let Some(reply) = solo.node.next_reply(id) {
                replies.push(reply);
            }
            outcome = solo.node.take_outcome(id);
            solo.flush();
            outcome.is_some()
        });
        (replies, outcome.unwrap())
    }

    pub fn response(&mut self, id: RequestId) -> Result<Reply, RequestError> {
        let mut result = None;
        self.run_until(|solo| {
            result = solo.node.take_response(id);
            result.is_some()
        });
        result.unwrap()
    }

    /// Sends and keeps what the node has to send and to say.
    pub fn flush(&mut self) {
        let mut buf = [0; DATAGRAM_MAX];
        while let Some(transmit) = self.node.poll_transmit(self.now, &mut buf) {
            let bytes = buf[..transmit.len].to_vec();
            let (via, to, ttl) = (transmit.via, transmit.to, transmit.ttl);
            let sent = Sent { at: self.now, via, to, ttl, bytes };
            let request = sent.as_request();
            if let (Some(peer), Some(request)) = (self.peers.get_mut(&to), request) {
                if let Some(bytes) = peer.answer(to, &request) {
                    let latency = peer.latency;
                    self.send(latency, via, to, bytes);
                }
            }
            self.sent.push(sent);
        }
        self.events.extend(std::iter::from_fn(|| self.node.poll_event()));
    }

    /// A datagram for the node that arrives later.
    pub fn send(&mut self, after: Duration, via: Via, from: SocketAddrV4, bytes: Vec<u8>) {
        self.serial += 1;
        self.queue.insert((self.now + after, self.serial), (via, from, bytes));
    }

    /// The next thing that happens before `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        let packet = self.queue.keys().next().map(|(at, _)| *at);
        let timer = self.node.poll_timeout();
        let Some(at) = packet.into_iter().chain(timer).min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        if packet == Some(at) {
            let (_, (via, from, bytes)) = self.queue.pop_first().unwrap();
            let _ = self.hand_in(via, from, &bytes);
        } else {
            self.node.handle_timeout(self.now);
            self.flush();
        }
        true
    }

    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub fn advance_ms(&mut self, millis: u64) {
        self.advance(Duration::from_millis(millis));
    }

    /// Runs until it is so; panics if it is not within a virtual hour.
    pub fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(3600);
        while !is_so(self) {
            assert!(self.step(end), "waited for an hour");
        }
    }

    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// Whom the node has asked `command` so far, in order.
    pub fn asked(&self, command: u64) -> Vec<SocketAddrV4> {
        let asks = |sent: &&Sent| sent.as_request().is_some_and(|r| r.command == command);
        self.sent.iter().filter(asks).map(|sent| sent.to).collect()
    }

    /// Checks what always holds, and hands the counters out.
    pub fn stats(&self) -> dht_core::Stats {
        let stats = self.node.stats();
        let requests = stats.requests;
        let ended = requests.responses + requests.timeouts + requests.cancelled;
        assert_eq!(requests.total, requests.active + ended, "{requests:?}");
        stats
    }
}

/// A public address, in a /24 of its own.
pub fn addr(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x2e00_0001 + (n << 8)), 4000)
}

/// Public addresses in /24s of their own, the nearest to `target` first.
pub fn by_distance(target: &Id, count: u32) -> Vec<SocketAddrV4> {
    let mut addrs: Vec<_> = (0..count).map(addr).collect();
    addrs.sort_by_cached_key(|addr| Id::of(*addr).distance(target));
    addrs
}

/// A point in the key space, the same for the same number.
pub fn target(n: u32) -> Id {
    Id::of(SocketAddrV4::new(Ipv4Addr::from(n), 7))
}

/// Milliseconds from `start`.
pub fn ms_since(start: Instant, at: Instant) -> u128 {
    at.saturating_since(start).as_millis()
}
