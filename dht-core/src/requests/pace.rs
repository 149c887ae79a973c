//! How soon answers come to walks: a walk repeats a request whose answer is late by this measure, and need not wait
//! whole seconds for dead nodes.
//!
//! The measure is a smoothed average and deviation as in RFC 6298, over all nodes that answered, not per destination as
//! in [`timeouts`](crate::requests::timeouts): a walk has never asked most of its nodes before.
//!
//! The measure alone would take the few nodes that are far away for dead: the walk does not wait for them, so they are
//! not measured either. (Of two nodes in ten with a round trip of 600 ms among nodes with 20 ms, not one
//! was ever found.) So a walk that gives up early learns from an answer that comes too late that it was wrong, and for
//! a while all walks wait for a second.
//!
//! An answer after a repetition is either to an earlier, slow try, or to the last one because the earlier ones were
//! lost. All tries have the same bytes, so the answer does not tell; but if it comes after the second try sooner than
//! answers come at all, it is to the first. A datagram lost now and then must neither slow the pace down nor make
//! walks careful; losses are counted, and where many datagrams are lost, more tries are waited for.

use core::time::Duration;

/// The least patience, by the number of answers: the first few may come from next door while all other nodes
/// are oceans away, so little is concluded from them; and even the quickest processes pause.
const FLOORS_US: [(u8, u32); 3] = [(10, 100_000), (3, 300_000), (1, 500_000)];
/// What a fixed time-out would be.
const CEILING_US: u32 = 1_000_000;
/// The average and this many deviations are waited for.
const DEVIATIONS: u32 = 3;
/// After a node was, or would have been, given up too early, no node is given up within a second until this
/// many answers have come: about three walks.
const CAREFUL: u8 = 100;
/// The same at first: what a bootstrap brings.
const CAREFUL_AT_FIRST: u8 = 30;
/// Tries that are waited for, by the measured loss ([`Pace::loss`]): enough that one in 5,000 live nodes is
/// missed.
const TRIES: [(u16, u8); 2] = [(914, 2), (3_622, 3)];
pub(crate) const TRIES_MAX: u8 = 4;
/// This many tries without an answer say that a node is down, at least and at most; and the part of live nodes, in
/// 65,536ths, that may leave them all unanswered.
pub(crate) const SURE_MIN: u16 = 4;
const SURE_MAX: u16 = 16;
const SURE_OF: u64 = 13;
/// With more than a quarter of all tries late or lost, they are more likely slow than lost.
const SLOW: u16 = 1 << 14;
/// Loss is averaged over this many tries at most; and it begins as if this many had been answered.
const TRIED_MAX: u8 = 128;
const TRIED_AT_FIRST: u8 = 16;

/// When an answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Tries that had been sent by then, one at least.
    pub(crate) tries: u16,
    /// Since the first one, and since the last.
    pub(crate) since_first: Duration,
    pub(crate) since_last: Duration,
}

/// The round trips of late.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    average_us: u32,
    deviation_us: u32,
    samples: u8,
    /// Further answers during which no node is given up early.
    careful: u8,
    /// The part of tries, in 65,536ths, that nodes left unanswered before they answered another. One try per answer
    /// counts, however many were lost: else a few nodes that answer late on purpose would slow us down.
    loss: u16,
    /// The same with the first tries that were only slow.
    late: u16,
    tried: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            average_us: 0,
            deviation_us: 0,
            samples: 0,
            careful: CAREFUL_AT_FIRST,
            loss: 0,
            late: 0,
            tried: TRIED_AT_FIRST,
        }
    }
}

impl Pace {
    /// Records an answer. Returns whether its node would have been given up without the care.
    pub(crate) fn record(&mut self, answer: Timing) -> bool {
        // Later tries follow sooner, so that an answer to the second may come as soon after them; and where most are
        // late, the average has to do with that.
        let comparable = answer.tries == 2 && self.late <= SLOW;
        let to_the_first = comparable && answer.since_last < self.soonest();
        self.count(answer.tries > 1, answer.tries > 1 && !to_the_first);
        // What took longer than a second would have been given up all the same.
        let second = Duration::from_micros(CEILING_US.into());
        // If it is to the last try, that took so long at least.
        let within = if answer.tries > 1 { 1 } else { u32::from(TRIES[0].1) };
        let hasty = self.patience().is_some_and(|patience| {
            answer.since_last > within * patience && answer.since_first <= second
        });
        self.careful = if hasty { CAREFUL } else { self.careful.saturating_sub(1) };
        // An answer slower than any wait is no measure for other nodes.
        let sure = answer.tries == 1 || self.late > SLOW;
        if sure && answer.since_first <= second {
            self.measure(answer.since_first);
        }
        hasty
    }

