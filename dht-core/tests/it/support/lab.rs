//! One node among scripted peers, in virtual time: what the node does to its peers, and what they, liars among them,
//! can do to it. Every datagram that the node sends is kept. The only randomness is that of the node, from a fixed seed.
//!
//! How a peer answers is in `peer`; real nodes among each other are in `net`.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use dht_core::{
    Answer, Config, DATAGRAM_MAX, Event, Handled, Id, Instant, NameLookup, Node, Outcome,
    Persistence, Query, QueryError, QueryId, Reply, ReplyTo, Request, RequestError, RequestId,
    SavedNode, Stats, Unsent, Via, error_code, wire,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

pub use super::forge::{Ask, Forged};
pub use super::peer::{Peer, RTT};
pub use super::{
    CLIENT, DELAYED_PING, DOWN_HINT, FIND_NODE, HOST, PING, PING_NAT, SERVER, Sent, addr,
    addr as peer, flipped, target,
};

pub const TICK: Duration = Duration::from_secs(5);

/// How long a datagram travels.
pub const LATENCY: Duration = Duration::from_millis(10);

/// When a lab is made.
pub const BEGIN: Instant = Instant::from_millis(1_000_000);

/// A datagram under way to the node; the number keeps the order of datagrams that arrive at the same time.
type Arrival = (Instant, usize, Via, SocketAddrV4, Vec<u8>);

/// When the copies of an answer arrive, if any, given when the answer would arrive.
type Fate = Rc<RefCell<dyn FnMut(Duration) -> Vec<Duration>>>;

#[derive(Clone)]
pub struct Lab {
    pub node: Node,
    pub now: Instant,
    pub peers: BTreeMap<SocketAddrV4, Peer>,
    /// The datagrams that left and were not taken yet.
    pub sent: Vec<Sent>,
    pub events: Vec<Event>,
    /// Each told reason why the node is persistent, or is not.
    pub reasons: Vec<Persistence>,
    /// Names that the node wants to look up.
    pub lookups: Vec<(NameLookup, String)>,
    /// Whether names are taken from the node as soon as it wants to know them.
    pub takes_lookups: bool,
    /// What the application answers; without one: error 1.
    pub answer: Option<Answer>,
    /// The public addresses of the sockets.
    pub client: SocketAddrV4,
    pub server: SocketAddrV4,
    /// The reason why the system sends nothing, if so.
    pub refusal: Option<Unsent>,
    /// The sources of the datagrams that have arrived, in order.
    pub heard: Vec<SocketAddrV4>,
    fate: Option<Fate>,
    incoming: BinaryHeap<Reverse<Arrival>>,
    count: usize,
}

/// Peer `n` of a /24, which it shares with the other peers of that prefix.
pub fn neighbour(prefix: [u8; 3], n: u16) -> SocketAddrV4 {
    let [a, b, c] = prefix;
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, (n % 250) as u8 + 1), 4000 + n / 250)
}

/// `count` addresses whose ids fall into the far half of the key space, where a table around `own` has
/// one bucket only.
pub fn far_half(own: Id, count: usize) -> Vec<SocketAddrV4> {
    let far = |addr: &SocketAddrV4| (Id::of(*addr).0[0] ^ own.0[0]) & 0x80 != 0;
    (1000..).map(peer).filter(far).take(count).collect()
}

/// Public addresses in /24s of their own, the nearest to `target` first.
pub fn by_distance(target: &Id, count: u32) -> Vec<SocketAddrV4> {
    let mut addrs: Vec<_> = (0..count).map(addr).collect();
    addrs.sort_by_cached_key(|addr| Id::of(*addr).distance(target));
    addrs
}

/// Milliseconds from `start` to `at`.
pub fn ms_since(start: Instant, at: Instant) -> u128 {
    at.saturating_since(start).as_millis()
}

/// A request that a peer may send, without an id.
pub fn asks(command: u64) -> wire::Request<'static> {
    wire::Request {
        tid: 7,
        to: SERVER,
        id: None,
        token: None,
        internal: true,
        command,
        target: None,
        value: None,
    }
}

/// A node that joins the network by `peers`.
pub fn joining(peers: &[SocketAddrV4]) -> Config {
    let mut config = Config::default();
    config.bootstrap = peers.iter().map(|addr| (*addr).into()).collect();
    config
}

/// A node that wants to be persistent, and is firewalled as far as it knows.
pub fn wanting() -> Config {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    config
}

