//! The world that hosts live in, as models that know nothing of a simulation: what becomes of datagrams, who
//! can reach whom, where hosts are, what their clocks show, when they come and go, and the random numbers
//! that all of it is drawn from.

pub mod addresses;
pub(crate) mod addrs;
pub(crate) mod check;
pub mod churn;
pub mod clock;
pub mod link;
pub mod nat;
pub mod partition;
pub mod stream;
pub mod text;

pub(crate) use stream::{Purpose, Stream};

/// Microseconds of virtual time since the simulation began.
pub type Micros = u64;
/// A second of it.
pub const SECOND: Micros = 1_000_000;

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
