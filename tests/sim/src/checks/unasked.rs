//! The effects of datagrams that a node has not asked for: a request, or an answer to nothing, does not change
//! what the node believes of its own address; an answer to nothing makes it ask no other node; and of the nodes
//! that a host says are down, it asks a few.
//!
//! It compares what a node counts and believes before and after it has handled a datagram.

use std::net::Ipv4Addr;

use dht_core::Node;
use dht_core::wire::{Message, Request};

use super::keys::{ByKey, Key};
use super::{must, read};
use crate::sim::{Invariant, Packet, Sim, Verdict, command::DOWN_HINT};
use crate::world::{HostId, Micros};

/// Hints of one host that are acted on in a tick of 5 s. Less than that has parts of two ticks.
const HINTS_MAX: u32 = 5;
const TICK: Micros = 4_900_000;

/// A datagram that is being handled.
#[derive(Clone, Copy, Debug)]
struct Handled {
    host: HostId,
    what: What,
    before: State,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Request,
    /// A hint that a node is down, from this host.
    Hint(Ipv4Addr),
    Response,
}

/// What a node believes of its address, and what it has counted.
#[derive(Clone, Copy, Debug)]
struct State {
    believed: (Option<Ipv4Addr>, u16),
    /// Answers that were ignored.
    ignored: u64,
    verifications: u64,
    /// Whether they are there, by PING or FIND_NODE.
    asked: u64,
}

impl State {
    fn of(node: &Node) -> Self {
        let stats = node.stats();
        Self {
            believed: (node.host(), node.port()),
            ignored: stats.drops.unsolicited + stats.drops.wrong_source,
            verifications: stats.verifications.sent,
            asked: stats.commands.ping.tx + stats.commands.find_node.tx,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Unasked {
    handled: Option<Handled>,
    /// When the first of some hints was acted on, and how many since.
    hints: ByKey<(Micros, u32)>,
}

impl Unasked {
    /// What was being handled has been handled.
    fn judge(&mut self, sim: &Sim) -> Verdict {
        let Some(Handled { host, what, before }) = self.handled.take() else { return Ok(()) };
        let Some(node) = sim.node(host) else { return Ok(()) };
        let after = State::of(node);
        let ignored = match what {
            What::Request | What::Hint(_) => true,
            What::Response => after.ignored > before.ignored,
        };
        must(!ignored || after.believed == before.believed, || {
            let (was, is) = (before.believed, after.believed);
            format!("by what nobody asked for its own address {was:?} becomes {is:?}")
        })?;
        match what {
            What::Hint(from) if after.asked > before.asked => self.count_hint(sim, host, from),
            What::Response => must(!ignored || after.verifications == before.verifications, || {
                "an answer to nothing has somebody asked".to_owned()
            }),
            What::Hint(_) | What::Request => Ok(()),
        }
    }

    pub(super) fn count_hint(&mut self, sim: &Sim, host: HostId, from: Ipv4Addr) -> Verdict {
        let hints = self.hints.entry(sim, Key::of_ip(sim, host, from, 0), || (sim.now(), 0));
        if sim.now() - hints.0 >= TICK {
            *hints = (sim.now(), 0);
        }
        hints.1 += 1;
        let (_, count) = *hints;
        // A private address is trusted more.
        must(count <= 2 * HINTS_MAX || from.is_private(), || {
            format!("{count} hints of {from} within a tick have nodes asked")
        })
    }
}

impl Invariant for Unasked {
    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        // What was handled before, by a node that was stopped and has more than this to handle.
        self.judge(sim)?;
        let what = match read(&packet.bytes) {
            // With an id its sender is asked as well.
            Ok(Message::Request(Request {
                id: None, internal: true, command: DOWN_HINT, ..
            })) => What::Hint(*packet.from.ip()),
            Ok(Message::Request(_)) => What::Request,
            Ok(Message::Response(_)) => What::Response,
            Err(_) => return Ok(()),
        };
        let before = sim.node(host).map(State::of);
        self.handled = before.map(|before| Handled { host, what, before });
        Ok(())
    }

    fn after(&mut self, sim: &Sim, _: HostId) -> Verdict {
        self.judge(sim)
    }

    fn down(&mut self, _: &Sim, _: HostId) -> Verdict {
        self.handled = None;
        Ok(())
    }
}
