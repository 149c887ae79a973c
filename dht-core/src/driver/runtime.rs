//! What a runtime has to bring: a clock, randomness, the list of interfaces, sockets,
//! a timer, name lookup. The driver does everything else, so adapters can't differ.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::pin::Pin;
use core::time::Duration;
use std::io;

use super::socket::{Socket, Timer};
use crate::Instant;

/// The part of a runtime that handles need as well as the driver. Handles know nothing of the rest,
/// which is why [`Dht`](super::Dht) is one type for all runtimes.
pub trait Host: Send + Sync + 'static {
    /// The time since any fixed epoch. It has to count on while the machine sleeps, since
    /// that is how the node notices sleep. A step of the wall clock must not show.
    fn now(&self) -> Instant;

    /// The IPv4 addresses of all network interfaces that are up, in any order.
    ///
    /// # Errors
    /// As the system says; the list then counts as unchanged.
    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>>;

    /// The local address by which datagrams leave for the rest of the world now; `None` if there is no way. It is the
    /// local address of a UDP socket that is connected to any far address, which sends nothing.
    ///
    /// # Errors
    /// As the system says, if it does not know; the address then counts as unchanged.
    fn way_out(&self) -> io::Result<Option<Ipv4Addr>>;

    /// Fills `bytes` from the system's source of randomness.
    ///
    /// # Errors
    /// As the system says; the node is not built then.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// The time since 1970, if it is known; it may step. Only hyperdht's bumps of topics need it.
    fn since_1970(&self) -> Option<Duration> {
        None
    }
}

/// A name lookup under way: all IPv4 addresses of the host, or why there are none. It may take any time: a node that
/// can do without does not wait for it.
pub type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<Ipv4Addr>>> + Send>>;

/// A runtime as the driver needs it. [`guide`](super::guide) has a whole one.
pub trait Runtime: Host {
    /// A UDP socket.
    type Socket: Socket;
    /// A timer.
    type Timer: Timer;

    /// Binds a socket to `addr`; port 0 means any. It must fail if the port is taken.
    /// Called from within the driver's `poll` only.
    ///
    /// # Errors
    /// As the system says, or if the runtime can't serve sockets any more.
    fn bind(&self, addr: SocketAddrV4) -> io::Result<Self::Socket>;

    /// A timer that is not set. It is polled by the driver only.
    fn timer(&self) -> Self::Timer;

    /// Looks up a host name.
    fn lookup(&self, host: &str) -> LookupFuture;
}