/// A node that is said to be reachable, so that it is persistent as soon as it knows its address.
pub fn told(bootstrap: &[SocketAddrV4]) -> Config {
    let mut config = joining(bootstrap);
    (config.ephemeral, config.firewalled) = (Some(false), false);
    config
}

/// How a query that was to commit ends when none of the nodes that it asked has answered.
pub fn unanswered(asked: u32) -> QueryError {
    QueryError::TooFewNodes {
        asked,
        answered: 0,
        without_id: 0,
        refused: 0,
        refusal: None,
        timed_out: 0,
    }
}

/// How a lab is made.
impl Lab {
    /// A node that is not bound yet.
    pub fn unbound(config: Config) -> Self {
        Self::with_seed(config, 1)
    }

    pub fn with_seed(config: Config, seed: u64) -> Self {
        let now = BEGIN;
        let node = Node::new(config, &mut ChaCha20Rng::seed_from_u64(seed), now).unwrap();
        Self {
            node,
            now,
            peers: BTreeMap::new(),
            sent: Vec::new(),
            events: Vec::new(),
            reasons: Vec::new(),
            lookups: Vec::new(),
            takes_lookups: true,
            answer: None,
            client: CLIENT,
            server: SERVER,
            refusal: None,
            heard: Vec::new(),
            fate: None,
            incoming: BinaryHeap::new(),
            count: 0,
        }
    }

    /// A node without peers, bound and ready; firewalled and ephemeral.
    pub fn alone() -> Self {
        Self::started(Config::default())
    }

    /// A reachable node with an id.
    pub fn persistent() -> Self {
        Self::started(Config::bootstrapper(SERVER.port(), &HOST.to_string()).unwrap())
    }

    /// A node, bound, and ready if it has no bootstrap nodes to wait for.
    pub fn started(config: Config) -> Self {
        let mut lab = Self::unbound(config);
        lab.bind();
        lab
    }

    /// A node that has bootstrapped among `count` peers: it knows all of them, peer 0 the latest.
    pub fn among(count: u32) -> Self {
        Self::joined(joining(&[peer(0)]), count)
    }

    /// The same, with another configuration.
    pub fn joined(config: Config, count: u32) -> Self {
        let mut lab = Self::unbound(config);
        for n in 0..count {
            lab.add_peer(peer(n)).closer = (0..count).map(peer).collect();
        }
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        lab.run_for(Duration::from_millis(100));
        // Not by `add_node`: a node that the user gives is never forgotten.
        let saved = |n| SavedNode { addr: peer(n), pinged: Duration::ZERO, added: Duration::ZERO };
        let saved: Vec<_> = (0..count).rev().map(saved).collect();
        lab.call(|node, now| node.import(now, &saved, Duration::ZERO));
        lab.sent.clear();
        lab.events.clear();
        lab
    }

    pub fn bind(&mut self) {
        let (client, server) = (self.client, self.server);
        self.call(|node, now| node.handle_bound(now, client, server));
    }

    pub fn add_peer(&mut self, addr: SocketAddrV4) -> &mut Peer {
        self.peers.entry(addr).or_default()
    }

    pub fn peer(&mut self, addr: SocketAddrV4) -> &mut Peer {
        self.peers.get_mut(&addr).unwrap()
    }

    /// From now on `fate` decides when the copies of an answer arrive, given when the answer would arrive.
    pub fn fate(&mut self, fate: impl FnMut(Duration) -> Vec<Duration> + 'static) {
        self.fate = Some(Rc::new(RefCell::new(fate)));
    }
}

/// What the node's user does.
impl Lab {
    /// Calls the node, then lets it send.
    pub fn call<T>(&mut self, call: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let result = call(&mut self.node, self.now);
        self.flush();
        result
    }

    pub fn request(&mut self, request: Request) -> RequestId {
        self.call(|node, now| node.request(now, request)).unwrap()
    }

    /// Pings a peer, which answers.
    pub fn ping(&mut self, to: SocketAddrV4) {
        let id = self.request(Request::ping(to));
        self.result(id).unwrap();
    }

    /// Begins several requests at once.
    pub fn requests(&mut self, requests: impl Iterator<Item = Request>) -> Vec<RequestId> {
        let begin = |request| self.node.request(self.now, request).unwrap();
        let ids = requests.map(begin).collect();
        self.flush();
        ids
    }

    /// Runs until a request has ended, and returns how.
    pub fn result(&mut self, id: RequestId) -> Result<Reply, RequestError> {
        let mut result = None;
        self.run_until(|lab| {
            result = lab.node.take_response(id);
            result.is_some()
        });
        result.unwrap()
    }

