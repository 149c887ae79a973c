//! What a node believes of itself: it takes itself for reachable only after a datagram has reached it, it
//! notices when its machine has slept, and it is not in its own table.

use dht_core::{Event, Node};

use super::keys::PerHost;
use super::{must, response};
use crate::sim::{Invariant, Packet, Sim, Verdict};
use crate::world::{HostId, Micros};

/// A check whether a node can be reached is over by then, clocks that drift and processes that stop aside.
const CHECK_MAX: Micros = 30_000_000;
/// A node that is bound has a deadline within a tick of 5 s. Woken so long after that, it was asleep.
const SLEEP: Micros = 16_000_000;

/// A host, as it was when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Was {
    pub(super) firewalled: bool,
    /// When its server socket was last answered at, in virtual time.
    reached: Option<Micros>,
    /// When it last did anything, by its own clock, and whether it ran then.
    at: Micros,
    ran: bool,
    /// It has told that it woke up.
    woke: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Itself {
    pub(super) hosts: PerHost<Was>,
}

/// Whether it has deadlines.
fn runs(node: &Node) -> bool {
    !node.suspended() && !node.closed() && node.poll_timeout().is_some()
}

impl Invariant for Itself {
    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let answers = response(packet).is_some();
        if answers && packet.to.port() == sim.address(host).port() {
            self.hosts.of(sim, host).reached = Some(sim.now());
        }
        Ok(())
    }

    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        match event {
            Event::WakeUp => {
                self.hosts.of(sim, host).woke = true;
                Ok(())
            }
            Event::NodeAdded(addr) => must(*addr != sim.address(host), || {
                format!("{addr}, the own address, is in the table")
            }),
            _ => Ok(()),
        }
    }

    fn after(&mut self, sim: &Sim, host: HostId) -> Verdict {
        let Some(node) = sim.node(host) else { return Ok(()) };
        let (now, at) = (sim.now(), sim.local(host));
        // While it is stopped it is called at times, and tells nothing.
        let runs = runs(node) && sim.is_up(host);
        let was = self.hosts.of(sim, host);
        let before = *was;
        let reached = before.reached.is_some_and(|at| now - at < CHECK_MAX);
        *was = Was { firewalled: node.firewalled(), at, ran: runs, woke: false, ..before };
        must(!before.firewalled || node.firewalled() || reached, || {
            "it takes itself for reachable, and nobody has reached it".to_owned()
        })?;
        let slept = before.ran && runs && at - before.at > SLEEP;
        must(!slept || before.woke, || {
            format!("it was asleep for {} µs, and has not noticed", at - before.at)
        })
    }
}
