//! A box between inner hosts and the internet: a NAT, or a firewall that translates nothing.
//!
//! In the terms of RFC 4787, which says what a NAT for UDP should do (its requirements are quoted
//! as REQ below), a [`Kind`] is a mapping behaviour (which public address an inner one gets) and a
//! filtering behaviour (who may use it):
//!
//! | kind | mapping | filtering |
//! |---|---|---|
//! | `FullCone` | endpoint-independent (REQ-1) | endpoint-independent (REQ-8) |
//! | `AddressRestricted` | endpoint-independent (REQ-1) | address-dependent (REQ-8) |
//! | `PortRestricted` | endpoint-independent (REQ-1) | address and port-dependent |
//! | `Symmetric` | address and port-dependent (against REQ-1) | address and port-dependent |
//! | `Firewall` | none | address and port-dependent |
//!
//! Only outbound datagrams keep a mapping, and a peer's permission, alive (REQ-6). The default of
//! 60 s for that is below the two minutes of REQ-5, but what many boxes in homes do. Two inner
//! addresses never share a public port (REQ-3). Not modelled: more than one public address (REQ-2),
//! even ports for even ones (REQ-4), fragments and ICMP.
//!
//! The box is asked only about datagrams that cross it: what inner hosts send to each other's inner
//! addresses it never sees. It has no timer: what has run out counts for nothing, and is thrown
//! away when something else comes by.

mod recent;

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::BTreeMap;

use recent::Recent;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use strum::{EnumString, VariantArray};

use crate::world::{Micros, Stream, check};

/// More mappings are not allowed: with a quarter of the ports in use, and another quarter just
/// given up in a rebind, a free one is soon found.
pub const MAPPINGS_MAX: u32 = 1 << 14;
/// More remembered peers per mapping are not allowed.
pub const PEERS_MAX: u32 = 1 << 16;

/// A firewall stands before the hosts of one /24, whose addresses end in 1 to 254.
pub const BEHIND_FIREWALL_MAX: u32 = 254;

/// The first port that a NAT gives out of itself; lower ones are for services (REQ-3a).
const FIRST_PORT: u16 = 1024;
/// How many there are.
const PORTS: u16 = u16::MAX - FIRST_PORT + 1;
const _: () = assert!(MAPPINGS_MAX <= PORTS as u32 / 3);

/// What a box does. The default is what most homes have: port-restricted, with ports preserved and
/// hairpinning.
///
/// ```
/// use dht_sim::nat::{Kind, Nat};
/// use dht_sim::{Sim, Spec};
///
/// let mut sim = Sim::new(1);
/// let first = sim.next_address();
/// sim.add(Spec::bootstrapper(first)?)?;
/// let carrier = sim.add_nat(Nat { kind: Kind::Symmetric, ..Nat::default() });
/// for _ in 0..16 {
///     sim.add(Spec::joining(&[first]).behind(carrier))?;
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(SmartDefault, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nat {
    /// How it maps and filters.
    #[default(Kind::PortRestricted)]
    pub kind: Kind,
    /// Whether inner hosts reach each other at their public addresses (REQ-9). A firewall passes these datagrams on like
    /// any datagram.
    #[default(true)]
    pub hairpin: bool,
    /// For how long after the last outbound datagram an address is mapped, and a peer let in, in
    /// microseconds.
    #[default(60_000_000)]
    pub timeout_us: Micros,
    /// Which public ports it gives out. Of no use to a firewall.
    #[default(Ports::Preserve)]
    pub ports: Ports,
    /// How many mappings there may be; the mapping that was longest without outbound datagrams gives way. At most
    /// [`MAPPINGS_MAX`].
    #[default(1024)]
    pub mappings_max: u32,
    /// How many peers are remembered per mapping, in the same manner. At most [`PEERS_MAX`]. Of no
    /// use to full-cone and symmetric NATs, which remember none.
    #[default(1024)]
    pub peers_max: u32,
}

/// How a box maps and filters; see the [module](self).
///
/// As text they are written as on a command line: `full-cone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// One public port for all peers, and all of the world is let in.
    FullCone,
    /// One public port for all peers; let in is who has an address that was sent to.
    AddressRestricted,
    /// One public port for all peers; let in is who was sent to.
    PortRestricted,
    /// One public port for each peer, for the two of them alone.
    Symmetric,
    /// No translation; let in is who was sent to.
    Firewall,
}

/// Which public ports a NAT gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ports {
    /// The inner host's own if it is free, otherwise a random one.
    Preserve,
    /// A random one.
    Random,
}

/// What became of a datagram from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// It left for the internet, and this is its sender now.
    Sent(SocketAddrV4),
    /// It is for the box's own public address, and this is its sender now (REQ-9a). Hand it to
    /// [`NatBox::inbound`].
    Hairpin(SocketAddrV4),
    /// It is for the box's own public address, and the box does no hairpinning.
    Dropped,
}

/// A box with all that it remembers.
#[derive(Clone, Debug)]
pub struct NatBox {
    config: Nat,
    public_ip: Ipv4Addr,
    rng: Stream,
    mappings: Recent<Key, Mapping>,
    /// The mappings' public ports. Empty with a firewall.
    ports: BTreeMap<u16, Key>,
}

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    inner: SocketAddrV4,
    /// Only with a symmetric NAT.
    peer: Option<SocketAddrV4>,
}

#[derive(Clone, Debug)]
struct Mapping {
    port: u16,
    /// Who was sent to, and when. The port is 0 if none is looked at.
    peers: Recent<SocketAddrV4, ()>,
}

