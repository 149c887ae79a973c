//! Requests and queries of the user's: what has become of each, and the lines in which they wait while the core has
//! no place for them.
//!
//! A call that a future waits for has a ticket, a number that ascends. Each call in a line gets its place in order,
//! as soon as there is one, whether or not its future is polled. Calls that end among the [items](super::Items) have
//! no ticket and never wait.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::task::Waker;

use super::error::Error;
use super::queue::Wakes;
use crate::{
    Event, Instant, Node, Query, QueryId, Request, RequestError, RequestId, SendError, SessionId,
};

/// Requests that wait for a place, at most, and as many queries. Any further one fails with [`SendError::Busy`].
pub const WAITING_MAX: usize = 65_536;

/// A request or a query that has not begun.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Request(Request),
    Query(Query),
}

/// A request or a query that the core has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallId {
    Request(RequestId),
    Query(QueryId),
}

/// Where the end of a call is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Among the items.
    Items,
    /// To the future with this ticket.
    Future(u64),
}

enum Stage {
    /// Boxed: it is large, and most calls begin at once.
    Waits(Box<Want>),
    Begun(CallId),
    Failed(Error),
}

/// A call that a future waits for.
struct Entry {
    stage: Stage,
    waker: Option<Waker>,
}

/// All calls.
#[derive(Default)]
pub(crate) struct Calls {
    calls: BTreeMap<u64, Entry>,
    owners: BTreeMap<CallId, Owner>,
    /// The tickets of requests and of queries that wait.
    lines: [BTreeSet<u64>; 2],
    /// A place may have become free.
    room: bool,
}

impl Want {
    /// Begins if there is a place.
    fn try_begin(
        &self,
        now: Instant,
        node: &mut Node,
        ticket: u64,
        owners: &mut BTreeMap<CallId, Owner>,
    ) -> Option<Stage> {
        let begun = match self.clone() {
            Self::Request(request) => node.request(now, request).map(CallId::Request),
            Self::Query(query) => node.query(now, query).map(CallId::Query),
        };
        match begun {
            Ok(id) => {
                owners.insert(id, Owner::Future(ticket));
                Some(Stage::Begun(id))
            }
            Err(SendError::Busy) => None,
            Err(error) => Some(Stage::Failed(error.into())),
        }
    }

    const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Request(request) => request.session,
            Self::Query(query) => query.session,
        }
    }
}

impl CallId {
    /// The call that an event is about.
    pub(crate) const fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Response(id) => Some(Self::Request(*id)),
            Event::Reply(id) | Event::Finished(id) => Some(Self::Query(*id)),
            _ => None,
        }
    }

    fn cancel(self, now: Instant, node: &mut Node) {
        match self {
            Self::Request(id) => node.cancel_request(now, id),
            Self::Query(id) => node.cancel_query(now, id),
        }
    }
}

impl Calls {
    /// Begins a call at once, or lets it join its line.
    pub(crate) fn begin(&mut self, now: Instant, node: &mut Node, ticket: u64, want: Want) {
        let [requests, queries] = &mut self.lines;
        let line = if matches!(want, Want::Request(_)) { requests } else { queries };
        let begun = line.is_empty().then(|| want.try_begin(now, node, ticket, &mut self.owners));
        let stage = begun.flatten().unwrap_or_else(|| match line.len() < WAITING_MAX {
            true => {
                line.insert(ticket);
                Stage::Waits(Box::new(want))
            }
            false => Stage::Failed(SendError::Busy.into()),
        });
        self.calls.insert(ticket, Entry { stage, waker: None });
    }

    /// Begins the calls for which there is a place now. Whether any left its line.
    pub(crate) fn admit(&mut self, now: Instant, node: &mut Node, wakes: &mut Wakes) -> bool {
        let mut any = false;
        if !core::mem::take(&mut self.room) {
            return any;
        }
        for line in &mut self.lines {
            while let Some(&ticket) = line.first() {
                if let Some(Entry { stage, waker }) = self.calls.get_mut(&ticket) {
                    let Stage::Waits(want) = stage else { break };
                    let begun = want.try_begin(now, node, ticket, &mut self.owners);
                    let Some(begun) = begun else { break };
                    *stage = begun;
                    wakes.push(waker.take());
                }
                line.pop_first();
                any = true;
            }
        }
        any
    }

