//! What a run does to the network when a fault is due.

use std::time::Duration;

use dht_core::Node;

use super::{Run, Step, phantom::Nuisance};
use crate::scenario::FaultKind;
use crate::sim::Return;
use crate::world::partition::{Partition, Side};
use crate::world::{HostId, Micros};

impl Run {
    pub(super) fn leave_at_random(&mut self, part: f64) {
        for host in self.scenario.bootstraps..self.sim.hosts() {
            if self.draws.chance(part) {
                self.sim.crash(HostId(host));
            }
        }
    }

    pub(super) fn inflict(&mut self, fault: &FaultKind) {
        let now = self.sim.now();
        let hosts = self.sim.hosts();
        let at = |host: u32| HostId(host % hosts);
        match *fault {
            FaultKind::Crash { host } => self.sim.crash(at(host)),
            FaultKind::Restart { host, with_table, anew } => {
                let how = match (anew, with_table) {
                    (true, _) => Return::Anew,
                    (false, true) => Return::WithTable,
                    (false, false) => Return::Fresh,
                };
                let _ = self.sim.restart(at(host), how);
            }
            FaultKind::Stall { host, for_us } => self.sim.stall(at(host), duration(for_us)),
            FaultKind::Sleep { host, for_us } => self.sim.sleep(at(host), duration(for_us)),
            FaultKind::Suspend { host, for_us } => {
                self.sim.with(at(host), Node::suspend);
                self.plan(now + for_us, Step::Resume(at(host)));
            }
            FaultKind::Partition { ref first, one_way, for_us, flap } => {
                let until_us = now.saturating_add(for_us);
                let first = match first {
                    Side::Hosts(hosts) if hosts.is_empty() => return,
                    first => first.clone(),
                };
                let partition = Partition { first, one_way, from_us: now, until_us, flap };
                // It was looked at with the scenario.
                let _ = self.sim.add_partition(&partition);
            }
            FaultKind::MassLeave { part } => self.leave_at_random(part),
            FaultKind::FlashCrowd { nodes, over_us } => {
                for n in 0..nodes {
                    let after = u128::from(over_us) * u128::from(n) / u128::from(nodes);
                    let _ = self.join(after as Micros + 1);
                }
            }
            FaultKind::StepClock { host, by_us } => self.sim.step_wall_clock(at(host), by_us),
            FaultKind::RebindNats => self.sim.rebind_nats(),
            FaultKind::Link { ref link } => self.sim.set_link(link.clone()),
            FaultKind::Burst { host, requests } => self.burst(at(host), requests),
            FaultKind::Lookups { host, count, cancel } => self.lookups(at(host), count, cancel),
            FaultKind::Stores { host, count } => self.stores(at(host), count),
            FaultKind::Session { host, requests, for_us } => {
                self.open_session(at(host), requests, for_us);
            }
            FaultKind::DownHints { host } => self.down_hints(at(host)),
            FaultKind::Phantoms { host, count } => {
                let target = self.sim.address(at(host));
                self.annoy(Nuisance::phantoms(hosts, target, count));
            }
        }
    }

    pub(super) fn resume(&mut self, host: HostId) {
        let (client, server) = (self.sim.client_address(host), self.sim.address(host));
        self.sim.with(host, |node, now| {
            node.resume(now);
            node.handle_bound(now, client, server);
        });
    }

    /// All nodes that know a node are told that it is down, by requests that can't be told from honest ones.
    fn down_hints(&mut self, host: HostId) {
        let down = self.sim.address(host);
        let to: Vec<_> = self.who_knows(down).take(100).collect();
        self.annoy(Nuisance::slander(self.sim.hosts(), down, &to));
    }

    fn annoy(&mut self, nuisance: Nuisance) {
        self.sim.add_actor(&[nuisance.ip()], nuisance);
    }
}

fn duration(us: Micros) -> Duration {
    Duration::from_micros(us)
}
