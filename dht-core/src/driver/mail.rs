//! What waits to be taken by streams: incoming requests, foreign datagrams, state changes, and all of it in one
//! order. Plain data; the streams themselves are built on top of it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt;
use core::mem::discriminant;
use core::net::SocketAddrV4;

use bytes::Bytes;

use super::queue::{Mailbox, Wakes};
use crate::api::token::Token;
use crate::{Event, Id, Incoming, Peer, ReplyTo, Transmit, Via};

/// Incoming requests that wait to be taken, at most.
pub const REQUESTS_MAX: usize = 1024;
/// Foreign datagrams that wait to be taken, at most.
pub const DATAGRAMS_MAX: usize = 1024;
/// State changes that wait to be taken, at most, in each [`Events`](super::Events).
pub const EVENTS_MAX: usize = 256;
/// Datagrams of the user's own that wait to be sent by one socket, at most.
pub const RAW_MAX: usize = 256;

/// Counters of what the front-end itself dropped since the node was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Incoming requests beyond [`REQUESTS_MAX`], which were not taken in time.
    pub requests: u64,
    /// Foreign datagrams beyond [`DATAGRAMS_MAX`], which were not taken in time.
    pub datagrams: u64,
    /// Datagrams for sockets of the embedder's own that were not taken, or not in time.
    pub extra: u64,
    /// Datagrams that the system refused to send.
    pub sends: u64,
    /// Errors of receiving.
    pub receives: u64,
}

/// What another node asks; an [`IncomingRequest`](super::IncomingRequest) gives access to it.
#[non_exhaustive]
pub struct Received {
    /// The sender.
    pub from: Peer,
    /// Our own address as the sender sees it.
    pub seen_as: SocketAddrV4,
    /// A valid token of ours, if the sender has sent one back: its address is not forged.
    pub token: Option<Token>,
    /// What it looks for.
    pub target: Option<Id>,
    /// What it wants.
    pub command: u64,
    /// With what. An empty value is not the same as none.
    pub value: Option<Bytes>,
    /// Where the answer goes to.
    pub reply_to: ReplyTo,
}

impl From<&Incoming<'_>> for Received {
    fn from(incoming: &Incoming<'_>) -> Self {
        Self {
            from: incoming.from,
            seen_as: incoming.seen_as,
            token: incoming.token,
            target: incoming.target,
            command: incoming.command,
            value: incoming.value.map(Bytes::copy_from_slice),
            reply_to: incoming.reply_to,
        }
    }
}

/// A datagram of another protocol that arrived at one of the node's sockets, given by [`Datagrams`](super::Datagrams).
#[derive(Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The socket.
    pub via: Via,
    /// The sender.
    pub from: SocketAddrV4,
    /// The content.
    pub data: Bytes,
}

/// A datagram to be sent, given by [`ExtraSocket`](super::ExtraSocket).
#[derive(Clone, PartialEq, Eq)]
pub struct RawTransmit {
    /// The destination.
    pub to: SocketAddrV4,
    /// The time to live; `None` for the system's default.
    pub ttl: Option<u8>,
    /// The content.
    pub data: Bytes,
}

/// Prints no token and no content.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (token, value) = (self.token.is_some(), self.value.as_ref().map(Bytes::len));
        let Self { from: Peer { addr, .. }, command, .. } = self;
        write!(
            f,
            "Received {{ from: {addr}, command: {command}, token: {token}, value: {value:?} }}"
        )
    }
}

/// Prints no content.
impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { via, from, data } = self;
        write!(f, "Datagram {{ via: {via:?}, from: {from}, len: {} }}", data.len())
    }
}

/// Prints no content.
impl fmt::Debug for RawTransmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, ttl, data } = self;
        write!(f, "RawTransmit {{ to: {to}, ttl: {ttl:?}, len: {} }}", data.len())
    }
}

/// A note of something that happened, for [`Items`](super::Items). The content of a reply or of a result stays in the
/// core until its note is read, so the core bounds how many of these there are.
pub(crate) enum Note {
    Event(Event),
    /// Boxed: it is large, and most notes are events.
    Request(Box<Received>),
}

/// All that waits for streams.
pub(crate) struct Mail {
    /// Everything in one order.
    pub(crate) items: Mailbox<Note>,
    /// How many of the items are requests.
    pub(crate) item_requests: usize,
    /// Whether incoming requests become items.
    pub(crate) requests_to_items: bool,
    pub(crate) requests: Mailbox<Received>,
    pub(crate) datagrams: Mailbox<Datagram>,
    /// By reader: each gets all changes.
    pub(crate) events: BTreeMap<u64, Mailbox<Event>>,
    /// By the number of the embedder's socket.
    pub(crate) extras: BTreeMap<u16, Mailbox<RawTransmit>>,
    pub(crate) drops: Drops,
}

