//! Timeouts fitted to each destination: optional, off by default.
//!
//! Keeps a smoothed average and deviation of the round-trip times per address
//! and waits for the average plus twice the deviation, times the attempt.
//! Mirrors `adaptive-timeout` with its default options, whole milliseconds and
//! arithmetic shifts included. The caller records only round trips of answers
//! that certainly belong to one transmission.
//!
//! Differs in what it forgets: an entry ends ten minutes after its last round
//! trip (not after its last use), and at the bound the entry that was recorded
//! least recently goes (there, half of all entries at once).

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::Instant;
use crate::addr::number;
use crate::bounded::memory::{Capped, Heap};
use crate::secret::rng::Rng;

/// How many destinations are remembered unless told otherwise: at most 24 KiB.
pub(crate) const DESTINATIONS: usize = 1_024;

/// How long a destination is remembered after its last round trip.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Bounds of the timeout for a known destination, in milliseconds.
const FLOOR_MS: i64 = 300;
const CEILING_MS: i64 = 4_000;

/// Up to this many milliseconds, exclusive, are added so that retries spread.
const JITTER_MS: u32 = 256;

/// Milliseconds to wait for an unknown destination, by attempt; the last one from there on.
const UNKNOWN_MS: [i64; 5] = [250, 500, 1_000, 2_000, 4_000];

/// Round-trip times by destination.
#[derive(Clone, Debug)]
pub(crate) struct Rtts {
    /// Sorted by key.
    entries: Vec<Entry>,
    max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    recorded: Instant,
    average_ms: i32,
    deviation_ms: i32,
}

impl Rtts {
    pub(crate) fn add_to(heap: &mut Heap) {
        heap.exact::<Self>(1);
        heap.capped::<Entry>(DESTINATIONS);
    }

    /// Remembers at most `max` destinations; memory grows with use.
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: Vec::new(), max }
    }

    /// Takes into account that `addr` answered after `rtt`.
    pub(crate) fn record(&mut self, now: Instant, addr: SocketAddrV4, rtt: Duration) {
        let rtt_ms = i32::try_from(rtt.as_millis()).unwrap_or(i32::MAX);
        let key = number(addr);
        match self.find(key) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    if entry.expired(now) {
                        *entry = Entry::new(key, now, rtt_ms);
                    } else {
                        entry.blend(now, rtt_ms);
                    }
                }
            }
            Err(_) if self.max == 0 => {}
            Err(at) if self.entries.len() < self.max => {
                self.entries.make_room(self.max);
                self.entries.insert(at, Entry::new(key, now, rtt_ms));
            }
            Err(at) => {
                let oldest = self.entries.iter().enumerate();
                if let Some((oldest, _)) = oldest.min_by_key(|(_, entry)| entry.recorded) {
                    self.entries.remove(oldest);
                    let at = at - usize::from(oldest < at);
                    self.entries.insert(at, Entry::new(key, now, rtt_ms));
                }
            }
        }
    }

    /// How long to wait for an answer from `addr` to the `attempt`th transmission, from 1 on.
    pub(crate) fn timeout(
        &mut self,
        now: Instant,
        addr: SocketAddrV4,
        attempt: u32,
        rng: &mut Rng,
    ) -> Duration {
        let attempt = attempt.max(1);
        let jitter = i64::from(rng.below(JITTER_MS));
        let mut known = None;
        if let Ok(at) = self.find(number(addr)) {
            known = self.entries.get(at).filter(|entry| !entry.expired(now)).copied();
            if known.is_none() {
                self.entries.remove(at);
            }
        }
        let millis = match known {
            Some(entry) => entry
                .patience_ms()
                .saturating_mul(i64::from(attempt))
                .saturating_add(jitter)
                .clamp(FLOOR_MS, CEILING_MS),
            None => {
                let [.., last] = UNKNOWN_MS;
                let nth = usize::try_from(attempt - 1).ok();
                let base = nth.and_then(|nth| UNKNOWN_MS.get(nth));
                base.unwrap_or(&last) + jitter
            }
        };
        Duration::from_millis(millis.unsigned_abs())
    }

    /// How many destinations are remembered, expired ones among them.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn find(&self, key: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |entry| entry.key)
    }
}

