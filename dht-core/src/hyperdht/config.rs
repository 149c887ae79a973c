//! How much a node keeps for its peers, for how long, and how much work it does for them.

use core::time::Duration;

use crate::api::exempt::Exempt;

/// How a [`Service`](super::Service) serves.
///
/// ```
/// use dht_core::hyperdht::{Service, ServiceConfig};
///
/// let small = ServiceConfig { immutable_bytes: 1 << 20, mutable_bytes: 1 << 20, ..ServiceConfig::default() };
/// assert!(Service::memory_bound(&small) < Service::memory_bound(&ServiceConfig::default()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Bytes for who has announced which topic; 16 MiB by default. An announcement takes about 800 bytes of this (a value 450 and its length), since
    /// the bookkeeping is counted at its largest.
    pub topic_bytes: usize,
    /// Bytes for peers that have announced themselves, and whose handshakes are relayed; 16 MiB by default.
    pub peer_bytes: usize,
    /// Bytes for announcements that can be refreshed; 16 MiB by default.
    pub refresh_bytes: usize,
    /// Bytes for the bumps of topics; 4 MiB by default.
    pub bump_bytes: usize,
    /// Bytes for mutable values; 32 MiB by default.
    pub mutable_bytes: usize,
    /// Bytes for immutable values; 32 MiB by default.
    pub immutable_bytes: usize,
    /// The longest value of an answer, in bytes; 1,323 by default, which fits into a datagram of 1,400. Longer values are
    /// not stored, since who asks for them would get no answer; answers to `LOOKUP` have fewer peers.
    pub max_value: usize,
    /// How long announcements of topics count; 20 minutes by default, as in the reference on average. A peer's announcement of itself lives on
    /// for as long again whenever it is asked for, a bump also whenever somebody announces the topic.
    pub announcement_life: Duration,
    /// How long a value is kept after it was last stored or asked for; 48 hours by default, as in the reference on average.
    pub value_life: Duration,
    /// Signatures that are checked in a second, 1,000 by default: less than a tenth of a core's time.
    pub checks_per_second: u32,
    /// The same for one /24, unless it is exempt; 100 by default. A /24 never takes more than a quarter of what is left for
    /// all, so it has fewer while many /24s have some.
    pub checks_per_source: u32,
    /// Whom limits per /24 don't apply to: as [`Config::exempt`](crate::Config::exempt).
    pub exempt: Exempt,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            topic_bytes: 16 * MIB,
            peer_bytes: 16 * MIB,
            refresh_bytes: 16 * MIB,
            bump_bytes: 4 * MIB,
            mutable_bytes: 32 * MIB,
            immutable_bytes: 32 * MIB,
            max_value: 1_323,
            announcement_life: Duration::from_secs(20 * 60),
            value_life: Duration::from_secs(48 * 60 * 60),
            checks_per_second: 1_000,
            checks_per_source: 100,
            exempt: Exempt::Local,
        }
    }
}
