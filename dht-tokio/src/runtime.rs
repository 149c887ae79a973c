//! Timer and name lookup, and where the driver runs.

use std::future::Future;
use std::io;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dht_core::driver::{Driver, LookupFuture, Runtime, Spawn, System, Timer, all_v4};
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
        Sleep(None)
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

/// No timer needs to be set for longer: it may ring early.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);
