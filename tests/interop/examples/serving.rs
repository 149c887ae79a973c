//! What a request of hyperdht costs the node that serves it, in CPU time of its process: one of ours and one of theirs,
//! side by side, over the loopback interface.
//!
//! `cargo run --release -p dht-interop --example serving`

// A measurement speaks by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use blake2::{Blake2b256, Digest};
use dht_core::hyperdht::command::{
    ANNOUNCE, FIND_PEER, IMMUTABLE_GET, IMMUTABLE_PUT, LOOKUP, MUTABLE_GET, MUTABLE_PUT,
};
use dht_core::hyperdht::{Announcement, KeyPair, Mutable, PeerRecord, ServiceConfig, hash};
use dht_core::wire::{Message, Request, decode};
use dht_core::{DATAGRAM_MAX, Id};
use dht_interop::ours::{address, serving};
use dht_interop::theirs::Theirs;
use dht_interop::{js, json};

/// For how long each command is sent.
const TIME: Duration = Duration::from_secs(4);
/// Requests under way.
const WINDOW: u16 = 32;
/// Keys, topics and values.
const MANY: u64 = 1_000;
/// Peers of a topic.
const PEERS: u64 = 10;
/// Bytes of a value.
const VALUE: usize = 200;
/// The system's unit of CPU time.
const TICKS_PER_SECOND: f64 = 100.0;

/// Who asks one node.
struct Client {
    socket: UdpSocket,
    node: SocketAddrV4,
    token: [u8; 32],
    pairs: Vec<KeyPair>,
}

/// A command with what belongs to it: the `n`th request.
type Ask = fn(&Client, u64) -> (Id, Option<Vec<u8>>);

const COMMANDS: [(&str, u64, Ask); 7] = [
    ("ANNOUNCE", ANNOUNCE, |client, n| {
        let topic = hash(&(n % MANY / PEERS).to_le_bytes());
        (topic, Some(client.announcement(topic, n)))
    }),
    ("ANNOUNCE of oneself", ANNOUNCE, |client, n| {
        let topic = hash(&client.pair(n).public_key().0);
        (topic, Some(client.announcement(topic, n)))
    }),
    ("LOOKUP, 10 peers", LOOKUP, |_, n| (hash(&(n % MANY / PEERS).to_le_bytes()), None)),
    ("FIND_PEER", FIND_PEER, |client, n| (hash(&client.pair(n).public_key().0), None)),
    ("MUTABLE_PUT", MUTABLE_PUT, |client, n| {
        let (pair, value) = (client.pair(n), [n as u8; VALUE]);
        let put = Mutable::sign(pair, n, &value).unwrap().encode_put(&pair.public_key());
        (hash(&pair.public_key().0), Some(put.to_vec()))
    }),
    ("MUTABLE_GET", MUTABLE_GET, |client, n| (hash(&client.pair(n).public_key().0), Some(vec![0]))),
    ("IMMUTABLE_PUT", IMMUTABLE_PUT, |_, n| (hash(&value(n)), Some(value(n)))),
];
const IMMUTABLE: (&str, u64, Ask) =
    ("IMMUTABLE_GET", IMMUTABLE_GET, |_, n| (hash(&value(n)), None));

fn value(n: u64) -> Vec<u8> {
    [n % MANY; VALUE / 8].map(u64::to_le_bytes).concat()
}

impl Client {
    fn of(node: SocketAddrV4) -> Client {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let pair = |n: u64| KeyPair::from_seed([n.to_le_bytes(); 4].concat().try_into().unwrap());
        Client { socket, node, token: [0; 32], pairs: (0..MANY).map(pair).collect() }
    }

    fn pair(&self, n: u64) -> &KeyPair {
        &self.pairs[(n % MANY) as usize]
    }

    fn announcement(&self, topic: Id, n: u64) -> Vec<u8> {
        let pair = self.pair(n);
        let peer = PeerRecord { public_key: pair.public_key(), relay_addresses: vec![self.node] };
        let namespace = [&hash(b"hyperswarm/dht").0[..], &[ANNOUNCE as u8]].concat();
        let signed = Blake2b256::new()
            .chain_update(topic.0)
            .chain_update(Id::of(self.node).0)
            .chain_update(self.token)
            .chain_update(peer.encode());
        let signable = [&hash(&namespace).0[..], &signed.finalize()[..]].concat();
        let signature = Some(pair.sign(&signable));
        Announcement { peer: Some(peer), signature, ..Announcement::default() }.encode().to_vec()
    }

