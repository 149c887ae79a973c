//! Two nuisances that a random scenario may meet: nodes that ask and never answer, and false hints that a node is
//! down. Real attackers are in [`attack`](crate::attack).

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire::{Request, addr_bytes};

use crate::attack::{Puppet, request_bytes};
use crate::sim::command::DOWN_HINT;
use crate::sim::{Actor, ActorCx};
use crate::world::Micros;

/// An address for the actor with this host number, away from all hosts.
pub(crate) fn address(host: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x6600_0001 + (host << 8))
}

/// One datagram each 20 ms.
const PAUSE: Micros = 20_000;

/// Many ports of one address, each of which asks a node once, with its true id, and never answers.
#[derive(Clone, Debug)]
pub(crate) struct Phantom {
    ip: Ipv4Addr,
    target: SocketAddrV4,
    left: u32,
}

impl Phantom {
    pub(crate) fn new(ip: Ipv4Addr, target: SocketAddrV4, count: u32) -> Self {
        Self { ip, target, left: count }
    }
}

impl Actor for Phantom {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        cx.wake_after(PAUSE, 0);
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let from = SocketAddrV4::new(self.ip, 1_024 + (self.left % 60_000) as u16);
        let bytes = request_bytes(&Puppet::at(from).request(cx.rng.next() as u16, self.target));
        cx.send(from, self.target, bytes);
        cx.wake_after(PAUSE, 0);
    }
}

/// Tells nodes, one after the other, that a node is down.
#[derive(Clone, Debug)]
pub(crate) struct Slanderer {
    from: SocketAddrV4,
    to: Vec<SocketAddrV4>,
    down: SocketAddrV4,
}

impl Slanderer {
    pub(crate) fn new(ip: Ipv4Addr, to: Vec<SocketAddrV4>, down: SocketAddrV4) -> Self {
        Self { from: SocketAddrV4::new(ip, 4_000), to, down }
    }
}

impl Actor for Slanderer {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        cx.wake_after(PAUSE, 0);
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        if let Some(to) = self.to.pop() {
            let (puppet, down) = (Puppet::at(self.from), addr_bytes(self.down));
            let hint = Request {
                id: None,
                command: DOWN_HINT,
                value: Some(&down),
                ..puppet.request(cx.rng.next() as u16, to)
            };
            cx.send(self.from, to, request_bytes(&hint));
            cx.wake_after(PAUSE, 0);
        }
    }
}
