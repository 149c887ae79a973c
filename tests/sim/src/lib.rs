//! A deterministic simulator for networks of [`dht_core`] nodes: the code that ships, codec, timers and
//! NAT state included, in virtual time, from ten nodes to a hundred thousand and more in one process.
//!
//! It is for proofs of our own, and for users who run *their* protocol on top of a node, with their own
//! request handlers, clients, faults and invariants, in a test of theirs: start with the [`guide`].
//!
//! - **One number decides.** Everything random follows from a seed, through a stream of its own for each
//!   node and purpose ([`stream`]), so one more node does not shift the streams of other nodes. A
//!   [`Violation`] names the seed. [`Sim::trace_hash`] stands for all that has happened, and is the same on
//!   every machine, debug or release.
//! - **Only the world is simulated.** Nodes are made by [`dht_core::Node::new`] from a configuration as in
//!   production, and exchange the bytes that they would exchange on the internet.
//! - **The world is unkind on request:** latency, bursts of loss, duplicates, reordering, damage ([`link`]);
//!   partitions ([`partition`]); neighbours on one host or network ([`addresses`]); NATs and firewalls
//!   ([`nat`]); clocks that drift, step and sleep ([`clock`]); crashes, restarts and churn ([`churn`]); rules
//!   of your own ([`Rule`]); attackers ([`attack`]).
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

pub mod attack;
pub mod checks;
pub mod guide;
mod output;
pub mod report;
pub mod results;
mod run;
pub mod scenario;
mod sim;
pub mod swarm;
mod world;

pub use output::{atomic_file, describe, pcap, timeline};
pub use report::{histogram, series, text_table};
pub use run::{Run, Snapshot, Tally, snapshot};
pub use scenario::{Scenario, script};
pub use sim::{
    Actor, ActorCx, Answered, App, Counts, Cx, Datagram, Direction, Ended, Fate, Invariant, Lookup,
    Packet, Return, Rule, Sim, Spec, Tapped, Verdict, Violation, Waited, Walked, What,
};
pub use swarm::shrink;
pub use world::{HostId, Micros, NatId, SECOND};
pub use world::{addresses, churn, clock, link, nat, partition, stream, text};
