//! Lookups whose way and outcome the simulator follows: how far it was, how long it took, and how much of
//! the truth was found.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::{Event, Id, K, Query, QueryId};

use super::Sim;
use crate::world::{HostId, Micros};

/// A lookup that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// Who looked.
    pub host: HostId,
    /// For what.
    pub target: Id,
    /// When it began.
    pub started: Micros,
    /// When it ended.
    pub ended: Micros,
    /// How many answers stand in a row between the asker's own table and the closest node that was found:
    /// 1 if that was in the table.
    pub hops: u32,
    /// How many nodes were asked.
    pub asked: u32,
    /// Of the nodes that were the closest when it ended, itself aside, how many it found.
    pub found: u32,
    /// How many there are: 20, or fewer in a small network.
    pub wanted: u32,
}

impl Lookup {
    /// The part of the truth that was found: 1.0 for all.
    pub fn recall(&self) -> f64 {
        if self.wanted == 0 { 1.0 } else { f64::from(self.found) / f64::from(self.wanted) }
    }
}

/// One under way.
#[derive(Clone, Debug)]
struct Walk {
    target: Id,
    started: Micros,
    /// How many answers led to an address.
    depth: BTreeMap<SocketAddrV4, u32>,
}

/// All lookups under way, and all that are over and were not taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookups {
    walks: BTreeMap<(HostId, QueryId), Walk>,
    over: Vec<Lookup>,
    /// Lookups whose host went down meanwhile.
    aborted: u64,
    /// Lookups that ended with an error.
    failed: u64,
}

impl Lookups {
    pub(crate) fn host_down(&mut self, host: HostId) {
        let before = self.walks.len();
        self.walks.retain(|(at, _), _| *at != host);
        self.aborted += (before - self.walks.len()) as u64;
    }
}

impl Sim {
    /// Has the node of a host look for the nodes closest to `target`. `false`: it can't, since
    /// it is down or too busy.
    pub fn look_up(&mut self, host: HostId, target: Id) -> bool {
        self.look_up_by(host, target, Query::find_node(target))
    }

    /// The same by a query with options of its own. It has to be one for `target`.
    pub fn look_up_by(&mut self, host: HostId, target: Id, query: Query) -> bool {
        let started = self.now;
        let begun = self.call(host, |node, now| node.query(now, query));
        let Some(Ok(query)) = begun else { return false };
        // It may have ended at once; then its end has not been noticed yet either.
        self.lookups.walks.insert((host, query), Walk { target, started, depth: BTreeMap::new() });
        self.settle(host);
        true
    }

    /// Lookups under way.
    pub fn lookups_under_way(&self) -> usize {
        self.lookups.walks.len()
    }

    /// The lookup that has been under way for longest, of hosts that were never stopped: its host, and since when.
    pub fn oldest_lookup(&self) -> Option<(HostId, Micros)> {
        let walks = self.lookups.walks.iter().map(|((host, _), walk)| (*host, walk.started));
        let walks = walks.filter(|(host, _)| !self.was_paused(*host));
        walks.min_by_key(|(_, started)| *started)
    }

    /// Lookups that will never end, since their hosts went down.
    pub fn lookups_aborted(&self) -> u64 {
        self.lookups.aborted
    }

    /// Lookups that have ended with an error: cancelled with a session, or without any node to commit to.
    pub fn lookups_failed(&self) -> u64 {
        self.lookups.failed
    }

    /// Takes the lookups that have ended well.
    pub fn take_lookups(&mut self) -> Vec<Lookup> {
        std::mem::take(&mut self.lookups.over)
    }

    /// Whether an event was about a lookup.
    pub(crate) fn on_lookup_event(&mut self, at: HostId, event: &Event) -> bool {
        let (Event::Reply(query) | Event::Finished(query)) = event else { return false };
        let key = (at, *query);
        let host = &mut self.hosts[at.index()];
        let (Some(node), Some(walk)) = (host.node.as_deref_mut(), self.lookups.walks.get_mut(&key))
        else {
            return false;
        };
        while let Some(reply) = node.next_reply(*query) {
            let depth = *walk.depth.entry(reply.from.addr).or_insert(1);
            for closer in reply.closer_nodes.iter().flatten() {
                walk.depth.entry(*closer).or_insert(depth + 1);
            }
        }
        if matches!(event, Event::Finished(_)) {
            let outcome = node.take_outcome(*query);
            let Some((outcome, walk)) = outcome.zip(self.lookups.walks.remove(&key)) else {
                return true;
            };
            let (target, result) = (walk.target, outcome.as_ref());
            self.ask(Some(at), |invariant, sim| invariant.ended(sim, at, &target, result));
            match outcome {
                Ok(outcome) => self.conclude(at, &walk, &outcome),
                Err(_) => self.lookups.failed += 1,
            }
        }
        true
    }

    fn conclude(&mut self, at: HostId, walk: &Walk, outcome: &dht_core::Outcome) {
        let truth = self.closest_within_quotas(&walk.target, K + 1);
        let mut truth: Vec<_> = truth.into_iter().filter(|host| *host != at).take(K).collect();
        // A node that knows few hosts allows each a few nodes more, which leave no place for the farthest.
        let farthest = outcome.closest.last().filter(|_| outcome.closest.len() >= K);
        let farthest = farthest.and_then(|reply| reply.from.id).filter(|_| self.model.is_some());
        if let Some(farthest) = farthest.map(|id| id.distance(&walk.target)) {
            let reach = |host: &HostId| self.id_of(self.address(*host)).distance(&walk.target);
            truth.retain(|host| reach(host) <= farthest);
        }
        let found = |host: &&HostId| {
            let addr = self.address(**host);
            outcome.closest.iter().any(|reply| reply.from.addr == addr)
        };
        let nearest = outcome.closest.first().and_then(|reply| walk.depth.get(&reply.from.addr));
        self.lookups.over.push(Lookup {
            host: at,
            target: walk.target,
            started: walk.started,
            ended: self.now,
            hops: nearest.copied().unwrap_or(0),
            asked: outcome.asked,
            found: truth.iter().filter(found).count() as u32,
            wanted: truth.len() as u32,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Spec;

    #[test]
    fn all_that_have_begun_are_counted() {
        let mut sim = Sim::new(1);
        let first = sim.next_address();
        let host = sim.add(Spec::bootstrapper(first).unwrap()).unwrap();
        let other = sim.add(Spec::joining(&[first])).unwrap();
        sim.run_to(30_000_000).unwrap();
        let target = Id([7; 32]);
        let begin = |sim: &mut Sim, at| assert!(sim.look_up(at, target));
        begin(&mut sim, host);
        sim.run_to(40_000_000).unwrap();
        assert_eq!(sim.take_lookups().len(), 1);
        // No node knows the command, so none gives a token to commit with.
        assert!(sim.look_up_by(host, target, Query::new(target, 9).commit()));
        sim.run_to(50_000_000).unwrap();
        begin(&mut sim, other);
        sim.crash(other);
        assert_eq!((sim.lookups_failed(), sim.lookups_aborted()), (1, 1));
        assert_eq!((sim.take_lookups().len(), sim.lookups_under_way()), (0, 0));
    }
}
