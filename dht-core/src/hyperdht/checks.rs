//! How many signatures are checked: a check is the dearest thing that a datagram can cause. Each second has a limit for
//! all and one for each /24; a request that would need one more check is dropped, as if it were lost. No /24 takes more than
//! a quarter of what is left for all (a dynamic threshold, as switches have for their buffers), so that a few /24s do not
//! leave the others without.

use alloc::collections::BTreeMap;

use super::config::ServiceConfig;
use super::store::{Place, in_tree};
use crate::bounded::memory::Heap;
use crate::time::Instant;

/// The checks of this second.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    second: u64,
    all: u32,
    /// No more than there were checks.
    of_place: BTreeMap<Place, u32>,
}

impl Checks {
    pub(super) fn add_to(heap: &mut Heap, config: &ServiceConfig) {
        heap.fixed(config.checks_per_second as usize, in_tree::<(Place, u32)>());
    }

    /// Takes one for a host at `place`, if there is one left.
    pub(super) fn take(&mut self, config: &ServiceConfig, now: Instant, place: Place) -> bool {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            *self = Self { second, ..Self::default() };
        }
        if self.all >= config.checks_per_second {
            return false;
        }
        if !place.is_exempt() {
            let taken = self.of_place.get(&place).copied().unwrap_or(0);
            let left = config.checks_per_second - self.all;
            if taken >= config.checks_per_source.min(left.div_ceil(4)) {
                return false;
            }
            self.of_place.insert(place, taken + 1);
        }
        self.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use core::time::Duration;

    use super::*;
    use crate::Exempt;

    #[test]
    fn so_many_of_a_24_and_so_many_in_all_each_second() {
        let config = ServiceConfig {
            checks_per_second: 100,
            checks_per_source: 15,
            ..ServiceConfig::default()
        };
        let (mut checks, mut now) = (Checks::default(), Instant::from_millis(7_900));
        let mut taken = |now, host: [u8; 4]| {
            let place = Place::of(Ipv4Addr::from(host), &Exempt::Local);
            (0..200).filter(|_| checks.take(&config, now, place)).count()
        };
        assert_eq!(taken(now, [45, 0, 0, 1]), 15);
        assert_eq!(taken(now, [45, 0, 0, 2]), 0);
        assert_eq!(taken(now, [45, 0, 1, 2]), 15);
        assert_eq!(taken(now, [127, 0, 0, 1]), 70, "what is left in all");
        assert_eq!(taken(now, [45, 0, 2, 2]), 0);
        now += Duration::from_millis(100);
        assert_eq!(taken(now, [45, 0, 0, 2]), 15);
        assert_eq!(taken(now, [127, 0, 0, 1]), 85);
    }

    #[test]
    fn many_24s_leave_some_for_one_that_comes_later() {
        let config = ServiceConfig::default();
        for (nets, least) in [(10, 50), (50, 15), (200, 3)] {
            let mut checks = Checks::default();
            let mut take = |net: u8| {
                let place = Place::of(Ipv4Addr::new(45, 0, net, 1), &Exempt::Local);
                checks.take(&config, Instant::ZERO, place)
            };
            for _ in 0..200 {
                let _ = (0..nets).filter(|net| take(*net)).count();
            }
            let taken = (0..200).filter(|_| take(nets)).count();
            assert!(taken >= least, "{taken} beside {nets}");
        }
    }

    #[test]
    fn who_gets_no_check_is_not_remembered() {
        let config = ServiceConfig {
            checks_per_second: 3,
            checks_per_source: 0,
            ..ServiceConfig::default()
        };
        let mut checks = Checks::default();
        for net in 0..100 {
            let place = Place::of(Ipv4Addr::new(45, 0, net, 1), &Exempt::Nobody);
            assert!(!checks.take(&config, Instant::ZERO, place));
            assert_eq!(checks.of_place.len(), 0);
        }
        let config = ServiceConfig { checks_per_source: 1, ..config };
        for net in 0..100 {
            let place = Place::of(Ipv4Addr::new(45, 0, net, 1), &Exempt::Nobody);
            assert_eq!(checks.take(&config, Instant::ZERO, place), net < 3);
            assert_eq!(checks.of_place.len(), usize::from(net + 1).min(3));
        }
    }
}
