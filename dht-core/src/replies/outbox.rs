//! Datagrams that wait to leave and are no requests of ours: answers, mostly.
//!
//! They are kept as intentions, and become bytes when the embedder asks for them. Waiting requests
//! are in [`inflight`](crate::requests::inflight).

use alloc::collections::VecDeque;
#[cfg(any(test, feature = "_invariants"))]
use core::mem::discriminant;
use core::net::SocketAddrV4;

use bytes::Bytes;

use crate::api::message::Via;
use crate::api::way::Way;
use crate::bounded::memory::{Heap, more_for};
use crate::id::Id;

/// A datagram that is no request of ours.
#[derive(Clone)]
pub(crate) enum Out {
    /// An answer.
    Reply {
        to: SocketAddrV4,
        way: Way,
        tid: u16,
        /// Closer nodes to this target go along.
        closer_to: Option<Id>,
        token: bool,
        error: u64,
        value: Option<Bytes>,
    },
    /// A peer's request, passed on.
    Relay {
        to: SocketAddrV4,
        via: Via,
        tid: u16,
        internal: bool,
        command: u64,
        target: Option<Id>,
        value: Option<Bytes>,
    },
}

impl Out {
    pub(crate) fn via(&self) -> Via {
        match self {
            Self::Reply { way, .. } => way.via(),
            Self::Relay { via, .. } => *via,
        }
    }
}

/// A queue for each socket, and one for all of the embedder's own.
#[derive(Clone)]
pub(crate) struct Outbox {
    lanes: [VecDeque<Out>; 3],
    len: usize,
    /// The most that may wait.
    max: usize,
}

impl Outbox {
    pub(crate) fn new(max: usize) -> Self {
        Self { lanes: Default::default(), len: 0, max }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn add_to(heap: &mut Heap, len: usize) {
        heap.capped::<Out>(len);
    }

    pub(crate) fn push(&mut self, out: Out) {
        let at = usize::from(out.via().lane());
        if self.lanes.get(at).is_some_and(|lane| lane.len() == lane.capacity()) {
            self.grow(at);
        }
        let Some(lane) = self.lanes.get_mut(at) else { return };
        lane.push_back(out);
        self.len += 1;
    }

    /// All queues together have memory for no more than may wait: where it is scarce, the queue `at` takes it from
    /// the rest.
    fn grow(&mut self, at: usize) {
        let len = self.lanes.get(at).map_or(0, VecDeque::len);
        let more = more_for(len, (self.max + len).saturating_sub(self.len));
        let room: usize = self.lanes.iter().map(VecDeque::capacity).sum();
        if room + more > self.max {
            self.lanes.iter_mut().for_each(VecDeque::shrink_to_fit);
        }
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.reserve_exact(more);
        }
    }

    /// Takes the first, or the first for the socket `only`.
    pub(crate) fn pop(&mut self, only: Option<Via>) -> Option<Out> {
        if self.len == 0 {
            return None;
        }
        let out = match only {
            None => self.lanes.iter_mut().find_map(VecDeque::pop_front)?,
            Some(via) => {
                let lane = self.lanes.get_mut(usize::from(via.lane()))?;
                let at = lane.iter().position(|out| out.via() == via)?;
                lane.remove(at)?
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

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self) {
        let kinds = [Via::Client, Via::Server, Via::Extra(0)].map(|via| discriminant(&via));
        let here = |(lane, kind): (&VecDeque<Out>, _)| {
            lane.iter().all(|out| discriminant(&out.via()) == kind)
        };
        assert!(self.lanes.iter().zip(kinds).all(here));
        let waiting = self.lanes.iter().flatten();
        assert_eq!(self.len, waiting.count(), "what waits is counted wrongly");
        let room: usize = self.lanes.iter().map(VecDeque::capacity).sum();
        assert!(room <= self.max.max(4) && self.len <= self.max);
    }
}
