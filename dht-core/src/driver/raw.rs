//! Datagrams that are not dht-rpc's, and sockets that are not the node's.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddrV4;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::mailbox::Mailbox;
use super::shared::{Look, Shared};
use super::state::State;
use crate::addr::is_sendable;
use crate::{DATAGRAM_MAX, Instant, SendError, Transmit, Via};

/// Datagrams that wait to be sent by a socket of the node's or taken for a socket of the
/// embedder's, at most.
pub const RAW_MAX: usize = 256;

/// A datagram of another protocol that came in by one of the node's sockets.
#[derive(Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The socket.
    pub via: Via,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// What it says.
    pub data: Bytes,
}

/// A datagram to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct RawTransmit {
    /// Where to.
    pub to: SocketAddrV4,
    /// The time to live; `None` for the system's default.
    pub ttl: Option<u8>,
    /// What it says.
    pub data: Bytes,
}

/// Prints no content.
impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("via", &self.via)
            .field("from", &self.from)
            .field("len", &self.data.len())
            .finish()
    }
}

/// Prints no content.
impl fmt::Debug for RawTransmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTransmit")
            .field("to", &self.to)
            .field("ttl", &self.ttl)
            .field("len", &self.data.len())
            .finish()
    }
}

impl RawTransmit {
    pub(crate) fn transmit(&self, via: Via) -> Transmit {
        Transmit {
            via,
            to: self.to,
            source: None,
            ttl: self.ttl,
            len: self.data.len(),
            request: None,
        }
    }
}

/// A datagram for one of the node's sockets.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// The core's; its bytes are in the buffer.
    Own(Transmit),
    /// The user's.
    Raw(Via, RawTransmit),
}

impl Outgoing {
    pub(crate) const fn via(&self) -> Via {
        match self {
            Self::Own(transmit) => transmit.via,
            Self::Raw(via, _) => *via,
        }
    }
}

impl State {
    /// Queues a datagram of the user's for one of the node's sockets.
    pub(crate) fn send_raw(&mut self, via: Via, transmit: RawTransmit) -> Result<(), SendError> {
        let [client, server] = &mut self.raw;
        let queue = match via {
            Via::Client => client,
            Via::Server => server,
            Via::Extra(_) => return Err(SendError::InvalidAddress),
        };
        if self.node.closed() {
            Err(SendError::Closed)
        } else if self.node.suspended() {
            Err(SendError::Suspended)
        } else if !is_sendable(transmit.to) {
            Err(SendError::InvalidAddress)
        } else if queue.len() >= RAW_MAX {
            Err(SendError::Busy)
        } else {
            queue.push_back(transmit);
            Ok(())
        }
    }

    /// Hands over all that is for sockets of the embedder's.
    pub(crate) fn hand_over_extras(&mut self, now: Instant, buf: &mut [u8; DATAGRAM_MAX]) {
        let numbers: Vec<u16> = self.extras.keys().copied().collect();
        for via in numbers.into_iter().map(Via::Extra) {
            while let Some(transmit) = self.node.poll_transmit_via(now, via, buf) {
                self.hand_over(&transmit, buf);
            }
        }
    }

    /// Hands over what is for a socket of the embedder's; whether it was.
    pub(crate) fn hand_over(&mut self, transmit: &Transmit, buf: &[u8]) -> bool {
        let Via::Extra(number) = transmit.via else { return false };
        let data = Bytes::copy_from_slice(buf.get(..transmit.len).unwrap_or_default());
        self.send_extra(number, RawTransmit { to: transmit.to, ttl: transmit.ttl, data });
        true
    }

    /// Hands a datagram to whoever has socket `number`.
    fn send_extra(&mut self, number: u16, transmit: RawTransmit) {
        let mailbox = self.extras.get_mut(&number);
        let taken = mailbox.is_some_and(|mailbox| mailbox.push(transmit, &mut self.wakes).is_ok());
        if !taken {
            self.drops.extra += 1;
        }
    }
}

/// Datagrams that are not dht-rpc's, from now on, made by [`Dht::datagrams`](super::Dht::datagrams).
///
/// At most [`DATAGRAMS_MAX`](super::DATAGRAMS_MAX) wait here; what comes then is dropped
/// and counted. If there are several such streams, each datagram goes to one of them.
/// Ends when the node is closed, which it does not prevent.
#[must_use = "while it lives, datagrams wait in it"]
pub struct Datagrams {
    shared: Arc<Shared>,
    reader: u64,
}

impl Datagrams {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let reader = shared.drive(|state, _| {
            let reader = state.ticket();
            state.datagrams.join(reader);
            reader
        });
        Self { shared, reader }
    }

    /// The next datagram; `None` when the node is closed.
    pub async fn next(&mut self) -> Option<Datagram> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Datagrams {
    type Item = Datagram;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Datagram>> {
        self.shared.poll(cx, |state, _| match state.datagrams.pop() {
            Some(datagram) => Look::Ready(Some(datagram)),
            None if state.ended => Look::Ready(None),
            None => Look::Wait(state.datagrams.slot(self.reader)),
        })
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let _left = self.shared.drive(|state, _| state.datagrams.leave(self.reader));
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Datagrams")
    }
}

/// A socket of the embedder's that the node uses as [`Via::Extra`], made by
/// [`Dht::extra`](super::Dht::extra): what arrives there is handed in, and the stream
/// gives what is to be sent there.
///
/// At most [`RAW_MAX`] datagrams wait; what comes then, or while there is no such stream,
/// counts as lost on the network. Ends when the node is closed, which it does not prevent.
#[must_use = "datagrams wait in it to be sent"]
pub struct ExtraSocket {
    shared: Arc<Shared>,
    number: u16,
    reader: u64,
}

impl ExtraSocket {
    pub(crate) fn new(shared: Arc<Shared>, number: u16) -> Self {
        let reader = shared.drive(|state, _| {
            let reader = state.ticket();
            let mailbox = state.extras.entry(number);
            mailbox.or_insert_with(|| Mailbox::new(RAW_MAX)).join(reader);
            reader
        });
        Self { shared, number, reader }
    }

    /// The socket as requests and answers name it.
    #[must_use]
    pub const fn via(&self) -> Via {
        Via::Extra(self.number)
    }

    /// Hands in a datagram that arrived there; `false` if it is not dht-rpc's.
    pub fn receive(&self, from: SocketAddrV4, data: &[u8]) -> bool {
        self.shared.act(|state, now| state.receive(now, self.via(), None, from, data))
    }

    /// The next datagram to send; `None` when the node is closed.
    pub async fn next(&mut self) -> Option<RawTransmit> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for ExtraSocket {
    type Item = RawTransmit;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RawTransmit>> {
        self.shared.poll(cx, |state, _| {
            let ended = state.ended;
            let Some(mailbox) = state.extras.get_mut(&self.number) else {
                return Look::Ready(None);
            };
            match mailbox.pop() {
                Some(transmit) => Look::Ready(Some(transmit)),
                None if ended => Look::Ready(None),
                None => Look::Wait(mailbox.slot(self.reader)),
            }
        })
    }
}

impl Drop for ExtraSocket {
    fn drop(&mut self) {
        let _left = self.shared.drive(|state, _| {
            let mailbox = state.extras.get_mut(&self.number)?;
            let left = mailbox.leave(self.reader);
            if !mailbox.is_read() {
                state.extras.remove(&self.number);
            }
            Some(left)
        });
    }
}

impl fmt::Debug for ExtraSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExtraSocket").field(&self.number).finish()
    }
}
