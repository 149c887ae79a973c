//! Whether the network works, judged by how requests end, except requests that strangers can make us send
//! ([`lessons`](crate::requests::lessons)).
//!
//! Every tick takes a sample of two running totals. Ticks with fewer than four
//! outcomes say nothing; two in a row (idle ones aside) without any response mean
//! offline; four in a row with more timeouts than responses mean degraded; four
//! good ones in a row end that, and any response ends offline.
//!
//! Mirrors `lib/health.js`, but for one fault: there an offline tick, when it
//! leaves the window, is taken off the count of good ones, which it never
//! entered, so a node that was offline once never recovers from degraded.

use crate::api::error::Unsent;
use crate::api::health_info::HealthInfo;

/// Ticks in the window.
const WINDOW: usize = 4;

/// Ticks without a response until the network counts as offline.
const SILENT_MAX: u8 = 2;

/// Ticks between two resets by a wake-up, at least: 5 minutes.
const FORGET_EVERY: u8 = 60;

/// Outcomes in a tick below which it says nothing.
const OUTCOMES_MIN: u64 = 4;

/// The state of the network, as far as requests show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// Requests are answered, or there were too few to tell.
    #[default]
    Online,
    /// Some are answered, but more time out.
    Degraded,
    /// None is answered.
    Offline,
}

/// Judges the network; `update` once per tick.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// The verdicts on the last ticks, the newest last.
    window: [Verdict; WINDOW],
    /// The totals at the last two ticks.
    previous: Totals,
    newest: Totals,
    ticks: usize,
    /// Silent ticks since the last one with a response, up to [`SILENT_MAX`].
    silent: u8,
    status: Status,
    /// Since the last reset: whether a node has answered, and how many ticks have passed, up to
    /// [`FORGET_EVERY`].
    heard: bool,
    since: u8,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            window: [Verdict::None; WINDOW],
            previous: Totals::default(),
            newest: Totals::default(),
            ticks: 0,
            silent: 0,
            status: Status::Online,
            heard: true,
            since: FORGET_EVERY,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    responses: u64,
    timeouts: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    #[default]
    None,
    Good,
    Degraded,
    Silent,
}

impl Health {
    /// Takes the totals of responses and timeouts since the node was made.
    ///
    /// Returns the status if it changed.
    pub(crate) fn update(&mut self, responses: u64, timeouts: u64) -> Option<Status> {
        self.window.rotate_left(1);
        self.ticks = (self.ticks + 1).min(WINDOW);
        self.since = (self.since + 1).min(FORGET_EVERY);
        self.heard |= responses > self.newest.responses;
        let [.., newest] = &mut self.window;
        *newest = Verdict::None;
        self.previous = core::mem::replace(&mut self.newest, Totals { responses, timeouts });
        if self.cold() || self.idle() {
            return None;
        }
        let verdict = match (self.responses(), self.timeouts()) {
            (0, _) => Verdict::Silent,
            (responses, timeouts) if timeouts > responses => Verdict::Degraded,
            _ => Verdict::Good,
        };
        let [.., newest] = &mut self.window;
        *newest = verdict;
        self.silent = match verdict {
            Verdict::Silent => (self.silent + 1).min(SILENT_MAX),
            _ => 0,
        };
        let all = |verdict| self.window.iter().all(|other| *other == verdict);
        let status = if self.silent == SILENT_MAX {
            Status::Offline
        } else if all(Verdict::Degraded) {
            Status::Degraded
        } else if all(Verdict::Good) || (self.silent == 0 && self.status == Status::Offline) {
            Status::Online
        } else {
            self.status
        };
        self.set(status)
    }

    /// After a sleep the verdict is reset to online, until shown otherwise. It is reset only if a node
    /// has answered since the last time, and that is a while ago: or a node woken again and again would never
    /// notice that no peer answers.
    ///
    /// Returns the status if it changed.
    pub(crate) fn wake_up(&mut self) -> Option<Status> {
        if !self.heard || self.since < FORGET_EVERY {
            return None;
        }
        let Self { status, newest, .. } = *self;
        *self = Self { status, newest, heard: false, since: 0, ..Self::default() };
        self.set(Status::Online)
    }

