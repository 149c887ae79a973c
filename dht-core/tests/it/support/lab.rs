//! One node among scripted peers, in virtual time: for what a node does to others and what
//! others, liars among them, can do to it. Every datagram that it sends is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::{self, CloserNodes};
use dht_core::{
    Answer, Config, DATAGRAM_MAX, Event, Handled, Id, Instant, Lookup, Node, Persistence,
    RequestError, RequestId, SavedNode, Unsent, Via, error_code,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

pub use super::{
    CLIENT, DELAYED_PING, DOWN_HINT, FIND_NODE, HOST, PING, PING_NAT, SERVER, Sent, addr as peer,
};

pub const TICK: Duration = Duration::from_secs(5);

/// When a lab is made.
const BEGIN: Instant = Instant::from_millis(1_000_000);

/// How long a datagram travels.
pub const LATENCY: Duration = Duration::from_millis(10);

/// How a peer behaves.
#[derive(Clone, Debug)]
pub struct Peer {
    pub up: bool,
    /// Whether its answers carry its id.
    pub has_id: bool,
    /// The address that it claims to see, if not the true one.
    pub sees: Option<SocketAddrV4>,
    /// Whether its answers to PING_NAT arrive.
    pub reaches: bool,
    /// Which nodes it names.
    pub closer: Vec<SocketAddrV4>,
    /// Which internal commands it leaves unanswered.
    pub ignores: &'static [u64],
    /// Whether it leaves the commands of an application unanswered.
    pub ignores_commands: bool,
    /// How long it thinks.
    pub delay: Duration,
}

/// A datagram under way to the node; the number tells those of one moment apart.
type Arrival = (Instant, usize, Via, SocketAddrV4, Vec<u8>);

#[derive(Clone)]
pub struct Lab {
    pub node: Node,
    pub now: Instant,
    pub peers: BTreeMap<SocketAddrV4, Peer>,
    pub sent: Vec<Sent>,
    pub events: Vec<Event>,
    /// Why the node is persistent, or is not, whenever that was told.
    pub reasons: Vec<Persistence>,
    /// Names that the node wants to know.
    pub lookups: Vec<(Lookup, String)>,
    /// What the application answers; nothing: error 1.
    pub answer: Option<Answer>,
    /// Where the sockets are, in their host's public addresses.
    pub client: SocketAddrV4,
    pub server: SocketAddrV4,
    /// The system sends nothing, and says why.
    pub refusal: Option<Unsent>,
    /// Every answer arrives twice.
    pub twice: bool,
    incoming: BinaryHeap<Reverse<Arrival>>,
    count: usize,
}

/// Peer `n`, at a host whose /24 others share.
pub fn neighbour(prefix: [u8; 3], n: u16) -> SocketAddrV4 {
    let [a, b, c] = prefix;
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, (n % 250) as u8 + 1), 4000 + n / 250)
}

/// `count` addresses whose ids fall into the same half of the key space, the one where a table
/// around `own` has one bucket only.
pub fn far_half(own: Id, count: usize) -> Vec<SocketAddrV4> {
    let far = |addr: &SocketAddrV4| (Id::of(*addr).0[0] ^ own.0[0]) & 0x80 != 0;
    (1000..).map(peer).filter(far).take(count).collect()
}

/// A request that a peer may send, without id.
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

