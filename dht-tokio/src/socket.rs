//! A UDP socket.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::task::{Context, Poll};

use dht_core::driver::{Socket, bind_udp};
use tokio::io::ReadBuf;
use tokio::runtime::Handle;

/// A UDP socket as the driver uses it.
#[derive(Debug)]
pub struct UdpSocket(tokio::net::UdpSocket);

impl UdpSocket {
    pub(crate) fn bind(addr: SocketAddrV4) -> io::Result<Self> {
        // Without a runtime tokio would panic.
        Handle::try_current().map_err(io::Error::other)?;
        tokio::net::UdpSocket::from_std(bind_udp(addr)?).map(Self)
    }
}

impl Socket for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        let received = self.0.poll_recv_from(cx, &mut buf);
        received.map_ok(|from| (buf.filled().len(), from))
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send_ready(cx)
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.try_send_to(data, to).map(drop)
    }

    fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }
}
