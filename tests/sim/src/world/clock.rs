//! What time a node thinks it is.
//!
//! The simulation's own time is called global; no node sees it. A node has three clocks, all driven
//! by one oscillator that may be too fast or too slow:
//!
//! - the boot clock, which the core is given: never stops, not even while the machine sleeps;
//! - the monotonic clock, which stands still meanwhile (as on Linux and macOS);
//! - the wall clock, which may be wrong, and is set right in steps.
//!
//! A machine that falls asleep knows when it wakes up, so that a clock is a few numbers and needs no
//! timer. A process that stands still stops no clock. All of it is exact, in integers.
//!
//! A node is asked and told in order of global time. Answers about the time before the last change are answers with
//! its present settings.

use serde::{Deserialize, Serialize};

use super::Micros;

/// No oscillator is further off, in parts per million: half as fast or half as fast again.
pub const DRIFT_MAX_PPM: i32 = 500_000;

/// No clock starts further off than a century, in microseconds.
pub const OFFSET_MAX_US: i64 = 100 * 366 * 86_400_000_000;

const MILLION: i64 = 1_000_000;
// So that the drift until the end of time fits.
const _: () = assert!(u64::MAX / MILLION as u64 * DRIFT_MAX_PPM as u64 <= i64::MAX as u64);

/// How a node's clocks start and run. The default is a right one.
///
/// ```
/// use dht_sim::clock::Clock;
///
/// let fast = Clock { drift_ppm: 100, offset_us: 5_000_000, ..Clock::default() }.start();
/// assert_eq!(fast.boot(10_000_000), 10_001_000);
/// assert_eq!(fast.wall(10_000_000), 15_001_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// How far ahead the wall clock is when the simulation begins, in microseconds.
    pub offset_us: i64,
    /// How long the machine has been up when the simulation begins, in microseconds: what the boot
    /// clock and the monotonic clock show then.
    pub uptime_us: Micros,
    /// How much too fast it runs, in parts per million. Real ones are within 100.
    pub drift_ppm: i32,
    /// Whether steps of the wall clock move the boot clock as well, even backwards: it shows what
    /// happens to a node whose adapter takes the wall clock for it.
    pub boot_step: bool,
}

/// A node's clocks under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeClock {
    drift_ppm: i32,
    boot_step: bool,
    /// What each clock is ahead of the drifted global time.
    boot_us: i64,
    wall_us: i64,
    monotonic_us: i64,
    /// The last sleep, perhaps not over, in global time.
    sleep_from: Micros,
    sleep_until: Micros,
}

impl Clock {
    /// Clocks that start at global time 0. Numbers beyond the bounds are brought into them.
    pub fn start(&self) -> NodeClock {
        let offset_us = self.offset_us.clamp(-OFFSET_MAX_US, OFFSET_MAX_US);
        let uptime_us = i64::try_from(self.uptime_us).unwrap_or(i64::MAX).min(OFFSET_MAX_US);
        NodeClock {
            drift_ppm: self.drift_ppm.clamp(-DRIFT_MAX_PPM, DRIFT_MAX_PPM),
            boot_step: self.boot_step,
            boot_us: uptime_us,
            wall_us: offset_us,
            monotonic_us: uptime_us,
            sleep_from: 0,
            sleep_until: 0,
        }
    }
}

impl NodeClock {
    /// What the boot clock shows, in microseconds; not below 0.
    #[inline]
    pub fn boot(&self, global: Micros) -> Micros {
        shown(self.drifted(global) + i128::from(self.boot_us))
    }

    /// What the wall clock shows: microseconds since the simulation began, by a right clock.
    pub fn wall(&self, global: Micros) -> i64 {
        let wall = self.drifted(global) + i128::from(self.wall_us);
        i64::try_from(wall).unwrap_or(i64::MAX)
    }

    /// What the monotonic clock shows, in microseconds.
    pub fn monotonic(&self, global: Micros) -> Micros {
        let slept = self.slept(global.clamp(self.sleep_from, self.sleep_until));
        shown(self.drifted(global) + i128::from(self.monotonic_us) - slept)
    }

    /// The first global time at which the boot clock shows at least `boot`, with all steps so far:
    /// it may be past. `u64::MAX` if that is beyond the end of time.
    pub fn global_at(&self, boot: Micros) -> Micros {
        if boot == 0 {
            // The boot clock also shows 0 for what would be less.
            return 0;
        }
        let drifted = i128::from(boot) - i128::from(self.boot_us);
        if self.drift_ppm == 0 || drifted <= 0 {
            return shown(drifted);
        }
        // Rounded up: the least `global` with `drifted <= global * rate / MILLION`, rounded down.
        let rate = i128::from(MILLION + i64::from(self.drift_ppm));
        shown((drifted * i128::from(MILLION) + rate - 1) / rate)
    }

