//! A UDP socket.

use std::io;
use std::net::{self, SocketAddr, SocketAddrV4};
use std::task::{Context, Poll};

use dht_core::driver::Socket;
use tokio::io::ReadBuf;
use tokio::runtime::Handle;

/// A UDP socket as the driver uses it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: tokio::net::UdpSocket,
    /// The system's default time to live.
    ttl: u32,
}

impl UdpSocket {
    pub(crate) fn bind(addr: SocketAddrV4) -> io::Result<Self> {
        // Without a runtime tokio would panic.
        Handle::try_current().map_err(io::Error::other)?;
        let socket = net::UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        let ttl = socket.ttl()?;
        Ok(Self { socket: tokio::net::UdpSocket::from_std(socket)?, ttl })
    }
}

impl Socket for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddrV4> {
        match self.socket.local_addr()? {
            SocketAddr::V4(addr) => Ok(addr),
            SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        let received = self.socket.poll_recv_from(cx, &mut buf);
        received.map_ok(|from| (buf.filled().len(), from))
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddrV4, ttl: Option<u8>) -> io::Result<()> {
        let Some(ttl) = ttl else {
            return self.socket.try_send_to(data, to.into()).map(drop);
        };
        self.socket.set_ttl(ttl.into())?;
        let sent = self.socket.try_send_to(data, to.into()).map(drop);
        let restored = self.socket.set_ttl(self.ttl);
        sent.and(restored)
    }
}
