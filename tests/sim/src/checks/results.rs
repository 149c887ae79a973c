//! What queries end with, and what they leave behind: at most the twenty closest, each once, in order, all of whom
//! have proven an id and answered well; and no more down hints than a tick may have.

use std::net::SocketAddrV4;

use dht_core::{Id, K};

use super::keys::PerHost;
use super::{must, request};
use crate::sim::{Ended, Invariant, Packet, Sim, Verdict, command::DOWN_HINT};
use crate::world::{HostId, Micros};

/// A little less than a tick, so that it has parts of two of them at most.
const TICK: Micros = 4_900_000;

/// Since when down hints of a host are counted, if they are, and how many it had begun by then.
#[derive(Clone, Debug, Default)]
struct Hints {
    since: Micros,
    before: u64,
    known: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Results {
    hints: PerHost<Hints>,
}

impl Invariant for Results {
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let hint = request(packet).is_some_and(|raw| raw.internal && raw.command == DOWN_HINT);
        let Some(node) = sim.node(host).filter(|_| hint) else { return Ok(()) };
        let begun = node.stats().commands.down_hint.tx;
        let hints = self.hints.of(sim, host);
        if !hints.known || sim.now() - hints.since >= TICK {
            *hints = Hints { since: sim.now(), before: begun, known: true };
        }
        let limit = node.config().down_hints_rate_limit.map_or(u64::MAX, u64::from);
        let count = begun - hints.before;
        must(count <= limit.saturating_mul(2), || format!("{count} down hints within a tick"))
    }

    fn ended(&mut self, sim: &Sim, host: HostId, target: &Id, result: Ended<'_>) -> Verdict {
        let Ok(outcome) = result else { return Ok(()) };
        let closest = &outcome.closest;
        // Where somebody seems to crowd the 20 closest, a query goes on beyond them.
        must(closest.len() <= 3 * K, || {
            format!("a query has found the {} closest", closest.len())
        })?;
        let own = sim.address(host);
        let mut last = None;
        for reply in closest {
            let addr: SocketAddrV4 = reply.from.addr;
            must(reply.error == 0, || {
                format!("{addr}, among the closest, has answered with error {}", reply.error)
            })?;
            must(reply.from.id == Some(sim.id_of(addr)) && addr != own, || {
                format!("{addr} is among the closest to {target} as {:?}", reply.from.id)
            })?;
            let distance = sim.id_of(addr).distance(target);
            must(last.is_none_or(|last| last < distance), || {
                format!("{addr} is out of order among the closest")
            })?;
            last = Some(distance);
        }
        Ok(())
    }
}
