//! Answers to delayed pings, waiting for their time.
//!
//! Any host can ask for an answer in ten seconds, at no cost to itself, so the number of
//! waiting answers is small and bounded, in all and per host. A refused ping gets no
//! answer, as if lost.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::api::exempt::Exempt;
use crate::api::way::Way;
use crate::bounded::memory::{Capped, Heap};
use crate::time::Instant;

/// Answers that wait, at most, however many other replies may.
const PENDING_MAX: usize = 1_024;

/// Answers of these for one host, at most, unless its address is local.
pub(crate) const PENDING_PER_HOST_MAX: usize = 4;

/// The answer to one ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pong {
    /// When to send it.
    pub(crate) due: Instant,
    /// Where to.
    pub(crate) to: SocketAddrV4,
    /// The request's.
    pub(crate) tid: u16,
    /// How it leaves.
    pub(crate) way: Way,
}

const _: () = assert!(size_of::<Pong>() <= 32);

/// Answers that may wait if `max_replies` other replies may.
fn max_for(max_replies: usize) -> usize {
    max_replies.saturating_mul(2).min(PENDING_MAX)
}

/// The queue, in order of time, then of arrival; the next one last.
#[derive(Clone, Debug)]
pub(crate) struct Delayed {
    pongs: Vec<Pong>,
    max: usize,
}

impl Delayed {
    /// An empty queue for twice as many answers as other replies may wait; it takes memory only
    /// while answers wait.
    pub(crate) fn new(max_replies: usize) -> Self {
        Self { pongs: Vec::new(), max: max_for(max_replies) }
    }

    pub(crate) fn add_to(heap: &mut Heap, max_replies: usize) {
        heap.capped::<Pong>(max_for(max_replies));
    }

    /// Takes `pong`, or refuses it (`false`) because of a bound.
    ///
    /// A full queue refuses at once; else this takes time linear in what waits.
    #[must_use]
    pub(crate) fn push(&mut self, pong: Pong, exempt: &Exempt) -> bool {
        if self.pongs.len() >= self.max {
            return false;
        }
        let host = pong.to.ip();
        let same_host = self.pongs.iter().filter(|other| other.to.ip() == host);
        if !exempt.covers(*host) && same_host.count() >= PENDING_PER_HOST_MAX {
            return false;
        }
        let place = self.pongs.partition_point(|other| other.due > pong.due);
        self.pongs.make_room(self.max);
        self.pongs.insert(place, pong);
        true
    }

    /// The next answer whose time has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Pong> {
        if self.next_due()? > now {
            return None;
        }
        let pong = self.pongs.pop();
        self.pongs.free_if_empty();
        pong
    }

    /// When the next answer is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.pongs.last().map(|pong| pong.due)
    }

    /// How many answers wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.pongs.len()
    }

    /// Drops everything and releases the memory: a flood must not leave its mark.
    pub(crate) fn clear(&mut self) {
        self.pongs = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use quickcheck::quickcheck;

    use super::*;

    fn pong(host: u32, due: u64, tid: u16) -> Pong {
        Pong {
            due: Instant::from_millis(due),
            to: SocketAddrV4::new(Ipv4Addr::from_bits(host), 1 + tid),
            tid,
            way: Way::new(crate::api::message::Via::Client, None),
        }
    }

    const PUBLIC: u32 = 0x0808_0808;
    const LOCAL: u32 = 0x7f00_0001;

    #[test]
    fn twice_as_many_as_other_replies() {
        let mut delayed = Delayed::new(3);
        let taken = (0..9).filter(|tid| delayed.push(pong(LOCAL, 1, *tid), &Exempt::Local));
        assert_eq!(taken.count(), 6);
    }

    #[test]
    fn a_host_has_four_places() {
        let mut delayed = Delayed::new(PENDING_MAX);
        for tid in 0..PENDING_PER_HOST_MAX as u16 {
            assert!(delayed.push(pong(PUBLIC, 10, tid), &Exempt::Local), "whatever the port");
        }
        assert!(!delayed.push(pong(PUBLIC, 10, 9), &Exempt::Local));
        assert!(delayed.push(pong(PUBLIC + 1, 10, 9), &Exempt::Local), "a neighbour has its own");
        assert!(delayed.pop_due(Instant::from_millis(10)).is_some());
        assert!(
            delayed.push(pong(PUBLIC, 10, 9), &Exempt::Local),
            "a place that was used is free again"
        );
        assert!(!delayed.push(pong(PUBLIC, 10, 9), &Exempt::Local));
    }

    #[test]
    fn local_hosts_share_the_whole_queue() {
        let mut delayed = Delayed::new(PENDING_MAX);
        for tid in 0..PENDING_MAX as u16 {
            assert!(delayed.push(pong(LOCAL, 10, tid), &Exempt::Local));
        }
        assert!(!delayed.push(pong(LOCAL, 10, 0), &Exempt::Local));
        assert!(!delayed.push(pong(PUBLIC, 1, 0), &Exempt::Local), "full is full");
        assert_eq!(delayed.len(), PENDING_MAX);
    }

    #[test]
    fn many_hosts_fill_it_and_no_more() {
        let mut delayed = Delayed::new(PENDING_MAX);
        let taken = (0..PENDING_MAX as u32 + 10)
            .filter(|host| delayed.push(pong(PUBLIC + host, 10, 0), &Exempt::Local))
            .count();
        assert_eq!(taken, PENDING_MAX);
    }

    #[test]
    fn memory_is_released_when_it_runs_empty() {
        let mut delayed = Delayed::new(PENDING_MAX);
        (0..1_000).for_each(|tid| assert!(delayed.push(pong(LOCAL, 10, tid), &Exempt::Local)));
        assert!(delayed.pongs.capacity() * size_of::<Pong>() <= 32 * 1_024);
        while delayed.pop_due(Instant::from_millis(10)).is_some() {}
        assert_eq!(delayed.pongs.capacity(), 0);
        assert!(delayed.push(pong(LOCAL, 10, 0), &Exempt::Local));
        delayed.clear();
        assert_eq!((delayed.pongs.capacity(), delayed.next_due()), (0, None));
    }

    #[test]
    fn due_means_not_before() {
        let mut delayed = Delayed::new(PENDING_MAX);
        assert!(delayed.push(pong(LOCAL, 10, 1), &Exempt::Local));
        assert_eq!(delayed.next_due(), Some(Instant::from_millis(10)));
        assert_eq!(delayed.pop_due(Instant::from_micros(9_999)), None);
        assert_eq!(delayed.pop_due(Instant::from_micros(10_000)), Some(pong(LOCAL, 10, 1)));
        assert_eq!(delayed.pop_due(Instant::MAX), None);
    }

    quickcheck! {
        fn leaves_in_order_of_time_then_arrival(dues: Vec<u8>) -> bool {
            let mut delayed = Delayed::new(PENDING_MAX);
            let mut sorted = Vec::new();
            for (tid, due) in (0..).zip(dues) {
                let pong = pong(LOCAL, u64::from(due), tid);
                assert!(delayed.push(pong, &Exempt::Local));
                sorted.push(pong);
            }
            sorted.sort_by_key(|pong| pong.due); // stable
            let popped: Vec<_> = core::iter::from_fn(|| delayed.pop_due(Instant::MAX)).collect();
            popped == sorted
        }
    }
}
