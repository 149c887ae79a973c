//! The node: it holds the parts, and carries calls and facts between them. What is decided is decided in the parts: requests,
//! replies, members (the routing table), queries, reach (the own address) and upkeep. None of them knows this one.
//!
//! [`Node`] is what users see. Its parts can be read everywhere, but changed only through `entry`, which tells the time
//! first and at the end polls the parts until none of them wants anything (`settle`). Ways in are `calls`, `query_calls`,
//! `inbound`, `outbound`, `time`, `life`, `upkeep`, `saved` and `observe`.
//!
//! Inside, each file calls only files before it: `asking` (a request begins), `searches` (a query begins), `reach` (what
//! becomes of a found address), `members` (what the table learns), `late` (visits that queries leave behind), `queries`,
//! `ended` (requests that have ended), `upkeep` (periodic work), `life` (its stages). Mirrors `index.js` and `lib/io.js`.

/// What [`Reach`] is shown of the rest of the node.
macro_rules! others {
    ($node:expr) => {
        crate::reach::Others { table: $node.members.table(), sources: &$node.sources }
    };
}

mod asking;
mod ended;
mod entry;
#[cfg(any(test, feature = "_invariants"))]
mod invariants;
mod late;
mod members;
mod queries;
mod reach;
mod searches;
mod settle;

use core::fmt;

use crate::context::Cx;
use crate::members::Members;
use crate::queries::Queries;
use crate::reach::Reach;
use crate::replies::Replies;
use crate::requests::Requests;
use crate::sources::Sources;
use crate::upkeep::Upkeep;
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
///
/// ```
/// use dht_core::{Config, DATAGRAM_MAX, Event, Instant, Node, Request};
/// use rand_core::SeedableRng;
///
/// let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
/// let now = Instant::ZERO;
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// let (client, server) = ("45.0.0.1:50000".parse()?, "45.0.0.1:49737".parse()?);
/// node.handle_bound(now, client, server);
/// assert_eq!(node.poll_event(), Some(Event::Listening));
///
/// let peer = "45.0.1.1:49737".parse()?;
/// node.request(now, Request::ping(peer))?;
/// let mut buf = [0; DATAGRAM_MAX];
/// let sent = node.poll_transmit(now, &mut buf).ok_or("nothing to send")?;
/// assert_eq!(sent.to, peer);
/// // Send `&buf[..sent.len]`, then wait for a datagram, but no longer than this:
/// assert!(node.poll_timeout().is_some());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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

// The documentation shows the methods of `Node` in this order.
mod creation;

mod inbound;

mod outbound;

mod time;

mod calls;

mod query_calls;

mod observe;

mod life;

mod saved;

mod upkeep;

mod memory_bound;
