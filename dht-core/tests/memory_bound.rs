//! `Node::memory_bound` is kept, counted by the allocator: under floods of everything that peers can send
//! and callers can ask, by nodes of all presets and of the smallest and oddest configurations.

#![allow(clippy::unwrap_used, reason = "a test, in functions that clippy doesn't take for one")]

mod heap;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use dht_core::wire::{self, CloserNodes, Message, addr_bytes};
use dht_core::{
    Answer, Config, DATAGRAM_MAX, Handled, Id, Instant, Node, Query, QueryId, ReplyTo, Request,
    RequestId, SessionId, Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use heap::counted;

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(45, 9, 9, 9), 2000);

/// How the next few hundred steps go: how often, in percent, and from how many senders.
struct Mood {
    /// Requests of the node that are answered.
    answered: u64,
    /// How often events and names are polled.
    polled: u64,
    /// Results of requests and queries that are taken.
    taken: u64,
    /// How many senders there are: few make conflicts, many fill what is kept for each.
    senders: u64,
}

struct Flood {
    node: Node,
    config: Config,
    rng: ChaCha20Rng,
    now: Instant,
    mood: Mood,
    requests: Vec<RequestId>,
    queries: Vec<QueryId>,
    asked: Vec<ReplyTo>,
}

impl Flood {
    fn new(config: &Config, seed: u8) -> Self {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        heap::reset();
        let mut node = counted(|| Node::new(config.clone(), &mut rng, Instant::ZERO).unwrap());
        let client = SocketAddrV4::new(*SERVER.ip(), 1000);
        counted(|| node.handle_bound(Instant::ZERO, client, SERVER));
        let mood = Mood { answered: 50, polled: 50, taken: 50, senders: 1000 };
        let (requests, queries, asked) = (Vec::new(), Vec::new(), Vec::new());
        let config = config.clone();
        Self { node, config, rng, now: Instant::ZERO, mood, requests, queries, asked }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n.max(1)
    }

    fn percent(&mut self, of: u64) -> bool {
        self.below(100) < of
    }

    fn addr(&mut self) -> SocketAddrV4 {
        let n = self.below(self.mood.senders) as u32;
        SocketAddrV4::new(Ipv4Addr::from(0x5000_0001 + (n << 7)), 4000 + (n % 3) as u16)
    }

    fn via(&mut self) -> Via {
        [Via::Client, Via::Server, Via::Server, Via::Extra(7)][self.below(4) as usize]
    }

    /// A value that takes all the space of a datagram beside the other fields, or nearly all.
    fn value(&mut self, limit: usize) -> Bytes {
        let len = limit - 150 - self.below(8) as usize;
        counted(|| Bytes::from(vec![7; len]))
    }

    fn step(&mut self) {
        match self.below(12) {
            0 => self.ask(),
            1 => self.look(),
            2..=5 => self.receive(),
            6 | 7 => self.send(),
            8 => self.wait(),
            9 => self.listen(),
            10 => self.reply(),
            _ => self.meddle(),
        }
    }

    fn ask(&mut self) {
        let (to, value) = (self.addr(), self.value(self.config.max_datagram));
        let request = Request::new(to, 40).value(value).session(SessionId(self.below(3)));
        let (node, now, via) = (&mut self.node, self.now, [Via::Client, Via::Extra(1)]);
        let request = request.via(via[(to.port() % 2) as usize]);
        self.requests.extend(counted(|| node.request(now, request)));
    }

    fn look(&mut self) {
        let mut target = [0; 32];
        self.rng.fill_bytes(&mut target);
        let value = self.value(self.config.max_datagram);
        let mut query = Query::new(Id(target), 41).value(value).session(SessionId(self.below(3)));
        if self.percent(50) {
            query = query.commit();
        }
        if self.percent(20) {
            query = query.discard_replies();
        }
        let nodes: Vec<_> = (0..self.below(60)).map(|_| self.addr()).collect();
        let query = counted(|| query.nodes(nodes.clone()));
        let (node, now) = (&mut self.node, self.now);
        self.queries.extend(counted(|| node.query(now, query)));
    }

