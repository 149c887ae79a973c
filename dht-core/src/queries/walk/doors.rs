//! How many nodes of one host, and of one /24, a walk asks that others have named: else any node that is asked could have us
//! knock at every door of a third party. Nodes that share an address, behind one NAT or on one server, are found all
//! the same, even if many of them are gone.

use core::net::{Ipv4Addr, SocketAddrV4};

use super::Walk;
use crate::addr::prefix24;

/// How many nodes of one host, and of one /24, are asked before one of them has answered. Each answer from there allows
/// one more. Local ones have no limit.
const UNANSWERED_PER_HOST_MAX: usize = 4;
const UNANSWERED_PER_PREFIX_MAX: usize = 6;
/// Each further /24 that names one of them, up to three, allows two more: nodes that do not exist, named by the few hosts
/// that an attacker has, do not hide a node that others name.
const UNANSWERED_PER_VOICE: usize = 2;

/// Whether one more node may be asked at a host, or in its /24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Door {
    Open,
    /// Not until another node there has answered, or has left its tries unanswered.
    Crowded,
    /// Too many were silent, here or in earlier walks.
    Shut,
}

impl Walk {
    /// Whether one more node may be asked at this host, and in its /24.
    pub(super) fn door(
        &self,
        node: u16,
        addr: SocketAddrV4,
        may_knock: impl Fn(SocketAddrV4, &dyn Fn() -> usize) -> bool,
    ) -> Door {
        let (ip, prefix) = (*addr.ip(), prefix24(*addr.ip()));
        if self.plan.exempt.covers(ip) {
            return Door::Open;
        }
        if !may_knock(addr, &|| self.voices(node)) {
            // Who is asked now may answer from there.
            return if self.visits.len() > self.late() { Door::Crowded } else { Door::Shut };
        }
        let host = self.door_of(node, UNANSWERED_PER_HOST_MAX, &|other| other == ip);
        host.max(self.door_of(node, UNANSWERED_PER_PREFIX_MAX, &|other| prefix24(other) == prefix))
    }

    fn door_of(&self, node: u16, mut most: usize, is_near: &dyn Fn(Ipv4Addr) -> bool) -> Door {
        // What may still be answered, and what is not waited for any more.
        let (mut open, mut silent) = (0, 0);
        for host in self.seen.hosts().iter().filter(|host| is_near(host.ip())) {
            most += usize::from(host.answered);
            silent += usize::from(host.silent);
        }
        let patience = self.tries_to_wait_for();
        for visit in self.visits.iter().filter(|visit| self.seen.is_hearsay(visit.node)) {
            let near = self.seen.addr(visit.node).is_some_and(|addr| is_near(*addr.ip()));
            open += usize::from(near && visit.missed < patience);
            silent += usize::from(near && visit.missed >= patience);
        }
        if silent + open >= most {
            most += UNANSWERED_PER_VOICE * self.voices(node).saturating_sub(1);
        }
        match () {
            () if silent >= most => Door::Shut,
            () if silent + open >= most => Door::Crowded,
            () => Door::Open,
        }
    }
}
