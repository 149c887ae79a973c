//! A UDP socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::task::{Context, Poll, ready};

use dht_core::driver::{PacketInfo, Socket, bind_udp};
use smol::Async;

/// A UDP socket as the driver uses it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Async<std::net::UdpSocket>,
    /// The socket did not take the last datagram, so writability has to be waited for.
    blocked: bool,
    /// `Some` if the socket is bound to all addresses of the machine.
    info: Option<PacketInfo>,
    received_at: Option<Ipv4Addr>,
}

impl UdpSocket {
    pub(crate) fn bind(addr: SocketAddrV4) -> io::Result<Self> {
        let socket = bind_udp(addr)?;
        let info = PacketInfo::of(&socket);
        Ok(Self { socket: Async::new(socket)?, blocked: false, info, received_at: None })
    }

    fn receive(&mut self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let socket = self.socket.get_ref();
        let Some(info) = &mut self.info else { return socket.recv_from(buf) };
        let (len, from, at) = info.receive(socket, buf)?;
        self.received_at = at;
        Ok((len, from))
    }

    /// Notes whether the socket took a datagram.
    fn note(&mut self, sent: io::Result<()>) -> io::Result<()> {
        let blocks = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.blocked = sent.as_ref().is_err_and(blocks);
        sent
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
            match self.receive(buf) {
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
        self.note(sent)
    }

    fn received_at(&self) -> Option<Ipv4Addr> {
        self.received_at
    }

    fn try_send_from(&mut self, data: &[u8], to: SocketAddr, source: Ipv4Addr) -> io::Result<()> {
        let socket = self.socket.get_ref();
        let sent = match &self.info {
            None => socket.send_to(data, to).map(drop),
            Some(info) => info.send(socket, data, to, source),
        };
        self.note(sent)
    }

    fn ttl(&self) -> io::Result<u32> {
        self.socket.get_ref().ttl()
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.get_ref().set_ttl(ttl)
    }
}
