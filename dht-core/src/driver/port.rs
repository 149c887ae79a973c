//! One socket of the node's with the datagram that it could not take, and its errors.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::task::{Context, Poll};
use std::io;

use super::bind::local_addr;
use super::look::{Hail, Hearing};
use super::pause::{Pause, STREAK_MAX};
use super::shared::Shared;
use super::socket::Socket;
use crate::{Event, Instant, Transmit, Via};

/// A socket of the node's.
pub(crate) struct Port<S> {
    pub(crate) via: Via,
    /// Where it was bound.
    bound: SocketAddrV4,
    socket: S,
    shared: Arc<Shared>,
    /// It has taken every datagram since it was found writable.
    writable: bool,
    /// A datagram that was encoded when the socket would have blocked.
    held: Option<(Vec<u8>, Transmit)>,
    receiving: Pause,
    sending: Pause,
    /// How many datagrams in a row the system refused.
    refused: u32,
    hearing: Hearing,
    /// It has brought an error since it was looked at.
    suspect: bool,
    /// The time to live that the socket should have and has not: the system did not set it back.
    usual_ttl: Option<u32>,
}

impl<S: Socket> Port<S> {
    pub(crate) fn new(shared: Arc<Shared>, socket: S, via: Via, bound: SocketAddrV4) -> Self {
        Self {
            via,
            bound,
            socket,
            shared,
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

    /// Receives one datagram, unless the socket has brought too many errors in a row. Gives its length, its sender,
    /// and the address of this machine that it came to, if the socket knows. `None`: nothing that the core wants.
    pub(crate) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        hail: &Hail,
        buf: &mut [u8],
    ) -> Poll<Option<(usize, SocketAddrV4, Option<Ipv4Addr>)>> {
        if self.receiving.is_on(|| self.shared.now()) {
            return Poll::Pending;
        }
        self.socket.poll_recv_from(cx, buf).map(|received| match received {
            Ok((len, from)) => {
                self.receiving.succeeded();
                let SocketAddr::V4(from) = from else { return None };
                let is_hail = buf.get(..len) == Some(&hail[..]);
                self.hearing.heard(is_hail);
                (!is_hail).then(|| (len, from, self.socket.received_at()))
            }
            Err(error) => {
                let is_news = is_news(&error);
                self.suspect |= !is_news;
                let trouble = self.receiving.failed(self.shared.now(), is_news);
                self.shared.drive(|state, _| state.mail.drops.receives += 1);
                self.tell(trouble);
                None
            }
        })
    }

    /// Sends a datagram that was held. Returns whether another one can be sent now; if not, the task is woken, or the
    /// pause ends, when that changes.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.writable && !self.sending.is_on(|| self.shared.now()) {
            match self.socket.poll_send_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => {
                    self.suspect = true;
                    let trouble = self.sending.failed(self.shared.now(), false);
                    self.tell(trouble);
                }
                Poll::Ready(Ok(())) => match self.held.take() {
                    None => self.writable = true,
                    Some((data, transmit)) => self.send(&data, transmit),
                },
            }
        }
        self.writable
    }

    /// Sends a datagram, or holds it if the socket takes none now.
    pub(crate) fn send(&mut self, data: &[u8], transmit: Transmit) {
        match self.try_send(data, &transmit) {
            Ok(()) => {
                self.sending.succeeded();
                self.refused = 0;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                self.held = Some((data.to_vec(), transmit));
                let trouble = self.sending.failed(self.shared.now(), false);
                self.tell(trouble);
            }
            // This may be news of one peer, so the other datagrams do not wait.
            Err(error) => {
                self.shared.drive(|state, now| state.not_sent(now, &transmit, error));
                self.suspect = true;
                self.refused = self.refused.saturating_add(1);
                self.tell(self.refused == STREAK_MAX);
            }
        }
    }

    fn tell(&self, trouble: bool) {
        if trouble {
            self.shared.drive(|state, _| state.tell(Event::SocketTrouble(self.via)));
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
        // The datagram is sent even if setting it back fails, which is tried again with the next datagram.
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

    /// A look at this socket. Returns whether it is deaf. `other` is the node's other socket.
    pub(crate) fn look_if_deaf(&mut self, other: &mut Self, hail: &Hail) -> bool {
        let (ip, port) = (*self.bound.ip(), self.bound.port());
        let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST } else { ip };
        let to = SocketAddr::from((ip, port));
        self.hearing.look_if_deaf(|| other.socket.try_send_to(&hail[..], to).is_ok())
    }

    /// Tests at the next look whether the socket is deaf.
    pub(crate) fn doubt(&mut self) {
        self.hearing.doubt();
    }

    /// Whether there was a reason to see if the socket [is gone](Self::is_gone).
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
        [self.receiving.until(now), self.sending.until(now)].into_iter().flatten().min()
    }
}

/// Whether an error is about one datagram, not about the socket: a datagram of ours was refused somewhere, as some
/// systems tell it. On Windows also that its time to live ran out, or that a datagram which came was too long.
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
