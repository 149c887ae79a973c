//! The health of a node, in figures.

use crate::api::error::Unsent;

/// How well the network answers, over the last four ticks (20 s).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthInfo {
    /// Peers answer, or it is not known yet, as in the reference. [`Node::online`](crate::Node::online) is true only if peers do answer.
    pub online: bool,
    /// More than half of the requests time out.
    pub degraded: bool,
    /// There are not four samples yet.
    pub cold: bool,
    /// Fewer than four requests ended in the last tick: too few to tell.
    pub idle: bool,
    /// Responses in the last tick, to what the node asks on its own account: not what strangers have it ask.
    pub responses: u64,
    /// Timeouts in the last tick, and requests of that tick that were not sent. Of the node's own requests, only
    /// requests to nodes of the table count, unless the table is empty.
    pub timeouts: u64,
    /// Their part in both: 0 to 1.
    pub timeouts_rate: f64,
    /// Why the system did not send, if so since the last answer.
    pub unsent: Option<Unsent>,
}