    /// The wall clock is set ahead by `by_us` microseconds, or back if it is negative. The boot clock moves only with
    /// [`Clock::boot_step`]; the monotonic clock never.
    pub fn step(&mut self, by_us: i64) {
        self.wall_us = self.wall_us.saturating_add(by_us);
        if self.boot_step {
            self.boot_us = self.boot_us.saturating_add(by_us);
        }
    }

    /// The machine falls asleep at `now`, global time, for `for_us` microseconds of it: the process and the monotonic
    /// clock stop, the boot and the wall clock go on. To fall asleep while asleep can only make it longer.
    pub fn suspend(&mut self, now: Micros, for_us: Micros) {
        let until = now.saturating_add(for_us);
        if now <= self.sleep_until && self.sleep_from < self.sleep_until {
            self.sleep_until = self.sleep_until.max(until);
        } else {
            let slept = i64::try_from(self.slept(self.sleep_until)).unwrap_or(i64::MAX);
            self.monotonic_us = self.monotonic_us.saturating_sub(slept);
            (self.sleep_from, self.sleep_until) = (now, until);
        }
    }

    /// Global time at this oscillator's pace, rounded down.
    #[inline]
    fn drifted(&self, global: Micros) -> i128 {
        let ppm = i64::from(self.drift_ppm);
        let (seconds, rest) = (global / MILLION as u64, global % MILLION as u64);
        // Of whole seconds the drift is whole microseconds, and with at most `DRIFT_MAX_PPM` it is
        // below 2^63.
        let drift = seconds as i64 * ppm + (rest as i64 * ppm).div_euclid(MILLION);
        i128::from(global) + i128::from(drift)
    }

    /// How much of the last sleep was over at `until`, which is in it, at this oscillator's pace.
    fn slept(&self, until: Micros) -> i128 {
        self.drifted(until) - self.drifted(self.sleep_from)
    }
}

