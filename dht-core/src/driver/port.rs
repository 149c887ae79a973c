//! One socket with the datagram that it could not take, and its share of bad luck.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::task::{Context, Poll};
use std::io;

use super::bind::local_addr;
use super::look::{Hail, Hearing};
use super::pause::{Pause, STREAK_MAX};
use super::runtime::Socket;
use super::shared::Shared;
use crate::{Event, Instant, Transmit, Via};

/// A socket of the node's.
pub(crate) struct Port<S> {
    pub(crate) via: Via,
    /// Where it was bound.
    pub(crate) bound: SocketAddrV4,
    socket: S,
    /// It has taken all since it was found writable.
    writable: bool,
    /// Encoded, and then the socket would have blocked.
    held: Option<Held>,
    receiving: Pause,
    sending: Pause,
    /// So many datagrams in a row that the system refused.
    refused: u32,
    pub(crate) hearing: Hearing,
    /// It has brought an error since it was looked at.
    suspect: bool,
    /// The time to live that it should have and has not: the system did not set it back.
    usual_ttl: Option<u32>,
}

struct Held {
    data: Vec<u8>,
    transmit: Transmit,
}

impl<S: Socket> Port<S> {
    pub(crate) fn new(socket: S, via: Via, bound: SocketAddrV4) -> Self {
        Self {
            via,
            bound,
            socket,
            writable: false,
            held: None,
            receiving: Pause::default(),
            sending: Pause::default(),
            refused: 0,
            hearing: Hearing::default(),
            suspect: false,
            usual_ttl: None,
        }
    }

    /// Receives one datagram, unless the socket has brought too many errors in a row. Errors
    /// are counted here.
    pub(crate) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        if self.receiving.is_on(|| shared.now()) {
            return Poll::Pending;
        }
        let received = self.socket.poll_recv_from(cx, buf);
        match &received {
            Poll::Ready(Ok(_)) => self.receiving.succeeded(),
            Poll::Ready(Err(error)) => {
                let now = shared.now();
                let trouble = match is_news(error) {
                    true => self.receiving.heard_news(now),
                    false => {
                        self.suspect = true;
                        self.receiving.failed(now)
                    }
                };
                shared.drive(|state, _| state.drops.receives += 1);
                self.tell(trouble, shared);
            }
            Poll::Pending => {}
        }
        received
    }

    /// Which address of this machine the last datagram came to, if the socket knows.
    pub(crate) fn received_at(&self) -> Option<Ipv4Addr> {
        self.socket.received_at()
    }

    /// Whether a datagram can be sent now: what was held goes first. If not, the task is
    /// woken, or the pause ends, when that changes.
    pub(crate) fn is_writable(&mut self, cx: &mut Context<'_>, shared: &Shared) -> bool {
        if self.writable {
            return true;
        }
        while !self.sending.is_on(|| shared.now()) {
            match self.socket.poll_send_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => {
                    self.suspect = true;
                    let trouble = self.sending.failed(shared.now());
                    self.tell(trouble, shared);
                }
                Poll::Ready(Ok(())) => match self.held.take() {
                    None => {
                        self.writable = true;
                        return true;
                    }
                    Some(held) => self.send(shared, &held.data, held.transmit),
                },
            }
        }
        false
    }

    /// Sends a datagram, or holds it if the socket takes none now.
    pub(crate) fn send(&mut self, shared: &Shared, data: &[u8], transmit: Transmit) {
        match self.try_send(data, &transmit) {
            Ok(()) => {
                self.sending.succeeded();
                self.refused = 0;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                let data = data.to_vec();
                self.held = Some(Held { data, transmit });
                let trouble = self.sending.failed(shared.now());
                self.tell(trouble, shared);
            }
            // News about one peer, at most, so that the others don't wait.
            Err(error) => {
                let _previous = shared.drive(|state, now| state.not_sent(now, &transmit, error));
                self.suspect = true;
                self.refused = self.refused.saturating_add(1);
                self.tell(self.refused == STREAK_MAX, shared);
            }
        }
    }

    fn tell(&self, trouble: bool, shared: &Shared) {
        if trouble {
            shared.drive(|state, _| state.tell(Event::SocketTrouble(self.via)));
        }
    }

    fn try_send(&mut self, data: &[u8], transmit: &Transmit) -> io::Result<()> {
        let to = transmit.to.into();
        self.restore_ttl();
        let send = |socket: &mut S| match transmit.source {
            Some(source) => socket.try_send_from(data, to, source),
            None => socket.try_send_to(data, to),
        };
        let Some(ttl) = transmit.ttl else { return send(&mut self.socket) };
        let usual = match self.usual_ttl {
            Some(usual) => usual,
            None => self.socket.ttl()?,
        };
        self.socket.set_ttl(ttl.into())?;
        let sent = send(&mut self.socket);
        // What is sent is sent, even if this fails: then it is tried again with the next one.
        self.usual_ttl = Some(usual);
        self.restore_ttl();
        sent
    }

    fn restore_ttl(&mut self) {
        if let Some(usual) = self.usual_ttl {
            match self.socket.set_ttl(usual) {
                Ok(()) => self.usual_ttl = None,
                Err(_) => self.suspect = true,
            }
        }
    }

    /// Sends what shows whether the node's other socket, which is bound to `to`, hears anything.
    pub(crate) fn hail(&mut self, to: SocketAddrV4, hail: &Hail) -> bool {
        let ip = if to.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *to.ip() };
        self.socket.try_send_to(hail.bytes(), SocketAddr::from((ip, to.port()))).is_ok()
    }

    /// Whether there was a reason to see if it [is gone](Self::is_gone).
    pub(crate) fn take_suspicion(&mut self) -> bool {
        core::mem::take(&mut self.suspect)
    }

    /// Whether it is not bound any more to what it was: systems that take the sockets of a sleeping app, or of
    /// a network that is gone, leave one at no port, or at another.
    pub(crate) fn is_gone(&self) -> bool {
        !matches!(local_addr(&self.socket), Ok(addr) if addr == self.bound)
    }

    pub(crate) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    pub(crate) fn paused_until(&mut self, now: Instant) -> Option<Instant> {
        let pauses = [self.receiving.until(now), self.sending.until(now)];
        pauses.into_iter().flatten().min()
    }
}

/// Whether it is about one datagram, not about the socket: one of ours was refused somewhere, as some systems tell
/// it; and on Windows, one of ours went out of time on its way, or one that came was too long.
fn is_news(error: &io::Error) -> bool {
    const TOO_LONG: i32 = 10_040;
    const OUT_OF_TIME: i32 = 10_052;
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::ConnectionReset
        || cfg!(windows) && matches!(code, Some(TOO_LONG | OUT_OF_TIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_tells_of_single_datagrams_is_news_there() {
        for (code, is) in [(10_040, true), (10_052, true), (10_050, false), (10_054, true)] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(is_news(&error), is && cfg!(windows), "{code}");
        }
        assert!(is_news(&io::ErrorKind::ConnectionReset.into()));
        assert!(!is_news(&io::ErrorKind::ConnectionRefused.into()));
    }
}
