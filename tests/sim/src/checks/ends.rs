//! What is begun ends, once: requests, queries, the bootstrap.

use std::collections::{BTreeMap, BTreeSet};

use dht_core::{Event, QueryId, RequestId};

use super::must;
use crate::sim::{Invariant, Sim, Verdict};
use crate::world::{HostId, Micros};

/// A walk takes 20 s at most while it is under way; before and in between it may wait for places.
const LOOKUP_MAX: Micros = 90_000_000;
/// A bootstrap is two walks and a check, or silence.
const READY_MAX: Micros = 60_000_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    responses: BTreeSet<(HostId, RequestId)>,
    finished: BTreeSet<(HostId, QueryId)>,
    /// Hosts that bootstrap, and since when.
    starting: BTreeMap<HostId, Micros>,
}

impl Invariant for Ends {
    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        match event {
            Event::Response(id) => {
                must(self.responses.insert((host, *id)), || format!("{id:?} has ended twice"))
            }
            Event::Finished(id) => {
                must(self.finished.insert((host, *id)), || format!("{id:?} has ended twice"))
            }
            Event::Reply(id) => must(!self.finished.contains(&(host, *id)), || {
                format!("a reply after {id:?} has ended")
            }),
            Event::Listening => {
                self.starting.insert(host, sim.now());
                Ok(())
            }
            Event::Ready => {
                must(self.starting.remove(&host).is_some(), || "ready twice".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn down(&mut self, _: &Sim, host: HostId) -> Verdict {
        self.responses.retain(|(at, _)| *at != host);
        self.finished.retain(|(at, _)| *at != host);
        self.starting.remove(&host);
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        if let Some((host, started)) = sim.oldest_lookup() {
            must(sim.now() - started < LOOKUP_MAX || sim.was_paused(host), || {
                format!("a lookup by host {} has not ended in {LOOKUP_MAX} µs", host.0)
            })?;
        }
        let late = self
            .starting
            .iter()
            .find(|(host, since)| sim.now() - **since > READY_MAX && !sim.was_paused(**host));
        must(late.is_none(), || format!("{late:?} is not ready yet"))
    }
}
