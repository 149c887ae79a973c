//! Three nodes over `smoltcp`, as firmware has them: one loop, no operating system, buffers of a fixed
//! size. They join, one node stores a value at the other nodes, and another node finds it.
//!
//! `cargo run -p dht-core --example smoltcp`
//!
//! On a board, the device is its network chip instead of [`Loopback`], the clock is a timer that never
//! stops, the seed comes from its source of randomness, and where time is skipped here, the board sleeps.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Answer, Config, DATAGRAM_MAX, Handled, Id, Incoming, Instant, Node, Query, Via};
use heapless::Vec;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use smoltcp::iface::{self, Interface, PollResult, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

const NODES: usize = 3;
const FIRST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 49_737);
/// The command of this example: with a value it stores the value under the target, without one it looks
/// there.
const VALUE: u64 = 0;

/// The longest datagram that a node with `Config::embedded` sends or takes.
const LONGEST: usize = 508;

/// The buffers of one socket: for three of the longest datagrams to come in, and one to go out. So it is
/// known whether there is room for a datagram before it is encoded.
struct Buffers([PacketMetadata; 8], [u8; 3 * LONGEST], [PacketMetadata; 1], [u8; LONGEST]);

impl Buffers {
    const NEW: Self = Self(
        [PacketMetadata::EMPTY; 8],
        [0; 3 * LONGEST],
        [PacketMetadata::EMPTY; 1],
        [0; LONGEST],
    );

    fn bind(&mut self, port: u16) -> Result<Socket<'_>, &'static str> {
        let received = PacketBuffer::new(&mut self.0[..], &mut self.1[..]);
        let sent = PacketBuffer::new(&mut self.2[..], &mut self.3[..]);
        let mut socket = Socket::new(received, sent);
        socket.bind(port).map(|()| socket).map_err(|_| "not a port")
    }
}

struct Member {
    node: Node,
    sockets: [(Via, SocketHandle); 2],
    /// The one value that the node keeps for its peers.
    value: Option<(Id, Vec<u8, 64>)>,
}

impl Member {
    /// Hands in the datagrams that have arrived, and the time; then sends what there is room for.
    fn turn(&mut self, now: Instant, sockets: &mut SocketSet<'_>, out: &mut [u8; DATAGRAM_MAX]) {
        for (via, handle) in self.sockets {
            // The datagram is read where it lies. The node drops a datagram that is too long by itself.
            while let Ok((data, meta)) = sockets.get_mut::<Socket<'_>>(handle).recv() {
                let IpAddress::Ipv4(ip) = meta.endpoint.addr;
                let from = SocketAddrV4::new(ip, meta.endpoint.port);
                if let Handled::Request(request) = self.node.handle_datagram(now, via, from, data) {
                    let answer = serve(&mut self.value, &request);
                    // Too many answers wait to be sent: then the peer gets none.
                    let _ = self.node.reply(now, request.reply_to, answer);
                }
            }
        }
        self.node.handle_timeout(now);
        while self.node.poll_event().is_some() {}
        for (via, handle) in self.sockets {
            let socket = sockets.get_mut::<Socket<'_>>(handle);
            if socket.can_send() {
                let Some(transmit) = self.node.poll_transmit_via(now, via, out) else { continue };
                socket.set_hop_limit(transmit.ttl);
                // A datagram that can't be sent is like a lost datagram.
                let _ = socket.send_slice(&out[..transmit.len], transmit.to);
            }
        }
    }
}

fn serve(kept: &mut Option<(Id, Vec<u8, 64>)>, request: &Incoming<'_>) -> Answer {
    match (request.command, request.target, request.value) {
        // A valid token: the peer is at the address that it sends from.
        (VALUE, Some(key), Some(value)) if request.token.is_some() => {
            *kept = Vec::from_slice(value).ok().map(|value| (key, value));
            Answer::empty()
        }
        (VALUE, Some(key), _) => match kept {
            Some((other, value)) if *other == key => Answer::value(value.to_vec()),
            _ => Answer::empty(),
        },
        _ => Answer::error(dht_core::error_code::UNKNOWN_COMMAND),
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (mut device, config) = (Loopback::new(Medium::Ip), iface::Config::new(HardwareAddress::Ip));
    let mut interface = Interface::new(config, &mut device, smoltcp::time::Instant::ZERO);
    interface.update_ip_addrs(|own| _ = own.push(IpCidr::new((*FIRST.ip()).into(), 8)));

    let mut buffers = [const { [Buffers::NEW; 2] }; NODES];
    let mut storage = [SocketStorage::EMPTY; 2 * NODES];
    let mut sockets = SocketSet::new(&mut storage[..]);
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let (mut now, mut out) = (Instant::ZERO, [0; DATAGRAM_MAX]);
    let mut members = Vec::<Member, NODES>::new();
    for (port, [server, client]) in (FIRST.port()..).step_by(2).zip(&mut buffers) {
        let local = |port| SocketAddrV4::new(*FIRST.ip(), port);
        // At most 54 KiB per node. The address, and that peers can reach it, is known here; else nodes
        // find out.
        let mut config = Config::embedded();
        (config.ephemeral, config.firewalled) = (Some(false), false);
        config.public_address = Some(local(port));
        if port != FIRST.port() {
            config.bootstrap.push(FIRST.into());
        }
        let mut node = Node::new(config, &mut rng, now)?;
        node.handle_bound(now, local(port + 1), local(port));
        let client = (Via::Client, sockets.add(client.bind(port + 1)?));
        let server = (Via::Server, sockets.add(server.bind(port)?));
        members.push(Member { node, sockets: [client, server], value: None }).ok();
    }

    let (key, mut put, mut get) = (Id([7; 32]), None, None);
    while now < Instant::ZERO + Duration::from_secs(60) {
        for member in &mut members {
            member.turn(now, &mut sockets, &mut out);
        }

        // All nodes have joined, one node stores a value, another node finds it.
        if put.is_none() && members.iter().all(|member| member.node.bootstrapped()) {
            let query = Query::new(key, VALUE).value("hello").commit().discard_replies();
            put = Some(members[1].node.query(now, query)?);
        }
        if let Some(outcome) = put.and_then(|put| members[1].node.take_outcome(put)) {
            println!("stored: {}", outcome?.commit.unwrap_or_default());
            get = Some(members[2].node.query(now, Query::new(key, VALUE))?);
        }
        let reply = get.and_then(|get| members[2].node.next_reply(get));
        if let Some(value) = reply.and_then(|reply| reply.value) {
            println!(
                "found: {}, after {} ms",
                String::from_utf8_lossy(&value),
                now.as_micros() / 1000
            );
            return Ok(());
        }

        // Datagrams go out and come in. If none did, a board sleeps until its network chip wakes it, or
        // until the next deadline of a node or of the stack.
        let clock = smoltcp::time::Instant::from_micros(now.as_micros() as i64);
        if interface.poll(clock, &mut device, &mut sockets) == PollResult::None {
            let stack = interface.poll_delay(clock, &sockets).map(|delay| now + delay.into());
            let nodes = members.iter().filter_map(|member| member.node.poll_timeout());
            now = nodes.chain(stack).min().map_or(now, |due| due.max(now));
        }
    }
    Err("that took too long".into())
}
