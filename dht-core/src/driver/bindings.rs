//! What bindings to other languages, logs, and protocols on the same sockets need of a node.

use bytes::Bytes;
use core::net::SocketAddrV4;

use super::calls::CallId;
use super::datagrams::{Datagrams, ExtraSocket};
use super::dht::Dht;
use super::feed::{Events, Feed};
use super::guard::own;
use super::items::Items;
use super::mail::{Note, RawTransmit};
use crate::{Query, QueryId, Request, RequestId, SendError, SessionId, Via};

/// # For bindings and logs
impl Dht {
    /// State changes from now on. To miss nothing, call this before the node runs: between
    /// [`Builder::build`](super::Builder::build) and spawning the driver.
    pub fn events(&self) -> Events {
        Feed::new(self.handle.share(), ())
    }

    /// Whether to tell of nodes that enter and leave the table; [`Config::node_events`](crate::Config::node_events) at first.
    pub fn set_node_events(&self, on: bool) {
        self.shared().drive(|state, _| state.node.set_node_events(on));
    }

    /// Everything that happens from now on, in one order, including incoming requests
    /// and what [`start_request`](Self::start_request) and [`start_query`](Self::start_query) begin.
    pub fn items(&self) -> Items {
        Feed::new(self.handle.share(), ())
    }

    /// Makes a request whose answer comes among the [`Items`]. Without a stream of these the answer is not told.
    ///
    /// # Errors
    /// If it can't begin. It does not wait for a place.
    pub fn start_request(&self, mut request: Request) -> Result<RequestId, SendError> {
        own(&mut request.value);
        self.shared().act(|state, now| {
            let id = state.node.request(now, request)?;
            if !state.mail.items.readers.is_empty() {
                state.calls.own_by_items(CallId::Request(id));
            }
            Ok(id)
        })
    }

    /// Forgets a request that [`start_request`](Self::start_request) began: nothing follows.
    pub fn cancel_request(&self, id: RequestId) {
        self.cancel(CallId::Request(id));
    }

    /// Begins a query whose replies and outcome come among the [`Items`]. Without a stream of these they are not told.
    ///
    /// # Errors
    /// If it can't begin. It does not wait for a place.
    pub fn start_query(&self, mut query: Query) -> Result<QueryId, SendError> {
        own(&mut query.value);
        self.shared().act(|state, now| {
            let id = state.node.query(now, query)?;
            match state.mail.items.readers.is_empty() {
                true => state.node.discard_replies(id),
                false => state.calls.own_by_items(CallId::Query(id)),
            }
            Ok(id)
        })
    }

    /// Ends a query that [`start_query`](Self::start_query) began, with what it has so far: replies
    /// that were not taken are gone, [`Item::Finished`](super::Item::Finished) follows.
    pub fn finish_query(&self, id: QueryId) {
        self.shared().act(|state, now| {
            if state.calls.is_item(CallId::Query(id)) {
                state.node.finish_query(now, id);
            }
        });
    }

    /// Forgets a query that [`start_query`](Self::start_query) began: nothing follows.
    pub fn cancel_query(&self, id: QueryId) {
        self.cancel(CallId::Query(id));
    }

    /// Ends a session: its requests fail with [`RequestError::Destroyed`](crate::RequestError::Destroyed), its queries end
    /// with what they have. It can be used again.
    pub fn end_session(&self, session: SessionId) {
        self.shared().act(|state, now| state.end_session(now, session));
    }

    fn cancel(&self, id: CallId) {
        self.shared().act(|state, now| {
            if state.calls.is_item(id) {
                state.calls.cancel_item(now, &mut state.node, id);
                state.mail.items.queue.retain(|note| match note {
                    Note::Event(event) => CallId::of(event) != Some(id),
                    Note::Request(_) => true,
                });
            }
        });
    }
}

/// # For other protocols
impl Dht {
    /// Datagrams from now on that arrive at the node's sockets and are not dht-rpc's.
    pub fn datagrams(&self) -> Datagrams {
        Feed::new(self.handle.share(), ())
    }

    /// Sends a datagram of another protocol by one of the node's sockets, with this time
    /// to live or the system's default. At most [`RAW_MAX`](super::RAW_MAX) wait per socket.
    ///
    /// # Errors
    /// If the node is closed or suspended, the queue is full, or `via` is no socket of the node's.
    pub fn send_datagram(
        &self,
        via: Via,
        to: SocketAddrV4,
        data: impl Into<Bytes>,
        ttl: Option<u8>,
    ) -> Result<(), SendError> {
        let data = Bytes::copy_from_slice(&data.into());
        self.shared().act(|state, _| state.send_raw(via, RawTransmit { to, ttl, data }))
    }

    /// Lets the node use a socket of the embedder's own as [`Via::Extra`].
    pub fn extra(&self, number: u16) -> ExtraSocket {
        Feed::new(self.handle.share(), number)
    }
}
