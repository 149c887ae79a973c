//! `dht node -v` under a flood of datagrams.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Process, free_port, testnet};

/// Requests that end in the middle, about one each millisecond, until this is dropped.
struct Flood(Arc<AtomicBool>);

impl Flood {
    fn begin(to: String) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flood = Self(over.clone());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // Some may be lost.
                let _ = socket.send_to(b"\x03\x00", &to);
                thread::sleep(Duration::from_millis(1));
            }
        });
        flood
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A node that joins a network at this port, with these arguments more.
fn node(network: &str, port: u16, more: &[&str]) -> Process {
    let port = port.to_string();
    let args = ["node", "-v", "--bootstrap", network, "--host", "127.0.0.1", "--port", &port];
    let mut node = Process::start(&[&args, more, &["--exact-port"]].concat());
    node.says("joined");
    node
}

/// It tells of a flood at this port at once, and what was dropped at the end.
fn tells_of_a_flood(mut node: Process, port: &str) {
    let flood = Flood::begin(format!("127.0.0.1:{port}"));
    node.says("more than 100 dropped within 5 s: malformed, ");
    drop(flood);
    let said = node.end_by(Signal::TERM).stderr;
    assert!(said.contains("\ndropped: malformed "), "{said}");
}

#[test]
fn a_flood_is_told_at_once_and_what_was_dropped_at_the_end() {
    let (net, port) = (testnet(1), free_port());
    tells_of_a_flood(node(&net.address, port, &[]), &port.to_string());
}

#[test]
fn a_bootstrap_node_tells_the_same() {
    let port = free_port().to_string();
    let mut node = Process::start(&["bootstrap", "-v", "--port", &port]);
    node.says("running");
    tells_of_a_flood(node, &port);
}

#[test]
fn as_json_both_are_results() {
    let (net, port) = (testnet(1), free_port());
    let mut node = node(&net.address, port, &["--json"]);
    let flood = Flood::begin(format!("127.0.0.1:{port}"));
    node.prints(r#"{"event":"many-dropped","reason":"malformed","total":"#);
    drop(flood);
    let printed = node.end_by(Signal::TERM).text();
    // Reasons stand in the order of their names, and a peer may have named this node to itself (`closer-nodes`).
    let dropped = printed.lines().find(|line| line.starts_with(r#"{"dropped":{"#)).unwrap();
    let dropped: Value = serde_json::from_str(dropped).unwrap();
    assert!(dropped["dropped"]["malformed"].as_u64() > Some(100), "{printed}");
}
