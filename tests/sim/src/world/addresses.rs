//! Who shares a network, an address, a NAT: a model that hosts draw their places from.
//!
//! Without it each host has a /24 of its own, and nothing that concerns neighbours can be seen: limits per host and
//! per network never meet honest nodes. With it most hosts still stand alone, as on the internet, but some /24s hold tens
//! of them, some addresses are servers with many nodes at ports of their own, and behind some NATs there are many hosts.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::{Purpose, Stream, check};

/// The most nodes that share an address: see [`Spec::shared`](crate::Spec::shared).
pub const NODES_PER_ADDRESS_MAX: u32 = 100;
/// The most addresses of a /24 that are given out: the other half is left to attackers beside a victim.
pub const ADDRESSES_PER_NETWORK_MAX: u32 = 126;
/// The most hosts that the model puts behind one NAT.
pub const HOSTS_PER_NAT_MAX: u32 = 100;

/// Where the model's addresses begin; they are in a row of /24s.
const FIRST: u32 = 0x7000_0000;
/// All of them are below 127.0.0.0.
pub(crate) const PLACES_MAX: usize = 15 << 16;
/// How many /24s are filled at a time, so that neighbours need not join one after the other.
const OPEN: usize = 16;

/// Who shares what. Numbers are drawn for each /24, address and NAT.
///
/// ```
/// use dht_sim::Sim;
/// use dht_sim::addresses::{Addresses, Sharing};
///
/// let mut sim = Sim::new(1);
/// sim.set_addresses(Addresses { servers: Sharing::NONE, ..Addresses::default() })?;
/// # Ok::<_, String>(())
/// ```
///
/// By default one /24 in five has up to 40 addresses in use, one address in twenty up to 50 nodes, and of NATs one
/// in three up to 20 hosts. Of the hosts two in five then share their address, and three in four their /24.
#[derive(SmartDefault, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Addresses {
    /// Addresses in use in a /24; at most [`ADDRESSES_PER_NETWORK_MAX`].
    #[default(Sharing { part: 0.2, most: 40 })]
    pub networks: Sharing,
    /// Nodes at one address; at most [`NODES_PER_ADDRESS_MAX`].
    #[default(Sharing { part: 0.05, most: 50 })]
    pub servers: Sharing,
    /// Hosts behind one NAT or firewall, of a group whose `share` is 1; at most [`HOSTS_PER_NAT_MAX`].
    #[default(Sharing { part: 0.3, most: 20 })]
    pub nats: Sharing,
}

/// How many share something: most often one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    /// This part of them (of /24s, addresses, NATs, not of hosts) is shared.
    pub part: f64,
    /// From 2 to this many share it, smaller numbers more often: the logarithm is even.
    pub most: u32,
}

impl Addresses {
    /// Refuses impossible numbers, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.networks.check("networks", ADDRESSES_PER_NETWORK_MAX)?;
        self.servers.check("servers", NODES_PER_ADDRESS_MAX)?;
        self.nats.check("nats", HOSTS_PER_NAT_MAX)
    }
}

impl Sharing {
    /// Nothing is shared.
    pub const NONE: Self = Self { part: 0.0, most: 2 };

    fn check(&self, field: &str, most: u32) -> Result<(), String> {
        check::probability(&format!("{field}.part"), self.part)?;
        check::within(&format!("{field}.most"), self.most, 2, most)
    }

    fn draw(&self, draws: &mut Stream) -> u32 {
        if !draws.chance(self.part) {
            return 1;
        }
        let ratio = f64::from(self.most.saturating_add(1)) / 2.0;
        ((2.0 * libm::pow(ratio, draws.unit())) as u32).clamp(1, self.most)
    }
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ip: Ipv4Addr,
    /// Which of the nodes at this address it is, if the address can be shared.
    pub(crate) slot: Option<u16>,
}

/// The model at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    config: Addresses,
    seed: u64,
    /// How many /24s are in use.
    networks: u32,
    open: [Network; OPEN],
}

/// A /24 that is being filled.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    number: u32,
    /// Addresses in use, and how many more will be.
    used: u32,
    left: u32,
    /// The address whose places for nodes are being filled: its last byte, the nodes there, and how many more
    /// there will be.
    server: u32,
    nodes: u32,
    nodes_left: u32,
}

impl Network {
    const fn ip(&self, host: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST + (self.number << 8) + host)
    }

    const fn take_address(&mut self) -> u32 {
        self.left -= 1;
        self.used += 1;
        self.used
    }
}

/// What draws a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Host(u32),
    Nat(u32),
}

impl Model {
    pub(crate) fn new(config: Addresses, seed: u64) -> Self {
        Self { config, seed, networks: 0, open: [Network::default(); OPEN] }
    }

    /// A stream of its own for each, so that one more shifts no other's.
    fn draws(&self, who: Who) -> Stream {
        let (kind, number) = match who {
            Who::Host(number) => (0, number),
            Who::Nat(number) => (1, number),
        };
        Stream::of_pair(self.seed, Purpose::Addresses, kind, number)
    }

