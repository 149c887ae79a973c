//! The address at which most peers see us.
//!
//! Every answer says under which address its sender saw us. The last 16 of these
//! samples vote: host and port are believed when all but a few agree on both, the
//! host alone (port 0) when they agree on that only, as behind a NAT that maps
//! each destination to another port. Which samples are counted is decided by the
//! caller, except that each /24 of senders has one vote.
//!
//! Gives the results of `nat-sampler` for the same samples. That package looks
//! only at the last four samples for one to count a new one with, which never
//! shows: an address that is believed is missing at most three times.

use core::net::{Ipv4Addr, SocketAddrV4};

use heapless::Vec;

use crate::addr::prefix24;
use crate::api::exempt::Exempt;

/// How many samples vote.
pub(crate) const WINDOW: usize = 16;

/// How many of [`WINDOW`] samples may disagree; and there must be at least this many samples for each
/// that does.
const MISSES: usize = 3;
const PER_MISS: usize = 4;

/// The last samples, and what follows from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sampler {
    /// The next to give way first.
    samples: Vec<Sample, WINDOW>,
    host: Option<Ipv4Addr>,
    port: u16,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    addr: SocketAddrV4,
    /// The /24 of the sender, or [`ANY`]. Bytes, since a number would take up twice as much.
    witness: [u8; 4],
}

/// A sender with as many votes as samples. No /24 has this value: a /24 leaves the first byte 0.
const ANY: [u8; 4] = [0xff; 4];

impl Sampler {
    /// No samples.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Counts a sample, in place of the oldest when there are [`WINDOW`].
    ///
    /// Says whether [`host`](Self::host) or [`port`](Self::port) changed.
    pub(crate) fn add(&mut self, addr: SocketAddrV4) -> bool {
        self.push(Sample { addr, witness: ANY });
        self.decide()
    }

    /// Counts the sample of `from` in place of the earlier one of its /24, if that still counts.
    ///
    /// So the owner of a /24 has one vote, and a node whose peers all live in
    /// one still learns when its address changes. Senders with a local address,
    /// as in a test network on one machine, are exempt.
    pub(crate) fn add_from(&mut self, addr: SocketAddrV4, from: Ipv4Addr, exempt: &Exempt) -> bool {
        let witness = if exempt.covers(from) { ANY } else { prefix24(from).to_be_bytes() };
        let sample = Sample { addr, witness };
        let mut samples = self.samples.iter_mut();
        match samples.find(|earlier| witness != ANY && earlier.witness == witness) {
            Some(earlier) => *earlier = sample,
            None => self.push(sample),
        }
        self.decide()
    }

    /// As if all had seen us at `addr`.
    pub(crate) fn unanimous(addr: SocketAddrV4) -> Self {
        let mut sampler = Self::default();
        for _ in 0..WINDOW {
            sampler.add(addr);
        }
        sampler
    }

    /// Forgets who has seen us at another host.
    pub(crate) fn keep_only(&mut self, host: Ipv4Addr) {
        self.samples.retain(|sample| *sample.addr.ip() == host);
        self.decide();
    }

    /// Our host as most peers see it, if enough of them agree.
    pub(crate) fn host(&self) -> Option<Ipv4Addr> {
        self.host
    }

    /// Our port as most peers see it; 0 if unknown, or if it is not the same for all.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many samples vote: at most [`WINDOW`].
    pub(crate) fn size(&self) -> usize {
        self.samples.len()
    }

