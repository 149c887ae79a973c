//! The application that nodes have while everything is checked: without one, no node would ever give out or
//! show a token.

use bytes::Bytes;
use dht_core::{Answer, Id, Incoming, error_code};

use crate::sim::{App, Cx, Sim};
use crate::world::HostId;

/// The command that is answered with its value. Unknown commands are refused.
pub const ECHO: u64 = 7;
/// The command that stores, or would: a request without a token gets one, a request with one is judged.
pub const STORE: u64 = 9;
/// Why a value is not stored.
const FULL: u64 = 16;

/// Answers [`ECHO`] with the value that came with it, and [`STORE`] with success or an error; both
/// with a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

/// What a host makes of a [`STORE`] with a good token. A few are full, a few believe no token at all: which
/// ones depends on the target, so that no host is left out for good.
pub(super) fn judge(host: HostId, target: Option<&Id>) -> u64 {
    match target.map(|target| host.0.wrapping_add(target.0[31].into()) % 8) {
        Some(0) => FULL,
        Some(1) => error_code::INVALID_TOKEN,
        _ => error_code::OK,
    }
}

impl App for Echo {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        let answer = match (request.command, request.value) {
            (ECHO, Some(value)) => Answer::value(Bytes::copy_from_slice(value)),
            (ECHO, None) => Answer::empty(),
            (STORE, _) if request.token.is_none() => Answer::empty(),
            (STORE, _) => Answer::error(judge(cx.host, request.target.as_ref())).token(true),
            _ => Answer::error(error_code::UNKNOWN_COMMAND),
        };
        cx.reply(request, answer);
    }
}

impl Sim {
    /// Whether an application of the user's answers on a host: any but [`Echo`].
    pub fn has_app(&self, host: HostId) -> bool {
        self.hosts[host.index()].app.is_some() && !self.has_echo(host)
    }

    /// Whether `Echo` answers.
    pub(super) fn has_echo(&self, host: HostId) -> bool {
        self.app::<Echo>(host).is_some()
    }
}
