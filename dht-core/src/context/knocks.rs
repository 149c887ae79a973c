//! How many datagrams leave for a /24 in which nobody answers, where strangers cause them: peers that name nodes there,
//! and senders that claim an id. Else anyone could have the node knock at the doors of a third party.
//!
//! Of the [twelve](KNOCKS_MAX) a minute, a node that only one /24 has named may use eight, and each further /24 that names
//! it allows two more: nodes that do not exist, named by the few hosts that an attacker has, do not keep a node from
//! being asked that many others name.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::addr::prefix24;
use crate::bounded::marks::{List, Mark, PREFIX, Pair, SECOND, unit};
use crate::bounded::memory::Heap;
use crate::time::Instant;

/// Datagrams to a silent /24 until a minute has passed without one.
const KNOCKS_MAX: u32 = 12;
/// As many of them are for addresses that nobody has named; as many for addresses that somebody has, with as many more
/// for each /24 that has.
const KNOCKS_OF_CLAIMS: u32 = 4;
const KNOCKS_OF_NAMED: u32 = 6;
const KNOCKS_PER_VOICE: u32 = 2;
/// As many are for first tries only, so that retries to nodes which do not exist do not hide all others.
const FIRST_TRIES: u32 = 2;
/// As many /24s that name an address are told apart.
const VOICES_MAX: usize = 3;
/// The pause after which a silent /24 is knocked at again: a minute, and a unit since parts of one do not count.
const PAUSE: u32 = 60 * SECOND + 1;
/// How long a /24 in which somebody answers is known for that: two minutes.
const ALIVE_FOR: u32 = 120 * SECOND;

const SILENT: List = (0, PREFIX);
const ALIVE: List = (1, PREFIX);

/// How often /24s were knocked at since the last answer from there, and in which somebody answers of those where that was
/// often.
#[derive(Clone, Default)]
pub(crate) struct Knocks(Pair);

impl Knocks {
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        Pair::add_to(heap, max);
    }

    /// Whether one more datagram may leave for a host whose address so many /24s have named, `again` or for the first time.
    #[inline(never)]
    pub(crate) fn are_left(
        &self,
        now: Instant,
        host: Ipv4Addr,
        voices: &dyn Fn() -> usize,
        again: bool,
    ) -> bool {
        let sent = self.0.get(SILENT, host, now).map_or(0, sent);
        let reserved = if again { FIRST_TRIES } else { 0 };
        // Mostly it is not needed to find out who has named it.
        sent + reserved < KNOCKS_OF_CLAIMS
            || sent + reserved < most(voices())
            || self.0.get(ALIVE, host, now).is_some()
    }

    /// Such a datagram leaves.
    pub(crate) fn count(&mut self, now: Instant, host: Ipv4Addr, max: usize) {
        if self.0.get(ALIVE, host, now).is_none() {
            let sent = self.0.get(SILENT, host, now).map_or(0, sent);
            let key = host.to_bits() & PREFIX | (sent + 1).min(KNOCKS_MAX);
            let mark = Mark { key, until: unit(now).wrapping_add(PAUSE) };
            self.0.put(SILENT, max, now, mark);
        }
    }

    /// A host has answered what it was asked, as nobody else could.
    pub(crate) fn answered(&mut self, now: Instant, host: Ipv4Addr, max: usize) {
        let silent = self.0.get(SILENT, host, now);
        if silent.is_some_and(|mark| sent(mark) >= KNOCKS_OF_CLAIMS)
            || self.0.get(ALIVE, host, now).is_some()
        {
            let until = unit(now).wrapping_add(ALIVE_FOR);
            self.0.put(ALIVE, max, now, Mark { key: host.to_bits() & PREFIX, until });
        }
        if let Some(mark) = silent {
            self.0.remove(SILENT, mark.key);
        }
    }

    /// Forgets what counts no more, and gives memory back.
    pub(crate) fn trim(&mut self, now: Instant) {
        self.0.trim(now);
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, max: usize) {
        self.0.check_invariants([SILENT, ALIVE], max);
    }
}

/// Datagrams that may leave for a /24 on account of an address that so many /24s have named.
fn most(voices: usize) -> u32 {
    match voices.min(VOICES_MAX) as u32 {
        0 => KNOCKS_OF_CLAIMS,
        voices => KNOCKS_OF_NAMED + KNOCKS_PER_VOICE * voices,
    }
}

/// How many /24s the nodes are of that have named an address, as far as that matters.
pub(crate) fn voices(named_by: impl Iterator<Item = SocketAddrV4>) -> usize {
    let mut nets = heapless::Vec::<_, VOICES_MAX, u8>::new();
    for net in named_by.map(|by| prefix24(*by.ip())) {
        if !nets.contains(&net) && nets.push(net).is_err() {
            break;
        }
    }
    nets.len()
}

