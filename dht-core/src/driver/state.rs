//! The state that handles and driver share: the core, the calls under way, what waits for streams, and the ways of
//! events from the core to each of them. It is only touched under the lock of [`Shared`](super::shared::Shared).

#[cfg(feature = "hyperdht")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::task::Waker;
use std::io;

use bytes::Bytes;

use super::calls::{CallId, Calls, Owner};
use super::error::{Error, unsent};
#[cfg(feature = "hyperdht")]
use super::hyperdht::background::Background;
use super::life::{Duty, Life};
use super::mail::{Mail, Note, RAW_MAX, RawTransmit};
use super::queue::{Queue, Readers, Wakes};
use crate::addr::is_sendable;
#[cfg(feature = "hyperdht")]
use crate::hyperdht::Service;
use crate::{
    Answer, DATAGRAM_MAX, Event, Handled, Instant, NameLookup, Node, Outcome, QueryError, ReplyTo,
    SendError, SessionId, Transmit, Via, error_code,
};

pub(crate) struct State {
    pub(crate) node: Node,
    pub(crate) life: Life,
    pub(crate) calls: Calls,
    pub(crate) mail: Mail,
    /// Datagrams of the user's own for the client socket and for the server socket.
    raw: [Queue<RawTransmit>; 2],
    /// Waits for a step in the node's life.
    pub(crate) milestones: Readers,
    /// The last error of the system's when a datagram was sent, and when a name was looked up.
    pub(crate) send_error: Option<Arc<io::Error>>,
    pub(crate) lookup_error: Option<Arc<io::Error>>,
    pub(crate) wakes: Wakes,
    /// The driver's waker while it waits.
    driver: Option<Waker>,
    /// The driver has something to do since it looked last.
    poked: bool,
    tickets: u64,
    #[cfg(feature = "hyperdht")]
    pub(crate) service: Option<Box<Service>>,
    #[cfg(feature = "hyperdht")]
    pub(crate) background: Background,
}

/// What a future finds.
pub(crate) enum Look<'s, T> {
    /// Its result.
    Ready(T),
    /// Nothing so far; its waker has to be here.
    Wait(&'s mut Option<Waker>),
}

impl State {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node,
            life: Life::new(),
            calls: Calls::default(),
            mail: Mail::new(),
            raw: [Queue::new(RAW_MAX), Queue::new(RAW_MAX)],
            milestones: Readers::default(),
            send_error: None,
            lookup_error: None,
            wakes: Wakes::default(),
            driver: None,
            poked: false,
            tickets: 0,
            #[cfg(feature = "hyperdht")]
            service: None,
            #[cfg(feature = "hyperdht")]
            background: Background::default(),
        }
    }

    /// A number that is not used twice.
    pub(crate) const fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Gives the driver something to do.
    pub(crate) fn poke(&mut self) {
        self.poked = true;
        let driver = self.driver.take();
        self.wakes.push(driver);
    }
}

/// What becomes of events.
impl State {
    /// Takes all events of the core to where they are waited for, and begins calls for which there is a place, until
    /// nothing more happens.
    pub(crate) fn route(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.node.poll_event() {
                self.dispatch(event);
            }
            if !self.calls.admit(now, &mut self.node, &mut self.wakes) {
                return;
            }
            // What has begun wants to be sent.
            self.poke();
        }
    }

    fn dispatch(&mut self, event: Event) {
        let Some(id) = CallId::of(&event) else { return self.tell(event) };
        match (self.calls.owner(id), event) {
            (Some(Owner::Items), _) => {
                self.mail.items.push(Note::Event(event), &mut self.wakes);
            }
            (Some(Owner::Future(ticket)), _) => self.calls.wake(ticket, &mut self.wakes),
            (None, Event::Response(id)) => {
                drop(self.node.take_response(id));
                self.calls.make_room();
            }
            (None, Event::Finished(id)) => {
                drop(self.node.take_outcome(id));
                self.calls.make_room();
            }
            (None, _) => {}
        }
    }

    /// Tells of a change of state.
    pub(crate) fn tell(&mut self, event: Event) {
        self.mail.tell(event, &mut self.wakes);
        if !event.is_about_node() {
            self.milestones.wake(&mut self.wakes);
        }
    }

    /// The result of a query. A query of a node that could never be bound has failed, even though there was no node
    /// left to ask.
    pub(crate) fn conclude(&self, outcome: Result<Outcome, QueryError>) -> Result<Outcome, Error> {
        match self.life.first_failure() {
            Some(failure) => Err(failure.clone()),
            None => outcome.map_err(Error::from),
        }
    }

    /// The error of something that was asked of the node. If the node is closed because it could not be bound, that
    /// is the reason.
    pub(crate) fn explain(&self, error: impl Into<Error>) -> Error {
        let error = error.into();
        self.life.first_failure().filter(|_| error.is_closing()).cloned().unwrap_or(error)
    }

    pub(crate) fn end_session(&mut self, now: Instant, session: SessionId) {
        self.calls.end_session(session, &mut self.wakes);
        self.node.end_session(now, session);
    }
}

