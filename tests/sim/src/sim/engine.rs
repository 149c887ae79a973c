//! The simulation: virtual time, and all that happens in it, one thing after the other.
//!
//! This file holds the state, the passing of time, and how invariants are asked. How datagrams
//! travel is in `net`, what hosts go through in `life`, what callers ask for in `calls`.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use dht_core::{DATAGRAM_MAX, Id, Node};
use serde::Serialize;

use super::{
    Fate, Rule, Spent, Violation,
    calls::Awaited,
    events::Events,
    host::Host,
    ids::SharedIds,
    life::Timer,
    lookup::Lookups,
    packets::Packets,
    tap::Taps,
    trace::Trace,
    truth::{closest, within_quotas},
    watch::Watch,
};
use crate::world::partition::{Cut, Partition};
use crate::world::{
    HostId, Micros, NatId, addresses::Model, addrs::Addrs, link::Link, nat::NatBox,
};

/// Counts of what has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Datagrams sent, by nodes and actors.
    pub sent: u64,
    /// Bytes in them, without IP and UDP headers.
    pub bytes: u64,
    /// Datagrams that arrived at a socket.
    pub delivered: u64,
    /// Lost on the way: by the link, a rule or a partition.
    pub lost: u64,
    /// Arrived at an address without a socket, or at a NAT without a mapping for it.
    pub unreachable: u64,
    /// Deadlines that were met.
    pub timeouts: u64,
}

/// A simulated network. A clone is a fork: both go on from the same state.
///
/// Methods that are given a host which does not exist panic, unless they say what they do then.
///
/// ```
/// use std::time::Duration;
/// use dht_sim::{Sim, Spec};
///
/// let mut sim = Sim::new(7);
/// let first = sim.next_address();
/// sim.add(Spec::bootstrapper(first)?)?;
/// for _ in 0..20 {
///     sim.add(Spec::joining(&[first]))?;
/// }
/// sim.run_for(Duration::from_secs(60))?;
/// assert_eq!((sim.up_count(), sim.persistent_count()), (21, 21));
///
/// let mut fork = sim.clone();
/// fork.run_for(Duration::from_secs(1))?;
/// sim.run_for(Duration::from_secs(1))?;
/// assert_eq!(fork.trace_hash(), sim.trace_hash());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Sim {
    pub(crate) seed: u64,
    pub(crate) now: Micros,
    pub(crate) events: Events,
    pub(crate) packets: Packets,
    pub(crate) hosts: Vec<Host>,
    /// How many of them are up.
    pub(crate) up: u32,
    pub(crate) addrs: Addrs,
    /// Where new hosts are, unless each has a /24 of its own.
    pub(crate) model: Option<Box<Model>>,
    pub(crate) ids: SharedIds,
    pub(crate) nats: Vec<NatBox>,
    /// Who is behind which NAT, by inner address.
    pub(crate) inner_hosts: BTreeMap<(NatId, Ipv4Addr), HostId>,
    pub(crate) link: Arc<Link>,
    pub(crate) partitions: Vec<(Cut, Micros)>,
    partitions_made: u32,
    pub(crate) rules: Vec<Box<dyn Rule>>,
    /// Who sees whose datagrams: (the host, the actor in its path).
    pub(crate) wires: Vec<(HostId, HostId)>,
    /// The nodes that are up and persistent, by their ids.
    pub(crate) truth: BTreeMap<Id, HostId>,
    pub(crate) lookups: Lookups,
    /// What callers wait for, and applications need not be told of.
    pub(crate) awaited: BTreeSet<(HostId, Awaited)>,
    pub(crate) taps: Taps,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
    pub(crate) timers: BTreeMap<u64, Timer>,
    pub(crate) next_timer: u64,
    pub(super) watch: Watch,
    pub(super) buf: Buffer,
}

/// What a node writes a datagram into.
#[derive(Clone)]
pub(super) struct Buffer(pub(super) [u8; DATAGRAM_MAX]);

impl Default for Buffer {
    fn default() -> Self {
        Self([0; DATAGRAM_MAX])
    }
}

/// What an entry of the queue stands for: two bits of its key. At one moment, datagrams come first.
/// Of so many nodes there are hosts enough for the least quotas.
const HOSTS_MANY: usize = 2_000;
const PACKET: u64 = 0;
const DEADLINE: u64 = 1;
const TIMER: u64 = 2;
const KIND_SHIFT: u32 = 62;

