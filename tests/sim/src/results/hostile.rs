//! What an attacker achieves in a network larger than its nodes' tables: S6, S7 and S8 of `HARDENING.md`.
//!
//! In a network of 60, each node knows all others: none needs to be told of a node, and lies about nodes have no
//! effect. Here a node knows no more than a part of the network.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Answer, Id, Incoming, Query};

use crate::attack::{Grinder, GrinderConfig, Pace, closest_addresses};
use crate::sim::truth::within_quotas;
use crate::sim::{App, Cx, Sim, Spec, Violation};
use crate::world::{HostId, Micros, addresses::Addresses};

const SECOND: Duration = Duration::from_secs(1);
/// Nodes of an attacker near a key, and how many of the honest ones nearest to it are told of each of them.
const GROUND: u32 = 30;
const TOLD: usize = 60;
/// The command that stores a value, and asks for it.
const STORE: u64 = 7;
/// Lookups for each key that is attacked.
const LOOKUPS: u32 = 20;

/// A settled network of `nodes` nodes; with addresses from the model, if there is one.
///
/// # Errors
/// If an invariant does not hold, or nodes don't find their places in time.
pub fn settled(seed: u64, nodes: u32, addresses: Option<Addresses>) -> Result<Sim, Violation> {
    let mut sim = Sim::new(seed);
    let failed = |error: String| Violation::before(seed, "scenario", error);
    if let Some(addresses) = addresses {
        sim.set_addresses(addresses).map_err(failed)?;
    }
    let first = sim.next_address();
    let bootstrap = Spec::bootstrapper(first).map_err(|error| failed(error.to_string()))?;
    sim.add(bootstrap).map_err(|error| failed(error.to_string()))?;
    for n in 1..nodes {
        let spec = Spec::joining(&[first]).after(20_000 * Micros::from(n));
        sim.add(spec).map_err(|error| failed(error.to_string()))?;
    }
    let all = nodes as usize;
    let limit = SECOND * (120 + nodes / 20);
    if !sim.run_until(limit, |sim| sim.persistent_count() == all)? {
        return Err(failed(format!("{} of {all} are persistent", sim.persistent_count())));
    }
    sim.run_for(60 * SECOND)?;
    Ok(sim)
}

/// A key of lookups.
fn key(n: u64) -> Id {
    Id::of(SocketAddrV4::new(Ipv4Addr::from(0x0101_0101 + n as u32), 1))
}

/// Where an attacker has its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// This many hosts, each in a /24 of its own.
    Apart(u32),
    /// This many hosts in one /24, at most 254.
    Together(u32),
}

impl Hosts {
    /// Their addresses, in networks without other hosts.
    pub fn ips(self) -> Vec<Ipv4Addr> {
        let at = |n: u32| Ipv4Addr::from(0xa100_0001 + n);
        match self {
            Self::Apart(count) => (0..count).map(|n| at(n << 8)).collect(),
            Self::Together(count) => (0..count.min(254)).map(at).collect(),
        }
    }
}

/// What an attacker near keys has achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Eclipse {
    /// Lookups for attacked keys.
    pub lookups: u32,
    /// Of the 20 that were found by each, the attacker's, in all.
    pub held: u32,
    /// The most that one lookup found.
    pub worst: u32,
    /// Lookups that found more than ten of the attacker's nodes.
    pub majority: u32,
    /// See `majority`.
    pub all: u32,
    /// The trace hash at the end, of all keys.
    pub trace: u64,
}

impl Eclipse {
    /// Of the 20 found, the attacker's, on average.
    pub fn mean(&self) -> f64 {
        f64::from(self.held) / f64::from(self.lookups.max(1))
    }
}

