//! What may leave for hosts that have not shown that they are there: anyone can send requests in their name, or name
//! nodes at their addresses.
//!
//! Bytes: an answer takes at most [three times](FACTOR) the bytes of its request. What is longer, a value, is paid from a
//! bucket of its /24, so that first lookups work. A host that has proved itself has no limit for ten minutes. So that
//! the many behind one NAT prove theirs before the bucket is empty, its host is asked once the bucket is half empty.
//!
//! Datagrams: to a /24 that has been silent, at most [12](KNOCKS_MAX) leave until a minute has passed without one.
//!
//! All tables are bounded, the entry touched least recently gives way; at rest they take no memory. A table of 512 buckets
//! is large enough that it does not pay to have a bucket displaced in order to get a full one: who sends 511 requests in
//! the names of other /24s and 40 in that of his victim sends it no more than 2.7 times the bytes that he spends.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use crate::bounded::memory::{Capped, Heap, displace};
use crate::time::Instant;

/// Bytes that may leave for each that came, IP and UDP headers counted.
const FACTOR: usize = 3;
/// The headers of a datagram: of IPv4 20 bytes, of UDP 8.
const HEADERS: usize = 28;

/// The unit of time here: a bucket gets one answer in each, that is 20 a second.
const UNIT_MICROS: u64 = 50_000;
/// What a full bucket holds: two seconds.
const BURST: u32 = 40;
/// How long a proof counts: ten minutes.
const PROOF: u32 = 12_000;
/// The pause after which a silent /24 is knocked at again: a minute, and a unit since parts of one do not count.
const PAUSE: u32 = 1_201;
/// How long a /24 in which somebody answers is known for that: two minutes.
const ALIVE_FOR: u32 = 2_400;

/// Datagrams to a silent /24 in a minute.
const KNOCKS_MAX: u32 = 12;
/// Of these, at most as many are more than the first try to an address, so that nodes which do not exist do not hide all
/// others there.
const AGAIN_MAX: u32 = 10;

/// The bits of an address that tell its /24; the others are free.
const PREFIX: u32 = !0xff;
const HOST: u32 = !0;

/// The longest answer to a request of this length that any source gets.
pub(crate) const fn most(asked: usize) -> usize {
    FACTOR * (asked + HEADERS) - HEADERS
}

/// Something that counts for a while: of a host, or of a /24 with a number in the free bits.
#[derive(Clone, Copy)]
struct Mark {
    key: u32,
    until: u32,
}

const VALUES: usize = 0;
const HOSTS: usize = 1;
const ALIVE: usize = 2;
const SILENT: usize = 3;

/// By kind: when buckets are full again, which hosts are there, in which /24s somebody answers, and how often silent /24s
/// were knocked at. The mark that was touched least recently first. Those of silent /24s have a list of their own, so
/// that the many that answer do not displace them.
type Marks = [Vec<Mark>; 4];

/// What a bucket has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paid {
    Yes,
    /// It has, but is half empty.
    Barely,
    No,
}

/// The tables, each of at most `max` marks.
#[derive(Clone)]
pub(crate) struct Budget {
    marks: Option<Box<Marks>>,
    max: u16,
}

impl Budget {
    pub(crate) const fn new(max: u16) -> Self {
        Self { marks: None, max }
    }

    pub(crate) fn add_to(heap: &mut Heap, max: u16) {
        heap.fixed(1, size_of::<Marks>());
        heap.capped::<Mark>(max.into());
        heap.capped::<Mark>(max.into());
        heap.capped::<Mark>(max.into());
        heap.capped::<Mark>(max.into());
    }

    /// A host has shown a token of ours, or was asked for a proof and has answered.
    pub(crate) fn prove(&mut self, now: Instant, host: Ipv4Addr) {
        self.put(HOSTS, HOST, host.to_bits(), unit(now).wrapping_add(PROOF));
    }

    /// Whether a host has lately proved that it is there.
    pub(crate) fn is_proven(&self, now: Instant, host: Ipv4Addr) -> bool {
        self.get(HOSTS, HOST, host, now).is_some()
    }

    /// Takes a long answer out of the bucket of a host's /24.
    pub(crate) fn pay(&mut self, now: Instant, host: Ipv4Addr) -> Paid {
        let unit = unit(now);
        let bucket = self.get(VALUES, PREFIX, host, now);
        let missing = bucket.map_or(0, |mark| mark.until.wrapping_sub(unit));
        if missing >= BURST {
            return Paid::No;
        }
        self.put(VALUES, PREFIX, host.to_bits(), unit.wrapping_add(missing + 1));
        if missing < BURST / 2 { Paid::Yes } else { Paid::Barely }
    }

