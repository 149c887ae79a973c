//! An actor that asks nodes all that can be asked, rightly and wrongly. It judges nothing: the invariants see
//! what arrives at a node, and what the node makes of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::Id;
use dht_core::wire::{Message, Request, Response, addr_bytes};

use super::{echo::ECHO, read};
use crate::attack::{Puppet, ping, request_bytes, response_bytes};
use crate::sim::command::{DELAYED_PING, DOWN_HINT, FIND_NODE, PING, PING_NAT};
use crate::sim::{Actor, ActorCx, Datagram, Sim};
use crate::world::{HostId, Micros, Stream};

/// Its two hosts, in networks of their own.
pub(crate) const IPS: [Ipv4Addr; 2] = [Ipv4Addr::new(104, 0, 0, 1), Ipv4Addr::new(104, 0, 1, 1)];
/// From one probe to the next, about.
const PAUSE: Micros = 2_000_000;
/// The timer of the next probe; timers of tokens are counted from 1.
const NEXT: u64 = 0;
/// When a token is shown again, by whom: from another port, from the other host, just before it may
/// be refused, and after it must be. The way there takes some time.
const SHOWN: [(Micros, usize); 4] = [(1, 0), (2_000_000, 1), (7_300_000, 0), (15_100_000, 0)];

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Prober {
    /// Nodes to probe.
    nodes: Vec<SocketAddrV4>,
    /// Tokens to be shown: to whom, and from which of its hosts.
    tokens: BTreeMap<u64, (SocketAddrV4, [u8; 32], usize)>,
    serial: u64,
}

impl Prober {
    fn probe(&self, cx: &mut ActorCx<'_>, to: SocketAddrV4) {
        let from = own(cx.rng, 0);
        let other = self.nodes[cx.rng.below(self.nodes.len() as u64) as usize];
        let (key, number) = (cx.rng.key(), cx.rng.next());
        match kind_of(number) {
            12 => {
                let from = if number & 1 == 0 { other } else { from };
                answer_unasked(cx, from, to, number as u16, &key);
            }
            kind => {
                // Of delayed pings one, or more at once than may wait.
                let times = if kind == 8 && number & 48 == 0 { DELAYED } else { 1 };
                for _ in 0..times {
                    let ping = ping(cx.rng.next() as u16, to);
                    cx.send(from, to, request(number, &key, from, other, ping));
                }
            }
        }
    }
}

fn kind_of(number: u64) -> u64 {
    number >> 32 & 15
}

/// A ping changed to a request of some kind, right or wrong; the number decides which and how.
fn request(
    number: u64,
    key: &[u8; 32],
    from: SocketAddrV4,
    other: SocketAddrV4,
    ping: Request<'_>,
) -> Vec<u8> {
    let key_unless = |bits: u64| Some(key).filter(|_| number & bits == 0);
    let (id, bytes, down) = (Id::of(from), number.to_le_bytes(), addr_bytes(other));
    let echoed = Some(&bytes[..number as usize % 9]).filter(|_| number & 16 == 0);
    // Half of the time the port is 0, or not there.
    let (port, delay) = ([0, number as u8], (number as u32 % 12_000).to_le_bytes());
    let internal = number & 1 == 0;
    let kind = kind_of(number);
    let request = match kind {
        0..=2 => {
            let target = key_unless(32);
            Request { internal: false, command: ECHO, value: echoed, target, ..ping }
        }
        3 => Request { value: echoed, target: key_unless(32), ..ping },
        4 => {
            let target = Some(key).filter(|_| number & 7 > 0);
            Request { command: FIND_NODE, target, ..ping }
        }
        5 => Request { internal, command: 8 + (number >> 40), target: key_unless(2), ..ping },
        6 => {
            let value = Some(&port[..number as usize / 256 % 3]);
            Request { command: PING_NAT, value, ..ping }
        }
        7 => {
            let value = Some(&down[..if number & 3 == 0 { 5 } else { 6 }]);
            Request { command: DOWN_HINT, value, ..ping }
        }
        8 => {
            let value = Some(&delay[..4 - (number >> 62) as usize]);
            Request { command: DELAYED_PING, value, ..ping }
        }
        // Verified by a ping, which is answered from elsewhere only.
        9 | 10 => Request { id: Some(id.as_bytes()), ..ping },
        // A token that was never given out, with commands that are answered, unknown, or ignored.
        11 => {
            let (token, command) = (Some(key), number >> 1 & 7);
            Request { token, internal, command, target: key_unless(16), ..ping }
        }
        // All parts, to be cut.
        13 => {
            let (all, value) = (Some(key), Some(&key[..9]));
            Request { id: all, token: all, target: all, value, ..ping }
        }
        14 => Request { value: Some(&[1, 2, 3]), ..ping },
        // Just too long, or just not.
        _ => {
            let value = Some(&[7; DATAGRAM_MAX + 1 - HEAD][number as usize & 1..]);
            Request { value, ..ping }
        }
    };
    let mut bytes = request_bytes(&request);
    match (kind, number & 3) {
        (13, _) => bytes.truncate(number as usize % bytes.len().max(1)),
        // A byte of its head is changed, or a length is larger than all there is.
        (14, at @ (0 | 1)) => bytes[at as usize] = (number >> 8) as u8,
        (14, _) => {
            let at = bytes.len() - 4;
            bytes[at] = 4 + (number >> 8) as u8 % 252;
        }
        _ => {}
    }
    bytes
}

