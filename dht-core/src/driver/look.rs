//! What the driver has to look at every few seconds, because nobody tells: whether its sockets are still what
//! it has bound, and whether the machine is in another network.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io;

use super::guard::guard_io;
use super::port::Port;
use super::runtime::{Host, Socket};
use crate::{Instant, Via};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(5);
/// A socket that has brought nothing at so many looks is sent something by the other one: after a minute.
const QUIET: u8 = 12;
/// If it brings nothing until this look, it is deaf. Longer than a socket is left alone that brings errors.
const DEAF: u8 = QUIET + 2;

/// What one socket of a node sends to the other. It is no datagram of dht-rpc's, and nobody else knows it.
#[derive(Clone, Copy)]
pub(crate) struct Hail([u8; 1 + NONCE]);

/// Bytes that can't be guessed.
const NONCE: usize = 32;

impl Hail {
    pub(crate) fn new(host: &dyn Host) -> io::Result<Self> {
        let mut bytes = [0xff; 1 + NONCE];
        let [_, nonce @ ..] = &mut bytes;
        host.fill_random(nonce)?;
        Ok(Self(bytes))
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// When to look, and what was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookout {
    due: Instant,
    /// The address that is bound is one of the machine's; `None` if nobody could say.
    is_here: Option<bool>,
    /// The address by which datagrams leave for the rest of the world; the outer `None` as above.
    way_out: Option<Option<Ipv4Addr>>,
}

impl Lookout {
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether the network is another than before for sockets bound to `host`. Addresses that they don't
    /// use come and go on many machines all the time, and mean nothing.
    pub(crate) fn has_moved(&mut self, now: Instant, runtime: &dyn Host, host: Ipv4Addr) -> bool {
        self.due = now + EVERY;
        let is_here = match host.is_unspecified() {
            true => Some(true),
            false => guard_io(|| runtime.interfaces()).ok().map(|all| all.contains(&host)),
        };
        // What stays on the machine goes by none.
        let way_out = match host.is_loopback() {
            true => None,
            false => guard_io(|| runtime.way_out()).ok(),
        };
        differs(&mut self.is_here, is_here) | differs(&mut self.way_out, way_out)
    }
}

/// Whether it is known to be another than it was known to be before.
fn differs<T: PartialEq>(before: &mut Option<T>, now: Option<T>) -> bool {
    let differs = matches!((&*before, &now), (Some(before), Some(now)) if before != now);
    *before = now.or(before.take());
    differs
}

/// How long a socket has brought nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hearing {
    looks: u8,
    /// It was sent something by the other one: at its first look, since one that is busy until it goes deaf
    /// would have no other occasion to prove that it could hear.
    tried: bool,
    /// It has heard the other one: what they send each other does arrive.
    proved: bool,
}

impl Hearing {
    pub(crate) const fn heard(&mut self, hail: bool) {
        self.looks = 0;
        self.proved |= hail;
    }

    /// It is tested at the next look.
    pub(crate) fn doubt(&mut self) {
        self.looks = self.looks.max(QUIET - 1);
    }
}

/// Looks after both sockets, and tests those that are quiet: the first that is deaf.
pub(crate) fn deaf_one<S: Socket>(ports: &mut [Port<S>; 2], hail: &Hail) -> Option<Via> {
    let [client, server] = ports;
    let client_is_deaf = is_deaf(client, server, hail);
    let server_is_deaf = is_deaf(server, client, hail);
    client_is_deaf.or(server_is_deaf)
}

/// Where a datagram to oneself never arrives, nothing follows from that.
fn is_deaf<S: Socket>(port: &mut Port<S>, other: &mut Port<S>, hail: &Hail) -> Option<Via> {
    let hearing = &mut port.hearing;
    hearing.looks += 1;
    if !hearing.tried || hearing.looks == QUIET {
        match other.hail(port.bound, hail) {
            true => hearing.tried = true,
            // It can't be held against it.
            false => hearing.looks = hearing.looks.min(QUIET - 1),
        }
    }
    if hearing.looks < DEAF {
        return None;
    }
    hearing.looks = 0;
    hearing.proved.then_some(port.via)
}