    /// A host has answered what it was asked, as nobody else could. It is remembered where that may matter.
    pub(crate) fn answered(&mut self, now: Instant, host: Ipv4Addr) {
        if self.get(VALUES, PREFIX, host, now).is_some() {
            self.prove(now, host);
        }
        let silent = self.get(SILENT, PREFIX, host, now);
        if silent.or_else(|| self.get(ALIVE, PREFIX, host, now)).is_some() {
            self.put(ALIVE, PREFIX, host.to_bits(), unit(now).wrapping_add(ALIVE_FOR));
        }
        if let (Some(mark), Some(marks)) = (silent, &mut self.marks) {
            let [.., list] = &mut **marks;
            keep(list, &|other| other.key != mark.key);
        }
    }

    /// Whether one more datagram may leave for a host that may not be there, `again` or for the first time. If so, it is
    /// counted.
    pub(crate) fn knock(&mut self, now: Instant, host: Ipv4Addr, again: bool) -> bool {
        let alive = self.get(ALIVE, PREFIX, host, now);
        if alive.or_else(|| self.get(HOSTS, PREFIX, host, now)).is_some() {
            return true;
        }
        let count = self.get(SILENT, PREFIX, host, now).map_or(0, |mark| mark.key & !PREFIX);
        let may = count < if again { AGAIN_MAX } else { KNOCKS_MAX };
        if may {
            let key = host.to_bits() & PREFIX | (count + 1);
            self.put(SILENT, PREFIX, key, unit(now).wrapping_add(PAUSE));
        }
        may
    }

    /// Forgets what counts no more, and gives memory back.
    pub(crate) fn trim(&mut self, now: Instant) {
        let Some(marks) = &mut self.marks else { return };
        for marks in marks.iter_mut() {
            keep(marks, &|mark| counts(mark, now));
            marks.free_if_empty();
        }
        if marks.iter().all(Vec::is_empty) {
            self.marks = None;
        }
    }

    #[inline(never)]
    fn get(&self, kind: usize, mask: u32, host: Ipv4Addr, now: Instant) -> Option<Mark> {
        let mut marks = self.marks.as_ref()?.get(kind)?.iter();
        let is_it = |mark: &&Mark| (mark.key ^ host.to_bits()) & mask == 0;
        marks.find(is_it).filter(|mark| counts(mark, now)).copied()
    }

    #[inline(never)]
    fn put(&mut self, kind: usize, mask: u32, key: u32, until: u32) {
        let marks = self.marks.get_or_insert_default();
        if let Some(marks) = marks.get_mut(kind) {
            keep(marks, &|mark| (mark.key ^ key) & mask != 0);
            displace(marks, self.max.into(), Mark { key, until });
        }
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self) {
        for (marks, mask) in
            self.marks.iter().flat_map(|m| m.iter()).zip([PREFIX, HOST, PREFIX, PREFIX])
        {
            assert!(marks.capacity() <= usize::from(self.max).max(4));
            let mut keys: Vec<_> = marks.iter().map(|mark| mark.key & mask).collect();
            keys.sort_unstable();
            assert!(keys.is_sorted_by(|a, b| a < b), "each has one mark");
        }
    }
}

/// Of a time the lower bits, in units: they are only compared.
fn unit(now: Instant) -> u32 {
    (now.as_micros() / UNIT_MICROS) as u32
}

#[inline(never)]
fn keep(marks: &mut Vec<Mark>, wanted: &dyn Fn(&Mark) -> bool) {
    marks.retain(|mark| wanted(mark));
}