/// What a clock shows that has 64 bits and no negative times.
#[inline]
fn shown(us: i128) -> Micros {
    Micros::try_from(us.max(0)).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::SECOND;

    const HOUR: Micros = 3_600 * SECOND;

    fn drifting(drift_ppm: i32) -> NodeClock {
        Clock { drift_ppm, ..Clock::default() }.start()
    }

    fn all(clock: &NodeClock, global: Micros) -> (Micros, i64, Micros) {
        (clock.boot(global), clock.wall(global), clock.monotonic(global))
    }

    #[test]
    fn a_right_clock_shows_global_time() {
        let clock = Clock::default().start();
        for global in [0, 1, HOUR, i64::MAX as u64] {
            assert_eq!(all(&clock, global), (global, global as i64, global));
            assert_eq!(clock.global_at(global), global);
        }
    }

    #[test]
    fn a_clock_starts_off_and_drifts() {
        let clock =
            Clock { offset_us: -7, uptime_us: 500, drift_ppm: 100, boot_step: false }.start();
        assert_eq!(all(&clock, 0), (500, -7, 500));
        let drifted = HOUR + 360_000;
        assert_eq!(all(&clock, HOUR), (drifted + 500, drifted as i64 - 7, drifted + 500));
        // Rounded down, fast or slow.
        assert_eq!([0, 9_999, 10_000].map(|t| drifting(100).boot(t)), [0, 9_999, 10_001]);
        assert_eq!([0, 1, 10_001, 10_002].map(|t| drifting(-100).boot(t)), [0, 0, 9_999, 10_000]);
    }

    #[test]
    fn a_step_moves_the_wall_clock_alone_unless_asked_otherwise() {
        let mut clock = Clock::default().start();
        clock.step(-3_000);
        assert_eq!(all(&clock, 1_000), (1_000, -2_000, 1_000));
        let mut clock = Clock { boot_step: true, ..Clock::default() }.start();
        clock.step(-3_000);
        assert_eq!(all(&clock, 1_000), (0, -2_000, 1_000));
        assert_eq!(clock.boot(3_001), 1);
        assert_eq!([0, 1, 2].map(|boot| clock.global_at(boot)), [0, 3_001, 3_002]);
        clock.step(5_000);
        assert_eq!(all(&clock, 1_000), (3_000, 3_000, 1_000));
        assert_eq!(clock.global_at(2_500), 500, "long past");
        assert_eq!(clock.global_at(1_500), 0);
    }

    #[test]
    fn the_monotonic_clock_stands_still_while_the_machine_sleeps() {
        let mut clock = Clock::default().start();
        clock.suspend(1_000, 500);
        clock.suspend(1_200, 500);
        let shown = [999, 1_000, 1_500, 1_700, 1_701].map(|t| clock.monotonic(t));
        assert_eq!(shown, [999, 1_000, 1_000, 1_000, 1_001]);
        clock.suspend(2_000, 10_000);
        let shown = [1_999, 2_000, 12_000, 13_000].map(|t| clock.monotonic(t));
        assert_eq!(shown, [1_299, 1_300, 1_300, 2_300]);
        assert_eq!((clock.boot(13_000), clock.wall(13_000)), (13_000, 13_000));
    }

    #[test]
    fn a_machine_may_sleep_from_the_start_or_for_ever() {
        let mut clock = Clock::default().start();
        clock.suspend(0, 100);
        assert_eq!([0, 100, 150].map(|t| clock.monotonic(t)), [0, 0, 50]);
        clock.suspend(200, Micros::MAX);
        assert_eq!(clock.monotonic(Micros::MAX), 100);
    }

    #[test]
    fn the_end_of_time_does_no_harm() {
        for drift_ppm in [-DRIFT_MAX_PPM, -1, 0, 1, DRIFT_MAX_PPM] {
            let mut clock = Clock { drift_ppm, ..Clock::default() }.start();
            clock.step(i64::MAX);
            clock.step(i64::MAX);
            let never = clock.global_at(Micros::MAX);
            assert!(clock.boot(never) == Micros::MAX || never == Micros::MAX);
            assert_eq!(clock.wall(Micros::MAX), i64::MAX);
            clock.step(i64::MIN);
            assert!(clock.monotonic(Micros::MAX) >= Micros::MAX / 2);
        }
        assert_eq!(drifting(-1).global_at(Micros::MAX), Micros::MAX);
    }

    #[test]
    fn impossible_numbers_do_no_harm() {
        for clock in [
            Clock { drift_ppm: DRIFT_MAX_PPM + 1, ..Clock::default() },
            Clock { drift_ppm: i32::MIN, ..Clock::default() },
            Clock { offset_us: i64::MIN, ..Clock::default() },
            Clock { uptime_us: u64::MAX, ..Clock::default() },
        ] {
            assert!(clock.start().boot(HOUR) >= HOUR / 2);
        }
        let read: Clock = serde_json::from_str(r#"{"drift_ppm": -40}"#).unwrap();
        assert_eq!(read, Clock { drift_ppm: -40, ..Clock::default() });
        assert!(serde_json::from_str::<Clock>(r#"{"drift": 1}"#).is_err());
    }

    fn clock() -> impl Strategy<Value = Clock> {
        (-OFFSET_MAX_US..OFFSET_MAX_US, 0..HOUR, -DRIFT_MAX_PPM..=DRIFT_MAX_PPM, any::<bool>())
            .prop_map(|(offset_us, uptime_us, drift_ppm, boot_step)| Clock {
                offset_us,
                uptime_us,
                drift_ppm,
                boot_step,
            })
    }

    proptest! {
        #[test]
        fn the_inverse_is_exact(
            config in clock(),
            step in -(HOUR as i64)..HOUR as i64,
            boot in prop_oneof![0..2 * HOUR, 0..1_u64 << 62],
        ) {
            let mut clock = config.start();
            clock.step(step);
            let at = clock.global_at(boot);
            prop_assert!(clock.boot(at) >= boot, "at {} it shows {}", at, clock.boot(at));
            prop_assert!(at == 0 || clock.boot(at - 1) < boot, "{} is not the first", at);
            prop_assert!(clock.global_at(boot + 1) >= at);
        }

        #[test]
        fn drift_is_exact_and_no_clock_goes_back(config in clock(), a: u64, b: u64) {
            let clock = config.start();
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(clock.boot(low) <= clock.boot(high));
            prop_assert!(clock.wall(low) <= clock.wall(high));
            let rate = i128::from(MILLION) + i128::from(config.drift_ppm);
            let exact = (i128::from(a) * rate).div_euclid(i128::from(MILLION));
            prop_assert_eq!(clock.drifted(a), exact);
        }

        /// The model: of the global time asleep, none counts.
        #[test]
        fn the_monotonic_clock_counts_time_awake(
            sleeps in prop::collection::vec((0..HOUR, 0..HOUR), 1..10),
        ) {
            let mut clock = Clock::default().start();
            let (mut now, mut awake, mut until) = (0, 0, 0);
            for (wait, sleep) in sleeps {
                awake += (now + wait).saturating_sub(until.max(now));
                now += wait;
                prop_assert_eq!(clock.monotonic(now), awake);
                clock.suspend(now, sleep);
                until = until.max(now + sleep);
                prop_assert_eq!(clock.monotonic(now), awake);
            }
            prop_assert_eq!(clock.monotonic(until + 5), awake + 5);
        }
    }
}