    /// The status as last returned; [`Status::Online`] at first.
    #[cfg(test)]
    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// Not [`Status::Offline`].
    pub(crate) fn online(&self) -> bool {
        self.status != Status::Offline
    }

    /// In figures; `unsent`: why the system does not send.
    pub(crate) fn info(&self, unsent: Option<Unsent>) -> HealthInfo {
        let (responses, timeouts) = (self.responses(), self.timeouts());
        HealthInfo {
            online: self.online(),
            degraded: self.status == Status::Degraded,
            cold: self.cold(),
            idle: self.idle(),
            responses,
            timeouts,
            timeouts_rate: match timeouts {
                0 => 0.0,
                _ => timeouts as f64 / responses.saturating_add(timeouts) as f64,
            },
            unsent,
        }
    }

    /// Whether the window is not full yet, so that nothing is judged.
    fn cold(&self) -> bool {
        self.ticks < WINDOW
    }

    /// Whether the last tick had too few outcomes to tell anything.
    fn idle(&self) -> bool {
        self.responses().saturating_add(self.timeouts()) < OUTCOMES_MIN
    }

    /// Responses in the last tick.
    fn responses(&self) -> u64 {
        self.in_last_tick(|totals| totals.responses)
    }

    /// Timeouts in the last tick.
    fn timeouts(&self) -> u64 {
        self.in_last_tick(|totals| totals.timeouts)
    }

    fn in_last_tick(&self, total: impl Fn(&Totals) -> u64) -> u64 {
        if self.ticks < 2 {
            return 0;
        }
        total(&self.newest).saturating_sub(total(&self.previous))
    }

