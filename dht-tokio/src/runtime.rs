//! The runtime: timer, name lookup, and the task of the driver.

use std::future::Future;
use std::io;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dht_core::Instant;
use dht_core::driver::{Driver, Host, LookupFuture, Runtime, Spawn, System, Timer, all_v4};
use tokio::runtime::Handle;
use tokio::time;

use crate::UdpSocket;

/// The tokio runtime that is current when it is used, with I/O and time enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl System for Tokio {}

impl Runtime for Tokio {
    type Socket = UdpSocket;
    type Timer = Sleep;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<UdpSocket> {
        UdpSocket::bind(addr)
    }

    fn timer(&self) -> Sleep {
        Sleep::default()
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        let host = host.to_owned();
        Box::pin(async move { all_v4(tokio::net::lookup_host((host, 0)).await) })
    }
}

impl Spawn for Tokio {
    fn spawn(driver: Driver<Self>) -> io::Result<()> {
        Handle::try_current().map_err(io::Error::other)?.spawn(driver);
        Ok(())
    }
}

/// A timer; tokio's own is made when it is first set.
#[derive(Debug, Default)]
pub struct Sleep {
    sleep: Option<Pin<Box<time::Sleep>>>,
    /// The time when it was first set, by tokio's clock and by the node's.
    start: Option<(time::Instant, Instant)>,
}

impl Timer for Sleep {
    fn set(&mut self, after: Duration) {
        let now = time::Instant::now();
        self.start.get_or_insert((now, Tokio.now()));
        let deadline = now + after.min(FAR);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(deadline),
            None => self.sleep = Some(Box::pin(time::sleep_until(deadline))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Only tokio's paused clock runs ahead of the system's, since that counts sleep as well.
    fn ahead(&self) -> Duration {
        let Some((tokio, node)) = self.start else { return Duration::ZERO };
        let ahead = tokio.elapsed().saturating_sub(Tokio.now().saturating_since(node));
        if ahead < NOISE { Duration::ZERO } else { ahead }
    }
}

/// The most that two clocks of the same speed differ by when they are read one after the other.
const NOISE: Duration = Duration::from_millis(1);
/// No timer is set for longer, since it may ring early.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);
