//! One node, alone with a scripted world: datagrams are forged by hand, and whoever is in
//! `peers` answers as told. Virtual time, nothing random but the node's own seed.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{
    Answer, Config, DATAGRAM_MAX, Event, Handled, Id, Instant, Node, Outcome, Query, QueryError,
    QueryId, Reply, ReplyTo, Request, RequestError, RequestId, Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub use super::forge::{Ask, Fake, Forged};
pub use super::*;

pub const LATENCY: Duration = Duration::from_millis(20);

pub struct Solo {
    pub node: Node,
    pub now: Instant,
    /// All that left and was not taken yet.
    pub sent: Vec<Sent>,
    pub events: Vec<Event>,
    pub peers: BTreeMap<SocketAddrV4, Fake>,
    /// What becomes of an answer with this latency: when its copies arrive, if any.
    pub fate: Box<dyn FnMut(Duration) -> Vec<Duration>>,
    /// Who has been heard, in order.
    pub heard: Vec<SocketAddrV4>,
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
            fate: Box::new(|latency| vec![latency]),
            heard: Vec::new(),
            queue: BTreeMap::new(),
            serial: 0,
        }
    }

    pub fn bind(&mut self) {
        self.node.handle_bound(self.now, CLIENT, SERVER);
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
        Self::with(Config::bootstrapper(SERVER.port(), &HOST.to_string()).unwrap())
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

    /// Somebody asks the application.
    pub fn ask_application(&mut self, from: SocketAddrV4, ask: &Ask) -> ReplyTo {
        let bytes = ask.bytes();
        match self.hand_in(Via::Server, from, &bytes) {
            Handled::Request(incoming) => incoming.reply_to,
            other => panic!("{other:?}"),
        }
    }

    /// Somebody asks the application, and gets this answer.
    pub fn serve(&mut self, from: SocketAddrV4, ask: &Ask, answer: Answer) -> Sent {
        let to = self.ask_application(from, ask);
        self.sent.clear();
        self.node.reply(self.now, to, answer).unwrap();
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

    /// Puts a node into the table, if that has a place for it.
    pub fn add_node(&mut self, addr: SocketAddrV4) {
        self.node.add_node(self.now, addr).unwrap();
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
                    for delay in (self.fate)(peer.latency) {
                        self.send(delay, via, to, bytes.clone());
                    }
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
            self.heard.push(from);
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

/// Public addresses in /24s of their own, the nearest to `target` first.
pub fn by_distance(target: &Id, count: u32) -> Vec<SocketAddrV4> {
    let mut addrs: Vec<_> = (0..count).map(addr).collect();
    addrs.sort_by_cached_key(|addr| Id::of(*addr).distance(target));
    addrs
}

/// Milliseconds from `start`.
pub fn ms_since(start: Instant, at: Instant) -> u128 {
    at.saturating_since(start).as_millis()
}
