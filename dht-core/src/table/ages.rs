//! Ticks in two bytes or one.
//!
//! A stored age counts from an epoch that the whole table shares and that moves
//! only when a tick no longer fits: one sweep over the entries every nine hours
//! of ticks for the exact ages, every forty minutes for the coarse ones, or after
//! a long sleep. What the epoch overtakes stays at the epoch. That makes an old
//! age look younger than it is, but never younger than the reach below; wrapping
//! would make it look new.

/// How many ticks back `pinged` is exact, at least. What is older may look
/// younger, down to this.
pub(crate) const PINGED_REACH: u32 = 1 << 15;

/// Ticks per unit of `added` and `sampled`, which are rounded up: they read as
/// up to `COARSE_UNIT - 1` ticks later than they were, so that a limit on their
/// age is met late by as much, and never early.
pub(crate) const COARSE_UNIT: u32 = 4;

/// How many ticks back `added` and `sampled` are kept, at least. What is older
/// may look younger, down to this; a limit on their age has to be lower.
pub(crate) const COARSE_REACH: u32 = 512;

/// The last tick after the epoch that fits; a coarse 0 stands for "never".
const PINGED_SPAN: u32 = u16::MAX as u32;
const COARSE_SPAN: u32 = (u8::MAX as u32 - 1) * COARSE_UNIT;

// Each sweep has to make room for many ticks, or there would be one per tick.
const _: () = assert!(PINGED_REACH <= PINGED_SPAN / 2 + 1);
const _: () = assert!(COARSE_REACH <= COARSE_SPAN / 2 + COARSE_UNIT);

/// Where the stored ages count from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epochs {
    pinged: u32,
    coarse: u32,
}

/// What a move of the epochs takes off each stored age.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pinged: u16,
    coarse: u8,
}

impl Epochs {
    /// Makes room for `tick`. If the epochs moved, every stored age has to be shifted.
    #[must_use]
    pub(super) fn reach(&mut self, tick: u32) -> Option<Shift> {
        let before = *self;
        if tick.saturating_sub(self.pinged) > PINGED_SPAN {
            self.pinged = tick - PINGED_REACH;
        }
        if tick.saturating_sub(self.coarse) > COARSE_SPAN {
            self.coarse = (tick - COARSE_REACH) / COARSE_UNIT * COARSE_UNIT;
        }
        let pinged = self.pinged - before.pinged;
        let coarse = (self.coarse - before.coarse) / COARSE_UNIT;
        (pinged > 0 || coarse > 0).then(|| Shift {
            pinged: u16::try_from(pinged).unwrap_or(u16::MAX),
            coarse: u8::try_from(coarse).unwrap_or(u8::MAX),
        })
    }

    /// `tick` as an exact age. It has been reached; one before the epoch counts as the epoch.
    pub(super) fn pinged(&self, tick: u32) -> u16 {
        u16::try_from(tick.saturating_sub(self.pinged)).unwrap_or(u16::MAX)
    }

    /// `tick` as a coarse age, under the same conditions.
    pub(super) fn coarse(&self, tick: u32) -> u8 {
        let units = tick.saturating_sub(self.coarse).div_ceil(COARSE_UNIT);
        u8::try_from(units + 1).unwrap_or(u8::MAX)
    }

    /// The tick that an exact age stands for.
    pub(super) fn pinged_tick(&self, age: u16) -> u32 {
        self.pinged.saturating_add(u32::from(age))
    }

    /// The tick that a coarse age stands for, if it is not "never".
    pub(super) fn coarse_tick(&self, age: u8) -> Option<u32> {
        let units = u32::from(age.checked_sub(1)?);
        Some(self.coarse.saturating_add(units * COARSE_UNIT))
    }
}

impl Shift {
    pub(super) fn pinged(self, age: u16) -> u16 {
        age.saturating_sub(self.pinged)
    }

