//! A UDP socket.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::task::{Context, Poll, ready};

use dht_core::driver::{Socket, bind_udp};
use smol::Async;

/// A UDP socket as the driver uses it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Async<std::net::UdpSocket>,
    /// The last datagram was not taken, so it is to be waited for.
    blocked: bool,
}

impl UdpSocket {
    pub(crate) fn bind(addr: SocketAddrV4) -> io::Result<Self> {
        Ok(Self { socket: Async::new(bind_udp(addr)?)?, blocked: false })
    }
}

impl Socket for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            match self.socket.get_ref().recv_from(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return Poll::Ready(received),
            }
            ready!(self.socket.poll_readable(cx))?;
        }
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.blocked {
            ready!(self.socket.poll_writable(cx))?;
            self.blocked = false;
        }
        Poll::Ready(Ok(()))
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        let sent = self.socket.get_ref().send_to(data, to).map(drop);
        let blocks = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.blocked = sent.as_ref().is_err_and(blocks);
        sent
    }

    fn ttl(&self) -> io::Result<u32> {
        self.socket.get_ref().ttl()
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.get_ref().set_ttl(ttl)
    }
}
