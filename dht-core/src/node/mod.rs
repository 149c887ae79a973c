//! The node: it holds the parts, and carries calls and facts between them. What is decided is decided in the parts: requests,
//! replies, members (the routing table), queries, reach (the own address) and upkeep. None of them knows this one.
//!
//! This file holds the passing of time. Each other file is one way through the parts: datagrams in (`inbound`) and out
//! (`outbound`), requests that have ended (`ended`), what callers ask for (`calls`, `query_calls`, `observe`), what queries
//! want (`queries`) and leave behind (`late`), what the table learns (`members`), what becomes of a found address (`reach`),
//! the stages of life (`life`), periodic work (`upkeep`), what the system did not send (`unsent`), the memory of it
//! all (`memory_bound`). Mirrors `index.js` and `lib/io.js`.

mod calls;
mod ended;
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
mod unsent;
mod upkeep;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;

use rand_core::CryptoRng;

use crate::api::config::Config;
use crate::api::error::ConfigError;
use crate::api::event::Event;
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
use crate::sources::names::{NameLookup, NameLookups};
use crate::time::Instant;
use crate::upkeep::clock::{Clock, SLEEP};
use crate::upkeep::{Stage, Upkeep};

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
        let mut node = Self::with_rng(self.cx.config.clone(), Rng::new([0; 32]), self.cx.now);
        node.close(self.cx.now);
        node
    }

    fn with_rng(config: Arc<Config>, mut rng: Rng, now: Instant) -> Self {
        let mut own = [0; 32];
        rng.fill(&mut own);
        let replies = Replies::new(&config, &mut rng, now);
        let tick = Clock::first_tick(&mut rng);
        let members = Members::new(&config, Id(own), &mut rng);
        let mut node = Self {
            members,
            requests: Requests::new(&config, now),
            replies,
            queries: Queries::default(),
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
        node
    }

    /// Call it when the time that [`poll_timeout`](Self::poll_timeout) told has come; at any
    /// other time it is harmless. Gives up on tries, sends delayed answers, does the upkeep.
    /// Its work is bounded by what is under way. Poll everything afterwards.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.enter(now);
        if !self.upkeep.is_running() {
            return;
        }
        self.on_overdue();
        self.replies.on_time(&mut self.cx);
        if self.sources.names.expire(now) {
            self.after_names();
        }
        let next = self.upkeep.bootstrap.on_time(now);
        self.go_on(next);
        self.change_on_time();
        self.end_late_walks();
        // At the end of time there is no next one.
        while self.upkeep.clock.next_tick() <= now && now < Instant::MAX {
            self.tick();
        }
        self.pump_stalled();
    }

    /// The latest moment to call [`handle_timeout`](Self::handle_timeout). `None`: nothing is to
    /// be waited for, as long as the node is not bound, or suspended, or closed.
    /// Any other call may change it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.upkeep.is_running() {
            return None;
        }
        let deadlines = [
            Some(self.upkeep.next_deadline()),
            self.requests.next_deadline(),
            self.replies.next_due(),
            self.sources.names.next_deadline(),
            self.queries.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next event, in the order in which things happened. Poll until `None` after any call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.cx.events.pop().or_else(|| {
            let running = self.upkeep.is_running();
            let bootstrapped = self.upkeep.bootstrap.is_done();
            let news = || self.reach.persistence_news(&self.cx.config, bootstrapped);
            running.then(news).flatten()
        })
    }

    /// The next name of a bootstrap node to look up. Tell the result by
    /// [`handle_resolved`](Self::handle_resolved); after 5 s without a result, the node goes on without it,
    /// but a later one is still of use.
    #[must_use]
    pub fn poll_name(&mut self) -> Option<NameLookup> {
        if self.upkeep.stage == Stage::Closed { None } else { self.sources.names.poll() }
    }

    /// The name to look up.
    #[must_use]
    pub fn name_of(&self, lookup: NameLookup) -> &str {
        let node = self.cx.config.bootstrap.get(NameLookups::index(lookup));
        node.and_then(|node| node.name()).unwrap_or_default()
    }

    /// The result of a look-up: all IPv4 addresses of the name, of which the first eight that can be sent
    /// to are used; none if the name does not exist, or has no address. What earlier results brought is
    /// not forgotten: up to 16 addresses of a name are tried, the latest first.
    /// A result that was not asked for is ignored.
    pub fn handle_resolved(&mut self, now: Instant, lookup: NameLookup, ips: &[Ipv4Addr]) {
        let now = self.enter(now);
        if let Some(news) = self.sources.names.resolved(now, lookup, ips) {
            self.after_names();
            if news {
                self.use_late_addresses();
            }
            self.pump_stalled();
        }
    }

    /// Every way in begins here: time never goes back, and sleep is noticed before anything else.
    fn enter(&mut self, now: Instant) -> Instant {
        // Counted from the last entry, if that was later: then the deadline was missed by a caller
        // who is awake, or left behind from before a suspension. So most entries need not look for
        // the deadline.
        let overslept = now.saturating_since(self.cx.now) > SLEEP
            && self.poll_timeout().is_some_and(|deadline| now.saturating_since(deadline) > SLEEP);
        self.cx.now = self.cx.now.max(now);
        self.requests.advance(self.cx.now);
        if overslept {
            self.wake_up();
            self.pump_stalled();
        }
        self.cx.now
    }

    /// Tells the user that there is something to take. Earlier notes of what was taken without waiting for them are let go.
    fn note(&mut self, event: Event) {
        self.cx.emit(event);
        let (events, requests) = (&mut self.cx.events, &self.requests);
        let most = self.cx.config.max_events + 2 * requests.users();
        if events.notes() > most && events.notes() > most + 2 * self.queries.notes() {
            let queries = &mut self.queries;
            queries.count_notes();
            events.retain(|event| match event {
                Event::Response(id) => requests.has_result(*id),
                Event::Reply(id) => queries.keeps_note(*id),
                Event::Finished(id) => queries.has(*id),
                _ => true,
            });
        }
    }

    /// The socket that requests leave by: by the server's once the node knows that it is reachable.
    #[must_use]
    pub fn request_via(&self) -> Via {
        self.reach.request_via()
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
            .field("stage", &self.upkeep.stage)
            .field("ephemeral", &self.reach.is_ephemeral())
            .field("firewalled", &self.reach.is_firewalled())
            .field("table", &self.members.table().len())
            .field("in_flight", &self.requests.live())
            .finish_non_exhaustive()
    }
}
