//! Beginning requests and queries, and the line of those whom the core told that it is
//! busy: in order, and each gets its place as soon as there is one, polled or not.

use alloc::collections::{BTreeMap, BTreeSet};
use core::task::Waker;

use super::error::Error;
use super::guard::Valued;
use super::mailbox::Wakes;
use super::shared::{Look, Shared};
use super::state::State;
use crate::{
    Instant, Node, Query, QueryId, Request, RequestError, RequestId, SendError, SessionId,
};

/// Requests that wait for a place, at most, and as many queries; beyond that they fail
/// with [`SendError::Busy`].
pub const WAITING_MAX: usize = 65_536;

/// Requests or queries: what the core may have to be asked for more than once.
pub(crate) trait Want: Clone + Valued + 'static {
    type Id: Copy + Ord + 'static;

    fn begin(self, now: Instant, node: &mut Node) -> Result<Self::Id, SendError>;
    fn cancel(now: Instant, node: &mut Node, id: Self::Id);
    fn session(&self) -> Option<SessionId>;
    fn parts(state: &mut State) -> Parts<'_, Self>;
}

/// The part of the state that is about one kind of wants.
pub(crate) struct Parts<'s, W: Want> {
    pub(crate) node: &'s mut Node,
    pub(crate) line: &'s mut Line<W>,
    /// Who waits for what has begun.
    pub(crate) owners: &'s mut BTreeMap<W::Id, Option<Waker>>,
    pub(crate) wakes: &'s mut Wakes,
}

/// What has begun, by its id, or else what its owner has to do.
type Step<'s, Id, T> = Result<(Id, &'s mut State), Look<'s, Result<T, Error>>>;

/// How far something wanted has come.
#[derive(Debug)]
pub(crate) enum Stage<W: Want> {
    /// It stands in the line, with this ticket.
    Waiting(u64),
    Begun(W::Id),
    Failed(Error),
}

impl<W: Want> Stage<W> {
    /// Begins at once, or joins the line.
    pub(crate) fn new(shared: &Shared, want: W) -> Self {
        let want = want.own();
        shared.act(|state, now| {
            let parts = W::parts(state);
            let begun = match parts.line.order.is_empty() {
                true => want.clone().begin(now, parts.node),
                false => Err(SendError::Busy),
            };
            match begun {
                Ok(id) => {
                    parts.owners.insert(id, None);
                    Self::Begun(id)
                }
                Err(SendError::Busy) if parts.line.order.len() < WAITING_MAX => {
                    let ticket = state.ticket();
                    W::parts(state).line.join(ticket, want);
                    Self::Waiting(ticket)
                }
                Err(error) => Self::Failed(state.explain(error)),
            }
        })
    }

    /// Its id, if it has begun; otherwise what its owner has to do.
    pub(crate) fn id<'s, T>(&mut self, state: &'s mut State) -> Step<'s, W::Id, T> {
        if let Self::Waiting(ticket) = *self {
            match W::parts(state).line.begun(ticket) {
                Some(Ok(id)) => *self = Self::Begun(id),
                Some(Err(error)) => *self = Self::Failed(state.explain(error)),
                None => return Err(W::parts(state).line.wait(ticket)),
            }
        }
        match self {
            Self::Begun(id) => Ok((*id, state)),
            Self::Failed(error) => Err(Look::Ready(Err(error.clone()))),
            Self::Waiting(_) => Err(Look::Never),
        }
    }

    /// Gives up.
    pub(crate) fn cancel(&self, shared: &Shared) {
        // What comes back is dropped without the lock.
        let _left = shared.act(|state, now| {
            let parts = W::parts(state);
            let (id, left) = match *self {
                Self::Begun(id) => (id, None),
                Self::Waiting(ticket) => match parts.line.leave(ticket) {
                    Some(Place::Begun(Ok(id))) => (id, None),
                    left => return (left, None),
                },
                Self::Failed(_) => return (None, None),
            };
            W::cancel(now, parts.node, id);
            let waker = parts.owners.remove(&id);
            state.make_room();
            (left, waker)
        });
    }
}

