//! Datagrams made by hand, the addresses that they are sent from, and as much of a node as an attacker needs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::Id;
use dht_core::wire::{self, addr_bytes};

use super::MARK;
use crate::sim::{command, truth::closest};

/// An address that an attacker speaks as, its own or a forged one, and the id that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Puppet {
    addr: SocketAddrV4,
    id: Id,
}

impl Puppet {
    /// The puppet at this address.
    pub fn at(addr: SocketAddrV4) -> Self {
        Self { addr, id: Id::of(addr) }
    }

    /// Its address.
    pub const fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    /// Its id, the hash of the address.
    pub const fn id(&self) -> &Id {
        &self.id
    }

    /// A PING with its id, to be changed and then [encoded](request_bytes).
    pub(crate) fn request(&self, tid: u16, to: SocketAddrV4) -> wire::Request<'_> {
        wire::Request { id: Some(self.id.as_bytes()), ..ping(tid, to) }
    }

    /// An answer to a PING with its id, to be changed and then [encoded](response_bytes).
    pub(crate) fn response(&self, tid: u16, to: SocketAddrV4) -> wire::Response<'_> {
        wire::Response { id: Some(self.id.as_bytes()), ..pong(tid, to) }
    }
}

/// A PING without an id.
pub(crate) fn ping(tid: u16, to: SocketAddrV4) -> wire::Request<'static> {
    let (internal, command) = (true, command::PING);
    wire::Request { tid, to, id: None, token: None, internal, command, target: None, value: None }
}

/// An answer to a PING without an id.
pub(super) fn pong(tid: u16, to: SocketAddrV4) -> wire::Response<'static> {
    let closer_nodes = None;
    wire::Response { tid, to, id: None, token: None, closer_nodes, error: 0, value: None }
}

/// A hint that this node is down, as bytes.
pub(crate) fn down_hint(about: SocketAddrV4, tid: u16, to: SocketAddrV4) -> Vec<u8> {
    let (command, value) = (command::DOWN_HINT, &addr_bytes(about));
    request_bytes(&wire::Request { command, value: Some(value), ..ping(tid, to) })
}