    fn measure(&mut self, rtt: Duration) {
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).min(4 * CEILING_US);
        if self.samples == 0 {
            (self.average_us, self.deviation_us) = (rtt, rtt / 2);
        } else {
            let off_by = self.average_us.abs_diff(rtt);
            self.deviation_us = self.deviation_us - self.deviation_us / 4 + off_by / 4;
            self.average_us = self.average_us - self.average_us / 8 + rtt / 8;
        }
        self.samples = self.samples.saturating_add(1);
    }

    /// Few answer sooner than in three quarters of the average.
    fn soonest(&self) -> Duration {
        Duration::from_micros((self.average_us - self.average_us / 4).into())
    }

    /// A request was answered after `tries` tries.
    pub(crate) fn count_tries(&mut self, tries: u16) {
        self.count(tries > 1, tries > 1);
    }

    /// An answer has come, and one before it had not when it was due, for it was lost or only late.
    fn count(&mut self, late: bool, lost: bool) {
        for (late, lost) in late.then_some((late, lost)).into_iter().chain([(false, false)]) {
            self.tried = TRIED_MAX.min(self.tried + 1);
            let towards = |average: u16, one: bool| {
                let (average, one) =
                    (i32::from(average), if one { i32::from(u16::MAX) } else { 0 });
                u16::try_from(average + (one - average) / i32::from(self.tried)).unwrap_or(u16::MAX)
            };
            (self.late, self.loss) = (towards(self.late, late), towards(self.loss, lost));
        }
    }

    /// Tries without an answer after which a node counts as down: 4 to 16, so that one in 5,000 live nodes leaves all
    /// of them unanswered.
    pub(crate) fn tries_to_be_sure(&self) -> u16 {
        // `loss` counts one lost try per answer, so at most one in two: this is the loss per try.
        let loss = u64::from(self.loss) * 65_536 / u64::from(u16::MAX - self.loss).max(1);
        let loss = loss.min(65_536);
        let mut missed = u64::from(u16::MAX);
        let lost = (1..=SURE_MAX).find(|_| {
            missed = (missed * loss) >> 16;
            missed < SURE_OF
        });
        lost.unwrap_or(SURE_MAX).max(SURE_MIN)
    }

    /// Tries to wait for before a walk gives a node up.
    pub(crate) fn tries(&self) -> u8 {
        let few = TRIES.into_iter().find(|(loss, _)| self.loss <= *loss);
        few.map_or(TRIES_MAX, |(_, tries)| tries)
    }

    /// A node would have been given up too early.
    pub(crate) fn was_hasty(&mut self) {
        self.careful = CAREFUL;
    }

    /// A node was given up, and answered after that: what was measured may be of another path than today's.
    pub(crate) fn was_wrong(&mut self) {
        *self = Self { careful: CAREFUL, ..Self::default() };
    }

    /// An answer of another pace was in time.
    pub(crate) fn was_in_time(&mut self, tries: u16) {
        self.count_tries(tries);
        self.careful = self.careful.saturating_sub(1);
    }

    /// Whether there is anything to go by.
    pub(crate) fn is_measured(&self) -> bool {
        self.samples > 0
    }

    /// For requests that are answered at another pace, over the same ways.
    pub(crate) fn unmeasured(&self) -> Self {
        let Self { careful, loss, late, tried, .. } = *self;
        Self { careful, loss, late, tried, ..Self::default() }
    }

    /// How long to wait for an answer before asking again.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let (_, floor_us) = FLOORS_US.into_iter().find(|(samples, _)| self.samples >= *samples)?;
        let us = self.average_us.saturating_add(DEVIATIONS * self.deviation_us);
        Some(Duration::from_micros(us.clamp(floor_us, CEILING_US).into()))
    }

    /// And after asking again, before giving up, if so much time has passed since the first try.
    pub(crate) fn last_patience(&self, waited: Duration) -> Option<Duration> {
        let patience = self.patience()?;
        let second = Duration::from_micros(CEILING_US.into());
        let rest = if self.careful > 0 { second.saturating_sub(waited) } else { Duration::ZERO };
        Some(patience.max(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// To the only try.
    fn once(rtt: Duration) -> Timing {
        Timing { tries: 1, since_first: rtt, since_last: rtt }
    }

    /// The timing of an answer after `tries` tries, 100 ms apart.
    fn again(tries: u16, since_last: Duration) -> Timing {
        let since_first = since_last + u32::from(tries - 1) * ms(100);
        Timing { tries, since_first, since_last }
    }

    /// The pace after `count` answers that took `rtt` each.
    fn after(count: usize, rtt: Duration) -> Pace {
        let mut pace = Pace::default();
        (0..count).for_each(|_| _ = pace.record(once(rtt)));
        pace
    }

    #[test]
    fn few_answers_leave_much_patience() {
        let patience = [0, 1, 2, 3, 9, 10, 255, 300].map(|n| after(n, ms(1)).patience());
        let expected =
            [None, Some(500), Some(500), Some(300), Some(300), Some(100), Some(100), Some(100)];
        assert_eq!(patience, expected.map(|patience| patience.map(ms)));
    }

    #[test]
    fn three_deviations_above_the_average_within_bounds() {
        // Half of the first round trip counts as deviation, and a quarter of that fades with each.
        let mut pace = after(1, ms(200));
        assert_eq!(pace.patience(), Some(ms(200 + 300)));
        pace.record(once(ms(280)));
        // 200 + 80 / 8, and three times 75 + 80 / 4.
        assert_eq!(pace.patience(), Some(ms(500)), "the floor");
        pace.record(once(ms(210)));
        assert_eq!(pace.patience(), Some(ms(210) + 3 * Duration::from_micros(71_250)));
        assert_eq!(after(20, ms(999)).patience().map(|patience| patience > ms(999)), Some(true));
        assert_eq!(after(20, ms(1_000)).patience(), Some(ms(1_000)));
        assert_eq!(after(20, ms(1_001)).patience(), None, "nobody is measured by that");
    }

    #[test]
    fn careful_until_thirty_were_in_time_and_a_hundred_after_one_that_was_not() {
        let rest = |pace: &Pace| pace.last_patience(ms(100)).unwrap();
        let mut pace = after(29, ms(20));
        assert_eq!(rest(&pace), ms(900));
        assert!(!pace.record(once(ms(20))));
        assert_eq!(rest(&pace), ms(100));
        // Twice the patience is in time, but only just.
        assert!(!pace.clone().record(once(ms(200))) && pace.clone().record(once(ms(201))));
        let mut told = pace;
        told.was_hasty();
        pace.record(once(ms(201)));
        for mut pace in [pace, told] {
            (0..99).for_each(|_| _ = pace.record(once(ms(20))));
            assert_eq!(rest(&pace), ms(900));
            pace.record(once(ms(20)));
            assert_eq!(rest(&pace), ms(100));
        }
    }

    #[test]
    fn careful_is_a_second_from_the_first_try_and_never_less_than_the_patience() {
        let pace = after(10, ms(20));
        let waited = [100, 899, 900, 901, 5_000].map(|waited| pace.last_patience(ms(waited)));
        assert_eq!(waited, [900, 101, 100, 100, 100].map(|rest| Some(ms(rest))));
        assert_eq!(after(0, ms(20)).last_patience(ms(100)), None);
    }

    #[test]
    fn a_lost_try_neither_slows_the_pace_nor_makes_careful() {
        let mut pace = after(40, ms(20));
        let before = pace;
        for _ in 0..10 {
            // 300 ms after the first of four tries, but as soon after the last as all other answers.
            assert!(!pace.record(again(4, ms(20))));
            (0..30).for_each(|_| _ = pace.record(once(ms(20))));
        }
        assert_eq!((pace.average_us, pace.deviation_us), (before.average_us, before.deviation_us));
        assert_eq!(pace.last_patience(ms(0)), Some(ms(100)));
        // Whichever try it is to, it took longer than any wait.
        assert!(!pace.clone().record(again(2, ms(100))) && pace.clone().record(again(2, ms(101))));
        assert!(!pace.clone().record(again(2, ms(901))), "it would have been given up anyway");
    }

    #[test]
    fn a_slow_answer_to_the_first_try_is_no_loss() {
        let tries_after = |answer: Timing| {
            let mut pace = after(40, ms(80));
            (0..10).for_each(|_| _ = pace.record(answer));
            pace.tries()
        };
        assert_eq!(
            tries_after(again(2, ms(59))),
            2,
            "159 ms after the first and 59 after the second"
        );
        assert_eq!(
            tries_after(again(2, ms(60))),
            TRIES_MAX,
            "to the second, which is as quick as others"
        );
        assert_eq!(
            tries_after(again(3, ms(10))),
            TRIES_MAX,
            "to the second, 10 ms after the third"
        );
    }

    #[test]
    fn where_half_of_all_tries_are_lost_it_takes_many_to_be_sure() {
        let (mut pace, mut random) = (Pace::default(), 1_u32);
        for _ in 0..2_000 {
            let lost = || {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                random >> 31 == 1
            };
            let tries = 1 + core::iter::repeat_with(lost).take(3).take_while(|lost| *lost).count();
            let every = pace.patience().unwrap_or(ms(1_000));
            let since_last = ms(40);
            let since_first = since_last + every * (tries as u32 - 1);
            pace.record(Timing { tries: tries as u16, since_first, since_last });
        }
        assert!(pace.tries_to_be_sure() >= 9, "{pace:?}");
    }

    #[test]
    fn where_most_must_be_asked_again_they_are_slow() {
        // After what time since the second try the answers come; and the patience with them in the end.
        for (since_last, patience) in [(ms(10), ms(110)), (ms(50), ms(150))] {
            let mut pace = after(40, ms(20));
            let asked_again = (1..200).find(|_| {
                pace.record(again(2, since_last));
                pace.patience() > Some(patience)
            });
            assert!(asked_again.is_some_and(|n| (10..60).contains(&n)), "{asked_again:?}");
        }
    }

    #[test]
    fn the_more_tries_are_lost_the_more_are_waited_for() {
        // Lost tries of a hundred, and the number of tries that are waited for in the end.
        for (lost, tries) in [(0, 2), (3, 3), (5, 3), (10, 4), (19, 4), (50, 4)] {
            let mut pace = Pace::default();
            let mut all = 0;
            for n in 0..2_000 {
                let again_and_again = (n + 1) * lost / 100 - n * lost / 100;
                all += again_and_again;
                pace.count_tries(1 + u16::try_from(again_and_again).unwrap());
            }
            assert!(all * 100 >= lost * 1_999, "{all} of {lost} %");
            assert_eq!(pace.tries(), tries, "{lost} %");
        }
        let mut pace = Pace::default();
        assert_eq!(pace.tries(), 2, "nobody knows better");
        pace.count_tries(2);
        assert_eq!(pace.tries(), 4);
        (0..100).for_each(|_| pace.count_tries(4));
        assert_eq!(pace.tries(), 4, "never more");
        (0..1_000).for_each(|_| pace.count_tries(1));
        assert_eq!(pace.tries(), 2, "long ago");
    }

    #[test]
    fn the_more_tries_are_lost_the_more_in_vain_it_takes_to_be_sure() {
        // As counted: two of these a hundred are of 9 that were lost, and half of them of all.
        let lost = [0, 6, 8, 9, 16, 34, 40, 50, 100];
        let sure = lost.map(|percent| {
            let loss = u16::try_from(percent * 65_535 / 100).unwrap();
            Pace { loss, ..Pace::default() }.tries_to_be_sure()
        });
        assert_eq!(sure, [4, 4, 4, 4, 6, 13, 16, 16, 16]);
    }

    #[test]
    fn one_of_each_answer_counts_as_lost_however_late_it_is() {
        let (mut once, mut often) = (Pace::default(), Pace::default());
        for _ in 0..10 {
            once.count_tries(2);
            often.count_tries(16);
        }
        assert_eq!(once.loss, often.loss);
    }

    #[test]
    fn another_kind_of_request_has_its_own_measure_but_the_same_care() {
        let mut pace = after(30, ms(20));
        let mut other = pace.unmeasured();
        assert_eq!(other.patience(), None);
        (0..10).for_each(|_| _ = other.record(once(ms(20))));
        assert_eq!(other.last_patience(ms(100)), Some(ms(100)));
        pace.was_hasty();
        let mut other = pace.unmeasured();
        (0..10).for_each(|_| _ = other.record(once(ms(20))));
        assert_eq!(other.last_patience(ms(100)), Some(ms(900)));
    }
}
