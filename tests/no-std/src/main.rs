//! The proof that the core needs no std: a binary that has none runs two nodes.
//!
//! They live in memory and virtual time: one is the bootstrap node, the other joins, asks,
//! stores a value and looks it up, and then both go on for ten minutes. The exit code is 0
//! if all went well, else the number of what did not, or 101 for a panic. See `run`.

#![no_std]
#![no_main]

extern crate alloc;

mod bare;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use bytes::Bytes;
use dht_core::{Answer, Config, DATAGRAM_MAX, Handled, Id, Instant, Node, Query, Request, Via};
use rand_core::{TryCryptoRng, TryRng};

const LATENCY: Duration = Duration::from_millis(10);
const ECHO: u64 = 0;
const STORE: u64 = 1;
const FIND: u64 = 2;

fn main() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(step) => step,
    }
}

fn run() -> Result<(), i32> {
    let mut net = Net::new().ok_or(1)?;
    net.run_until(|net| net.nodes[1].bootstrapped()).ok_or(2)?;
    // Each has an id and is in the other's table.
    net.run_until(|net| net.nodes.iter().all(|node| node.table_len() == 1 && node.id().is_some()))
        .ok_or(3)?;

    let request = Request::new(server(0), ECHO).value(&b"hello"[..]);
    let id = net.nodes[1].request(net.now, request).map_err(|_| 4)?;
    let mut result = None;
    net.run_until(|net| {
        result = net.nodes[1].take_response(id);
        result.is_some()
    });
    let reply = result.and_then(Result::ok).ok_or(5)?;
    check(reply.value.as_deref() == Some(b"hello"), 6)?;

    let key = Id([7; 32]);
    let outcome = net.query(Query::new(key, STORE).value(&b"value"[..]).commit()).ok_or(7)?;
    check(outcome.1 == 1, 8)?;
    let outcome = net.query(Query::new(key, FIND)).ok_or(9)?;
    check(outcome.0.as_deref() == Some(b"value"), 10)?;

    let used = bare::heap_used();
    let end = net.now + Duration::from_secs(600);
    net.run_until(|net| net.now >= end).ok_or(11)?;
    check(net.nodes.iter().all(|node| node.table_len() == 1 && node.online()), 12)?;
    check(bare::heap_used() <= used + (16 << 10), 13)?;

    bare::print(b"two nodes, ");
    print_number(bare::heap_used());
    bare::print(b" bytes of heap at most\n");
    Ok(())
}

fn check(is_so: bool, step: i32) -> Result<(), i32> {
    if is_so { Ok(()) } else { Err(step) }
}

fn print_number(n: usize) {
    if n >= 10 {
        print_number(n / 10);
    }
    bare::print(&[b'0' + (n % 10) as u8]);
}

fn server(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n + 1), 2000)
}

fn client(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(*server(n).ip(), 1000)
}

struct Packet {
    due: Instant,
    from: SocketAddrV4,
    to: SocketAddrV4,
    bytes: Vec<u8>,
}

struct Net {
    now: Instant,
    nodes: [Node; 2],
    packets: VecDeque<Packet>,
    /// What the first node has stored.
    stored: Option<Bytes>,
}

impl Net {
    fn new() -> Option<Self> {
        let now = Instant::ZERO;
        let mut rng = Xorshift(1);
        let first = Config::bootstrapper(server(0).port(), "10.0.0.1").ok()?;
        let mut second = Config::default();
        second.bootstrap.push(server(0).into());
        second.ephemeral = Some(false);
        second.firewalled = false;
        let mut nodes =
            [Node::new(first, &mut rng, now).ok()?, Node::new(second, &mut rng, now).ok()?];
        for (node, n) in nodes.iter_mut().zip(0..) {
            node.handle_bound(now, client(n), server(n));
        }
        Some(Self { now, nodes, packets: VecDeque::new(), stored: None })
    }

    /// A query of the second node's: the last value that it found, and who took a commit.
    fn query(&mut self, query: Query) -> Option<(Option<Bytes>, u32)> {
        let id = self.nodes[1].query(self.now, query).ok()?;
        let (mut value, mut outcome) = (None, None);
        self.run_until(|net| {
            while let Some(reply) = net.nodes[1].next_reply(id) {
                value = reply.value;
            }
            outcome = net.nodes[1].take_outcome(id);
            outcome.is_some()
        })?;
        let commit = outcome?.ok()?.commit;
        Some((value, commit.map_or(0, |commit| commit.succeeded)))
    }

    /// `None` if it is not so within an hour.
    fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) -> Option<()> {
        let end = self.now + Duration::from_secs(3600);
        while !is_so(self) {
            self.flush();
            let packet = self.packets.front().map(|packet| packet.due);
            let timers = self.nodes.iter().filter_map(Node::poll_timeout);
            self.now = self.now.max(timers.chain(packet).min()?);
            if self.now > end {
                return None;
            }
            while let Some(packet) = self.packets.pop_front_if(|packet| packet.due <= self.now) {
                self.deliver(&packet);
            }
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
        }
        Some(())
    }

    fn flush(&mut self) {
        let mut buf = [0; DATAGRAM_MAX];
        for (node, n) in self.nodes.iter_mut().zip(0..) {
            while let Some(transmit) = node.poll_transmit(self.now, &mut buf) {
                let from = if transmit.via == Via::Server { server(n) } else { client(n) };
                let bytes = buf.get(..transmit.len).unwrap_or_default().to_vec();
                let due = self.now + LATENCY;
                self.packets.push_back(Packet { due, from, to: transmit.to, bytes });
            }
            while node.poll_event().is_some() {}
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        for (node, n) in self.nodes.iter_mut().zip(0..) {
            let via = match packet.to {
                to if to == server(n) => Via::Server,
                to if to == client(n) => Via::Client,
                _ => continue,
            };
            let handled = node.handle_datagram(self.now, via, packet.from, &packet.bytes);
            let Handled::Request(request) = handled else { continue };
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
            let _ = node.reply(self.now, request.reply_to, answer);
        }
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
