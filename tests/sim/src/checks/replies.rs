//! Each request gets exactly the answer that the protocol says, at once, from the socket that was asked, and
//! nothing else is answered. A token is good for 7.5 s, for the host that was given it, and bad after 15 s.
//!
//! It looks at what reaches a node and what leaves it, so nothing that happens on the way matters. Time is
//! the node's own. What comes in is read by [other code](dht_model::decoder) than the node's.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::{Event, Id};
use dht_model::decoder::{Raw, parse};

use super::echo::{ECHO, STORE, judge};
use super::keys::{ByKey, Key};
use super::must;
use super::request;
use crate::sim::command::{DELAYED_PING, DOWN_HINT, FIND_NODE, PING, PING_NAT};
use crate::sim::{Invariant, Packet, Sim, Verdict};
use crate::world::{HostId, Micros, SECOND};

/// A token that was given out is good for at least this long, and for less than twice that.
const TOKEN_LIFE: Micros = 7_500_000;
/// Longer datagrams are not taken.
const DATAGRAM_MAX: usize = 2_048;
/// A value may be so long that it leaves no room for closer nodes.
const VALUE_MAX: usize = 1_000;
/// Delayed pings that wait for one host, and in all; what is beyond that is dropped.
const DELAYED_PER_HOST: usize = 4;
const DELAYED_MAX: usize = 1_024;
/// They may be so late: the node is called when they are due.
const LATE: Micros = SECOND;

const UNKNOWN_COMMAND: u64 = 1;
const INVALID_TOKEN: u64 = 2;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Due {
    from: SocketAddrV4,
    to: SocketAddrV4,
    tid: u16,
    error: u64,
    token: bool,
    closer_nodes: bool,
    value: Option<Vec<u8>>,
}

/// What a datagram brings about.
#[derive(Clone, Debug)]
enum Expected {
    Silence,
    /// One of these: two only if a token may still be good.
    Answer(Due, Option<Due>),
    /// Whatever a user's application does.
    Anything,
}

/// A delayed ping, to be answered.
#[derive(Clone, Debug)]
struct Delayed {
    from: SocketAddrV4,
    to: SocketAddrV4,
    tid: u16,
    /// By the node's clock.
    due: Micros,
}

/// A token that a host was given, and when first and last.
#[derive(Clone, Copy, Debug)]
struct Given {
    token: [u8; 32],
    first: Micros,
    last: Micros,
}

/// Whether a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    Yes,
    No,
    /// It is between 7.5 and 15 s old.
    Perhaps,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    /// What is being handled, by whom, and whether it is answered.
    now: Option<(HostId, Expected, bool)>,
    delayed: BTreeMap<HostId, Vec<Delayed>>,
    tokens: ByKey<Vec<Given>>,
}

