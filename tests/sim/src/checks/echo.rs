//! The application that nodes have while everything is checked: without one, nobody would ever give out
//! or show a token.

use bytes::Bytes;
use dht_core::{Answer, Incoming, error_code};

use crate::app::{App, Cx};

/// The command that it answers; all others are unknown to it.
pub const ECHO: u64 = 7;

/// Answers [`ECHO`] with the value that came with it, and with a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl App for Echo {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        let answer = match (request.command, request.value) {
            (ECHO, Some(value)) => Answer::value(Bytes::copy_from_slice(value)),
            (ECHO, None) => Answer::empty(),
            _ => Answer::error(error_code::UNKNOWN_COMMAND),
        };
        cx.reply(request, answer);
    }

    fn fork(&self) -> Box<dyn App> {
        Box::new(*self)
    }
}
