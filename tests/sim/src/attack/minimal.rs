//! As much of a node as an attacker needs: it answers the requests that keep it in tables.

use std::net::SocketAddrV4;

use dht_core::wire;

use super::MARK;
use super::puppet::{Puppet, response_bytes};
use crate::sim::command;

/// What is told to an asker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story<'a> {
    /// The asker's own address.
    pub(super) to: SocketAddrV4,
    /// Nodes closer to the target.
    pub(super) closer: &'a [SocketAddrV4],
}

/// The answer to a request, and where it goes. Delayed pings are not worth the trouble.
pub(super) fn answer(
    puppet: Puppet,
    from: SocketAddrV4,
    request: &wire::Request<'_>,
    story: Story<'_>,
) -> Option<(SocketAddrV4, Vec<u8>)> {
    let Story { to, closer } = story;
    let plain = puppet.response(request.tid, to);
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
const TOKEN: wire::Token = [0x42; 32];
