//! How many bytes leave for hosts that have not shown that they are there: anyone can send requests in their name.
//!
//! An answer takes at most [three times](FACTOR) the bytes of its request. What is longer, a value, is paid from a bucket
//! of its /24, so that first lookups work. A host that has proved itself has no limit for ten minutes. So that
//! the many behind one NAT prove theirs before the bucket is empty, its host is asked once the bucket is half empty.
//!
//! It does not pay to have a bucket displaced in order to get a full one: the fullest of 512 gives way.

use core::net::Ipv4Addr;

use crate::bounded::marks::{HOST, List, Mark, PREFIX, Pair, SECOND, unit};
use crate::bounded::memory::Heap;
use crate::time::Instant;

/// Bytes that may leave for each that came, IP and UDP headers counted.
const FACTOR: usize = 3;
/// The headers of a datagram: of IPv4 20 bytes, of UDP 8.
const HEADERS: usize = 28;

/// What a full bucket holds: two seconds, at an answer per unit.
const BURST: u32 = 2 * SECOND;
/// How long a proof counts: ten minutes.
const PROOF: u32 = 600 * SECOND;

/// The longest answer to a request of this length that any source gets.
pub(crate) const fn most(asked: usize) -> usize {
    FACTOR * (asked + HEADERS) - HEADERS
}

/// What a bucket has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paid {
    Yes,
    /// It has, but is half empty.
    Barely,
    No,
}

/// When buckets are full again, and which hosts are there.
#[derive(Clone, Default)]
pub(crate) struct Budget(Pair);

const BUCKETS: List = (0, PREFIX);
const HOSTS: List = (1, HOST);

impl Budget {
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        Pair::add_to(heap, max);
    }

    /// A host has shown a token of ours, or was asked for a proof and has answered.
    pub(crate) fn prove(&mut self, now: Instant, host: Ipv4Addr, max: usize) {
        let mark = Mark { key: host.to_bits(), until: unit(now).wrapping_add(PROOF) };
        self.0.put(HOSTS, max, now, mark);
    }

    /// Whether a host has lately proved that it is there.
    pub(crate) fn is_proven(&self, now: Instant, host: Ipv4Addr) -> bool {
        self.0.get(HOSTS, host, now).is_some()
    }

    /// Takes a long answer out of the bucket of a host's /24.
    pub(crate) fn pay(&mut self, now: Instant, host: Ipv4Addr, max: usize) -> Paid {
        let unit = unit(now);
        let bucket = self.0.get(BUCKETS, host, now);
        let missing = bucket.map_or(0, |mark| mark.until.wrapping_sub(unit));
        if missing >= BURST {
            return Paid::No;
        }
        let mark = Mark { key: host.to_bits(), until: unit.wrapping_add(missing + 1) };
        self.0.put(BUCKETS, max, now, mark);
        if missing < BURST / 2 { Paid::Yes } else { Paid::Barely }
    }

    /// A host has answered what it was asked, as nobody else could. It is remembered where values are wanted.
    pub(crate) fn answered(&mut self, now: Instant, host: Ipv4Addr, max: usize) {
        if self.0.get(BUCKETS, host, now).is_some() {
            self.prove(now, host, max);
        }
    }

    /// Forgets what counts no more, and gives memory back.
    pub(crate) fn trim(&mut self, now: Instant) {
        self.0.trim(now);
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, max: usize) {
        self.0.check_invariants([BUCKETS, HOSTS], max);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MAX: usize = 100;
    const START: Instant = Instant::from_millis(1_000_000);

    fn host(net: u32, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x2e00_0000 + (net << 8) + n)
    }

    fn paid(budget: &mut Budget, now: Instant, host: Ipv4Addr) -> usize {
        (0..1_000).filter(|_| budget.pay(now, host, MAX) != Paid::No).count()
    }

    #[test]
    fn three_times_with_headers() {
        assert_eq!([39, 43, 75].map(most), [173, 185, 281]);
    }

    #[test]
    fn a_bucket_holds_forty_and_gets_twenty_a_second() {
        let mut budget = Budget::default();
        assert_eq!(paid(&mut budget, START, host(1, 1)), 40);
        assert_eq!(paid(&mut budget, START, host(1, 2)), 0, "its /24 shares it");
        assert_eq!(paid(&mut budget, START, host(2, 1)), 40);
        assert_eq!(paid(&mut budget, START + SECOND, host(1, 1)), 20);
        assert_eq!(paid(&mut budget, START + SECOND * 4, host(1, 1)), 40);
    }

    #[test]
    fn half_empty_is_told() {
        let mut budget = Budget::default();
        let all: Vec<_> = (0..41).map(|_| budget.pay(START, host(1, 1), MAX)).collect();
        assert_eq!(all[..20], [Paid::Yes; 20]);
        assert_eq!(all[20..40], [Paid::Barely; 20]);
        assert_eq!(all[40], Paid::No);
    }

    #[test]
    fn a_proof_is_of_one_host_and_for_ten_minutes() {
        let mut budget = Budget::default();
        budget.prove(START, host(1, 1), MAX);
        let end = START + SECOND * 600;
        assert!(budget.is_proven(end - SECOND / 10, host(1, 1)));
        assert!(!budget.is_proven(end, host(1, 1)) && !budget.is_proven(START, host(1, 2)));
    }

    #[test]
    fn an_answer_is_a_proof_where_values_are_wanted() {
        let mut budget = Budget::default();
        budget.answered(START, host(1, 1), MAX);
        assert!(!budget.is_proven(START, host(1, 1)) && budget.0.is_at_rest());
        budget.pay(START, host(1, 2), MAX);
        budget.answered(START, host(1, 1), MAX);
        assert!(budget.is_proven(START, host(1, 1)) && !budget.is_proven(START, host(1, 2)));
    }

    #[test]
    fn tables_are_bounded_and_leave_nothing_behind() {
        let mut budget = Budget::default();
        let mut now = START;
        for n in 0..300 {
            now += SECOND / 10;
            budget.prove(now, host(n, 1), MAX);
            budget.pay(now, host(n, 1), MAX);
            budget.check_invariants(MAX);
        }
        let known = |n: &u32| budget.is_proven(now, host(*n, 1));
        assert_eq!((0..300).filter(known).collect::<Vec<_>>(), (200..300).collect::<Vec<_>>());
        budget.trim(now);
        assert!(!budget.0.is_at_rest());
        budget.trim(now + SECOND * 600);
        assert!(budget.0.is_at_rest());
    }

    #[test]
    fn an_empty_bucket_is_not_displaced_by_full_ones() {
        let mut budget = Budget::default();
        assert_eq!(paid(&mut budget, START, host(7_000, 1)), 40);
        (0..1_000).for_each(|n| _ = budget.pay(START, host(n, 1), MAX));
        assert_eq!(paid(&mut budget, START, host(7_000, 1)), 0);
    }

    #[test]
    fn who_comes_again_is_displaced_last() {
        let (mut budget, mut now) = (Budget::default(), START);
        for n in [1, 2, 3, 1, 4] {
            now += SECOND;
            budget.prove(now, host(n, 1), 3);
        }
        let proven = [1, 2, 3, 4].map(|n| budget.is_proven(now, host(n, 1)));
        assert_eq!(proven, [true, false, true, true]);
    }
}
