//! The simulator's own invariants: what must hold of every node, whatever the network does to it.
//!
//! They look from outside: at datagrams, events, and what a node tells of itself. What a node checks
//! inside is switched on by [`Sim::check_nodes`](crate::Sim::check_nodes). A node that breaks a rule in here
//! would be noticed, or could be attacked, by its peers.

mod answers;
mod calm;
mod commits;
mod doors;
mod echo;
mod ends;
mod itself;
mod keys;
mod members;
mod prober;
mod reach;
mod replies;
mod requests;
mod results;
mod tables;
mod unasked;

use std::net::SocketAddrV4;

use dht_core::wire::{self, Message};
use dht_model::decoder::{Raw, parse};

pub use answers::Answers;
pub use commits::Commits;
pub use doors::Doors;
pub use echo::{ECHO, Echo, STORE};
pub use ends::Ends;
pub use itself::Itself;
pub use members::Members;
pub(crate) use prober::IPS as PROBER_IPS;
pub use prober::Prober;
pub use replies::Replies;
pub use requests::Requests;
pub use results::Results;
pub use tables::Tables;
pub use unasked::Unasked;

use crate::sim::{Invariant, Packet, Sim};
use crate::world::HostId;

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Requests::default()),
        Box::new(Answers::default()),
        Box::new(Members::default()),
        Box::new(Ends::default()),
        Box::new(Replies::default()),
        Box::new(Tables::default()),
        Box::new(Commits::default()),
        Box::new(Doors::default()),
        Box::new(Unasked::default()),
        Box::new(Itself::default()),
        Box::new(Results::default()),
    ]
}

/// A request that was sent, or an answer, as far as it can be read.
fn read(bytes: &[u8]) -> Result<Message<'_>, String> {
    wire::decode(bytes).map_err(|error| format!("it can't be read: {error:?}"))
}

/// What a datagram asks, read by other code than the node's.
fn request(packet: &Packet) -> Option<Raw<'_>> {
    parse(&packet.bytes).ok().filter(|raw| raw.is_request)
}

/// What a datagram answers, likewise.
fn response(packet: &Packet) -> Option<Raw<'_>> {
    parse(&packet.bytes).ok().filter(|raw| !raw.is_request)
}

/// Says what is wrong, unless it holds.
fn must(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

/// An id goes with a datagram only if the node is persistent and it leaves by the server socket, and
/// then it is the one of that address.
fn check_id(
    sim: &Sim,
    host: HostId,
    from: SocketAddrV4,
    id: Option<&[u8; 32]>,
) -> Result<(), String> {
    let Some(id) = id else { return Ok(()) };
    let server = sim.address(host);
    must(from == server, || format!("an id leaves by {from}, the server socket is {server}"))?;
    let own = sim.node(host).and_then(dht_core::Node::id);
    must(own.is_some(), || "an id leaves, though the node is ephemeral".to_owned())?;
    must(own.is_some_and(|own| own.0 == *id), || "another's id leaves".to_owned())
}

#[cfg(test)]
mod tests;
