//! Answers that belong to nothing, by where they seem to come from. Who sees many of them from one
//! address lately can't trust the next one from there that fits: somebody may be guessing.

use alloc::collections::VecDeque;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::memory::{Capped, Heap};
use crate::time::Instant;

/// How many addresses are watched; the one with the fewest gives way.
const WATCHED_MAX: usize = 16;
/// So many strays in such a time are too many. A late answer, and its duplicate, are not.
pub(crate) const STRAYS_MAX: u8 = 4;
const MEMORY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default)]
pub(crate) struct Strays(VecDeque<(Instant, SocketAddrV4, u8)>);

impl Strays {
    pub(crate) fn add_to(heap: &mut Heap) {
        heap.capped::<(Instant, SocketAddrV4, u8)>(WATCHED_MAX);
    }

    /// One more from there.
    pub(crate) fn note(&mut self, now: Instant, from: SocketAddrV4) {
        self.0.retain(|(since, ..)| now < *since + MEMORY);
        let found =
            self.0.iter_mut().find(|(since, addr, _)| *addr == from && now < *since + MEMORY);
        if let Some((_, _, count)) = found {
            *count = count.saturating_add(1);
            return;
        }
        if self.0.len() >= WATCHED_MAX {
            let fewest = self.0.iter().enumerate().min_by_key(|(_, (_, _, count))| *count);
            let at = fewest.map_or(0, |(at, _)| at);
            self.0.remove(at);
        }
        self.0.make_room(WATCHED_MAX);
        self.0.push_back((now, from, 1));
    }

    /// Whether there were too many from there to believe the next.
    pub(crate) fn too_many(&self, now: Instant, from: SocketAddrV4) -> bool {
        self.0.iter().any(|(since, addr, count)| {
            *addr == from && *count >= STRAYS_MAX && now < *since + MEMORY
        })
    }

    /// Forgets what is too old, and gives memory back.
    pub(crate) fn trim(&mut self, now: Instant) {
        self.0.retain(|(since, ..)| now < *since + MEMORY);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_fourth_within_five_seconds_is_too_many() {
        let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let (mut strays, start) = (Strays::default(), Instant::ZERO);
        (0..3).for_each(|_| strays.note(start, addr));
        assert!(!strays.too_many(start, addr));
        strays.note(start, addr);
        let end = start + MEMORY;
        assert!(strays.too_many(end - Duration::from_micros(1), addr));
        assert!(!strays.too_many(end, addr));
        strays.note(end, addr);
        assert!(!strays.too_many(end, addr), "counted anew");
        strays.trim(end + MEMORY);
        assert_eq!(strays.0.len(), 0);
    }

    #[test]
    fn beyond_16_addresses_the_first_of_the_fewest_gives_way() {
        let addr = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut strays = Strays::default();
        (0..17).for_each(|port| (0..4).for_each(|_| strays.note(Instant::ZERO, addr(port))));
        assert!(
            !strays.too_many(Instant::ZERO, addr(0)) && strays.too_many(Instant::ZERO, addr(1))
        );
    }
}