    /// Puts a node into the table, if there is a place for it; sends nothing yet.
    pub fn add_node(&mut self, addr: SocketAddrV4) {
        self.node.add_node(self.now, addr).unwrap();
    }

    pub fn query(&mut self, query: Query) -> QueryId {
        self.call(|node, now| node.query(now, query)).unwrap()
    }

    /// Runs a query to its end, reading all replies.
    pub fn walk(&mut self, query: Query) -> (Vec<Reply>, Result<Outcome, QueryError>) {
        let id = self.query(query);
        let (mut replies, mut outcome) = (Vec::new(), None);
        self.run_until(|lab| {
            while let Some(reply) = lab.node.next_reply(id) {
                replies.push(reply);
            }
            outcome = lab.node.take_outcome(id);
            lab.flush();
            outcome.is_some()
        });
        (replies, outcome.unwrap())
    }
}

/// What peers send.
impl Lab {
    /// A peer sends a request to the server socket. Returns what the node sends at once.
    pub fn hear(&mut self, from: SocketAddrV4, request: &wire::Request<'_>) -> Vec<Sent> {
        self.hear_via(Via::Server, from, request)
    }

    pub fn hear_via(
        &mut self,
        via: Via,
        from: SocketAddrV4,
        request: &wire::Request<'_>,
    ) -> Vec<Sent> {
        let mut buf = [0; DATAGRAM_MAX];
        let len = request.encode(&mut buf).unwrap();
        self.hear_bytes(via, from, &buf[..len])
    }

    pub fn hear_bytes(&mut self, via: Via, from: SocketAddrV4, bytes: &[u8]) -> Vec<Sent> {
        let before = self.sent.len();
        if let Handled::Request(incoming) = self.node.handle_datagram(self.now, via, from, bytes) {
            let answer = self.answer.clone();
            let answer = answer.unwrap_or(Answer::error(error_code::UNKNOWN_COMMAND));
            self.node.reply(self.now, incoming.reply_to, answer).unwrap();
        }
        self.flush();
        self.sent[before..].to_vec()
    }

    /// A peer sends a request that carries its id.
    pub fn hear_with_id(&mut self, from: SocketAddrV4, command: u64) -> Vec<Sent> {
        let id = Id::of(from).0;
        self.hear(from, &wire::Request { id: Some(&id), ..asks(command) })
    }

    /// A peer says that `about` is down.
    pub fn hint(&mut self, from: SocketAddrV4, about: SocketAddrV4) {
        let value = wire::addr_bytes(about);
        self.hear(from, &wire::Request { value: Some(&value), ..asks(DOWN_HINT) });
    }

    /// Hands a datagram in; a request for the application is not answered.
    pub fn hand_in<'d>(&mut self, via: Via, from: SocketAddrV4, data: &'d [u8]) -> Handled<'d> {
        let handled = self.node.handle_datagram(self.now, via, from, data);
        self.flush();
        handled
    }

    /// A peer sends the server socket a request that the node answers itself. Returns what the node sends at once.
    pub fn ask(&mut self, from: SocketAddrV4, ask: &Ask) -> Vec<Sent> {
        self.sent.clear();
        assert_eq!(self.hand_in(Via::Server, from, &ask.bytes()), Handled::Consumed);
        std::mem::take(&mut self.sent)
    }

    /// A peer sends a request to the application.
    pub fn ask_application(&mut self, from: SocketAddrV4, ask: &Ask) -> ReplyTo {
        match self.hand_in(Via::Server, from, &ask.bytes()) {
            Handled::Request(incoming) => incoming.reply_to,
            other => panic!("{other:?}"),
        }
    }

    /// A peer sends a request to the application, and gets this answer.
    pub fn serve(&mut self, from: SocketAddrV4, ask: &Ask, answer: Answer) -> Sent {
        let to = self.ask_application(from, ask);
        self.sent.clear();
        self.call(|node, now| node.reply(now, to, answer)).unwrap();
        assert_eq!(self.sent.len(), 1);
        self.sent.remove(0)
    }

    /// A datagram that will arrive.
    pub fn arrive(&mut self, at: Instant, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        self.count += 1;
        self.incoming.push(Reverse((at, self.count, via, from, bytes.to_vec())));
    }
}

