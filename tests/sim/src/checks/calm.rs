//! How long everything has been calm: the network, and each node. What depends on others, or on time, is
//! asked for only then.

use std::collections::VecDeque;

use dht_core::{Event, Node};

use crate::sim::Sim;
use crate::world::link::{Link, Loss};
use crate::world::{HostId, Micros};

const SECOND: Micros = 1_000_000;
/// The network, and a node, count as calm after so long: two refreshes.
pub(super) const CALM: Micros = 660 * SECOND;
/// Of lost or damaged datagrams a calm network has at most this part.
const LOSS_CALM: f64 = 0.02;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Calm {
    /// Since when a host is up, awake and left alone.
    undisturbed: Vec<Option<Micros>>,
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
            self.disturb(host, Some(sim.now()));
        }
    }

    pub(super) fn down(&mut self, sim: &Sim, host: HostId) {
        self.disturb(host, None);
        self.downs.push_back(sim.now());
    }

    /// To be called every second.
    pub(super) fn look(&mut self, sim: &Sim) {
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
    }

    /// Whether the network is calm.
    pub(super) fn is_calm(&self, sim: &Sim) -> bool {
        sim.now() - self.uncalm >= CALM
    }

    /// A node that is up, and for how long it has been undisturbed.
    pub(super) fn settled<'s>(&self, sim: &'s Sim, host: HostId) -> Option<(&'s Node, Micros)> {
        let node = sim.node(host).filter(|node| node.bootstrapped() && !node.suspended())?;
        Some((node, sim.now() - self.since(host)?))
    }

    /// A node that is calm.
    pub(super) fn node<'s>(&self, sim: &'s Sim, host: HostId) -> Option<&'s Node> {
        let (node, for_us) = self.settled(sim, host)?;
        (for_us >= CALM).then_some(node)
    }

    /// Whether a node is calm and has come in good times, has looked for its own id then, and was not missed
    /// by anybody because a datagram was lost: two that have lost each other in bad times may meet by
    /// chance only, and a single ping verifies who comes.
    pub(super) fn came_well(&self, sim: &Sim, host: HostId) -> bool {
        let bad = self.uncalm.max(self.flawed);
        let since = self.since(host).filter(|since| bad == 0 || *since > bad + CALM);
        since.is_some() && self.node(sim, host).is_some()
    }

    fn since(&self, host: HostId) -> Option<Micros> {
        self.undisturbed.get(host.index()).copied().flatten()
    }

    fn disturb(&mut self, host: HostId, since: Option<Micros>) {
        if self.undisturbed.len() <= host.index() {
            self.undisturbed.resize(host.index() + 1, None);
        }
        self.undisturbed[host.index()] = since;
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
