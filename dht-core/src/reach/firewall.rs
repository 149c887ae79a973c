//! The firewall check: some nodes are asked to send an answer to the server socket, and the answers
//! that arrive there are evidence. Which nodes are asked, and what follows, is not decided here.
//! Mirrors `_checkIfFirewalled` of `index.js`, which checks once; here checks are repeated ([`Looks`]).

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::api::exempt::Exempt;
use crate::api::message::Via;
use crate::reach::nat::Sampler;

/// Nodes that are asked.
pub(crate) const PROBES: usize = 5;
/// Nodes that must have reached the server socket, if [`PROBES`] were asked.
const PONGS_MIN: usize = 3;

/// The purpose of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Only the firewall state is at stake.
    Firewall,
    /// To become persistent.
    Persistence,
    /// To see whether a persistent node is still what it is.
    Again,
}

/// A check under way.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// What was known of the own address when it began.
    pub(crate) believed: (Ipv4Addr, u16),
    pub(crate) aim: Aim,
    /// The port that they are asked to answer to.
    port: u16,
    asked: u8,
    open: u8,
    /// An answer may have been guessed by an attacker; it may as well have been true.
    guessed: bool,
    /// What the nodes that got through say of the own address. No two are of one /24, so each has a vote.
    pub(crate) sampler: Sampler,
}

/// What has become of a persistent node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is reached where it was.
    Same,
    /// It is reached, and all see it at another address: it is there, if they say so again.
    Moved(SocketAddrV4),
    /// It is reached, and most see it at another address, but not all.
    Disputed(SocketAddrV4),
    /// At most one node has reached it, if many were asked.
    Nobody,
    /// This says nothing.
    Unclear,
}

impl Probe {
    pub(crate) fn new(believed: (Ipv4Addr, u16), aim: Aim, port: u16, asked: usize) -> Self {
        let asked = asked.min(PROBES) as u8;
        let sampler = Sampler::default();
        Self { believed, aim, port, asked, open: asked, guessed: false, sampler }
    }

    /// A node that was asked has answered, and sees us at `to`. The port of `to` must be the port that it was asked to
    /// answer to; any other it can't have seen.
    pub(crate) fn answered(&mut self, via: Via, from: Ipv4Addr, to: SocketAddrV4, exempt: &Exempt) {
        self.failed();
        if via == Via::Server && to.port() == self.port {
            self.sampler.add_from(to, from, exempt);
        }
    }

    /// A node that was asked has not answered.
    pub(crate) fn failed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// An attacker may be guessing the answer of a node that was asked.
    pub(crate) fn guessed(&mut self) {
        self.guessed = true;
        self.failed();
    }

    fn asks_many(&self) -> bool {
        usize::from(self.asked) >= PROBES
    }

    /// The number of nodes that got through.
    fn pongs(&self) -> usize {
        self.sampler.size()
    }

    /// Of these, the number that see the node at `host`.
    fn votes(&self, host: Ipv4Addr) -> usize {
        self.sampler.hosts().filter(|seen| *seen == host).count()
    }

    /// Of these, the number that see what is believed.
    fn agreed(&self) -> usize {
        let (host, port) = self.believed;
        if port == self.port { self.votes(host) } else { 0 }
    }

    /// The number that makes a majority: if few nodes are asked, most of them, or one could say what it likes.
    fn most(&self) -> usize {
        PONGS_MIN.min(usize::from(self.asked) / 2 + 1)
    }

    /// Whether the check is over: each node has answered or failed, or the rest can't change much, once most
    /// have agreed or too few are left. A dead node would take seconds.
    pub(crate) fn is_over(&self, host: Option<Ipv4Addr>, server_port: u16) -> bool {
        let over = match self.aim {
            Aim::Again => self.asks_many() && self.agreed() >= PONGS_MIN,
            _ => {
                let agreed = host.map_or(0, |host| self.votes(host));
                self.is_reachable(host, server_port)
                    || agreed + usize::from(self.open) < self.most()
            }
        };
        self.open == 0 || over
    }

    /// Whether the server socket is reachable: most of the nodes asked have got through, they see the known host, and the
    /// public port is the local one.
    pub(crate) fn is_reachable(&self, host: Option<Ipv4Addr>, server_port: u16) -> bool {
        self.asked > 0
            && host.is_some_and(|host| self.votes(host) >= self.most())
            && self.port == server_port
            && server_port != 0
    }