fn counts(mark: &Mark, now: Instant) -> bool {
    mark.until.wrapping_sub(unit(now)) as i32 > 0
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Instant = Instant::from_millis(1_000_000);

    fn host(net: u32, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x2e00_0000 + (net << 8) + n)
    }

    fn paid(budget: &mut Budget, now: Instant, host: Ipv4Addr) -> usize {
        (0..1_000).filter(|_| budget.pay(now, host) != Paid::No).count()
    }

    fn knocks(budget: &mut Budget, now: Instant, host: Ipv4Addr) -> usize {
        (0..100).filter(|_| budget.knock(now, host, false)).count()
    }

    #[test]
    fn three_times_with_headers() {
        assert_eq!([39, 43, 75].map(most), [173, 185, 281]);
    }

    #[test]
    fn a_bucket_holds_forty_and_gets_twenty_a_second() {
        let mut budget = Budget::new(512);
        assert_eq!(paid(&mut budget, START, host(1, 1)), 40);
        assert_eq!(paid(&mut budget, START, host(1, 2)), 0, "its /24 shares it");
        assert_eq!(paid(&mut budget, START, host(2, 1)), 40);
        assert_eq!(paid(&mut budget, START + SECOND, host(1, 1)), 20);
        assert_eq!(paid(&mut budget, START + SECOND * 4, host(1, 1)), 40);
    }

    #[test]
    fn half_empty_is_told() {
        let mut budget = Budget::new(512);
        let all: Vec<_> = (0..41).map(|_| budget.pay(START, host(1, 1))).collect();
        assert_eq!(all[..20], [Paid::Yes; 20]);
        assert_eq!(all[20..40], [Paid::Barely; 20]);
        assert_eq!(all[40], Paid::No);
    }

    #[test]
    fn a_proof_is_of_one_host_and_for_ten_minutes() {
        let mut budget = Budget::new(512);
        budget.prove(START, host(1, 1));
        let end = START + SECOND * 600;
        assert!(budget.is_proven(end - SECOND / 10, host(1, 1)));
        assert!(!budget.is_proven(end, host(1, 1)) && !budget.is_proven(START, host(1, 2)));
    }

    #[test]
    fn an_answer_is_a_proof_where_values_are_wanted() {
        let mut budget = Budget::new(512);
        budget.answered(START, host(1, 1));
        assert!(!budget.is_proven(START, host(1, 1)) && budget.marks.is_none());
        budget.pay(START, host(1, 2));
        budget.answered(START, host(1, 1));
        assert!(budget.is_proven(START, host(1, 1)) && !budget.is_proven(START, host(1, 2)));
    }

    #[test]
    fn twelve_knocks_and_then_a_minute_of_silence() {
        let mut budget = Budget::new(512);
        assert_eq!(knocks(&mut budget, START, host(1, 1)), 12);
        assert_eq!(knocks(&mut budget, START, host(1, 9)), 0, "at whatever door");
        assert_eq!(knocks(&mut budget, START, host(2, 1)), 12);
        assert_eq!((0..20).filter(|_| budget.knock(START, host(3, 1), true)).count(), 10);
        assert_eq!(knocks(&mut budget, START, host(3, 1)), 2, "are left for others");
        assert_eq!(knocks(&mut budget, START + SECOND * 59, host(1, 1)), 0);
        assert_eq!(knocks(&mut budget, START + SECOND * 61, host(1, 1)), 12);
    }

    #[test]
    fn no_minute_has_more_than_twelve() {
        let mut budget = Budget::new(512);
        let mut sent = Vec::new();
        for n in 0..6_000 {
            let now = START + SECOND / 10 * n;
            if (n % 7 == 0 || n % 1_000 < 300) && budget.knock(now, host(1, n % 256), n % 2 == 0) {
                sent.push(now);
            }
        }
        assert!(sent.len() > 24);
        assert!(sent.windows(13).all(|w| w[12].saturating_since(w[0]) >= SECOND * 60));
    }

    #[test]
    fn who_answers_is_not_silent() {
        let mut budget = Budget::new(512);
        for known in [1, 12] {
            (0..known).for_each(|_| assert!(budget.knock(START, host(known, 1), false)));
            budget.answered(START, host(known, 2));
            assert_eq!(knocks(&mut budget, START + SECOND * 119, host(known, 3)), 100);
        }
        let later = START + SECOND * 120;
        assert_eq!(knocks(&mut budget, later, host(12, 1)), 12, "that was long ago");
        budget.prove(later, host(9, 1));
        assert_eq!(knocks(&mut budget, later, host(9, 2)), 100);
    }

    #[test]
    fn tables_are_bounded_and_leave_nothing_behind() {
        let mut budget = Budget::new(100);
        for n in 0..300 {
            budget.prove(START, host(n, 1));
            budget.pay(START, host(n, 1));
            assert!(budget.knock(START, host(1_000 + n, 1), false));
            budget.check_invariants();
        }
        let known = |n: &u32| budget.is_proven(START, host(*n, 1));
        assert_eq!((0..300).filter(known).collect::<Vec<_>>(), (200..300).collect::<Vec<_>>());
        budget.trim(START);
        assert!(budget.marks.is_some());
        budget.trim(START + SECOND * 600);
        assert!(budget.marks.is_none());
    }

    #[test]
    fn who_comes_again_is_displaced_last() {
        let mut budget = Budget::new(3);
        [1, 2, 3, 1, 4].into_iter().for_each(|n| budget.prove(START, host(n, 1)));
        let proven = [1, 2, 3, 4].map(|n| budget.is_proven(START, host(n, 1)));
        assert_eq!(proven, [true, false, true, true]);
    }
}