impl Mail {
    pub(crate) fn new() -> Self {
        Self {
            // Each kind of note has a bound of its own.
            items: Mailbox::new(usize::MAX),
            item_requests: 0,
            requests_to_items: true,
            requests: Mailbox::new(REQUESTS_MAX),
            datagrams: Mailbox::new(DATAGRAMS_MAX),
            events: BTreeMap::new(),
            extras: BTreeMap::new(),
            drops: Drops::default(),
        }
    }

    /// Keeps an incoming request if there is a stream for it; whether there is one. At the bound the request is
    /// dropped, before its value was copied.
    pub(crate) fn keep_request(&mut self, incoming: &Incoming<'_>, wakes: &mut Wakes) -> bool {
        let to_items = self.requests_to_items && !self.items.readers.is_empty();
        if !to_items && self.requests.readers.is_empty() {
            return false;
        }
        if self.item_requests + self.requests.queue.len() >= REQUESTS_MAX {
            self.drops.requests += 1;
        } else if to_items {
            self.item_requests += 1;
            self.items.push(Note::Request(Box::new(incoming.into())), wakes);
        } else {
            self.requests.push(incoming.into(), wakes);
        }
        true
    }

    /// Keeps a foreign datagram if there is a stream for it. At the bound it is dropped, before it was copied.
    pub(crate) fn keep_foreign(
        &mut self,
        via: Via,
        from: SocketAddrV4,
        data: &[u8],
        wakes: &mut Wakes,
    ) {
        if self.datagrams.queue.is_full() {
            self.drops.datagrams += 1;
        } else if !self.datagrams.readers.is_empty() {
            let data = Bytes::copy_from_slice(data);
            self.datagrams.push(Datagram { via, from, data }, wakes);
        }
    }

    /// Hands a datagram of the core's to the embedder's socket that it is for; `false` if it is for none.
    pub(crate) fn hand_over(&mut self, transmit: &Transmit, buf: &[u8], wakes: &mut Wakes) -> bool {
        let Via::Extra(number) = transmit.via else { return false };
        let data = Bytes::copy_from_slice(buf.get(..transmit.len).unwrap_or_default());
        let raw = RawTransmit { to: transmit.to, ttl: transmit.ttl, data };
        let mailbox = self.extras.get_mut(&number);
        if !mailbox.is_some_and(|mailbox| mailbox.push(raw, wakes)) {
            self.drops.extra += 1;
        }
        true
    }

    /// The changes of one reader of all of them.
    pub(crate) fn events_of(&mut self, reader: u64) -> &mut Mailbox<Event> {
        self.events.entry(reader).or_insert_with(|| Mailbox::new(EVENTS_MAX))
    }

    /// The datagrams for one socket of the embedder's.
    pub(crate) fn extra(&mut self, number: u16) -> &mut Mailbox<RawTransmit> {
        self.extras.entry(number).or_insert_with(|| Mailbox::new(RAW_MAX))
    }

    /// Tells all readers of a change of state.
    pub(crate) fn tell(&mut self, event: Event, wakes: &mut Wakes) {
        if !self.items.readers.is_empty() {
            self.items.queue.push_kind(Note::Event(event), EVENTS_MAX, |note| match note {
                Note::Event(event) => event.is_change().then(|| discriminant(event)),
                Note::Request(_) => None,
            });
            self.items.readers.wake(wakes);
        }
        for own in self.events.values_mut() {
            own.queue.push_kind(event, EVENTS_MAX, |event| Some(discriminant(event)));
            own.readers.wake(wakes);
        }
    }

    /// Wakes all readers: the node is over, so that nothing more comes. Requests cannot be answered any more.
    pub(crate) fn end(&mut self, wakes: &mut Wakes) {
        self.requests.queue.take();
        let readers = [&mut self.items.readers, &mut self.requests.readers];
        let events = self.events.values_mut().map(|own| &mut own.readers);
        let extras = self.extras.values_mut().map(|own| &mut own.readers);
        let all = readers.into_iter().chain([&mut self.datagrams.readers]).chain(events);
        all.chain(extras).for_each(|readers| readers.wake(wakes));
    }
}
