//! A socket and a timer, as a runtime brings them.

use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

/// A UDP socket that never blocks.
///
/// Errors of single datagrams (connection refused, no route) are everyday life in a network: the driver passes over
/// them. A socket that brings nothing but errors is left alone for a moment, which
/// [`Event::SocketTrouble`](crate::Event::SocketTrouble) tells.
///
/// [`received_at`](Self::received_at) and [`try_send_from`](Self::try_send_from) go together: implement both or
/// neither. A socket around another one passes both on.
pub trait Socket: Send + Unpin + 'static {
    /// The address that the socket is bound to. It is asked for now and then: if it is another one, the socket is gone.
    ///
    /// # Errors
    /// As the system says; the socket then counts as gone, and is replaced.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Receives one datagram. The part that doesn't fit into `buf` may be cut off.
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
    /// request that stays without an answer, the error is told as the reason.
    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()>;

    /// The address of this machine that the datagram received last came to. `None`: it is not known, or the machine
    /// has one address only.
    fn received_at(&self) -> Option<Ipv4Addr> {
        None
    }

    /// As [`try_send_to`](Self::try_send_to), but from the address `source`, which [`received_at`](Self::received_at)
    /// told: a peer takes an answer from no address but the one that it asked.
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

    /// Changes the time to live, which happens around single datagrams.
    ///
    /// # Errors
    /// As the system says.
    fn set_ttl(&self, ttl: u32) -> io::Result<()>;
}

/// A timer for one deadline at a time. A timer around another passes [`ahead`](Self::ahead) on, too.
pub trait Timer: Send + Unpin + 'static {
    /// Sets it to ring once, `after` from now; a deadline set before is forgotten.
    fn set(&mut self, after: Duration);

    /// Ready after it has rung. Late is fine; early costs a spurious wake-up. If it never rings, the driver is woken by
    /// datagrams and calls alone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// How far the timer's clock has run ahead of [`Host::now`](super::Host::now) since it was first set. That is more
    /// than nothing only if the timer's clock can be set, as in tests: the node's clock is moved with it, or a deadline
    /// for which the timer has rung would never be due. It is asked for whenever the timer has rung.
    fn ahead(&self) -> Duration {
        Duration::ZERO
    }
}
