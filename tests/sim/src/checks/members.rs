//! Who is in a routing table: a node enters only after it has answered, and leaves only after it has not.
//!
//! Needs [`Config::node_events`](dht_core::Config::node_events), without which it sees nothing.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::wire::Message;
use dht_core::{Event, Id};

use super::keys::{ByKey, Key, PerHost};
use super::{must, read};
use crate::sim::command::{FIND_NODE, PING_NAT};
use crate::sim::{Invariant, Packet, Sim, Verdict};
use crate::world::{HostId, Micros};

/// An answer is taken for one to a request that left so long before, at most.
const ANSWERED_WITHIN: Micros = 15_000_000;

/// What has passed between a host and an address.
#[derive(Clone, Debug, Default)]
struct Contact {
    /// Transaction ids of requests that were sent and not answered, when, and their commands, 0 for an application's.
    open: Vec<(u16, Micros, u64)>,
    /// The last answer with a true id, one to FIND_NODE, and one without an id.
    proven: Option<Micros>,
    served: Option<Micros>,
    answered: Option<Micros>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// What has passed between two nodes, for three minutes.
    contacts: ByKey<Contact, 180>,
    /// When a host was started: tables that it was given are taken as they are.
    started: BTreeMap<HostId, Micros>,
    /// The answer that is being handled: to and from whom, whether with a true id, to what command, and how many
    /// the host had ignored before.
    answer: Option<(HostId, SocketAddrV4, bool, u64, u64)>,
    /// The ids that tables are built around.
    around: PerHost<Option<Id>>,
}

impl Members {
    /// An answer was handled. One to a request that was cancelled meanwhile is ignored: it proves nothing.
    fn taken(&mut self, sim: &Sim) {
        let Some((host, from, proven, command, before)) = self.answer.take() else { return };
        if ignored(sim, host) > before {
            return;
        }
        if let Some(contact) = self.contacts.get_mut(Key::new(sim, host, from, 0)) {
            let when = if proven { &mut contact.proven } else { &mut contact.answered };
            *when = Some(sim.now());
            if proven && command == FIND_NODE {
                contact.served = Some(sim.now());
            }
        }
    }
}

/// How many answers a host has ignored.
fn ignored(sim: &Sim, host: HostId) -> u64 {
    sim.node(host).map_or(0, |node| {
        let drops = node.stats().drops;
        drops.unsolicited + drops.wrong_source
    })
}

impl Invariant for Members {
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let to = packet.to;
        let Message::Request(request) = read(&packet.bytes)? else { return Ok(()) };
        let command = if request.internal { request.command } else { 0 };
        let contact = self.contacts.entry(sim, Key::new(sim, host, to, 0), Contact::default);
        contact.open.retain(|(tid, at, _)| *tid != request.tid && sim.now() - at < ANSWERED_WITHIN);
        contact.open.push((request.tid, sim.now(), command));
        Ok(())
    }

    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Ok(Message::Response(response)) = read(&packet.bytes) else { return Ok(()) };
        let Some(contact) = self.contacts.get_mut(Key::new(sim, host, packet.from, 0)) else {
            return Ok(());
        };
        let Some(at) = contact.open.iter().position(|(tid, ..)| *tid == response.tid) else {
            return Ok(());
        };
        let (.., command) = contact.open.remove(at);
        let proven = response.id.is_some_and(|id| *id == sim.id_of(packet.from).0);
        self.answer = Some((host, packet.from, proven, command, ignored(sim, host)));
        Ok(())
    }

    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        self.taken(sim);
        match event {
            Event::Listening => {
                self.started.insert(host, sim.now());
                Ok(())
            }
            Event::NodeAdded(addr) => {
                let given = self.started.get(&host) == Some(&sim.now())
                    || !self.started.contains_key(&host);
                let contact = self.contacts.get(Key::new(sim, host, *addr, 0));
                let proven = contact.is_some_and(|contact| contact.proven.is_some());
                must(given || proven, || format!("{addr} is in the table, and has proven nothing"))
            }
            Event::NodeRemoved(addr) => {
                let Some(contact) = self.contacts.get(Key::new(sim, host, *addr, 0)) else {
                    return Ok(());
                };
                // The table was built anew around another id.
                let around = sim.node(host).map(dht_core::Node::table_id);
                let rebuilt = self.around.get(sim, host).copied().flatten() != around;
                let since = contact.proven.unwrap_or(0);
                // Who leaves FIND_NODE unanswered is not there because it answers something else.
                let silent = contact.open.iter().any(|(_, at, command)| match *command {
                    PING_NAT => false,
                    FIND_NODE => *at >= contact.served.unwrap_or(0),
                    _ => *at >= since,
                });
                let idless = contact.answered.is_some_and(|at| at >= since);
                // Its host, or its /24, has more nodes than its quota.
                let network = |addr: &SocketAddrV4| addr.ip().to_bits() >> 8;
                let near = |other: &SocketAddrV4| network(other) == network(addr);
                let nodes = sim.node(host).into_iter().flat_map(dht_core::Node::nodes);
                let outdone = nodes.filter(near).count() >= 2;
                must(rebuilt || silent || idless || outdone, || {
                    format!(
                        "{addr} was taken out of the table, and has left nothing unanswered: {contact:?}"
                    )
                })
            }
            _ => Ok(()),
        }
    }

    fn after(&mut self, sim: &Sim, host: HostId) -> Verdict {
        self.taken(sim);
        *self.around.of(sim, host) = sim.node(host).map(dht_core::Node::table_id);
        Ok(())
    }

    fn down(&mut self, _: &Sim, host: HostId) -> Verdict {
        self.started.remove(&host);
        Ok(())
    }
}
