//! What can happen to a network in a run, as plain data.

use serde::{Deserialize, Serialize};

use super::Scenario;
use crate::world::churn::LENGTH_MAX_US;
use crate::world::link::Link;
use crate::world::partition::{Flap, Partition, Side};
use crate::world::{Micros, check};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When, from the beginning of the third phase.
    pub at_us: Micros,
    /// What.
    #[serde(flatten)]
    pub what: FaultKind,
}

/// What can happen. Hosts are numbers, which begin anew after the last one; a host in the wrong state is left
/// alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "fault")]
pub enum FaultKind {
    /// A node vanishes.
    Crash {
        /// Which.
        host: u32,
    },
    /// A node that has vanished comes back.
    Restart {
        /// Which.
        host: u32,
        /// With the table that it had.
        with_table: bool,
        /// As another node, at another port.
        anew: bool,
    },
    /// The process of a node is stopped.
    Stall {
        /// Which.
        host: u32,
        /// For how long.
        for_us: Micros,
    },
    /// The machine of a node sleeps.
    Sleep {
        /// Which.
        host: u32,
        /// For how long.
        for_us: Micros,
    },
    /// A node is suspended by its application, and resumed.
    Suspend {
        /// Which.
        host: u32,
        /// For how long.
        for_us: Micros,
    },
    /// Two sides can't talk.
    Partition {
        /// Who is on the first.
        first: Side,
        /// Only what the first sends is lost.
        one_way: bool,
        /// For how long.
        for_us: Micros,
        /// Whether it comes and goes.
        flap: Option<Flap>,
    },
    /// A part of the nodes vanishes at once.
    MassLeave {
        /// Which part.
        part: f64,
    },
    /// New nodes join.
    FlashCrowd {
        /// How many.
        nodes: u32,
        /// Within which time.
        over_us: Micros,
    },
    /// The wall clock of a node is set.
    StepClock {
        /// Which.
        host: u32,
        /// By how much.
        by_us: i64,
    },
    /// All NATs give their mappings new ports.
    RebindNats,
    /// Datagrams travel like this from now on.
    Link {
        /// Like what.
        link: Link,
    },
    /// Many requests at once by one node, to nodes that it knows and to some that don't exist.
    Burst {
        /// Which.
        host: u32,
        /// How many.
        requests: u32,
    },
    /// Lookups that are begun together, some of which are cancelled.
    Lookups {
        /// By which node.
        host: u32,
        /// How many.
        count: u32,
        /// Of these, how many are cancelled a little later.
        cancel: u32,
    },
    /// Values are stored: lookups whose closest nodes are shown the tokens that they gave. It needs
    /// `checks`, with which nodes store.
    Stores {
        /// By which node.
        host: u32,
        /// How many.
        count: u32,
    },
    /// Requests and lookups of one session, which ends while most of them are under way.
    Session {
        /// Of which node.
        host: u32,
        /// How many requests; for every fourth there is a lookup as well.
        requests: u32,
        /// When it ends.
        for_us: Micros,
    },
    /// All nodes that know this node are told that it is down.
    DownHints {
        /// Which.
        host: u32,
    },
    /// A node asks with an id, but never answers itself: at addresses of its own.
    Phantoms {
        /// Which node is told.
        host: u32,
        /// How many.
        count: u32,
    },
}

impl Fault {
    pub(super) fn find_fault(&self, scenario: &Scenario) -> Result<(), String> {
        let (at, end) = (self.at_us, scenario.run_us);
        if at > end {
            return Err(format!("at_us is {at}, after the end of the run at {end}"));
        }
        let lasts = |for_us: Micros| check::duration("for_us", for_us, 0, LENGTH_MAX_US);
        match self.what {
            FaultKind::Partition { ref first, one_way, for_us, flap } => {
                let first = first.clone();
                Partition { first, one_way, from_us: 0, until_us: for_us, flap }.check()
            }
            FaultKind::MassLeave { part } => check::probability("part", part),
            FaultKind::Link { ref link } => link.check(),
            FaultKind::Stall { for_us, .. }
            | FaultKind::Sleep { for_us, .. }
            | FaultKind::Suspend { for_us, .. } => lasts(for_us),
            FaultKind::FlashCrowd { nodes, over_us } => {
                check::at_most("nodes", nodes, 1_000_000)?;
                check::duration("over_us", over_us, 0, LENGTH_MAX_US)
            }
            FaultKind::Burst { requests, .. } => check::at_most("requests", requests, 4_096),
            FaultKind::Session { requests, for_us, .. } => {
                check::at_most("requests", requests, 4_096)?;
                lasts(for_us)
            }
            FaultKind::Lookups { count, cancel, .. } => {
                check::at_most("count", count, 256)?;
                check::that(cancel <= count, "cancel", "be at most count")
            }
            FaultKind::Stores { count, .. } => {
                check::at_most("count", count, 256)?;
                let needs = "stores need checks: no node stores anything without";
                if scenario.checks { Ok(()) } else { Err(needs.to_owned()) }
            }
            FaultKind::Phantoms { count, .. } => check::at_most("count", count, 10_000),
            _ => Ok(()),
        }
    }
}

impl FaultKind {
    /// The hosts that it names.
    pub(crate) fn hosts(&mut self) -> Vec<&mut u32> {
        match self {
            Self::Crash { host }
            | Self::Restart { host, .. }
            | Self::Stall { host, .. }
            | Self::Sleep { host, .. }
            | Self::Suspend { host, .. }
            | Self::StepClock { host, .. }
            | Self::Burst { host, .. }
            | Self::Lookups { host, .. }
            | Self::Stores { host, .. }
            | Self::Session { host, .. }
            | Self::DownHints { host }
            | Self::Phantoms { host, .. } => vec![host],
            Self::Partition { first: Side::Hosts(side), .. } => side.iter_mut().collect(),
            Self::Partition { .. }
            | Self::MassLeave { .. }
            | Self::FlashCrowd { .. }
            | Self::RebindNats
            | Self::Link { .. } => Vec::new(),
        }
    }
}
