//! A run in slices of virtual time, so that there is a moment to look at it, and to stop it.
//! How it is sliced makes no difference to what happens.

use std::time::{Duration, Instant};

use dht_sim::swarm::Guard;
use dht_sim::{Micros, Run, Violation};

use crate::failure::Failure;
use crate::stop::Stop;
use crate::units::duration_text;

/// Why there is a moment to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A slice is over.
    Slice,
    /// Nodes have joined, and have had their time; what happens next has not begun.
    Settled,
    /// Whole intervals are over, or all of the run.
    Interval,
}

/// Slices take so much wall time.
const WALL: Duration = Duration::from_millis(50);
/// However little happens now, more may soon.
const SLICE_MAX: Micros = 1_000_000;

/// Runs to the end, or to the first thing that does not hold, and looks at it meanwhile.
pub(crate) fn drive(
    run: &mut Run,
    interval: Micros,
    stop: &Stop,
    mut look: impl FnMut(&mut Run, Moment) -> Result<(), Failure>,
) -> Result<Option<Violation>, Failure> {
    let (interval, end) = (interval.max(1), run.end());
    let settled = run.scenario().run_from().saturating_sub(1);
    let mut guard = Guard::new(run);
    let mut slice: Micros = 1_000;
    loop {
        let now = run.sim().now();
        let whole = (now / interval + 1).saturating_mul(interval);
        let mut next = now.saturating_add(slice).min(whole).min(end);
        if now < settled {
            next = next.min(settled);
        }
        let begun = Instant::now();
        let ran = guard.run_to(run, next);
        slice = match begun.elapsed() {
            took if took > 2 * WALL => (slice / 2).max(1),
            took if took < WALL / 2 => (slice * 2).min(SLICE_MAX),
            _ => slice,
        };
        look(run, Moment::Slice)?;
        if let Err(violation) = ran {
            return Ok(Some(violation));
        }
        if next == settled && now < settled {
            look(run, Moment::Settled)?;
        }
        if next == whole || next >= end {
            look(run, Moment::Interval)?;
        }
        if next >= end {
            return Ok(None);
        }
        if stop.is_set() {
            let [now, end] = [next, end].map(duration_text);
            return Err(stop.interrupted(format_args!("at {now} of {end} of virtual time")));
        }
    }
}

#[cfg(test)]
mod tests {
    use dht_sim::{SECOND, Scenario};

    use super::*;

    fn run() -> Run {
        let scenario = Scenario {
            nodes: 10,
            join_over_us: SECOND,
            settle_us: 5 * SECOND,
            run_us: 20 * SECOND,
            lookups: 10,
            ..Scenario::default()
        };
        Run::new(scenario).unwrap()
    }

    #[test]
    fn slices_change_nothing_and_intervals_are_regular() {
        let mut whole = run();
        whole.finish().unwrap();
        let mut sliced = run();
        let mut moments = Vec::new();
        let violation = drive(&mut sliced, 4 * SECOND, &Stop::default(), |run, moment| {
            moments.push((run.sim().now(), moment));
            Ok(())
        });
        assert_eq!(violation.unwrap(), None);
        assert_eq!(sliced.sim().trace_hash(), whole.sim().trace_hash());
        moments.retain(|(_, moment)| *moment != Moment::Slice);
        let mut expected: Vec<_> = (1..=6).map(|n| (n * 4 * SECOND, Moment::Interval)).collect();
        expected.push((26 * SECOND, Moment::Interval));
        expected.insert(1, (6 * SECOND - 1, Moment::Settled));
        assert_eq!(moments, expected);
    }

    #[test]
    fn a_run_of_no_time_ends() {
        let scenario = Scenario {
            nodes: 2,
            join_over_us: 0,
            settle_us: 0,
            run_us: 0,
            lookups: 0,
            ..Scenario::default()
        };
        let mut run = Run::new(scenario).unwrap();
        let violation = drive(&mut run, SECOND, &Stop::default(), |_, _| Ok(())).unwrap();
        assert_eq!((violation, run.sim().now()), (None, 0));
    }

    #[test]
    fn a_panic_is_a_violation_as_it_is_in_a_swarm() {
        let mut run = run();
        run.sim_mut().add_rule(|now: Micros, _: &dht_sim::Packet| {
            assert!(now < 3 * SECOND, "enough");
            dht_sim::Fate::Pass
        });
        let violation = drive(&mut run, SECOND, &Stop::default(), |_, _| Ok(())).unwrap().unwrap();
        assert_eq!(violation.invariant, dht_sim::swarm::PANIC);
    }

    #[test]
    fn slices_are_short_enough_to_stop_in_however_quiet_it_was() {
        let (mut last, mut longest) = (0, 0);
        let mut run = run();
        let violation = drive(&mut run, 60 * SECOND, &Stop::default(), |run, _| {
            longest = longest.max(run.sim().now() - last);
            last = run.sim().now();
            Ok(())
        });
        assert_eq!(violation.unwrap(), None);
        assert!((SECOND / 4..=SECOND).contains(&longest), "{longest}");
    }
}
