//! A network in memory, on one host with one clock, as a runtime.

use std::boxed::Box;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::vec::Vec;

use crate::Instant;
use crate::driver::{Host, LookupFuture, Runtime, Socket, Timer};

/// The usual time to live.
const TTL: u32 = 64;
/// The time since 1970 when the clock is at 0.
pub(super) const SINCE_1970: Duration = Duration::from_secs(1_800_000_000);

/// What is wrong with all sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// Receiving brings an error each time.
    ReceiveErrors,
    /// As if each datagram of ours were refused somewhere, without end.
    ReceiveResets,
    /// Said to be writable, which always turns out to be wrong.
    WouldBlock,
    /// Not writable.
    Blocked,
    /// As above, at this port alone.
    BlockedAt(u16),
    /// Sending brings an error each time.
    SendErrors,
    /// It is not writable, and waiting for that brings an error each time.
    ReadyErrors,
}

/// What a runtime brings beside sockets and time, and how it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    Lookup,
    /// The future.
    LookupLater,
    /// And when it is dropped.
    LookupLast,
    /// It does not panic, and never ends.
    LookupNever,
    Interfaces,
    WayOut,
    Bind,
    Now,
    Receive,
    Ready,
    Send,
    TimerSet,
    TimerPoll,
    /// When sockets, timers and look-ups are dropped.
    Drops,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) now: Instant,
    pub(super) fault: Fault,
    /// How many times receiving tells that a datagram was refused somewhere.
    pub(super) resets: u32,
    pub(super) interfaces: Vec<Ipv4Addr>,
    /// They can't be listed.
    pub(super) no_interfaces: bool,
    /// What panics.
    pub(super) panics: Option<Helper>,
    pub(super) way_out: Option<Ipv4Addr>,
    /// Ports whose sockets the system has taken: they bring an error, and then nothing.
    pub(super) gone: BTreeMap<u16, bool>,
    /// Ports where nothing arrives any more.
    pub(super) deaf: BTreeSet<u16>,
    /// What arrived at these ports.
    pub(super) heard: BTreeMap<u16, Vec<Vec<u8>>>,
    pub(super) names: BTreeMap<String, Ipv4Addr>,
    /// Ports that another program has.
    pub(super) taken: BTreeSet<u16>,
    /// Binding fails with this.
    pub(super) refusal: Option<Box<dyn Fn() -> io::Error + Send>>,
    /// Names that were looked up.
    pub(super) looked_up: Vec<String>,
    /// The usual time to live can't be set.
    pub(super) ttl_sticks: bool,
    /// All ports that were tried.
    pub(super) tried: Vec<u16>,
    /// How often a socket was asked to receive or to send.
    pub(super) calls: u64,
    /// Times to live, of datagrams that had another than the usual one.
    pub(super) ttls: Vec<u32>,
    sockets: BTreeMap<u16, Inbox>,
    timers: BTreeMap<u64, Alarm>,
    serial: u64,
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default)]
struct Alarm {
    due: Option<Instant>,
    waker: Option<Waker>,
}

/// The runtime; clones are the same world.
#[derive(Clone, Default)]
pub(super) struct World(Arc<Mutex<Inner>>);

pub(super) fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

impl World {
    pub(super) fn get(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        let mut world = self.get();
        world.fault = fault;
        let inboxes = world.sockets.values_mut();
        let wakers: Vec<_> =
            inboxes.flat_map(|inbox| [inbox.writer.take(), inbox.reader.take()]).collect();
        drop(world);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// When the next timer rings that a task waits for.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        let world = self.get();
        let heard = world.timers.values().filter(|alarm| alarm.waker.is_some());
        heard.filter_map(|alarm| alarm.due).min()
    }

