//! The ports to try, in which order. Mirrors the binding in `lib/io.js`, which without `anyPort` tries only the first
//! port of a range.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::ops::{Range, RangeInclusive};
use std::io;

use super::error::not_bound;
use super::guard::guard_io;
use super::runtime::Runtime;
use super::socket::Socket;
use crate::ConfigError;

/// How many ports a single port stands for: itself and the next four.
const NEIGHBOURS: u32 = 5;

/// The ports that the server socket may have, in the order in which they are tried.
///
/// A single port means itself and the next four; 0 means any.
///
/// ```
/// use dht_core::driver::Ports;
///
/// assert_eq!(Ports::from(49_737).bounds(), (49_737, 49_742));
/// assert_eq!(Ports::from(1000..=1002), Ports::from(1000..1003));
/// assert_eq!(Ports::from(0), Ports::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    start: u32,
    end: u32,
    /// A single port was given: the next ones stand in for it.
    stand_ins: bool,
}

impl Ports {
    /// First and last port, the latter exclusive (so it can be above 65,535), as dht-rpc's
    /// `portRange`. Equal: any port.
    #[must_use]
    pub const fn bounds(self) -> (u32, u32) {
        (self.start, self.end)
    }

    /// Refuses a range that is empty, or reversed.
    pub(crate) fn check(self) -> Result<(), ConfigError> {
        let Self { start, end, .. } = self;
        match start < end || self == Self::default() {
            true => Ok(()),
            false => Err(ConfigError::NoPort { start, end }),
        }
    }

    fn iter(self) -> impl Iterator<Item = u16> {
        (self.start..self.end).map_while(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        let start = u32::from(port);
        match port {
            0 => Self::default(),
            _ => Self { start, end: start + NEIGHBOURS, stand_ins: true },
        }
    }
}

impl From<Range<u16>> for Ports {
    fn from(range: Range<u16>) -> Self {
        Self { start: range.start.into(), end: range.end.into(), stand_ins: false }
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(range: RangeInclusive<u16>) -> Self {
        let end = u32::from(*range.end()) + 1;
        Self { start: (*range.start()).into(), end, stand_ins: false }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// What to bind, and what was bound before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub(crate) host: Ipv4Addr,
    pub(crate) ports: Ports,
    pub(crate) any_port: bool,
    /// Of the client socket and the server socket.
    pub(crate) previous: Option<[SocketAddrV4; 2]>,
}

impl Binding {
    /// Binds both sockets, the client's first in the pair: to the ports of last time, else the server's to one of its
    /// range, else to any. Without `any_port` the server's is bound to the port of last time or, the first time, to
    /// the port or a port of the range that was given.
    pub(crate) fn bind<R: Runtime>(
        &mut self,
        runtime: &R,
    ) -> io::Result<[(R::Socket, SocketAddrV4); 2]> {
        let bind = |port| {
            let addr = SocketAddrV4::new(self.host, port);
            guard_io(|| runtime.bind(addr)).map_err(|error| not_bound(addr, error))
        };
        let server = self.bind_server(bind)?;
        let client = match self.previous.map(|[client, _]| bind(client.port())) {
            Some(Ok(client)) => client,
            _ => bind(0)?,
        };
        let bound = [local_addr(&client)?, local_addr(&server)?];
        self.previous = Some(bound);
        Ok([(client, bound[0]), (server, bound[1])])
    }

    fn bind_server<S>(&self, bind: impl Fn(u16) -> io::Result<S>) -> io::Result<S> {
        let previous = self.previous.map(|[_, server]| server.port());
        let given = match (self.any_port, previous) {
            (true, _) => usize::MAX,
            (false, Some(_)) => 0,
            (false, None) if self.ports.stand_ins => 1,
            (false, None) => usize::MAX,
        };
        let mut failure = None;
        for port in previous.into_iter().chain(self.ports.iter().take(given)) {
            match bind(port) {
                Err(error) => failure = Some(error),
                bound => return bound,
            }
        }
        match failure.filter(|_| !self.any_port) {
            Some(error) => Err(error),
            None => bind(0),
        }
    }
}

/// Where a socket is bound now.
pub(crate) fn local_addr(socket: &impl Socket) -> io::Result<SocketAddrV4> {
    match socket.local_addr()? {
        SocketAddr::V4(addr) => Ok(addr),
        SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cell::RefCell;

    use super::*;

    fn tried(
        previous: Option<u16>,
        ports: Ports,
        any_port: bool,
        taken: &[u16],
    ) -> (Vec<u16>, Option<u16>) {
        let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let binding = Binding {
            host: Ipv4Addr::LOCALHOST,
            ports,
            any_port,
            previous: previous.map(|port| [at(1), at(port)]),
        };
        let tried = RefCell::new(Vec::new());
        let bound = binding.bind_server(|port| {
            tried.borrow_mut().push(port);
            match taken.contains(&port) {
                true => Err(io::ErrorKind::AddrInUse.into()),
                false => Ok(port),
            }
        });
        (tried.into_inner(), bound.ok())
    }

    #[test]
    fn ports_are_tried_in_order() {
        let five = [7, 8, 9, 10, 11];
        let cases = [
            // previous, ports, any port, taken: tried, bound
            (None, 0.into(), true, &[][..], vec![0], Some(0)),
            (None, 0.into(), false, &[], vec![0], Some(0)),
            (None, 7.into(), true, &[], vec![7], Some(7)),
            (None, 7.into(), true, &five[..2], vec![7, 8, 9], Some(9)),
            (None, 7.into(), true, &five, vec![7, 8, 9, 10, 11, 0], Some(0)),
            (None, 7.into(), false, &five[..1], vec![7], None),
            (None, Ports::from(7..9), true, &five, vec![7, 8, 0], Some(0)),
            (None, Ports::from(7..=9), true, &five, vec![7, 8, 9, 0], Some(0)),
            (None, Ports::from(7..9), false, &five[..1], vec![7, 8], Some(8)),
            (None, Ports::from(7..9), false, &five, vec![7, 8], None),
            (Some(50), Ports::from(7..9), false, &[50], vec![50], None),
            (Some(50), 7.into(), true, &[], vec![50], Some(50)),
            (Some(50), 7.into(), true, &[50, 7], vec![50, 7, 8], Some(8)),
            (Some(50), 7.into(), false, &[50], vec![50], None),
            (None, 65_534.into(), true, &[65_534, 65_535], vec![65_534, 65_535, 0], Some(0)),
            (None, Ports::from(0..=1), true, &[], vec![1], Some(1)),
        ];
        for (previous, ports, any_port, taken, order, bound) in cases {
            let got = tried(previous, ports, any_port, taken);
            assert_eq!(got, (order, bound), "{previous:?} {ports} {any_port} {taken:?}");
        }
    }
}
