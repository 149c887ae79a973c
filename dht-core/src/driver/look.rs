//! What the driver has to look at every few seconds, because no system call tells: whether its sockets still are what
//! it has bound, and whether the machine is in another network.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io;

use super::guard::guard_io;
use super::runtime::Host;
use crate::Instant;

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// The number of looks, a minute's, after which a socket that has brought nothing is sent something by the other one.
const QUIET: u8 = 12;
/// If it brings nothing until this look, it is deaf. That is longer than the pause of a socket that brings errors.
const DEAF: u8 = QUIET + 2;

/// What one socket of a node sends to the other. It is no datagram of dht-rpc's, and no peer can guess it.
pub(crate) type Hail = [u8; 33];

pub(crate) fn hail(host: &dyn Host) -> io::Result<Hail> {
    let mut bytes = [0xff; 33];
    let [_, nonce @ ..] = &mut bytes;
    host.fill_random(nonce)?;
    Ok(bytes)
}

/// When to look, and what was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookout {
    due: Instant,
    /// Whether the address that is bound is one of the machine's; `None` if the system did not say.
    is_here: Option<bool>,
    /// The address by which datagrams leave for the rest of the world; `None` as above.
    way_out: Option<Option<Ipv4Addr>>,
}

impl Lookout {
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether the network is another than before for sockets bound to `host`. Addresses that they don't
    /// use come and go on many machines all the time, and are not looked at.
    pub(crate) fn has_moved(&mut self, now: Instant, runtime: &dyn Host, host: Ipv4Addr) -> bool {
        self.due = now + EVERY;
        let is_here = match host.is_unspecified() {
            true => Some(true),
            false => guard_io(|| runtime.interfaces()).ok().map(|all| all.contains(&host)),
        };
        // Datagrams of loopback sockets do not leave the machine.
        let way_out = match host.is_loopback() {
            true => None,
            false => guard_io(|| runtime.way_out()).ok(),
        };
        differs(&mut self.is_here, is_here) | differs(&mut self.way_out, way_out)
    }
}

/// Whether both the value before and the one now are known, and differ.
fn differs<T: PartialEq>(before: &mut Option<T>, now: Option<T>) -> bool {
    let differs = matches!((&*before, &now), (Some(before), Some(now)) if before != now);
    *before = now.or(before.take());
    differs
}

/// How long a socket has brought nothing, and whether it ever heard the other one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hearing {
    looks: u8,
    /// It was sent something by the other one. That happens at its first look, since a socket that is busy until it
    /// goes deaf would have no later occasion to prove that it could hear.
    tried: bool,
    /// It has heard the other one: what they send each other does arrive.
    proved: bool,
}

impl Hearing {
    pub(crate) const fn heard(&mut self, hail: bool) {
        self.looks = 0;
        self.proved |= hail;
    }

    /// The socket is tested at the next look.
    pub(crate) fn doubt(&mut self) {
        self.looks = self.looks.max(QUIET - 1);
    }

    /// A look. Returns whether the socket is deaf. `hail` has the other socket send it something, if it can. Where a datagram
    /// to oneself never arrives, silence proves nothing.
    pub(crate) fn look_if_deaf(&mut self, hail: impl FnOnce() -> bool) -> bool {
        self.looks += 1;
        if !self.tried || self.looks == QUIET {
            match hail() {
                true => self.tried = true,
                // Silence can't be held against it.
                false => self.looks = self.looks.min(QUIET - 1),
            }
        }
        if self.looks < DEAF {
            return false;
        }
        self.looks = 0;
        self.proved
    }
}