impl Entry {
    fn new(key: u64, now: Instant, rtt_ms: i32) -> Self {
        Self { key, recorded: now, average_ms: rtt_ms, deviation_ms: rtt_ms >> 1 }
    }

    fn expired(&self, now: Instant) -> bool {
        now.saturating_since(self.recorded) >= MAX_AGE
    }

    /// A quarter of the new deviation from the old average, an eighth of the new value;
    /// both shifts round down. All three are at least 0, so no difference overflows.
    fn blend(&mut self, now: Instant, rtt_ms: i32) {
        self.recorded = now;
        let off_by = rtt_ms - self.average_ms;
        self.deviation_ms += (off_by.abs() - self.deviation_ms) >> 2;
        self.average_ms += off_by >> 3;
    }

    fn patience_ms(&self) -> i64 {
        i64::from(self.average_ms) + 2 * i64::from(self.deviation_ms)
    }
}

const _: () = assert!(size_of::<Entry>() <= 24);

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::secret::rng::Rng;

    fn addr(n: u32) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(n), 1)
    }

    /// The timeout without its jitter, which is what the generator would draw.
    fn steady(rtts: &mut Rtts, now: Instant, to: u32, attempt: u32) -> u64 {
        let mut rng = Rng::new([attempt as u8; 32]);
        let jitter = rng.clone().below(256);
        rtts.timeout(now, addr(to), attempt, &mut rng).as_millis() as u64 - u64::from(jitter)
    }

    fn known(rtts: &mut Rtts, now: Instant, to: u32) -> bool {
        // Everything recorded in these tests is 100 ms: 200 x 3 against 1,000.
        steady(rtts, now, to, 3) != 1_000
    }

    #[test]
    fn gives_what_adaptive_timeout_gives() {
        // Round trips in milliseconds; average and deviation after them; the timeouts of the
        // first four attempts with a jitter of 0, as the package (1.0.1) computes them.
        for (rtts_ms, (average, deviation), timeouts) in [
            (&[100][..], (100, 50), [300, 400, 600, 800]),
            (&[100, 100], (100, 37), [300, 348, 522, 696]),
            (&[101, 300, 50, 50], (106, 79), [300, 528, 792, 1056]),
            (&[0, 0, 7], (0, 1), [300, 300, 300, 300]),
            (&[1000, 20, 20, 20, 20, 20], (521, 657), [1835, 3670, 4000, 4000]),
            (&[333, 334, 335, 1, 4000], (754, 1041), [2836, 4000, 4000, 4000]),
        ] {
            let mut rtts = Rtts::new(1);
            for &rtt in rtts_ms {
                rtts.record(Instant::ZERO, addr(1), Duration::from_millis(rtt));
            }
            let entry = rtts.entries[0];
            assert_eq!((entry.average_ms, entry.deviation_ms), (average, deviation), "{rtts_ms:?}");
            let mut calm = Rng::new([0; 32]);
            while calm.clone().below(JITTER_MS) != 0 {
                calm.next_u32();
            }
            let given = [1, 2, 3, 4].map(|attempt| {
                rtts.timeout(Instant::ZERO, addr(1), attempt, &mut calm.clone()).as_millis()
            });
            assert_eq!(given, timeouts, "{rtts_ms:?}");
        }
    }

    #[test]
    fn unknown_destinations_follow_the_table() {
        let mut rtts = Rtts::new(1);
        let waits = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|n| steady(&mut rtts, Instant::ZERO, 1, n));
        assert_eq!(waits, [250, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
    }

    #[test]
    fn known_destinations_stay_between_floor_and_ceiling() {
        let mut rtts = Rtts::new(4);
        let now = Instant::ZERO;
        let mut rng = Rng::new([1; 32]);
        let rtt = [Duration::ZERO, Duration::from_secs(4), Duration::MAX];
        for (n, rtt) in (0..).zip(rtt) {
            rtts.record(now, addr(n), rtt);
            rtts.record(now, addr(n), rtt);
        }
        for attempt in [0, 1, 2, 6, u32::MAX] {
            let mut wait = |n| rtts.timeout(now, addr(n), attempt, &mut rng).as_millis();
            assert_eq!([wait(0), wait(1), wait(2)], [300, 4_000, 4_000], "attempt {attempt}");
        }
    }

    #[test]
    fn forgets_after_ten_minutes() {
        let mut rtts = Rtts::new(2);
        let rtt = Duration::from_millis(100);
        rtts.record(Instant::ZERO, addr(1), rtt);
        rtts.record(Instant::ZERO, addr(2), Duration::from_secs(3));
        let just_before = Instant::from_micros(599_999_999);
        assert!(known(&mut rtts, just_before, 1));
        let then = Instant::from_millis(600_000);
        assert!(!known(&mut rtts, then, 1));
        assert_eq!(rtts.len(), 1, "found expired, dropped");
        // An expired entry has no say in what is recorded after it.
        rtts.record(then, addr(2), rtt);
        assert_eq!(steady(&mut rtts, then, 2, 3), 600);
        assert!(known(&mut rtts, then + Duration::from_secs(599), 2), "the age starts anew");
    }

    #[test]
    fn the_least_recently_recorded_gives_way() {
        let rtt = Duration::from_millis(100);
        let at = Instant::from_millis;
        let mut rtts = Rtts::new(3);
        for (n, time) in [(30, 0), (10, 1), (20, 2), (30, 3)] {
            rtts.record(at(time), addr(n), rtt);
        }
        assert_eq!(rtts.len(), 3);
        rtts.record(at(4), addr(25), rtt);
        assert_eq!(rtts.len(), 3);
        for (n, expected) in [(10, false), (20, true), (25, true), (30, true)] {
            assert_eq!(known(&mut rtts, at(5), n), expected, "{n}");
        }
    }

    #[test]
    fn a_bound_of_none_keeps_none() {
        let mut rtts = Rtts::new(0);
        rtts.record(Instant::ZERO, addr(1), Duration::ZERO);
        assert_eq!(rtts.len(), 0);
    }

    #[test]
    fn ports_are_told_apart() {
        let mut rtts = Rtts::new(2);
        rtts.record(Instant::ZERO, addr(1), Duration::from_millis(100));
        let other = SocketAddrV4::new(*addr(1).ip(), 2);
        rtts.record(Instant::ZERO, other, Duration::from_millis(100));
        assert_eq!(rtts.len(), 2);
    }

    proptest! {
        /// The model: a list in order of recording, the first one dropped when it is too long.
        #[test]
        fn remembers_what_the_model_remembers(
            records in prop::collection::vec((0..12_u32, 1..120_000_u64), 1..80),
            max in 1..10_usize,
        ) {
            let mut rtts = Rtts::new(max);
            let mut model: Vec<(u32, u64)> = Vec::new();
            let mut time = 0;
            for (n, gap) in records {
                time += gap;
                rtts.record(Instant::from_millis(time), addr(n), Duration::from_millis(100));
                model.retain(|&(other, _)| other != n);
                if model.len() == max {
                    model.remove(0);
                }
                model.push((n, time));
                prop_assert_eq!(rtts.len(), model.len());
            }
            for n in 0..12 {
                let fresh = model.iter().any(|&(m, at)| m == n && time - at < 600_000);
                prop_assert_eq!(known(&mut rtts, Instant::from_millis(time), n), fresh);
            }
        }
    }
}
