//! Counters, as plain numbers. Exporting them is the embedder's business.

use crate::wire::command::{DOWN_HINT, FIND_NODE, PING, PING_NAT};

/// A snapshot of a node's counters since it was made.
///
/// `queries`, `requests` and `commands` count as dht-rpc's `stats` do, which has not all of their fields. `verifications`, `drops` and
/// `withheld` have no counterpart there, and what they count is in none of dht-rpc's counters.
///
/// ```
/// use dht_core::{Config, Instant, Node, Via};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// let (now, addr) = (Instant::ZERO, "45.0.0.1:49737".parse()?);
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// node.handle_bound(now, addr, addr);
/// let before = node.stats();
/// let _ = node.handle_datagram(now, Via::Server, "45.0.1.1:49737".parse()?, b"hello");
/// assert_eq!(node.stats().drops.not_ours - before.drops.not_ours, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Queries, the background ones among them.
    pub queries: QueryStats,
    /// Requests of all kinds, but for verifications.
    pub requests: RequestStats,
    /// Internal commands.
    pub commands: CommandStats,
    /// Requests of one try (PING or FIND_NODE) to nodes that claim an id, were lost, or were given by the user.
    pub verifications: VerificationStats,
    /// Datagrams and intentions that were dropped, by reason.
    pub drops: DropStats,
    /// What was not sent since its receiver may not be there.
    pub withheld: WithheldStats,
}

/// Counts of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStats {
    /// Under way.
    pub active: u64,
    /// Ever begun.
    pub total: u64,
    /// Asked nodes from all over the routing table as well, since the nearest nodes found were too far from the target, or
    /// of too few hosts.
    pub asked_witnesses: u64,
    /// Of these, ended with nodes that are too far from the target all the same.
    pub thin: u64,
    /// Went on to more than the 20 nearest, since these were too near the target to be there by chance.
    pub crowded: u64,
}

/// Counts of requests. `total == active + responses + timeouts + unsent + cancelled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestStats {
    /// Under way or waiting to be sent.
    pub active: u64,
    /// Ever made.
    pub total: u64,
    /// Answered.
    pub responses: u64,
    /// Given up after the last try.
    pub timeouts: u64,
    /// Given up as well, but the system did not even send all tries.
    pub unsent: u64,
    /// Sent again.
    pub retries: u64,
    /// Cancelled by the caller, by a session's end, by suspending or closing.
    pub cancelled: u64,
}

/// Counts per internal command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandStats {
    /// PING.
    pub ping: CommandCount,
    /// PING_NAT.
    pub ping_nat: CommandCount,
    /// FIND_NODE.
    pub find_node: CommandCount,
    /// DOWN_HINT.
    pub down_hint: CommandCount,
}

/// Requests made and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandCount {
    /// Requests made (not datagrams).
    pub tx: u64,
    /// Answers to them.
    pub rx: u64,
}

/// Counts of verifications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerificationStats {
    /// Made.
    pub sent: u64,
    /// Answered with a proven id.
    pub verified: u64,
    /// Answered without one, or not at all.
    pub failed: u64,
    /// Candidates given up for a newer one, since 64 were waiting.
    pub displaced: u64,
}

/// What hosts did not get that have not shown that they are there: else anyone could, in their name, have us flood them.
/// A host has if it has answered a request of ours, or has sent a token of ours, within ten minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithheldStats {
    /// Answers with a value that went with fewer closer nodes, or none: they were longer than three times the request,
    /// and its sender's /24 had had its 20 long answers a second.
    pub closer_nodes: u64,
    /// Answers that were not given: the same, of answers that are too long even without closer nodes.
    pub answers: u64,
    /// Requests and retries that were not made, to nodes that only peers have named, or that claim an id, since others
    /// of their host or /24 did not answer.
    pub requests: u64,
}

/// Drops by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DropStats {
    /// Not a dht-rpc datagram (told to the embedder).
    pub not_ours: u64,
    /// Longer than [`Config::max_datagram_received`](crate::Config::max_datagram_received).
    pub oversize: u64,
    /// Cut off in the middle of a field, or a number or a count out of range.
    pub malformed: u64,
    /// From an address to which no answer can be sent: source port 0, or an address that no host has.
    pub bad_source: u64,
    /// Arrived while suspended or closed.
    pub suspended: u64,
    /// A response to nothing that is in flight: late, a duplicate or forged.
    pub unsolicited: u64,
    /// A response with a live transaction id from an address that was not asked.
    pub wrong_source: u64,
    /// A request with a token that fits neither secret (it gets error 2).
    pub bad_token: u64,
    /// An internal request whose value or target is missing or out of range.
    pub bad_command: u64,
    /// A delayed ping above the limit on their number.
    pub delayed_pings: u64,
    /// A down hint above the limit on their number.
    pub down_hints: u64,
    /// A reply that found no place in the outgoing queue.
    pub replies: u64,
    /// An address among closer nodes that can't be real, is kept out by [`Config::filter`](crate::Config::filter), or is the
    /// node's own: honest peers that have this node in their tables name it to itself, too.
    pub closer_nodes: u64,
    /// A background request or a down hint that found no place.
    pub background: u64,
    /// Events about nodes that were not polled in time.
    pub events: u64,
}

impl CommandStats {
    /// The counter of a command, if it has one.
    pub(crate) fn of(&mut self, internal: bool, command: u64) -> Option<&mut CommandCount> {
        match command {
            _ if !internal => None,
            PING => Some(&mut self.ping),
            PING_NAT => Some(&mut self.ping_nat),
            FIND_NODE => Some(&mut self.find_node),
            DOWN_HINT => Some(&mut self.down_hint),
            _ => None,
        }
    }
}
