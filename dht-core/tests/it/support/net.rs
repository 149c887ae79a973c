//! A network in memory, in virtual time: real nodes, real bytes, and a rule that decides what
//! becomes of each datagram. One seed, one run.
//!
//! Every member has an address of its own and two ports on it, 1000 (client) and 2000 (server).
//! Addresses are public ones unless asked for otherwise, so that limits per /24 apply.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{
    Answer, Config, DATAGRAM_MAX, Event, Handled, Id, IdCache, Incoming, Instant, Node, Outcome,
    Query, QueryError, QueryId, Reply, Request, RequestError, RequestId, Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng};

pub use super::target;

pub const CLIENT: u16 = 1000;
pub const SERVER: u16 = 2000;

/// A datagram under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub bytes: Vec<u8>,
}

/// What a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Arrives after the usual latency.
    Pass,
    /// Arrives after this time.
    Deliver(Duration),
    /// Arrives twice, the second time after this time.
    Twice(Duration),
    Drop,
}

/// What an application does with a request: an answer now, or none.
pub type App = Box<dyn FnMut(&Incoming<'_>) -> Option<Answer>>;
type Rule = Box<dyn FnMut(Instant, &Packet, &mut ChaCha20Rng) -> Fate>;

pub struct Member {
    pub node: Node,
    pub ip: Ipv4Addr,
    pub up: bool,
    pub events: VecDeque<Event>,
    app: Option<App>,
}

pub struct Net {
    pub now: Instant,
    pub members: Vec<Member>,
    pub latency: Duration,
    /// Datagrams sent so far, including dropped ones.
    pub sent: usize,
    /// The datagrams that left since the last look, if they are recorded.
    pub log: Option<Vec<(Instant, Packet)>>,
    /// The cache of ids of nodes that are added from now on.
    pub ids: Option<IdCache>,
    rng: ChaCha20Rng,
    rule: Rule,
    queue: BinaryHeap<Reverse<(Instant, usize, Packet)>>,
    by_ip: BTreeMap<Ipv4Addr, usize>,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_millis(1_000),
            members: Vec::new(),
            latency: Duration::from_millis(20),
            sent: 0,
            log: None,
            ids: None,
            rng: ChaCha20Rng::seed_from_u64(seed),
            rule: Box::new(|_, _, _| Fate::Pass),
            queue: BinaryHeap::new(),
            by_ip: BTreeMap::new(),
        }
    }

    /// From now on `rule` decides what becomes of datagrams.
    pub fn rule(&mut self, rule: impl FnMut(Instant, &Packet, &mut ChaCha20Rng) -> Fate + 'static) {
        self.rule = Box::new(rule);
    }

    /// A node, not bound yet, at an address of its own.
    pub fn add(&mut self, config: Config) -> usize {
        let n = self.members.len() as u32;
        // One node per /24, spread over public space.
        self.add_at(Ipv4Addr::from(0x2d00_0001 + (n << 8)), config)
    }

    pub fn add_at(&mut self, ip: Ipv4Addr, mut config: Config) -> usize {
        if self.ids.is_some() {
            config.ids.clone_from(&self.ids);
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let node = Node::new(config, &mut ChaCha20Rng::from_seed(seed), self.now).unwrap();
        self.by_ip.insert(ip, self.members.len());
        self.members.push(Member { node, ip, up: true, events: VecDeque::new(), app: None });
        self.members.len() - 1
    }

    /// Tells a node that it is bound.
    pub fn bind(&mut self, at: usize) {
        let (now, client, server) = (self.now, self.client(at), self.server(at));
        self.members[at].node.handle_bound(now, client, server);
        self.flush(at);
    }

    /// Adds a node and binds it.
    pub fn start(&mut self, config: Config) -> usize {
        let at = self.add(config);
        self.bind(at);
        at
    }

    /// A bootstrap node.
    pub fn bootstrapper(&mut self) -> usize {
        let ip = Ipv4Addr::from(0x2d00_0001 + ((self.members.len() as u32) << 8));
        self.start(Config::bootstrapper(SERVER, &ip.to_string()).unwrap())
    }

    /// The configuration of a reachable node that joins through `bootstrap`.
    pub fn persistent(&self, bootstrap: usize) -> Config {
        let mut config = Config::default();
        config.bootstrap = vec![self.server(bootstrap).into()];
        config.ephemeral = Some(false);
        config.firewalled = false;
        config
    }

    /// A network of a bootstrap node and `count - 1` persistent nodes, settled.
    pub fn network(seed: u64, count: usize) -> Self {
        Self::new(seed).grown(count)
    }

    /// The same, beginning with this empty network.
    pub fn grown(self, count: usize) -> Self {
        let mut net = self;
        let first = net.bootstrapper();
        for _ in 1..count {
            let at = net.start(net.persistent(first));
            net.run_until(|net| net.members[at].node.bootstrapped());
        }
        net.run_for(Duration::from_secs(2));
        net.members.iter_mut().for_each(|member| member.events.clear());
        net
    }

    pub fn client(&self, at: usize) -> SocketAddrV4 {
        SocketAddrV4::new(self.members[at].ip, CLIENT)
    }

    pub fn server(&self, at: usize) -> SocketAddrV4 {
        SocketAddrV4::new(self.members[at].ip, SERVER)
    }

    pub fn node(&mut self, at: usize) -> &mut Node {
        &mut self.members[at].node
    }

    /// Sets how the application of a node answers requests; without one the answer is error 1.
    pub fn serve(&mut self, at: usize, app: impl FnMut(&Incoming<'_>) -> Option<Answer> + 'static) {
        self.members[at].app = Some(Box::new(app));
    }

    /// Takes a node off the network: it neither gets nor sends nor notices time.
    pub fn kill(&mut self, at: usize) {
        self.members[at].up = false;
    }

    /// Calls a node, then sends its datagrams.
    pub fn call<T>(&mut self, at: usize, call: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let result = call(&mut self.members[at].node, self.now);
        self.flush(at);
        result
    }

    pub fn request(&mut self, at: usize, request: Request) -> RequestId {
        self.call(at, |node, now| node.request(now, request)).unwrap()
    }

    /// Runs until a request has ended.
    pub fn response(&mut self, at: usize, id: RequestId) -> Result<Reply, RequestError> {
        let mut result = None;
        self.run_until(|net| {
            result = net.members[at].node.take_response(id);
            result.is_some()
        });
        result.unwrap()
    }

    pub fn ask(&mut self, at: usize, request: Request) -> Result<Reply, RequestError> {
        let id = self.request(at, request);
        self.response(at, id)
    }

    pub fn query(&mut self, at: usize, query: Query) -> QueryId {
        self.call(at, |node, now| node.query(now, query)).unwrap()
    }

    /// Runs a query to its end, reading all replies.
    pub fn outcome(&mut self, at: usize, id: QueryId) -> (Vec<Reply>, Result<Outcome, QueryError>) {
        let (mut replies, mut outcome) = (Vec::new(), None);
        self.run_until(|net| {
            while let Some(reply) = net.call(at, |node, _| node.next_reply(id)) {
                replies.push(reply);
            }
            outcome = net.members[at].node.take_outcome(id);
            outcome.is_some()
        });
        (replies, outcome.unwrap())
    }

    pub fn walk(&mut self, at: usize, query: Query) -> (Vec<Reply>, Result<Outcome, QueryError>) {
        let id = self.query(at, query);
        self.outcome(at, id)
    }

    /// Runs for some virtual time.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until the condition holds; panics if it does not within a virtual hour.
    pub fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(3600);
        while !is_so(self) {
            assert!(self.step(end), "waited for an hour");
        }
    }

    /// Does the next thing that happens before `end`, if there is one.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.queue.peek().map(|Reverse((at, ..))| *at);
        let timers = self.members.iter().enumerate().filter(|(_, member)| member.up);
        let timers = timers.filter_map(|(i, member)| Some((member.node.poll_timeout()?, i)));
        let timer = timers.min();
        match (packet, timer) {
            (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                let Some(Reverse((_, _, packet))) = self.queue.pop() else { return false };
                self.deliver(&packet);
                true
            }
            (_, Some((due, i))) if due <= end => {
                self.now = self.now.max(due);
                let now = self.now;
                self.members[i].node.handle_timeout(now);
                let next = self.members[i].node.poll_timeout();
                assert!(next.is_none_or(|next| next > now), "its time has come again already");
                self.flush(i);
                true
            }
            _ => false,
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        let Some(&at) = self.by_ip.get(packet.to.ip()) else { return };
        let via = match packet.to.port() {
            CLIENT => Via::Client,
            SERVER => Via::Server,
            port if port > 3000 => Via::Extra(port),
            _ => return,
        };
        let member = &mut self.members[at];
        if !member.up {
            return;
        }
        let handled = member.node.handle_datagram(self.now, via, packet.from, &packet.bytes);
        if let Handled::Request(incoming) = handled {
            let answer = match &mut member.app {
                Some(app) => app(&incoming),
                None => Some(Answer::error(dht_core::error_code::UNKNOWN_COMMAND)),
            };
            if let Some(answer) = answer {
                member.node.reply(self.now, incoming.reply_to, answer).unwrap();
            }
        }
        self.flush(at);
    }

    /// Sends what a node wants to send, and keeps its events.
    pub fn flush(&mut self, at: usize) {
        let mut buf = [0; DATAGRAM_MAX];
        let member = &mut self.members[at];
        while let Some(event) = member.node.poll_event() {
            member.events.push_back(event);
        }
        while let Some(transmit) = self.members[at].node.poll_transmit(self.now, &mut buf) {
            if !self.members[at].up {
                continue;
            }
            let port = match transmit.via {
                Via::Client => CLIENT,
                Via::Server => SERVER,
                Via::Extra(port) => port,
            };
            let from = SocketAddrV4::new(self.members[at].ip, port);
            let bytes = buf[..transmit.len].to_vec();
            self.send(Packet { from, to: transmit.to, bytes });
        }
        let member = &mut self.members[at];
        while let Some(event) = member.node.poll_event() {
            member.events.push_back(event);
        }
    }

    fn send(&mut self, packet: Packet) {
        self.sent += 1;
        if let Some(log) = &mut self.log {
            log.push((self.now, packet.clone()));
        }
        let latency = self.latency;
        match (self.rule)(self.now, &packet, &mut self.rng) {
            Fate::Drop => {}
            Fate::Pass => self.queue.push(Reverse((self.now + latency, self.sent, packet))),
            Fate::Deliver(delay) => {
                self.queue.push(Reverse((self.now + delay, self.sent, packet)));
            }
            Fate::Twice(delay) => {
                let twin = Reverse((self.now + delay, self.sent, packet.clone()));
                self.queue.push(Reverse((self.now + latency, self.sent, packet)));
                self.queue.push(twin);
            }
        }
    }

    /// The members whose ids are closest to `target`, of all members that are up and persistent.
    pub fn true_closest(&self, target: &Id, count: usize) -> Vec<SocketAddrV4> {
        let members = self.members.iter().enumerate();
        let up = members.filter(|(_, member)| member.up && !member.node.ephemeral());
        let mut addrs: Vec<_> = up.map(|(at, _)| self.server(at)).collect();
        addrs.sort_by_cached_key(|addr| Id::of(*addr).distance(target));
        addrs.truncate(count);
        addrs
    }
}