/// S6 and S7: an attacker with all ports of these hosts takes the 30 addresses nearest to a key, and tells the 60
/// honest nodes nearest to it of each of them, three times in a minute. Then nodes from all over the network look
/// for the key; each key on a fork of the network.
///
/// # Errors
/// If an invariant does not hold.
pub fn eclipse(settled: &Sim, hosts: Hosts, keys: u64) -> Result<Eclipse, Violation> {
    let count = settled.hosts();
    let mut eclipse = Eclipse::default();
    for key in (0..keys).map(key) {
        let mut sim = settled.clone();
        let evil = besiege(&mut sim, hosts, key)?;
        for n in 0..LOOKUPS {
            let found = look_up(&mut sim, HostId((n * 7_919 + 11) % count), key)?;
            let held = found.iter().filter(|addr| evil.contains(addr)).count() as u32;
            eclipse.lookups += 1;
            eclipse.held += held;
            eclipse.worst = eclipse.worst.max(held);
            eclipse.majority += u32::from(held > 10);
            eclipse.all += u32::from(held as usize == found.len());
        }
        eclipse.trace = eclipse.trace.rotate_left(1) ^ sim.trace_hash();
    }
    Ok(eclipse)
}

/// An attacker with these hosts takes the addresses nearest to a key, and makes them known to the honest nodes there: its
/// nodes.
fn besiege(sim: &mut Sim, hosts: Hosts, key: Id) -> Result<BTreeSet<SocketAddrV4>, Violation> {
    let ips = hosts.ips();
    if ips.is_empty() {
        return Ok(BTreeSet::new());
    }
    let honest = (0..sim.hosts()).map(|n| sim.address(HostId(n)));
    let config = GrinderConfig {
        ips: ips.clone(),
        near: Some(key),
        nodes: GROUND,
        targets: closest_addresses(honest, &key, TOLD),
        known_max: TOLD as u32,
        pace: Pace::per_second(90, 60),
        ..GrinderConfig::default()
    };
    let evil = attack(sim, &ips, config)?;
    sim.run_for(70 * SECOND)?;
    Ok(evil)
}

/// What becomes of values that are stored while an attacker is near their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stored {
    /// Values, each with a key of its own.
    pub values: u32,
    /// Nodes that were committed to, and of these the honest ones, in all; the fewest honest ones of one value.
    pub commits: u32,
    /// See `commits`.
    pub honest: u32,
    /// See `commits`.
    pub fewest: u32,
    /// Lookups of the values by nodes from all over the network, and how many brought the value.
    pub lookups: u32,
    /// See `lookups`.
    pub found: u32,
}

/// Keeps what was committed to it last, and gives it back.
#[derive(Clone, Debug, Default)]
struct Store(Option<Vec<u8>>);

impl App for Store {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        if request.token.is_some() {
            self.0 = request.value.map(<[u8]>::to_vec);
        }
        cx.reply(request, self.0.clone().map_or(Answer::empty(), Answer::value));
    }
}

/// H5: an attacker as for [`eclipse`] is near a key; then a value is stored there, and looked up.
///
/// # Errors
/// If an invariant does not hold.
pub fn store(settled: &Sim, hosts: Hosts, keys: u64) -> Result<Stored, Violation> {
    let mut stored = Stored { fewest: u32::MAX, ..Stored::default() };
    for key in (0..keys).map(key) {
        let mut sim = settled.clone();
        let count = sim.hosts();
        for at in sim.true_closest(&key, 2 * TOLD) {
            sim.set_app(at, Store::default());
        }
        let evil = besiege(&mut sim, hosts, key)?;
        let put = Query::new(key, STORE).value("value").commit();
        let walk = sim.walk(HostId(9), put, 60 * SECOND)?;
        let closest = walk.and_then(|(_, outcome)| outcome.ok()).unwrap_or_default().closest;
        let honest = closest.iter().filter(|reply| !evil.contains(&reply.from.addr)).count() as u32;
        stored.values += 1;
        stored.commits += closest.len() as u32;
        stored.honest += honest;
        stored.fewest = stored.fewest.min(honest);
        for n in 0..LOOKUPS {
            let get = Query::new(key, STORE);
            let walk = sim.walk(HostId((n * 7_919 + 11) % count), get, 60 * SECOND)?;
            let replies = walk.map(|(replies, _)| replies).unwrap_or_default();
            let found = replies.iter().any(|reply| reply.value.as_deref() == Some(b"value"));
            stored.lookups += 1;
            stored.found += u32::from(found);
        }
    }
    Ok(stored)
}

