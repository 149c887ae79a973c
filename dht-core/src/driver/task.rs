//! The driver: carries datagrams between sockets and core, and brings time, names and interfaces.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::panic::{catch_unwind, resume_unwind};

use super::bind::Binding;
use super::error::Error;
use super::guard::guard;
#[cfg(feature = "hyperdht")]
use super::hyperdht::background::Jobs;
use super::life::Duty;
use super::look::{Hail, Lookout};
use super::names::UnderWay;
use super::port::Port;
use super::runtime::Runtime;
use super::shared::Shared;
use super::socket::Timer;
use crate::{DATAGRAM_MAX, Event, Instant, Via};

/// Datagrams taken from each socket per wake-up.
const RECEIVE_MAX: usize = 64;
/// Datagrams sent per wake-up.
const SEND_MAX: usize = 64;
/// For how long a closed node waits for a socket that takes no more.
const FLUSH: Duration = Duration::from_millis(250);

/// What makes a node live: a future for the runtime to run, made by [`Builder::build`](super::Builder::build).
///
/// It binds the sockets when it is first polled, and ends when the node is closed: by a call, by the loss of its last
/// handle, or because its sockets can't be bound the first time. It does a bounded amount of work at a time. Dropping
/// it closes the node, and ends every wait for it. So does a panic of the runtime's sockets or timer, which goes on to
/// the caller of `poll`.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use std::net::Ipv4Addr;
/// use dht_core::driver::{Builder, Driver};
///
/// let (dht, driver): (_, Driver<Local>) =
///     Builder::new(Local).host(Ipv4Addr::LOCALHOST).build()?;
/// // Taken before the node runs, this feed misses nothing.
/// let mut events = dht.events();
/// let thread = std::thread::spawn(|| block_on(driver));
/// assert_eq!(events.next().await, Some(dht_core::Event::Listening));
///
/// drop(dht);
/// thread.join().unwrap();
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "a node does nothing until its driver is run"]
pub struct Driver<R: Runtime> {
    shared: Arc<Shared>,
    runtime: Arc<R>,
    binding: Binding,
    /// The client's and the server's.
    ports: Option<[Port<R::Socket>; 2]>,
    /// `None`: the driver has ended.
    timer: Option<R::Timer>,
    /// When the timer rings.
    armed: Option<Instant>,
    names: UnderWay,
    lookout: Lookout,
    hail: Hail,
    flush_until: Option<Instant>,
    #[cfg(feature = "hyperdht")]
    jobs: Jobs,
    /// One byte more than is ever taken, so that the core sees what is too long.
    input: Box<[u8; DATAGRAM_MAX + 1]>,
    output: Box<[u8; DATAGRAM_MAX]>,
}

/// A runtime that can run a driver by itself: then [`Builder::spawn`](super::Builder::spawn) does it all.
pub trait Spawn: Runtime + Sized {
    /// Runs `driver` to its end in the background.
    ///
    /// # Errors
    /// If there is nothing to run it on.
    fn spawn(driver: Driver<Self>) -> io::Result<()>;
}

