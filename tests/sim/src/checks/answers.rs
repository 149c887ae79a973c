//! What a node answers: once for each request, to its sender, and with the closest nodes of all that it knows. With
//! which parts and when is looked at by [`replies`](super::Replies).

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::Id;
use dht_core::wire::{Message, Response};

use super::keys::{ByKey, Key};
use super::{check_id, must, read};
use crate::sim::command::FIND_NODE;
use crate::sim::{Invariant, Packet, Sim, Verdict};
use crate::world::HostId;

/// One answer of four with closer nodes is compared with the table: which one follows from its transaction id.
const CLOSER_EVERY: u16 = 4;

/// Requests that have come in under one transaction id from one host, and what was made of them.
#[derive(Clone, Debug)]
struct Asked {
    internal: bool,
    command: u64,
    target: Option<Id>,
    requests: u32,
    answers: u32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    asked: ByKey<Asked>,
}

impl Answers {
    fn check_closer(sim: &Sim, host: HostId, target: Id, response: &Response<'_>) -> Verdict {
        let Some(node) = sim.node(host) else { return Ok(()) };
        let named: Vec<_> = response.closer_nodes.iter().flat_map(|nodes| nodes.iter()).collect();
        let mut known: Vec<_> = node
            .nodes()
            .filter(|addr| !node.suspects(*addr))
            .map(|addr| (sim.id_of(addr).distance(&target), addr))
            .collect();
        known.sort_unstable();
        // Of a /24 with more nodes, some may be over quota and come last.
        let mut networks = BTreeMap::<_, usize>::new();
        let network = |addr: &SocketAddrV4| addr.ip().to_bits() >> 8;
        node.nodes().for_each(|addr| *networks.entry(network(&addr)).or_default() += 1);
        let alone =
            |addr: &SocketAddrV4| networks.get(&network(addr)).is_none_or(|count| *count < 2);
        let apart: Vec<_> = named.iter().copied().filter(alone).collect();
        let closest = known.iter().map(|(_, addr)| *addr).filter(alone).take(apart.len());
        must(apart.iter().copied().eq(closest), || {
            format!("the closer nodes to {target} are not the closest that it knows, in order")
        })?;
        // A long value may leave no room for all.
        let room = response.value.is_none_or(|value| value.len() < 1000);
        must(!room || named.len() == known.len().min(20), || {
            format!("{} closer nodes are named, {} known", named.len(), known.len())
        })
    }
}

impl Invariant for Answers {
    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Ok(Message::Request(request)) = read(&packet.bytes) else { return Ok(()) };
        let asked = Asked {
            internal: request.internal,
            command: request.command,
            target: request.target.copied().map(Id),
            requests: 1,
            answers: 0,
        };
        let key = Key::of_ip(sim, host, *packet.from.ip(), request.tid);
        let before = self.asked.entry(sim, key, || Asked { requests: 0, ..asked.clone() });
        *before = Asked { requests: before.requests + 1, answers: before.answers, ..asked };
        Ok(())
    }

    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        let Packet { from, to, ref bytes, .. } = *packet;
        let Message::Response(response) = read(bytes)? else { return Ok(()) };
        check_id(sim, host, from, response.id)?;
        must(response.to == to, || format!("an answer to {to} says it goes to {}", response.to))?;
        // An application may answer a third node (a relay chain): that is its own choice.
        let Some(asked) = self.asked.get_mut(Key::of_ip(sim, host, *to.ip(), response.tid)) else {
            return must(sim.has_app(host), || {
                format!("an answer to {to}, which has asked nothing")
            });
        };
        asked.answers += 1;
        must(asked.answers <= asked.requests || (sim.has_app(host) && !asked.internal), || {
            format!("{} answers to {} requests from {to}", asked.answers, asked.requests)
        })?;
        // Under one transaction id there may have been several different requests.
        if asked.requests > 1 {
            return Ok(());
        }
        must(asked.target.is_some() || response.closer_nodes.is_none(), || {
            "closer nodes, and no target".to_owned()
        })?;
        match asked.target {
            // Of these there are many, and to go through the table is most of what this costs.
            Some(target)
                if asked.internal
                    && asked.command == FIND_NODE
                    && response.tid % CLOSER_EVERY == 0 =>
            {
                Self::check_closer(sim, host, target, &response)
            }
            _ => Ok(()),
        }
    }
}