    fn receive(&mut self) {
        let (from, via) = (self.addr(), self.via());
        let id = Id::of(from);
        let mut target = [0; 32];
        self.rng.fill_bytes(&mut target);
        let named = addr_bytes(self.addr());
        let request = wire::Request {
            tid: self.below(1 << 16) as u16,
            to: SERVER,
            id: Some(id.as_bytes()),
            token: None,
            internal: true,
            command: 0,
            target: None,
            value: None,
        };
        let request = match self.below(7) {
            0 => request,
            1 | 2 => {
                wire::Request { internal: false, command: 42, target: Some(&target), ..request }
            }
            3 => wire::Request { command: 2, target: Some(&target), ..request },
            4 => wire::Request { command: 3, value: Some(&named), ..request },
            5 => wire::Request { command: 4, value: Some(&[1, 0, 0, 0]), ..request },
            _ => wire::Request { token: Some(&target), ..request },
        };
        let mut datagram = [0; DATAGRAM_MAX];
        let mut len = request.encode(&mut datagram).unwrap();
        if self.percent(5) {
            len = self.below(len as u64) as usize;
        }
        self.hand_in(via, from, &datagram[..len]);
    }

    fn hand_in(&mut self, via: Via, from: SocketAddrV4, datagram: &[u8]) {
        let (node, now) = (&mut self.node, self.now);
        let handled = counted(|| node.handle_datagram(now, via, from, datagram));
        if let Handled::Request(request) = handled {
            self.asked.push(request.reply_to);
            self.asked.truncate(200);
        }
    }

    /// Requests leave, and may be answered, with as much as fits.
    fn send(&mut self) {
        let mut buf = [0; DATAGRAM_MAX];
        for _ in 0..self.below(30) {
            let (node, now) = (&mut self.node, self.now);
            let Some(transmit) = counted(|| node.poll_transmit(now, &mut buf)) else { return };
            let Ok(Message::Request(request)) = wire::decode(&buf[..transmit.len]) else {
                continue;
            };
            if !self.percent(self.mood.answered) {
                continue;
            }
            let nodes: Vec<_> = (0..20).map(|_| addr_bytes(self.addr())).collect();
            let id = Id::of(transmit.to);
            let response = wire::Response {
                tid: request.tid,
                to: SERVER,
                id: Some(id.as_bytes()),
                token: Some(&[3; 32]),
                closer_nodes: request.target.map(|_| CloserNodes::new(&nodes)),
                error: [0, 0, 0, 2][self.below(4) as usize],
                value: None,
            };
            let filling = vec![9; self.config.max_datagram_received - response.encoded_len() - 3];
            let response = wire::Response { value: Some(&filling), ..response };
            let mut answer = [0; DATAGRAM_MAX];
            let len = response.encode(&mut answer).unwrap();
            assert!(len + 2 >= self.config.max_datagram_received);
            let from = if self.percent(5) { self.addr() } else { transmit.to };
            self.hand_in(transmit.via, from, &answer[..len]);
        }
    }

    /// All that waits leaves, requests are answered with a value, and time passes. Only the peer `there` answers.
    fn pass(&mut self, by: Duration, there: SocketAddrV4) {
        let mut buf = [0; DATAGRAM_MAX];
        for to in std::mem::take(&mut self.asked) {
            let _ = counted(|| self.node.reply(self.now, to, Answer::value(vec![7; 1_000])));
        }
        while let Some(out) = counted(|| self.node.poll_transmit(self.now, &mut buf)) {
            let Ok(Message::Request(request)) = wire::decode(&buf[..out.len]) else { continue };
            if out.to == there {
                let (tid, to) = (request.tid, SERVER);
                let (id, token, closer_nodes, error, value) = (None, None, None, 0, None);
                let answer = wire::Response { tid, to, id, token, closer_nodes, error, value };
                let mut bytes = [0; 100];
                let len = answer.encode(&mut bytes).unwrap();
                self.hand_in(out.via, there, &bytes[..len]);
            }
        }
        while counted(|| self.node.poll_event()).is_some() {}
        self.now += by;
        counted(|| self.node.handle_timeout(self.now));
    }

    fn wait(&mut self) {
        let short = self.percent(90);
        let millis = self.below(if short { 300 } else { 9000 });
        self.now += Duration::from_millis(millis);
        let (node, now) = (&mut self.node, self.now);
        counted(|| node.handle_timeout(now));
    }

