//! The context: what `Node` hands down to its parts with each call, as smoltcp's interfaces do to their sockets. Of
//! the parts' state it holds only what all ask for: the tick, and whether a request may begin, here and at its receiver's.

pub(crate) mod alarms;
pub(crate) mod events;
pub(crate) mod knocks;

use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use crate::api::config::Config;
use crate::api::event::Event;
use crate::api::stats::Stats;
use crate::context::alarms::Alarms;
use crate::context::events::Events;
use crate::context::knocks::Knocks;
use crate::secret::rng::Rng;
use crate::time::Instant;

/// The length of a tick.
pub(crate) const TICK: Duration = Duration::from_secs(5);
/// Heard of less than this many ticks ago, a node is recent: 1 minute.
pub(crate) const RECENT: u32 = 12;

/// What a node said of our address is taken again after this many ticks: 30 minutes. After a sleep all
/// nodes look at least twice that old.
pub(crate) const OLD: u32 = 360;

/// The configuration, the latest time, the node's randomness, its counters and its events.
#[derive(Clone)]
pub(crate) struct Cx {
    pub(crate) config: Arc<Config>,
    pub(crate) now: Instant,
    /// Periods of five seconds that have passed, and an hour's more for each sleep, whatever its length.
    pub(crate) tick: u32,
    pub(crate) rng: Rng,
    pub(crate) stats: Stats,
    pub(crate) events: Events,
    /// No place is left for a request of queries or of upkeep. Only `Requests` updates it.
    pub(crate) busy: bool,
    pub(crate) knocks: Knocks,
    pub(crate) alarms: Alarms,
}

impl Cx {
    /// Tells the user of a change.
    pub(crate) fn emit(&mut self, event: Event) {
        self.stats.drops.events += u64::from(self.events.push(event));
    }

    /// Tells the user what of the counters may be an attack. To be called once a tick.
    pub(crate) fn alarm(&mut self) {
        for event in self.alarms.news(&self.stats).into_iter().flatten() {
            self.emit(event);
        }
    }

    /// Whether a part may ask something now. If not, it is counted.
    pub(crate) fn may_ask(&mut self) -> bool {
        self.stats.drops.background += u64::from(self.busy);
        !self.busy
    }

    /// Whether strangers may cause one more datagram to a host that so many /24s have named, `again` or for the first time.
    /// If so it has to be [counted](Self::knock).
    pub(crate) fn may_knock(
        &self,
        host: Ipv4Addr,
        voices: &dyn Fn() -> usize,
        again: bool,
    ) -> bool {
        self.config.exempt.covers(host) || self.knocks.are_left(self.now, host, voices, again)
    }

    /// Strangers have caused a datagram to a host.
    pub(crate) fn knock(&mut self, host: Ipv4Addr) {
        if !self.config.exempt.covers(host) {
            self.knocks.count(self.now, host, self.config.marks());
        }
    }

    /// Whether the user lets a node into table and queries.
    pub(crate) fn admits(&self, addr: SocketAddrV4) -> bool {
        self.config.filter.as_ref().is_none_or(|filter| filter.allows(addr))
    }
}
