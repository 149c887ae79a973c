//! The simulation itself: hosts with nodes, applications or attackers, the datagrams between them, and
//! virtual time. It knows the models of [`world`](crate::world), and nothing of checks, attackers or scenarios.
//!
//! [`Sim`] is one type whose methods are spread over files by what they are about: `engine` has its state and the
//! passing of time, `net` how datagrams travel, `life` what hosts go through, `place` where they are, `calls` and
//! `lookup` what callers ask for, `watch` how invariants are asked, `tap` what is recorded.

mod app;
mod calls;
pub(crate) mod command;
mod engine;
mod events;
mod host;
mod ids;
mod invariant;
mod life;
mod lookup;
mod net;
mod packets;
mod place;
pub(crate) mod quiet;
mod tap;
mod trace;
pub(crate) mod truth;
mod watch;

pub use app::{Actor, ActorCx, App, Cx};
pub use calls::{Answered, Waited, Walked};
pub use engine::{Counts, Sim};
pub use host::Spec;
pub use invariant::{Ended, Invariant, Verdict, Violation};
pub use life::Return;
pub use lookup::Lookup;
pub use net::{Fate, Rule};
pub use packets::{Datagram, Packet, Spent};
pub use tap::{Direction, Tapped, What};