    fn listen(&mut self) {
        for _ in 0..self.below(40) {
            if self.percent(self.mood.polled) {
                let node = &mut self.node;
                let _ = counted(|| node.poll_event());
                let _ = counted(|| node.poll_name());
            }
        }
        let (node, percent) = (&mut self.node, self.mood.taken);
        let rng = &mut self.rng;
        let mut take = || rng.next_u64() % 100 < percent;
        self.requests.retain(|id| !take() || counted(|| node.take_response(*id).is_none()));
        self.queries.retain(|id| {
            if take() {
                counted(|| drop(node.next_reply(*id)));
            }
            !take() || counted(|| node.take_outcome(*id).is_none())
        });
    }

    fn reply(&mut self) {
        while let Some(to) = self.asked.pop() {
            let answer = Answer::value(self.value(self.config.max_datagram));
            let (node, now) = (&mut self.node, self.now);
            let _ = counted(|| node.reply(now, to, answer));
        }
    }

    /// Calls that are rare.
    fn meddle(&mut self) {
        let (n, addr) = (self.below(40), self.addr());
        let (node, now, session) = (&mut self.node, self.now, SessionId(n % 3));
        counted(|| match n {
            0 => node.suspend(now),
            1 => node.handle_network_change(now),
            2 => node.handle_wakeup(now),
            3 => node.end_session(now, session),
            4 => node.refresh(now),
            5..10 => node.maintain(now, false),
            _ => _ = node.add_node(now, addr).unwrap(),
        });
        if n == 0 {
            let client = SocketAddrV4::new(*SERVER.ip(), 1000);
            counted(|| node.resume(now));
            counted(|| node.handle_bound(now, client, SERVER));
        }
    }
}

/// The most bytes that the node has had, itself included, and its bound.
fn flood(config: &Config, seeds: u8, steps: usize) -> (usize, usize) {
    let bound = Node::memory_bound(config);
    let mut most = 0;
    for seed in 0..seeds {
        let mut flood = Flood::new(config, seed);
        for step in 0..steps {
            if step % 400 == 0 {
                let [answered, polled, taken] = [(); 3].map(|()| flood.below(3) * 50);
                let senders = [3, 300, 1 << 16][flood.below(3) as usize];
                flood.mood = Mood { answered, polled, taken, senders };
            }
            flood.step();
            let used = size_of::<Node>() + heap::peak() as usize;
            assert!(used <= bound, "{used} of {bound}, seed {seed}, step {step}: {config:?}");
            if step % 100 == 0 {
                flood.node.check_invariants();
            }
        }
        most = most.max(size_of::<Node>() + heap::peak() as usize);
        // What is left belongs to the node, and is freed with it: else the sums above mean nothing.
        counted(|| drop(flood.node));
        assert_eq!(heap::used(), 0);
    }
    (most, bound)
}

fn bootstrapped(mut config: Config) -> Config {
    config.bootstrap = vec!["45.0.0.1:1".parse().unwrap(), "no.such.name:2".parse().unwrap()];
    config.node_events = true;
    config
}

#[test]
fn no_flood_takes_more_than_the_bound() {
    let mut least = Config::embedded();
    (least.max_requests, least.max_background_requests, least.max_replies) = (1, 8, 1);
    (least.max_query_addresses, least.max_unread_replies, least.max_events, least.max_nodes) =
        (64, 1, 16, 20);
    (least.max_datagram, least.max_datagram_received) = (508, 508);
    let mut odd = Config::client();
    (odd.max_requests, odd.max_background_requests, odd.max_replies) = (5, 77, 33);
    (odd.max_queries, odd.max_query_addresses, odd.max_unread_replies, odd.max_nodes) =
        (3, 1025, 17, 33);
    odd.adaptive_timeout = true;
    let configs = [
        ("the least", least, 6),
        ("embedded", Config::embedded(), 10),
        ("odd", odd, 4),
        ("client", Config::client(), 3),
        ("default", Config::default(), 2),
        ("server", Config::server(), 1),
    ];
    for (name, config, seeds) in configs {
        let (most, bound) = flood(&bootstrapped(config), seeds, 4_000);
        println!("{name}: at most {bound} bytes; the most seen {most}");
        // The smaller the configuration, the closer the flood comes to the bound.
        assert!(name != "embedded" || most > bound / 2, "{most} of {bound} says little");
    }
}

