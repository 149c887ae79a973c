//! For how long the network and each node have been calm. Only then is it checked what depends on other nodes
//! or takes time.

use std::collections::VecDeque;

use dht_core::{Event, Node};

use super::keys::PerHost;
use crate::sim::Sim;
use crate::world::link::{Link, Loss};
use crate::world::{HostId, Micros, SECOND};

/// The network, and a node, count as calm after so long: two refreshes.
pub(super) const CALM: Micros = 660 * SECOND;
/// Of lost or damaged datagrams a calm network has at most this part.
const LOSS_CALM: f64 = 0.02;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Calm {
    /// Since when a host is up, awake and left alone.
    undisturbed: PerHost<Option<Micros>>,
    /// When nodes have gone down, lately.
    downs: VecDeque<Micros>,
    /// When the network was last not calm.
    uncalm: Micros,
    /// When it last lost, damaged or held up anything.
    flawed: Micros,
}

impl Calm {
    /// Something has happened to a node: perhaps it is undisturbed from now on.
    pub(super) fn event(&mut self, sim: &Sim, host: HostId, event: &Event) {
        if matches!(
            event,
            Event::Listening
                | Event::Ready
                | Event::Persistent
                | Event::Ephemeral
                | Event::WakeUp
                | Event::Suspended
                | Event::Resumed
        ) {
            *self.undisturbed.of(sim, host) = Some(sim.now());
        }
    }

    pub(super) fn down(&mut self, sim: &Sim) {
        self.downs.push_back(sim.now());
    }

    /// To be called every second.
    pub(super) fn look(&mut self, sim: &Sim) {
        let now = sim.now();
        for host in (0..sim.hosts()).map(HostId).filter(|host| !sim.is_up(*host)) {
            if let Some(since) = self.undisturbed.of(sim, host) {
                *since = now;
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
    }

    /// Whether the network is calm.
    pub(super) fn is_calm(&self, sim: &Sim) -> bool {
        sim.now() - self.uncalm >= CALM
    }

    /// A node that is up, and for how long it has been undisturbed.
    pub(super) fn settled<'s>(&self, sim: &'s Sim, host: HostId) -> Option<(&'s Node, Micros)> {
        let node = sim.node(host).filter(|node| node.bootstrapped() && !node.suspended())?;
        Some((node, sim.now() - self.since(sim, host)?))
    }

    /// A node that is calm.
    pub(super) fn node<'s>(&self, sim: &'s Sim, host: HostId) -> Option<&'s Node> {
        let (node, for_us) = self.settled(sim, host)?;
        (for_us >= CALM).then_some(node)
    }

    /// Whether a node is calm, has come in good times, has looked for its own id then, and was not missed by
    /// another node because a datagram was lost: two nodes that have lost each other in bad times may meet
    /// by chance only, and a newcomer is verified by a single ping.
    pub(super) fn came_well(&self, sim: &Sim, host: HostId) -> bool {
        let bad = self.uncalm.max(self.flawed);
        let since = self.since(sim, host).filter(|since| bad == 0 || *since > bad + CALM);
        since.is_some() && self.node(sim, host).is_some()
    }

    fn since(&self, sim: &Sim, host: HostId) -> Option<Micros> {
        self.undisturbed.get(sim, host).copied().flatten()
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