    pub(super) fn coarse(self, age: u8) -> u8 {
        match age {
            0 => 0,
            _ => age.saturating_sub(self.coarse).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a tick stored at `stored` reads as once each of `later` has been reached.
    fn read(stored: u32, later: &[u32]) -> (u32, u32) {
        let mut epochs = Epochs::default();
        let _ = epochs.reach(stored);
        let (mut pinged, mut coarse) = (epochs.pinged(stored), epochs.coarse(stored));
        for &tick in later {
            if let Some(shift) = epochs.reach(tick) {
                (pinged, coarse) = (shift.pinged(pinged), shift.coarse(coarse));
            }
        }
        let coarse = epochs.coarse_tick(coarse).unwrap();
        (epochs.pinged_tick(pinged), coarse)
    }

    #[test]
    fn what_is_stored_reads_as() {
        let cases: &[(u32, &[u32], (u32, u32))] = &[
            // Rounded up to whole units.
            (0, &[], (0, 0)),
            (1, &[], (1, 4)),
            (3, &[], (3, 4)),
            (4, &[], (4, 4)),
            (5, &[], (5, 8)),
            // The first epochs hold up to 1,016 and 65,535.
            (1016, &[], (1016, 1016)),
            (1017, &[], (1017, 1020)),
            (65_535, &[], (65_535, 65_536)),
            (65_536, &[], (65_536, 65_536)),
            (0, &[1016], (0, 0)),
            (0, &[1017], (0, 504)),
            (504, &[1017], (504, 504)),
            (505, &[1017], (505, 508)),
            (508, &[1017], (508, 508)),
            (0, &[65_535], (0, 65_020)),
            (0, &[65_536], (32_768, 65_024)),
            (32_767, &[65_536], (32_768, 65_024)),
            (32_768, &[65_536], (32_768, 65_024)),
            (32_769, &[65_536], (32_769, 65_024)),
            // Waking up: 720 ticks and a little at once, again and again.
            (100, &[826], (100, 100)),
            (100, &[826, 1550], (100, 1036)),
            (100, &[826, 1550, 2278, 3006], (100, 2492)),
            // Beyond anything that an age can hold, and the end of time.
            (7, &[1_000_000], (967_232, 999_488)),
            (7, &[u32::MAX], (u32::MAX - 32_768, u32::MAX - 515)),
            (u32::MAX, &[u32::MAX], (u32::MAX, u32::MAX)),
            // A tick that runs backwards moves nothing.
            (5_000, &[4_000, 0], (5_000, 5_000)),
        ];
        for &(stored, later, expected) in cases {
            assert_eq!(read(stored, later), expected, "{stored} then {later:?}");
        }
    }

    #[test]
    fn no_old_age_ever_looks_new() {
        for stored in (0..2_000).step_by(7) {
            for gap in [0, 1, 359, 360, 361, 511, 512, 513, 720, 1016, 1017, 40_000, 70_000] {
                let steps: [u32; 2] = [stored + gap / 2, stored + gap];
                let (pinged, coarse) = read(stored, &steps);
                let (pinged, coarse) = (i64::from(pinged), i64::from(coarse));
                let (now, stored) = (i64::from(steps[1]), i64::from(stored));
                let age = now - stored;
                assert!(now - pinged <= age && now - pinged >= age.min(32_768));
                assert!(now - coarse <= age && now - coarse > (age - 4).min(508));
                // The limit that the upkeep uses: met late by three ticks, never early.
                assert!(now - coarse <= 360 || age > 360);
                assert!(now - coarse > 360 || age <= 363);
            }
        }
    }

    #[test]
    fn never_stays_never() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.coarse_tick(0), None);
        let shift = epochs.reach(70_000).unwrap();
        assert_eq!(shift.coarse(0), 0);
        assert_eq!(shift.coarse(1), 1);
    }

    #[test]
    fn sweeps_are_rare() {
        let mut epochs = Epochs::default();
        let sweeps = (0..100_000).filter(|&tick| epochs.reach(tick).is_some()).count();
        assert!((100_000 / 516..=100_000 / 500).contains(&sweeps), "{sweeps}");
    }
}
