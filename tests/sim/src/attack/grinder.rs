//! Many nodes of one attacker, near a key of its choice.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire;
use dht_core::{Id, K};
use smart_default::SmartDefault;

use super::pace::Pacer;
use super::puppet::{Ground, addresses, answer, closest_addresses, request_bytes};
use super::{Pace, Puppet};
use crate::sim::{Actor, ActorCx, Datagram, command};
use crate::world::check;

/// What a [`Grinder`] does.
#[derive(SmartDefault, Clone, Debug, PartialEq, Eq)]
pub struct GrinderConfig {
    /// Its hosts: they must be the addresses that the actor is added with.
    pub ips: Vec<Ipv4Addr>,
    /// The first port that it uses on each.
    #[default(1_024)]
    pub first_port: u16,
    /// How many ports it uses on each.
    #[default(64_512)]
    pub ports: u16,
    /// The key: of all these addresses it takes the ones whose ids are the closest. Without a key it takes the
    /// first ones.
    pub near: Option<Id>,
    /// The number of addresses that act as nodes.
    #[default(20)]
    pub nodes: u32,
    /// How many of the 20 closer nodes in its answers are addresses of its hosts without a node: the nearest to the
    /// target of the request.
    pub dead: u16,
    /// Honest nodes that it knows at the start.
    pub targets: Vec<SocketAddrV4>,
    /// How many honest nodes it remembers, the nearest to the key: each of its nodes makes itself known to each of
    /// them, and then again and again as long as the pace lasts.
    #[default(KNOWN_MAX)]
    pub known_max: u32,
    /// How fast its nodes make themselves known: each time, one of them asks an honest one.
    #[default(Pace::per_second(100, 60))]
    pub pace: Pace,
}

impl GrinderConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.pace.check()?;
        check::that(!self.ips.is_empty(), "ips", "not be empty")?;
        check::that(self.first_port > 0, "first_port", "not be 0")?;
        check::that(self.ports > 0, "ports", "not be 0")?;
        check::within("nodes", self.nodes, 1, NODES_MAX)?;
        check::within("known_max", self.known_max, 1, KNOWN_MAX)?;
        check::that(!self.targets.is_empty(), "targets", "not be empty")
    }

    /// The addresses of its nodes.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        let all = addresses(&self.ips, self.first_port, self.ports);
        match &self.near {
            Some(key) => closest_addresses(all, key, self.nodes as usize),
            None => all.take(self.nodes as usize).collect(),
        }
    }

    /// Addresses without a node.
    fn dead(&self, nodes: &[SocketAddrV4]) -> Ground {
        let all = addresses(&self.ips, self.first_port, self.ports);
        let count = self.ips.len() * usize::from(self.ports);
        let all = all.step_by(count.div_ceil(GROUND_MAX));
        Ground::of(all.filter(|addr| !nodes.contains(addr)))
    }
}

/// How many of its addresses are looked at for closer nodes without a node.
const GROUND_MAX: usize = 1 << 16;
/// Nodes of one grinder, all of which answer lookups.
const NODES_MAX: u32 = 4_096;
/// Honest nodes that it remembers.
const KNOWN_MAX: u32 = 4_096;

/// A Sybil: nodes at many ports of a few hosts.
///
/// An id is the hash of an address, so it can't be chosen, but some of the 64,512 ports of a host are nearer to
/// any key than all honest nodes. Its nodes make themselves known to all nodes that they hear of, again and again,
/// answer as nodes do, name only each other as closer nodes (or ports without a node, found in the same way, for
/// whose answers a lookup waits in vain), and answer the user's commands with [`MARK`](super::MARK).
///
/// Rule 3 of `HARDENING.md`: at most 2 nodes per host and a few per /24 count, in a table and among the closest
/// nodes of a lookup.
#[derive(Clone, Debug, Default)]
pub struct Grinder {
    config: GrinderConfig,
    nodes: BTreeMap<SocketAddrV4, Puppet>,
    ids: Ground,
    dead: Ground,
    known: Vec<SocketAddrV4>,
    pacer: Pacer,
    turns: usize,
}

impl Grinder {
    /// A grinder with this configuration. It takes a second or so for a few hosts with all their ports.
    ///
    /// # Errors
    /// As [`GrinderConfig::check`].
    pub fn new(config: GrinderConfig) -> Result<Self, String> {
        config.check()?;
        let nodes = config.addresses();
        let ids = Ground::of(nodes.iter().copied());
        let dead = if config.dead > 0 { config.dead(&nodes) } else { Ground::default() };
        let nodes = nodes.into_iter().map(|addr| (addr, Puppet::at(addr))).collect();
        let (known, pacer) = (config.targets.clone(), Pacer::new(config.pace));
        Ok(Self { config, nodes, ids, dead, known, pacer, ..Self::default() })
    }

    /// Its nodes, in the order of their addresses.
    pub fn nodes(&self) -> impl Iterator<Item = Puppet> + '_ {
        self.nodes.values().copied()
    }

    /// How many honest nodes it has heard of.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    fn introduce(&mut self, cx: &mut ActorCx<'_>) {
        // Each of its nodes to each known node, before any does so again.
        let (node, known) = (self.turns % self.nodes.len(), self.turns / self.nodes.len());
        self.turns += 1;
        let to = self.known.get(known % self.known.len().max(1)).copied();
        let Some((to, puppet)) = to.zip(self.nodes.values().nth(node).copied()) else { return };
        let target = self.config.near.unwrap_or(*puppet.id());
        let request = wire::Request {
            command: command::FIND_NODE,
            target: Some(target.as_bytes()),
            ..puppet.request(cx.rng.next() as u16, to)
        };
        cx.send(puppet.addr(), to, request_bytes(&request));
    }

    fn learn(&mut self, response: &wire::Response<'_>) {
        for addr in response.closer_nodes.iter().flat_map(wire::CloserNodes::iter) {
            let new = !self.nodes.contains_key(&addr) && !self.known.contains(&addr);
            if !new {
                continue;
            }
            if self.known.len() < self.config.known_max as usize {
                self.known.push(addr);
            } else if let Some(key) = self.config.near {
                self.know_instead(&key, addr);
            }
        }
    }

    fn closest(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        let target = Id(*target);
        let mut names = self.dead.closest(&target, self.config.dead.into());
        names.extend(self.ids.closest(&target, K.saturating_sub(names.len())));
        names
    }

    /// A node takes the place of the known node that is farthest from the key, if it is nearer.
    fn know_instead(&mut self, key: &Id, addr: SocketAddrV4) {
        let distance = |addr: &SocketAddrV4| Id::of(*addr).distance(key);
        let farthest = self.known.iter_mut().max_by_key(|known| distance(known));
        if let Some(farthest) = farthest.filter(|farthest| distance(&addr) < distance(farthest)) {
            *farthest = addr;
        }
    }
}

impl Actor for Grinder {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        self.pacer.start(cx);
    }

    fn on_packet(&mut self, cx: &mut ActorCx<'_>, Datagram { from, to, bytes }: Datagram<'_>) {
        let Some(puppet) = self.nodes.get(&to).copied() else { return };
        match wire::decode(bytes) {
            Ok(wire::Message::Request(request)) => {
                let closer = request.target.map(|target| self.closest(target)).unwrap_or_default();
                if let Some((dest, bytes)) = answer(puppet, from, &request, from, &closer) {
                    cx.send(to, dest, bytes);
                }
            }
            Ok(wire::Message::Response(response)) => self.learn(&response),
            Err(_) => {}
        }
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        (0..self.pacer.turn(cx)).for_each(|_| self.introduce(cx));
    }
}
