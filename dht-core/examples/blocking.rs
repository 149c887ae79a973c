//! A complete node over `std::net::UdpSocket`, without any async runtime: the loop that every
//! adapter is made of. It answers the command 0 with an echo, until its time is over.
//!
//! `cargo run -p dht-core --example blocking -- [--bootstrap host:port] [--port p] [--seconds s]`
//!
//! Without `--bootstrap` the node is a bootstrap node itself, at port 49737 unless told otherwise.

use std::error::Error;
use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, TimedOut, WouldBlock};
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant as Clock};

use dht_core::{Answer, Config, DATAGRAM_MAX, Handled, Instant, Node, Unsent, Via, error_code};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The longest that the loop waits at one socket while the other one may have a datagram.
const PATIENCE: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    let (mut port, mut seconds) = (49_737, 10);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let value = args.next().ok_or_else(|| format!("what is {option}?"))?;
        match option.as_str() {
            "--bootstrap" => config.bootstrap.push(value.parse()?),
            "--port" => port = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    if config.bootstrap.is_empty() {
        config = Config::bootstrapper(port, "127.0.0.1")?;
    }

    let end = Clock::now() + Duration::from_secs(seconds);
    run(config, port, || Clock::now() < end)
}

/// Runs a node, its server socket at `port`, for as long as it is told to.
pub(crate) fn run(
    config: Config,
    port: u16,
    go_on: impl Fn() -> bool,
) -> Result<(), Box<dyn Error>> {
    // What the core does not have: randomness, a clock, sockets.
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    // Better a clock that counts on while the machine sleeps, if the system has one.
    let epoch = Clock::now();
    let now = || Instant::from_micros(epoch.elapsed().as_micros() as u64);
    let server = UdpSocket::bind(("127.0.0.1", port))?;
    let client = UdpSocket::bind("127.0.0.1:0")?;

    let mut node = Node::new(config, &mut ChaCha20Rng::from_seed(seed), now())?;
    node.handle_bound(now(), v4(client.local_addr()?)?, v4(server.local_addr()?)?);
    println!("listening on {}", server.local_addr()?);

    let mut buf = [0; DATAGRAM_MAX + 1];
    while go_on() {
        // Out: whatever the node wants to send, look up or tell.
        let mut out = [0; DATAGRAM_MAX];
        while let Some(transmit) = node.poll_transmit(now(), &mut out) {
            let socket = if transmit.via == Via::Server { &server } else { &client };
            // A datagram that can't be sent is like a lost datagram; the system knows why.
            if socket.send_to(&out[..transmit.len], transmit.to).is_err() {
                node.handle_unsent(now(), &transmit, Unsent::Other);
            }
        }
        while let Some(lookup) = node.poll_name() {
            let found = (node.name_of(lookup), 0).to_socket_addrs();
            let found = found.into_iter().flatten().filter_map(|addr| v4(addr).ok());
            let ips: Vec<_> = found.map(|addr| *addr.ip()).collect();
            node.handle_resolved(now(), lookup, &ips);
        }
        while let Some(event) = node.poll_event() {
            println!("{event:?}");
        }

        // In: datagrams, or the time that the node waits for.
        for (via, socket) in [(Via::Client, &client), (Via::Server, &server)] {
            let wait = node.poll_timeout().map_or(PATIENCE, |at| at.saturating_since(now()));
            socket.set_read_timeout(Some(wait.clamp(Duration::from_micros(1), PATIENCE)))?;
            let (len, from) = match socket.recv_from(&mut buf) {
                Ok((len, from)) => (len, v4(from)?),
                Err(e) if matches!(e.kind(), WouldBlock | TimedOut) => continue,
                // News about one peer, not about this socket: no node is there (any more).
                Err(e) if matches!(e.kind(), ConnectionRefused | ConnectionReset) => continue,
                Err(e) => return Err(e.into()),
            };
            if let Handled::Request(request) = node.handle_datagram(now(), via, from, &buf[..len]) {
                let answer = match (request.command, request.value) {
                    (0, Some(value)) => Answer::value(value.to_vec()),
                    (0, None) => Answer::empty(),
                    _ => Answer::error(error_code::UNKNOWN_COMMAND),
                };
                // Too long for a datagram, or too many answers wait: the peer gets no answer.
                let _ = node.reply(now(), request.reply_to, answer);
            }
        }
        node.handle_timeout(now());
    }
    node.close(now());
    println!("{} nodes known", node.nodes().count());
    Ok(())
}

fn v4(addr: SocketAddr) -> Result<SocketAddrV4, &'static str> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => Err("not an IPv4 address"),
    }
}
