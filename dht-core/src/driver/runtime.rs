//! What a runtime has to bring: a clock, randomness, the list of interfaces, sockets,
//! a timer, name lookup. Everything else is the driver's, so that adapters can't differ.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use super::Driver;
use crate::Instant;

/// What handles need as well as the driver. They forget about the rest of the runtime,
/// which is why [`Dht`](super::Dht) is one type for all of them.
pub trait Host: Send + Sync + 'static {
    /// Time since any fixed epoch. It has to count on while the machine sleeps, since
    /// that is how the node notices; a step of the wall clock must not show.
    fn now(&self) -> Instant;

    /// The IPv4 addresses of all network interfaces that are up, in any order.
    ///
    /// # Errors
    /// As the system says; the list then counts as unchanged.
    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>>;

    /// The local address by which datagrams leave for the rest of the world now; `None` if there is no
    /// way. What a UDP socket is given that is connected to some far address, which sends nothing.
    ///
    /// # Errors
    /// As the system says, if it does not know; it then counts as unchanged.
    fn way_out(&self) -> io::Result<Option<Ipv4Addr>>;

    /// Fills `bytes` from the system's source of randomness.
    ///
    /// # Errors
    /// As the system says; the node is not built then.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// A name lookup under way: all IPv4 addresses of the host, or why there are none. It may take as long as it
/// likes: nobody waits for it who can do without.
pub type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<Ipv4Addr>>> + Send>>;

/// What the driver needs.
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

/// A runtime that can run a driver by itself: then [`Builder::spawn`](super::Builder::spawn) does it all.
pub trait Spawn: Runtime + Sized {
    /// Runs `driver` to its end in the background.
    ///
    /// # Errors
    /// If there is nothing to run it on.
    fn spawn(driver: Driver<Self>) -> io::Result<()>;
}

/// A UDP socket that never blocks.
///
/// Errors of single datagrams (connection refused, no route) are the network's everyday
/// life: the driver passes over them, and leaves a socket alone for a moment that
/// brings nothing but errors, which [`Event::SocketTrouble`](crate::Event::SocketTrouble) tells.
///
/// [`received_at`](Self::received_at) and [`try_send_from`](Self::try_send_from) go together: implement both or
/// neither. A socket around another one passes both on.
pub trait Socket: Send + Unpin + 'static {
    /// Where it is bound. It is asked again now and then: if the answer is another one, the socket is gone.
    ///
    /// # Errors
    /// As the system says; the socket then counts as gone, and is replaced.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Receives one datagram; what doesn't fit into `buf` may be cut off.
    ///
    /// # Errors
    /// As the system says.
    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>>;

    /// Whether a datagram can be sent. Ready may turn out to be wrong; after
    /// [`try_send_to`](Self::try_send_to) said `WouldBlock` this should be pending until it changes.
    ///
    /// # Errors
    /// As the system says.
    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends one datagram.
    ///
    /// # Errors
    /// `WouldBlock`: the datagram is kept and tried again. Anything else: it counts as lost, and if it was a
    /// request that nobody answers in the end, that is told as the reason.
    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Which of this machine's addresses the datagram came to that was received last. `None`: it is not known, or
    /// there is but one.
    fn received_at(&self) -> Option<Ipv4Addr> {
        None
    }

    /// As [`try_send_to`](Self::try_send_to), but from this address, which [`received_at`](Self::received_at) has
    /// told: who asked it takes no answer from another.
    ///
    /// # Errors
    /// As [`try_send_to`](Self::try_send_to).
    fn try_send_from(&mut self, data: &[u8], to: SocketAddr, source: Ipv4Addr) -> io::Result<()> {
        let _ = source;
        self.try_send_to(data, to)
    }

    /// The time to live of what is sent.
    ///
    /// # Errors
    /// As the system says.
    fn ttl(&self) -> io::Result<u32>;

    /// Changes that: it is asked for around single datagrams.
    ///
    /// # Errors
    /// As the system says.
    fn set_ttl(&self, ttl: u32) -> io::Result<()>;
}

/// A timer for one deadline at a time. One around another passes [`ahead`](Self::ahead) on, too.
pub trait Timer: Send + Unpin + 'static {
    /// Sets it to ring once, `after` from now; what was set before is forgotten.
    fn set(&mut self, after: Duration);

    /// Ready once it has rung. Late is fine; early costs a spurious wake-up. While one does not ring at
    /// all, the node goes by datagrams and calls alone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// How far the clock that it goes by has run ahead of [`Host::now`] since it was first set. More
    /// than nothing only where that clock can be set, as in tests: the node's clock is moved with it,
    /// or what has rung would never be due. It is asked for whenever the timer has rung.
    fn ahead(&self) -> Duration {
        Duration::ZERO
    }
}
