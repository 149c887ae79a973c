//! Two nodes that talk, and an attacker who sends anything to both, from any address.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::{self, CloserNodes, Message};
use dht_core::{
    Answer, Config, DATAGRAM_MAX, Handled, Id, Instant, Node, Query, QueryId, Request, RequestId,
    SendError, Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Source;
use super::node_ops::map;

/// Whatever the attacker sends, both nodes stay consistent and within their memory; and once it has stopped, they
/// answer each other.
///
/// The attacker guesses; or it reads all datagrams; or it owns the path, and may hold back, change and reorder them as well.
///
/// The input: two bytes for the configuration, then steps, each a byte for which and as many more as it needs (see
/// `World::step`).
pub fn two_nodes(data: &[u8]) {
    two_nodes_measured(data, || 0);
}

/// The same, by a caller that counts the heap: `used` says how many bytes are in use.
pub fn two_nodes_measured(data: &[u8], used: impl Fn() -> isize) {
    let mut source = Source::new(data);
    let mut world = World::new(&mut source);
    let mut steps = 0_u32;
    while !source.is_empty() {
        world.step(&mut source);
        world.check();
        if steps.is_multiple_of(64) {
            world.weigh(&used);
        }
        steps += 1;
    }
    world.weigh(&used);
    world.settle();
    world.weigh(&used);
}

/// How many datagrams are remembered of each kind.
const KEPT: usize = 64;
/// The command of the application that both nodes run.
const COMMAND: u64 = 5;
const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(45, 0, 0, 1), Ipv4Addr::new(45, 0, 1, 1)];

/// What the attacker can do beside sending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Power {
    Guesses,
    Reads,
    OwnsThePath,
}

#[derive(Clone)]
struct Datagram {
    from: SocketAddrV4,
    to: SocketAddrV4,
    bytes: Vec<u8>,
}

struct World {
    now: Instant,
    power: Power,
    /// The second is the bootstrap node of the first.
    nodes: [Node; 2],
    requests: [Vec<RequestId>; 2],
    queries: [Vec<QueryId>; 2],
    /// Between the two, in order.
    path: VecDeque<Datagram>,
    /// What the attacker has seen, the latest last.
    seen: VecDeque<Datagram>,
}

impl World {
    fn new(source: &mut Source<'_>) -> Self {
        let (switches, now) = (source.byte(), Instant::ZERO);
        let power = match switches & 3 {
            0 | 1 => Power::Guesses,
            2 => Power::Reads,
            _ => Power::OwnsThePath,
        };
        let second = socket(1, Via::Server);
        let bootstrapper = Config::bootstrapper(second.port(), &HOSTS[1].to_string());
        let bootstrapper = bootstrapper.expect("an address");
        let mut first = Config::default();
        first.bootstrap.push(second.into());
        first.ephemeral = (switches & 4 != 0).then_some(switches & 8 != 0);
        first.firewalled = switches & 16 == 0;
        first.adaptive_timeout = switches & 32 != 0;
        let mut rng = ChaCha20Rng::from_seed([source.byte(); 32]);
        let nodes = [first, bootstrapper].map(|mut config| {
            if switches & 64 != 0 {
                config.max_nodes = 60;
            }
            (config.max_requests, config.max_queries, config.max_replies) = (64, 4, 32);
            Node::new(config, &mut rng, now).expect("numbers within their ranges")
        });
        let mut world = Self {
            now,
            power,
            nodes,
            requests: Default::default(),
            queries: Default::default(),
            path: VecDeque::new(),
            seen: VecDeque::new(),
        };
        for (n, node) in world.nodes.iter_mut().enumerate() {
            node.handle_bound(now, socket(n, Via::Client), socket(n, Via::Server));
        }
        world.send();
        world
    }

