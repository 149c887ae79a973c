//! The driver: carries datagrams between sockets and core, and time, names and interfaces.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::panic::{catch_unwind, resume_unwind};

use super::bind::Binding;
use super::guard::{GuardedLookup, guard};
use super::look::{Hail, Lookout, deaf_one};
use super::port::Port;
use super::raw::Outgoing;
use super::runtime::{Runtime, Timer};
use super::shared::Shared;
use super::state::State;
use crate::sources::names::LOOKUP_TIMEOUT;
use crate::{DATAGRAM_MAX, Event, Instant, Lookup, Via};

/// Datagrams taken from each socket per wake-up.
const RECEIVE_MAX: usize = 64;
/// Datagrams sent per wake-up.
const SEND_MAX: usize = 64;
/// Names looked up at once. One that takes longer than anybody waits for it leaves its place to the next.
pub(crate) const LOOKUPS_MAX: usize = 8;
/// After how long a look-up is begun anew, should its name be asked for again.
const LOOKUP_MAX: Duration = Duration::from_secs(30);
/// For how long a closed node waits for a socket that takes no more.
const FLUSH: Duration = Duration::from_millis(250);

/// What makes a node live: a future for the runtime to run, made by [`Builder::build`](super::Builder::build).
///
/// It binds the sockets when it is first polled, and ends when the node is closed, by a
/// call, by the loss of its last handle, or because its sockets can't be bound the first time. It does a
/// bounded amount of work at a time. Dropping it closes the node; everybody who waits gets to know. So does a
/// panic of the runtime's sockets or timer, which goes on to whoever polls.
#[must_use = "a node does nothing until its driver is run"]
pub struct Driver<R: Runtime> {
    shared: Arc<Shared>,
    runtime: Arc<R>,
    binding: Binding,
    /// The client's and the server's.
    ports: Option<[Port<R::Socket>; 2]>,
    /// Until the end.
    timer: Option<R::Timer>,
    /// When the timer rings.
    armed: Option<Instant>,
    /// In the order in which they began.
    lookups: Vec<(Lookup, Instant, GuardedLookup)>,
    lookout: Lookout,
    hail: Hail,
    flush_until: Option<Instant>,
    /// One byte more than is ever taken, so that the core sees what is too long.
    input: Box<[u8; DATAGRAM_MAX + 1]>,
    output: Box<[u8; DATAGRAM_MAX]>,
    ended: bool,
}

/// What the state of the node asks for.
enum Duty {
    Bind,
    Unbind,
    /// `look`: the network is said to have changed.
    Run {
        look: bool,
    },
    /// Suspended, or too early to bind again.
    Rest,
    WindUp,
}

/// What the driver finds when it has nothing left to do.
enum Park {
    /// Nothing; it has to be back at this time.
    Parked(Option<Instant>),
    /// Its waker is not the one that the state has: bring a clone.
    NeedsWaker,
    /// Something has been asked of the node.
    Poked,
    /// A name is to be looked up.
    LookUp(Lookup, String),
}

/// How a turn of the driver ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is more to do at once.
    More,
    /// Something has to happen first.
    Wait,
    /// The node is closed and all is sent.
    Over,
}