/// An answer, under some transaction id, that names a node which is not there.
fn answer_unasked(
    cx: &mut ActorCx<'_>,
    from: SocketAddrV4,
    to: SocketAddrV4,
    tid: u16,
    token: &[u8; 32],
) {
    let puppet = Puppet::at(from);
    let response = Response { token: Some(token), ..puppet.response(tid, to) };
    let nobody = SocketAddrV4::new(IPS[1], 9);
    cx.send(from, to, response_bytes(&response, &[nobody]));
}

/// Of one host, four delayed pings may wait.
const DELAYED: u32 = 6;
/// Longer datagrams are not taken.
const DATAGRAM_MAX: usize = 2_048;
/// Of a request with nothing but a long value: version, flags, transaction id, address, command, length.
const HEAD: usize = 1 + 1 + 2 + 6 + 1 + 3;

/// One of its addresses.
fn own(rng: &mut Stream, which: usize) -> SocketAddrV4 {
    SocketAddrV4::new(IPS[which], 1_024 + rng.below(60_000) as u16)
}

impl Actor for Prober {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        cx.wake_after(PAUSE, NEXT);
    }

    fn on_packet(&mut self, cx: &mut ActorCx<'_>, Datagram { from, to, bytes }: Datagram<'_>) {
        match read(bytes) {
            Ok(Message::Response(Response { token: Some(token), error: 0, .. })) => {
                // Of an answer to a shown token nothing more is made.
                if *to.ip() != IPS[0] || self.tokens.values().any(|(of, ..)| *of == from) {
                    return;
                }
                for (after, host) in SHOWN {
                    self.serial += 1;
                    self.tokens.insert(self.serial, (from, *token, host));
                    cx.wake_after(after, self.serial);
                }
            }
            Ok(Message::Request(request)) => {
                let tid = request.tid;
                let key = cx.rng.key();
                // From the right host at the wrong port, the wrong host, and with the wrong id.
                for (which, tid) in [(0, tid), (1, tid), (0, tid.wrapping_add(1))] {
                    let source = if tid == request.tid { own(cx.rng, which) } else { to };
                    answer_unasked(cx, source, from, tid, &key);
                }
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, token: u64) {
        if token != NEXT {
            let Some((to, token, host)) = self.tokens.remove(&token) else { return };
            let from = own(cx.rng, host);
            let internal = cx.rng.chance(0.2);
            let command = if internal { PING } else { ECHO };
            let ping = ping(cx.rng.next() as u16, to);
            let request = Request { internal, command, token: Some(&token), ..ping };
            return cx.send(from, to, request_bytes(&request));
        }
        if !self.nodes.is_empty() {
            let to = self.nodes[cx.rng.below(self.nodes.len() as u64) as usize];
            self.probe(cx, to);
        }
        let pause = PAUSE / 2 + cx.rng.below(PAUSE);
        cx.wake_after(pause, NEXT);
    }
}

impl Sim {
    /// Tells a prober who is there.
    pub(crate) fn tell_prober(&mut self, prober: HostId) {
        let hosts = self.hosts.iter().filter(|host| host.node.is_some() && host.nat.is_none());
        let nodes: Vec<_> = hosts.map(|host| host.server()).collect();
        let actor = self.hosts.get_mut(prober.index()).and_then(|host| host.actor.as_deref_mut());
        let actor = actor.map(|actor| actor as &mut dyn std::any::Any);
        if let Some(prober) = actor.and_then(|actor| actor.downcast_mut::<Prober>()) {
            prober.nodes = nodes;
        }
    }
}