/// Floods, each datagram with the true id of another host: the name, whether the command is internal, the command, bytes of
/// the value.
const FLOODS: [(&str, bool, u64, usize); 6] = [
    ("PING with id", true, 0, 0),
    ("FIND_NODE", true, 2, 0),
    ("down hints", true, 3, 6),
    ("delayed pings", true, 4, 4),
    ("requests of an application's", false, 7, 1_000),
    ("unknown commands", true, 9, 0),
];

/// S13: a minute of each flood, a datagram every 2 ms, then a ping of the user's, and 15 s of peace.
#[test]
fn a_flood_leaves_nothing_behind_and_a_ping_gets_through() {
    let to = SocketAddrV4::new(Ipv4Addr::new(46, 0, 0, 1), 4000);
    for (name, internal, command, len) in FLOODS {
        let config = Config::bootstrapper(SERVER.port(), &SERVER.ip().to_string()).unwrap();
        let mut flood = Flood::new(&config, 1);
        let idle = heap::used();
        for n in 0..30_000_u32 {
            let from = SocketAddrV4::new(Ipv4Addr::from_bits(0x5000_0001 + n * 40_009), 4000);
            let (id, value) = (Id::of(from), [[40, 35, 0, 0, 7, 7]; 200]);
            let value = Some(&value.as_flattened()[..len]).filter(|value| !value.is_empty());
            let (id, target, tid) = (Some(id.as_bytes()), Some(id.as_bytes()), n as u16);
            let request = wire::Request {
                tid,
                to: SERVER,
                id,
                token: None,
                internal,
                command,
                target,
                value,
            };
            let mut bytes = [0; DATAGRAM_MAX];
            let len = request.encode(&mut bytes).unwrap();
            flood.hand_in(Via::Server, from, &bytes[..len]);
            flood.pass(Duration::from_millis(2), to);
        }
        let grown = heap::peak() - idle;
        assert_eq!(flood.node.stats().drops.malformed, 0, "{name}");
        let ping = counted(|| flood.node.request(flood.now, Request::ping(to)).unwrap());
        flood.pass(Duration::from_secs(1), to);
        assert!(counted(|| flood.node.take_response(ping)).unwrap().is_ok(), "{name}");
        (0..7_500).for_each(|_| flood.pass(Duration::from_millis(2), to));
        let left = heap::used() - idle;
        println!("S13, {name}: {grown} bytes more at most, {left} 15 s later");
        assert!(grown <= 64 << 10 && left <= 32 << 10, "{name}: {grown}, {left}");
    }
}

#[test]
fn what_each_may_take() {
    let bound = |config: Config| Node::memory_bound(&config);
    let embedded = if cfg!(target_pointer_width = "64") { 57 << 10 } else { 54 << 10 };
    for (config, most) in [
        (Config::embedded(), embedded),
        (Config::client(), 13 << 19),
        (Config::default(), 97 << 20),
        (Config::server(), 141 << 20),
    ] {
        let bound = bound(config);
        assert!((most / 100 * 95..=most).contains(&bound), "{bound} is not about {most}");
    }
    let mut refused = Config::embedded();
    (refused.max_datagram, refused.max_requests) = (0, usize::MAX);
    assert_eq!(bound(refused), usize::MAX);
    // Raising any of these raises the bound.
    let raise: [fn(&mut Config); 12] = [
        |c| c.max_requests += 1,
        |c| c.max_background_requests += 1,
        |c| c.max_queries += 1,
        |c| c.max_replies += 1,
        |c| c.max_nodes += 1,
        |c| c.max_query_addresses += 1,
        |c| c.max_unread_replies += 1,
        |c| c.max_events += 16,
        |c| c.max_datagram += 1,
        |c| c.max_datagram_received += 1,
        |c| c.adaptive_timeout = true,
        |c| c.bootstrap.push("198.51.100.7:49737".parse().unwrap()),
    ];
    for (at, raise) in raise.into_iter().enumerate() {
        let mut config = Config::embedded();
        raise(&mut config);
        assert!(bound(config) > bound(Config::embedded()), "{at}");
    }
}
