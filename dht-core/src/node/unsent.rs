//! What the system did not send: no peer is blamed for it.

use super::Node;
use crate::api::error::Unsent;
use crate::api::message::Transmit;
use crate::time::Instant;

impl Node {
    /// The system refused to send what was polled as `transmit`. Tries go on as if it had been lost, since it may
    /// be over in a moment; but if there is no answer in the end, the request fails with
    /// [`RequestError::Unsent`](crate::RequestError::Unsent), it is not counted as a timeout, and no node loses
    /// a place in the table for it. Call it before the try times out; later, or twice, it does no harm.
    pub fn handle_unsent(&mut self, now: Instant, transmit: &Transmit, why: Unsent) {
        self.enter(now);
        if transmit.request.is_some_and(|id| self.requests.not_sent(id, why)) {
            self.upkeep.contact.not_sent(why);
        }
    }
}