fn sent(mark: Mark) -> u32 {
    mark.key & !PREFIX
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Instant = Instant::from_millis(1_000_000);

    fn host(net: u32, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x2e00_0000 + (net << 8) + n)
    }

    fn knock(
        knocks: &mut Knocks,
        now: Instant,
        host: Ipv4Addr,
        (voices, again): (usize, bool),
    ) -> bool {
        let may = knocks.are_left(now, host, &|| voices, again);
        if may {
            knocks.count(now, host, 100);
        }
        knocks.check_invariants(100);
        may
    }

    fn times(knocks: &mut Knocks, now: Instant, host: Ipv4Addr, how: (usize, bool)) -> usize {
        (0..100).filter(|_| knock(knocks, now, host, how)).count()
    }

    #[test]
    fn twelve_and_then_a_minute_of_silence() {
        let mut knocks = Knocks::default();
        assert_eq!(times(&mut knocks, START, host(1, 1), (VOICES_MAX, false)), 12);
        assert_eq!(times(&mut knocks, START, host(1, 9), (9, false)), 0, "at whatever door");
        assert_eq!(times(&mut knocks, START, host(2, 1), (VOICES_MAX, false)), 12);
        assert_eq!(times(&mut knocks, START + SECOND * 59, host(1, 1), (4, false)), 0);
        assert_eq!(times(&mut knocks, START + SECOND * 61, host(1, 1), (4, false)), 12);
    }

    #[test]
    fn who_is_named_by_many_has_more() {
        let mut knocks = Knocks::default();
        for (voices, again, may) in [
            (0, true, 2),
            (0, false, 2),
            (0, true, 0),
            (1, true, 2),
            (1, false, 2),
            (2, true, 0),
            (2, false, 2),
            (3, true, 0),
            (3, false, 2),
            (9, false, 0),
        ] {
            assert_eq!(times(&mut knocks, START, host(1, 1), (voices, again)), may, "{voices}");
        }
    }

    #[test]
    fn one_address_has_tries_enough_to_be_sure() {
        let mut knocks = Knocks::default();
        assert!(knock(&mut knocks, START, host(1, 1), (1, false)));
        assert_eq!(times(&mut knocks, START, host(1, 1), (1, true)), 5);
    }

    #[test]
    fn no_minute_has_more_than_twelve() {
        let mut knocks = Knocks::default();
        let mut sent = Vec::new();
        for n in 0..6_000 {
            let now = START + SECOND / 10 * n;
            let tried = n % 7 == 0 || n % 1_000 < 300;
            if tried && knock(&mut knocks, now, host(1, n % 256), (n as usize % 6, n % 2 == 0)) {
                sent.push(now);
            }
        }
        assert!(sent.len() > 24);
        assert!(sent.windows(13).all(|w| w[12].saturating_since(w[0]) >= SECOND * 60));
    }

    #[test]
    fn a_net_that_answers_is_not_silent() {
        let mut knocks = Knocks::default();
        for sent in [4, 12] {
            (0..sent).for_each(|_| assert!(knock(&mut knocks, START, host(sent, 1), (4, false))));
            knocks.answered(START, host(sent, 2), 100);
            let now = START + SECOND * 119;
            assert_eq!(times(&mut knocks, now, host(sent, 3), (0, true)), 100);
        }
        let later = START + SECOND * 120;
        assert_eq!(times(&mut knocks, later, host(12, 1), (4, false)), 12, "that was long ago");
        knocks.answered(later, host(9, 1), 100);
        assert_eq!(times(&mut knocks, later, host(9, 2), (4, false)), 12, "it was not asked for");
        for _ in 0..100 {
            assert_eq!(
                (0..3).filter(|_| knock(&mut knocks, later, host(8, 1), (0, false))).count(),
                3
            );
            knocks.answered(later, host(8, 2), 100);
        }
    }

    #[test]
    fn the_latest_are_remembered_and_nothing_is_left_behind() {
        let mut knocks = Knocks::default();
        let mut now = START;
        for n in 0..300 {
            now += SECOND / 10;
            assert_eq!(times(&mut knocks, now, host(n, 1), (4, false)), 12);
        }
        assert_eq!(times(&mut knocks, now, host(200, 1), (4, false)), 0);
        assert_eq!(times(&mut knocks, now, host(199, 1), (4, false)), 12);
        knocks.trim(now);
        assert!(!knocks.0.is_at_rest());
        knocks.trim(now + SECOND * 61);
        assert!(knocks.0.is_at_rest());
    }
}
