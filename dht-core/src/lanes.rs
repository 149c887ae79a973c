//! What waits to leave and is no request: answers, mostly. One lane per local socket.
//!
//! Lanes hold intentions. Bytes come into being when the embedder asks for them. Requests
//! that wait are in [`inflight`](crate::inflight).

use alloc::collections::VecDeque;
#[cfg(any(test, feature = "_invariants"))]
use core::mem::discriminant;
use core::net::SocketAddrV4;

use bytes::Bytes;

use crate::id::Id;
use crate::memory::Heap;
use crate::message::{RequestId, Via};

/// A datagram that is no request of ours.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    /// An answer.
    Reply {
        to: SocketAddrV4,
        via: Via,
        tid: u16,
        /// Closer nodes to this go along.
        closer_to: Option<Id>,
        token: bool,
        error: u64,
        value: Option<Bytes>,
    },
    /// Somebody's request, passed on.
    Relay {
        to: SocketAddrV4,
        via: Via,
        tid: u16,
        internal: bool,
        command: u64,
        target: Option<Id>,
        value: Option<Bytes>,
    },
    /// A verification. It is one of the requests, but must leave before the reply to
    /// the request that caused it.
    Verify(Via, RequestId),
}

impl Out {
    fn via(&self) -> Via {
        match self {
            Self::Reply { via, .. } | Self::Relay { via, .. } | Self::Verify(via, _) => *via,
        }
    }
}

/// All lanes: client, server, and one for all of the embedder's own sockets.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    lanes: [VecDeque<Out>; 3],
    len: usize,
    /// How many there may be.
    max: usize,
}

impl Lanes {
    pub(crate) fn new(max: usize) -> Self {
        Self { lanes: Default::default(), len: 0, max }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn add_to(heap: &mut Heap, len: usize) {
        // Any may have been the only one in use.
        let bytes = len * size_of::<Out>();
        heap.add(3, bytes, bytes);
    }

    pub(crate) fn push(&mut self, out: Out) {
        let [client, server, extra] = &mut self.lanes;
        let lane = match out.via() {
            Via::Client => client,
            Via::Server => server,
            Via::Extra(_) => extra,
        };
        if lane.len() == lane.capacity() {
            let room = self.max.saturating_sub(lane.len()).max(1);
            lane.reserve_exact(lane.len().max(4).min(room));
        }
        lane.push_back(out);
        self.len += 1;
    }

    /// Takes the first, or the first for the socket `only`.
    pub(crate) fn pop(&mut self, only: Option<Via>) -> Option<Out> {
        if self.len == 0 {
            return None;
        }
        let [client, server, extra] = &mut self.lanes;
        let out = match only {
            None => [client, server, extra].into_iter().find_map(VecDeque::pop_front)?,
            Some(Via::Client) => client.pop_front()?,
            Some(Via::Server) => server.pop_front()?,
            Some(via) => {
                let at = extra.iter().position(|out| out.via() == via)?;
                extra.remove(at)?
            }
        };
        self.len -= 1;
        Some(out)
    }

    /// Gives memory back that a burst has left behind.
    pub(crate) fn trim(&mut self) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_empty()) {
            *lane = VecDeque::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max);
    }

    /// The verifications that wait.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self) -> impl Iterator<Item = RequestId> + '_ {
        let kinds = [Via::Client, Via::Server, Via::Extra(0)].map(|via| discriminant(&via));
        let here = |(lane, kind): (&VecDeque<Out>, _)| {
            lane.iter().all(|out| discriminant(&out.via()) == kind)
        };
        assert!(self.lanes.iter().zip(kinds).all(here));
        let waiting = self.lanes.iter().flatten();
        assert_eq!(self.len, waiting.clone().count(), "what waits is counted wrongly");
        waiting.filter_map(|out| match out {
            Out::Verify(_, id) => Some(*id),
            _ => None,
        })
    }
}
