//! What an ordinary operating system brings, the same for every runtime on it: clock, randomness,
//! interfaces, sockets that don't block, and the addresses of a name.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::time::SystemTime;
use std::vec::Vec;

use super::runtime::Host;
use crate::Instant;

/// A runtime on an ordinary operating system, which brings all of [`Host`].
pub trait System: Send + Sync + 'static {}

impl<T: System> Host for T {
    fn now(&self) -> Instant {
        Instant::ZERO + since_boot()
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        let interfaces = if_addrs::get_if_addrs()?;
        Ok(interfaces.into_iter().filter_map(|interface| v4(interface.ip())).collect())
    }

    fn way_out(&self) -> io::Result<Option<Ipv4Addr>> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        match socket.connect(FAR) {
            Ok(()) => Ok(v4(socket.local_addr()?.ip())),
            Err(error) if is_no_way(error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }

    fn since_1970(&self) -> Option<Duration> {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()
    }
}

/// Binds a socket that does not block.
///
/// # Errors
/// As the system says.
pub fn bind_udp(addr: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The IPv4 addresses among those addresses that the system has found: the result of a
/// [lookup](super::Runtime::lookup).
///
/// # Errors
/// The system's, or if there is no IPv4 address among the found ones.
pub fn all_v4(
    found: io::Result<impl IntoIterator<Item = SocketAddr>>,
) -> io::Result<Vec<Ipv4Addr>> {
    let all: Vec<_> = found?.into_iter().filter_map(|addr| v4(addr.ip())).collect();
    let none = || io::Error::new(io::ErrorKind::NotFound, "no IPv4 address");
    if all.is_empty() { Err(none()) } else { Ok(all) }
}

/// An address outside of every network, reserved for documentation: nothing is sent there.
const FAR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), 9);

const fn is_no_way(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(kind, AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable)
}

fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// The time since the machine was started, sleep included: Linux's monotonic clock stands
/// still meanwhile, the clocks of other systems count on.
#[cfg(unix)]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;

    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

/// The time since this was first asked for, sleep included.
#[cfg(not(unix))]
fn since_boot() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