    fn send(&self, tid: u16, command: u64, target: Id, value: Option<&[u8]>) {
        let (token, target) = (Some(&self.token), Some(&target.0));
        let to = self.node;
        let request = Request { tid, to, id: None, token, internal: false, command, target, value };
        let mut datagram = vec![0; request.encoded_len()];
        request.encode(&mut datagram).unwrap();
        self.socket.send_to(&datagram, to).unwrap();
    }

    /// A wrong token is answered with a good one.
    fn renew_token(&mut self) {
        self.token = [0; 32];
        self.send(0, LOOKUP, Id([0; 32]), None);
        let mut buf = [0; DATAGRAM_MAX];
        let len = self.socket.recv(&mut buf).unwrap();
        let Message::Response(refusal) = decode(&buf[..len]).unwrap() else { panic!("a request") };
        self.token = *refusal.token.unwrap();
    }

    /// Asks for a while. How many were answered, and the CPU time of the process meanwhile, in seconds.
    fn measure(&mut self, process: u32, (name, command, ask): (&str, u64, Ask)) -> (u64, [f64; 2]) {
        let (mut answered, mut n, mut buf) = (0, 0, [0; DATAGRAM_MAX]);
        let (before, start) = (cpu(process), Instant::now());
        while start.elapsed() < TIME || n < MANY {
            self.renew_token();
            for _ in 0..MANY / u64::from(WINDOW) + 1 {
                for tid in 0..WINDOW {
                    let (target, value) = ask(self, n);
                    self.send(tid, command, target, value.as_deref());
                    n += 1;
                }
                for _ in 0..WINDOW {
                    let len =
                        self.socket.recv(&mut buf).unwrap_or_else(|_| panic!("{name} is silent"));
                    let message = decode(&buf[..len]).unwrap();
                    assert!(
                        matches!(message, Message::Response(it) if it.error == 0),
                        "{name}: {message:?}"
                    );
                    answered += 1;
                }
            }
        }
        let after = cpu(process);
        (answered, [after[0] - before[0], after[1] - before[1]])
    }
}

/// What a process has spent so far: of its own, and in the system, in seconds.
fn cpu(process: u32) -> [f64; 2] {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    [11, 12].map(|field| fields[field].parse::<f64>().unwrap() / TICKS_PER_SECOND)
}

/// A process with one node of ours, which ends with its input.
fn start_ours() -> (Child, SocketAddrV4) {
    let mut command = Command::new(env::current_exe().unwrap());
    let mut child =
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut told).unwrap();
    (child, dht_core::wire::addr_from_bytes(told))
}

fn serve() {
    use std::io::Write;
    let config = ServiceConfig { checks_per_second: 1_000_000, ..ServiceConfig::default() };
    let node = serving(&config);
    std::io::stdout().write_all(&dht_core::wire::addr_bytes(address(&node))).unwrap();
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

fn main() {
    if env::args().nth(1).is_some() {
        return serve();
    }
    assert!(js::available());
    let (mut child, ours) = start_ours();
    let js = Theirs::new();
    let options = json!({ "bootstrap": [ours.to_string()], "persistent": true });
    let theirs = js.node("theirs", options).address.parse().unwrap();
    println!(
        "| µs of CPU time per request, of these in the system | ours | hyperdht's |\n|---|---|---|"
    );
    for command in COMMANDS.into_iter().chain([IMMUTABLE]) {
        let cost = [(child.id(), ours), (js.process(), theirs)].map(|(process, node)| {
            let (answered, [own, system]) = Client::of(node).measure(process, command);
            let each = |seconds: f64| seconds * 1e6 / answered as f64;
            format!("{:.1}, {:.1}", each(own + system), each(system))
        });
        println!("| {} | {} | {} |", command.0, cost[0], cost[1]);
    }
    drop(child.stdin.take());
    child.wait().unwrap();
}
