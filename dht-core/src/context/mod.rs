//! The context: what `Node` hands down to its parts with each call, as smoltcp's interfaces do to their sockets.

pub(crate) mod events;

use alloc::sync::Arc;
use core::time::Duration;

use crate::api::config::Config;
use crate::api::event::Event;
use crate::api::stats::Stats;
use crate::context::events::Events;
use crate::secret::rng::Rng;
use crate::time::Instant;

/// The length of a tick.
pub(crate) const TICK: Duration = Duration::from_secs(5);
/// Heard of less than this many ticks ago, a node is recent: 1 minute.
pub(crate) const RECENT: u32 = 12;

/// The configuration, the latest time, the node's randomness, its counters and its events.
#[derive(Clone)]
pub(crate) struct Cx {
    pub(crate) config: Arc<Config>,
    pub(crate) now: Instant,
    /// Periods of five seconds that have passed; those that were slept through count twice.
    pub(crate) tick: u32,
    pub(crate) rng: Rng,
    pub(crate) stats: Stats,
    pub(crate) events: Events,
}

impl Cx {
    /// Tells the user of a change.
    pub(crate) fn emit(&mut self, event: Event) {
        self.stats.drops.events += u64::from(self.events.push(event));
    }
}