/// Datagrams that arrive at the same moment are handled in the order in which they were sent. `serial` counts them;
/// it wraps after a thousand million, more than ever arrive at one moment.
pub(crate) const fn packet_key(serial: u64, at: u32) -> u64 {
    PACKET << KIND_SHIFT | (serial & 0x3fff_ffff) << 32 | at as u64
}

pub(crate) const fn deadline_key(host: HostId) -> u64 {
    DEADLINE << KIND_SHIFT | host.0 as u64
}

pub(crate) const fn timer_key(serial: u64) -> u64 {
    TIMER << KIND_SHIFT | serial
}

impl Counts {
    /// Datagrams that arrived and deadlines that were met.
    pub fn events(&self) -> u64 {
        self.delivered + self.timeouts
    }
}

impl Sim {
    /// An empty network. Everything random in it follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Virtual time since the beginning.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// One number that stands for all that has happened so far: every delivery and every change of state.
    pub fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// Counts of what has happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many hosts there are, up or down.
    pub fn hosts(&self) -> u32 {
        self.hosts.len() as u32
    }

    /// How many nodes are up.
    pub fn up_count(&self) -> u32 {
        self.up
    }

    /// The host with this number's address in the row, whether that host exists or not.
    pub fn host_at(ip: Ipv4Addr) -> Option<HostId> {
        crate::world::addrs::host_at(ip).and_then(|host| u32::try_from(host).ok()).map(HostId)
    }

    /// Datagrams under way.
    pub fn in_flight(&self) -> usize {
        self.packets.len()
    }

    /// The node of a host, if it is up.
    pub fn node(&self, host: HostId) -> Option<&Node> {
        self.hosts.get(host.index())?.node.as_deref()
    }

    /// All nodes that are up.
    pub fn nodes(&self) -> impl Iterator<Item = (HostId, &Node)> {
        let nodes = (0..self.hosts()).map(HostId).map(|host| (host, self.node(host)));
        nodes.filter_map(|(host, node)| Some((host, node?)))
    }

    /// The application of a host, if it is of this type.
    pub fn app<A: crate::sim::App>(&self, host: HostId) -> Option<&A> {
        let app: &dyn Any = self.hosts.get(host.index())?.app.as_deref()?;
        app.downcast_ref()
    }

    /// Gives a host another application. What is not a node's host is left as it is.
    pub fn set_app(&mut self, host: HostId, app: impl crate::sim::App) {
        if let Some(host) = self.hosts.get_mut(host.index()).filter(|host| host.actor.is_none()) {
            host.app = Some(Box::new(app));
        }
    }

    /// The actor of a host, if it is of this type.
    pub fn actor<A: crate::sim::Actor>(&self, host: HostId) -> Option<&A> {
        let actor: &dyn Any = self.hosts.get(host.index())?.actor.as_deref()?;
        actor.downcast_ref()
    }

    /// What an actor has sent.
    pub fn spent(&self, actor: HostId) -> Spent {
        self.hosts.get(actor.index()).map_or(Spent::default(), |host| host.spent)
    }

    /// What datagrams meet on their way, from now on.
    pub fn set_link(&mut self, link: Link) {
        self.link = Arc::new(link);
    }

    /// Adds a partition; its times are virtual time.
    ///
    /// # Errors
    /// If it is impossible; the field is named.
    pub fn add_partition(&mut self, partition: &Partition) -> Result<(), String> {
        let now = self.now;
        self.partitions.retain(|(_, until)| *until > now);
        let cut = partition.cut(self.seed, self.partitions_made)?;
        self.partitions_made += 1;
        self.partitions.push((cut, partition.until_us));
        Ok(())
    }

    /// Ends all partitions.
    pub fn end_partitions(&mut self) {
        self.partitions.clear();
    }

    /// Adds a rule that decides about datagrams before the link does. The first that
    /// does not say [`Fate::Pass`] decides.
    pub fn add_rule(&mut self, rule: impl Rule) {
        self.rules.push(Box::new(rule));
    }

    /// Puts an actor in the path of a host: [`Actor::on_overheard`](crate::Actor::on_overheard) tells it of every
    /// datagram from the host and to it, as it leaves its sender. Datagrams of actors are not told.
    pub fn overhear(&mut self, host: HostId, actor: HostId) {
        self.wires.push((host, actor));
    }

    /// The hosts whose nodes are up, persistent and closest to `target`, the closest first.
    pub fn true_closest(&self, target: &Id, count: usize) -> Vec<HostId> {
        closest(&self.truth, target, count).into_iter().map(|(_, host)| host).collect()
    }