impl<R: Runtime> Driver<R> {
    pub(crate) fn new(shared: Arc<Shared>, runtime: Arc<R>, binding: Binding, hail: Hail) -> Self {
        Self {
            shared,
            timer: Some(runtime.timer()),
            runtime,
            binding,
            ports: None,
            armed: None,
            lookups: Vec::new(),
            lookout: Lookout::default(),
            hail,
            flush_until: None,
            input: Box::new([0; DATAGRAM_MAX + 1]),
            output: Box::new([0; DATAGRAM_MAX]),
            ended: false,
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        loop {
            match self.shared.drive(|state, now| state.duty(now, self.ports.is_some())) {
                Duty::Bind => self.bind(),
                Duty::Unbind => {
                    self.close_ports();
                    self.shared.drive(|state, _| {
                        state.unbind = false;
                        state.wake_milestones();
                    });
                }
                Duty::Run { look } => return self.run(cx, look),
                Duty::Rest => return Turn::Wait,
                Duty::WindUp => return self.wind_up(cx),
            }
        }
    }

    /// After a suspension it is compared at once what interfaces there are.
    fn bind(&mut self) {
        self.shared.drive(|state, now| state.retry.tried(now));
        let bound = self.binding.bind(&*self.runtime);
        match bound {
            Ok(([client, server], bound)) => {
                self.ports = Some([
                    Port::new(client, Via::Client, bound.client),
                    Port::new(server, Via::Server, bound.server),
                ]);
                let _previous =
                    self.shared.drive(|state, now| state.bound_to(now, bound.client, bound.server));
                // It may have been carried away while it had none.
                let now = self.shared.now();
                if self.lookout.has_moved(now, &*self.runtime, self.binding.host) {
                    self.network_changed();
                }
            }
            Err(error) => {
                let _previous = self.shared.drive(|state, now| state.not_bound(now, error.into()));
            }
        }
    }

    fn run(&mut self, cx: &mut Context<'_>, look: bool) -> Turn {
        // Before a flood of datagrams can use up what a runtime allows a task per turn.
        self.poll_lookups(cx);
        let more = self.receive(cx);
        if self.look_around(look) {
            return Turn::More;
        }
        match self.send(cx) {
            Turn::Wait | Turn::Over if !more => Turn::Wait,
            _ => Turn::More,
        }
    }

    /// What was answered before the end is still sent.
    fn wind_up(&mut self, cx: &mut Context<'_>) -> Turn {
        if self.ports.is_none() {
            return Turn::Over;
        }
        let now = self.shared.now();
        let until = *self.flush_until.get_or_insert(now + FLUSH);
        match self.send(cx) {
            Turn::Wait if until <= now => Turn::Over,
            turn => turn,
        }
    }

    /// Takes datagrams in, and lets out what answers them. Whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(ports) = &mut self.ports else {
            return false;
        };
        let mut more = false;
        for port in ports {
            for left in (0..RECEIVE_MAX).rev() {
                let received = match port.receive(cx, &self.shared, &mut self.input[..]) {
                    Poll::Pending => break,
                    Poll::Ready(received) => received,
                };
                more |= left == 0;
                let (len, from) = match received {
                    Ok((len, SocketAddr::V4(from))) => (len, from),
                    // Not for us, or counted already.
                    Ok((_, SocketAddr::V6(_))) | Err(_) => continue,
                };
                let data = self.input.get(..len).unwrap_or_default();
                let is_hail = data == self.hail.bytes();
                port.hearing.heard(is_hail);
                if is_hail {
                    continue;
                }
                let at = port.received_at();
                let writable = port.is_writable(cx, &self.shared);
                let output = &mut *self.output;
                let transmit = self.shared.drive(|state, now| {
                    if !state.receive(now, port.via, at, from, data) {
                        state.keep_foreign(port.via, from, data);
                    }
                    match writable {
                        true => state.node.poll_transmit_via(now, port.via, output),
                        false => None,
                    }
                });
                if let Some(transmit) = transmit {
                    let data = output.get(..transmit.len).unwrap_or_default();
                    port.send(&self.shared, data, transmit);
                }
            }
        }
        more
    }

    /// Sends what there is. `Over`: all of it; `Wait`: a socket takes no more.
    fn send(&mut self, cx: &mut Context<'_>) -> Turn {
        let Some(ports) = &mut self.ports else {
            return Turn::Over;
        };
        let mut writable = ports.each_mut().map(|port| port.is_writable(cx, &self.shared));
        for _ in 0..SEND_MAX {
            let output = &mut *self.output;
            let outgoing =
                self.shared.drive(|state, now| state.next_outgoing(now, writable, output));
            let [client, server] = &mut *ports;
            let (port, slot) = match &outgoing {
                Some(outgoing) if outgoing.via() == Via::Server => (server, 1),
                Some(_) => (client, 0),
                None if writable == [true, true] => return Turn::Over,
                None => return Turn::Wait,
            };
            match outgoing {
                Some(Outgoing::Own(transmit)) => {
                    let data = output.get(..transmit.len).unwrap_or_default();
                    port.send(&self.shared, data, transmit);
                }
                Some(Outgoing::Raw(via, raw)) => {
                    port.send(&self.shared, &raw.data, raw.transmit(via));
                }
                None => {}
            }
            if let Some(writable) = writable.get_mut(slot).filter(|_| port.is_holding()) {
                *writable = port.is_writable(cx, &self.shared);
            }
        }
        Turn::More
    }

    /// Looks at network and sockets if it is time to, or asked for, or a socket has brought an error. One that
    /// is no use any more makes way: whether that happened.
    fn look_around(&mut self, asked: bool) -> bool {
        let now = self.shared.now();
        let Some(ports) = &mut self.ports else { return false };
        let suspect = ports.iter_mut().fold(false, |any, port| port.take_suspicion() | any);
        let due = asked || now >= self.lookout.due();
        if !due && !suspect {
            return false;
        }
        let mut lost = ports.iter().find(|port| port.is_gone()).map(|port| port.via);
        if asked {
            ports.iter_mut().for_each(|port| port.hearing.doubt());
        }
        if due {
            lost = lost.or(deaf_one(ports, &self.hail));
            let moved = self.lookout.has_moved(now, &*self.runtime, self.binding.host);
            // Who asked for it has told the core.
            if moved && !asked {
                self.network_changed();
            }
        }
        let Some(via) = lost.filter(|_| self.shared.look(|state| state.retry.due() <= now)) else {
            return false;
        };
        self.close_ports();
        self.shared.drive(|state, _| state.tell(Event::SocketLost(via)));
        true
    }

    fn network_changed(&self) {
        self.shared.drive(|state, now| state.node.handle_network_change(now));
    }

    fn poll_lookups(&mut self, cx: &mut Context<'_>) {
        let shared = &self.shared;
        self.lookups.retain_mut(|(lookup, _, future)| match future.poll(cx) {
            Poll::Pending => true,
            Poll::Ready(found) => {
                let _previous = shared.drive(|state, now| {
                    let ips = found.as_deref().unwrap_or_default();
                    state.node.handle_resolved(now, *lookup, ips);
                    found.err().and_then(|error| state.lookup_error.replace(Arc::new(error)))
                });
                false
            }
        });
    }

    fn look_up(&mut self, now: Instant, lookup: Lookup, name: &str) {
        self.lookups.retain(|(other, since, _)| *other != lookup || now < *since + LOOKUP_MAX);
        if self.lookups.iter().any(|(other, ..)| *other == lookup) {
            return;
        }
        if self.lookups.len() >= LOOKUPS_MAX {
            drop(self.lookups.remove(0));
        }
        let future = GuardedLookup::new(|| self.runtime.lookup(name));
        self.lookups.push((lookup, now, future));
    }

    /// Sees to it that the driver is woken when there is something to do. Whether there
    /// is already.
    fn park(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let oldest = self.lookups.first().map(|(_, since, _)| *since);
        let free = self.lookups.len() < LOOKUPS_MAX
            || oldest.is_some_and(|since| since + LOOKUP_TIMEOUT <= now);
        let mut fresh = None;
        let core = loop {
            match self.shared.drive(|state, _| state.park(cx.waker(), &mut fresh, free)) {
                Park::Parked(deadline) => break deadline,
                Park::NeedsWaker => fresh = Some(cx.waker().clone()),
                Park::Poked => return true,
                Park::LookUp(lookup, name) => {
                    self.look_up(now, lookup, &name);
                    return true;
                }
            }
        };
        let running = self.ports.is_some() && self.flush_until.is_none();
        let pauses = self.ports.iter_mut().flatten().filter_map(|port| port.paused_until(now));
        let deadline = pauses
            .chain(core)
            .chain(running.then_some(self.lookout.due()))
            .chain(self.flush_until)
            .min();
        self.wait_until(cx, now, deadline)
    }

    /// Whether the time has come. The timer is left alone if it rings before that anyway.
    fn wait_until(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        deadline: Option<Instant>,
    ) -> bool {
        let (Some(deadline), Some(timer)) = (deadline, &mut self.timer) else {
            return false;
        };
        if self.armed.is_none_or(|armed| deadline < armed || armed <= now) {
            timer.set(deadline.saturating_since(now));
            self.armed = Some(deadline);
        }
        let rang = timer.poll(cx).is_ready();
        if rang {
            self.armed = None;
            self.shared.keep_up(timer.ahead());
        }
        rang
    }

    /// Does not panic, whatever is broken: it may be called while something unwinds.
    fn end(&mut self) {
        self.ended = true;
        self.close_ports();
        let timer = self.timer.take();
        guard(|| drop(timer));
        self.lookups.clear();
        self.shared.end();
    }

    /// One by one: two that panic in one go are the end of the process.
    fn close_ports(&mut self) {
        for port in self.ports.take().into_iter().flatten() {
            guard(|| drop(port));
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let more = match self.turn(cx) {
            Turn::More => true,
            Turn::Wait => self.park(cx),
            Turn::Over => {
                self.end();
                return Poll::Ready(());
            }
        };
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<R: Runtime> Future for Driver<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(());
        }
        // Sockets and timers are the runtime's, and may panic.
        let polled = catch_unwind(AssertUnwindSafe(|| this.go_on(cx)));
        polled.unwrap_or_else(|panic| {
            this.end();
            resume_unwind(panic)
        })
    }
}

