//! Replies with what is in them.

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::driver::error::Error;
use crate::driver::query::QueryStream;
use crate::{Outcome, Reply};

/// The replies to a query that have something in them, as they come: a reply, and what is in it. Made by
/// [`Dht::lookup`](crate::driver::Dht::lookup), [`Dht::find_peer`](crate::driver::Dht::find_peer) and
/// [`Dht::mutables`](crate::driver::Dht::mutables).
///
/// Otherwise it is as a [`QueryStream`]: dropping it cancels the query.
#[must_use = "dropping it cancels the query"]
pub struct Replies<T> {
    query: QueryStream,
    read: Read<T>,
}

/// Finds what is in a reply.
type Read<T> = Box<dyn Fn(&Reply) -> Option<T> + Send + Sync>;

impl<T> Replies<T> {
    pub(super) fn new(
        query: QueryStream,
        read: impl Fn(&Reply) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        Self { query, read: Box::new(read) }
    }

    /// The next one; `None` when the query is over.
    pub async fn next(&mut self) -> Option<(Reply, T)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the end, and discards what was not read.
    ///
    /// # Errors
    /// As [`QueryStream::finished`].
    pub async fn finished(&mut self) -> Result<Outcome, Error> {
        self.query.finished().await
    }

    /// Ends the query early.
    pub fn stop(&mut self) {
        self.query.stop();
    }
}

impl<T> Stream for Replies<T> {
    type Item = (Reply, T);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(reply) = ready!(Pin::new(&mut this.query).poll_next(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(found) = (this.read)(&reply) {
                return Poll::Ready(Some((reply, found)));
            }
        }
    }
}

impl<T> fmt::Debug for Replies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").field("query", &self.query).finish_non_exhaustive()
    }
}
