//! A deterministic simulator for networks of [`dht_core`] nodes: the code that ships, codec, timers and
//! NAT state included, in virtual time, from ten nodes to a hundred thousand and more in one process.
//!
//! It is for proofs of our own, and for users who run *their* protocol on top of a node, with their own
//! request handlers, clients, faults and invariants, in a test of theirs: start with the [`guide`].
//!
//! - **One number decides.** Everything random follows from a seed, through a stream of its own for each
//!   node and purpose ([`stream`]), so adding a node does not shift the others. A [`Violation`] names
//!   the seed; [`Sim::trace_hash`] stands for all that has happened, and is the same on every machine,
//!   debug or release.
//! - **Nothing is simulated but the world.** Nodes are made by [`dht_core::Node::new`] from a
//!   configuration as in production, and exchange the bytes that they would exchange out there.
//! - **The world is unkind on request:** latency, bursts of loss, duplicates, reordering, damage ([`link`]);
//!   partitions ([`partition`]); neighbours on one host or net ([`addresses`]); NATs and firewalls ([`nat`]); clocks that drift, step and sleep
//!   ([`clock`]); crashes, restarts and churn ([`churn`]); rules of your own ([`Rule`]); attackers ([`attack`]).
//! - **What must hold is checked** after every event and every second: [`Invariant`], [`checks`], and what
//!   each node checks inside ([`Sim::check_nodes`]).
//! - **A simulation is a value.** A clone is a fork: settle a large network once, and try many futures.
//!
//! [`Sim`] is the network; you add hosts ([`Spec`]) and let time pass. [`Scenario`] and [`Run`] describe a whole
//! run as data, which can be drawn at random, written to a file and made smaller. The command
//! `cargo sim` (feature `cli`) is made of these.
//!
//! ```
//! use std::time::Duration;
//! use dht_core::Query;
//! use dht_sim::{Sim, Spec};
//!
//! let mut sim = Sim::new(7);
//! let first = sim.next_address();
//! sim.add(Spec::bootstrapper(first)?)?;
//! for _ in 0..50 {
//!     sim.add(Spec::joining(&[first]))?;
//! }
//! sim.run_for(Duration::from_secs(30))?;
//!
//! let asker = dht_sim::HostId(20);
//! let target = sim.id_of(sim.address(asker));
//! let walk = sim.walk(asker, Query::find_node(target), Duration::from_secs(30))?;
//! let (_, outcome) = walk.ok_or("host 20 is down")?;
//! assert_eq!(outcome?.closest.len(), 20);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod addresses;
mod addrs;
mod app;
pub mod atomic_file;
pub mod attack;
mod calls;
mod check;
pub mod checks;
pub mod churn;
pub mod clock;
pub mod describe;
pub mod guide;
pub mod histogram;
mod host;
mod ids;
mod invariant;
pub mod json_lines;
mod life;
pub mod link;
mod lookup;
mod named_hosts;
pub mod nat;
mod net;
mod packets;
pub mod partition;
pub mod pcap;
mod phantom;
mod place;
mod quiet;
pub mod report;
pub mod results;
mod run;
pub mod scenario;
pub mod script;
pub mod series;
pub mod shrink;
mod sim;
pub mod snapshot;
pub mod stream;
pub mod swarm;
mod tally;
mod tap;
pub mod text_table;
pub mod timeline;
mod trace;
mod truth;
mod wheel;

pub use app::{Actor, ActorCx, App, Cx};
pub use calls::Walked;
pub use host::Spec;
pub use invariant::{Invariant, Verdict, Violation};
pub use life::Return;
pub use lookup::Lookup;
pub use net::{Fate, Rule};
pub use packets::Packet;
pub use run::Run;
pub use scenario::Scenario;
pub use sim::{Counts, Sim};
pub use snapshot::Snapshot;
pub use tally::Tally;
pub use tap::{Direction, Tapped, What};

/// Microseconds of virtual time since the simulation began.
pub type Micros = u64;

/// A host, by its number: the first one is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

impl HostId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A NAT or firewall, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub u32);

impl NatId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}
