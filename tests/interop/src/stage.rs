//! What stories have in common: who plays which role, and things on stage besides nodes.

use std::net::{Ipv4Addr, UdpSocket};

use blake2::Blake2b256;
use blake2::Digest;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::js;
use crate::kv::hex;
use crate::node::Node;

/// How often another port is tried when the one that was free a moment ago no longer is.
const PORT_TRIES: usize = 10;

/// Tells a story twice, with the reference and this project's agent in swapped roles. `rust` is
/// the path of the latter.
pub fn both_ways(rust: Option<&str>, story: impl Fn(&Agent, &Agent)) {
    if !js::available() {
        return;
    }
    let (js, rust) = (Agent::js(), Agent::rust(rust));
    for (here, there) in [(&rust, &js), (&js, &rust)] {
        eprintln!("here: {}, there: {}", here.name(), there.name());
        story(here, there);
    }
}

/// Tells a story of one agent to each.
pub fn each(rust: Option<&str>, story: impl Fn(&Agent)) {
    both_ways(rust, |here, _| story(here));
}

/// A bootstrapper on a free port, ready.
#[must_use]
pub fn bootstrapper(agent: &Agent) -> Node<'_> {
    for _ in 0..PORT_TRIES {
        let node = Node::create_bootstrapper(agent, "127.0.0.1", free_port()).unwrap();
        node.ok("start", json!({}));
        match node.call("bootstrapped", json!({})) {
            Ok(_) => return node,
            Err(error) => assert_eq!(error.code.as_deref(), Some("EADDRINUSE"), "{error:?}"),
        }
    }
    panic!("no port stays free");
}

/// A node that others may store, up: persistent at once. `bootstrap` is one address.
#[must_use]
pub fn persistent<'a>(agent: &'a Agent, bootstrap: &str) -> Node<'a> {
    Node::up(agent, persistent_options(bootstrap))
}

/// The options of [`persistent`].
#[must_use]
pub fn persistent_options(bootstrap: &str) -> Value {
    json!({ "bootstrap": [bootstrap], "ephemeral": false, "firewalled": false })
}

/// A node that only asks, up.
#[must_use]
pub fn ephemeral<'a>(agent: &'a Agent, bootstrap: &[&str]) -> Node<'a> {
    Node::up(agent, json!({ "bootstrap": bootstrap, "ephemeral": true }))
}

/// A UDP port that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    Silence::new().port
}

/// A place where datagrams arrive and nobody answers.
#[derive(Debug)]
pub struct Silence {
    _socket: UdpSocket,
    port: u16,
}

impl Silence {
    /// At some free port.
    #[must_use]
    pub fn new() -> Silence {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("its address").port();
        Silence { _socket: socket, port }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> Value {
        json!({ "host": "127.0.0.1", "port": self.port })
    }
}

impl Default for Silence {
    fn default() -> Silence {
        Silence::new()
    }
}

/// The id of the node at a port of the loopback interface.
#[must_use]
pub fn id_at(port: &Value) -> Value {
    id_of("127.0.0.1", port)
}

/// The id of the node at an address: BLAKE2b-256 of its six bytes.
#[must_use]
pub fn id_of(host: &str, port: &Value) -> Value {
    let host: Ipv4Addr = host.parse().expect("an address");
    let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
    let bytes = [host.octets().as_slice(), &port.to_le_bytes()].concat();
    json!(hex(&Blake2b256::digest(bytes)))
}

/// A target that no node is likely to be near: 32 times this byte.
#[must_use]
pub fn target(byte: u8) -> Value {
    json!(hex(&[byte; 32]))
}