    /// A request or a query may have ended, so that another one can begin.
    pub(crate) const fn make_room(&mut self) {
        self.room = true;
    }

    /// How many requests and how many queries wait for a place.
    pub(crate) fn waiting(&self) -> [usize; 2] {
        self.lines.each_ref().map(BTreeSet::len)
    }

    /// The id of a call that has begun, or why it could not; `None` while it waits.
    pub(crate) fn begun(&self, ticket: u64) -> Option<Result<CallId, Error>> {
        match &self.calls.get(&ticket)?.stage {
            Stage::Waits(_) => None,
            Stage::Begun(id) => Some(Ok(*id)),
            Stage::Failed(error) => Some(Err(error.clone())),
        }
    }

    /// The place for the waker of a call.
    pub(crate) fn slot(&mut self, ticket: u64) -> &mut Option<Waker> {
        let failed = || Entry { stage: Stage::Failed(Error::CLOSED), waker: None };
        &mut self.calls.entry(ticket).or_insert_with(failed).waker
    }

    /// Forgets a call whose result was taken. Its waker is given back, to be dropped without the lock.
    pub(crate) fn end(&mut self, ticket: u64) -> Option<Waker> {
        let entry = self.calls.remove(&ticket)?;
        if let Stage::Begun(id) = entry.stage {
            self.owners.remove(&id);
        }
        self.room = true;
        entry.waker
    }

    /// Cancels a call, and gives its waker back.
    pub(crate) fn cancel(&mut self, now: Instant, node: &mut Node, ticket: u64) -> Option<Waker> {
        self.lines.iter_mut().for_each(|line| _ = line.remove(&ticket));
        if let Some(Ok(id)) = self.begun(ticket) {
            id.cancel(now, node);
        }
        self.end(ticket)
    }

    /// Fails the calls of a session that wait.
    pub(crate) fn end_session(&mut self, session: SessionId, wakes: &mut Wakes) {
        for (ticket, Entry { stage, waker }) in &mut self.calls {
            if matches!(stage, Stage::Waits(want) if want.session() == Some(session)) {
                *stage = Stage::Failed(RequestError::Destroyed.into());
                wakes.push(waker.take());
                self.lines.iter_mut().for_each(|line| _ = line.remove(ticket));
            }
        }
        self.room = true;
    }

    pub(crate) fn owner(&self, id: CallId) -> Option<Owner> {
        self.owners.get(&id).copied()
    }

    /// Notes that the end of a call is told among the items.
    pub(crate) fn own_by_items(&mut self, id: CallId) {
        self.owners.insert(id, Owner::Items);
    }

    pub(crate) fn is_item(&self, id: CallId) -> bool {
        self.owner(id) == Some(Owner::Items)
    }

    /// Forgets a call of the items whose result was taken.
    pub(crate) fn disown(&mut self, id: CallId) {
        self.owners.remove(&id);
        self.room = true;
    }

    /// Cancels a call of the items.
    pub(crate) fn cancel_item(&mut self, now: Instant, node: &mut Node, id: CallId) {
        self.disown(id);
        id.cancel(now, node);
    }

    /// Cancels all calls of the items.
    pub(crate) fn cancel_items(&mut self, now: Instant, node: &mut Node) {
        self.owners.retain(|id, owner| {
            let is_theirs = *owner == Owner::Items;
            if is_theirs {
                id.cancel(now, node);
            }
            !is_theirs
        });
        self.room = true;
    }

    pub(crate) fn wake(&mut self, ticket: u64, wakes: &mut Wakes) {
        wakes.push(self.calls.get_mut(&ticket).and_then(|call| call.waker.take()));
    }

    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        self.calls.values_mut().for_each(|call| wakes.push(call.waker.take()));
    }
}
