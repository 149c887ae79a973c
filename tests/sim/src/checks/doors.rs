//! Nobody is knocked at every door of: of one host that does not answer, a query asks a few addresses, however
//! many of them somebody names. Those of which it knows an address itself are left out.

use std::collections::BTreeSet;

use dht_core::{Event, Id, Node};

use super::keys::{ByKey, Key};
use super::{TIDY, echo::STORE, must, request};
use crate::sim::{Invariant, Packet, Sim, Verdict, command::FIND_NODE};
use crate::world::{HostId, Micros};

/// Silent addresses of one host that a query asks.
const DOORS_MAX: u64 = 4;
/// And so many that are asked on after theirs was over.
const LATE_MAX: u64 = 2;
/// What is counted is begun anew so often. A query that goes on then is counted as a new one.
const PERIOD: Micros = 30_000_000;

/// What a host has asked another one for on behalf of queries.
#[derive(Clone, Debug)]
struct Knocks {
    since: Micros,
    /// How many queries were over by then.
    over: u64,
    /// Ports that were asked and have not answered.
    silent: BTreeSet<u16>,
    /// Whether any address of that host was in the table: a query may have it from there, and so may ask
    /// more of them.
    known: bool,
}

impl Knocks {
    fn new(sim: &Sim, node: &Node) -> Self {
        let queries = node.stats().queries;
        let over = queries.total - queries.active;
        Self { since: sim.now(), over, silent: BTreeSet::new(), known: false }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    knocks: ByKey<Knocks>,
}

impl Invariant for Doors {
    fn name(&self) -> &'static str {
        "doors"
    }

    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Some(raw) = request(packet) else { return Ok(()) };
        // For its own neighbours a node is asked that is to show that it is there.
        let own = raw.target == Some(&Id::of(packet.to).0[..]);
        let of_query = raw.command == if raw.internal { FIND_NODE } else { STORE };
        let of_query = of_query && !(raw.internal && own);
        let Some(node) = sim.node(host).filter(|_| of_query) else { return Ok(()) };
        let (ip, queries) = (*packet.to.ip(), node.stats().queries);
        let fresh = || Knocks::new(sim, node);
        let knocks = self.knocks.entry(Key::of_ip(host, ip, 0)).or_insert_with(fresh);
        if sim.now() - knocks.since > PERIOD {
            *knocks = fresh();
        }
        knocks.silent.insert(packet.to.port());
        let most = DOORS_MAX * (queries.total - knocks.over) + LATE_MAX;
        if knocks.silent.len() as u64 <= most {
            return Ok(());
        }
        knocks.known |= node.nodes().any(|addr| *addr.ip() == ip);
        must(knocks.known, || {
            let (silent, queries) = (knocks.silent.len(), queries.total - knocks.over);
            format!("{silent} silent addresses of {ip} are asked for {queries} queries")
        })
    }

    fn received(&mut self, _: &Sim, host: HostId, packet: &Packet) -> Verdict {
        if let Some(knocks) = self.knocks.get_mut(&Key::of_ip(host, *packet.from.ip(), 0)) {
            knocks.silent.remove(&packet.from.port());
        }
        Ok(())
    }

    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        if let (Event::NodeRemoved(addr), Some(node)) = (event, sim.node(host)) {
            let knocks = self.knocks.entry(Key::of_ip(host, *addr.ip(), 0));
            knocks.or_insert_with(|| Knocks::new(sim, node)).known = true;
        }
        Ok(())
    }

    fn down(&mut self, _: &Sim, host: HostId) -> Verdict {
        self.knocks.retain(|key, _| key.host() != host);
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        if sim.now().is_multiple_of(TIDY) {
            self.knocks.retain(|_, knocks| sim.now() - knocks.since <= PERIOD);
        }
        Ok(())
    }

    fn fork(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
