//! Suspects: addresses that lately left several tries unanswered. While it is unclear whether such a node is there, it
//! is not named to peers, and queries ask it last and do not wait for it; else each dead node would cost every
//! query seconds until the whole network has forgotten it. A suspect is cleared by an answer to the question that it left
//! unanswered, or to one of a higher kind. A late answer clears it as well, unless answers that fit no request have come
//! before it, since an attacker may be guessing.

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::addr::prefix24;
use crate::api::exempt::Exempt;
use crate::bounded::memory::{Capped, Heap, displace};
use crate::requests::call::Question;
use crate::requests::inflight::MISSES_MAX;
use crate::time::Instant;

/// Suspects at once; the oldest gives way.
const SUSPECTS_MAX: usize = 64;
/// This many suspects of a /24 are a crowd.
const CROWD: usize = 4;
/// How long a suspicion lasts.
const SUSPICION: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
struct Suspect {
    until: Instant,
    addr: SocketAddrV4,
    /// All tries have failed.
    down: bool,
    /// The highest kind of question that it left unanswered.
    question: Question,
    /// Further misses after which a late answer counts for nothing.
    misses_left: u8,
}

/// The oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspects(Vec<Suspect>);

impl Suspects {
    pub(crate) fn add_to(heap: &mut Heap) {
        heap.capped::<Suspect>(SUSPECTS_MAX);
    }

