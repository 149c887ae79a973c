//! The node: it holds the parts, and carries calls and facts between them. What is decided is decided in the parts: requests,
//! replies, members (the routing table), queries, reach (the own address) and upkeep. None of them knows this one.
//!
//! [`Node`] is what users see. Its parts can be read everywhere, but changed only through `entry`, which tells the time
//! first and at the end polls the parts until none of them wants anything (`settle`). Ways in are `calls`, `query_calls`,
//! `inbound`, `outbound`, `time`, `life`, `saved` and `observe`.
//!
//! Inside, each file calls only files before it: `asking` (a request begins), `searches` (a query begins), `reach` (what
//! becomes of a found address), `members` (what the table learns), `late` (visits that queries leave behind), `queries`,
//! `ended` (requests that have ended), `upkeep` (periodic work), `life` (its stages). Mirrors `index.js` and `lib/io.js`.

mod asking;
mod calls;
mod ended;
mod entry;
mod inbound;
#[cfg(any(test, feature = "_invariants"))]
mod invariants;
mod late;
mod life;
mod members;
mod memory_bound;
mod observe;
mod outbound;
mod queries;
mod query_calls;
mod reach;
mod saved;
mod searches;
mod settle;
mod time;
mod upkeep;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use crate::api::config::Config;
use crate::api::error::ConfigError;
use crate::api::message::Via;
use crate::api::stats::Stats;
use crate::context::Cx;
use crate::context::events::Events;
use crate::id::Id;
use crate::members::Members;
use crate::queries::Queries;
use crate::reach::Reach;
use crate::replies::Replies;
use crate::requests::Requests;
use crate::secret::rng::Rng;
use crate::sources::Sources;
use crate::time::Instant;
use crate::upkeep::Upkeep;
use crate::upkeep::clock::Clock;
use entry::Settled;

/// A dht-rpc node without sockets, clock or randomness of its own.
///
/// Hand in what happens (`handle_*`), ask for what is wanted (`request`, `query`, …), and poll
/// what follows ([`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event),
/// [`poll_timeout`](Self::poll_timeout), [`poll_name`](Self::poll_name)) until `None`.
/// Any order of calls is legal: polling late delays, but never corrupts, and a call too
/// many is harmless. `now` never goes back: an earlier one counts as the latest so far.
///
/// A clone is a fork: both go on from the same state, with the same randomness.
#[derive(Clone)]
pub struct Node {
    parts: Settled,
}

/// The parts of a node, and what is handed down to them.
#[derive(Clone)]
struct Parts {
    cx: Cx,
    members: Members,
    requests: Requests,
    replies: Replies,
    queries: Queries,
    sources: Sources,
    reach: Reach,
    upkeep: Upkeep,
}

impl Node {
    /// A node that is not bound yet. `rng` is any `CryptoRng` of `rand_core` 0.10, for instance
    /// `rand::rng()` of `rand` 0.10. All randomness that it will ever use follows from
    /// 32 bytes drawn here: same inputs and same seed, same bytes out.
    ///
    /// Many nodes may share a configuration, as an `Arc<Config>`: each makes a copy only if there
    /// are `nodes` in it, or to switch events.
    ///
    /// # Errors
    /// If a number in the configuration is outside its documented range.
    pub fn new(
        config: impl Into<Arc<Config>>,
        rng: &mut impl CryptoRng,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let config = config.into();
        config.check()?;
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Ok(Self::with_rng(config, Rng::new(seed), now))
    }

    /// As [`new`](Self::new), with the 32 bytes that are drawn there.
    #[cfg(feature = "driver")]
    pub(crate) fn seeded(
        config: Config,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::with_rng(config.into(), Rng::new(seed), now))
    }

    /// A closed node of the same configuration, to stand in for a node that was left in the middle of a call.
    #[cfg(feature = "driver")]
    pub(crate) fn stand_in(&self) -> Self {
        let now = self.parts.cx.now;
        let mut node = Self::with_rng(self.parts.cx.config.clone(), Rng::new([0; 32]), now);
        node.close(now);
        node
    }

    fn with_rng(config: Arc<Config>, mut rng: Rng, now: Instant) -> Self {
        let mut own = [0; 32];
        rng.fill(&mut own);
        let replies = Replies::new(&config, &mut rng, now);
        let tick = Clock::first_tick(&mut rng);
        let members = Members::new(&config, Id(own), &mut rng);
        let mut node = Parts {
            members,
            requests: Requests::new(&config, now),
            replies,
            queries: Queries::new(&config),
            sources: Sources::new(&config, tick),
            reach: Reach::new(&config),
            upkeep: Upkeep::new(),
            cx: Cx {
                now,
                tick,
                rng,
                stats: Stats::default(),
                events: Events::new(config.max_events, events_max(&config)),
                busy: false,
                config,
            },
        };
        for at in (0..node.cx.config.nodes.len()).rev() {
            if let Some(addr) = node.cx.config.nodes.get(at).copied() {
                node.members.admit(&mut node.cx, addr);
            }
        }
        if !node.cx.config.nodes.is_empty() {
            Arc::make_mut(&mut node.cx.config).nodes = Vec::new();
        }
        Self { parts: Settled::new(node) }
    }

    /// The socket that requests leave by: by the server's once the node knows that it is reachable.
    #[must_use]
    pub fn request_via(&self) -> Via {
        self.parts.reach.request_via()
    }
}

/// The most events in the queue: beyond it stale ones are let go; one more, since that is seen when it is there.
fn events_max(config: &Config) -> usize {
    let notes = config.max_requests + config.max_queries * (config.max_unread_replies + 1);
    2 * (config.max_events + notes) + 1
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("stage", &self.parts.upkeep.stage)
            .field("ephemeral", &self.parts.reach.is_ephemeral())
            .field("firewalled", &self.parts.reach.is_firewalled())
            .field("table", &self.parts.members.table().len())
            .field("in_flight", &self.parts.requests.flights().live())
            .finish_non_exhaustive()
    }
}
