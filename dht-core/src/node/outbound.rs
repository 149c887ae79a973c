//! Datagrams that go out: bytes come into being here, when the embedder asks for them.

use super::{Node, Parts};
use crate::api::config::DATAGRAM_MAX;
use crate::api::error::Unsent;
use crate::api::message::{Transmit, Via};
use crate::time::Instant;
use crate::upkeep::Stage;

/// # Datagrams out
impl Node {
    /// The next datagram to send by any socket, written to `buf`. Poll until `None` after any
    /// other call, when the sockets can take one: closer nodes and tokens are made at this
    /// moment, and the time-out of a request runs from here. Whether `None` comes early, because
    /// the window is full, shows in [`poll_timeout`](Self::poll_timeout).
    #[must_use]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.parts.enter(now, |node| node.transmit(None, buf))
    }

    /// The next datagram to send by `via`, for embedders that wait for each socket apart.
    #[must_use]
    pub fn poll_transmit_via(
        &mut self,
        now: Instant,
        via: Via,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.parts.enter(now, |node| node.transmit(Some(via), buf))
    }

    /// The system refused to send what was polled as `transmit`. Tries go on as if it had been lost, since it may
    /// be over in a moment; but if there is no answer in the end, the request fails with
    /// [`RequestError::Unsent`](crate::RequestError::Unsent), it is not counted as a timeout, and no node loses
    /// a place in the table for it. Call it before the try times out; later, or twice, it does no harm.
    pub fn handle_unsent(&mut self, now: Instant, transmit: &Transmit, why: Unsent) {
        self.parts.enter(now, |node| {
            if transmit.request.is_some_and(|id| node.requests.not_sent(id, why)) {
                node.upkeep.contact.not_sent(why);
            }
        });
    }
}

impl Parts {
    fn transmit(&mut self, only: Option<Via>, buf: &mut [u8; DATAGRAM_MAX]) -> Option<Transmit> {
        // What was answered before the end is still flushed after it.
        if !matches!(self.upkeep.stage, Stage::Running | Stage::Closed) {
            return None;
        }
        let Self { cx, members, requests, replies, queries, reach, .. } = self;
        let table = members.table();
        let own = (!reach.is_ephemeral()).then(|| table.own());
        let answers_first = replies.go_first();
        for is_answers_turn in [answers_first, !answers_first] {
            let transmit = if is_answers_turn {
                // A verification goes before the answer to the request that caused it.
                requests.poll_verification(cx, only, own, buf).or_else(|| {
                    let closest = |target: &_, nodes: &mut _| table.closest(target, nodes);
                    replies.poll_transmit(cx, only, own, closest, buf)
                })
            } else {
                replies.has_left(false);
                requests.poll_transmit(cx, only, own, queries, buf)
            };
            if transmit.is_some() {
                if answers_first && is_answers_turn {
                    replies.has_left(true);
                }
                return transmit;
            }
        }
        None
    }
}
