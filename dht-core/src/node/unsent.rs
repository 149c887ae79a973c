//! Why there is no answer, if it is known: the system did not send, and then nobody is blamed for it; or somebody
//! answered who was not asked.

use core::net::SocketAddrV4;

use super::Node;
use crate::api::error::Unsent;
use crate::api::message::Transmit;
use crate::time::Instant;

impl Node {
    /// The system refused to send what was polled as `transmit`. Tries go on as if it had been lost, since it may
    /// be over in a moment; but if there is no answer in the end, the request fails with
    /// [`RequestError::Unsent`](crate::RequestError::Unsent), it is not counted as a timeout, and nobody loses
    /// a place in the table for it. Call it before the try times out; later, or twice, it does no harm.
    pub fn handle_unsent(&mut self, now: Instant, transmit: &Transmit, why: Unsent) {
        self.enter(now);
        if transmit.request.is_some_and(|id| self.inflight.not_sent(id, why)) {
            self.unsent = Some(why);
        }
    }

    /// Who has answered in the last 15 s when `asked` was asked, from another address of the same host, or the same port of
    /// another: a machine with several addresses that answers from the wrong one, most likely. Such an answer does not
    /// count, since anybody who guesses 16 bits can send one; this is for people to read. Of the last two such.
    #[must_use]
    pub fn answered_instead(&self, asked: SocketAddrV4) -> Option<SocketAddrV4> {
        self.elsewhere.instead_of(self.upkeep.tick(), asked)
    }
}
