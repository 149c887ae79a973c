//! Peers, a wire between them, and virtual time.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use dht_core::{DATAGRAM_MAX, Instant, Via};

use crate::peer::{PEERS, Peer, client, server};

const LATENCY: Duration = Duration::from_millis(10);

struct Packet {
    due: Instant,
    from: SocketAddrV4,
    to: SocketAddrV4,
    bytes: Vec<u8>,
}

pub struct Net {
    pub now: Instant,
    pub peers: Vec<Peer>,
    packets: VecDeque<Packet>,
    trace: fn(&[u8]),
}

impl Net {
    pub fn new(trace: fn(&[u8])) -> Option<Self> {
        let now = Instant::ZERO;
        let mut peers = (0..PEERS).map(|n| Peer::new(n, now)).collect::<Option<Vec<_>>>()?;
        for (peer, n) in peers.iter_mut().zip(0..) {
            peer.bound(n, now);
        }
        Some(Self { now, peers, packets: VecDeque::new(), trace })
    }

    /// A peer's query to its end: who took a commit.
    pub fn query(&mut self, n: usize) -> Option<u32> {
        let mut committed = None;
        self.run_until(|net| {
            committed = net.peers[n].committed();
            committed.is_some()
        });
        committed
    }

    /// `None` if it is not so within an hour.
    pub fn run_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) -> Option<()> {
        let end = self.now + Duration::from_secs(3600);
        while !is_so(self) {
            self.flush();
            let packet = self.packets.front().map(|packet| packet.due);
            let timers = self.peers.iter().filter_map(Peer::poll_timeout);
            self.now = self.now.max(timers.chain(packet).min()?);
            if self.now > end {
                return None;
            }
            while let Some(packet) = self.packets.pop_front_if(|packet| packet.due <= self.now) {
                self.deliver(&packet);
            }
            for peer in &mut self.peers {
                peer.timeout(self.now);
            }
        }
        Some(())
    }

    fn flush(&mut self) {
        let mut buf = [0; DATAGRAM_MAX];
        for (peer, n) in self.peers.iter_mut().zip(0..) {
            while let Some(transmit) = peer.poll_transmit(self.now, &mut buf) {
                let from = if transmit.via == Via::Server { server(n) } else { client(n) };
                let bytes = buf.get(..transmit.len).unwrap_or_default().to_vec();
                let mut line = Line::default();
                line.number(self.now.as_micros()).text(" ").addr(from).text(" ").addr(transmit.to);
                line.text(" ").hex(&bytes).text("\n");
                (self.trace)(line.as_bytes());
                let due = self.now + LATENCY;
                self.packets.push_back(Packet { due, from, to: transmit.to, bytes });
            }
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        for (peer, n) in self.peers.iter_mut().zip(0..) {
            let via = match packet.to {
                to if to == server(n) => Via::Server,
                to if to == client(n) => Via::Client,
                _ => continue,
            };
            peer.datagram(self.now, via, packet.from, &packet.bytes);
        }
    }
}

/// A line of text, without `core::fmt`, for the sake of the size that is weighed here.
#[derive(Default)]
pub struct Line(Vec<u8>);

impl Line {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn number(&mut self, n: u64) -> &mut Self {
        if n >= 10 {
            self.number(n / 10);
        }
        self.0.push(b'0' + (n % 10) as u8);
        self
    }

    fn addr(&mut self, addr: SocketAddrV4) -> &mut Self {
        for (octet, end) in addr.ip().octets().into_iter().zip([".", ".", ".", ":"]) {
            self.number(octet.into()).text(end);
        }
        self.number(addr.port().into())
    }

    fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
        self.0.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        self
    }
}
