//! What must hold, always: checked after every event and every simulated second. The simulator has
//! its own (`checks`), and users add theirs.

use std::any::Any;
use std::fmt;

use dht_core::{Event, Id, Outcome, QueryError};
use dyn_clone::DynClone;

use super::{Packet, Sim};
use crate::world::{HostId, Micros, text};

/// What an invariant says: fine, or what is wrong.
pub type Verdict = Result<(), String>;

/// How a query has ended.
pub type Ended<'a> = Result<&'a Outcome, &'a QueryError>;

/// Something that must hold. It sees everything and changes nothing.
///
/// All methods say `Ok` unless implemented.
///
/// ```
/// use dht_core::Event;
/// use dht_sim::{HostId, Invariant, Sim, Verdict};
///
/// /// No node has to notice that its network has changed.
/// #[derive(Clone)]
/// struct Still;
///
/// impl Invariant for Still {
///     fn event(&mut self, _: &Sim, host: HostId, event: &Event) -> Verdict {
///         match event {
///             Event::NetworkChange => Err(format!("host {} has moved", host.0)),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// Sim::new(1).add_invariant(Still);
/// ```
#[allow(unused_variables, reason = "what the defaults make nothing of")]
pub trait Invariant: DynClone + Any + Send {
    /// Its name in reports: by default the module of its type.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>().split('<').next().unwrap_or_default();
        path.rsplit("::").nth(1).unwrap_or(path)
    }

    /// A datagram is about to be handled by `host`.
    fn received(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        Ok(())
    }

    /// A node has sent a datagram; its addresses are as the node sees them, before any NAT.
    fn sent(&mut self, sim: &Sim, host: HostId, packet: &Packet) -> Verdict {
        Ok(())
    }

    /// Something has happened to a node.
    fn event(&mut self, sim: &Sim, host: HostId, event: &Event) -> Verdict {
        Ok(())
    }

    /// A query that the simulator follows ([`Sim::look_up_by`]) has ended.
    fn ended(&mut self, sim: &Sim, host: HostId, target: &Id, result: Ended<'_>) -> Verdict {
        Ok(())
    }

    /// A host has dealt with a datagram, a deadline or a call, and has sent what followed.
    fn after(&mut self, sim: &Sim, host: HostId) -> Verdict {
        Ok(())
    }

    /// A host has gone down: what it was about to do will not be done.
    fn down(&mut self, sim: &Sim, host: HostId) -> Verdict {
        Ok(())
    }

    /// A second has passed.
    fn every_second(&mut self, sim: &Sim) -> Verdict {
        Ok(())
    }
}

dyn_clone::clone_trait_object!(Invariant);

/// An invariant did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: String,
    /// What was wrong.
    pub message: String,
    /// On which host, if it was on one.
    pub host: Option<HostId>,
    /// When, in virtual time.
    pub at: Micros,
    /// The seed of the simulation.
    pub seed: u64,
    /// The trace hash up to that moment.
    pub trace: u64,
}

impl Violation {
    /// Before anything has happened.
    pub(crate) fn before(seed: u64, invariant: &str, message: String) -> Self {
        Self { invariant: invariant.to_owned(), message, host: None, at: 0, seed, trace: 0 }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} violated at {}", self.invariant, text::seconds(self.at))?;
        if let Some(HostId(host)) = self.host {
            write!(f, " on host {host}")?;
        }
        write!(f, ": {} (seed {}, trace {:016x})", self.message, self.seed, self.trace)
    }
}

impl std::error::Error for Violation {}