    /// The most common ones have several numbers, so that they are.
    fn step(&mut self, source: &mut Source<'_>) {
        let which = source.byte() % 32;
        let owns = self.power == Power::OwnsThePath;
        match which {
            0..=4 => self.carry(usize::from(source.byte())),
            5 => self.carry(usize::MAX),
            6..=8 => self.pass_time(),
            9 => self.wait(u64::from(source.byte()) << (source.byte() & 15)),
            10..=12 => self.forge_request(source),
            13..=17 => self.forge_response(source),
            18 => {
                let (from, to) = (address(source.byte()), own(source.byte()));
                let len = usize::from(source.byte());
                let bytes = (0..len).map(|_| source.byte()).collect();
                self.deliver(Datagram { from, to, bytes });
            }
            19 | 20 => self.echo(source),
            21 | 22 => self.request(source.byte()),
            23 | 24 => self.query(source.byte(), source.byte()),
            25 => self.give_up(source.byte()),
            26 if owns => {
                let (count, len) = (usize::from(source.byte()), self.path.len());
                drop(self.path.drain(..count.min(len)));
            }
            27 if owns => {
                let (at, by) = (usize::from(source.byte()), source.byte());
                if let Some(Datagram { bytes, .. }) = self.path.front_mut() {
                    let len = bytes.len();
                    bytes[at % len] ^= by;
                }
            }
            28 if owns => {
                let len = self.path.len();
                self.path.rotate_left(usize::from(source.byte()).min(len));
            }
            29 => self.nodes[usize::from(source.byte() & 1)].refresh(self.now),
            30 => self.nodes[usize::from(source.byte() & 1)].handle_network_change(self.now),
            _ => self.carry(1),
        }
        self.send();
    }

    /// Takes what both nodes have to send. What is for somebody else is for the attacker.
    fn send(&mut self) {
        let mut buf = [0; DATAGRAM_MAX];
        for n in 0..2 {
            while let Some(transmit) = self.nodes[n].poll_transmit(self.now, &mut buf) {
                let (from, to) = (socket(n, transmit.via), transmit.to);
                let datagram = Datagram { from, to, bytes: buf[..transmit.len].to_vec() };
                let theirs = HOSTS.contains(to.ip());
                if !theirs || self.power >= Power::Reads {
                    keep(&mut self.seen, datagram.clone());
                }
                if theirs {
                    self.path.push_back(datagram);
                }
            }
            while self.nodes[n].poll_event().is_some() {}
        }
    }

    /// Delivers what is on the path, and what follows.
    fn carry(&mut self, most: usize) {
        for _ in 0..most.min(1_000) {
            let Some(datagram) = self.path.pop_front() else { break };
            self.deliver(datagram);
            self.send();
        }
    }

    /// A node gets a datagram, and its application answers.
    fn deliver(&mut self, Datagram { from, to, bytes }: Datagram) {
        let Some(n) = HOSTS.iter().position(|host| host == to.ip()) else { return };
        let via = match to.port() {
            1_000 => Via::Client,
            2_000 => Via::Server,
            _ => return,
        };
        let node = &mut self.nodes[n];
        if let Handled::Request(request) = node.handle_datagram(self.now, via, from, &bytes) {
            let answer = match request.command {
                COMMAND => Answer::value(request.value.unwrap_or_default().to_vec()),
                _ => Answer::error(1),
            };
            let refused = node.reply(self.now, request.reply_to, answer);
            assert!(refused.is_ok() || refused == Err(SendError::Busy), "{refused:?}");
        }
    }

