//! How a node comes into being.

use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::entry::Settled;
use super::{Node, Parts};
use crate::api::config::Config;
use crate::api::error::ConfigError;
use crate::api::stats::Stats;
use crate::context::Cx;
use crate::context::alarms::Alarms;
use crate::context::events::Events;
use crate::context::knocks::Knocks;
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
                knocks: Knocks::default(),
                alarms: Alarms::default(),
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
}

/// The most events in the queue: beyond it stale ones are let go; one more, since that is seen when it is there.
pub(super) fn events_max(config: &Config) -> usize {
    let notes = config.max_requests + config.max_queries * (config.max_unread_replies + 1);
    2 * (config.max_events + notes) + 1
}