/// The node's life.
impl State {
    /// A step of the node's life, and what follows from it.
    pub(crate) fn step(&mut self, step: impl FnOnce(&mut Life, &mut Node)) {
        let was_seeking = self.life.is_seeking();
        self.wakes.keep(self.life.failure().cloned());
        step(&mut self.life, &mut self.node);
        if self.life.is_seeking() && !was_seeking {
            self.tell(Event::BindFailed);
        }
        if self.node.suspended() {
            // Datagrams of the user's own do not outlive the sockets.
            self.raw.iter_mut().for_each(|queue| _ = queue.take());
        }
        // Calls that wait for a place get to know, and so do waits for a step.
        self.calls.make_room();
        self.milestones.wake(&mut self.wakes);
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.node.close(now);
        self.calls.make_room();
    }

    pub(crate) fn network_changed(&mut self, now: Instant) {
        self.node.handle_network_change(now);
        self.life.network_changed();
    }

    /// The driver stops: nothing moves any more after this.
    pub(crate) fn end(&mut self, now: Instant) {
        self.life.end(&self.node);
        self.close(now);
        self.route(now);
        self.mail.end(&mut self.wakes);
        self.milestones.wake(&mut self.wakes);
    }

    /// A call panicked, so the core may be inconsistent: a closed one takes its place. Nothing of the old one is
    /// waited for any more; it is given out.
    pub(crate) fn break_down(&mut self, now: Instant) -> Node {
        let closed = self.node.stand_in();
        let broken = core::mem::replace(&mut self.node, closed);
        self.calls.wake_all(&mut self.wakes);
        self.calls.make_room();
        self.poke();
        self.route(now);
        broken
    }
}