/// Begins what there is a place for. Whether anything was begun.
pub(crate) fn admit<W: Want>(state: &mut State, now: Instant) -> bool {
    let Parts { node, line, owners, wakes } = W::parts(state);
    let mut any = false;
    while let Some(ticket) = line.order.first().copied() {
        if let Some(Place::Waits(want, _)) = line.places.get(&ticket) {
            let result = match want.clone().begin(now, node) {
                Err(SendError::Busy) => break,
                result => result.map_err(Error::from),
            };
            if let Ok(id) = result {
                owners.insert(id, None);
            }
            line.settle(ticket, result, wakes);
            any = true;
        }
        line.order.remove(&ticket);
    }
    any
}

/// One line. Numbers are tickets, which ascend.
pub(crate) struct Line<W: Want> {
    order: BTreeSet<u64>,
    places: BTreeMap<u64, Place<W>>,
}

enum Place<W: Want> {
    Waits(W, Option<Waker>),
    Begun(Result<W::Id, Error>),
}

impl<W: Want> Default for Line<W> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), places: BTreeMap::new() }
    }
}

impl<W: Want> Line<W> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// A session ends, and with it what waits for it.
    pub(crate) fn end_session(&mut self, session: SessionId, wakes: &mut Wakes) {
        let places = &self.places;
        let (ended, order): (BTreeSet<u64>, _) = core::mem::take(&mut self.order)
            .into_iter()
            .partition(|ticket| match places.get(ticket) {
                Some(Place::Waits(want, _)) => want.session() == Some(session),
                _ => false,
            });
        self.order = order;
        for ticket in ended {
            self.settle(ticket, Err(RequestError::Destroyed.into()), wakes);
        }
    }

    fn join(&mut self, ticket: u64, want: W) {
        self.order.insert(ticket);
        self.places.insert(ticket, Place::Waits(want, None));
    }

    /// What became of the one with `ticket`: told once.
    fn begun(&mut self, ticket: u64) -> Option<Result<W::Id, Error>> {
        match self.places.remove(&ticket)? {
            Place::Begun(result) => Some(result),
            place @ Place::Waits(..) => {
                self.places.insert(ticket, place);
                None
            }
        }
    }

    fn wait<T>(&mut self, ticket: u64) -> Look<'_, T> {
        match self.places.get_mut(&ticket) {
            Some(Place::Waits(_, slot)) => Look::Wait(slot),
            _ => Look::Never,
        }
    }

    fn leave(&mut self, ticket: u64) -> Option<Place<W>> {
        self.order.remove(&ticket);
        self.places.remove(&ticket)
    }

    fn settle(&mut self, ticket: u64, result: Result<W::Id, Error>, wakes: &mut Wakes) {
        if let Some(Place::Waits(_, waker)) = self.places.insert(ticket, Place::Begun(result)) {
            wakes.push(waker);
        }
    }
}

impl Want for Request {
    type Id = RequestId;

    fn begin(self, now: Instant, node: &mut Node) -> Result<RequestId, SendError> {
        node.request(now, self)
    }

    fn cancel(now: Instant, node: &mut Node, id: RequestId) {
        node.cancel_request(now, id);
    }

    fn session(&self) -> Option<SessionId> {
        self.session
    }

    fn parts(state: &mut State) -> Parts<'_, Self> {
        Parts {
            node: &mut state.node,
            line: &mut state.waiting_requests,
            owners: &mut state.requests,
            wakes: &mut state.wakes,
        }
    }
}

impl Want for Query {
    type Id = QueryId;

    fn begin(self, now: Instant, node: &mut Node) -> Result<QueryId, SendError> {
        node.query(now, self)
    }

    fn cancel(now: Instant, node: &mut Node, id: QueryId) {
        node.cancel_query(now, id);
    }

    fn session(&self) -> Option<SessionId> {
        self.session
    }

    fn parts(state: &mut State) -> Parts<'_, Self> {
        Parts {
            node: &mut state.node,
            line: &mut state.waiting_queries,
            owners: &mut state.queries,
            wakes: &mut state.wakes,
        }
    }
}