/// What a test looks at.
impl Lab {
    pub fn knows(&self, addr: SocketAddrV4) -> bool {
        self.node.nodes().any(|node| node == addr)
    }

    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The nodes that were sent requests with this command, retries included.
    pub fn asked(&self, command: u64) -> Vec<SocketAddrV4> {
        let asks = |sent: &&Sent| sent.as_request().is_some_and(|r| r.command == command);
        self.sent.iter().filter(asks).map(|sent| sent.to).collect()
    }

    /// The nodes that were asked whether they are there, retries included: by a PING, or for their neighbours.
    pub fn checked(&self) -> Vec<SocketAddrV4> {
        self.sent.iter().filter(|sent| sent.checks()).map(|sent| sent.to).collect()
    }

    /// How many times an event happened.
    pub fn times(&self, event: Event) -> usize {
        self.events.iter().filter(|other| **other == event).count()
    }

    /// Checks the invariants, and returns the counters.
    pub fn stats(&self) -> Stats {
        let stats = self.node.stats();
        let requests = stats.requests;
        let ended = requests.responses + requests.timeouts + requests.cancelled;
        assert_eq!(requests.total, requests.active + ended, "{requests:?}");
        stats
    }

    /// How long it is until the next tick, if the node was bound when the lab was made.
    pub fn until_tick(&self) -> Duration {
        let micros = self.now.saturating_since(BEGIN).as_micros() % TICK.as_micros();
        TICK - Duration::from_micros(micros as u64)
    }
}

/// How time passes.
impl Lab {
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub fn run_ms(&mut self, millis: u64) {
        self.run_for(Duration::from_millis(millis));
    }

    pub fn ticks(&mut self, count: u32) {
        self.run_for(TICK * count);
    }

    /// Runs until the condition holds; panics if it does not within a virtual hour.
    pub fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(3600);
        while !is_so(self) {
            assert!(self.step(end), "waited for an hour");
        }
    }

    /// The machine sleeps for this time. Datagrams that arrive meanwhile are lost.
    pub fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.incoming.clear();
    }

    /// Does the next thing that happens before `end`, if there is one.
    pub fn step(&mut self, end: Instant) -> bool {
        let arrival = self.incoming.peek().map(|Reverse((at, ..))| *at);
        let timer = self.node.poll_timeout();
        let Some(at) = [arrival, timer].into_iter().flatten().min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        if arrival == Some(at) {
            let Some(Reverse((_, _, via, from, bytes))) = self.incoming.pop() else { return false };
            self.heard.push(from);
            self.hear_bytes(via, from, &bytes);
        } else {
            self.call(Node::handle_timeout);
            let next = self.node.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "its time has come again already");
        }
        true
    }

    fn next_name(&mut self) -> Option<NameLookup> {
        if self.takes_lookups { self.node.poll_name() } else { None }
    }

    /// Takes and keeps what the node sends and tells.
    pub fn flush(&mut self) {
        while let Some(lookup) = self.next_name() {
            let name = self.node.name_of(lookup).to_owned();
            self.lookups.push((lookup, name));
        }
        let mut buf = [0; DATAGRAM_MAX];
        while let Some(transmit) = self.node.poll_transmit(self.now, &mut buf) {
            if let Some(why) = self.refusal {
                self.node.handle_unsent(self.now, &transmit, why);
                continue;
            }
            let bytes = buf[..transmit.len].to_vec();
            let (via, to, ttl) = (transmit.via, transmit.to, transmit.ttl);
            let sent = Sent { at: self.now, via, to, ttl, bytes };
            self.answer_of_peer(&sent);
            self.sent.push(sent);
        }
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::Persistence(reason) => self.reasons.push(reason),
                event => self.events.push(event),
            }
        }
    }

    fn answer_of_peer(&mut self, sent: &Sent) {
        let (Some(peer), Some(request)) = (self.peers.get_mut(&sent.to), sent.as_request()) else {
            return;
        };
        let (via, port) = match (sent.is(PING_NAT), sent.via) {
            (true, _) | (_, Via::Server) => (Via::Server, self.server.port()),
            (_, Via::Client) => (Via::Client, self.client.port()),
            (_, Via::Extra(port)) => (Via::Extra(port), port),
        };
        let seen = SocketAddrV4::new(*self.server.ip(), port);
        let Some(bytes) = peer.answer(sent.to, seen, &request) else { return };
        let rtt = peer.rtt;
        let copies = match &self.fate {
            Some(fate) => (fate.borrow_mut())(rtt),
            None => vec![rtt],
        };
        for delay in copies {
            self.arrive(sent.at + delay, via, sent.to, &bytes);
        }
    }
}
