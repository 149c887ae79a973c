//! Requests as futures, and sessions that group them.

use core::fmt;
use core::future::Future;
use core::net::SocketAddrV4;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::error::Error;
use super::handle::Dht;
use super::query::QueryStream;
use super::shared::Look;
use super::waiting::Stage;
use crate::{Id, Query, Reply, Request, SessionId};

/// The answer to a request, once it is there.
///
/// The request was made when this future was: it is on its way whether or not anybody
/// polls. If the core had no place for it, it waits for one, in order. Dropping the
/// future cancels the request. It keeps the node alive, as a handle does.
#[must_use = "dropping it cancels the request"]
pub struct RequestFuture {
    dht: Dht,
    /// `None` once the answer was taken.
    stage: Option<Stage<Request>>,
}

impl RequestFuture {
    pub(crate) fn new(dht: Dht, request: Request) -> Self {
        let stage = Some(Stage::new(dht.shared(), request));
        Self { dht, stage }
    }
}

impl Future for RequestFuture {
    type Output = Result<Reply, Error>;

    /// Pending for ever once it has been ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(stage) = &mut this.stage else {
            return Poll::Pending;
        };
        let result = ready!(this.dht.shared().poll(cx, |state, _| {
            let (id, state) = match stage.id(state) {
                Ok(begun) => begun,
                Err(look) => return look,
            };
            match state.node.take_response(id) {
                Some(result) => {
                    let waker = state.requests.remove(&id).flatten();
                    state.bury(waker);
                    // Its place is free, for another request or one of a query's.
                    state.make_room();
                    state.poke();
                    Look::Ready(result.map_err(|error| state.explain(error)))
                }
                // Only a core that broke down leaves anything open.
                None if state.node.closed() => Look::Ready(Err(Error::CLOSED)),
                None => Look::Wait(state.requests.entry(id).or_default()),
            }
        }));
        this.stage = None;
        Poll::Ready(result)
    }
}

impl Drop for RequestFuture {
    fn drop(&mut self) {
        if let Some(stage) = &self.stage {
            stage.cancel(self.dht.shared());
        }
    }
}

impl fmt::Debug for RequestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestFuture")
    }
}

/// Requests and queries that can be ended together, made by [`Dht::session`].
///
/// Dropping it ends nothing.
#[derive(Clone, Debug)]
pub struct Session {
    dht: Dht,
    id: SessionId,
}

impl Session {
    pub(crate) const fn new(dht: Dht, id: SessionId) -> Self {
        Self { dht, id }
    }

    /// Its number, for [`Request::session`] and [`Query::session`].
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// [`Dht::request`] as part of the session.
    pub fn request(&self, request: Request) -> RequestFuture {
        self.dht.request(request.session(self.id))
    }

    /// [`Dht::ping`] as part of the session.
    pub fn ping(&self, to: SocketAddrV4) -> RequestFuture {
        self.request(Request::ping(to))
    }

    /// [`Dht::delayed_ping`] as part of the session.
    pub fn delayed_ping(&self, to: SocketAddrV4, delay: Duration) -> RequestFuture {
        self.request(Request::delayed_ping(to, delay))
    }

    /// [`Dht::query`] as part of the session.
    pub fn query(&self, query: Query) -> QueryStream {
        self.dht.query(query.session(self.id))
    }

    /// [`Dht::find_node`] as part of the session.
    pub fn find_node(&self, target: Id) -> QueryStream {
        self.query(Query::find_node(target))
    }

    /// Ends all of it: requests fail with [`RequestError::Destroyed`](crate::RequestError::Destroyed),
    /// queries end with what they have. The session can be used again.
    #[doc(alias = "destroy")]
    pub fn end(&self) {
        self.dht.end_session(self.id);
    }
}
