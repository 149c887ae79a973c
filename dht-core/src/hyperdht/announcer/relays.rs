//! Which nodes relay for a peer.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use super::course::RELAYS;
use crate::addr::prefix24;
use crate::api::message::Reply;

/// The closest nodes that can keep an announcement, of different /24s if there are enough: one owner of addresses must not be
/// all relays. Nodes that were `silent` as relays are taken only if there are not enough others.
pub(super) fn relays_among(closest: &[Reply], silent: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    let mut all: Vec<_> =
        closest.iter().filter(|it| can_keep(it)).map(|reply| reply.from.addr).collect();
    let mut chosen: Vec<SocketAddrV4> = Vec::new();
    all.sort_by_key(|addr| silent.contains(addr));
    for apart in [true, false] {
        for addr in &all {
            let near = |other: &SocketAddrV4| prefix24(*other.ip()) == prefix24(*addr.ip());
            let is_apart = !apart || !chosen.iter().any(near);
            if chosen.len() < RELAYS && is_apart && !chosen.contains(addr) {
                chosen.push(*addr);
            }
        }
    }
    chosen
}

/// Whether what is sent to this node can have a token, and be bound to its id.
pub(super) fn can_keep(reply: &Reply) -> bool {
    reply.token.is_some() && reply.from.id.is_some()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec;

    use super::*;
    use crate::Id;
    use crate::api::message::Peer;

    fn reply(addr: [u8; 4], token: bool) -> Reply {
        let addr = SocketAddrV4::new(addr.into(), 1);
        Reply {
            from: Peer { addr, id: Some(Id::of(addr)) },
            seen_as: addr,
            token: token.then_some([0; 32].into()),
            closer_nodes: None,
            error: 0,
            value: None,
            rtt: Duration::ZERO,
        }
    }

    fn chosen(closest: &[Reply], silent: &[SocketAddrV4]) -> Vec<u8> {
        relays_among(closest, silent).iter().map(|addr| addr.ip().octets()[3]).collect()
    }

    #[test]
    fn relays_are_of_different_24s_where_there_are_enough() {
        let near = [1, 2, 3].map(|n| reply([45, 0, 0, n], true));
        assert_eq!(chosen(&near, &[]), [1, 2, 3]);
        let mut all = near.to_vec();
        all.extend([4, 5].map(|n| reply([45, 0, n, n], true)));
        assert_eq!(chosen(&all, &[]), [1, 4, 5]);
        // Who has sent no token can't be one, and a silent node is one only if there are too few other nodes.
        all[0] = reply([45, 0, 0, 1], false);
        assert_eq!(chosen(&all, &[]), [2, 4, 5]);
        assert_eq!(chosen(&all, &[all[1].from.addr, all[3].from.addr]), [3, 5, 4]);
        assert_eq!(chosen(&all[..2], &[all[1].from.addr]), vec![2]);
    }
}
