//! The state that handles and driver share: the core, who waits for what, and the ways
//! that events take from the one to the others. Only touched under the lock of `shared`.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::task::Waker;
use std::io;

use bytes::Bytes;

use super::bind::Ports;
use super::error::{Error, unsent};
use super::events::Subscriber;
use super::incoming::Received;
use super::items::Notes;
use super::mailbox::{Mailbox, Wakes};
use super::raw::{Datagram, Outgoing, RawTransmit};
use super::retry::Retry;
use super::waiting::{self, Line};
use crate::{
    Answer, DATAGRAM_MAX, Event, Handled, Incoming, Instant, Node, Outcome, Query, QueryError,
    QueryId, ReplyTo, Request, RequestId, Transmit, Via, error_code,
};

/// Incoming requests that wait to be taken, at most.
pub const REQUESTS_MAX: usize = 1024;
/// Foreign datagrams that wait to be taken, at most.
pub const DATAGRAMS_MAX: usize = 1024;

/// What the front-end itself had to let go, since the node was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Incoming requests that nobody took in time: more than [`REQUESTS_MAX`].
    pub requests: u64,
    /// Foreign datagrams that nobody took in time: more than [`DATAGRAMS_MAX`].
    pub datagrams: u64,
    /// Datagrams for sockets of the embedder's that nobody took, or not in time.
    pub extra: u64,
    /// Datagrams that the system refused to send.
    pub sends: u64,
    /// Errors of receiving.
    pub receives: u64,
}

/// The state that handles and driver share.
pub(crate) struct State {
    pub(crate) node: Node,
    /// As given.
    pub(crate) ports: Ports,
    /// Requests that a future waits for.
    pub(crate) requests: BTreeMap<RequestId, Option<Waker>>,
    /// Queries that a stream waits for.
    pub(crate) queries: BTreeMap<QueryId, Option<Waker>>,
    /// Requests and queries that end among the items.
    pub(crate) item_requests: BTreeSet<RequestId>,
    pub(crate) item_queries: BTreeSet<QueryId>,
    pub(crate) items: Notes,
    /// Those whom the core told that it is busy.
    pub(crate) waiting_requests: Line<Request>,
    pub(crate) waiting_queries: Line<Query>,
    pub(crate) incoming: Mailbox<Received>,
    pub(crate) events: BTreeMap<u64, Subscriber>,
    pub(crate) datagrams: Mailbox<Datagram>,
    pub(crate) extras: BTreeMap<u16, Mailbox<RawTransmit>>,
    /// Datagrams of the user's own, by socket: client, server.
    pub(crate) raw: [VecDeque<RawTransmit>; 2],
    /// Those who wait for the life of the node to go on.
    pub(crate) milestones: BTreeMap<u64, Option<Waker>>,
    pub(crate) drops: Drops,
    /// What the system said when it did not send, or find a name, the last time.
    pub(crate) send_error: Option<Arc<io::Error>>,
    pub(crate) lookup_error: Option<Arc<io::Error>>,
    /// Why there are no sockets. If there never were any, the node is closed.
    pub(crate) failure: Option<Error>,
    /// There are none though there should be: the core is suspended until there are.
    pub(crate) seeking: bool,
    pub(crate) retry: Retry,
    /// The network is said to have changed: the driver looks at everything.
    pub(crate) look: bool,
    /// The sockets were bound once; a suspension asked for before that waits for it.
    pub(crate) was_bound: bool,
    pub(crate) suspend_when_bound: bool,
    /// The core knows where the sockets are bound.
    pub(crate) bound: bool,
    /// The driver still has sockets that were closed by a suspension.
    pub(crate) unbind: bool,
    /// The driver is gone.
    pub(crate) ended: bool,
    /// There is something to do since the driver looked last.
    poked: bool,
    driver: Option<Waker>,
    pub(crate) wakes: Wakes,
    /// A place has become free for what waits.
    room: bool,
    tickets: u64,
}

