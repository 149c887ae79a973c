//! What waits to leave: one lane per local socket, by urgency.
//!
//! Lanes hold intentions. Bytes come into being when the embedder asks for them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
#[cfg(any(test, feature = "_invariants"))]
use core::mem::discriminant;
use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use crate::addr::{is_local, prefix24};
use crate::congestion::Class;
use crate::id::Id;
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

/// How urgent a request is: past the window, or by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Force,
    Class(Class),
}

/// From the most urgent to the least.
pub(crate) const URGENCIES: [Urgency; 5] = [
    Urgency::Force,
    Urgency::Class(Class::User),
    Urgency::Class(Class::Query),
    Urgency::Class(Class::KeepAlive),
    Urgency::Class(Class::Hint),
];

#[derive(Clone, Debug, Default)]
struct Lane {
    out: VecDeque<Out>,
    /// By urgency.
    requests: [VecDeque<(Via, RequestId)>; URGENCIES.len()],
}

impl Lane {
    fn queue(&mut self, urgency: Urgency) -> Option<&mut VecDeque<(Via, RequestId)>> {
        self.requests.get_mut(match urgency {
            Urgency::Force => 0,
            Urgency::Class(class) => 1 + class as usize,
        })
    }
}

/// All lanes: client, server, and one for all of the embedder's own sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    /// Boxed: a node seldom uses more than one, and an idle one none.
    lanes: [Option<Box<Lane>>; 3],
    outs: usize,
    requests: usize,
}

impl Lanes {
    /// Replies and the like that wait.
    pub(crate) fn outs(&self) -> usize {
        self.outs
    }

    /// Requests that wait, some of which may have ended.
    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    pub(crate) fn push_out(&mut self, out: Out) {
        self.lane(out.via()).out.push_back(out);
        self.outs += 1;
    }

    pub(crate) fn pop_out(&mut self, only: Option<Via>) -> Option<Out> {
        if self.outs == 0 {
            return None;
        }
        let out = self.lanes(only).find_map(|lane| pop(&mut lane.out, only, Out::via))?;
        self.outs -= 1;
        Some(out)
    }

    pub(crate) fn push(&mut self, urgency: Urgency, via: Via, id: RequestId, first: bool) {
        let Some(queue) = self.lane(via).queue(urgency) else {
            return;
        };
        if first {
            queue.push_front((via, id));
        } else {
            queue.push_back((via, id));
        }
        self.requests += 1;
    }

    pub(crate) fn pop(&mut self, urgency: Urgency, only: Option<Via>) -> Option<RequestId> {
        if self.requests == 0 {
            return None;
        }
        let first = |lane: &mut Lane| pop(lane.queue(urgency)?, only, |(via, _)| *via);
        let (_, id) = self.lanes(only).find_map(first)?;
        self.requests -= 1;
        Some(id)
    }

    /// Forgets requests that are no more.
    pub(crate) fn retain(&mut self, is_live: impl Fn(RequestId) -> bool) {
        self.requests = 0;
        for queue in self.lanes.iter_mut().flatten().flat_map(|lane| &mut lane.requests) {
            queue.retain(|(_, id)| is_live(*id));
            self.requests += queue.len();
        }
    }