    /// Where the next one is.
    pub(crate) fn place(&mut self, who: Who) -> Place {
        let mut draws = self.draws(who);
        let from = draws.below(OPEN as u64) as usize;
        // A NAT has an address for itself: it leaves servers that are not full to hosts.
        let fits = |network: &Network| match who {
            Who::Host(_) => true,
            Who::Nat(_) => network.left > 0 || network.nodes_left == 0,
        };
        let at = (from..OPEN).chain(0..from).find(|at| fits(&self.open[*at])).unwrap_or(from);
        let network = &mut self.open[at];
        let has_room = network.left > 0 || (network.nodes_left > 0 && matches!(who, Who::Host(_)));
        if !has_room {
            let left = self.config.networks.draw(&mut draws);
            *network = Network { number: self.networks, left, ..Network::default() };
            self.networks += 1;
        }
        if matches!(who, Who::Nat(_)) {
            let host = network.take_address();
            return Place { ip: network.ip(host), slot: None };
        }
        if network.nodes_left == 0 {
            network.server = network.take_address();
            (network.nodes, network.nodes_left) = (0, self.config.servers.draw(&mut draws));
        }
        let alone = network.nodes + network.nodes_left == 1;
        let slot = (!alone).then_some(network.nodes as u16);
        network.nodes += 1;
        network.nodes_left -= 1;
        Place { ip: network.ip(network.server), slot }
    }

    /// How many hosts share the NAT with this number.
    pub(crate) fn behind(&self, nat: u32) -> u32 {
        self.config.nats.draw(&mut self.draws(Who::Nat(nat)).split())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn most_stand_alone_and_some_are_many() {
        let config = Addresses::default();
        let mut model = Model::new(config, 7);
        let (mut networks, mut ips, mut places) =
            (BTreeMap::<u32, BTreeSet<_>>::new(), BTreeMap::<_, u32>::new(), BTreeSet::new());
        for n in 0..20_000 {
            let place = model.place(Who::Host(n));
            assert!(places.insert((place.ip, place.slot)), "{place:?} is given out once");
            assert!(place.slot.is_none_or(|slot| u32::from(slot) < config.servers.most));
            networks.entry(place.ip.to_bits() >> 8).or_default().insert(place.ip);
            *ips.entry(place.ip).or_default() += 1;
        }
        let part = |some: usize, all: usize| some as f64 / all as f64;
        let shared = networks.values().filter(|ips| ips.len() > 1).count();
        assert!((part(shared, networks.len()) - 0.2).abs() < 0.02, "{shared}");
        let largest = networks.values().map(BTreeSet::len).max();
        assert!(largest.is_some_and(|most| (30..=40).contains(&most)), "{largest:?}");
        let servers = ips.values().filter(|nodes| **nodes > 1).count();
        assert!((part(servers, ips.len()) - 0.05).abs() < 0.01, "{servers}");
        let largest = ips.values().max();
        assert!(largest.is_some_and(|most| (40..=50).contains(most)), "{largest:?}");
        let crowded = places.iter().filter(|(ip, _)| ips[ip] > 1).count();
        let beside = places.iter().filter(|(ip, _)| networks[&(ip.to_bits() >> 8)].len() > 1);
        let parts = (part(crowded, places.len()), part(beside.count(), places.len()));
        assert!((0.3..0.55).contains(&parts.0) && (0.6..0.85).contains(&parts.1), "{parts:?}");
    }

    #[test]
    fn what_is_looked_at_is_what_comes() {
        let mut model = Model::new(Addresses::default(), 3);
        for n in 0..500 {
            let mut next = model;
            let peeked = next.place(Who::Host(n));
            assert_eq!(model.place(Who::Host(n)), peeked);
            if n % 5 == 0 {
                assert_eq!(model.place(Who::Nat(n)).slot, None);
            }
        }
    }

    #[test]
    fn nothing_shared_is_a_network_for_each() {
        let none = Sharing::NONE;
        let mut model = Model::new(Addresses { networks: none, servers: none, nats: none }, 7);
        let places: BTreeSet<_> =
            (0..300).map(|n| model.place(Who::Host(n)).ip.to_bits() >> 8).collect();
        assert_eq!(places.len(), 300);
        assert!((0..300).all(|n| model.behind(n) == 1));
        let shared: BTreeSet<_> =
            (0..300).map(|n| Model::new(Addresses::default(), 7).behind(n)).collect();
        assert!(shared.len() > 5 && shared.iter().all(|n| (1..=20).contains(n)), "{shared:?}");
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let usual = Addresses::default();
        assert_eq!(usual.check(), Ok(()));
        let part = |part| Sharing { part, most: 9 };
        let most = |most| Sharing { part: 0.5, most };
        for (wrong, field) in [
            (Addresses { networks: part(1.5), ..usual }, "networks.part"),
            (Addresses { networks: most(127), ..usual }, "networks.most"),
            (Addresses { servers: most(101), ..usual }, "servers.most"),
            (Addresses { nats: most(1), ..usual }, "nats.most"),
        ] {
            let said = wrong.check().unwrap_err();
            assert!(said.starts_with(field), "{said}");
        }
    }
}
