//! Clock, randomness, interfaces, timer and name lookup.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dht_core::Instant;
use dht_core::driver::{Driver, Host, LookupFuture, Runtime, Spawn, Timer};
use tokio::runtime::Handle;
use tokio::time;

use crate::UdpSocket;

/// The tokio runtime that is current when it is used, with I/O and time enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Host for Tokio {
    fn now(&self) -> Instant {
        Instant::ZERO + since_boot()
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        let interfaces = if_addrs::get_if_addrs()?;
        let addrs = interfaces.into_iter().filter_map(|interface| match interface.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        });
        Ok(addrs.collect())
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}

impl Runtime for Tokio {
    type Socket = UdpSocket;
    type Timer = Sleep;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<UdpSocket> {
        UdpSocket::bind(addr)
    }

    fn timer(&self) -> Sleep {
        Sleep(None)
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        let host = host.to_owned();
        Box::pin(async move {
            let addrs = tokio::net::lookup_host((host, 0)).await.ok()?;
            addrs.into_iter().find_map(|addr| match addr {
                SocketAddr::V4(addr) => Some(*addr.ip()),
                SocketAddr::V6(_) => None,
            })
        })
    }
}

impl Spawn for Tokio {
    fn spawn(driver: Driver<Self>) -> io::Result<()> {
        Handle::try_current().map_err(io::Error::other)?.spawn(driver);
        Ok(())
    }
}

/// A timer; tokio's own is made when it is first set.
#[derive(Debug)]
pub struct Sleep(Option<Pin<Box<time::Sleep>>>);

impl Timer for Sleep {
    fn set(&mut self, after: Duration) {
        let deadline = time::Instant::now() + after.min(FAR);
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(deadline),
            None => self.0 = Some(Box::pin(time::sleep_until(deadline))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// The time since the machine was started, sleep included: Linux's monotonic clock stands
/// still meanwhile, others count on.
#[cfg(unix)]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;

    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

/// The time since this was first asked for, sleep included.
#[cfg(not(unix))]
fn since_boot() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// No timer needs to be set for longer: it may ring early.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);
