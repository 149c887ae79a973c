//! `PEER_HANDSHAKE` and `PEER_HOLEPUNCH`, which go from client to server and back by way of one node or two. Mirrors
//! `lib/router.js` for a node that is not the server.
//!
//! A node never sends anything to a local address for a sender that has another address; the reference does.

use core::net::SocketAddrV4;

use super::messages::{Handshake, Holepunch, Mode};
use super::service::Action;
use crate::addr::learnable;
use crate::api::ask::Answer;

/// What becomes of a handshake that has come from `from`, where the target, if it has announced itself here, has done so
/// from the address `server`.
pub(super) fn handshake(
    from: SocketAddrV4,
    server: Option<SocketAddrV4>,
    value: &[u8],
) -> Option<Action<'static>> {
    let it = Handshake::decode(value).ok()?;
    let relayed = |mode, peer_address, relay_address| {
        Handshake { mode, peer_address, relay_address, ..it }.encode()
    };
    match it.mode {
        Mode::FromClient => {
            let Some(next) = it.relay_address.or(server) else {
                // So that the client finds who knows the server.
                return Some(Action::Reply(Answer::empty().token(false)));
            };
            pass_on(from, next, relayed(Mode::FromRelay, Some(from), None))
        }
        Mode::FromRelay => {
            pass_on(from, server?, relayed(Mode::FromSecondRelay, it.peer_address, Some(from)))
        }
        Mode::FromServer => answer(from, it.peer_address?, relayed(Mode::Reply, Some(from), None)),
        Mode::FromSecondRelay | Mode::Reply => None,
    }
}

/// The same for a hole punch.
pub(super) fn holepunch(
    from: SocketAddrV4,
    server: Option<SocketAddrV4>,
    value: &[u8],
) -> Option<Action<'static>> {
    let it = Holepunch::decode(value).ok()?;
    let relayed = |mode| Holepunch { mode, peer_address: Some(from), ..it }.encode();
    match it.mode {
        Mode::FromClient => pass_on(from, it.peer_address.or(server)?, relayed(Mode::FromRelay)),
        Mode::FromServer => answer(from, it.peer_address.unwrap_or(from), relayed(Mode::Reply)),
        Mode::FromRelay | Mode::FromSecondRelay | Mode::Reply => None,
    }
}

fn pass_on(from: SocketAddrV4, to: SocketAddrV4, value: bytes::Bytes) -> Option<Action<'static>> {
    learnable(to, *from.ip()).then_some(Action::Relay { to, value })
}

fn answer(from: SocketAddrV4, to: SocketAddrV4, value: bytes::Bytes) -> Option<Action<'static>> {
    let answer = Answer::value(value).token(false).closer_nodes(false).to(to);
    learnable(to, *from.ip()).then_some(Action::Reply(answer))
}
