//! The congestion window: how many requests may leave now.
//!
//! A window of four slots of 750 ms counts datagrams of requests. It is full when
//! the current slot holds `max` of them, or all slots hold twice that; an answer,
//! a timeout or a cancellation gives one place of the current slot back. An eighth
//! is kept for the user's own requests: upkeep cannot stop them.
//!
//! Mirrors `CongestionWindow` of `lib/io.js`, which knows no classes. The window
//! advances only when it is used, so an idle node need not wake up.

use core::time::Duration;

use crate::Instant;

/// The length of a slot.
pub(crate) const SLOT: Duration = Duration::from_micros(SLOT_MICROS);

const SLOT_MICROS: u64 = 750_000;
const SLOTS: usize = 4;

/// Only [`Class::User`] may fill the last one in this many places.
const RESERVED: u32 = 8;
/// The reserve that misled queries may not fill, as a multiple of the user's: so there is always a place for a query
/// whose nodes answer.
const SPARED: u32 = 3;

/// What a request is for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The user's own request.
    User,
    /// A step of a query, of the user's or the node's own.
    Query,
    /// The check of a node of the table.
    KeepAlive,
    /// A down hint, the check of a node that may be down, or another request that is likely to stay unanswered. Of these,
    /// visits of a query that is led astray may not fill the reserve of queries.
    Hint,
}

/// The congestion window; call [`advance`](Self::advance) before asking it.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    max: u32,
    /// The current slot first.
    slots: [u32; SLOTS],
    /// When the current slot began.
    since: Instant,
}

impl Window {
    /// An empty window for `max` datagrams per slot, twice that in all; slots count from `now`.
    ///
    /// With a `max` of 0 it is always full.
    pub(crate) fn new(max: u32, now: Instant) -> Self {
        Self { max, slots: [0; SLOTS], since: now }
    }

    /// Moves on to the slot of `now`. All but the last four slots are forgotten.
    pub(crate) fn advance(&mut self, now: Instant) {
        let elapsed = now.as_micros().saturating_sub(self.since.as_micros());
        if elapsed < SLOT_MICROS {
            return;
        }
        let steps = elapsed / SLOT_MICROS;
        for _ in 0..steps.min(SLOTS as u64) {
            self.slots.rotate_right(1);
            *self.current() = 0;
        }
        self.since = Instant::from_micros(self.since.as_micros() + steps * SLOT_MICROS);
    }

    /// The end of the current slot: a full window may have places again then.
    pub(crate) fn next_advance(&self) -> Instant {
        self.since + SLOT
    }

    /// Whether a request of `class` has to wait.
    pub(crate) fn full_for(&self, class: Class) -> bool {
        self.room_for(class) == 0
    }

    /// The number of free places for requests of `class`.
    pub(crate) fn room_for(&self, class: Class) -> u32 {
        let total = self.slots.iter().fold(0, |sum: u32, &n| sum.saturating_add(n));
        let [current, ..] = self.slots;
        let of_slot = share_of(class, self.max).saturating_sub(current);
        of_slot.min(share_of(class, self.max.saturating_mul(2)).saturating_sub(total))
    }

    /// Counts a datagram, even above the limit (some requests do not wait).
    pub(crate) fn sent(&mut self) {
        let slot = self.current();
        *slot = slot.saturating_add(1);
    }

    /// Gives a place of the current slot back, since an answer came or is awaited no longer.
    ///
    /// The slot in which the request was sent does not matter.
    pub(crate) fn freed(&mut self) {
        let slot = self.current();
        *slot = slot.saturating_sub(1);
    }

    /// Forgets what was sent, as on suspension; slots go on in step.
    pub(crate) fn clear(&mut self) {
        self.slots = [0; SLOTS];
    }

    fn current(&mut self) -> &mut u32 {
        let [current, ..] = &mut self.slots;
        current
    }
}

