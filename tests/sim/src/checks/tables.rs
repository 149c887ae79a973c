//! What tables must be like in the long run, seen over the whole network: they are refreshed, who is gone is
//! forgotten in time, and, once all has been calm for a while, who is there is known.
//!
//! Each second a sixteenth of the nodes is looked at, so each node every 16 s; and
//! [one key is looked for](super::reach). What a node could not help is left out: it must have been up,
//! awake and undisturbed for all of the time; and, where other nodes matter, the network as well.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::{Event, Node};

use super::calm::{CALM, Calm};
use super::keys::PerHost;
use super::{must, reach, request};
use crate::sim::{Invariant, Packet, Sim, Verdict};
use crate::world::{HostId, Micros, SECOND};

/// A node is looked at so often, in seconds.
const EVERY: u64 = 16;
/// The keep-alive of a node: two of the oldest at least, every so often, on a clock that may be slow.
const CYCLE: Micros = 41 * SECOND;
const PER_CYCLE: usize = 2;
/// For a ping's tries and a cycle that has just begun, and for nodes that enter the table meanwhile.
const SPARE: Micros = 120 * SECOND;
const NEWCOMERS: usize = 10;
/// A node begins a lookup at least every 20 min (on a clock that may be slow, with time to get a place).
const REFRESH: Micros = 1_300 * SECOND;
/// A table has at least this many nodes, in a network that is large enough.
const LEN_MIN: usize = 10;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    calm: Calm,
    /// When a host last asked for closer nodes.
    looked: PerHost<Micros>,
    /// Addresses at which a node was, and since when none is.
    gone: BTreeMap<SocketAddrV4, Micros>,
}

impl Tables {
    /// A table is refreshed now and then, also if the node is asked for nothing.
    fn check_refresh(&self, sim: &Sim, host: HostId, node: &Node, for_us: Micros) -> Verdict {
        let looked = self.looked.get(sim, host).copied().unwrap_or(0);
        let quiet = for_us.min(sim.now() - looked);
        must(quiet < REFRESH || node.table_len() == 0, || {
            format!("host {} has not looked for anybody for {} s", host.0, quiet / SECOND)
        })
    }

    /// An entry whose node is gone leaves the table once it is its turn to be asked.
    fn check_gone(&self, sim: &Sim, host: HostId, node: &Node, for_us: Micros) -> Verdict {
        let cycles = (node.table_len() + NEWCOMERS).div_ceil(PER_CYCLE) as u64;
        let patience = cycles * CYCLE + SPARE;
        if for_us < patience {
            return Ok(());
        }
        for addr in node.nodes() {
            let gone = self.gone.get(&addr).map_or(0, |since| sim.now() - since);
            must(gone < patience, || {
                let (gone, len) = (gone / SECOND, node.table_len());
                format!("host {} has kept {addr}, dead for {gone} s, of {len}", host.0)
            })?;
        }
        Ok(())
    }

    /// A node that is calm is known, and knows the closest neighbour.
    fn check_known(&self, sim: &Sim, host: HostId, node: &Node) -> Verdict {
        let (persistent, addr) = (sim.persistent_count(), sim.address(host));
        if persistent < 2 || node.ephemeral() || !sim.is_public(host) {
            return Ok(());
        }
        must(node.id() == Some(sim.id_of(addr)), || {
            format!("host {} still has the id of an address not its own", host.0)
        })?;
        let knows = |other: &Node| other.nodes().any(|known| known == addr);
        must(sim.persistent().filter_map(|other| sim.node(other)).any(knows), || {
            format!("nobody knows host {}", host.0)
        })?;
        let least = LEN_MIN.min((persistent - 1) / 2);
        must(node.table_len() >= least, || {
            format!("host {} knows {} of {persistent}", host.0, node.table_len())
        })?;
        let closest = sim.true_closest(&node.table_id(), 2);
        let other = closest.into_iter().find(|other| *other != host);
        let came_well = |at: HostId| self.calm.came_well(sim, at);
        // The later of the two has looked for its own id.
        let Some(other) =
            other.filter(|other| sim.is_public(*other) && self.calm.node(sim, *other).is_some())
        else {
            return Ok(());
        };
        let addr = sim.address(other);
        let met = !(came_well(host) || came_well(other)) || node.nodes().any(|known| known == addr);
        must(met, || {
            format!("host {} does not know its closest neighbour, host {}", host.0, other.0)
        })
    }
}

impl Invariant for Tables {
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        if request(packet).is_some_and(|raw| raw.target.is_some()) {
            *self.looked.of(sim, host) = sim.now();
        }
        Ok(())
    }

    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        if matches!(event, Event::Listening) {
            self.gone.remove(&sim.address(host));
        }
        self.calm.event(sim, host, event);
        Ok(())
    }

    fn down(&mut self, sim: &Sim, host: HostId) -> Verdict {
        self.calm.down(sim);
        self.gone.insert(sim.address(host), sim.now());
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        self.calm.look(sim);
        let is_calm = self.calm.is_calm(sim);
        let turn = (sim.now() / SECOND % EVERY) as usize;
        for host in (0..sim.hosts()).skip(turn).step_by(EVERY as usize).map(HostId) {
            let Some((node, for_us)) = self.calm.settled(sim, host) else { continue };
            self.check_gone(sim, host, node, for_us)?;
            self.check_refresh(sim, host, node, for_us)?;
            if is_calm && for_us >= CALM {
                self.check_known(sim, host, node)?;
            }
        }
        if is_calm { reach::check(sim, &self.calm) } else { Ok(()) }
    }
}