/// How a turn of the driver ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is more to do at once.
    More,
    /// Something has to happen first.
    Wait,
    /// All is sent; of a closed node: it is over.
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
            names: UnderWay::default(),
            lookout: Lookout::default(),
            hail,
            flush_until: None,
            #[cfg(feature = "hyperdht")]
            jobs: Jobs::default(),
            input: Box::new([0; DATAGRAM_MAX + 1]),
            output: Box::new([0; DATAGRAM_MAX]),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        loop {
            match self.shared.drive(|state, now| state.duty(now, self.ports.is_some())) {
                Duty::Bind => self.bind(),
                Duty::Unbind => {
                    self.close_ports();
                    self.shared.drive(|state, _| state.step(|life, _| life.unbound()));
                }
                Duty::Run { look } => return self.run(cx, look),
                Duty::Rest => return Turn::Wait,
                Duty::WindUp => return self.wind_up(cx),
            }
        }
    }

    fn bind(&mut self) {
        self.shared.drive(|state, now| state.life.retry.tried(now));
        let bound = self.binding.bind(&*self.runtime).map(|[client, server]| {
            let bound = [client.1, server.1];
            let port = |(socket, at), via| Port::new(Arc::clone(&self.shared), socket, via, at);
            self.ports = Some([port(client, Via::Client), port(server, Via::Server)]);
            bound
        });
        let bound = bound.map_err(Error::from);
        self.shared.drive(|state, now| {
            state.step(|life, node| match &bound {
                Ok(bound) => life.bound(now, node, *bound),
                Err(error) => life.not_bound(now, node, error),
            });
        });
        #[cfg(feature = "hyperdht")]
        tell_time(&self.shared, &*self.runtime);
        // The machine may have been carried away while the node had no sockets.
        if self.ports.is_some() && self.has_moved(self.shared.now()) {
            self.network_changed();
        }
    }

    fn has_moved(&mut self, now: Instant) -> bool {
        self.lookout.has_moved(now, &*self.runtime, self.binding.host)
    }

    fn network_changed(&self) {
        self.shared.drive(|state, now| state.node.handle_network_change(now));
    }

    fn run(&mut self, cx: &mut Context<'_>, look: bool) -> Turn {
        // Names come first, before a flood of datagrams can use up what a runtime allows a task per turn.
        self.names.poll(cx, |lookup, found| {
            self.shared.drive(|state, now| state.resolved(now, lookup, found));
        });
        let more = self.receive(cx);
        if self.look_around(look) {
            return Turn::More;
        }
        match self.send(cx) {
            Turn::Wait | Turn::Over if !more => Turn::Wait,
            _ => Turn::More,
        }
    }

    /// Sends what was answered before the end.
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

    /// Takes datagrams in, and sends an answer for each. Whether there may be more datagrams.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        for port in self.ports.iter_mut().flatten() {
            for left in (0..RECEIVE_MAX).rev() {
                let received = port.receive(cx, &self.hail, &mut self.input[..]);
                let Poll::Ready(received) = received else { break };
                more |= left == 0;
                let Some((len, from, at)) = received else { continue };
                let data = self.input.get(..len).unwrap_or_default();
                let (via, writable, output) = (port.via, port.flush(cx), &mut *self.output);
                let transmit = self.shared.drive(|state, now| {
                    state.receive(now, via, at, from, data);
                    writable.then(|| state.node.poll_transmit_via(now, via, output)).flatten()
                });
                if let Some(transmit) = transmit {
                    port.send(output.get(..transmit.len).unwrap_or_default(), transmit);
                }
            }
        }
        more
    }

    /// Sends what there is. `Over`: all of it; `Wait`: a socket takes no more.
    fn send(&mut self, cx: &mut Context<'_>) -> Turn {
        let Some(ports) = &mut self.ports else { return Turn::Over };
        let mut writable = ports.each_mut().map(|port| port.flush(cx));
        for _ in 0..SEND_MAX {
            let output = &mut *self.output;
            let next = self.shared.drive(|state, now| state.next_outgoing(now, writable, output));
            let Some((transmit, own)) = next else {
                return if writable == [true; 2] { Turn::Over } else { Turn::Wait };
            };
            let ([client, server], [first, second]) = (&mut *ports, &mut writable);
            let (port, writable) = match transmit.via {
                Via::Server => (server, second),
                Via::Client | Via::Extra(_) => (client, first),
            };
            let encoded = output.get(..transmit.len).unwrap_or_default();
            port.send(own.as_deref().unwrap_or(encoded), transmit);
            if port.is_holding() {
                *writable = port.flush(cx);
            }
        }
        Turn::More
    }

    /// Looks at network and sockets if it is time to, or asked for, or a socket has brought an error. A socket that is
    /// of no use any more is closed, with the other one: whether that happened.
    fn look_around(&mut self, asked: bool) -> bool {
        let now = self.shared.now();
        let Some([client, server]) = &mut self.ports else { return false };
        let suspect = client.take_suspicion() | server.take_suspicion();
        let due = asked || now >= self.lookout.due();
        if !due && !suspect {
            return false;
        }
        let mut lost = [client.is_gone(), server.is_gone()];
        if asked {
            client.doubt();
            server.doubt();
        }
        if due {
            #[cfg(feature = "hyperdht")]
            tell_time(&self.shared, &*self.runtime);
            let deaf =
                [client.look_if_deaf(server, &self.hail), server.look_if_deaf(client, &self.hail)];
            if lost == [false; 2] {
                lost = deaf;
            }
            // Who asked for the look has told the core.
            if self.has_moved(now) && !asked {
                self.network_changed();
            }
        }
        let via = if lost[0] { Via::Client } else { Via::Server };
        if lost == [false; 2] || self.shared.look(|state| now < state.life.retry.due()) {
            return false;
        }
        self.close_ports();
        self.shared.drive(|state, _| state.tell(Event::SocketLost(via)));
        true
    }

    /// Sees to it that the driver is woken when there is something to do. Whether there is already.
    fn park(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let can_look_up = self.names.has_room(now);
        let mut core = None;
        match self.shared.poll(cx, |state, _| state.park(can_look_up, &mut core)) {
            Poll::Pending => {}
            Poll::Ready(None) => return true,
            Poll::Ready(Some((lookup, name))) => {
                self.names.begin(now, lookup, || self.runtime.lookup(&name));
                return true;
            }
        }
        let running = self.ports.is_some() && self.flush_until.is_none();
        let pauses = self.ports.iter_mut().flatten().filter_map(|port| port.paused_until(now));
        let look = running.then_some(self.lookout.due());
        let deadline = pauses.chain(core).chain(look).chain(self.flush_until).min();
        self.wait_until(cx, now, deadline)
    }

    /// Whether the time has come. A timer that rings before that anyway is left alone.
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
        let Some(timer) = self.timer.take() else { return };
        self.close_ports();
        guard(|| drop(timer));
        self.names = UnderWay::default();
        self.shared.end();
        #[cfg(feature = "hyperdht")]
        {
            self.jobs.end();
            for job in self.shared.drive(|state, _| state.background.take()) {
                guard(|| drop(job));
            }
        }
    }

    /// Closes the sockets one by one: two that panic in one go would abort the process.
    fn close_ports(&mut self) {
        for port in self.ports.take().into_iter().flatten() {
            guard(|| drop(port));
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        #[cfg(feature = "hyperdht")]
        self.jobs.work(cx, self.shared.drive(|state, _| state.background.take()));
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
        if this.timer.is_none() {
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

/// Lets the service know what time it is; the clock is the runtime's, and may panic.
#[cfg(feature = "hyperdht")]
fn tell_time(shared: &Shared, runtime: &impl Runtime) {
    let time = guard(|| runtime.since_1970()).flatten();
    shared.drive(|state, now| state.tell_time(now, time));
}

// Nothing in it is pinned: sockets and timers are `Unpin`, lookups are boxed.
impl<R: Runtime> Unpin for Driver<R> {}

impl<R: Runtime> Drop for Driver<R> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<R: Runtime> fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("bound", &self.ports.is_some())
            .field("ended", &self.timer.is_none())
            .finish_non_exhaustive()
    }
}