    /// What a look at a persistent node has shown. Another address may be the right one only if most that were asked
    /// have reached the node, and none of them still sees the old one; of few, all have to agree, and be
    /// more than one. Liars in the table may be drawn, but hardly ever alone.
    pub(crate) fn found(&self) -> Found {
        // A way that was opened from inside may still be open for one of many.
        if self.asked > 0 && self.pongs() <= usize::from(self.asks_many()) {
            return if self.guessed { Found::Unclear } else { Found::Nobody };
        }
        let agreed = self.agreed();
        let most = self.sampler.hosts().max_by_key(|host| self.votes(*host));
        let Some(host) = most.filter(|host| self.votes(*host) > agreed) else {
            return if agreed > 0 { Found::Same } else { Found::Unclear };
        };
        let addr = SocketAddrV4::new(host, self.port);
        let all = if self.asks_many() {
            self.pongs() >= PONGS_MIN && self.sampler.host() == Some(host)
        } else {
            self.votes(host) >= usize::from(self.asked).max(2)
        };
        if agreed == 0 && all {
            Found::Moved(addr)
        } else if self.votes(host) >= PONGS_MIN {
            Found::Disputed(addr)
        } else if agreed > 0 {
            Found::Same
        } else {
            Found::Unclear
        }
    }
}

/// Ticks until the next check after a change, or when there is reason to doubt: a minute.
const LOOK_MIN: u16 = 12;
/// Ticks between two checks if nothing ever changes: half an hour.
const LOOK_MAX: u16 = 360;
/// Checks in a row without any answer after which a persistent node becomes ephemeral: the nodes asked in one
/// check may all be gone.
const MISSED_LOOKS_MAX: u8 = 3;

/// When to check again, for as long as the node lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    /// Ticks since the last check, and ticks from one check to the next.
    since: u16,
    every: u16,
    /// Whether a peer sees another address, or an event may have changed it.
    doubted: bool,
    misses: u8,
    /// Where all have seen a persistent node that is believed elsewhere.
    moved: Option<SocketAddrV4>,
    /// How many answers to anything there were at the last look, wrapping.
    answers: u32,
    /// Whether the last check has shown that peers don't reach the node.
    failed: bool,
}

impl Looks {
    pub(crate) fn new() -> Self {
        Self { every: LOOK_MIN, ..Self::default() }
    }