    /// The earlier deadline comes.
    fn pass_time(&mut self) {
        let due = self.nodes.iter().filter_map(Node::poll_timeout).min();
        self.now = self.now.max(due.unwrap_or(self.now));
        for node in &mut self.nodes {
            node.handle_timeout(self.now);
            let late = node.poll_timeout().is_some_and(|due| due <= self.now);
            assert!(!late, "its deadline does not move");
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.nodes.iter_mut().for_each(|node| node.handle_timeout(self.now));
    }

    fn forge_request(&mut self, source: &mut Source<'_>) {
        let (how, from, to) = (source.byte(), address(source.byte()), own(source.byte()));
        let command = source.byte();
        let id = identity(how, from);
        let token = self.token(source, how >> 2);
        let value = match command & 7 {
            3 => wire::addr_bytes(address(source.byte())).to_vec(),
            4 => (u32::from(source.byte()) << 6).to_le_bytes().to_vec(),
            _ => source.array::<2>().to_vec(),
        };
        let target = [source.byte(); 32];
        let request = wire::Request {
            tid: source.byte().into(),
            to: if how & 64 != 0 { address(source.byte()) } else { to },
            id: id.as_ref(),
            token: token.as_ref(),
            internal: command & 8 == 0,
            command: u64::from(command & 7),
            target: (how & 16 == 0).then_some(&target),
            value: (how & 32 == 0).then_some(&value[..]),
        };
        let mut bytes = vec![0; request.encoded_len()];
        request.encode(&mut bytes).expect("it fits");
        self.deliver(Datagram { from, to, bytes });
    }

    /// An answer to a request that the attacker has seen, or one with a number that it guesses.
    fn forge_response(&mut self, source: &mut Source<'_>) {
        let (which, how, more) = (source.byte(), source.byte(), source.byte());
        let asked = nth_latest(&self.seen, which).and_then(|it| match wire::decode(&it.bytes) {
            Ok(Message::Request(request)) => Some((it.from, it.to, request.tid)),
            _ => None,
        });
        let (to, from, tid) = match asked {
            Some(asked) if how & 128 == 0 => asked,
            _ => (own(source.byte()), address(source.byte()), u16::from_le_bytes(source.array())),
        };
        let from = if how & 64 != 0 { address(source.byte()) } else { from };
        let id = identity(more, from);
        let token = self.token(source, more >> 2);
        let count = if how & 1 != 0 { source.byte() % 24 } else { 0 };
        let nodes: Vec<_> = (0..count).map(|_| wire::addr_bytes(address(source.byte()))).collect();
        let value = [more; 9];
        let response = wire::Response {
            tid,
            to: if how & 2 != 0 { address(source.byte()) } else { to },
            id: id.as_ref(),
            token: token.as_ref(),
            closer_nodes: (how & 1 != 0).then(|| CloserNodes::new(&nodes)),
            error: if how & 4 != 0 { source.byte().into() } else { 0 },
            value: (how & 8 != 0).then_some(&value),
        };
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).expect("it fits");
        self.deliver(Datagram { from, to, bytes });
    }

    /// None, one that was seen, or a false one.
    fn token(&self, source: &mut Source<'_>, how: u8) -> Option<[u8; 32]> {
        match how & 3 {
            0 => None,
            1 => Some([how; 32]),
            _ => match wire::decode(&nth_latest(&self.seen, source.byte())?.bytes) {
                Ok(Message::Request(request)) => request.token.copied(),
                Ok(Message::Response(response)) => response.token.copied(),
                Err(_) => None,
            },
        }
    }

    /// What was seen comes again, as it was, changed, cut, or from and to other addresses.
    fn echo(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let Some(seen) = nth_latest(&self.seen, which) else { return };
        let mut datagram = seen.clone();
        for _ in 0..how & 3 {
            let at = usize::from(source.byte()) % datagram.bytes.len();
            datagram.bytes[at] ^= source.byte();
        }
        if how & 4 != 0 {
            datagram.bytes.truncate(usize::from(source.byte()).max(1));
        }
        if how & 8 != 0 {
            datagram.from = address(source.byte());
        }
        if how & 16 != 0 {
            datagram.to = own(source.byte());
        }
        if how & 32 != 0 {
            (datagram.from, datagram.to) = (datagram.to, datagram.from);
        }
        self.deliver(datagram);
    }

    fn request(&mut self, how: u8) {
        let n = usize::from(how & 1);
        let to = if how & 2 != 0 { socket(1 - n, Via::Server) } else { address(how) };
        let request = match how & 4 {
            0 => Request::ping(to),
            _ => Request::new(to, COMMAND).value(vec![how; 40]),
        };
        self.requests[n].extend(self.nodes[n].request(self.now, request));
    }

    fn query(&mut self, how: u8, target: u8) {
        let n = usize::from(how & 1);
        let query = Query::new(Id([target; 32]), COMMAND).value(vec![how; 40]);
        let query = if how & 2 != 0 { query.commit() } else { query };
        let query = if how & 4 != 0 { query.nodes([socket(1 - n, Via::Server)]) } else { query };
        let query = if how & 8 != 0 { query.discard_replies() } else { query };
        self.queries[n].extend(self.nodes[n].query(self.now, query));
    }

