//! Whether what is there can be found, for one random key each second: a lookup that goes from table to
//! table, always to the closest node that is known, gets to the closest node of all; and that node knows its
//! neighbours.
//!
//! Only tables are looked at, nothing is sent: so it costs some ten microseconds, and it finds what a lookup
//! might find by luck or on a detour.

use dht_core::{Id, K, Node};

use super::{calm::Calm, must};
use crate::sim::{Sim, Verdict};
use crate::world::{HostId, Purpose, Stream};

/// The stream of keys and askers.
const KEYS: u32 = u32::MAX;
/// Draws until an asker is found.
const TRIES: u32 = 8;
/// The closest node knows at least 18 in 20 of the ten closest: each of them has looked for its own id, and has
/// come to the closest node by that.
const KNOWN_MIN: usize = 18;
/// And at least 15 in 20 of all twenty. The farther ten have looked for their own ids elsewhere, and are met by
/// chance: where most nodes are ephemeral and few look for anything, one network in ten has a node that knows 17 or
/// 16 of 19 for half an hour, whether hosts share networks or not.
const KNOWN_MIN_FAR: usize = 15;

/// To be called when the network is calm.
pub(super) fn check(sim: &Sim, calm: &Calm) -> Verdict {
    let second = (sim.now() / 1_000_000) as u32;
    let mut draws = Stream::of_pair(sim.seed(), Purpose::Workload, KEYS, second);
    let key = draws.id();
    let closest = sim.closest_within_quotas(&key, K);
    let sure = |host: &HostId| sim.is_public(*host) && calm.came_well(sim, *host);
    let Some(first) = closest.first().copied().filter(sure) else { return Ok(()) };
    let near = closest.get(..K / 2).unwrap_or(&closest);
    check_recall(sim, first, near, KNOWN_MIN, sure)?;
    check_recall(sim, first, &closest, KNOWN_MIN_FAR, sure)?;
    let mut asker = || HostId(draws.below(sim.hosts().into()) as u32);
    let asker = (0..TRIES).map(|_| asker()).find(|host| calm.came_well(sim, *host));
    asker.map_or(Ok(()), |asker| check_reached(sim, calm, asker, &key, first))
}

fn check_recall(
    sim: &Sim,
    first: HostId,
    closest: &[HostId],
    least: usize,
    sure: impl Fn(&HostId) -> bool,
) -> Verdict {
    let others = || closest.iter().filter(|host| **host != first && sure(host));
    let Some(node) = sim.node(first) else { return Ok(()) };
    let is_known = |host: &&HostId| {
        let addr = sim.address(**host);
        node.nodes().any(|known| known == addr)
    };
    let (all, known) = (others().count(), others().filter(is_known).count());
    must(known * K >= all * least, || {
        format!("host {} knows {known} of the {all} that are closest to a key beside it", first.0)
    })
}

/// Goes from `asker` to the closest that it knows, and so on. Each step is nearer, so there is an end.
fn check_reached(sim: &Sim, calm: &Calm, asker: HostId, key: &Id, first: HostId) -> Verdict {
    let (mut at, mut nearest) = (asker, None);
    while at != first {
        let Some(node) = sim.node(at) else { return Ok(()) };
        let Some((distance, next)) = closest_known(sim, node, key) else { break };
        if nearest.is_some_and(|nearest| distance >= nearest) {
            break;
        }
        (at, nearest) = (next, Some(distance));
        // A node on the way that is new itself may know too little.
        if !calm.came_well(sim, at) {
            return Ok(());
        }
    }
    must(at == first, || {
        let (from, to) = (asker.0, first.0);
        format!("from host {from} a lookup gets to host {}, but host {to} is closer", at.0)
    })
}

fn closest_known(sim: &Sim, node: &Node, key: &Id) -> Option<(dht_core::Distance, HostId)> {
    let known = node.nodes().filter_map(|addr| {
        let id = sim.id_of(addr);
        Some((id.distance(key), *sim.truth.get(&id)?))
    });
    known.min_by_key(|(distance, _)| *distance)
}
