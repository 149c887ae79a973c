//! Many nodes of one attacker, near a key of its choice.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire;
use dht_core::{Id, K};
use serde::{Deserialize, Serialize};

use super::minimal::{Story, answer};
use super::pace::{Pacer, TURN};
use super::puppet::{addresses, closest_addresses, request_bytes};
use super::{Pace, Puppet, Spent};
use crate::app::{Actor, ActorCx};
use crate::check;
use crate::checks::command;

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
    /// Honest nodes that it knows at the start.
    pub targets: Vec<SocketAddrV4>,
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
            targets: Vec::new(),
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
        check::that(!self.targets.is_empty(), "targets", "not be empty")
    }

    /// The addresses of its nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        let all = addresses(&self.ips, self.first_port, self.ports);
        match &self.near {
            Some(key) => closest_addresses(all, key, self.nodes as usize),
            None => all.take(self.nodes as usize).collect(),
        }
    }
}

/// All of these answer lookups.
const NODES_MAX: u32 = 4_096;
/// Honest nodes that it remembers.
const KNOWN_MAX: usize = 4_096;

/// A Sybil: nodes at many ports of a few hosts.
///
/// An id is the hash of an address, so nobody chooses one, but whoever has 64,512 ports on a host finds
/// some among them that are nearer to any key than all honest nodes. They make themselves known to all
/// that they hear of, answer as nodes do, name only each other as closer, and answer the user's commands
/// with [`MARK`](super::MARK).
///
/// Rule 3 of `HARDENING.md`: at most 2 per host and a few per /24 count, in a table as among the
/// closest of a lookup.
#[derive(Clone, Debug)]
pub struct Grinder {
    nodes: BTreeMap<SocketAddrV4, Puppet>,
    near: Option<Id>,
    known: Vec<SocketAddrV4>,
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
        Ok(Self {
            nodes: nodes.into_iter().map(|addr| (addr, Puppet::at(addr))).collect(),
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
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// What it has sent.
    #[must_use]
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
            if new && self.known.len() < KNOWN_MAX {
                self.known.push(addr);
            }
        }
    }

    fn closest(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        let target = Id(*target);
        let nodes = self.nodes.values().map(|node| (node.id().distance(&target), node.addr()));
        let mut nodes: Vec<_> = nodes.collect();
        nodes.sort_unstable();
        nodes.into_iter().take(K).map(|(_, addr)| addr).collect()
    }
}

impl Actor for Grinder {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        self.pacer.start(cx);
    }

    fn on_packet(
        &mut self,
        cx: &mut ActorCx<'_>,
        from: SocketAddrV4,
        to: SocketAddrV4,
        bytes: &[u8],
    ) {
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

    fn fork(&self) -> Box<dyn Actor> {
        Box::new(self.clone())
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
