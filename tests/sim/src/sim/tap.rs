//! Taps: everything that a host sends, receives and goes through, for a close look at it. Nothing is recorded unless
//! asked for.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::Event;

use super::{Packet, Sim};
use crate::world::{HostId, Micros};

/// What a tap has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    /// When.
    pub at: Micros,
    /// What.
    pub what: What,
}

/// A datagram or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A datagram, sent or received, as the host sees its addresses.
    Datagram {
        /// Which of the two.
        direction: Direction,
        /// Its source.
        from: SocketAddrV4,
        /// Its destination.
        to: SocketAddrV4,
        /// What it says.
        bytes: Vec<u8>,
    },
    /// Something has happened to the node.
    Event(Event),
}

/// The way of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the host.
    In,
    /// From it.
    Out,
}

/// What was recorded, by host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taps(BTreeMap<HostId, Vec<Tapped>>);

impl Taps {
    pub(crate) fn event(&mut self, at: Micros, host: HostId, event: &Event) {
        if let Some(records) = self.0.get_mut(&host) {
            records.push(Tapped { at, what: What::Event(*event) });
        }
    }

    pub(crate) fn datagram(
        &mut self,
        at: Micros,
        host: HostId,
        direction: Direction,
        packet: &Packet,
    ) {
        if let Some(records) = self.0.get_mut(&host) {
            let Packet { from, to, ref bytes, .. } = *packet;
            let what = What::Datagram { direction, from, to, bytes: bytes.clone() };
            records.push(Tapped { at, what });
        }
    }
}

impl Sim {
    /// Records from now on what a host sends, receives and goes through. Memory grows with it.
    pub fn tap(&mut self, host: HostId) {
        self.taps.0.entry(host).or_default();
    }

    /// Takes what was recorded of a host so far.
    pub fn take_tapped(&mut self, host: HostId) -> Vec<Tapped> {
        self.taps.0.get_mut(&host).map(std::mem::take).unwrap_or_default()
    }
}
