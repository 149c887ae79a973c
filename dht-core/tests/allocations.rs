//! What a node takes from the heap, counted by the allocator itself: nothing per datagram
//! once it is warm, and little in all.
//!
//! One test, so that nothing that one leaves behind is counted in another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test, in functions that clippy doesn't take for one"
)]

mod heap;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use dht_core::wire::{CloserNodes, Message, Request, Response, decode};
use dht_core::{Answer, Config, DATAGRAM_MAX, Handled, Id, Instant, Node, Query, SavedNode, Via};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// How often the heap was asked for something.
fn allocations(work: impl FnOnce()) -> usize {
    let before = heap::allocations();
    heap::counted(work);
    heap::allocations() - before
}

/// How much more of the heap is in use than before.
fn bytes<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = heap::used();
    let made = heap::counted(work);
    (heap::used() - before, made)
}

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(45, 9, 9, 9), 2000);
const ASKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(46, 1, 2, 3), 4000);

/// Warm-up rounds and counted ones.
const WARM: usize = 100;
const ROUNDS: usize = 1000;
/// The most that an idle node takes that knows a network of 1,000,000, with a configuration of its
/// own.
const IDLE_MAX: usize = 10_000;

fn addr(n: u32) -> SocketAddrV4 {
    // One address per /24, over public space.
    SocketAddrV4::new(Ipv4Addr::from(0x5000_0001 + (n << 8)), 4000)
}

/// A node that is persistent from the start, with a table of this.
fn node(table: &[SocketAddrV4]) -> Node {
    let config = Config::bootstrapper(SERVER.port(), &SERVER.ip().to_string()).unwrap();
    let mut node = Node::new(config, &mut ChaCha20Rng::from_seed([1; 32]), Instant::ZERO).unwrap();
    let client = SocketAddrV4::new(*SERVER.ip(), 1000);
    node.handle_bound(Instant::ZERO, client, SERVER);
    assert!(node.bootstrapped() && node.id() == Some(Id::of(SERVER)));
    while node.poll_event().is_some() {}
    let saved = |addr: &SocketAddrV4| SavedNode {
        addr: *addr,
        pinged: Duration::ZERO,
        added: Duration::ZERO,
    };
    let saved: Vec<_> = table.iter().map(saved).collect();
    node.import(Instant::ZERO, &saved, Duration::ZERO);
    node
}

/// All that a node wants to send is answered, by nodes that know of these.
/// Returns how many datagrams it sent.
fn converse(node: &mut Node, now: Instant, closer: &[[u8; 6]]) -> usize {
    let (mut buf, mut answer) = ([0; DATAGRAM_MAX], [0; DATAGRAM_MAX]);
    let mut sent = 0;
    while let Some(transmit) = node.poll_transmit(now, &mut buf) {
        sent += 1;
        let Ok(Message::Request(request)) = decode(&buf[..transmit.len]) else { continue };
        let id = Id::of(transmit.to);
        let response = Response {
            tid: request.tid,
            to: SERVER,
            id: Some(id.as_bytes()),
            token: Some(&[3; 32]),
            closer_nodes: request.target.map(|_| CloserNodes::new(closer)),
            error: 0,
            value: None,
        };
        let len = response.encode(&mut answer).unwrap();
        let handled = node.handle_datagram(now, transmit.via, transmit.to, &answer[..len]);
        assert_eq!(handled, Handled::Consumed);
        while node.poll_event().is_some() {}
    }
    sent
}

/// A datagram comes in, is answered, and what follows is sent. Returns how many left.
fn serve(node: &mut Node, now: Instant, datagram: &[u8], answer: &Answer) -> usize {
    let mut buf = [0; DATAGRAM_MAX];
    if let Handled::Request(request) = node.handle_datagram(now, Via::Server, ASKER, datagram) {
        node.reply(now, request.reply_to, answer.clone()).unwrap();
    }
    let mut sent = 0;
    while node.poll_transmit(now, &mut buf).is_some() {
        sent += 1;
    }
    while node.poll_event().is_some() {}
    sent
}

