//! A query asks only a few addresses of a host that does not answer, however many of them it is told, and one more for each
//! answer from there. Hosts
//! with an address in the node's own table are left out.

use std::collections::BTreeSet;

use dht_core::{Event, Id, Node};

use super::keys::{ByKey, Key};
use super::{echo::STORE, must, request};
use crate::sim::{Invariant, Packet, Sim, Verdict, command::FIND_NODE};
use crate::world::{HostId, Micros};

/// Silent addresses of one host that a query asks, if nodes of three /24s name them; four if one does.
const DOORS_MAX: u64 = 8;
/// Silent addresses that are still asked after the query is over.
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
    answers: u64,
    /// Whether any address of that host was in the table: a query may have it from there, and so may ask
    /// more of them.
    known: bool,
}

impl Knocks {
    fn new(sim: &Sim, node: &Node) -> Self {
        let queries = node.stats().queries;
        let over = queries.total - queries.active;
        Self { since: sim.now(), over, silent: BTreeSet::new(), answers: 0, known: false }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    knocks: ByKey<Knocks>,
}

impl Invariant for Doors {
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Some(raw) = request(packet) else { return Ok(()) };
        // For its own neighbours a node is asked that is to show that it is there.
        let own = raw.target == Some(&Id::of(packet.to).0[..]);
        let of_query = raw.command == if raw.internal { FIND_NODE } else { STORE };
        let of_query = of_query && !(raw.internal && own);
        let Some(node) = sim.node(host).filter(|_| of_query) else { return Ok(()) };
        let (ip, queries) = (*packet.to.ip(), node.stats().queries);
        let fresh = || Knocks::new(sim, node);
        let knocks = self.knocks.entry(sim, Key::of_ip(sim, host, ip, 0), fresh);
        if sim.now() - knocks.since > PERIOD {
            *knocks = fresh();
        }
        knocks.silent.insert(packet.to.port());
        let most = DOORS_MAX * (queries.total - knocks.over) + LATE_MAX + knocks.answers;
        if knocks.silent.len() as u64 <= most {
            return Ok(());
        }
        knocks.known |= node.nodes().any(|addr| *addr.ip() == ip);
        must(knocks.known, || {
            let (silent, queries) = (knocks.silent.len(), queries.total - knocks.over);
            format!("{silent} silent addresses of {ip} are asked for {queries} queries")
        })
    }

    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        if let Some(knocks) = self.knocks.get_mut(Key::of_ip(sim, host, *packet.from.ip(), 0)) {
            knocks.answers += u64::from(knocks.silent.remove(&packet.from.port()));
        }
        Ok(())
    }

    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        if let (Event::NodeRemoved(addr), Some(node)) = (event, sim.node(host)) {
            let key = Key::of_ip(sim, host, *addr.ip(), 0);
            self.knocks.entry(sim, key, || Knocks::new(sim, node)).known = true;
        }
        Ok(())
    }
}
