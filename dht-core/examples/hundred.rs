//! A hundred nodes in one thread over `mio`: two hundred sockets, one loop, no runtime. All join by the
//! first node, then each looks for a key, and the program ends.
//!
//! `cargo run -p dht-core --example hundred`

use std::error::Error;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant as Clock};

use dht_core::{Config, DATAGRAM_MAX, Id, Instant, Node, Query, QueryId, Via};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NODES: usize = 100;
/// How long all of this may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node and its sockets. In the tables of `mio` these have twice its number, and one more.
struct Member {
    node: Node,
    client: UdpSocket,
    server: UdpSocket,
    query: Option<QueryId>,
    found: Option<usize>,
}

impl Member {
    fn new(
        registry: &Registry,
        number: usize,
        config: Config,
        rng: &mut ChaCha20Rng,
        mut server: UdpSocket,
        now: Instant,
    ) -> Result<Self, Box<dyn Error>> {
        let mut client = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        registry.register(&mut client, Token(2 * number), Interest::READABLE)?;
        registry.register(&mut server, Token(2 * number + 1), Interest::READABLE)?;
        let mut node = Node::new(config, rng, now)?;
        node.handle_bound(now, v4(client.local_addr()?)?, v4(server.local_addr()?)?);
        Ok(Self { node, client, server, query: None, found: None })
    }

    /// Hands in all datagrams that have arrived at one of the sockets, since `mio` does not tell of them
    /// again.
    fn receive(&mut self, via: Via, now: impl Fn() -> Instant) -> io::Result<()> {
        let mut buf = [0; DATAGRAM_MAX + 1];
        let socket = if via == Via::Server { &self.server } else { &self.client };
        loop {
            match socket.recv_from(&mut buf) {
                Ok((len, SocketAddr::V4(from))) => {
                    // No commands of our own here: requests for the application stay unanswered.
                    let _ = self.node.handle_datagram(now(), via, from, &buf[..len]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // News about one peer, not about this socket.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn look_up(&mut self, now: Instant) -> Result<(), Box<dyn Error>> {
        let target = Id([self.node.table_id().0[0]; 32]);
        self.query = Some(self.node.query(now, Query::find_node(target).discard_replies())?);
        Ok(())
    }

    /// Sends what the node wants to be sent, and takes what it tells.
    fn pump(&mut self, now: impl Fn() -> Instant) -> Result<(), Box<dyn Error>> {
        self.node.handle_timeout(now());
        let mut out = [0; DATAGRAM_MAX];
        while let Some(transmit) = self.node.poll_transmit(now(), &mut out) {
            let socket = if transmit.via == Via::Server { &self.server } else { &self.client };
            // A datagram that can't be sent is like a lost datagram.
            let _ = socket.send_to(&out[..transmit.len], transmit.to.into());
        }
        while self.node.poll_event().is_some() {}
        if let Some(outcome) = self.query.and_then(|query| self.node.take_outcome(query)) {
            self.found = Some(outcome?.closest.len());
        }
        Ok(())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    let epoch = Clock::now();
    let now = || Instant::from_micros(epoch.elapsed().as_micros() as u64);

    let mut poll = Poll::new()?;
    let mut members: Vec<Member> = Vec::new();
    let mut events = Events::with_capacity(2 * NODES);
    while members.len() < NODES || members.iter().any(|member| member.found.is_none()) {
        // One node after the other, so that each finds the nodes before it.
        let ready = |members: &[Member]| members.last().is_none_or(|m| m.node.bootstrapped());
        while ready(&members) && members.len() < NODES {
            let server = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            let mut config = match members.first() {
                None => Config::bootstrapper(server.local_addr()?.port(), "127.0.0.1")?,
                Some(_) => Config::default(),
            };
            if let Some(first) = members.first() {
                config.bootstrap.push(v4(first.server.local_addr()?)?.into());
            }
            (config.ephemeral, config.firewalled) = (Some(false), false);
            let number = members.len();
            members.push(Member::new(poll.registry(), number, config, &mut rng, server, now())?);
        }
        let all = ready(&members);
        for member in &mut members {
            if all && member.query.is_none() {
                member.look_up(now())?;
            }
            member.pump(now)?;
        }
        let due = members.iter().filter_map(|member| member.node.poll_timeout()).min();
        poll.poll(&mut events, due.map(|at| at.saturating_since(now())))?;
        for event in &events {
            let Token(number) = event.token();
            let via = if number % 2 == 0 { Via::Client } else { Via::Server };
            members[number / 2].receive(via, now)?;
        }
        if epoch.elapsed() > PATIENCE {
            return Err("that took too long".into());
        }
    }
    let found = members.iter().filter(|member| member.found == Some(20)).count();
    println!("{found} of {NODES} nodes found 20 each, after {:.1?}", epoch.elapsed());
    Ok(())
}

fn v4(addr: SocketAddr) -> Result<SocketAddrV4, &'static str> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => Err("not an IPv4 address"),
    }
}
