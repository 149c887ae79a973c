//! Requests as futures, and sessions that group them.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::call::Call;
use super::calls::{CallId, Want};
use super::error::Error;
use super::guard::own;
use super::query::QueryStream;
use super::shared::Handle;
use crate::{Query, Reply, Request, SessionId};

/// The answer to a request, made by [`Dht::request`](super::Dht::request).
///
/// The request was made when this future was: it is on its way whether or not the future is polled. If the core had
/// no place for it, it waits for one, in order. Dropping the future cancels the request. It keeps the node alive, as
/// a handle does.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use std::time::Duration;
/// use dht_core::{Request, RequestError};
/// use dht_core::driver::Error;
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let reply = node.ping(other.server_address().unwrap()).await?;
/// assert!(reply.rtt < Duration::from_secs(1));
///
/// let silent = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let asked = node.request(Request::ping(format!("{}", silent.local_addr()?).parse()?).retries(0));
/// assert!(matches!(asked.await, Err(Error::Request(RequestError::Timeout))));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping it cancels the request"]
pub struct RequestFuture(Call);

impl RequestFuture {
    pub(crate) fn new(handle: Handle, mut request: Request) -> Self {
        own(&mut request.value);
        Self(Call::new(handle, Want::Request(request)))
    }
}

impl Future for RequestFuture {
    type Output = Result<Reply, Error>;

    /// Pending for ever after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll(cx, |state, id| {
            let CallId::Request(id) = id else { return None };
            let result = state.node.take_response(id)?;
            Some((true, result.map_err(|error| state.explain(error))))
        })
    }
}

/// Requests and queries that can be ended together, made by [`Dht::session`](super::Dht::session).
///
/// Dropping it ends nothing.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::{Request, RequestError};
/// use dht_core::driver::Error;
///
/// let node = Local::node().await;
/// let silent = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let session = node.session();
/// let asked = session.request(Request::ping(format!("{}", silent.local_addr()?).parse()?));
/// session.end();
/// assert!(matches!(asked.await, Err(Error::Request(RequestError::Destroyed))));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    handle: Handle,
    id: SessionId,
}

impl Session {
    pub(crate) const fn new(handle: Handle, id: SessionId) -> Self {
        Self { handle, id }
    }

    /// Its number, for [`Request::session`] and [`Query::session`].
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// [`Dht::request`](super::Dht::request) as part of the session.
    pub fn request(&self, request: Request) -> RequestFuture {
        RequestFuture::new(self.handle.clone(), request.session(self.id))
    }

    /// [`Dht::query`](super::Dht::query) as part of the session.
    pub fn query(&self, query: Query) -> QueryStream {
        QueryStream::new(self.handle.clone(), query.session(self.id))
    }

    /// Ends all of it: requests fail with [`RequestError::Destroyed`](crate::RequestError::Destroyed), queries end
    /// with what they have. The session can be used again.
    #[doc(alias = "destroy")]
    pub fn end(&self) {
        self.handle.act(|state, now| state.end_session(now, self.id));
    }
}
