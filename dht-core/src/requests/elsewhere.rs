//! Answers from another address than the one asked, as from a machine with several addresses. They count for
//! nothing, since any host may guess, but the error of a request that got no answer names them.

use core::net::SocketAddrV4;

/// Answers remembered at once; the oldest gives way. They are for people to read, and memory may be scarce.
const KNOWN_MAX: usize = 2;
/// Ticks for which they are remembered: a little longer than all tries of a request take.
const REMEMBERED_TICKS: u16 = 3;

#[derive(Clone, Debug, Default)]
pub(crate) struct Elsewhere(heapless::Vec<Answer, KNOWN_MAX, u8>);

#[derive(Clone, Copy, Debug)]
struct Answer {
    asked: SocketAddrV4,
    from: SocketAddrV4,
    tick: u16,
}

impl Elsewhere {
    /// `asked` was asked, and `from` answers. Kept only if both may be the same machine: the same host, or the same
    /// port at another host.
    pub(crate) fn note(&mut self, tick: u32, asked: SocketAddrV4, from: SocketAddrV4) {
        if asked.port() != from.port() && asked.ip() != from.ip() {
            return;
        }
        self.remove(asked);
        if self.0.is_full() {
            self.0.remove(0);
        }
        // There is room.
        let _ = self.0.push(Answer { asked, from, tick: short(tick) });
    }

    /// The address has answered by itself.
    pub(crate) fn remove(&mut self, asked: SocketAddrV4) {
        self.0.retain(|answer| answer.asked != asked);
    }

    /// The address that answered lately when `asked` was asked.
    pub(crate) fn instead_of(&self, tick: u32, asked: SocketAddrV4) -> Option<SocketAddrV4> {
        let mut answers = self.0.iter();
        let answer = answers.find(|answer| answer.asked == asked)?;
        (short(tick).wrapping_sub(answer.tick) <= REMEMBERED_TICKS).then_some(answer.from)
    }
}

/// The lower bits of a tick, which are kept.
const fn short(tick: u32) -> u16 {
    (tick & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn addr(host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, host), port)
    }

    #[test]
    fn the_last_one_counts_for_a_while() {
        let mut elsewhere = Elsewhere::default();
        elsewhere.note(9, addr(1, 1), addr(2, 1));
        assert_eq!(elsewhere.instead_of(9, addr(1, 1)), Some(addr(2, 1)));
        elsewhere.note(0xffff, addr(1, 1), addr(1, 7));
        assert_eq!(elsewhere.instead_of(0x1_0002, addr(1, 1)), Some(addr(1, 7)));
        assert_eq!(elsewhere.instead_of(0x1_0003, addr(1, 1)), None);
        elsewhere.remove(addr(1, 1));
        assert_eq!(elsewhere.instead_of(2, addr(1, 1)), None);
    }

    #[test]
    fn what_can_not_be_the_same_machine_does_not_count_and_the_third_displaces_the_first() {
        let mut elsewhere = Elsewhere::default();
        elsewhere.note(0, addr(1, 1), addr(2, 2));
        assert_eq!(elsewhere.instead_of(0, addr(1, 1)), None);
        (1..4).for_each(|host| elsewhere.note(0, addr(host, 1), addr(9, 1)));
        let known = |host| elsewhere.instead_of(0, addr(host, 1)).is_some();
        assert_eq!([1, 2, 3].map(known), [false, true, true]);
    }
}