    pub(crate) fn pass(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    /// Whether it is time to see if a node that is ephemeral can be persistent.
    pub(crate) const fn is_due(&self) -> bool {
        self.since >= self.every
    }

    /// Whether it is time to check if a persistent node still is reachable. A node that was `told` to be reachable is
    /// checked only if there is doubt.
    pub(crate) const fn is_due_again(&self, told: bool) -> bool {
        (self.doubted && self.since >= self.every) || (!told && self.since >= LOOK_MAX)
    }

    pub(crate) fn begin(&mut self) {
        self.since = 0;
    }

    /// The address may be another one.
    pub(crate) fn doubt(&mut self) {
        self.doubted = true;
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) const fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// All is open again: the next look is due at once.
    pub(crate) fn anew(&mut self) {
        *self = Self { since: LOOK_MIN, ..Self::new() };
    }

    /// The check has shown no change, or nothing.
    pub(crate) fn unchanged(&mut self) {
        // A peer that always sees another address must not cause a check every minute.
        self.every = if self.doubted { (2 * self.every).min(LOOK_MAX) } else { LOOK_MIN };
        (self.doubted, self.misses, self.moved) = (false, 0, None);
    }

    /// Most have seen a persistent node at `addr`, or `all`. Returns whether all have in two looks, and no other
    /// look between them has shown anything else. Until then it is looked at again soon, however long nothing
    /// has changed.
    pub(crate) fn note_move(&mut self, addr: SocketAddrV4, all: bool) -> bool {
        let before = self.moved.filter(|moved| *moved == addr);
        self.moved = before.or(all.then_some(addr));
        (self.doubted, self.misses) = (true, 0);
        self.since = self.every.saturating_sub(LOOK_MIN);
        all && before.is_some()
    }

    /// The node is persistent from now on, at a new address. `found`: a look has shown it.
    pub(crate) fn changed(&mut self, found: bool) {
        *self = Self { doubted: !found, ..Self::new() };
    }

    /// An ephemeral node is not reached.
    pub(crate) fn failed(&mut self) {
        self.every = (2 * self.every).min(LOOK_MAX);
        self.failed = true;
    }

    /// No node has reached a persistent node, which has had this many `answers` so far. Returns whether that happened
    /// too often; it counts only while peers do answer.
    pub(crate) fn missed(&mut self, answers: u32) -> bool {
        let heard = core::mem::replace(&mut self.answers, answers) != answers;
        self.misses = self.misses.saturating_add(heard.into());
        (self.doubted, self.every, self.moved) = (true, LOOK_MIN, None);
        self.misses >= MISSED_LOOKS_MAX
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 2000;

    fn at(host: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(45, 0, 0, host), PORT)
    }

    /// A check of a node that is believed at host 1: one character per asked node. A digit: the host it has seen; `.`: it is
    /// silent; `p`: it has seen host 2 at a port that it was not told.
    fn probe(seen: &str) -> Probe {
        let mut probe = Probe::new((*at(1).ip(), PORT), Aim::Again, PORT, seen.len());
        for (n, host) in seen.bytes().enumerate() {
            let from = Ipv4Addr::new(80, 0, n as u8, 1);
            match host {
                b'.' => probe.failed(),
                b'p' => {
                    probe.answered(
                        Via::Server,
                        from,
                        SocketAddrV4::new(*at(2).ip(), 7),
                        &Exempt::Local,
                    );
                }
                _ => probe.answered(Via::Server, from, at(host - b'0'), &Exempt::Local),
            }
        }
        probe
    }

    #[test]
    fn what_a_look_shows() {
        let (moved, disputed) = (Found::Moved(at(2)), Found::Disputed(at(2)));
        for (seen, found) in [
            ("11111", Found::Same),
            ("222..", moved),
            ("22222", moved),
            // Most agree, but not all.
            ("22221", disputed),
            ("22211", disputed),
            ("2221.", disputed),
            ("22234", disputed),
            // One of four may be wrong, in any case.
            ("2223.", moved),
            ("22111", Found::Same),
            ("2211.", Found::Same),
            ("221..", Found::Same),
            ("22...", Found::Unclear),
            ("23456", Found::Unclear),
            ("2....", Found::Nobody),
            // Of few, all have to agree, and one is too few.
            ("2", Found::Unclear),
            ("1", Found::Same),
            ("22", moved),
            ("2222", moved),
            ("2223", disputed),
            ("222.", disputed),
            ("22.", Found::Unclear),
            ("221", Found::Same),
            (".", Found::Nobody),
            ("", Found::Unclear),
            // What can't have been seen says nothing.
            ("ppppp", Found::Nobody),
            ("pp111", Found::Same),
            ("222pp", moved),
            ("22ppp", Found::Unclear),
            ("2p", Found::Unclear),
        ] {
            assert_eq!(probe(seen).found(), found, "{seen}");
        }
    }

    #[test]
    fn the_port_is_part_of_what_is_believed() {
        let mut probe = Probe::new((*at(1).ip(), 9), Aim::Again, PORT, PROBES);
        for n in 0..5 {
            probe.answered(Via::Server, Ipv4Addr::new(80, 0, n, 1), at(1), &Exempt::Local);
        }
        assert_eq!(probe.found(), Found::Moved(at(1)));
    }

    #[test]
    fn two_looks_in_a_row_have_to_show_the_same() {
        let looks = || {
            let mut looks = Looks::new();
            looks.doubt();
            assert!(!looks.note_move(at(2), true));
            looks
        };
        assert!(looks().note_move(at(2), true));
        let mut other = looks();
        assert!(!other.note_move(at(3), true) && !other.note_move(at(2), true));
        assert!(other.note_move(at(2), true));
        let mut disputed = looks();
        assert!(!disputed.note_move(at(2), false) && disputed.note_move(at(2), true));
        let mut disputed = Looks::new();
        assert!(!disputed.note_move(at(2), false) && !disputed.note_move(at(2), true));
        for between in [Looks::unchanged, |looks: &mut Looks| _ = looks.missed(1)] {
            let mut looks = looks();
            between(&mut looks);
            assert!(!looks.note_move(at(2), true));
        }
    }

    #[test]
    fn the_second_look_comes_a_minute_later_however_long_nothing_has_changed() {
        for all in [true, false] {
            let mut looks = Looks::new();
            for _ in 0..9 {
                looks.doubt();
                looks.unchanged();
            }
            looks.begin();
            assert!(!looks.note_move(at(2), all));
            for _ in 0..LOOK_MIN {
                assert!(!looks.is_due_again(true));
                looks.pass();
            }
            assert!(looks.is_due_again(true));
            // And if that shows nothing, it waits as long as before.
            looks.begin();
            looks.unchanged();
            looks.doubt();
            (1..LOOK_MAX).for_each(|_| looks.pass());
            assert!(!looks.is_due_again(true));
        }
    }
}
