//! Datagrams that wait to leave and are no requests of ours: answers, mostly.
//!
//! They are kept as intentions, and become bytes when the embedder asks for them. Waiting requests
//! are in [`inflight`](crate::requests::inflight).

use alloc::collections::VecDeque;
#[cfg(any(test, feature = "_invariants"))]
use core::mem::discriminant;
use core::net::SocketAddrV4;

use bytes::Bytes;

use crate::api::ask::Answer;
use crate::api::message::{ReplyTo, Via};
use crate::api::way::Way;
use crate::bounded::memory::{Capped, Heap, more_for};
use crate::id::Id;
use crate::wire::{self, CLOSER_NODES_MAX, Message};

/// A datagram that is no request of ours.
#[derive(Clone)]
pub(crate) struct Out {
    pub(crate) to: SocketAddrV4,
    pub(crate) way: Way,
    tid: u16,
    /// Of a request; of an answer, closer nodes to it go along.
    pub(crate) target: Option<Id>,
    pub(crate) value: Option<Bytes>,
    /// The command of a request, the error of an answer.
    pub(crate) number: u64,
    kind: Kind,
    /// Closer nodes that go along, at most.
    pub(crate) nodes: u8,
}

// In one byte.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Answer,
    AnswerWithToken,
    /// A peer's request, passed on; its command may be internal.
    Relay,
    RelayInternal,
}

const _: () = assert!(size_of::<Out>() <= 88);

impl Out {
    /// An answer that says nothing but that it is one.
    pub(super) const fn pong(to: SocketAddrV4, way: Way, tid: u16) -> Self {
        let (kind, nodes) = (Kind::Answer, CLOSER_NODES_MAX as u8);
        Self { to, way, tid, target: None, value: None, number: 0, kind, nodes }
    }

    pub(crate) fn answer(request: ReplyTo, answer: Answer) -> Self {
        let way = answer.via.map_or(request.way, |via| Way::new(via, None));
        Self {
            target: request.target.filter(|_| answer.closer_nodes),
            value: answer.value,
            number: answer.error,
            kind: if answer.token { Kind::AnswerWithToken } else { Kind::Answer },
            ..Self::pong(answer.to.unwrap_or(request.from), way, request.tid)
        }
    }

    /// A peer's request, passed on with another value.
    pub(crate) fn relay(request: ReplyTo, to: SocketAddrV4, value: Option<Bytes>) -> Self {
        Self {
            target: request.target,
            value,
            number: request.command,
            kind: if request.internal { Kind::RelayInternal } else { Kind::Relay },
            ..Self::pong(to, Way::new(request.via(), None), request.tid)
        }
    }

    pub(super) fn has_token(&self) -> bool {
        self.kind == Kind::AnswerWithToken
    }

    /// What is sent, but for closer nodes: with our `id`, if that is told, and with the token where one goes along.
    pub(crate) fn message<'a>(
        &'a self,
        id: Option<&'a [u8; 32]>,
        token: Option<&'a [u8; 32]>,
    ) -> Message<'a> {
        let (tid, to, value) = (self.tid, self.to, self.value.as_deref());
        let token = token.filter(|_| self.has_token());
        match self.kind {
            Kind::Answer | Kind::AnswerWithToken => Message::Response(wire::Response {
                tid,
                to,
                id,
                token,
                closer_nodes: None,
                error: self.number,
                value,
            }),
            Kind::Relay | Kind::RelayInternal => Message::Request(wire::Request {
                tid,
                to,
                id,
                token,
                internal: self.kind == Kind::RelayInternal,
                command: self.number,
                target: self.target.as_ref().map(Id::as_bytes),
                value,
            }),
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
        let at = usize::from(out.way.via().lane());
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
                let at = lane.iter().position(|out| out.way.via() == via)?;
                lane.remove(at)?
            }
        };
        self.len -= 1;
        Some(out)
    }

    /// Gives memory back that a burst has left behind.
    pub(crate) fn trim(&mut self) {
        self.lanes.iter_mut().for_each(VecDeque::free_if_empty);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max);
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self) {
        let kinds = [Via::Client, Via::Server, Via::Extra(0)].map(|via| discriminant(&via));
        let here = |(lane, kind): (&VecDeque<Out>, _)| {
            lane.iter().all(|out| discriminant(&out.way.via()) == kind)
        };
        assert!(self.lanes.iter().zip(kinds).all(here));
        let waiting = self.lanes.iter().flatten();
        assert_eq!(self.len, waiting.count(), "what waits is counted wrongly");
        let room: usize = self.lanes.iter().map(VecDeque::capacity).sum();
        assert!(room <= self.max.max(4) && self.len <= self.max);
    }
}
