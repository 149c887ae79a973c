//! A runtime that does badly whenever it is told to.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use dht_core::driver::*;
use dht_core::*;

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Receiving fails with this, at calls with these numbers, from 0 on.
    pub(crate) receive: (ErrorKind, fn(u64) -> bool),
    /// So does sending.
    pub(crate) send: (ErrorKind, fn(u64) -> bool),
    /// Asking whether it can be sent fails with this.
    pub(crate) ready: Option<ErrorKind>,
    /// What the timer does.
    pub(crate) alarm: Alarm,
    /// The interfaces, instead of the real ones.
    pub(crate) interfaces: Option<Vec<Ipv4Addr>>,
    /// Binding fails with this.
    pub(crate) bind: Option<ErrorKind>,
    /// Names of which the resolver says nothing, ever.
    pub(crate) silent: fn(&str) -> bool,
    /// What panics.
    pub(crate) panics: Option<Helper>,
    /// How often a socket was asked to receive, to send, or whether it can.
    pub(crate) calls: u64,
    /// How often the timer was set.
    pub(crate) alarms: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// What a runtime brings beside sockets and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Helper {
    /// Name lookup, when it is asked for.
    Lookup,
    /// Name lookup, when it is waited for.
    LookupLater,
    Interfaces,
    Bind,
    /// Sockets, when they receive.
    Receive,
}

/// What a timer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// What it should.
    #[default]
    Right,
    /// It rings after half of the time.
    Early,
    /// It rings 50 ms late.
    Late,
    /// It does not ring the next time that it is set; after that it is right.
    DeafOnce,
    /// It does not ring, however often it is set.
    Dead,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            receive: (ErrorKind::Other, |_| false),
            send: (ErrorKind::Other, |_| false),
            ready: None,
            alarm: Alarm::Right,
            interfaces: None,
            bind: None,
            silent: |_| false,
            panics: None,
            calls: 0,
            alarms: 0,
            received: 0,
            sent: 0,
        }
    }
}

/// A runtime with [`Faults`]; clones have the same. It is right at first.
#[derive(Clone, Debug)]
pub(crate) struct Faulty<R> {
    inner: R,
    faults: Shared,
}

type Shared = Arc<Mutex<Faults>>;

impl<R> Faulty<R> {
    /// Does as `inner`, but for the faults.
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, faults: Shared::default() }
    }

    /// Instead of what was wrong before; calls are counted anew.
    pub(crate) fn set(&self, faults: Faults) {
        *self.faults() = faults;
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    /// Panics if it is to, with nothing locked.
    fn try_to(&self, helper: Helper) {
        let panics = self.faults().panics;
        assert!(panics != Some(helper), "{helper:?} is broken");
    }
}

impl<R: Runtime> Host for Faulty<R> {
    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        self.try_to(Helper::Interfaces);
        match &self.faults().interfaces {
            None => self.inner.interfaces(),
            Some(interfaces) => Ok(interfaces.clone()),
        }
    }

    fn way_out(&self) -> io::Result<Option<Ipv4Addr>> {
        self.try_to(Helper::Interfaces);
        self.inner.way_out()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.fill_random(bytes)
    }
}

impl<R: Runtime + Clone> Runtime for Faulty<R> {
    type Socket = FaultySocket<R::Socket>;
    type Timer = FaultyTimer<R::Timer>;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<Self::Socket> {
        self.try_to(Helper::Bind);
        if let Some(kind) = self.faults().bind {
            return Err(kind.into());
        }
        Ok(FaultySocket { inner: self.inner.bind(addr)?, faults: Arc::clone(&self.faults) })
    }

    fn timer(&self) -> Self::Timer {
        FaultyTimer { inner: self.inner.timer(), faults: Arc::clone(&self.faults) }
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        self.try_to(Helper::Lookup);
        if (self.faults().silent)(host) {
            return Box::pin(std::future::pending());
        }
        let (runtime, inner) = (self.clone(), self.inner.lookup(host));
        Box::pin(async move {
            runtime.try_to(Helper::LookupLater);
            inner.await
        })
    }
}

/// A socket with [`Faults`].
#[derive(Debug)]
pub(crate) struct FaultySocket<S> {
    inner: S,
    faults: Shared,
}

impl<S> FaultySocket<S> {
    /// Panics if it is to, with nothing locked.
    fn try_to(&self, helper: Helper) {
        let panics = self.faults.lock().unwrap().panics;
        assert!(panics != Some(helper), "{helper:?} is broken");
    }

    fn may_send(&self) -> io::Result<()> {
        let mut faults = self.faults.lock().unwrap();
        faults.calls += 1;
        faults.sent += 1;
        let (kind, fails) = faults.send;
        if fails(faults.sent - 1) { Err(kind.into()) } else { Ok(()) }
    }
}

impl<S: Socket> Socket for FaultySocket<S> {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.try_to(Helper::Receive);
        let mut faults = self.faults.lock().unwrap();
        faults.calls += 1;
        faults.received += 1;
        let (kind, fails) = faults.receive;
        if fails(faults.received - 1) {
            return Poll::Ready(Err(kind.into()));
        }
        self.inner.poll_recv_from(cx, buf)
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut faults = self.faults.lock().unwrap();
        faults.calls += 1;
        match faults.ready {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => self.inner.poll_send_ready(cx),
        }
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.may_send()?;
        self.inner.try_send_to(data, to)
    }

    fn received_at(&self) -> Option<Ipv4Addr> {
        self.inner.received_at()
    }

    fn try_send_from(&mut self, data: &[u8], to: SocketAddr, source: Ipv4Addr) -> io::Result<()> {
        self.may_send()?;
        self.inner.try_send_from(data, to, source)
    }

    fn ttl(&self) -> io::Result<u32> {
        self.inner.ttl()
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.set_ttl(ttl)
    }
}

/// A timer with [`Faults`].
#[derive(Debug)]
pub(crate) struct FaultyTimer<T> {
    inner: T,
    faults: Shared,
}

impl<T: Timer> Timer for FaultyTimer<T> {
    fn set(&mut self, after: Duration) {
        let mut faults = self.faults.lock().unwrap();
        faults.alarms += 1;
        match faults.alarm {
            Alarm::Right => self.inner.set(after),
            Alarm::Early => self.inner.set(after / 2),
            Alarm::Late => self.inner.set(after + Duration::from_millis(50)),
            Alarm::DeafOnce => {
                faults.alarm = Alarm::Right;
                self.inner.set(NEVER);
            }
            Alarm::Dead => self.inner.set(NEVER),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll(cx)
    }

    fn ahead(&self) -> Duration {
        self.inner.ahead()
    }
}

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs a driver until it is told that its time is over, or panics, and drops it then.
pub(crate) async fn until(gone: impl Fn() -> bool, driver: impl Future<Output = ()>) {
    let mut driver = std::pin::pin!(driver);
    std::future::poll_fn(|cx| match gone() {
        true => Poll::Ready(()),
        false => {
            let polled = catch_unwind(AssertUnwindSafe(|| driver.as_mut().poll(cx)));
            polled.unwrap_or(Poll::Ready(()))
        }
    })
    .await;
}
