//! A socket and a timer, as a runtime brings them.

use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

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