impl State {
    pub(crate) fn new(node: Node, ports: Ports) -> Self {
        Self {
            node,
            ports,
            requests: BTreeMap::new(),
            queries: BTreeMap::new(),
            item_requests: BTreeSet::new(),
            item_queries: BTreeSet::new(),
            items: Notes::new(),
            waiting_requests: Line::default(),
            waiting_queries: Line::default(),
            incoming: Mailbox::new(REQUESTS_MAX),
            events: BTreeMap::new(),
            datagrams: Mailbox::new(DATAGRAMS_MAX),
            extras: BTreeMap::new(),
            raw: [VecDeque::new(), VecDeque::new()],
            milestones: BTreeMap::new(),
            drops: Drops::default(),
            send_error: None,
            lookup_error: None,
            failure: None,
            seeking: false,
            retry: Retry::default(),
            look: false,
            was_bound: false,
            suspend_when_bound: false,
            bound: false,
            unbind: false,
            ended: false,
            poked: false,
            driver: None,
            wakes: Wakes::default(),
            room: false,
            tickets: 0,
        }
    }

    /// A number that is not used twice.
    pub(crate) const fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// The driver has to look at the core again.
    pub(crate) fn poke(&mut self) {
        self.poked = true;
        let driver = self.driver.take();
        self.wakes.push(driver);
    }

    /// The driver looks at everything now.
    pub(crate) const fn seen(&mut self) {
        self.poked = false;
    }

    /// Where the driver's waker has to be, or `None` if there is something to do at once.
    pub(crate) fn driver_slot(&mut self) -> Option<&mut Option<Waker>> {
        match core::mem::take(&mut self.poked) {
            true => None,
            false => Some(&mut self.driver),
        }
    }

    /// A waker that nobody needs any more is dropped without the lock, too.
    pub(crate) fn bury(&mut self, waker: Option<Waker>) {
        self.wakes.bury(waker);
    }

    /// Lets those who wait for the life of the node look again.
    pub(crate) fn wake_milestones(&mut self) {
        for slot in self.milestones.values_mut() {
            self.wakes.push(slot.take());
        }
    }

    /// A request or a query may have ended, so that another one can begin.
    pub(crate) const fn make_room(&mut self) {
        self.room = true;
    }

    /// The driver has bound the sockets. Why there were none is given out, to be dropped without the lock, as by
    /// everything that replaces it: the system's errors may hold what is the runtime's.
    pub(crate) fn bound_to(
        &mut self,
        now: Instant,
        client: SocketAddrV4,
        server: SocketAddrV4,
    ) -> Option<Error> {
        self.was_bound = true;
        let failure = self.failure.take();
        if core::mem::take(&mut self.seeking) {
            self.node.resume(now);
        }
        if self.bound {
            self.node.handle_rebound(now, client, server);
            return failure;
        }
        // It may have been suspended again in the meantime; then these sockets are not for long.
        self.bound = !self.node.suspended();
        self.node.handle_bound(now, client, server);
        if core::mem::take(&mut self.suspend_when_bound) {
            // It takes no other.
            let _none = self.suspend(now);
        }
        failure
    }

    /// The driver could not bind the sockets. The first time that is the end; later they are sought
    /// again, and the node is as good as suspended until then.
    pub(crate) fn not_bound(&mut self, now: Instant, error: Error) -> Option<Error> {
        if !self.was_bound {
            let previous = self.failure.replace(error);
            self.close(now);
            return previous;
        }
        if self.node.closed() || (self.node.suspended() && !self.seeking) {
            // Nobody wants them any more.
            return Some(error);
        }
        let previous = self.failure.replace(error);
        if !core::mem::replace(&mut self.seeking, true) {
            self.tell(Event::BindFailed);
        }
        self.node.suspend(now);
        self.lose_sockets();
        self.wake_milestones();
        previous
    }

    fn lose_sockets(&mut self) {
        self.bound = false;
        self.raw.iter_mut().for_each(VecDeque::clear);
        // Those who wait for a place get to know.
        self.room = true;
    }

