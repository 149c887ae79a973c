//! What tables must be like in the long run, seen over the whole network: they are refreshed, who is gone is
//! forgotten in time, and, once all has been calm for a while, who is there is known.
//!
//! Looked at every 16 s of virtual time. What a node could not help is left out: it must have been up, awake
//! and undisturbed for all of the time; and for what depends on others, the network as well.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;

use dht_core::{Event, Node};

use super::must;
use super::raw::parse;
use crate::invariant::{Invariant, Verdict};
use crate::link::{Link, Loss};
use crate::sim::Sim;
use crate::{HostId, Micros};

const SECOND: Micros = 1_000_000;
/// The network, and a node, count as calm after so long: two refreshes.
const CALM: Micros = 660 * SECOND;
/// Looked at so often.
const EVERY: Micros = 16 * SECOND;
/// Of lost or damaged datagrams a calm network has at most this part.
const LOSS_CALM: f64 = 0.02;
/// The keep-alive of a node: two of the oldest at least, every so often, on a clock that may be slow.
const CYCLE: Micros = 41 * SECOND;
const PER_CYCLE: usize = 2;
/// For a ping's tries, a cycle that has just begun, and those that enter the table meanwhile.
const SPARE: Micros = 120 * SECOND;
const NEWCOMERS: usize = 10;
/// A node looks for somebody at least every 20 min (on a clock that may be slow, with time to get a place).
const REFRESH: Micros = 1_300 * SECOND;
/// A table has this many at least, if there are so many.
const LEN_MIN: usize = 10;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Since when a host is up, awake and left alone.
    undisturbed: Vec<Option<Micros>>,
    /// When a host last asked somebody for closer nodes.
    looked: Vec<Micros>,
    /// Addresses at which somebody was, and since when nobody is.
    gone: BTreeMap<SocketAddrV4, Micros>,
    /// When nodes have gone down, lately.
    downs: VecDeque<Micros>,
    /// When the network was last not calm.
    uncalm: Micros,
    /// When it last lost, damaged or held up anything.
    flawed: Micros,
}

impl Tables {
    fn disturb(&mut self, host: HostId, since: Option<Micros>) {
        if self.undisturbed.len() <= host.index() {
            self.undisturbed.resize(host.index() + 1, None);
        }
        self.undisturbed[host.index()] = since;
    }

    fn since(&self, host: HostId) -> Option<Micros> {
        self.undisturbed.get(host.index()).copied().flatten()
    }

    /// Nodes that are up, and for how long they have been undisturbed.
    fn settled<'s>(&'s self, sim: &'s Sim) -> impl Iterator<Item = (HostId, &'s Node, Micros)> {
        (0..).map(HostId).zip(&self.undisturbed).filter_map(|(host, since)| {
            let node = sim.node(host).filter(|node| node.bootstrapped() && !node.suspended())?;
            Some((host, node, sim.now() - (*since)?))
        })
    }

    /// A table is refreshed now and then, whether anybody needs it or not.
    fn check_refresh(&self, sim: &Sim) -> Verdict {
        for (host, node, for_us) in self.settled(sim) {
            let looked = self.looked.get(host.index()).copied().unwrap_or(0);
            let quiet = for_us.min(sim.now() - looked);
            must(quiet < REFRESH || node.table_len() == 0, || {
                format!("host {} has not looked for anybody for {} s", host.0, quiet / SECOND)
            })?;
        }
        Ok(())
    }

    /// An entry whose node is gone leaves the table once it is its turn to be asked.
    fn check_gone(&self, sim: &Sim) -> Verdict {
        for (host, node, for_us) in self.settled(sim) {
            let cycles = (node.table_len() + NEWCOMERS).div_ceil(PER_CYCLE) as u64;
            let patience = cycles * CYCLE + SPARE;
            if for_us < patience {
                continue;
            }
            for addr in node.nodes() {
                let gone = self.gone.get(&addr).map_or(0, |since| sim.now() - since);
                must(gone < patience, || {
                    let (gone, len) = (gone / SECOND, node.table_len());
                    format!("host {} has kept {addr}, dead for {gone} s, of {len}", host.0)
                })?;
            }
        }
        Ok(())
    }

    /// Everybody is known, and knows the closest neighbour.
    fn check_known(&self, sim: &Sim) -> Verdict {
        let calm = self.settled(sim).filter(|(.., for_us)| *for_us >= CALM);
        let calm: BTreeMap<_, _> = calm.map(|(host, node, _)| (host, node)).collect();
        let (mut all, mut persistent) = (BTreeSet::new(), 0);
        for host in sim.persistent() {
            all.extend(sim.node(host).into_iter().flat_map(Node::nodes));
            persistent += 1;
        }
        if persistent < 2 {
            return Ok(());
        }
        let is_public = |host: &HostId| sim.is_public(*host);
        let id_is_own = |node: &Node, host| node.id() == Some(sim.id_of(sim.address(host)));
        for (host, node) in calm.iter().filter(|(host, node)| is_public(host) && !node.ephemeral())
        {
            must(id_is_own(node, *host), || {
                format!("host {} still has the id of an address not its own", host.0)
            })?;
        }
        for host in sim.persistent().filter(is_public) {
            let (Some(node), addr) = (calm.get(&host), sim.address(host)) else { continue };
            must(all.contains(&addr), || format!("nobody knows host {}", host.0))?;
            let least = LEN_MIN.min((persistent - 1) / 2);
            must(node.table_len() >= least, || {
                format!("host {} knows {} of {persistent}", host.0, node.table_len())
            })?;
            let closest = sim.true_closest(&node.table_id(), 2);
            let other = closest.into_iter().find(|other| *other != host);
            // Two that have lost each other in bad times may meet by chance only. But who has come in
            // good times has looked for its own id.
            let both = [Some(host), other].map(|at| at.and_then(|at| self.since(at)));
            let [Some(a), Some(b)] = both else { continue };
            // And a single ping verifies who comes: if it is lost, so is the chance.
            let bad = self.uncalm.max(self.flawed);
            let came_well = bad == 0 || a.max(b) > bad + CALM;
            let fits = |at: &HostId| is_public(at) && came_well && calm.contains_key(at);
            let Some(other) = other.filter(fits) else { continue };
            let addr = sim.address(other);
            if sim.now() - a.max(b) < CALM {
                continue;
            }
            must(node.nodes().any(|known| known == addr), || {
                format!("host {} does not know its closest neighbour, host {}", host.0, other.0)
            })?;
        }
        Ok(())
    }
}

