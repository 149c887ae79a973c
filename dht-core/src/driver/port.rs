//! One socket with the datagram that it could not take, and its share of bad luck.

use alloc::vec::Vec;
use core::net::{SocketAddr, SocketAddrV4};
use core::task::{Context, Poll};
use std::io;

use super::pause::Pause;
use super::runtime::{Host, Socket};
use super::shared::Shared;
use crate::{Instant, Via};

/// A socket of the node's.
pub(crate) struct Port<S> {
    pub(crate) via: Via,
    socket: S,
    /// It has taken all since it was found writable.
    writable: bool,
    /// Encoded, and then the socket would have blocked.
    held: Option<Held>,
    receiving: Pause,
    sending: Pause,
}

struct Held {
    data: Vec<u8>,
    to: SocketAddrV4,
    ttl: Option<u8>,
}

impl<S: Socket> Port<S> {
    pub(crate) fn new(socket: S, via: Via) -> Self {
        Self {
            via,
            socket,
            writable: false,
            held: None,
            receiving: Pause::default(),
            sending: Pause::default(),
        }
    }

    /// Receives one datagram, unless the socket has brought too many errors in a row.
    pub(crate) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        host: &dyn Host,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        if self.receiving.is_on(|| host.now()) {
            return Poll::Pending;
        }
        let received = self.socket.poll_recv_from(cx, buf);
        match &received {
            Poll::Ready(Ok(_)) => self.receiving.succeeded(),
            // News of one peer (a datagram of ours was refused), as some systems tell it.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Poll::Ready(Err(_)) => self.receiving.failed(host.now()),
            Poll::Pending => {}
        }
        received
    }

    /// Whether a datagram can be sent now: what was held goes first. If not, the task is
    /// woken, or the pause ends, when that changes.
    pub(crate) fn is_writable(
        &mut self,
        cx: &mut Context<'_>,
        host: &dyn Host,
        shared: &Shared,
    ) -> bool {
        if self.writable {
            return true;
        }
        while !self.sending.is_on(|| host.now()) {
            match self.socket.poll_send_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => self.sending.failed(host.now()),
                Poll::Ready(Ok(())) => match self.held.take() {
                    None => {
                        self.writable = true;
                        return true;
                    }
                    Some(held) => self.send(host, shared, &held.data, held.to, held.ttl),
                },
            }
        }
        false
    }

    /// Sends a datagram, or holds it if the socket takes none now.
    pub(crate) fn send(
        &mut self,
        host: &dyn Host,
        shared: &Shared,
        data: &[u8],
        to: SocketAddrV4,
        ttl: Option<u8>,
    ) {
        match self.try_send(data, to, ttl) {
            Ok(()) => self.sending.succeeded(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                self.sending.failed(host.now());
                let data = data.to_vec();
                self.held = Some(Held { data, to, ttl });
            }
            // News about one peer, at most.
            Err(_) => shared.drive(|state, _| state.drops.sends += 1),
        }
    }

    fn try_send(&mut self, data: &[u8], to: SocketAddrV4, ttl: Option<u8>) -> io::Result<()> {
        let Some(ttl) = ttl else { return self.socket.try_send_to(data, to.into()) };
        let usual = self.socket.ttl()?;
        self.socket.set_ttl(ttl.into())?;
        let sent = self.socket.try_send_to(data, to.into());
        let restored = self.socket.set_ttl(usual);
        sent.and(restored)
    }

    pub(crate) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    pub(crate) fn paused_until(&mut self, now: Instant) -> Option<Instant> {
        let pauses = [self.receiving.until(now), self.sending.until(now)];
        pauses.into_iter().flatten().min()
    }
}