    /// Lets time pass, then gives the next datagram for the client's or the server's
    /// socket, if that is writable.
    /// What is meant for sockets of the embedder's is handed over on the way.
    pub(crate) fn next_outgoing(
        &mut self,
        now: Instant,
        writable: [bool; 2],
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Outgoing> {
        if self.node.poll_timeout().is_some_and(|due| due <= now) {
            self.node.handle_timeout(now);
        }
        let vias = [Via::Client, Via::Server];
        for ((queue, via), writable) in self.raw.iter_mut().zip(vias).zip(writable) {
            if let Some(raw) = writable.then(|| queue.pop_front()).flatten() {
                return Some(Outgoing::Raw(via, raw));
            }
        }
        if writable != [true, true] {
            // Others don't wait for the one that is not.
            self.hand_over_extras(now, buf);
        }
        loop {
            let transmit = match writable {
                [true, true] => self.node.poll_transmit(now, buf),
                [true, false] => self.node.poll_transmit_via(now, Via::Client, buf),
                [false, true] => self.node.poll_transmit_via(now, Via::Server, buf),
                [false, false] => None,
            }?;
            if !self.hand_over(&transmit, buf) {
                return Some(Outgoing::Own(transmit));
            }
        }
    }

    /// The system did not send a datagram. What comes back is dropped without the lock.
    pub(crate) fn not_sent(
        &mut self,
        now: Instant,
        transmit: &Transmit,
        error: io::Error,
    ) -> Option<Arc<io::Error>> {
        self.drops.sends += 1;
        let why = unsent(&error);
        self.node.handle_unsent(now, transmit, why);
        self.send_error.replace(Arc::new(error))
    }

    /// Suspends the node; the driver closes the sockets.
    pub(crate) fn suspend(&mut self, now: Instant) -> Option<Error> {
        let seeking = core::mem::take(&mut self.seeking);
        if self.node.closed() || (self.node.suspended() && !seeking) {
            return None;
        }
        if !self.was_bound {
            self.suspend_when_bound = true;
            return None;
        }
        self.node.suspend(now);
        self.unbind = true;
        self.lose_sockets();
        self.failure.take()
    }

    /// The network is another; the driver looks at its sockets, or for new ones.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        self.node.handle_network_change(now);
        self.look = true;
        self.retry = Retry::default();
    }

    /// Takes the node back; the driver binds.
    pub(crate) fn resume(&mut self, now: Instant) -> Option<Error> {
        self.suspend_when_bound = false;
        if self.node.closed() || !self.node.suspended() {
            return None;
        }
        self.node.resume(now);
        self.seeking = false;
        self.retry = Retry::default();
        self.failure.take()
    }

    /// Closes the node; the driver ends.
    pub(crate) fn close(&mut self, now: Instant) {
        self.node.close(now);
        self.room = true;
    }