    /// Sets the clock, and rings what is due by then.
    pub(super) fn set_clock(&self, now: Instant) {
        let mut world = self.get();
        world.now = world.now.max(now);
        let due = world.timers.values_mut().filter(|alarm| alarm.due.is_some_and(|due| due <= now));
        let wakers: Vec<_> = due.filter_map(|alarm| alarm.waker.take()).collect();
        drop(world);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Puts a datagram into the inbox at `port`; whether there is one.
    pub(super) fn deliver(&self, from: SocketAddr, port: u16, data: &[u8]) -> bool {
        let mut world = self.get();
        if world.gone.contains_key(&port) || world.deaf.contains(&port) {
            return false;
        }
        if let Some(heard) = world.heard.get_mut(&port) {
            heard.push(data.to_vec());
        }
        let Some(inbox) = world.sockets.get_mut(&port) else {
            return false;
        };
        inbox.queue.push_back((from, data.to_vec()));
        let waker = inbox.reader.take();
        drop(world);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// A socket without a node.
    pub(super) fn socket(&self, port: u16) -> FakeSocket {
        self.bind(local(port)).unwrap()
    }

    /// The system takes the socket at `port`, and tells it, or does not.
    pub(super) fn destroy(&self, port: u16, tells: bool) {
        let mut world = self.get();
        world.gone.insert(port, tells);
        let waker = world.sockets.get_mut(&port).unwrap().reader.take();
        drop(world);
        waker.into_iter().filter(|_| tells).for_each(Waker::wake);
    }

    /// The ports of all open sockets.
    pub(super) fn open(&self) -> Vec<u16> {
        self.get().sockets.keys().copied().collect()
    }
}

impl World {
    /// Call this without holding the world.
    fn try_to(&self, helper: Helper) {
        let panics = self.get().panics;
        assert!(panics != Some(helper), "{helper:?} is broken");
    }
}

/// Panics when polled, and maybe when dropped.
struct Bomb(bool);

impl Future for Bomb {
    type Output = io::Result<Vec<Ipv4Addr>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        panic!("no thread can be started")
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "nor ended");
    }
}

impl Host for World {
    fn now(&self) -> Instant {
        self.try_to(Helper::Now);
        self.get().now
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        self.try_to(Helper::Interfaces);
        let world = self.get();
        match world.no_interfaces {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(world.interfaces.clone()),
        }
    }

    fn way_out(&self) -> io::Result<Option<Ipv4Addr>> {
        self.try_to(Helper::WayOut);
        let world = self.get();
        match world.no_interfaces {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(world.way_out),
        }
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut world = self.get();
        world.serial += 1;
        bytes.fill(u8::try_from(world.serial % 251).unwrap());
        Ok(())
    }

    fn since_1970(&self) -> Option<Duration> {
        Some(self.get().now.saturating_since(Instant::ZERO) + SINCE_1970)
    }
}

impl Runtime for World {
    type Socket = FakeSocket;
    type Timer = FakeTimer;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<FakeSocket> {
        self.try_to(Helper::Bind);
        let mut world = self.get();
        world.tried.push(addr.port());
        if let Some(refusal) = &world.refusal {
            return Err(refusal());
        }
        let is_free = |port: &u16| !world.taken.contains(port) && !world.sockets.contains_key(port);
        let port = match addr.port() {
            0 => (40_000..).find(is_free),
            port => Some(port).filter(is_free),
        };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        world.gone.remove(&port);
        world.deaf.remove(&port);
        world.sockets.insert(port, Inbox::default());
        Ok(FakeSocket { world: self.clone(), port, ttl: Cell::new(TTL) })
    }

