//! A machine in memory as a runtime: sockets, timers, names and a clock, and all that may go wrong with them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{pending, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dht_core::Instant;
use dht_core::driver::{Host, LookupFuture, Runtime, Socket, Timer};

/// How often something fails before it works again.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) receive: u16,
    pub(super) send: u16,
    pub(super) would_block: u16,
    pub(super) ready: u16,
    pub(super) bind: u16,
    pub(super) interfaces: u16,
    pub(super) kind: usize,
    /// No socket takes anything.
    pub(super) blocked: bool,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) now: Instant,
    pub(super) faults: Faults,
    /// Ports that another program has.
    pub(super) taken: BTreeSet<u16>,
    /// Ports whose sockets the system has taken.
    pub(super) gone: BTreeSet<u16>,
    pub(super) interfaces: Vec<Ipv4Addr>,
    pub(super) silent_names: bool,
    /// What went to ports where nobody is, the latest last.
    pub(super) sent: VecDeque<(u16, u16, Vec<u8>)>,
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

/// The machine; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Machine(Arc<Mutex<Inner>>);

const SENT: usize = 48;
/// A real socket has a buffer, too.
const INBOX: usize = 512;

pub(super) fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn kind(n: usize) -> io::Error {
    use io::ErrorKind::*;
    let kinds = [
        ConnectionRefused,
        ConnectionReset,
        WouldBlock,
        Interrupted,
        HostUnreachable,
        NetworkUnreachable,
        PermissionDenied,
        AddrNotAvailable,
        BrokenPipe,
        Other,
    ];
    kinds[n % kinds.len()].into()
}

/// Counts a fault down; whether it was there.
fn fails(count: &mut u16) -> bool {
    let there = *count > 0;
    *count = count.saturating_sub(1);
    there
}

impl Machine {
    pub(super) fn get(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something about sockets has changed: whoever waits for one looks again.
    pub(super) fn stir(&self) {
        let mut inner = self.get();
        let inboxes = inner.sockets.values_mut();
        let wakers: Vec<_> = inboxes.flat_map(|it| [it.reader.take(), it.writer.take()]).collect();
        drop(inner);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(super) fn next_alarm(&self) -> Option<Instant> {
        let inner = self.get();
        let heard = inner.timers.values().filter(|alarm| alarm.waker.is_some());
        heard.filter_map(|alarm| alarm.due).min()
    }

    /// Sets the clock, and rings what is due by then.
    pub(super) fn set_clock(&self, now: Instant) {
        let mut inner = self.get();
        inner.now = inner.now.max(now);
        let due = inner.timers.values_mut().filter(|alarm| alarm.due.is_some_and(|due| due <= now));
        let wakers: Vec<_> = due.filter_map(|alarm| alarm.waker.take()).collect();
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn deliver(&self, from: SocketAddr, to: u16, data: &[u8]) {
        let mut inner = self.get();
        if inner.gone.contains(&to) {
            return;
        }
        let Some(inbox) = inner.sockets.get_mut(&to) else {
            if inner.sent.len() == SENT {
                inner.sent.pop_front();
            }
            return inner.sent.push_back((from.port(), to, data.to_vec()));
        };
        if inbox.queue.len() < INBOX {
            inbox.queue.push_back((from, data.to_vec()));
        }
        let waker = inbox.reader.take();
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The ports of all open sockets.
    pub(super) fn open(&self) -> Vec<u16> {
        self.get().sockets.keys().copied().collect()
    }

    /// How many timers there are.
    pub(super) fn timers(&self) -> usize {
        self.get().timers.len()
    }
}

impl Host for Machine {
    fn now(&self) -> Instant {
        self.get().now
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        let mut inner = self.get();
        if fails(&mut inner.faults.interfaces) {
            return Err(kind(inner.faults.kind));
        }
        Ok(inner.interfaces.clone())
    }

    fn way_out(&self) -> io::Result<Option<Ipv4Addr>> {
        Ok(self.interfaces()?.pop())
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut inner = self.get();
        inner.serial += 1;
        bytes.fill((inner.serial % 251) as u8);
        Ok(())
    }
}

impl Runtime for Machine {
    type Socket = Fake;
    type Timer = FakeTimer;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<Fake> {
        let mut inner = self.get();
        if fails(&mut inner.faults.bind) {
            return Err(kind(inner.faults.kind));
        }
        let free = |port: &u16| !inner.taken.contains(port) && !inner.sockets.contains_key(port);
        let port = match addr.port() {
            0 => (40_000..).find(free),
            port => Some(port).filter(free),
        };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        inner.gone.remove(&port);
        inner.sockets.insert(port, Inbox::default());
        Ok(Fake { machine: self.clone(), port })
    }

    fn timer(&self) -> FakeTimer {
        let mut inner = self.get();
        inner.serial += 1;
        let id = inner.serial;
        inner.timers.insert(id, Alarm::default());
        FakeTimer { machine: self.clone(), id }
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        match host.as_bytes().last() {
            _ if self.get().silent_names => Box::pin(pending()),
            Some(b'1') => Box::pin(ready(Ok(vec![Ipv4Addr::LOCALHOST]))),
            Some(b'2') => Box::pin(ready(Ok(Vec::new()))),
            _ => Box::pin(ready(Err(io::ErrorKind::NotFound.into()))),
        }
    }
}

pub(super) struct Fake {
    machine: Machine,
    port: u16,
}

impl Socket for Fake {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        let gone = self.machine.get().gone.contains(&self.port);
        Ok(local(if gone { 0 } else { self.port }).into())
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut inner = self.machine.get();
        if fails(&mut inner.faults.receive) {
            return Poll::Ready(Err(kind(inner.faults.kind)));
        }
        let inbox = inner.sockets.get_mut(&self.port).expect("open");
        let Some((from, data)) = inbox.queue.pop_front() else {
            inbox.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let len = data.len().min(buf.len());
        buf[..len].copy_from_slice(&data[..len]);
        Poll::Ready(Ok((len, from)))
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.machine.get();
        if fails(&mut inner.faults.ready) {
            return Poll::Ready(Err(kind(inner.faults.kind)));
        }
        if inner.faults.blocked {
            inner.sockets.get_mut(&self.port).expect("open").writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        let mut inner = self.machine.get();
        if inner.faults.blocked || fails(&mut inner.faults.would_block) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if fails(&mut inner.faults.send) {
            return Err(kind(inner.faults.kind));
        }
        drop(inner);
        self.machine.deliver(local(self.port).into(), to.port(), data);
        Ok(())
    }

    fn ttl(&self) -> io::Result<u32> {
        Ok(64)
    }

    fn set_ttl(&self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let inbox = self.machine.get().sockets.remove(&self.port);
        drop(inbox);
    }
}

pub(super) struct FakeTimer {
    machine: Machine,
    id: u64,
}

impl Timer for FakeTimer {
    fn set(&mut self, after: Duration) {
        let mut inner = self.machine.get();
        let due = inner.now + after;
        inner.timers.get_mut(&self.id).expect("there").due = Some(due);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.machine.get();
        let now = inner.now;
        let alarm = inner.timers.get_mut(&self.id).expect("there");
        match alarm.due {
            Some(due) if due <= now => {
                alarm.due = None;
                Poll::Ready(())
            }
            _ => {
                alarm.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for FakeTimer {
    fn drop(&mut self) {
        let alarm = self.machine.get().timers.remove(&self.id);
        drop(alarm);
    }
}
