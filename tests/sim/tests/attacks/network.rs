//! The network that is attacked, and who looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use dht_core::{Answer, Event, Id, Incoming, Query};
use dht_sim::{App, Cx, HostId, Invariant, Packet, Sim, Spec, Verdict};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// How many nodes a settled network has.
pub(crate) const NODES: u32 = 60;

/// A network that has settled: a fork of one and the same each time.
pub(crate) fn settled() -> Sim {
    static SETTLED: OnceLock<Mutex<Sim>> = OnceLock::new();
    let settled = SETTLED.get_or_init(|| Mutex::new(network(7, NODES)));
    settled.lock().unwrap().clone()
}

/// `count` nodes that have joined one after the other and have an id. All keep what is committed.
pub(crate) fn network(seed: u64, count: u32) -> Sim {
    let mut sim = Sim::new(seed);
    let first = sim.next_address();
    sim.add(Spec::bootstrapper(first).unwrap().app(Store::default())).unwrap();
    for n in 1..count {
        let delay = 50_000 * u64::from(n);
        sim.add(Spec::joining(&[first]).app(Store::default()).after(delay)).unwrap();
    }
    let all = count as usize;
    let limit = SECOND * 60;
    assert!(sim.run_until(limit, |sim| sim.persistent_count() == all).unwrap());
    sim.run_for(60 * SECOND).unwrap();
    sim
}

pub(crate) fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(66, n, 0, 1)
}

pub(crate) fn addr(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(ip(n), 4_000)
}

pub(crate) fn addrs(sim: &Sim) -> Vec<SocketAddrV4> {
    (0..NODES).map(|n| sim.address(HostId(n))).collect()
}

pub(crate) fn key(n: u64) -> Id {
    Id::of(SocketAddrV4::new(Ipv4Addr::from(0x0101_0101 + n as u32), 1))
}

/// Who is in the table of a node.
pub(crate) fn table(sim: &Sim, at: HostId) -> BTreeSet<SocketAddrV4> {
    sim.node(at).unwrap().nodes().collect()
}

/// What a lookup finds of the honest nodes among the 20 closest to a key (the asker and the attacker's
/// nodes, `evil`, count as nodes too): the part of them, and how many honest ones in all.
pub(crate) fn look(sim: &mut Sim, at: HostId, key: Id, evil: &[SocketAddrV4]) -> (f64, usize) {
    let (_, outcome) = sim.walk(at, Query::find_node(key), 60 * SECOND).unwrap().unwrap();
    let found: BTreeSet<_> = outcome.unwrap().closest.iter().map(|r| r.from.addr).collect();
    let honest: BTreeSet<_> = sim.persistent().map(|host| sim.address(host)).collect();
    let own = sim.address(at);
    let all = honest.iter().chain(evil).filter(|addr| **addr != own);
    let mut all: Vec<_> = all.map(|addr| (Id::of(*addr).distance(&key), *addr)).collect();
    all.sort_unstable();
    let wanted = all.iter().take(20).map(|(_, addr)| *addr).filter(|addr| honest.contains(addr));
    let wanted: BTreeSet<_> = wanted.collect();
    let recall = match wanted.len() {
        0 => 1.0,
        count => wanted.intersection(&found).count() as f64 / count as f64,
    };
    (recall, honest.intersection(&found).count())
}

/// Keeps what is committed with a valid token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// Who has committed, at which moment.
    pub(crate) taken: Vec<(u64, SocketAddrV4)>,
    /// The length of what it answers.
    pub(crate) answer: usize,
}

impl App for Store {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        if request.token.is_some() {
            self.taken.push((cx.time, request.from.addr));
        }
        cx.reply(request, Answer::value(vec![7; self.answer]));
    }
}

/// Watches nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// Nodes that left the table of a host.
    pub(crate) removed: BTreeMap<HostId, u64>,
    /// Nodes that entered it.
    pub(crate) added: BTreeMap<HostId, u64>,
    /// How often a host changed its mind about its address.
    pub(crate) nat_updates: BTreeMap<HostId, u64>,
    /// Datagrams that it sent, by destination.
    pub(crate) sent: BTreeMap<(HostId, SocketAddrV4), u64>,
}

impl Watch {
    /// Puts one into a network.
    pub(crate) fn over(sim: &mut Sim, hosts: &[HostId]) {
        sim.add_invariant(Self::default());
        for host in hosts {
            sim.with(*host, |node, _| node.set_node_events(true)).unwrap();
        }
    }

    pub(crate) fn of(sim: &Sim) -> &Self {
        sim.invariant().unwrap()
    }

    pub(crate) fn sent_by(&self, host: HostId) -> u64 {
        self.sent.iter().filter(|((at, _), _)| *at == host).map(|(_, count)| count).sum()
    }
}

impl Invariant for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn sent(&mut self, _: &Sim, host: HostId, packet: &Packet) -> Verdict {
        *self.sent.entry((host, packet.to)).or_default() += 1;
        Ok(())
    }

    fn event(&mut self, _: &Sim, host: HostId, event: &Event) -> Verdict {
        let counts = match event {
            Event::NodeAdded(_) => &mut self.added,
            Event::NodeRemoved(_) => &mut self.removed,
            Event::NatUpdate { .. } => &mut self.nat_updates,
            _ => return Ok(()),
        };
        *counts.entry(host).or_default() += 1;
        Ok(())
    }
}