    /// The same, and no more of one host and of one /24 than nodes take in a network of many hosts.
    pub(crate) fn closest_within_quotas(&self, target: &Id, count: usize) -> Vec<HostId> {
        if self.model.is_none() {
            return self.true_closest(target, count);
        }
        // In a small network hosts may be few.
        let hosts = self.persistent().take(HOSTS_MANY).map(|at| *self.address(at).ip());
        let hosts = hosts.collect::<BTreeSet<_>>().len();
        let nearest = self.true_closest(target, 16 * count);
        within_quotas(nearest, |at| *self.address(*at).ip(), (hosts, count))
    }

    /// The hosts whose nodes are up and persistent, in the order of their ids.
    pub fn persistent(&self) -> impl Iterator<Item = HostId> + '_ {
        self.truth.values().copied()
    }

    /// How many nodes are up and persistent.
    pub fn persistent_count(&self) -> usize {
        self.truth.len()
    }

    /// What the clock shows that the node of a host goes by.
    pub(crate) fn local(&self, host: HostId) -> Micros {
        self.hosts[host.index()].local(self.now).as_micros()
    }

    /// How often a host has crashed: which of its processes is the present one.
    pub(crate) fn generation(&self, host: HostId) -> u32 {
        self.hosts[host.index()].generation
    }

    /// Whether a host takes and sends datagrams.
    pub(crate) fn is_up(&self, host: HostId) -> bool {
        self.hosts[host.index()].is_up()
    }

    /// Whether a host is behind no NAT or firewall.
    pub(crate) fn is_public(&self, host: HostId) -> bool {
        self.hosts[host.index()].nat.is_none()
    }

    /// Whether some partition is not over.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.partitions.iter().any(|(_, until)| *until > self.now)
    }

    /// The id of the node at an address.
    pub fn id_of(&self, addr: SocketAddrV4) -> Id {
        self.ids.of(addr)
    }

    /// Whether the process of a host was stopped, or its machine asleep, lately or ever.
    pub fn was_paused(&self, host: HostId) -> bool {
        self.hosts[host.index()].was_paused
    }

    /// Runs for some virtual time.
    ///
    /// # Errors
    /// If an invariant does not hold. Nothing runs any more after that.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        self.run_to(self.now.saturating_add(micros(time)))
    }

    /// Runs until this virtual time.
    ///
    /// # Errors
    /// As [`run_for`](Self::run_for).
    pub fn run_to(&mut self, end: Micros) -> Result<(), Violation> {
        while self.step(end)? {}
        self.now = self.now.max(end);
        Ok(())
    }

    /// Runs until it is so, at most for `limit`; asked after every event. Whether it came to be so.
    ///
    /// # Errors
    /// As [`run_for`](Self::run_for).
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now.saturating_add(micros(limit));
        loop {
            if is_so(self) {
                return Ok(true);
            }
            if !self.step(end)? {
                self.now = self.now.max(end);
                return Ok(is_so(self));
            }
        }
    }

    /// The next thing that happens, if it does by `end`. Whether it did.
    fn step(&mut self, end: Micros) -> Result<bool, Violation> {
        self.verdict()?;
        let second = self.watch.next_second(end);
        match self.events.pop(second.unwrap_or(end)) {
            Some((at, key)) => self.happen(at, key),
            None if second.is_none() => return Ok(false),
            // The second is checked before anything happens after it.
            None => self.check_second(),
        }
        self.verdict()?;
        Ok(true)
    }

    fn happen(&mut self, at: Micros, key: u64) {
        self.now = self.now.max(at);
        let low = key & ((1 << KIND_SHIFT) - 1);
        match key >> KIND_SHIFT {
            PACKET => self.deliver(low as u32),
            DEADLINE => self.fire(HostId(low as u32), at),
            _ => self.on_timer(low),
        }
    }

    /// What the rules make of a datagram.
    pub(crate) fn judge(&mut self, packet: &crate::sim::Packet) -> Fate {
        let now = self.now;
        let mut fates = self.rules.iter_mut().map(|rule| rule.on_packet(now, packet));
        fates.find(|fate| *fate != Fate::Pass).unwrap_or(Fate::Pass)
    }
}

/// Whole microseconds, as many as there is room for.
pub(crate) fn micros(time: Duration) -> Micros {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("hosts", &self.hosts.len())
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}
