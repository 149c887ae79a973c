//! What a node asks: well-formed, to possible addresses, not too much at once; and a retry is the same
//! datagram again.

use std::net::SocketAddrV4;

use dht_core::wire::Message;
use xxhash_rust::xxh3::xxh3_64;

use super::keys::{ByKey, Key, PerHost};
use super::{check_id, must, read};
use crate::sim::command::{DELAYED_PING, DOWN_HINT, FIND_NODE, PING, PING_NAT};
use crate::sim::{Invariant, Packet, Sim, Verdict};
use crate::world::{HostId, Micros};

/// So long after its last try, the same transaction id at the same address is another request: the
/// first one is answered or given up.
const SETTLED: Micros = 5_900_000;
/// Tries of one request. A request that finds out whether a node is down has most, where nearly all is lost.
const TRIES_MAX: u32 = 16;
/// The first try is not given up, and so not repeated, before this: the least that a walk waits. Later tries
/// are not given up before half of it.
const PATIENCE: Micros = 100_000;
/// Requests in a row whose transaction ids count up.
const COUNTING_MAX: u32 = 6;
/// The length of a slot of the congestion window; what it takes beside the configured number, for
/// verifications, which don't count; and a little for clocks that drift.
const SLOT: Micros = 750_000;
const UNCOUNTED_MAX: u64 = 40;

/// One request, as the wire shows it.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Stands for its bytes.
    hash: u64,
    sent: Micros,
    tries: u32,
    answered: bool,
}

/// What a host has sent lately.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    slot: Micros,
    unanswered: u32,
    /// Requests that have ended otherwise before this slot.
    ended: u64,
    last_tid: u16,
    counting: u32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    open: ByKey<Open>,
    pace: PerHost<Pace>,
}

impl Requests {
    fn check_retry(
        &mut self,
        sim: &Sim,
        host: HostId,
        (to, tid): (SocketAddrV4, u16),
        bytes: &[u8],
    ) -> Result<bool, String> {
        let now = sim.now();
        let fresh = Open { hash: xxh3_64(bytes), sent: now, tries: 1, answered: false };
        let key = Key::new(sim, host, to, tid);
        let open = self.open.entry(sim, key, || Open { tries: 0, ..fresh });
        // A clock that runs at another speed measures another time; a percent is plenty.
        let quiet = now - open.sent;
        if open.tries == 0 || open.answered || quiet > SETTLED {
            // It may be a later try, which has waited that long for its turn.
            let again = open.tries > 0 && !open.answered && open.hash == fresh.hash;
            *open = Open { tries: 1 + u32::from(again), ..fresh };
            return Ok(true);
        }
        if open.hash != fresh.hash {
            // Cancelled, and its transaction id, which rests, was drawn again: or a retry that changed.
            return Err(format!("what goes to {} again under tid {} has changed", to, tid));
        }
        open.tries += 1;
        open.sent = now;
        must(open.tries <= TRIES_MAX, || format!("try {} of one request to {}", open.tries, to))?;
        let least = if open.tries > 2 { PATIENCE / 2 } else { PATIENCE };
        must(quiet >= least - least / 50, || {
            format!("a request to {to} is sent again after {quiet} µs")
        })?;
        Ok(false)
    }

    fn check_pace(&mut self, sim: &Sim, host: HostId, tid: u16, fresh: bool) -> Verdict {
        let pace = self.pace.of(sim, host);
        let slot = sim.now() / SLOT;
        let Some(node) = sim.node(host) else { return Ok(()) };
        let requests = node.stats().requests;
        let ended = requests.cancelled + requests.timeouts;
        if pace.slot != slot {
            (pace.slot, pace.unanswered, pace.ended) = (slot, 0, ended);
        }
        pace.unanswered += 1;
        // The slots of the node begin at other times: of two of them, parts are in this one.
        let most = 2 * u64::from(node.config().max_window) + UNCOUNTED_MAX + ended - pace.ended;
        must(u64::from(pace.unanswered) <= most, || {
            format!("{} requests within 750 ms, none of them answered", pace.unanswered)
        })?;
        if fresh {
            let counts = tid == pace.last_tid.wrapping_add(1);
            pace.counting = if counts { pace.counting + 1 } else { 0 };
            pace.last_tid = tid;
        }
        must(pace.counting < COUNTING_MAX, || format!("transaction ids count up: {tid}"))
    }
}

impl Invariant for Requests {
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Packet { from, to, ref bytes, .. } = *packet;
        let Message::Request(request) = read(bytes)? else { return Ok(()) };
        check_id(sim, host, from, request.id)?;
        must(request.to == to, || format!("a request to {to} says it goes to {}", request.to))?;
        let ip = to.ip();
        let possible = to.port() != 0
            && ip.octets()[0] != 0
            && !ip.is_multicast()
            && !ip.is_broadcast()
            && ip.octets()[0] < 224;
        must(possible, || format!("a request goes to {to}, which is no host's"))?;
        must(to != from, || "a node asks itself".to_owned())?;
        if request.internal {
            let len = request.value.map(<[u8]>::len);
            let (target, value) = match request.command {
                PING => (false, true),
                PING_NAT => (false, len == Some(2)),
                FIND_NODE => (true, len.is_none()),
                DOWN_HINT => (false, len == Some(6)),
                DELAYED_PING => (false, len == Some(4)),
                command => return Err(format!("there is no internal command {command}")),
            };
            must(value && request.target.is_some() == target && request.token.is_none(), || {
                format!("an internal command {} with the wrong parts", request.command)
            })?;
        }
        let fresh = self.check_retry(sim, host, (to, request.tid), bytes)?;
        self.check_pace(sim, host, request.tid, fresh)
    }

    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Ok(Message::Response(response)) = read(&packet.bytes) else { return Ok(()) };
        let open = self.open.get_mut(Key::new(sim, host, packet.from, response.tid));
        if open.is_some_and(|open| !std::mem::replace(&mut open.answered, true)) {
            let pace = self.pace.of(sim, host);
            let counted = u32::from(pace.slot == sim.now() / SLOT);
            pace.unanswered = pace.unanswered.saturating_sub(counted);
        }
        Ok(())
    }
}
