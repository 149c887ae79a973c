//! Two nuisances that a random scenario may meet: nodes that ask and never answer, and false hints that a node is
//! down. Real attackers are in [`attack`](crate::attack).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::attack::{Puppet, down_hint, request_bytes};
use crate::sim::{Actor, ActorCx};
use crate::world::Micros;

/// One datagram each 20 ms.
const PAUSE: Micros = 20_000;

/// Sends one request after the other.
#[derive(Clone, Debug)]
pub(crate) struct Nuisance {
    ip: Ipv4Addr,
    /// From which ports and to whom, the last first.
    left: Vec<(u16, SocketAddrV4)>,
    /// Which node is said to be down. Without one, pings are sent with true ids, whose owners never answer.
    down: Option<SocketAddrV4>,
}

impl Nuisance {
    /// This many nodes, which ping a node.
    pub(crate) fn phantoms(host: u32, target: SocketAddrV4, count: u32) -> Self {
        let left = (0..count).map(|n| (1_024 + (n % 60_000) as u16, target)).collect();
        Self { ip: address(host), left, down: None }
    }

    /// One that says to others that a node is down.
    pub(crate) fn slander(host: u32, down: SocketAddrV4, to: &[SocketAddrV4]) -> Self {
        let left = to.iter().map(|to| (4_000, *to)).collect();
        Self { ip: address(host), left, down: Some(down) }
    }

    /// Where it is.
    pub(crate) fn ip(&self) -> Ipv4Addr {
        self.ip
    }
}

/// An address for the actor with this host number, away from all hosts.
fn address(host: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x6600_0001 + (host << 8))
}

impl Actor for Nuisance {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        cx.wake_after(PAUSE, 0);
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        let Some((port, to)) = self.left.pop() else { return };
        let (from, tid) = (SocketAddrV4::new(self.ip, port), cx.rng.next() as u16);
        let bytes = match self.down {
            Some(down) => down_hint(down, tid, to),
            None => request_bytes(&Puppet::at(from).request(tid, to)),
        };
        cx.send(from, to, bytes);
        cx.wake_after(PAUSE, 0);
    }
}
