//! What has to hold of requests under way.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{Inflight, Purpose, RequestId, Slot, deadlines_max, slot_of};

impl Inflight {
    /// What can be seen without looking at each.
    pub(crate) fn check_counters(&self) {
        assert!(self.free.len() + self.live <= self.slots.len());
        // The user's that have ended and were not taken are among the places.
        assert!(self.users + self.others() >= self.live);
        let tids = self.tids.check_invariants(self.max);
        assert!(tids >= self.live && tids <= 2 * self.live);
        assert!(self.slots.capacity() <= self.max.max(4));
        assert!(self.free.capacity() <= self.max.max(4));
        assert!(self.deadlines.capacity() <= deadlines_max(self.max, self.max) + 1);
        assert!(self.deadlines.len() <= deadlines_max(self.max, self.slots.len()) + 1);
    }

    pub(crate) fn check_invariants(&self) {
        let (mut users, mut others, mut ended, mut tids) = (0, 0, 0, 0);
        // In order, so that thousands can be looked up.
        let mut free = self.free.clone();
        free.sort_unstable();
        let mut due: Vec<_> = self.deadlines.iter().collect();
        due.sort_unstable();
        for (slot, at) in self.slots.iter().zip(0u16..) {
            match slot {
                Slot::Free => {
                    assert!(free.binary_search(&at).is_ok(), "a place that nobody can get");
                }
                Slot::Ended(id, _) => {
                    assert_eq!(slot_of(RequestId(*id)), at);
                    ended += 1;
                }
                Slot::Live(id, flight) => {
                    assert_eq!(slot_of(RequestId(*id)), at);
                    match flight.call.purpose {
                        Purpose::User => users += 1,
                        _ => others += 1,
                    }
                    for tid in [Some(flight.tid), flight.old_tid].into_iter().flatten() {
                        // Of two requests under one id the index would give one only.
                        assert_eq!(self.tids.slot(tid), Some(at));
                        tids += 1;
                    }
                    if let Some(deadline) = flight.deadline {
                        assert!(flight.sent > 0 && flight.sent_at <= deadline);
                        assert!(due.binary_search(&&Reverse((deadline, *id))).is_ok());
                    }
                }
            }
        }
        let mut asked: Vec<_> = self.iter().map(|(_, flight)| flight.call.to()).collect();
        asked.sort_unstable();
        let each = |(addr, requests)| core::iter::repeat_n(addr, usize::from(requests));
        assert!(asked.into_iter().eq(self.asked.iter().flat_map(each)));
        assert_eq!(self.free.len() + users + others + ended, self.slots.len());
        assert_eq!(self.live, users + others);
        assert_eq!((self.users, self.others()), (users + ended, others));
        assert_eq!(self.tids.check_invariants(self.max), tids);
    }
}