// Nothing in it is pinned: sockets and timers are `Unpin`, lookups are boxed.
impl<R: Runtime> Unpin for Driver<R> {}

impl<R: Runtime> Drop for Driver<R> {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

impl<R: Runtime> fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("bound", &self.ports.is_some())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The driver's questions to the state.
impl State {
    fn duty(&mut self, now: Instant, has_ports: bool) -> Duty {
        self.seen();
        if self.node.closed() {
            Duty::WindUp
        } else if self.unbind {
            Duty::Unbind
        } else if self.node.suspended() && !(self.seeking && self.retry.due() <= now) {
            Duty::Rest
        } else if has_ports {
            Duty::Run { look: core::mem::take(&mut self.look) }
        } else {
            Duty::Bind
        }
    }

    /// Leaves the driver's waker, unless there is something to do at once.
    fn park(&mut self, waker: &Waker, fresh: &mut Option<Waker>, more_names: bool) -> Park {
        // Nobody waits for what is found while there are no sockets.
        let more_names = more_names && !self.node.suspended();
        if let Some(lookup) = more_names.then(|| self.node.poll_lookup()).flatten() {
            return Park::LookUp(lookup, self.node.lookup_host(lookup).into());
        }
        let retry = self.seeking.then(|| self.retry.due());
        let deadline = self.node.poll_timeout().into_iter().chain(retry).min();
        match self.driver_slot() {
            None => return Park::Poked,
            Some(Some(old)) if old.will_wake(waker) => {}
            Some(slot) => match fresh.take() {
                None => return Park::NeedsWaker,
                new => *fresh = core::mem::replace(slot, new),
            },
        }
        Park::Parked(deadline)
    }
}