    fn set(&mut self, status: Status) -> Option<Status> {
        let changed = self.status != status;
        self.status = status;
        changed.then_some(status)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The status after each of these ticks of (responses, timeouts), which follow a window of
    /// idle ones: `+` online, `~` degraded, `-` offline, with `!` before it where it was told.
    fn statuses(ticks: &[(u64, u64)]) -> String {
        let mut health = Health::default();
        for _ in 0..WINDOW {
            assert_eq!(health.update(0, 0), None);
        }
        let (mut responses, mut timeouts) = (0, 0);
        let mut statuses = String::new();
        for &(r, t) in ticks {
            responses += r;
            timeouts += t;
            if let Some(told) = health.update(responses, timeouts) {
                assert_eq!(told, health.status());
                statuses.push('!');
            }
            statuses.push(match health.status() {
                Status::Online => '+',
                Status::Degraded => '~',
                Status::Offline => '-',
            });
        }
        statuses
    }

    const GOOD: (u64, u64) = (2, 2); // half is not over half
    const BAD: (u64, u64) = (2, 3);
    const SILENT: (u64, u64) = (0, 4);
    const IDLE: (u64, u64) = (0, 3); // three outcomes tell nothing

    #[test]
    fn statuses_by_ticks() {
        for (ticks, expected) in [
            (&[GOOD, GOOD, GOOD, GOOD, GOOD][..], "+++++"),
            (&[IDLE, IDLE, IDLE, IDLE, IDLE], "+++++"),
            (&[SILENT, SILENT], "+!-"),
            (&[SILENT, IDLE, IDLE, IDLE, IDLE, SILENT], "+++++!-"),
            (&[SILENT, GOOD, SILENT, GOOD, SILENT], "+++++"),
            (&[SILENT, SILENT, SILENT, IDLE, GOOD], "+!---!+"),
            (&[SILENT, SILENT, BAD], "+!-!+"),
            (&[BAD, BAD, BAD, BAD], "+++!~"),
            (&[BAD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD], "+++++++!~"),
            (&[BAD, BAD, BAD, IDLE, BAD, BAD, BAD, BAD], "+++++++!~"),
            (&[BAD, BAD, BAD, BAD, GOOD, GOOD, GOOD, GOOD], "+++!~~~~!+"),
            (&[BAD, BAD, BAD, BAD, GOOD, GOOD, GOOD, IDLE, GOOD], "+++!~~~~~~"),
            (&[BAD, BAD, BAD, BAD, SILENT, SILENT, GOOD], "+++!~~!-!+"),
            (&[BAD, BAD, BAD, BAD, SILENT, GOOD, GOOD, GOOD], "+++!~~~~~"),
            // Well again after degraded, though it was offline before.
            (&[SILENT, SILENT, BAD, BAD, BAD, BAD, GOOD, GOOD, GOOD, GOOD], "+!-!+++!~~~~!+"),
        ] {
            assert_eq!(statuses(ticks), expected, "{ticks:?}");
        }
    }

    #[test]
    fn nothing_is_judged_before_the_window_is_full() {
        let mut health = Health::default();
        assert!(health.cold() && health.idle() && health.online());
        for i in 1..=3 {
            assert_eq!(health.update(0, i * 100), None);
            assert!(health.cold());
        }
        assert_eq!((health.timeouts(), health.idle()), (100, false));
        assert_eq!(health.update(0, 400), None, "the first silent tick that counts");
        assert!(!health.cold());
        assert_eq!(health.update(0, 500), Some(Status::Offline));
    }

    #[test]
    fn waking_up_is_told_only_when_it_changes_something() {
        let mut health = Health::default();
        assert_eq!(health.wake_up(), None);
        let mut health = Health::default();
        (1..=4).for_each(|i| assert_eq!(health.update(0, i * 4), None));
        assert_eq!(health.update(0, 20), Some(Status::Offline));
        assert_eq!(health.wake_up(), Some(Status::Online));
        assert!(health.cold() && health.timeouts() == 0);
        // The silent ticks from before no longer count.
        (6..=9).for_each(|i| assert_eq!(health.update(0, i * 4), None));
        assert_eq!(health.update(0, 40), Some(Status::Offline));
    }

    #[test]
    fn it_is_forgotten_again_after_five_minutes_in_which_somebody_answered() {
        for (ticks, answered, forgotten) in [(60, 1, true), (59, 1, false), (600, 0, false)] {
            let mut health = Health::default();
            health.update(7, 0);
            health.wake_up();
            (0..ticks).for_each(|_| _ = health.update(7 + answered, 0));
            health.wake_up();
            assert_eq!(health.cold(), forgotten, "{answered} in {ticks} ticks");
        }
    }

    #[test]
    fn observers_tell_of_the_last_tick() {
        let mut health = Health::default();
        health.update(10, 10);
        assert_eq!((health.responses(), health.timeouts()), (0, 0));
        assert_eq!(health.info(None).timeouts_rate, 0.0);
        health.update(13, 11);
        assert_eq!((health.responses(), health.timeouts()), (3, 1));
        assert_eq!(health.info(None).timeouts_rate, 0.25);
        assert!(!health.idle());
        health.update(15, 12);
        assert!(health.idle());
        health.update(u64::MAX, u64::MAX);
        assert!(!health.idle());
        health.update(0, 0);
        assert_eq!((health.responses(), health.timeouts()), (0, 0), "totals never fall");
    }

    proptest! {
        /// The model sees the whole history at once instead of a window and a count.
        #[test]
        fn follows_the_model(ticks in prop::collection::vec(
            prop::sample::select(&[GOOD, BAD, SILENT, IDLE][..]), 1..40,
        )) {
            let mut expected = String::new();
            let mut status = '+';
            for n in 1..=ticks.len() {
                let past = &ticks[..n];
                let counted: Vec<_> = past.iter().filter(|&&t| t != IDLE).collect();
                let last_four = |kind| n >= 4 && past[n - 4..].iter().all(|&t| t == kind);
                let now = if past[n - 1] == IDLE {
                    status
                } else if counted.ends_with(&[&SILENT, &SILENT]) {
                    '-'
                } else if last_four(BAD) {
                    '~'
                } else if last_four(GOOD) || status == '-' {
                    '+'
                } else {
                    status
                };
                if now != status {
                    expected.push('!');
                }
                status = now;
                expected.push(now);
            }
            prop_assert_eq!(statuses(&ticks), expected);
        }
    }
}
