//! Many nodes of one attacker, near a key of its choice.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire;
use dht_core::{Id, K};
use serde::{Deserialize, Serialize};

use super::minimal::{Story, answer};
use super::pace::{Pacer, TURN};
use super::puppet::{addresses, closest_addresses, request_bytes};
use super::{Pace, Puppet, Spent, ground::Ground};
use crate::sim::{Actor, ActorCx, Datagram, command};
use crate::world::check;

/// What a [`Grinder`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrinderConfig {
    /// Its hosts: they must be the addresses that the actor is added with.
    pub ips: Vec<Ipv4Addr>,
    /// The first port that it uses on each.
    pub first_port: u16,
    /// How many ports it uses on each.
    pub ports: u16,
    /// The key: of all these addresses it takes those whose ids are the closest. Without one it takes
    /// them as they come.
    #[serde(with = "key")]
    pub near: Option<Id>,
    /// So many of the addresses act as nodes.
    pub nodes: u32,
    /// So many of the names in its answers, of 20, are addresses of these hosts where none of its nodes is: those that are
    /// nearest to what is asked for.
    pub dead: u16,
    /// Honest nodes that it knows at the start.
    pub targets: Vec<SocketAddrV4>,
    /// So many honest nodes it remembers, those that are nearest to the key: to each of them each of its nodes makes
    /// itself known, and then again and again as long as the pace lasts.
    pub known_max: u32,
    /// How fast its nodes make themselves known: each time, one of them asks an honest one.
    pub pace: Pace,
}

impl Default for GrinderConfig {
    fn default() -> Self {
        Self {
            ips: Vec::new(),
            first_port: 1_024,
            ports: 64_512,
            near: None,
            nodes: 20,
            dead: 0,
            targets: Vec::new(),
            known_max: KNOWN_MAX,
            pace: Pace::per_second(100, 60),
        }
    }
}

impl GrinderConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.pace.check()?;
        check::that(!self.ips.is_empty(), "ips", "not be empty")?;
        check::that(self.first_port > 0, "first_port", "not be 0")?;
        check::that(self.ports > 0, "ports", "not be 0")?;
        check::that((1..=NODES_MAX).contains(&self.nodes), "nodes", "be between 1 and 4096")?;
        check::that(
            (1..=KNOWN_MAX).contains(&self.known_max),
            "known_max",
            "be between 1 and 4096",
        )?;
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
}

/// Of its addresses, so many are looked at for names of the dead.
const GROUND_MAX: usize = 1 << 16;
/// All of these answer lookups.
const NODES_MAX: u32 = 4_096;
/// Honest nodes that it remembers.
const KNOWN_MAX: u32 = 4_096;

/// A Sybil: nodes at many ports of a few hosts.
///
/// An id is the hash of an address, so nobody chooses one, but whoever has 64,512 ports on a host finds
/// some among them that are nearer to any key than all honest nodes. They make themselves known to all
/// that they hear of, again and again, answer as nodes do, name only each other as closer (or ports of theirs where
/// nobody is, ground in the same way, which whoever believes it waits for), and answer the user's commands
/// with [`MARK`](super::MARK).
///
/// Rule 3 of `HARDENING.md`: at most 2 per host and a few per /24 count, in a table as among the
/// closest of a lookup.
#[derive(Clone, Debug)]
pub struct Grinder {
    nodes: BTreeMap<SocketAddrV4, Puppet>,
    ids: Ground,
    dead: Ground,
    near: Option<Id>,
    known: Vec<SocketAddrV4>,
    config_dead: usize,
    known_max: usize,
    pacer: Pacer,
    turns: usize,
    spent: Spent,
}

impl Grinder {
    /// One that does this. It takes a second or so for a few hosts with all their ports.
    ///
    /// # Errors
    /// As [`GrinderConfig::check`].
    pub fn new(config: GrinderConfig) -> Result<Self, String> {
        config.check()?;
        let nodes = config.addresses();
        let ids = Ground::of(nodes.iter().copied());
        let all = addresses(&config.ips, config.first_port, config.ports);
        let count = config.ips.len() * usize::from(config.ports);
        let all = all.step_by(count.div_ceil(GROUND_MAX)).filter(|addr| !nodes.contains(addr));
        let dead = if config.dead > 0 { Ground::of(all) } else { Ground::default() };
        Ok(Self {
            config_dead: usize::from(config.dead),
            known_max: config.known_max as usize,
            nodes: nodes.into_iter().map(|addr| (addr, Puppet::at(addr))).collect(),
            ids,
            dead,
            near: config.near,
            known: config.targets,
            pacer: Pacer::new(config.pace),
            turns: 0,
            spent: Spent::default(),
        })
    }

    /// Its nodes, in the order of their addresses.
    pub fn nodes(&self) -> impl Iterator<Item = Puppet> + '_ {
        self.nodes.values().copied()
    }

    /// How many honest nodes it has heard of.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// What it has sent.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    fn introduce(&mut self, cx: &mut ActorCx<'_>) {
        // Each of its nodes to each that it knows, before any does so again.
        let (node, known) = (self.turns % self.nodes.len(), self.turns / self.nodes.len());
        self.turns += 1;
        let to = self.known.get(known % self.known.len().max(1)).copied();
        let Some((to, puppet)) = to.zip(self.nodes.values().nth(node).copied()) else { return };
        let target = self.near.unwrap_or(*puppet.id());
        let request = wire::Request {
            command: command::FIND_NODE,
            target: Some(target.as_bytes()),
            ..puppet.request(cx.rng.next() as u16, to)
        };
        self.spent.send(cx, puppet.addr(), to, request_bytes(&request));
    }

    fn learn(&mut self, response: &wire::Response<'_>) {
        for addr in response.closer_nodes.into_iter().flatten() {
            let new = !self.nodes.contains_key(&addr) && !self.known.contains(&addr);
            if !new {
                continue;
            }
            if self.known.len() < self.known_max {
                self.known.push(addr);
            } else if let Some(key) = self.near {
                self.know_instead(&key, addr);
            }
        }
    }

    fn closest(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        let target = Id(*target);
        let mut names = self.dead.closest(&target, self.config_dead);
        names.extend(self.ids.closest(&target, K.saturating_sub(names.len())));
        names
    }

    /// A node takes the place of the one that is farthest from the key, if it is nearer.
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
                let story = Story { to: from, closer: &closer };
                if let Some((dest, bytes)) = answer(puppet, from, &request, story) {
                    self.spent.send(cx, to, dest, bytes);
                }
            }
            Ok(wire::Message::Response(response)) => self.learn(&response),
            Err(_) => {}
        }
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, token: u64) {
        if token == TURN {
            for _ in 0..self.pacer.turn(cx) {
                self.introduce(cx);
            }
        }
    }
}

/// A key as 64 hexadecimal digits.
mod key {
    use dht_core::Id;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(key: &Option<Id>, to: S) -> Result<S::Ok, S::Error> {
        key.map(|key| key.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Id>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