/// What lookups find in a network some of which is hostile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Poisoned {
    /// Lookups.
    pub lookups: u32,
    /// The part of the honest nodes among the true 20 that was found, on average.
    pub recall: f64,
    /// The fewest honest nodes that one lookup found.
    pub fewest: u32,
    /// Lookups that found no honest node.
    pub none: u32,
    /// Lookups that found less than half of the honest nodes among the true 20.
    pub under_half: u32,
    /// Of the 20 found, the attacker's, on average.
    pub held: f64,
    /// The part of all tables that is the attacker's.
    pub in_tables: f64,
    /// The trace hash at the end.
    pub trace: u64,
}

/// S8: beside the honest nodes there are `hostile` ones on these hosts, at one port each or more, which answer everything and
/// name each other only. For `minutes` they make themselves known to everybody, each of them to each, over and over.
///
/// # Errors
/// If an invariant does not hold.
pub fn poisoned(
    mut sim: Sim,
    hosts: Hosts,
    hostile: u32,
    minutes: u32,
    lookups: u32,
) -> Result<Poisoned, Violation> {
    let ips = hosts.ips();
    let honest: Vec<_> = (0..sim.hosts()).map(|n| sim.address(HostId(n))).collect();
    let count = honest.len() as u32;
    // Each to each in the time that there is, and then again.
    let rate = (2 * hostile * count / (60 * minutes).max(1)).max(20).next_multiple_of(20);
    let config = GrinderConfig {
        ips: ips.clone(),
        first_port: 4_000,
        ports: hostile.div_ceil(ips.len().max(1) as u32) as u16,
        nodes: hostile,
        targets: honest.clone(),
        pace: Pace::per_second(rate, 60 * minutes),
        ..GrinderConfig::default()
    };
    let evil = attack(&mut sim, &ips, config)?;
    sim.run_for(60 * minutes * SECOND)?;
    let mut poisoned = Poisoned { lookups, fewest: 20, ..Poisoned::default() };
    for n in 0..lookups {
        let (at, key) = (HostId(n.wrapping_mul(7_919) % count), key(n.into()));
        let own = sim.address(at);
        let found = look_up(&mut sim, at, key)?;
        let all = honest.iter().chain(&evil).copied().filter(|addr| *addr != own);
        let near = if sim.model.is_some() { 320 } else { 20 };
        let mut wanted = closest_addresses(all, &key, near);
        if sim.model.is_some() {
            wanted = within_quotas(wanted, |addr| *addr.ip(), (usize::MAX, 20));
        }
        wanted.retain(|addr| !evil.contains(addr));
        let hit = wanted.iter().filter(|addr| found.contains(addr)).count();
        let honest = found.iter().filter(|addr| !evil.contains(addr)).count();
        poisoned.recall += hit as f64 / wanted.len().max(1) as f64 / f64::from(lookups);
        poisoned.fewest = poisoned.fewest.min(honest as u32);
        poisoned.none += u32::from(honest == 0);
        poisoned.under_half += u32::from(hit * 2 < wanted.len());
        poisoned.held += (found.len() - honest) as f64 / f64::from(lookups);
    }
    let tables = || sim.nodes().flat_map(|(_, node)| node.nodes());
    let bad = tables().filter(|addr| evil.contains(addr)).count();
    poisoned.in_tables = bad as f64 / tables().count().max(1) as f64;
    poisoned.trace = sim.trace_hash();
    Ok(poisoned)
}

/// Puts an attacker into the network: its nodes.
fn attack(
    sim: &mut Sim,
    ips: &[Ipv4Addr],
    config: GrinderConfig,
) -> Result<BTreeSet<SocketAddrV4>, Violation> {
    let grinder = Grinder::new(config).map_err(|error| sim.violation("scenario", error))?;
    let evil: BTreeSet<_> = grinder.nodes().map(|node| node.addr()).collect();
    // They are in everybody's tables.
    for addr in &evil {
        sim.ids.set(*addr);
    }
    sim.add_actor(ips, grinder);
    Ok(evil)
}

/// The addresses that a lookup finds; none if it fails.
fn look_up(sim: &mut Sim, at: HostId, key: Id) -> Result<Vec<SocketAddrV4>, Violation> {
    let walk = sim.walk(at, Query::find_node(key), 60 * SECOND)?;
    let outcome = walk.and_then(|(_, outcome)| outcome.ok());
    let closest = outcome.map(|outcome| outcome.closest).unwrap_or_default();
    Ok(closest.iter().map(|reply| reply.from.addr).collect())
}
