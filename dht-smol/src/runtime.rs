//! The runtime: timer, name lookup, and the task of the driver.

use std::future::Future;
use std::io;
use std::net::{SocketAddrV4, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dht_core::driver::{Driver, LookupFuture, Runtime, Spawn, System, Timer, all_v4};

use crate::UdpSocket;

/// The reactor of `async-io`, which [`smol`] uses: it has a thread of its own, so the driver
/// runs on any executor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol;

impl System for Smol {}

impl Runtime for Smol {
    type Socket = UdpSocket;
    type Timer = Sleep;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<UdpSocket> {
        UdpSocket::bind(addr)
    }

    fn timer(&self) -> Sleep {
        Sleep(smol::Timer::never())
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        let host = host.to_owned();
        let lookup = smol::unblock(move || all_v4((host, 0).to_socket_addrs()));
        Box::pin(lookup)
    }
}

impl Spawn for Smol {
    fn spawn(driver: Driver<Self>) -> io::Result<()> {
        smol::spawn(driver).detach();
        Ok(())
    }
}

/// A timer.
#[derive(Debug)]
pub struct Sleep(smol::Timer);

impl Timer for Sleep {
    fn set(&mut self, after: Duration) {
        self.0.set_after(after);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