/// The part of `places` that a class may fill.
fn share_of(class: Class, places: u32) -> u32 {
    match class {
        Class::User => places,
        Class::Hint => places - places / RESERVED * SPARED,
        // Rounded up, so that a window of one place is open to every class.
        _ => places - places / RESERVED,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const START: Instant = Instant::from_micros(123);
    const CLASSES: [Class; 4] = [Class::User, Class::Query, Class::KeepAlive, Class::Hint];

    /// How many datagrams of `class` pass in the first slot, and in all until it is full for good.
    fn capacity(max: u32, class: Class) -> (u32, u32) {
        let mut window = Window::new(max, START);
        let mut per_slot = [0; SLOTS];
        for passed in &mut per_slot {
            while !window.full_for(class) {
                window.sent();
                *passed += 1;
            }
            window.advance(window.next_advance());
        }
        (per_slot[0], per_slot.iter().sum())
    }

    #[test]
    fn holds_what_it_should() {
        // (max, the user's (per slot, in all), that of other classes, that of the least urgent)
        for (max, user, others, least) in [
            (0, (0, 0), (0, 0), (0, 0)),
            (1, (1, 2), (1, 2), (1, 2)),
            (7, (7, 14), (7, 13), (7, 11)),
            (8, (8, 16), (7, 14), (5, 10)),
            (9, (9, 18), (8, 16), (6, 12)),
            (80, (80, 160), (70, 140), (50, 100)),
        ] {
            for class in CLASSES {
                let expected = match class {
                    Class::User => user,
                    Class::Hint => least,
                    _ => others,
                };
                assert_eq!(capacity(max, class), expected, "{class:?} with {max}");
            }
        }
    }

    #[test]
    fn the_user_passes_where_others_wait() {
        let mut window = Window::new(80, START);
        (0..49).for_each(|_| window.sent());
        assert!(CLASSES.iter().all(|&class| !window.full_for(class)));
        window.sent();
        assert_eq!(CLASSES.map(|class| window.full_for(class)), [false, false, false, true]);
        (50..70).for_each(|_| window.sent());
        assert_eq!(CLASSES.map(|class| window.full_for(class)), [false, true, true, true]);
        (70..80).for_each(|_| window.sent());
        assert!(window.full_for(Class::User));
        window.freed();
        assert!(!window.full_for(Class::User));
    }

    #[test]
    fn classes_are_in_order_of_urgency() {
        assert!(CLASSES.is_sorted());
    }

    #[test]
    fn slots_end_on_time() {
        let mut window = Window::new(1, START);
        assert_eq!(window.next_advance(), START + SLOT);
        window.sent();
        window.advance(Instant::from_micros(123 + 749_999));
        assert!(window.full_for(Class::User));
        window.advance(START + SLOT);
        assert!(!window.full_for(Class::User));
        assert_eq!(window.next_advance(), START + SLOT * 2);
        window.advance(START);
        assert_eq!(window.next_advance(), START + SLOT * 2, "a step back changes nothing");
    }

    #[test]
    fn a_place_in_an_older_slot_is_not_freed() {
        let mut window = Window::new(1, START);
        window.sent();
        window.advance(START + SLOT);
        window.freed();
        window.sent();
        window.advance(START + SLOT * 2);
        assert!(window.full_for(Class::User), "two in all, none of them in this slot");
        window.clear();
        assert!(!window.full_for(Class::User));
        assert_eq!(window.next_advance(), START + SLOT * 3);
    }

    #[test]
    fn the_ends_of_time_and_number_do_no_harm() {
        let mut window = Window::new(u32::MAX, Instant::ZERO);
        window.freed();
        window.slots = [u32::MAX; SLOTS];
        window.sent();
        assert!(window.full_for(Class::User));
        window.advance(Instant::MAX);
        assert!(!window.full_for(Class::User));
        assert_eq!(window.next_advance(), Instant::MAX);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Wait(u64),
        Sent,
        Freed,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            2 => (0..1_000_000_u64).prop_map(Op::Wait),
            1 => (0..4_000_000_u64).prop_map(Op::Wait),
            8 => Just(Op::Sent),
            2 => Just(Op::Freed),
        ]
    }

    proptest! {
        /// The model: a list of all send times that were not taken back, in microseconds.
        #[test]
        fn follows_the_model(ops in prop::collection::vec(op(), 1..120), max in 0..12_u32) {
            let mut window = Window::new(max, START);
            let mut sends: Vec<u64> = Vec::new();
            let mut now = 0;
            for op in ops {
                let slot = |at: u64| at / 750_000;
                match op {
                    Op::Wait(micros) => now += micros,
                    Op::Sent => sends.push(now),
                    Op::Freed => {
                        if sends.last().is_some_and(|&at| slot(at) == slot(now)) {
                            sends.pop();
                        }
                    }
                }
                window.advance(START + Duration::from_micros(now));
                match op {
                    Op::Wait(_) => {}
                    Op::Sent => window.sent(),
                    Op::Freed => window.freed(),
                }
                let current = sends.iter().filter(|&&at| slot(at) == slot(now)).count();
                let total = sends.iter().filter(|&&at| slot(at) + 4 > slot(now)).count();
                for class in CLASSES {
                    let kept = [0, 1, 1, 3][class as usize];
                    let full = |n: usize, limit: u32| n >= (limit - limit / 8 * kept) as usize;
                    prop_assert_eq!(
                        window.full_for(class),
                        full(current, max) || full(total, 2 * max),
                        "{:?}: {} and {} of {}", class, current, total, max
                    );
                }
                prop_assert_eq!(
                    window.next_advance(),
                    START + Duration::from_micros((slot(now) + 1) * 750_000)
                );
            }
        }
    }
}