    /// Gives memory back that a burst has left behind.
    pub(crate) fn trim(&mut self) {
        for lane in &mut self.lanes {
            let waits = |lane: &mut Box<Lane>| {
                !lane.out.is_empty() || lane.requests.iter().any(|queue| !queue.is_empty())
            };
            if lane.as_mut().is_some_and(|lane| !waits(lane)) {
                *lane = None;
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Calls back with every request that waits, those that have ended among them.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, mut waits: impl FnMut(RequestId)) {
        let lanes = self.lanes.iter().zip([Via::Client, Via::Server, Via::Extra(0)]);
        let lanes = lanes.filter_map(|(lane, kind)| Some((lane.as_ref()?, kind)));
        let (mut outs, mut requests) = (0, 0);
        for (lane, kind) in lanes {
            outs += lane.out.len();
            requests += lane.requests.iter().map(VecDeque::len).sum::<usize>();
            let is_here = |via: Via| discriminant(&via) == discriminant(&kind);
            for out in &lane.out {
                assert!(is_here(out.via()));
                if let Out::Verify(_, id) = out {
                    waits(*id);
                }
            }
            for (via, id) in lane.requests.iter().flatten() {
                assert!(is_here(*via));
                waits(*id);
            }
        }
        assert_eq!((self.outs, self.requests), (outs, requests), "what waits is counted wrongly");
    }

    fn lane(&mut self, via: Via) -> &mut Lane {
        let [client, server, extra] = &mut self.lanes;
        let lane = match via {
            Via::Client => client,
            Via::Server => server,
            Via::Extra(_) => extra,
        };
        lane.get_or_insert_default()
    }

    /// The lanes in use, or the one for `only`.
    fn lanes(&mut self, only: Option<Via>) -> impl Iterator<Item = &mut Lane> {
        let lanes = match only {
            Some(Via::Client) => self.lanes.get_mut(..1),
            Some(Via::Server) => self.lanes.get_mut(1..2),
            Some(Via::Extra(_)) => self.lanes.get_mut(2..),
            None => self.lanes.get_mut(..),
        };
        lanes.into_iter().flatten().filter_map(Option::as_deref_mut)
    }
}

/// Takes the first entry, or the first for `only` where sockets share a lane.
fn pop<T>(queue: &mut VecDeque<T>, only: Option<Via>, via: impl Fn(&T) -> Via) -> Option<T> {
    let at = match only {
        Some(only @ Via::Extra(_)) => queue.iter().position(|entry| via(entry) == only)?,
        _ => 0,
    };
    queue.remove(at)
}

/// A request that waits for a place in its share.
#[derive(Clone, Copy, Debug)]
struct Parked {
    prefix: u32,
    id: RequestId,
    users: bool,
}

/// How many datagrams are out and unanswered per /24, so that a network that swallows
/// everything fills its own share of the window only. Local addresses have no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    out: Vec<(u32, u32)>,
    parked: Vec<Parked>,
}

impl Shares {
    /// Whether one more may leave for `to`; if not, `id` waits here for a place.
    pub(crate) fn admits(&mut self, to: Ipv4Addr, limit: u32, id: RequestId, users: bool) -> bool {
        let prefix = prefix24(to);
        let full = self.at(prefix).is_ok_and(|at| self.out.get(at).is_some_and(|e| e.1 >= limit));
        if full && !is_local(to) {
            self.parked.push(Parked { prefix, id, users });
            return false;
        }
        true
    }

    pub(crate) fn taken(&mut self, to: Ipv4Addr) {
        let prefix = prefix24(to);
        match self.at(prefix) {
            Ok(at) => self.out.get_mut(at).into_iter().for_each(|(_, count)| *count += 1),
            Err(at) => self.out.insert(at, (prefix, 1)),
        }
    }

    /// One is no longer out.
    pub(crate) fn freed(&mut self, to: Ipv4Addr) {
        let Ok(at) = self.at(prefix24(to)) else { return };
        let count = self.out.get_mut(at).map_or(0, |(_, count)| {
            *count = count.saturating_sub(1);
            *count
        });
        if count == 0 {
            self.out.remove(at);
        }
    }

    /// The request that has waited longest for a place, the user's before others.
    pub(crate) fn pop(&mut self, to: Ipv4Addr) -> Option<RequestId> {
        let prefix = prefix24(to);
        let of = |users: bool| move |p: &Parked| p.prefix == prefix && p.users == users;
        let at = self.parked.iter().position(of(true));
        let at = at.or_else(|| self.parked.iter().position(of(false)))?;
        Some(self.parked.remove(at).id)
    }

    /// Forgets requests that are no more, if they may be the most.
    pub(crate) fn sweep(&mut self, live: usize, is_live: impl Fn(RequestId) -> bool) {
        if self.parked.len() > 64 + 2 * live {
            self.parked.retain(|parked| is_live(parked.id));
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Calls back with every request that waits here; returns what is out per /24.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, mut waits: impl FnMut(u32, RequestId)) -> &[(u32, u32)] {
        assert!(self.out.is_sorted_by(|a, b| a.0 < b.0));
        self.parked.iter().for_each(|parked| waits(parked.prefix, parked.id));
        &self.out
    }

    fn at(&self, prefix: u32) -> Result<usize, usize> {
        self.out.binary_search_by_key(&prefix, |(prefix, _)| *prefix)
    }
}
