//! A deterministic simulator for networks of [`dht_core`] nodes.
#![forbid(unsafe_code)]

mod addrs;
mod app;
pub mod atomic_file;
mod calls;
mod check;
pub mod checks;
pub mod churn;
pub mod clock;
pub mod describe;
pub mod histogram;
mod host;
mod ids;
mod invariant;
pub mod json_lines;
mod life;
pub mod link;
mod lookup;
pub mod nat;
mod net;
mod packets;
pub mod partition;
pub mod pcap;
mod phantom;
mod quiet;
pub mod report;
mod run;
pub mod scenario;
pub mod series;
pub mod shrink;
mod sim;
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
pub use host::Spec;
pub use invariant::{Invariant, Verdict, Violation};
pub use life::Return;
pub use lookup::Lookup;
pub use net::{Fate, Rule};
pub use packets::Packet;
pub use run::Run;
pub use scenario::Scenario;
pub use sim::{Counts, Sim};
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