    fn timer(&self) -> FakeTimer {
        let mut world = self.get();
        world.serial += 1;
        let id = world.serial;
        world.timers.insert(id, Alarm::default());
        FakeTimer { world: self.clone(), id }
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        self.try_to(Helper::Lookup);
        self.get().looked_up.push(host.into());
        match self.get().panics {
            _ if host.starts_with("silent") => return Box::pin(core::future::pending()),
            Some(Helper::LookupLater) => return Box::pin(Bomb(false)),
            Some(Helper::LookupLast) => return Box::pin(Bomb(true)),
            Some(Helper::LookupNever) => return Box::pin(std::future::pending()),
            _ => {}
        }
        let found = self.get().names.get(host).copied();
        let found = found.map(|ip| [ip].to_vec());
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

pub(super) struct FakeSocket {
    world: World,
    pub(super) port: u16,
    ttl: Cell<u32>,
}

impl FakeSocket {
    /// Takes what has arrived.
    pub(super) fn take(&self) -> Option<(SocketAddr, Vec<u8>)> {
        self.world.get().sockets.get_mut(&self.port).unwrap().queue.pop_front()
    }

    pub(super) fn send(&self, to: u16, data: &[u8]) {
        self.world.deliver(local(self.port).into(), to, data);
    }
}

impl Socket for FakeSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.world.get().gone.contains_key(&self.port) {
            true => Ok(local(0).into()),
            false => Ok(local(self.port).into()),
        }
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.world.try_to(Helper::Receive);
        let mut world = self.world.get();
        world.calls += 1;
        match world.fault {
            Fault::ReceiveErrors => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
            }
            Fault::ReceiveResets => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            _ => {}
        }
        if world.resets > 0 {
            world.resets -= 1;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if world.gone.get_mut(&self.port).is_some_and(core::mem::take) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let inbox = world.sockets.get_mut(&self.port).unwrap();
        let Some((from, data)) = inbox.queue.pop_front() else {
            let old = inbox.reader.replace(cx.waker().clone());
            drop(world);
            drop(old);
            return Poll::Pending;
        };
        let len = data.len().min(buf.len());
        buf[..len].copy_from_slice(&data[..len]);
        Poll::Ready(Ok((len, from)))
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.world.try_to(Helper::Ready);
        let mut world = self.world.get();
        world.calls += 1;
        if [Fault::Blocked, Fault::BlockedAt(self.port)].contains(&world.fault) {
            let writer = &mut world.sockets.get_mut(&self.port).unwrap().writer;
            let old = writer.replace(cx.waker().clone());
            drop(world);
            drop(old);
            return Poll::Pending;
        }
        if world.fault == Fault::ReadyErrors {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.world.try_to(Helper::Send);
        let mut world = self.world.get();
        world.calls += 1;
        match world.fault {
            Fault::WouldBlock | Fault::Blocked | Fault::ReadyErrors => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Fault::SendErrors => return Err(io::ErrorKind::HostUnreachable.into()),
            Fault::BlockedAt(port) if port == self.port => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Fault::None | Fault::BlockedAt(_) | Fault::ReceiveErrors | Fault::ReceiveResets => {}
        }
        world.ttls.extend(Some(self.ttl.get()).filter(|ttl| *ttl != TTL));
        drop(world);
        self.world.deliver(local(self.port).into(), to.port(), data);
        Ok(())
    }

    fn ttl(&self) -> io::Result<u32> {
        Ok(self.ttl.get())
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        if ttl == TTL && self.world.get().ttl_sticks {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.ttl.set(ttl);
        Ok(())
    }
}

impl Drop for FakeSocket {
    fn drop(&mut self) {
        let inbox = self.world.get().sockets.remove(&self.port);
        drop(inbox);
        self.world.try_to(Helper::Drops);
    }
}

pub(super) struct FakeTimer {
    world: World,
    id: u64,
}

impl Timer for FakeTimer {
    fn set(&mut self, after: Duration) {
        self.world.try_to(Helper::TimerSet);
        let mut world = self.world.get();
        let due = world.now + after;
        world.timers.get_mut(&self.id).unwrap().due = Some(due);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.world.try_to(Helper::TimerPoll);
        let mut world = self.world.get();
        let now = world.now;
        let alarm = world.timers.get_mut(&self.id).unwrap();
        match alarm.due {
            Some(due) if due <= now => {
                alarm.due = None;
                Poll::Ready(())
            }
            _ => {
                let old = alarm.waker.replace(cx.waker().clone());
                drop(world);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl Drop for FakeTimer {
    fn drop(&mut self) {
        let alarm = self.world.get().timers.remove(&self.id);
        drop(alarm);
        self.world.try_to(Helper::Drops);
    }
}