/// The part of datagrams that are lost, damaged, or so late that they count as lost, or more.
fn flaws(link: &Link) -> f64 {
    let loss = match link.loss {
        Loss::None => 0.0,
        Loss::Independent(part) => part,
        Loss::GilbertElliott { .. } => 1.0,
    };
    let late = link.reorder.probability * f64::from(u8::from(link.reorder.extra_us > 300_000));
    loss + link.corrupt + link.truncate + late
}

impl Invariant for Tables {
    fn name(&self) -> &'static str {
        "tables"
    }

    fn sent(
        &mut self,
        sim: &Sim,
        host: HostId,
        _: SocketAddrV4,
        _: SocketAddrV4,
        bytes: &[u8],
    ) -> Verdict {
        let raw = parse(bytes).filter(|raw| raw.is_request && raw.target.is_some());
        if raw.is_some() {
            if self.looked.len() <= host.index() {
                self.looked.resize(host.index() + 1, 0);
            }
            self.looked[host.index()] = sim.now();
        }
        Ok(())
    }

    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        match event {
            Event::Listening => {
                self.gone.remove(&sim.address(host));
                self.disturb(host, Some(sim.now()));
            }
            Event::Ready
            | Event::Persistent
            | Event::Ephemeral
            | Event::WakeUp
            | Event::Suspended
            | Event::Resumed => self.disturb(host, Some(sim.now())),
            _ => {}
        }
        Ok(())
    }

    fn down(&mut self, sim: &Sim, host: HostId) -> Verdict {
        self.disturb(host, None);
        self.gone.insert(sim.address(host), sim.now());
        self.downs.push_back(sim.now());
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        let now = sim.now();
        for (host, since) in (0..).map(HostId).zip(&mut self.undisturbed) {
            if since.is_some() && !sim.is_up(host) {
                *since = Some(now);
            }
        }
        self.downs.retain(|at| now - at < CALM);
        let leave = self.downs.len() * 10 > sim.persistent_count();
        let flaws = flaws(&sim.link);
        if leave || sim.is_partitioned() || flaws > LOSS_CALM {
            self.uncalm = now;
        }
        if flaws > 0.0 {
            self.flawed = now;
        }
        if !now.is_multiple_of(EVERY) {
            return Ok(());
        }
        self.check_gone(sim)?;
        self.check_refresh(sim)?;
        if now - self.uncalm >= CALM { self.check_known(sim) } else { Ok(()) }
    }

    fn fork(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
