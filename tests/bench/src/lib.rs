//! A node and the world around it, ready to be measured: the datagrams that others send are made
//! beforehand, so that little but the node's own work is counted.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use dht_core::wire::{self, CloserNodes, Message};
use dht_core::{Config, ConfigError, DATAGRAM_MAX, Handled, Id, IdCache, Instant, Node, Via};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Where the node is.
pub const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(45, 9, 9, 9), 2000);
/// Somebody who asks and is in nobody's table.
pub const ASKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(46, 1, 2, 3), 4000);
/// Who takes part in the network.
pub const MEMBERS: u32 = 4000;

/// A hash map without random keys, so that each run takes the same instructions.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// The address of a member, one per /24.
#[must_use]
pub fn addr(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x5000_0001 + (n << 8)), 4000)
}

/// A point in the key space, the same for the same number.
#[must_use]
pub fn target(n: u32) -> Id {
    Id::of(SocketAddrV4::new(Ipv4Addr::from(n), 7))
}

/// The ids of all members, as a simulator would share them.
#[must_use]
pub fn shared_ids() -> IdCache {
    let ids: Map<_, _> = (0..MEMBERS).map(|n| (addr(n), Id::of(addr(n)))).collect();
    let ids = Arc::new(ids);
    IdCache::new(move |addr| ids.get(&addr).copied())
}

/// A persistent node that knows up to `known` of the network.
///
/// # Errors
/// None: the configuration is a good one.
pub fn node(known: usize, ids: Option<IdCache>) -> Result<Node, ConfigError> {
    let mut config = Config::bootstrapper(SERVER.port(), &SERVER.ip().to_string())?;
    config.ids = ids;
    let now = Instant::ZERO;
    let mut node = Node::new(config, &mut ChaCha20Rng::from_seed([1; 32]), now)?;
    node.handle_bound(now, SocketAddrV4::new(*SERVER.ip(), 1000), SERVER);
    while node.poll_event().is_some() {}
    // More than the network has, if need be: deep buckets take a while to fill.
    let mut n = 0;
    while node.table_len() < known {
        let _ = node.add_node(now, addr(n));
        n += 1;
    }
    Ok(node)
}

/// A request by somebody. `from` sends its id along if it has one.
#[must_use]
pub fn request(ask: wire::Request<'_>) -> Vec<u8> {
    let mut bytes = vec![0; ask.encoded_len()];
    let len = ask.encode(&mut bytes).unwrap_or(0);
    bytes.truncate(len);
    bytes
}

/// An internal request without anything in it.
pub const PLAIN: wire::Request<'static> = wire::Request {
    tid: 7,
    to: SERVER,
    id: None,
    token: None,
    internal: true,
    command: 0,
    target: None,
    value: None,
};

/// The other members, who answer at once. What each says is made when it is first asked.
#[derive(Debug, Default)]
pub struct World {
    ids: Vec<(SocketAddrV4, Id)>,
    answers: Map<(SocketAddrV4, Option<[u8; 32]>), Vec<u8>>,
    /// Nobody names anybody: for random targets, of which each answer would be used once.
    pub discreet: bool,
}

impl World {
    /// All members.
    #[must_use]
    pub fn new() -> Self {
        let ids = (0..MEMBERS).map(|n| (addr(n), Id::of(addr(n)))).collect();
        Self { ids, ..Self::default() }
    }

    /// Sends what the node has to send, and hands in the answers. Returns how many datagrams left.
    pub fn converse(&mut self, node: &mut Node, now: Instant) -> usize {
        let (mut buf, mut sent) = ([0; DATAGRAM_MAX], 0);
        while let Some(transmit) = node.poll_transmit(now, &mut buf) {
            sent += 1;
            let Ok(Message::Request(request)) = wire::decode(&buf[..transmit.len]) else {
                continue;
            };
            let ids = &self.ids;
            let key = (transmit.to, request.target.copied().filter(|_| !self.discreet));
            let answer = self.answers.entry(key).or_insert_with(|| answer(ids, key.0, key.1));
            answer[2..4].copy_from_slice(&request.tid.to_le_bytes());
            let handled = node.handle_datagram(now, transmit.via, transmit.to, answer);
            assert_eq!(handled, Handled::Consumed);
            while node.poll_event().is_some() {}
        }
        sent
    }
}

/// What a member says: the closest to the target of those that it knows, half of all.
fn answer(ids: &[(SocketAddrV4, Id)], from: SocketAddrV4, target: Option<[u8; 32]>) -> Vec<u8> {
    let own = Id::of(from);
    let closer: Vec<_> = target.map(Id).map_or(Vec::new(), |target| {
        let knows = |(_, id): &&(SocketAddrV4, Id)| (id.0[9] ^ own.0[9]) & 1 == 0;
        let mut known: Vec<_> = ids.iter().filter(knows).collect();
        known.sort_by_key(|(_, id)| id.distance(&target));
        known.iter().take(20).map(|(addr, _)| wire::addr_bytes(*addr)).collect()
    });
    let response = wire::Response {
        tid: 0,
        to: SERVER,
        id: Some(own.as_bytes()),
        token: Some(&[3; 32]),
        closer_nodes: (!closer.is_empty()).then(|| CloserNodes::new(&closer)),
        error: 0,
        value: None,
    };
    let mut bytes = vec![0; response.encoded_len()];
    let len = response.encode(&mut bytes).unwrap_or(0);
    bytes.truncate(len);
    bytes
}

/// A datagram comes in from `from`, and what follows is sent. Returns how many left.
pub fn serve(node: &mut Node, now: Instant, from: SocketAddrV4, datagram: &[u8]) -> usize {
    let (mut buf, mut sent) = ([0; DATAGRAM_MAX], 0);
    let _ = std::hint::black_box(node.handle_datagram(now, Via::Server, from, datagram));
    while node.poll_transmit(now, &mut buf).is_some() {
        sent += 1;
        std::hint::black_box(&buf);
    }
    sent
}
