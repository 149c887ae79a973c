//! A sleep of the machine is told once; a caller that was merely late is no sleep.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, DATAGRAM_MAX, Event, Instant, Node, Request, Via};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const HOUR: Duration = Duration::from_secs(3600);

/// A node with a request in flight.
fn node() -> (Node, Instant) {
    let now = Instant::from_millis(1_000);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut node = Node::new(Config::default(), &mut rng, now).unwrap();
    node.handle_bound(now, addr(1), addr(2));
    node.request(now, Request::ping(addr(3))).unwrap();
    assert!(node.poll_transmit(now, &mut [0; DATAGRAM_MAX]).is_some());
    (node, now)
}

fn addr(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new([45, 1, 1, 1].into(), port)
}

fn wake_ups(node: &mut Node) -> usize {
    std::iter::from_fn(|| node.poll_event()).filter(|event| *event == Event::WakeUp).count()
}

#[test]
fn what_has_piled_up_during_sleep_wakes_it_once() {
    let (mut node, mut now) = node();
    now += HOUR;
    for _ in 0..3 {
        let _ = node.handle_datagram(now, Via::Client, addr(4), b"\x03");
        now += Duration::from_millis(1);
    }
    assert_eq!(wake_ups(&mut node), 1);
}

#[test]
fn a_late_caller_is_awake() {
    let (mut node, mut now) = node();
    // The caller never handles a timeout, but hands in a datagram every second.
    for _ in 0..60 {
        now += Duration::from_secs(1);
        let _ = node.handle_datagram(now, Via::Client, addr(4), b"\x03");
    }
    assert_eq!(wake_ups(&mut node), 0);
}

#[test]
fn a_resumed_node_has_woken_up_already() {
    let (mut node, mut now) = node();
    node.suspend(now);
    now += HOUR;
    node.resume(now);
    node.handle_bound(now, addr(1), addr(2));
    node.handle_timeout(now + Duration::from_millis(1));
    assert_eq!(wake_ups(&mut node), 1);
}