    /// An address has left several tries of a question unanswered or, if `down`, all of them. `late`: an answer that
    /// comes too late counts. Returns the address that gives way to it.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        addr: SocketAddrV4,
        (down, late): (bool, bool),
        question: Question,
    ) -> Option<SocketAddrV4> {
        let before = self.take(addr);
        let down = down || before.is_some_and(|before| before.down && now < before.until);
        let question = before.map_or(question, |before| before.question.max(question));
        let before_left = before.map_or(0, |before| before.misses_left);
        let misses_left = if late { MISSES_MAX } else { before_left };
        let suspect = Suspect { until: now + SUSPICION, addr, down, misses_left, question };
        displace(&mut self.0, SUSPECTS_MAX, suspect).map(|displaced| displaced.addr)
    }

    /// An address has answered `question`. Returns whether that ends a suspicion.
    pub(crate) fn remove(&mut self, addr: SocketAddrV4, question: Question) -> bool {
        let at = self.0.iter().position(|suspect| suspect.addr == addr);
        let at = at.filter(|at| self.0.get(*at).is_some_and(|it| it.question <= question));
        at.map(|at| self.0.remove(at)).is_some()
    }

    /// An answer from there fits no request.
    pub(crate) fn missed(&mut self, from: SocketAddrV4) {
        let suspect = self.0.iter_mut().find(|suspect| suspect.addr == from);
        suspect.into_iter().for_each(|s| s.misses_left = s.misses_left.saturating_sub(1));
    }

    /// Whether a late answer from there counts; `None` if it is not suspected.
    pub(crate) fn believe(&self, now: Instant, addr: SocketAddrV4) -> Option<bool> {
        self.get(now, addr).map(|suspect| suspect.misses_left > 0)
    }

    pub(crate) fn contains(&self, now: Instant, addr: SocketAddrV4) -> bool {
        self.get(now, addr).is_some()
    }

    /// Whether the /24 of an address has a crowd of suspects, so that all its addresses are asked last: a peer that names
    /// one address that does not exist may name more, and to more queries.
    pub(crate) fn crowd(&self, now: Instant, addr: SocketAddrV4, exempt: &Exempt) -> bool {
        let prefix = prefix24(*addr.ip());
        let near =
            |suspect: &&Suspect| prefix24(*suspect.addr.ip()) == prefix && now < suspect.until;
        !exempt.covers(*addr.ip()) && self.0.iter().filter(near).count() >= CROWD
    }

    /// Whether an address has left all tries of a request unanswered, and was silent since.
    pub(crate) fn are_sure_of(&self, now: Instant, addr: SocketAddrV4) -> bool {
        self.get(now, addr).is_some_and(|suspect| suspect.down)
    }

    /// All suspects.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.0.iter().map(|suspect| suspect.addr)
    }

    /// Forgets a suspicion that is too old. Gives memory back when none is left.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<SocketAddrV4> {
        let expired = self.0.first().is_some_and(|suspect| suspect.until <= now);
        let expired = expired.then(|| self.0.remove(0));
        self.0.free_if_empty();
        expired.map(|suspect| suspect.addr)
    }

    fn get(&self, now: Instant, addr: SocketAddrV4) -> Option<&Suspect> {
        self.0.iter().find(|suspect| suspect.addr == addr && now < suspect.until)
    }

    fn take(&mut self, addr: SocketAddrV4) -> Option<Suspect> {
        let at = self.0.iter().position(|suspect| suspect.addr == addr)?;
        Some(self.0.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn addr(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    #[test]
    fn remembered_for_five_minutes_or_until_it_answers() {
        let (mut suspects, start) = (Suspects::default(), Instant::ZERO);
        suspects.add(start, addr(1), (false, true), Question::Ping);
        suspects.add(start, addr(2), (false, true), Question::Ping);
        let end = start + SUSPICION;
        assert!(suspects.contains(end - Duration::from_micros(1), addr(1)));
        assert!(!suspects.contains(end, addr(1)));
        assert!(
            suspects.remove(addr(2), Question::Ping) && !suspects.remove(addr(2), Question::Ping)
        );
        assert!(!suspects.contains(start, addr(2)));
        assert_eq!(suspects.pop_expired(end - Duration::from_micros(1)), None);
        assert_eq!([0; 2].map(|_| suspects.pop_expired(end)), [Some(addr(1)), None]);
    }

    #[test]
    fn sure_until_it_answers_or_is_forgotten() {
        let (mut suspects, start) = (Suspects::default(), Instant::ZERO);
        for (down, sure) in [(false, false), (true, true), (false, true)] {
            suspects.add(start, addr(1), (down, true), Question::Ping);
            assert_eq!(suspects.are_sure_of(start, addr(1)), sure);
        }
        suspects.add(start + SUSPICION, addr(1), (false, true), Question::Ping);
        assert!(!suspects.are_sure_of(start + SUSPICION, addr(1)), "that was long ago");
        suspects.add(start, addr(2), (true, true), Question::Ping);
        suspects.remove(addr(2), Question::Ping);
        suspects.add(start, addr(2), (false, true), Question::Ping);
        assert!(!suspects.are_sure_of(start, addr(2)));
    }

    #[test]
    fn beyond_64_the_oldest_gives_way() {
        let mut suspects = Suspects::default();
        let displaced: Vec<_> = (0..66)
            .filter_map(|port| {
                suspects.add(Instant::ZERO, addr(port), (false, true), Question::Ping)
            })
            .collect();
        assert_eq!(displaced, [addr(0), addr(1)]);
        assert!(suspects.iter().eq((2..66).map(addr)));
    }

    #[test]
    fn four_of_a_network_are_a_crowd_while_they_are_remembered() {
        let at = |host| SocketAddrV4::new(Ipv4Addr::new(80, 0, 0, host), 1);
        let elsewhere = SocketAddrV4::new(Ipv4Addr::new(80, 0, 1, 1), 1);
        let (mut suspects, later) = (Suspects::default(), Instant::ZERO + SUSPICION / 2);
        for host in 1..5 {
            assert!(!suspects.crowd(later, at(99), &Exempt::Local), "{host}");
            let now = if host == 1 { Instant::ZERO } else { later };
            suspects.add(now, at(host), (false, true), Question::FindNode);
        }
        assert!(
            suspects.crowd(later, at(99), &Exempt::Local)
                && !suspects.crowd(later, elsewhere, &Exempt::Local)
        );
        // The first is forgotten.
        assert!(!suspects.crowd(Instant::ZERO + SUSPICION, at(99), &Exempt::Local));
        for port in 1..9 {
            suspects.add(later, addr(port), (false, true), Question::FindNode);
        }
        assert!(!suspects.crowd(later, addr(99), &Exempt::Local), "local nodes share a host");
    }

    #[test]
    fn what_matters_most_of_all_that_was_left_unanswered_has_to_be_answered() {
        let (mut suspects, now) = (Suspects::default(), Instant::ZERO);
        for questions in
            [[Question::FindNode, Question::Ping], [Question::Ping, Question::FindNode]]
        {
            for question in questions {
                suspects.add(now, addr(1), (false, true), question);
            }
            assert!(!suspects.remove(addr(1), Question::Ping), "{questions:?}");
            assert!(suspects.contains(now, addr(1)));
            assert!(suspects.remove(addr(1), Question::FindNode));
        }
        // The answer to more clears it as well.
        suspects.add(now, addr(1), (false, true), Question::Ping);
        assert!(suspects.remove(addr(1), Question::FindNode));
    }
}
