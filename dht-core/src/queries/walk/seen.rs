//! The addresses that a query has come across, each once, with what became of it.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::VISITS_MAX;
use crate::bounded::index::Index;
use crate::bounded::memory::{Capped, Heap};
use crate::wire::addr_bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for a visit.
    Pending,
    /// A visit is under way.
    Asked,
    /// Was not asked, since nobody may be in its /24.
    Withheld,
    /// Has answered, or the visit was cancelled.
    Done,
    /// Has not answered.
    Down,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    distance: u64,
    addr: SocketAddrV4,
    state: State,
    /// A peer told us of it, not the user, the table or the bootstrap list.
    hearsay: bool,
}

const _: () = assert!(size_of::<Node>() == 16);

/// A host of which nodes were visited: how many of them have answered, and how many of hearsay have not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    ip: [u8; 4],
    pub(super) answered: u8,
    pub(super) silent: u8,
}

const _: () = assert!(size_of::<Host>() == 6);

impl Host {
    pub(super) fn ip(&self) -> Ipv4Addr {
        self.ip.into()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Seen {
    nodes: Vec<Node>,
    index: Index,
    /// Nodes known by hearsay that have not answered, by number.
    down: Vec<u16>,
    /// What visited nodes tell of their hosts, also forgotten nodes.
    hosts: Vec<Host>,
    salt: u32,
    /// How many are remembered.
    max: usize,
}

impl Seen {
    pub(super) fn new(salt: u32, max: usize) -> Self {
        let (nodes, down, hosts) = (Vec::new(), Vec::new(), Vec::new());
        Self { nodes, index: Index::default(), down, hosts, salt, max }
    }

    pub(super) fn add_to(heap: &mut Heap, pieces: usize, max: usize) {
        heap.capped_each::<Node>(pieces, max);
        heap.index_each(pieces, max);
        heap.capped_each::<u16>(pieces, VISITS_MAX);
        heap.capped_each::<Host>(pieces, VISITS_MAX);
    }

    pub(super) fn reset(&mut self, salt: u32) {
        self.nodes.clear();
        self.index.clear();
        self.down.clear();
        self.hosts.clear();
        self.salt = salt;
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    /// A node's number, distance and state.
    pub(super) fn get(&self, addr: SocketAddrV4) -> Option<(u16, u64, State)> {
        let is_it = |node| self.node(node).is_some_and(|node| node.addr == addr);
        let number = self.index.get(hash(addr, self.salt), is_it)?;
        let node = self.node(number)?;
        Some((u16::try_from(number).ok()?, node.distance, node.state))
    }

    /// Adds a node that is not there yet: its number, or `None` if there are too many.
    pub(super) fn insert(
        &mut self,
        addr: SocketAddrV4,
        distance: u64,
        hearsay: bool,
    ) -> Option<u16> {
        if self.nodes.len() >= self.max {
            return None;
        }
        let number = u16::try_from(self.nodes.len()).ok()?;
        self.nodes.put(self.max, Node { distance, addr, state: State::Pending, hearsay });
        self.add_to_index(number);
        Some(number)
    }

    /// Takes the farthest of the nodes known by hearsay that have not answered.
    pub(super) fn forget_dead(&mut self) -> Option<u16> {
        let down = self.down.iter().enumerate();
        let (at, _) = down.max_by_key(|(_, node)| self.distance(**node))?;
        Some(self.down.swap_remove(at))
    }

    /// Hosts of which nodes were visited.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    fn host(&mut self, ip: Ipv4Addr) -> Option<&mut Host> {
        let known = self.hosts.iter().position(|host| host.ip == ip.octets());
        let at = known.unwrap_or(self.hosts.len());
        if known.is_none() {
            self.hosts.put(VISITS_MAX, Host { ip: ip.octets(), answered: 0, silent: 0 });
        }
        self.hosts.get_mut(at)
    }

    /// Forgets one, whose number another gets.
    pub(super) fn replace(
        &mut self,
        number: u16,
        addr: SocketAddrV4,
        distance: u64,
        hearsay: bool,
    ) {
        let (hash_of, at) = (hasher(&self.nodes, self.salt), u32::from(number));
        self.index.remove(hash_of(at), |node| node == at, hash_of);
        if let Some(node) = self.nodes.get_mut(usize::from(number)) {
            *node = Node { distance, addr, state: State::Pending, hearsay };
        }
        self.add_to_index(number);
    }

    fn add_to_index(&mut self, number: u16) {
        self.index.insert(u32::from(number), hasher(&self.nodes, self.salt));
    }

    pub(super) fn addr(&self, node: u16) -> Option<SocketAddrV4> {
        self.node(u32::from(node)).map(|node| node.addr)
    }

    pub(super) fn distance(&self, node: u16) -> Option<u64> {
        self.node(u32::from(node)).map(|node| node.distance)
    }

    /// How far from the target a node is, and its address.
    pub(super) fn at(&self, node: u16) -> Option<(u64, SocketAddrV4)> {
        self.node(u32::from(node)).map(|node| (node.distance, node.addr))
    }

    pub(super) fn set(&mut self, node: u16, state: State) {
        if let Some(place) = self.nodes.get_mut(usize::from(node)) {
            place.state = state;
        }
    }

    /// A visited node has answered, or not.
    pub(super) fn visited(&mut self, node: u16, answered: bool) {
        self.set(node, if answered { State::Done } else { State::Down });
        let Some(ip) = self.addr(node).map(|addr| *addr.ip()) else { return };
        let hearsay = self.is_hearsay(node);
        if !answered && hearsay {
            self.down.put(VISITS_MAX, node);
        }
        if let Some(host) = self.host(ip) {
            host.answered = host.answered.saturating_add(answered.into());
            host.silent = host.silent.saturating_add((!answered && hearsay).into());
        }
    }

    pub(super) fn is_hearsay(&self, node: u16) -> bool {
        self.node(u32::from(node)).is_some_and(|node| node.hearsay)
    }

    /// Nodes that have answered: number, distance and address.
    pub(super) fn done(&self) -> impl Iterator<Item = (u16, u64, SocketAddrV4)> + '_ {
        let done = (0..).zip(&self.nodes).filter(|(_, node)| node.state == State::Done);
        done.map(|(number, node)| (number, node.distance, node.addr))
    }

    /// Nodes known by hearsay that have not answered.
    pub(super) fn down(&self) -> &[u16] {
        &self.down
    }

    fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number as usize)
    }
}

/// The hash of a node by its number.
fn hasher(nodes: &[Node], salt: u32) -> impl Fn(u32) -> u32 + Copy + '_ {
    move |number| nodes.get(number as usize).map_or(0, |node| hash(node.addr, salt))
}

/// Salted and mixed (the finalizer of MurmurHash3), so that a stranger can't choose addresses
/// that collide.
fn hash(addr: SocketAddrV4, salt: u32) -> u32 {
    let [a, b, c, d, e, f] = addr_bytes(addr);
    let mut h = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]) ^ u64::from(salt) << 32;
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (h ^ h >> 33) as u32
}