    /// The user takes what there is, and cancels the rest.
    fn give_up(&mut self, how: u8) {
        let n = usize::from(how & 1);
        for id in std::mem::take(&mut self.requests[n]) {
            if self.nodes[n].take_response(id).is_none() {
                self.nodes[n].cancel_request(self.now, id);
            }
        }
        for id in std::mem::take(&mut self.queries[n]) {
            while self.nodes[n].next_reply(id).is_some() {}
            if self.nodes[n].take_outcome(id).is_none() {
                self.nodes[n].cancel_query(self.now, id);
            }
        }
    }

    fn check(&self) {
        self.nodes.iter().for_each(Node::check_invariants);
    }

    /// What a copy of each node takes is within its bound.
    fn weigh(&self, used: &impl Fn() -> isize) {
        for node in &self.nodes {
            let before = used();
            let copy = node.clone();
            let taken = usize::try_from(used() - before).unwrap_or(0) + size_of::<Node>();
            drop(copy);
            let bound = Node::memory_bound(node.config());
            assert!(taken <= bound, "{taken} of at most {bound} bytes");
        }
    }

    /// The attacker is gone. A minute later each node answers the other's ping, and its queries.
    fn settle(&mut self) {
        (0..2).for_each(|n| self.give_up(n));
        self.run(Duration::from_secs(60));
        for n in 0..2 {
            let other = socket(1 - n, Via::Server);
            let ping = self.nodes[n].request(self.now, Request::ping(other)).expect("a place");
            let query = Query::new(Id([7; 32]), COMMAND).value("kept").commit().nodes([other]);
            let query = self.nodes[n].query(self.now, query).expect("a place");
            self.run(Duration::from_secs(60));
            let pong = self.nodes[n].take_response(ping).expect("it has ended");
            assert!(pong.as_ref().is_ok_and(|pong| pong.error == 0), "node {n}: {pong:?}");
            let mut replies = std::iter::from_fn(|| self.nodes[n].next_reply(query));
            assert!(replies.any(|reply| reply.from.addr == other), "node {n}: not found");
            let outcome = self.nodes[n].take_outcome(query).expect("it has ended");
            // The first node may have no id, so that nothing is committed to it.
            let committed = outcome.as_ref().is_ok_and(|outcome| {
                outcome.closest.iter().any(|reply| reply.from.addr == other)
                    && outcome.commit.is_some_and(|commit| commit.succeeded > 0)
            });
            assert!(committed || n == 1, "node {n}: {outcome:?}");
        }
        self.check();
        for node in &mut self.nodes {
            node.close(self.now);
            node.check_invariants();
            assert_eq!(node.poll_timeout(), None);
        }
    }

    /// Lets time pass on an honest path.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for rounds in 0.. {
            assert!(rounds < 20_000, "time stands still");
            self.send();
            self.carry(usize::MAX);
            let due = self.nodes.iter().filter_map(Node::poll_timeout).min();
            if due.is_none_or(|due| due > end) {
                break;
            }
            self.pass_time();
        }
        self.now = self.now.max(end);
        self.wait(0);
        self.send();
        self.carry(usize::MAX);
    }
}

/// Where a node's socket is.
fn socket(n: usize, via: Via) -> SocketAddrV4 {
    SocketAddrV4::new(HOSTS[n], if via == Via::Server { 2_000 } else { 1_000 })
}

/// A socket of the two.
fn own(n: u8) -> SocketAddrV4 {
    socket(usize::from(n & 1), if n & 2 == 0 { Via::Server } else { Via::Client })
}

/// An address of the two in one case of eight, otherwise one of somebody else.
fn address(n: u8) -> SocketAddrV4 {
    if n & 7 == 7 { own(n >> 3) } else { map::addr(n) }
}

fn identity(how: u8, of: SocketAddrV4) -> Option<[u8; 32]> {
    match how & 3 {
        0 => None,
        1 => Some([how; 32]),
        _ => Some(*Id::of(of).as_bytes()),
    }
}

fn keep(queue: &mut VecDeque<Datagram>, datagram: Datagram) {
    if queue.len() == KEPT {
        queue.pop_front();
    }
    queue.push_back(datagram);
}

/// Counted from the end, so that the same number means the same for longer.
fn nth_latest(queue: &VecDeque<Datagram>, n: u8) -> Option<&Datagram> {
    queue.iter().rev().nth(usize::from(n) % queue.len().max(1))
}