/// A request as bytes; empty if it can't be written.
pub(crate) fn request_bytes(request: &wire::Request<'_>) -> Vec<u8> {
    let mut bytes = vec![0; request.encoded_len()];
    if request.encode(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

/// A response as bytes, with all of these closer nodes, which may be more than an honest response carries.
pub(crate) fn response_bytes(response: &wire::Response<'_>, nodes: &[SocketAddrV4]) -> Vec<u8> {
    let response = wire::Response { closer_nodes: None, ..*response };
    let mut bytes = vec![0; response.encoded_len()];
    if response.encode(&mut bytes).is_err() {
        bytes.clear();
    }
    if let Some(flags) = bytes.get_mut(1).filter(|_| !nodes.is_empty()) {
        *flags |= CLOSER_NODES;
        let keys = usize::from(response.id.is_some()) + usize::from(response.token.is_some());
        let at = HEAD + 32 * keys;
        let mut field = match u8::try_from(nodes.len()) {
            Ok(count @ ..=0xfc) => vec![count],
            _ => {
                let [lo, hi] = (nodes.len() as u16).to_le_bytes();
                vec![0xfd, lo, hi]
            }
        };
        field.extend(nodes.iter().flat_map(|addr| addr_bytes(*addr)));
        bytes.splice(at..at, field);
    }
    bytes
}

/// Type, flags, tid and address.
const HEAD: usize = 10;
const CLOSER_NODES: u8 = 4;

/// `count` ports from `first` on, on each of the hosts; none beyond 65,535.
pub fn addresses(
    ips: &[Ipv4Addr],
    first: u16,
    count: u16,
) -> impl Iterator<Item = SocketAddrV4> + '_ {
    let last = first.saturating_add(count.saturating_sub(1));
    let ports = (first..=last).take(count.into());
    ips.iter().flat_map(move |ip| ports.clone().map(|port| SocketAddrV4::new(*ip, port)))
}

/// The `keep` of these addresses whose ids are the closest to `target`, the closest first. An id can't be chosen,
/// but an address can: so does an attacker with many of them.
pub fn closest_addresses(
    addrs: impl Iterator<Item = SocketAddrV4>,
    target: &Id,
    keep: usize,
) -> Vec<SocketAddrV4> {
    let mut found: Vec<_> = addrs.map(|addr| (Id::of(addr).distance(target), addr)).collect();
    found.sort_unstable();
    found.truncate(keep);
    found.into_iter().map(|(_, addr)| addr).collect()
}

/// The answer of a node to a request, as much of it as keeps the node in tables, and where it goes. Delayed pings are not worth the trouble.
pub(super) fn answer(
    puppet: Puppet,
    from: SocketAddrV4,
    request: &wire::Request<'_>,
    seen_as: SocketAddrV4,
    closer: &[SocketAddrV4],
) -> Option<(SocketAddrV4, Vec<u8>)> {
    let plain = puppet.response(request.tid, seen_as);
    let closer = if request.target.is_some() { closer } else { &[] };
    if !request.internal {
        let response = wire::Response { token: Some(&TOKEN), value: Some(MARK), ..plain };
        return Some((from, response_bytes(&response, closer)));
    }
    match request.command {
        command::PING | command::DOWN_HINT => Some((from, response_bytes(&plain, &[]))),
        command::PING_NAT => {
            let port = u16::from_le_bytes(*request.value?.first_chunk()?);
            Some((SocketAddrV4::new(*from.ip(), port), response_bytes(&plain, &[])))
        }
        command::FIND_NODE => Some((from, response_bytes(&plain, closer))),
        _ => None,
    }
}

/// It never checks one.
const TOKEN: [u8; 32] = [0x42; 32];

/// Addresses by their ids: all ports of an attacker's hosts, hashed once.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground(BTreeMap<Id, SocketAddrV4>);

impl Ground {
    pub(super) fn of(addrs: impl Iterator<Item = SocketAddrV4>) -> Self {
        Self(addrs.map(|addr| (Id::of(addr), addr)).collect())
    }

    /// The `count` of them that are nearest to any target, the nearest first.
    pub(super) fn closest(&self, target: &Id, count: usize) -> Vec<SocketAddrV4> {
        closest(&self.0, target, count).into_iter().map(|(_, addr)| addr).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: Ipv4Addr = Ipv4Addr::new(66, 0, 0, 1);

    #[test]
    fn any_number_of_nodes_can_be_named() {
        let puppet = Puppet::at(SocketAddrV4::new(IP, 1));
        let nodes: Vec<_> = addresses(&[IP], 10, 300).collect();
        for count in [0, 1, 20, 252, 253, 300] {
            let token = [9; 32];
            let response = puppet.response(7, puppet.addr());
            let response =
                wire::Response { token: Some(&token), error: 16, value: Some(b"x"), ..response };
            let bytes = response_bytes(&response, &nodes[..count]);
            let wire::Message::Response(read) = wire::decode(&bytes).unwrap() else { panic!() };
            assert_eq!(read.closer_nodes.map_or(0, |nodes| nodes.len()), count);
            let first = read.closer_nodes.and_then(|nodes| nodes.iter().next());
            assert_eq!(first, nodes[..count].first().copied());
            let rest = wire::Response { closer_nodes: None, ..read };
            assert_eq!(rest, response);
        }
    }

    #[test]
    fn ports_end_where_they_end() {
        let count = |first, count| addresses(&[IP, IP], first, count).count();
        assert_eq!(count(65_530, 100), 2 * 6);
        assert_eq!((count(5, 0), count(5, 1), count(1_024, 64_512)), (0, 2, 2 * 64_512));
    }

    #[test]
    fn the_closest_are_found() {
        let target = Id([0x5a; 32]);
        let near = closest_addresses(addresses(&[IP], 1, 500), &target, 20);
        let farthest = Id::of(near[19]).distance(&target);
        let nearer = addresses(&[IP], 1, 500).filter(|a| Id::of(*a).distance(&target) <= farthest);
        assert_eq!(nearer.count(), 20);
    }
}