    /// The host that each sample shows.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.samples.iter().map(|sample| *sample.addr.ip())
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.is_full() {
            self.samples.remove(0);
        }
        // There is a place.
        let _ = self.samples.push(sample);
    }

    fn decide(&mut self) -> bool {
        let before = (self.host, self.port);
        (self.host, self.port) = match self.agreed(|addr| addr) {
            Some(addr) => (Some(*addr.ip()), addr.port()),
            None => (self.agreed(|addr| *addr.ip()), 0),
        };
        before != (self.host, self.port)
    }

    /// What enough samples agree on in respect of `key`.
    fn agreed<K: PartialEq>(&self, key: impl Fn(SocketAddrV4) -> K) -> Option<K> {
        let samples = &self.samples;
        let misses = (samples.len() / PER_MISS).min(MISSES);
        let votes = |k: &K| samples.iter().filter(|s| key(s.addr) == *k).count();
        // With so few misses, one more sample than that contains the winner.
        let candidates = samples.iter().take(misses + 1).map(|s| key(s.addr));
        candidates.into_iter().find(|k| votes(k) + misses >= samples.len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn addr((host, port): (u8, u16)) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(host, 0, 0, 1), port)
    }

    fn result(sampler: &Sampler) -> (u8, u16) {
        let host = sampler.host().map_or(0, |host| host.octets()[0]);
        (host, sampler.port())
    }

    #[test]
    fn gives_what_nat_sampler_gives() {
        // Samples and the results after each, as the package (1.0.1) computes them.
        // a, b, c: three ports of host 1; d, e: hosts 2 and 3 with the port of a;
        // `1`: host 1 without port; `.`: unknown.
        for (samples, expected) in [
            ("a", "a"),
            ("ab", "a1"),
            ("ad", "a."),
            ("aab", "aa1"),
            ("aada", "aa.a"),
            ("aaad", "aaaa"),
            ("aaadd", "aaaa."),
            ("aaaddaaa", "aaaa...a"),
            ("daaa", "d..a"),
            ("daaaeaaa", "d..a...a"),
            ("aaaaaadda", "aaaaaaaaa"),
            ("daaaeaaabaaa", "d..a...a111a"),
            ("abcabcabc", "a11111111"),
            ("abcdabcabc", "a111111111"),
            ("dddaaaaaaaaaaaaaddddaaaaaaaaaaaaaaaa", "dddd.......aaaaaaaa.............aaaa"),
            ("aaaaaaaaaaaaaaaadddddddddddddddd", "aaaaaaaaaaaaaaaaaaa.........dddd"),
            ("aaaabbbbccccaaaabbbb", "aaaaa111111111111111"),
            ("aaaaaaaaaaaaadddeaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa.............aaa"),
            ("aaadaaadaaadaaadaaadeaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaa............aaaaaaaa"),
            ("adbdadadadadadad", "a..............."),
        ] {
            let mut sampler = Sampler::new();
            for (sample, expected) in samples.chars().zip(expected.chars()) {
                let meaning = |name| match name {
                    'a' => (1, 7),
                    'b' => (1, 8),
                    'c' => (1, 9),
                    'd' => (2, 7),
                    'e' => (3, 7),
                    '1' => (1, 0),
                    _ => (0, 0),
                };
                sampler.add(addr(meaning(sample)));
                assert_eq!(result(&sampler), meaning(expected), "in {samples}");
            }
        }
    }

    #[test]
    fn says_when_the_result_changes() {
        let mut sampler = Sampler::new();
        let told = [(1, 7), (1, 7), (1, 8), (2, 8), (2, 8)].map(|s| sampler.add(addr(s)));
        // Known; the same; host only; 3 of 4 hosts still; unknown.
        assert_eq!(told, [true, false, true, false, true]);
        assert_eq!(result(&sampler), (0, 0));
    }

    #[test]
    fn a_prefix_has_one_vote() {
        let honest = addr((1, 7));
        let lie = addr((66, 6));
        let mut sampler = Sampler::new();
        for i in 0..13 {
            sampler.add_from(honest, Ipv4Addr::new(80, 0, i, 1), &Exempt::Local);
        }
        for i in 0..=255 {
            assert!(!sampler.add_from(lie, Ipv4Addr::new(90, 0, 0, i), &Exempt::Local));
        }
        assert_eq!((sampler.size(), result(&sampler)), (14, (1, 7)));
        // Three prefixes may lie, not four.
        sampler.add_from(lie, Ipv4Addr::new(90, 0, 1, 1), &Exempt::Local);
        sampler.add_from(lie, Ipv4Addr::new(90, 0, 2, 1), &Exempt::Local);
        assert_eq!((sampler.size(), result(&sampler)), (16, (1, 7)));
        sampler.add_from(lie, Ipv4Addr::new(90, 0, 3, 1), &Exempt::Local);
        assert_eq!((sampler.size(), result(&sampler)), (16, (0, 0)));
    }

    #[test]
    fn a_prefix_may_change_its_mind() {
        let from = Ipv4Addr::new(80, 0, 0, 1);
        let mut sampler = Sampler::new();
        sampler.add_from(addr((1, 7)), from, &Exempt::Local);
        assert!(sampler.add_from(addr((2, 8)), from, &Exempt::Local));
        assert_eq!((sampler.size(), result(&sampler)), (1, (2, 8)));
    }

    #[test]
    fn local_senders_and_unknown_ones_have_any_number_of_votes() {
        let mut sampler = Sampler::new();
        sampler.add(addr((1, 7)));
        sampler.add(addr((1, 7)));
        sampler.add_from(addr((1, 7)), Ipv4Addr::LOCALHOST, &Exempt::Local);
        sampler.add_from(addr((1, 7)), Ipv4Addr::LOCALHOST, &Exempt::Local);
        assert_eq!(sampler.size(), 4);
    }

    /// What `n` samples must have in common, by the rule as it is written down.
    fn needed(n: usize) -> usize {
        match n {
            0..4 => n,
            4..8 => n - 1,
            8..12 => n - 2,
            _ => n - 3,
        }
    }

    proptest! {
        /// The model keeps every sample, and sorts the last 16 to find the longest run.
        #[test]
        fn follows_the_model(
            samples in prop::collection::vec((prop_oneof![9 => Just(1_u8), 1 => 2..4_u8],
                prop_oneof![9 => Just(7_u16), 1 => 8..10_u16]), 1..60),
        ) {
            let mut sampler = Sampler::new();
            for n in 1..=samples.len() {
                sampler.add(addr(samples[n - 1]));
                let mut last: Vec<_> = samples[n.saturating_sub(16)..n].to_vec();
                last.sort_unstable();
                let most = |same: fn(&(u8, u16), &(u8, u16)) -> bool| {
                    last.chunk_by(same).max_by_key(|run| run.len()).map(|run| (run[0], run.len()))
                };
                let (both, both_votes) = most(|a, b| a == b).unwrap();
                let (host, host_votes) = most(|a, b| a.0 == b.0).unwrap();
                let expected = if both_votes >= needed(last.len()) {
                    both
                } else if host_votes >= needed(last.len()) {
                    (host.0, 0)
                } else {
                    (0, 0)
                };
                prop_assert_eq!(result(&sampler), expected);
                prop_assert_eq!(sampler.size(), last.len());
            }
        }
    }
}