/// Joins the network by `peers`.
pub fn joining(peers: &[SocketAddrV4]) -> Config {
    let mut config = Config::default();
    config.bootstrap = peers.iter().map(|addr| (*addr).into()).collect();
    config
}

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
            answer: None,
            client: CLIENT,
            server: SERVER,
            refusal: None,
            twice: false,
            incoming: BinaryHeap::new(),
            count: 0,
        }
    }

    /// A node that nobody else knows of, bound and ready.
    pub fn alone() -> Self {
        Self::started(Config::default())
    }

    /// A node, bound, and ready if there is nobody to wait for.
    pub fn started(config: Config) -> Self {
        let mut lab = Self::unbound(config);
        lab.bind();
        lab
    }

    /// A node that has bootstrapped among `count` peers: it knows all of them, 0 best of all.
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
        // Not by hand: what is given that way is never forgotten.
        let saved = |n| SavedNode { addr: peer(n), pinged: Duration::ZERO, added: Duration::ZERO };
        let saved: Vec<_> = (0..count).rev().map(saved).collect();
        lab.call(|node, now| node.import(now, &saved, Duration::ZERO));
        lab.sent.clear();
        lab.events.clear();
        lab
    }

    pub fn add_peer(&mut self, addr: SocketAddrV4) -> &mut Peer {
        let friendly = Peer {
            up: true,
            has_id: true,
            sees: None,
            reaches: true,
            closer: Vec::new(),
            ignores: &[],
            ignores_commands: false,
            delay: Duration::ZERO,
        };
        self.peers.entry(addr).or_insert(friendly)
    }

    pub fn peer(&mut self, addr: SocketAddrV4) -> &mut Peer {
        self.peers.get_mut(&addr).unwrap()
    }

    pub fn bind(&mut self) {
        let (client, server) = (self.client, self.server);
        self.call(|node, now| node.handle_bound(now, client, server));
    }

    /// How long it is until the next tick, if the node was bound when the lab was made.
    pub fn until_tick(&self) -> Duration {
        let micros = self.now.saturating_since(BEGIN).as_micros() % TICK.as_micros();
        TICK - Duration::from_micros(micros as u64)
    }

    /// Calls the node, then lets it send.
    pub fn call<T>(&mut self, call: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let result = call(&mut self.node, self.now);
        self.flush();
        result
    }

    /// How a request ended, once it has.
    pub fn result(&mut self, id: RequestId) -> Result<dht_core::Reply, RequestError> {
        let mut result = None;
        self.run_until(|lab| {
            result = lab.node.take_response(id);
            result.is_some()
        });
        result.unwrap()
    }

    /// A peer sends a request to the server socket; what follows at once is returned.
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

    /// Somebody says that `about` is down.
    pub fn hint(&mut self, from: SocketAddrV4, about: SocketAddrV4) {
        let value = wire::addr_bytes(about);
        self.hear(from, &wire::Request { value: Some(&value), ..asks(DOWN_HINT) });
    }

    pub fn knows(&self, addr: SocketAddrV4) -> bool {
        self.node.nodes().any(|node| node == addr)
    }

    /// Whom the node has sent this internal request to, retries included.
    pub fn asked(&self, command: u64) -> Vec<SocketAddrV4> {
        self.sent.iter().filter(|sent| sent.is(command)).map(|sent| sent.to).collect()
    }

    /// Who was asked whether it is there, retries included: by a PING, or for its neighbours.
    pub fn checked(&self) -> Vec<SocketAddrV4> {
        self.sent.iter().filter(|sent| sent.checks()).map(|sent| sent.to).collect()
    }

    /// How many times an event happened.
    pub fn times(&self, event: Event) -> usize {
        self.events.iter().filter(|other| **other == event).count()
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub fn ticks(&mut self, count: u32) {
        self.run_for(TICK * count);
    }

    /// Runs until it is so; panics if it is not within a virtual hour.
    pub fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(3600);
        while !is_so(self) {
            assert!(self.step(end), "waited for an hour");
        }
    }

    /// Time passes and nobody is there to notice. What arrives meanwhile is lost.
    pub fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.incoming.clear();
    }

    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.incoming.peek().map(|Reverse((at, ..))| *at);
        let timer = self.node.poll_timeout();
        let Some(at) = [arrival, timer].into_iter().flatten().min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        if arrival == Some(at) {
            let Some(Reverse((_, _, via, from, bytes))) = self.incoming.pop() else { return false };
            self.hear_bytes(via, from, &bytes);
        } else {
            self.call(Node::handle_timeout);
        }
        true
    }

    pub fn flush(&mut self) {
        while let Some(lookup) = self.node.poll_lookup() {
            let name = self.node.lookup_host(lookup).to_owned();
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
        let (Some(peer), Some(request)) = (self.peers.get(&sent.to), sent.as_request()) else {
            return;
        };
        let is = |command| request.internal && request.command == command;
        let ignored = match request.internal {
            true => peer.ignores.contains(&request.command),
            false => peer.ignores_commands,
        };
        let silent = is(PING_NAT) && !peer.reaches || ignored;
        if !peer.up || silent {
            return;
        }
        let (via, port) = match (is(PING_NAT), sent.via) {
            (true, _) => (Via::Server, self.server.port()),
            (_, Via::Client) => (Via::Client, self.client.port()),
            (_, Via::Server) => (Via::Server, self.server.port()),
            (_, Via::Extra(port)) => (Via::Extra(port), port),
        };
        let id = Id::of(sent.to).0;
        let closer: Vec<_> = peer.closer.iter().map(|addr| wire::addr_bytes(*addr)).collect();
        let walks = is(FIND_NODE) || !request.internal;
        let response = wire::Response {
            tid: request.tid,
            to: peer.sees.unwrap_or(SocketAddrV4::new(*self.server.ip(), port)),
            id: peer.has_id.then_some(&id),
            token: (!request.internal).then_some(&[9; 32]),
            closer_nodes: (walks && !closer.is_empty()).then(|| CloserNodes::new(&closer)),
            error: 0,
            value: None,
        };
        let mut buf = [0; DATAGRAM_MAX];
        let len = response.encode(&mut buf).unwrap();
        let delay = peer.delay;
        for _ in 0..1 + usize::from(self.twice) {
            self.arrive(sent.at + 2 * LATENCY + delay, via, sent.to, &buf[..len]);
        }
    }

    /// A datagram that will arrive.
    pub fn arrive(&mut self, at: Instant, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        self.count += 1;
        self.incoming.push(Reverse((at, self.count, via, from, bytes.to_vec())));
    }
}
