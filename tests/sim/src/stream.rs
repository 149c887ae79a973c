//! Randomness: one stream per seed, purpose and node.
//!
//! A stream is a counter run through a mixing function, so it is eight bytes large, costs a
//! few instructions, and what one node draws never shifts what another one gets. Adding a node, or a
//! new use of randomness under a purpose of its own, leaves all other streams as they are.
//!
//! Not for secrets: it simulates a network. The nodes' own secrets come from it as well, so a
//! simulated attacker must not be given a stream of the node that it attacks.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// The seed of a node's own generator.
    Node = 1,
    /// What happens to the datagrams that a node sends.
    Link = 2,
    /// When nodes come and go.
    Churn = 3,
    /// What nodes are asked to do, and when.
    Workload = 4,
    /// Ports of a NAT.
    Nat = 5,
    /// Clocks.
    Clock = 6,
    /// What a user's application draws.
    App = 7,
    /// What an attacker draws.
    Actor = 8,
    /// The faults of a random scenario.
    Scenario = 9,
}

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `node` (or of whatever else is numbered) for `purpose`.
    #[must_use]
    pub const fn new(seed: u64, purpose: Purpose, node: u32) -> Self {
        let which = (purpose as u64) << 32 | node as u64;
        Self(mix(mix(seed) ^ mix(which.wrapping_mul(0xd1b5_4a32_d192_ed03))))
    }

    /// 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..n`; 0 if `n` is 0. (The bias is below `n` in 2^64.)
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// A number in `0.0..1.0`, one of 2^53.
    pub const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True with this probability; always or never at the ends.
    pub const fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// So that a node can be seeded from it.
impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// In a simulation the seed is known to whoever runs it.
impl TryCryptoRng for Stream {}