    /// Deals with one datagram; `false` if it is not ours.
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
            Handled::Request(incoming) => {
                self.take_request(now, &incoming);
                true
            }
            Handled::NotOurs => false,
        }
    }

    /// Keeps a foreign datagram for those who want such.
    pub(crate) fn keep_foreign(&mut self, via: Via, from: SocketAddrV4, data: &[u8]) {
        if self.datagrams.is_full() {
            self.drops.datagrams += 1;
        } else if self.datagrams.is_read() {
            let data = Bytes::copy_from_slice(data);
            let datagram = Datagram { via, from, data };
            // There is a reader and a place.
            let _ = self.datagrams.push(datagram, &mut self.wakes);
        }
    }

    fn take_request(&mut self, now: Instant, incoming: &Incoming<'_>) {
        let to_items = self.items.takes_requests();
        if !to_items && !self.incoming.is_read() {
            self.refuse(now, &incoming.reply_to);
        } else if self.items.requests() + self.incoming.queue().len() >= REQUESTS_MAX {
            // The value is copied only once there is a place for it.
            self.drops.requests += 1;
        } else if to_items {
            self.items.push_request(incoming.into(), &mut self.wakes);
        } else {
            // There is a reader and a place.
            let _ = self.incoming.push(incoming.into(), &mut self.wakes);
        }
    }

    /// Nobody handles this request.
    pub(crate) fn refuse(&mut self, now: Instant, to: &ReplyTo) {
        // Too many replies under way, or closed: then silence has to do.
        let _ = self.node.reply(now, *to, Answer::error(error_code::UNKNOWN_COMMAND));
    }

    /// Hands what happened to whom it concerns, until nothing more happens.
    pub(crate) fn route(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.node.poll_event() {
                self.dispatch(event);
            }
            if !core::mem::take(&mut self.room) || !self.admit(now) {
                return;
            }
        }
    }

    fn admit(&mut self, now: Instant) -> bool {
        let any = waiting::admit::<Request>(self, now) | waiting::admit::<Query>(self, now);
        if any {
            // What has begun wants to be sent.
            self.poke();
        }
        any
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Response(id) => {
                if self.item_requests.contains(&id) {
                    self.items.push_event(event, &mut self.wakes);
                } else if let Some(slot) = self.requests.get_mut(&id) {
                    self.wakes.push(slot.take());
                } else {
                    drop(self.node.take_response(id));
                    self.room = true;
                }
            }
            Event::Reply(id) | Event::Finished(id) => {
                if self.item_queries.contains(&id) {
                    self.items.push_event(event, &mut self.wakes);
                } else if let Some(slot) = self.queries.get_mut(&id) {
                    self.wakes.push(slot.take());
                } else if matches!(event, Event::Finished(_)) {
                    drop(self.node.take_outcome(id));
                    self.room = true;
                }
            }
            _ => self.tell(event),
        }
    }

    /// Tells of a change.
    pub(crate) fn tell(&mut self, event: Event) {
        self.items.push_event(event, &mut self.wakes);
        for subscriber in self.events.values_mut() {
            subscriber.push(event, &mut self.wakes);
        }
        if !event.is_about_node() {
            self.wake_milestones();
        }
    }

    /// The driver stops: nothing moves any more after this.
    pub(crate) fn end(&mut self, now: Instant) {
        self.close(now);
        self.bound = false;
        self.ended = true;
        self.route(now);
        self.incoming.queue().clear();
        self.incoming.wake(&mut self.wakes);
        self.datagrams.wake(&mut self.wakes);
        self.items.wake(&mut self.wakes);
        for extra in self.extras.values_mut() {
            extra.wake(&mut self.wakes);
        }
        for subscriber in self.events.values_mut() {
            subscriber.wake(&mut self.wakes);
        }
        self.wake_milestones();
    }

    /// A call was left in the middle: another core takes the place of what is left, one that is closed. Nobody
    /// waits for anything of the old one any more, which is given out.
    pub(crate) fn break_down(&mut self, now: Instant) -> Node {
        let closed = self.node.stand_in();
        let broken = core::mem::replace(&mut self.node, closed);
        let slots = self.requests.values_mut().chain(self.queries.values_mut());
        slots.for_each(|slot| self.wakes.push(slot.take()));
        self.poke();
        self.room = true;
        self.route(now);
        broken
    }

    /// What a query comes to. Nobody was asked by a node that could never be bound: that is
    /// no success, even though there was nobody left to ask.
    pub(crate) fn conclude(&self, outcome: Result<Outcome, QueryError>) -> Result<Outcome, Error> {
        match &self.failure {
            Some(failure) if !self.was_bound => Err(failure.clone()),
            _ => outcome.map_err(|error| self.explain(error)),
        }
    }

    /// What the error of something that was asked of the node comes down to: a node that
    /// could not live says why.
    pub(crate) fn explain(&self, error: impl Into<Error>) -> Error {
        let error = error.into();
        match &self.failure {
            Some(failure) if !self.was_bound && error.is_closing() => failure.clone(),
            _ => error,
        }
    }
}
