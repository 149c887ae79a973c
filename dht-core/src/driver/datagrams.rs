//! Datagrams that are not dht-rpc's, and sockets that are not the node's.

use alloc::sync::Arc;
use core::net::SocketAddrV4;

use super::mail::{Datagram, RawTransmit};
use super::queue::Mailbox;
use super::reader::{Reader, Source, stream};
use super::shared::Shared;
use super::state::State;
use crate::{Instant, Via};

/// Datagrams of other protocols that arrive at the node's sockets from now on, made by
/// [`Dht::datagrams`](super::Dht::datagrams).
///
/// At most [`DATAGRAMS_MAX`](super::DATAGRAMS_MAX) wait here; any further one is dropped and counted. If there are
/// several streams of this kind, each datagram goes to one of them. Ends when the node is closed, which it does not
/// prevent.
#[must_use = "while it lives, datagrams wait in it"]
pub struct Datagrams(Reader<Foreign>);

pub(crate) struct Foreign;

impl Source for Foreign {
    type Entry = Datagram;

    fn mailbox<'s>(&self, state: &'s mut State, _: u64) -> &'s mut Mailbox<Datagram> {
        &mut state.mail.datagrams
    }

    fn clear(&self, state: &mut State, _: Instant, _: u64) {
        state.mail.datagrams.queue.take();
    }
}

impl Datagrams {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Reader::new(shared, Foreign))
    }
}

stream!(Datagrams, Datagram, "The next datagram; `None` when the node is closed.", |_, data| Some(
    data
));

/// A socket of the embedder's own that the node uses as [`Via::Extra`], made by [`Dht::extra`](super::Dht::extra):
/// what arrives there is handed in, and the stream gives what is to be sent there.
///
/// At most [`RAW_MAX`](super::RAW_MAX) datagrams wait. A further one counts as lost on the network, as does any while
/// there is no stream for it. Ends when the node is closed, which it does not prevent.
#[must_use = "datagrams wait in it to be sent"]
pub struct ExtraSocket(Reader<Extra>);

pub(crate) struct Extra(u16);

impl Source for Extra {
    type Entry = RawTransmit;

    fn mailbox<'s>(&self, state: &'s mut State, _: u64) -> &'s mut Mailbox<RawTransmit> {
        state.mail.extra(self.0)
    }

    fn clear(&self, state: &mut State, _: Instant, _: u64) {
        state.mail.extras.remove(&self.0);
    }
}

impl ExtraSocket {
    pub(crate) fn new(shared: Arc<Shared>, number: u16) -> Self {
        Self(Reader::new(shared, Extra(number)))
    }

    /// The socket as requests and answers name it.
    #[must_use]
    pub const fn via(&self) -> Via {
        Via::Extra(self.0.source.0)
    }

    /// Hands in a datagram that arrived there; `false` if it is not dht-rpc's.
    pub fn receive(&self, from: SocketAddrV4, data: &[u8]) -> bool {
        self.0.shared.act(|state, now| state.receive(now, self.via(), None, from, data))
    }
}

stream!(
    ExtraSocket,
    RawTransmit,
    "The next datagram to send; `None` when the node is closed.",
    |_, raw| Some(raw)
);
