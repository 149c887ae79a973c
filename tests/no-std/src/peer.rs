//! A node and what is served on it: an echo, and one value to store and to find.
//!
//! Whoever owns it carries its datagrams and tells it the time: `story.rs`, or `wasm.mjs` by way
//! of `wasm.rs`.

use core::convert::Infallible;
use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;
use dht_core::{
    Answer, Config, DATAGRAM_MAX, Handled, Id, Instant, Node, Query, QueryId, Request, RequestId,
    Transmit, Via,
};
use rand_core::{TryCryptoRng, TryRng};

/// Enough for closest nodes to be sorted and for lists of them in answers.
pub const PEERS: u8 = 8;
const ECHO: u64 = 0;
const STORE: u64 = 1;
const FIND: u64 = 2;
const KEY: Id = Id([7; 32]);

/// Where the `n`th peer hears requests.
pub fn server(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n + 1), 2000)
}

/// Where the `n`th peer asks from.
pub fn client(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(*server(n).ip(), 1000)
}

pub struct Peer {
    node: Node,
    stored: Option<Bytes>,
    request: Option<RequestId>,
    query: Option<QueryId>,
    /// The last value that the query came by.
    found: Option<Bytes>,
}

impl Peer {
    /// Peer 0 is the bootstrap node, all others join it.
    #[inline(never)] // as below: so that `sizes` can tell the core from the story
    pub fn new(n: u8, now: Instant) -> Option<Self> {
        let config = if n == 0 {
            Config::bootstrapper(server(0).port(), "10.0.0.1").ok()?
        } else {
            let mut config = Config::default();
            // As text: from an address it would take the formatting of numbers, 4 KB of code.
            config.bootstrap.push("10.0.0.1:2000".parse().ok()?);
            config.ephemeral = Some(false);
            config.firewalled = false;
            config
        };
        let node = Node::new(config, &mut Xorshift(u64::from(n) + 1), now).ok()?;
        Some(Self { node, stored: None, request: None, query: None, found: None })
    }

    pub fn bound(&mut self, n: u8, now: Instant) {
        self.node.handle_bound(now, client(n), server(n));
    }

    #[inline(never)]
    pub fn datagram(&mut self, now: Instant, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        let handled = self.node.handle_datagram(now, via, from, bytes);
        let Handled::Request(request) = handled else { return };
        let value = request.value.map(Bytes::copy_from_slice);
        let answer = match request.command {
            ECHO => value.map(Answer::value),
            STORE if request.token.is_some() => {
                self.stored = value;
                None
            }
            FIND => self.stored.clone().map(Answer::value),
            _ => None,
        };
        let answer = answer.unwrap_or(Answer::empty());
        // Nothing waits for it here if it can't be sent.
        let _ = self.node.reply(now, request.reply_to, answer);
    }

    #[inline(never)]
    pub fn timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    #[inline(never)]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        while self.node.poll_event().is_some() {}
        self.node.poll_transmit(now, buf)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    /// Bootstrapped, with an id of its own, and everybody else in its table.
    pub fn settled(&self) -> bool {
        let (node, others) = (&self.node, usize::from(PEERS) - 1);
        node.bootstrapped() && node.id().is_some() && node.table_len() == others && node.online()
    }

    /// False if it can't be sent, as for those below.
    pub fn echo(&mut self, now: Instant, to: SocketAddrV4, value: &[u8]) -> bool {
        let request = Request::new(to, ECHO).value(value.to_vec());
        self.request = self.node.request(now, request).ok();
        self.request.is_some()
    }

    /// What came back, once it is known. An empty value if nothing did.
    pub fn echoed(&mut self) -> Option<Bytes> {
        let response = self.node.take_response(self.request?)?;
        Some(response.ok().and_then(|reply| reply.value).unwrap_or_default())
    }

    pub fn store(&mut self, now: Instant, value: &[u8]) -> bool {
        self.start(now, Query::new(KEY, STORE).value(value.to_vec()).commit())
    }

    pub fn find(&mut self, now: Instant) -> bool {
        self.start(now, Query::new(KEY, FIND))
    }

    fn start(&mut self, now: Instant, query: Query) -> bool {
        self.found = None;
        self.query = self.node.query(now, query).ok();
        self.query.is_some()
    }

    /// By how many the value was taken, once the query is over. 0 if it has failed.
    pub fn committed(&mut self) -> Option<u32> {
        while let Some(reply) = self.node.next_reply(self.query?) {
            self.found = reply.value;
        }
        let outcome = self.node.take_outcome(self.query?)?;
        Some(outcome.ok().and_then(|outcome| outcome.commit).map_or(0, |commit| commit.succeeded))
    }

    /// What the last query has found.
    pub fn found(&self) -> &[u8] {
        self.found.as_deref().unwrap_or_default()
    }
}

/// Not random at all, as a proof should be.
struct Xorshift(u64);

impl TryRng for Xorshift {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u64()? as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Xorshift {}