impl Nat {
    /// Refuses impossible numbers, naming the field.
    pub fn check(&self) -> Result<(), String> {
        check::that(self.timeout_us > 0, "timeout_us", "not be 0")?;
        check::within("mappings_max", self.mappings_max, 1, MAPPINGS_MAX)?;
        check::within("peers_max", self.peers_max, 1, PEERS_MAX)
    }
}

impl NatBox {
    /// A box that has seen nothing yet. `public_ip` is of no use to a firewall itself, whose hosts
    /// have public addresses. Bounds that [`Nat::check`] refuses are brought into range.
    pub fn new(config: Nat, public_ip: Ipv4Addr, rng: Stream) -> Self {
        let config = Nat {
            mappings_max: config.mappings_max.clamp(1, MAPPINGS_MAX),
            peers_max: config.peers_max.clamp(1, PEERS_MAX),
            ..config
        };
        Self { config, public_ip, rng, mappings: Recent::new(), ports: BTreeMap::new() }
    }

    /// The address that the inner hosts share; behind a firewall, that of the first of them.
    pub fn public_ip(&self) -> Ipv4Addr {
        self.public_ip
    }

    /// Whether it translates nothing.
    pub fn is_firewall(&self) -> bool {
        self.config.kind == Kind::Firewall
    }

    /// An inner host sends a datagram. `now` must not be earlier than before.
    pub fn outbound(&mut self, now: Micros, from: SocketAddrV4, to: SocketAddrV4) -> Outbound {
        let Nat { kind, hairpin, timeout_us, mappings_max, peers_max, .. } = self.config;
        let back = kind != Kind::Firewall && *to.ip() == self.public_ip;
        if back && !hairpin {
            return Outbound::Dropped;
        }
        let stale = |used: Micros| now.saturating_sub(used) >= timeout_us;
        while let Some((_, mapping)) = self.mappings.pop_if(stale) {
            self.ports.remove(&mapping.port);
        }
        let key = Key { inner: from, peer: (kind == Kind::Symmetric).then_some(to) };
        let port = match self.mappings.get(&key) {
            Some((_, mapping)) => mapping.port,
            None => {
                if self.mappings.len() >= mappings_max as usize {
                    let oldest = self.mappings.pop();
                    oldest.and_then(|(_, mapping)| self.ports.remove(&mapping.port));
                }
                self.open_port(key)
            }
        };
        let mapping = self.mappings.touch(now, key, || Mapping { port, peers: Recent::new() });
        if let Some(peer) = remembered(kind, to) {
            mapping.peers.touch(now, peer, || ());
            while mapping.peers.pop_if(stale).is_some() {}
            if mapping.peers.len() > peers_max as usize {
                mapping.peers.pop();
            }
        }
        let source = match kind {
            Kind::Firewall => from,
            _ => SocketAddrV4::new(self.public_ip, port),
        };
        if back { Outbound::Hairpin(source) } else { Outbound::Sent(source) }
    }

    /// A datagram comes in from outside, or back from [`Outbound::Hairpin`]: the inner address that
    /// gets it, or `None` if it is not let in.
    pub fn inbound(
        &self,
        now: Micros,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Option<SocketAddrV4> {
        let Nat { kind, timeout_us, .. } = self.config;
        let key = match kind {
            Kind::Firewall => Key { inner: to, peer: None },
            _ if *to.ip() == self.public_ip => *self.ports.get(&to.port())?,
            _ => return None,
        };
        let fresh = |used: Micros| now.saturating_sub(used) < timeout_us;
        let (used, mapping) = self.mappings.get(&key)?;
        let let_in = match remembered(kind, from) {
            Some(peer) => mapping.peers.get(&peer).is_some_and(|(used, ())| fresh(used)),
            None => key.peer.is_none_or(|peer| peer == from),
        };
        (let_in && fresh(used)).then_some(key.inner)
    }

    /// Gives all mappings other public ports, as some boxes do of themselves: what is sent to the
    /// old ones no longer comes in. A firewall has none.
    pub fn rebind(&mut self) {
        if self.config.kind == Kind::Firewall {
            return;
        }
        let old = core::mem::take(&mut self.ports);
        for (key, mapping) in self.mappings.iter_mut() {
            let taken = |port: &u16| old.contains_key(port) || self.ports.contains_key(port);
            mapping.port = random_port(&mut self.rng, taken);
            self.ports.insert(mapping.port, *key);
        }
    }

    /// A port for a new mapping. With a firewall 0, a port that is never sent to.
    fn open_port(&mut self, key: Key) -> u16 {
        let own = key.inner.port();
        let free = own != 0 && !self.ports.contains_key(&own);
        let port = match (self.config.kind, self.config.ports) {
            (Kind::Firewall, _) => return 0,
            (_, Ports::Preserve) if free => own,
            _ => random_port(&mut self.rng, |port| self.ports.contains_key(port)),
        };
        self.ports.insert(port, key);
        port
    }
}

/// How a mapping remembers a peer; `None` if it has no need to.
fn remembered(kind: Kind, peer: SocketAddrV4) -> Option<SocketAddrV4> {
    match kind {
        Kind::FullCone | Kind::Symmetric => None,
        Kind::AddressRestricted => Some(SocketAddrV4::new(*peer.ip(), 0)),
        Kind::PortRestricted | Kind::Firewall => Some(peer),
    }
}

/// The first port that is not `taken`, from a random one on. By [`MAPPINGS_MAX`], half are free
/// at worst.
fn random_port(rng: &mut Stream, taken: impl Fn(&u16) -> bool) -> u16 {
    let start = FIRST_PORT + rng.below(PORTS.into()) as u16;
    let mut ports = (start..=u16::MAX).chain(FIRST_PORT..start);
    ports.find(|port| !taken(port)).unwrap_or(FIRST_PORT)
}

#[cfg(test)]
mod tests;
