//! Namers: peers that named a node which then fell silent. They are remembered until it is clear whether the node is
//! down; if it is, each namer gets a down hint, as soon as the budget of hints allows, even after the end of
//! the query that found the node silent. Whether a node is down is not decided here.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::bounded::memory::{Capped, Heap, displace};

#[derive(Clone, Copy, Debug)]
struct Naming {
    silent: SocketAddrV4,
    by: SocketAddrV4,
    /// The node is down, so its namer is to be told.
    due: bool,
}

/// At most `max` pairs; the first one gives way.
#[derive(Clone, Debug)]
pub(crate) struct Namers {
    namings: Vec<Naming>,
    max: usize,
}

impl Namers {
    pub(crate) fn new(max: usize) -> Self {
        Self { namings: Vec::new(), max }
    }

    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        heap.capped::<Naming>(max);
    }

    /// `by` has named a node that is silent.
    pub(crate) fn add(&mut self, silent: SocketAddrV4, by: SocketAddrV4) {
        let mut known = self.namings.iter();
        if known.any(|naming| (naming.silent, naming.by) == (silent, by)) {
            return;
        }
        displace(&mut self.namings, self.max, Naming { silent, by, due: false });
    }

    /// The peers that have named a silent node.
    pub(crate) fn of(&self, silent: SocketAddrV4) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.namings.iter().filter(move |naming| naming.silent == silent).map(|naming| naming.by)
    }

    /// The node has answered.
    pub(crate) fn remove(&mut self, addr: SocketAddrV4) {
        self.namings.retain(|naming| naming.silent != addr);
        self.namings.free_if_empty();
    }

    /// The node is down.
    pub(crate) fn is_down(&mut self, addr: SocketAddrV4) {
        let of_it = self.namings.iter_mut().filter(|naming| naming.silent == addr);
        of_it.for_each(|naming| naming.due = true);
    }

    /// The next hint to send: the node that is down, and its namer.
    pub(crate) fn pop_due(&mut self) -> Option<(SocketAddrV4, SocketAddrV4)> {
        let at = self.namings.iter().position(|naming| naming.due)?;
        let naming = self.namings.remove(at);
        self.namings.free_if_empty();
        Some((naming.silent, naming.by))
    }

    pub(crate) fn clear(&mut self) {
        self.namings = Vec::new();
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
    fn all_namers_of_a_node_that_is_down_are_told_once_each() {
        let mut namers = Namers::new(8);
        for by in [11, 12, 11] {
            namers.add(addr(1), addr(by));
            namers.add(addr(2), addr(by));
        }
        assert_eq!(namers.pop_due(), None, "not clear yet");
        namers.is_down(addr(1));
        namers.remove(addr(2));
        namers.is_down(addr(2));
        let told = [0; 3].map(|_| namers.pop_due());
        assert_eq!(told, [Some((addr(1), addr(11))), Some((addr(1), addr(12))), None]);
    }

    #[test]
    fn beyond_the_bound_the_first_gives_way() {
        let mut namers = Namers::new(3);
        (10..14).for_each(|by| namers.add(addr(1), addr(by)));
        namers.is_down(addr(1));
        let told = [0; 4].map(|_| namers.pop_due().map(|(_, by)| by.port()));
        assert_eq!(told, [Some(11), Some(12), Some(13), None]);
    }
}
