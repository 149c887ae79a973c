//! Datagrams that go out: bytes come into being here, when the embedder asks for them.

use core::net::SocketAddrV4;

use super::Node;
use crate::addr::learnable;
use crate::api::config::DATAGRAM_MAX;
use crate::api::message::{Transmit, Via};
use crate::id::Id;
use crate::time::Instant;
use crate::upkeep::Stage;

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
        self.transmit(now, None, buf)
    }

    /// The next datagram to send by `via`, for embedders that wait for each socket apart.
    #[must_use]
    pub fn poll_transmit_via(
        &mut self,
        now: Instant,
        via: Via,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.transmit(now, Some(via), buf)
    }

    fn transmit(
        &mut self,
        now: Instant,
        only: Option<Via>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.enter(now);
        // What was answered before the end is still flushed after it.
        if !matches!(self.upkeep.stage, Stage::Running | Stage::Closed) {
            return None;
        }
        let own = self.id();
        let answers_first = self.replies.go_first();
        if answers_first {
            if let Some(transmit) = self.transmit_answer(only, own, buf) {
                self.replies.has_left(true);
                return Some(transmit);
            }
        }
        self.replies.has_left(false);
        let request = self.requests.poll_transmit(&mut self.cx, only, own, &self.queries, buf);
        if request.is_some() || answers_first {
            request
        } else {
            self.transmit_answer(only, own, buf)
        }
    }

    /// The next answer, or a verification, which goes before the answer to the request that caused it.
    fn transmit_answer(
        &mut self,
        only: Option<Via>,
        own: Option<Id>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.requests.poll_verification(&mut self.cx, only, own, buf).or_else(|| {
            let table = self.members.table();
            let closest = |target: &_, nodes: &mut _| table.closest(target, nodes);
            self.replies.poll_transmit(&self.cx, only, own, closest, buf)
        })
    }

    /// Whether an address that `from` has named may be visited; `own` are ours.
    pub(super) fn is_visitable(
        &self,
        addr: SocketAddrV4,
        from: SocketAddrV4,
        own: &[SocketAddrV4],
    ) -> bool {
        learnable(addr, *from.ip()) && !own.contains(&addr) && self.cx.admits(addr)
    }
}