fn encoded(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = vec![0; request.encoded_len()];
    request.encode(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_heap_is_left_alone() {
    datagrams_cost_nothing();
    a_lookup_costs_little();
    an_idle_node_is_small();
}

fn datagrams_cost_nothing() {
    let table: Vec<_> = (0..400).map(addr).collect();
    let mut node = node(&table);
    let now = Instant::from_millis(1);
    assert!(node.table_len() > 90, "{node:?}");

    let plain = Request {
        tid: 7,
        to: SERVER,
        id: None,
        token: None,
        internal: true,
        command: 0,
        target: None,
        value: None,
    };
    let target = [5; 32];
    let find_node = Request { command: 2, target: Some(&target), ..plain };
    let hint = Request { command: 3, value: Some(&[46, 0, 0, 9, 160, 15]), ..plain };
    let user = Request { internal: false, command: 77, value: Some(b"key"), ..find_node };
    let bad_token = Request { token: Some(&target), ..user };
    let unsolicited = {
        let mut bytes = vec![0; 300];
        let nodes = [[46, 0, 0, 9, 160, 15]; 20];
        let closer_nodes = Some(CloserNodes::new(&nodes));
        let response = Response {
            tid: 9,
            to: SERVER,
            id: Some(&target),
            token: Some(&target),
            closer_nodes,
            error: 0,
            value: Some(b"value"),
        };
        let len = response.encode(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    };
    let (empty, fixed) = (Answer::empty(), Answer::value(Bytes::from_static(b"a static value")));
    let whole = encoded(&user);
    // A host that gets that many long answers is asked whether it is there, unless it has a token.
    let Handled::Request(incoming) = node.handle_datagram(now, Via::Server, ASKER, &whole) else {
        panic!("a request for the application");
    };
    node.reply(now, incoming.reply_to, empty.clone()).unwrap();
    let mut buf = [0; DATAGRAM_MAX];
    let len = node.poll_transmit(now, &mut buf).unwrap().len;
    let Ok(Message::Response(Response { token, .. })) = decode(&buf[..len]) else { panic!() };
    serve(&mut node, now, &encoded(&Request { token, ..user }), &empty);
    // (what comes in, what the application answers, how many datagrams leave)
    let cases = [
        ("PING", encoded(&plain), &empty, 1),
        ("FIND_NODE", encoded(&find_node), &empty, 1),
        ("DOWN_HINT about a stranger", encoded(&hint), &empty, 1),
        ("unknown internal command", encoded(&Request { command: 9, ..plain }), &empty, 1),
        ("user request, nothing answered", whole.clone(), &empty, 1),
        ("user request, a static answer", whole.clone(), &fixed, 1),
        ("request with a bad token", encoded(&bad_token), &empty, 1),
        ("unsolicited response", unsolicited, &empty, 0),
        ("malformed", whole[..40].to_vec(), &empty, 0),
        ("not ours", vec![9; 100], &empty, 0),
    ];
    for (name, datagram, answer, expected) in cases {
        for _ in 0..WARM {
            assert_eq!(serve(&mut node, now, &datagram, answer), expected, "{name}");
        }
        let count = allocations(|| {
            for _ in 0..ROUNDS {
                serve(&mut node, now, &datagram, answer);
            }
        });
        assert_eq!(count, 0, "allocations in {ROUNDS} of: {name}");
    }
    // The counter does count: a value to keep has to be kept.
    let kept = allocations(|| {
        serve(&mut node, now, &whole, &Answer::value(vec![1; 10]));
    });
    assert!(kept > 0);
}

fn a_lookup_costs_little() {
    let table: Vec<_> = (0..400).map(addr).collect();
    let mut node = node(&table);
    let now = Instant::from_millis(1);
    let closer: Vec<_> = (300..320).map(|n| dht_core::wire::addr_bytes(addr(n))).collect();
    let mut counts = Vec::new();
    for n in 0..5 {
        let mut asked = 0;
        let count = allocations(|| {
            let query = Query::find_node(Id([n; 32])).discard_replies();
            let id = node.query(now, query).unwrap();
            converse(&mut node, now, &closer);
            asked = node.take_outcome(id).unwrap().unwrap().asked;
        });
        counts.push((count, asked));
    }
    println!("allocations and requests of one lookup after another: {counts:?}");
    let (last, asked) = counts[counts.len() - 1];
    assert!(asked >= 20 && last <= LOOKUP_MAX, "{counts:?}");
}

/// Of a lookup in a warm node: the outcome, which is handed out, and little else.
const LOOKUP_MAX: usize = 1;

/// How many nodes a network of 1,000,000 leaves in a table: 15 full buckets and what is deeper.
const KNOWN: usize = 330;
/// A search for the deepest of them would take too long here, so this many addresses make a
/// table of about 250, and the entries that are missing are added to the sum.
const SEARCHED: u32 = 1 << 16;
const ENTRY: usize = 20;

/// Addresses of a network, as many per bucket as a table takes.
fn full_table(own: Id, buckets: u32) -> Vec<SocketAddrV4> {
    let mut counts = vec![0; buckets as usize];
    let (mut seen, mut table) = (BTreeSet::new(), Vec::new());
    for n in 0..SEARCHED {
        let candidate = addr(n);
        let bucket = Id::of(candidate).distance(&own).shared_bits();
        if let Some(count) = counts.get_mut(bucket as usize).filter(|count| **count < 20) {
            if seen.insert(candidate) {
                *count += 1;
                table.push(candidate);
            }
        }
    }
    table
}

fn an_idle_node_is_small() {
    let table = full_table(Id::of(SERVER), 32);
    let (heap, node) = bytes(|| {
        let mut node = node(&table);
        let mut now = Instant::from_millis(1);
        // Upkeep for ten minutes: what a burst has left behind is given back.
        for _ in 0..120 {
            converse(&mut node, now, &[]);
            while node.poll_event().is_some() {}
            now += Duration::from_secs(5);
            node.handle_timeout(now);
        }
        // A refresh may just have been made; its memory is kept for a minute.
        let (mut queries, mut quiet) = (node.stats().queries.total, 0);
        while quiet < 14 {
            converse(&mut node, now, &[]);
            now += Duration::from_secs(5);
            node.handle_timeout(now);
            quiet = if node.stats().queries.total == queries { quiet + 1 } else { 0 };
            queries = node.stats().queries.total;
        }
        node
    });
    let known = node.table_len();
    assert!((230..KNOWN).contains(&known), "{known}");
    let (stack, heap) = (size_of::<Node>(), heap as usize);
    let projected = stack + heap + (KNOWN - known) * ENTRY;
    println!("idle, {known} nodes known: {stack} bytes and {heap} on the heap");
    println!("with {KNOWN} nodes: {projected} bytes");
    assert!(projected <= IDLE_MAX);
}