/// Datagrams.
impl State {
    /// Takes a datagram in; `false` if it is not dht-rpc's.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        via: Via,
        at: Option<Ipv4Addr>,
        from: SocketAddrV4,
        data: &[u8],
    ) -> bool {
        match self.node.handle_datagram_at(now, via, at, from, data) {
            Handled::Consumed => true,
            #[cfg(feature = "hyperdht")]
            Handled::Request(incoming) if self.serve(now, &incoming) => true,
            Handled::Request(incoming) => {
                if !self.mail.keep_request(&incoming, &mut self.wakes) {
                    self.refuse(now, &incoming.reply_to);
                }
                true
            }
            Handled::NotOurs => {
                if !matches!(via, Via::Extra(_)) {
                    self.mail.keep_foreign(via, from, data, &mut self.wakes);
                }
                false
            }
        }
    }

    /// Answers "unknown command" to a request that the application does not answer.
    pub(crate) fn refuse(&mut self, now: Instant, to: &ReplyTo) {
        // If too many replies wait, or the node is closed, there is no answer at all.
        let _ = self.node.reply(now, *to, Answer::error(error_code::UNKNOWN_COMMAND));
    }

    /// Queues a datagram of the user's own.
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
        } else {
            queue.push(transmit).then_some(()).ok_or(SendError::Busy)
        }
    }

    /// Lets time pass, then gives the next datagram for the client socket or the server socket, as far as these are
    /// writable. Its bytes are in the buffer, or are given if it is one of the user's own. Datagrams for sockets of
    /// the embedder's are handed over on the way.
    pub(crate) fn next_outgoing(
        &mut self,
        now: Instant,
        writable: [bool; 2],
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<(Transmit, Option<Bytes>)> {
        if self.node.poll_timeout().is_some_and(|due| due <= now) {
            self.node.handle_timeout(now);
        }
        let vias = [Via::Client, Via::Server];
        for ((queue, via), writable) in self.raw.iter_mut().zip(vias).zip(writable) {
            if let Some(RawTransmit { to, ttl, data }) = writable.then(|| queue.pop()).flatten() {
                let (source, len, request) = (None, data.len(), None);
                return Some((Transmit { via, to, source, ttl, len, request }, Some(data)));
            }
        }
        if writable != [true, true] {
            // The embedder's sockets do not wait for the node's.
            self.hand_over_extras(now, buf);
        }
        loop {
            let transmit = match writable {
                [true, true] => self.node.poll_transmit(now, buf),
                [true, false] => self.node.poll_transmit_via(now, Via::Client, buf),
                [false, true] => self.node.poll_transmit_via(now, Via::Server, buf),
                [false, false] => None,
            }?;
            if !self.mail.hand_over(&transmit, buf, &mut self.wakes) {
                return Some((transmit, None));
            }
        }
    }

    fn hand_over_extras(&mut self, now: Instant, buf: &mut [u8; DATAGRAM_MAX]) {
        let numbers: Vec<u16> = self.mail.extras.keys().copied().collect();
        for via in numbers.into_iter().map(Via::Extra) {
            while let Some(transmit) = self.node.poll_transmit_via(now, via, buf) {
                self.mail.hand_over(&transmit, buf, &mut self.wakes);
            }
        }
    }

    /// The system did not send a datagram.
    pub(crate) fn not_sent(&mut self, now: Instant, transmit: &Transmit, error: io::Error) {
        self.mail.drops.sends += 1;
        self.node.handle_unsent(now, transmit, unsent(&error));
        let previous = self.send_error.replace(Arc::new(error));
        self.wakes.keep(previous.map(Error::Io));
    }

    /// The name of a bootstrap node was looked up.
    pub(crate) fn resolved(
        &mut self,
        now: Instant,
        lookup: NameLookup,
        found: io::Result<Vec<Ipv4Addr>>,
    ) {
        self.node.handle_resolved(now, lookup, found.as_deref().unwrap_or_default());
        if let Err(error) = found {
            let previous = self.lookup_error.replace(Arc::new(error));
            self.wakes.keep(previous.map(Error::Io));
        }
    }
}

/// The driver's questions.
impl State {
    pub(crate) fn duty(&mut self, now: Instant, has_sockets: bool) -> Duty {
        self.poked = false;
        #[cfg(feature = "hyperdht")]
        self.background.pass(now, &mut self.wakes);
        self.life.duty(now, &self.node, has_sockets)
    }

    /// What the driver has to do before it can wait: look up a name, or look at everything again (`None`). `deadline`
    /// becomes the time until which it can wait.
    pub(crate) fn park(
        &mut self,
        can_look_up: bool,
        deadline: &mut Option<Instant>,
    ) -> Look<'_, Option<(NameLookup, String)>> {
        // While there are no sockets an address is of no use.
        if can_look_up && !self.node.suspended() {
            if let Some(lookup) = self.node.poll_name() {
                return Look::Ready(Some((lookup, self.node.name_of(lookup).into())));
            }
        }
        *deadline = self.node.poll_timeout().into_iter().chain(self.life.deadline()).min();
        #[cfg(feature = "hyperdht")]
        {
            *deadline = deadline.iter().copied().chain(self.background.deadline()).min();
        }
        match core::mem::take(&mut self.poked) {
            true => Look::Ready(None),
            false => Look::Wait(&mut self.driver),
        }
    }
}