impl Replies {
    fn expected(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Expected {
        let Some(node) = sim.node(host) else { return Expected::Anything };
        let from = packet.from;
        let asleep = node.suspended() || node.closed() || node.server_addr().is_none();
        let request = request(packet);
        let takes = !asleep && packet.bytes.len() <= DATAGRAM_MAX && from.port() != 0;
        let Some(request) = request.filter(|_| takes) else { return Expected::Silence };
        let names_any = node.nodes().any(|addr| !node.suspects(addr));
        let due = |error: u64, token: bool, closer_nodes: bool| Due {
            from: packet.to,
            to: from,
            tid: request.tid,
            error,
            token,
            closer_nodes: closer_nodes && request.target.is_some() && names_any,
            value: None,
        };
        let refused = due(INVALID_TOKEN, true, true);
        let good = request.token.map(|token| self.is_good(sim, host, from, token));
        if good == Some(Good::No) {
            return Expected::Answer(refused, None);
        }
        let expected = if request.internal {
            self.internal(sim, host, &request, due)
        } else if sim.has_app(host) || request.value.is_some_and(|value| value.len() > VALUE_MAX) {
            Expected::Anything
        } else if sim.has_echo(host) && request.command == ECHO {
            let value = request.value.map(<[u8]>::to_vec);
            Expected::Answer(Due { value, ..due(0, true, true) }, None)
        } else if sim.has_echo(host) && request.command == STORE {
            let target = request.target.and_then(|target| target.try_into().ok()).map(Id);
            let judged = request.token.map_or(0, |_| judge(host, target.as_ref()));
            Expected::Answer(due(judged, true, true), None)
        } else {
            Expected::Answer(due(UNKNOWN_COMMAND, false, true), None)
        };
        match expected {
            Expected::Answer(due, _) if good == Some(Good::Perhaps) => {
                Expected::Answer(due, Some(refused))
            }
            // What would be ignored may be refused as well.
            Expected::Silence if good == Some(Good::Perhaps) => Expected::Anything,
            expected => expected,
        }
    }

    fn internal(
        &mut self,
        sim: &Sim,
        host: HostId,
        request: &Raw<'_>,
        due: impl Fn(u64, bool, bool) -> Due,
    ) -> Expected {
        let plain = due(0, false, false);
        let value = request.value.unwrap_or_default();
        let only = |due| Expected::Answer(due, None);
        match (request.command, value) {
            (PING, _) | (DOWN_HINT, [_, _, _, _, _, _, ..]) => only(plain),
            (PING_NAT, [low, high, ..]) if (*low, *high) != (0, 0) => {
                let port = u16::from_le_bytes([*low, *high]);
                only(Due { to: SocketAddrV4::new(*plain.to.ip(), port), ..plain })
            }
            (FIND_NODE, _) if request.target.is_some() => only(due(0, false, true)),
            (DELAYED_PING, [a, b, c, d, ..]) => {
                self.delay(sim, host, u32::from_le_bytes([*a, *b, *c, *d]), &plain);
                Expected::Silence
            }
            (PING_NAT | FIND_NODE | DOWN_HINT | DELAYED_PING, _) => Expected::Silence,
            _ => only(due(UNKNOWN_COMMAND, false, true)),
        }
    }

    fn delay(&mut self, sim: &Sim, host: HostId, millis: u32, due: &Due) {
        let most = sim.node(host).map_or(0, |node| node.config().max_ping_delay.as_micros());
        let delay = Micros::from(millis) * 1_000;
        if u128::from(delay) > most {
            return;
        }
        let waiting = self.delayed.entry(host).or_default();
        let same = waiting.iter().filter(|other| other.to.ip() == due.to.ip()).count();
        if same < DELAYED_PER_HOST && waiting.len() < DELAYED_MAX {
            let at = sim.local(host) + delay;
            waiting.push(Delayed { from: due.from, to: due.to, tid: due.tid, due: at });
        }
    }

    fn is_good(&self, sim: &Sim, host: HostId, from: SocketAddrV4, token: &[u8]) -> Good {
        let now = sim.local(host);
        let given = self.tokens.get(Key::of_ip(sim, host, *from.ip(), 0)).into_iter().flatten();
        match { given }.find(|given| given.token == token) {
            Some(given) if now.saturating_sub(given.last) <= TOKEN_LIFE => Good::Yes,
            Some(given) if now.saturating_sub(given.first) < 2 * TOKEN_LIFE => Good::Perhaps,
            _ => Good::No,
        }
    }

    fn give(&mut self, sim: &Sim, host: HostId, to: SocketAddrV4, token: &[u8]) {
        let (now, Ok(token)) = (sim.local(host), token.try_into()) else { return };
        let all = self.tokens.entry(sim, Key::of_ip(sim, host, *to.ip(), 0), Vec::new);
        all.retain(|given| now.saturating_sub(given.last) < 4 * TOKEN_LIFE);
        match all.iter_mut().find(|given| given.token == token) {
            Some(given) => given.last = now,
            None => all.push(Given { token, first: now, last: now }),
        }
    }

    /// Whether it is a delayed ping that is answered.
    fn is_delayed(&mut self, sim: &Sim, host: HostId, due: &Due) -> Result<bool, String> {
        let Some(waiting) = self.delayed.get_mut(&host) else { return Ok(false) };
        let is_it =
            |other: &Delayed| (other.from, other.to, other.tid) == (due.from, due.to, due.tid);
        let Some(at) = waiting.iter().position(is_it) else { return Ok(false) };
        let early = waiting.remove(at).due.saturating_sub(sim.local(host));
        must(early == 0, || format!("a delayed ping is answered {early} µs early"))?;
        Ok(due.error == 0 && !due.token && !due.closer_nodes && due.value.is_none())
    }
}

impl Invariant for Replies {
    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let expected = self.expected(sim, host, packet);
        self.now = Some((host, expected, false));
        Ok(())
    }

    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Packet { from, to, ref bytes, .. } = *packet;
        let raw = parse(bytes).map_err(|error| format!("what leaves can't be read: {error}"))?;
        if raw.is_request {
            return Ok(());
        }
        if let Some(token) = raw.token {
            self.give(sim, host, to, token);
        }
        let sent = Due {
            from,
            to,
            tid: raw.tid,
            error: raw.error,
            token: raw.token.is_some(),
            closer_nodes: raw.closer_nodes.is_some(),
            value: raw.value.map(<[u8]>::to_vec),
        };
        let wrong = match &mut self.now {
            Some((at, Expected::Answer(due, other), answered)) if *at == host && !*answered => {
                if *due == sent || other.as_ref() == Some(&sent) {
                    *answered = true;
                    return Ok(());
                }
                format!("{due:?} is expected")
            }
            Some((at, Expected::Anything, _)) if *at == host => return Ok(()),
            _ => "nothing is expected".to_owned(),
        };
        // An application may answer whenever it likes.
        let may = self.is_delayed(sim, host, &sent)? || sim.has_app(host);
        must(may, || format!("an answer: {sent:?}, but {wrong}"))
    }

    fn event(&mut self, _: &Sim, host: HostId, event: &Event) -> Verdict {
        if matches!(event, Event::Suspended | Event::Closed) {
            self.delayed.remove(&host);
        }
        Ok(())
    }

    fn after(&mut self, _: &Sim, host: HostId) -> Verdict {
        match self.now.take() {
            Some((at, Expected::Answer(due, _), false)) if at == host => {
                Err(format!("silence, but {due:?} is expected"))
            }
            _ => Ok(()),
        }
    }

    fn down(&mut self, _: &Sim, host: HostId) -> Verdict {
        self.delayed.remove(&host);
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        for (host, waiting) in &mut self.delayed {
            if !sim.is_up(*host) {
                continue;
            }
            let now = sim.local(*host);
            let late = waiting.iter().find(|delayed| delayed.due + LATE < now);
            must(late.is_none(), || format!("host {}: {late:?} is still unanswered", host.0))?;
        }
        Ok(())
    }
}
