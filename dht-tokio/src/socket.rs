//! A UDP socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use dht_core::driver::{PacketInfo, Socket, bind_udp};
use tokio::io::{Interest, ReadBuf};
use tokio::runtime::Handle;
use tokio::time;

/// A UDP socket as the driver uses it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: tokio::net::UdpSocket,
    /// `Some` if the socket is bound to all addresses of the machine.
    info: Option<PacketInfo>,
    received_at: Option<Ipv4Addr>,
}

impl UdpSocket {
    pub(crate) fn bind(addr: SocketAddrV4) -> io::Result<Self> {
        Handle::try_current().map_err(io::Error::other)?;
        // Where the runtime lacks one of these tokio panics, and there is no way to ask before.
        let lacks = |what| {
            move |_| {
                io::Error::other(format!(
                    "the tokio runtime has no {what}: build it with `enable_all`"
                ))
            }
        };
        catch_unwind(|| drop(time::sleep(Duration::ZERO))).map_err(lacks("time"))?;
        let socket = bind_udp(addr)?;
        let info = PacketInfo::of(&socket);
        let socket = AssertUnwindSafe(|| tokio::net::UdpSocket::from_std(socket));
        let socket = catch_unwind(socket).map_err(lacks("I/O"))??;
        Ok(Self { socket, info, received_at: None })
    }
}

impl Socket for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let Self { socket, info, received_at } = self;
        let Some(info) = info else {
            let mut buf = ReadBuf::new(buf);
            let received = socket.poll_recv_from(cx, &mut buf);
            return received.map_ok(|from| (buf.filled().len(), from));
        };
        loop {
            ready!(socket.poll_recv_ready(cx))?;
            match socket.try_io(Interest::READABLE, || info.receive(socket, buf)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => {
                    let (len, from, at) = received?;
                    *received_at = at;
                    return Poll::Ready(Ok((len, from)));
                }
            }
        }
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(cx)
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.try_send_to(data, to).map(drop)
    }

    fn received_at(&self) -> Option<Ipv4Addr> {
        self.received_at
    }

    fn try_send_from(&mut self, data: &[u8], to: SocketAddr, source: Ipv4Addr) -> io::Result<()> {
        let socket = &self.socket;
        match &self.info {
            None => self.try_send_to(data, to),
            Some(info) => socket.try_io(Interest::WRITABLE, || info.send(socket, data, to, source)),
        }
    }

    fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }
}
