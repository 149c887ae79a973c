//! Any calls on one node, in any order, with whatever the network might say to it.

mod asked;
pub(crate) mod map;
mod network;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{
    Answer, Instant, NameLookup, Node, QueryId, ReplyTo, RequestId, SavedNode, SessionId, Transmit,
    Via,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Source;
use asked::Ending;
use map::{addr, config, own, via};

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
    tokens: BTreeMap<SocketAddrV4, [u8; 32]>,
    lookups: VecDeque<NameLookup>,
    saved: Vec<SavedNode>,
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
            36 => _ = self.node.add_node(self.now, addr(source.byte())),
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
                match source.byte() & 3 {
                    0 => self.node.handle_rebound(self.now, server, client),
                    1 => self.node.handle_rebound(self.now, client, server),
                    _ => self.node.handle_bound(self.now, client, server),
                }
            }
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
        if let Some(lookup) = self.node.poll_name() {
            assert!(!self.node.name_of(lookup).is_empty());
            keep(&mut self.lookups, lookup);
        }
        if let Some(&lookup) = nth_latest(&self.lookups, how & 7) {
            if how & 8 != 0 {
                let ips = [how, how.wrapping_add(1), 0].map(|n| *addr(n).ip());
                let found = ips.get(..usize::from(how >> 4 & 3)).unwrap_or_default();
                self.node.handle_resolved(self.now, lookup, found);
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

    /// The embedder goes on as it should, and no peer answers any more: all has to end.
    fn settle(&mut self) {
        if self.latest == Instant::MAX {
            // Nothing comes after that.
            self.node.close(self.now);
        }
        self.node.resume(self.now);
        self.node.handle_bound(self.now, own(Via::Client), own(Via::Server));
        for rounds in 0.. {
            while self.node.poll_name().is_some() {}
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
            // A query may end by having its replies read: that is told before it is forgotten here.
            self.events(usize::MAX);
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
