//! The firewall check: some nodes are asked to send an answer to the server socket, and
//! what arrives there is evidence. Who is asked, and what follows, is the node's concern.
//! Mirrors `_checkIfFirewalled` of `index.js`, which looks once; here it is looked again ([`Looks`]).

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::message::Via;
use crate::nat::Sampler;

/// How many nodes are asked.
pub(crate) const PROBES: usize = 5;
/// How many must have reached the server socket, if that many were asked.
const PONGS_MIN: usize = 3;

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Only the firewall state is at stake.
    Firewall,
    /// To become persistent.
    Persistence,
    /// To see whether a persistent node is still what it is.
    Again,
}

/// A check under way.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// What was known of the own address when it began.
    pub(crate) believed: (Ipv4Addr, u16),
    pub(crate) aim: Aim,
    asked: u8,
    open: u8,
    pongs: u8,
    /// Of these, how many have seen the host that is believed.
    agreed: u8,
    /// What the answers that came in on the server socket say of the own address.
    pub(crate) sampler: Sampler,
}

/// What has become of a persistent node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is reached where it was.
    Same,
    /// It is reached, and all see it at another address.
    Moved(SocketAddrV4),
    /// Next to nobody has reached it.
    Nobody,
    /// This says nothing.
    Unclear,
}

impl Probe {
    pub(crate) fn new(believed: (Ipv4Addr, u16), aim: Aim, asked: usize) -> Self {
        let asked = asked.min(PROBES) as u8;
        let sampler = Sampler::default();
        Self { believed, aim, asked, open: asked, pongs: 0, agreed: 0, sampler }
    }

    /// One of those asked has answered, to `to`, as seen there.
    pub(crate) fn answered(&mut self, via: Via, from: Ipv4Addr, to: SocketAddrV4) {
        self.failed();
        if via == Via::Server {
            self.pongs += 1;
            self.agreed += u8::from(*to.ip() == self.believed.0);
            self.sampler.add_from(to, from);
        }
    }

    /// One of those asked has not.
    pub(crate) fn failed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    fn asks_many(&self) -> bool {
        usize::from(self.asked) >= PROBES
    }

    fn pongs_min(&self) -> usize {
        if self.asks_many() { PONGS_MIN } else { 1 }
    }

    /// Whether the last one has ended, or the others can't change much: one that is dead would take
    /// seconds. That is so once most have agreed, each from another /24, or too few are left.
    pub(crate) fn is_over(&self, host: Option<Ipv4Addr>, server_port: u16) -> bool {
        let most = match self.aim {
            Aim::Again => PONGS_MIN,
            _ => PONGS_MIN.min(usize::from(self.asked) / 2 + 1),
        };
        let settled = match self.aim {
            Aim::Again => self.asks_many() && usize::from(self.agreed) >= PONGS_MIN,
            _ => self.is_reachable(host, server_port),
        };
        let in_vain =
            self.aim != Aim::Again && usize::from(self.pongs + self.open) < self.pongs_min();
        self.open == 0 || in_vain || (self.sampler.size() >= most && settled)
    }

    /// Whether the server socket is reachable: enough answers, the same host as known, and
    /// a public port that is the local one.
    pub(crate) fn is_reachable(&self, host: Option<Ipv4Addr>, server_port: u16) -> bool {
        usize::from(self.pongs) >= self.pongs_min()
            && self.sampler.host().is_some()
            && self.sampler.host() == host
            && self.sampler.port() == server_port
            && server_port != 0
    }

    /// What a look at a persistent node has shown. Another address is believed only if most of those asked
    /// have reached the node, and none of them still sees the old one: liars in the table may be drawn,
    /// but hardly ever alone.
    pub(crate) fn found(&self) -> Found {
        // A way that was opened from inside may still be open for one of many.
        if self.asked > 0 && self.pongs <= u8::from(self.asks_many()) {
            return Found::Nobody;
        }
        let host = self.sampler.host().filter(|_| 2 * self.pongs > self.asked);
        match host {
            _ if self.agreed > 0 => Found::Same,
            Some(host) if self.sampler.port() != 0 => {
                Found::Moved(SocketAddrV4::new(host, self.sampler.port()))
            }
            _ => Found::Unclear,
        }
    }
}

/// Ticks until the next look after one that has changed something, or when there is reason to doubt: a minute.
const LOOK_MIN: u16 = 12;
/// Ticks between two looks if nothing ever changes: half an hour.
const LOOK_MAX: u16 = 360;
/// Nobody has to get through so many times in a row until a persistent node is one no more: those asked
/// may all be gone.
const MISSES_MAX: u8 = 3;

/// When to look again, for as long as the node lives.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    /// Ticks since the last look, and how many there have to be before the next.
    since: u16,
    every: u16,
    /// Whether somebody sees another address, or something has happened that may have changed it.
    doubted: bool,
    misses: u8,
    /// How many answers to anything there were at the last look, wrapping.
    answers: u32,
    /// Whether the last look has shown that others don't reach the node.
    failed: bool,
}

impl Looks {
    pub(crate) const fn new() -> Self {
        Self { since: 0, every: LOOK_MIN, doubted: false, misses: 0, answers: 0, failed: false }
    }

    pub(crate) fn pass(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    /// Whether it is time to see if a node that is ephemeral can be persistent.
    pub(crate) const fn is_due(&self) -> bool {
        self.since >= self.every
    }

    /// Whether it is time to see if a persistent node still is what it is. One that was `told` so is
    /// looked at only if there is doubt.
    pub(crate) const fn is_due_again(&self, told: bool) -> bool {
        (self.doubted && self.since >= self.every) || (!told && self.since >= LOOK_MAX)
    }

    pub(crate) fn begin(&mut self) {
        self.since = 0;
    }

    /// The address may be another one.
    pub(crate) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// All is open again: the next look is due at once.
    pub(crate) fn anew(&mut self) {
        *self = Self { since: LOOK_MIN, ..Self::new() };
    }

    /// It is as it was, or nobody can tell.
    pub(crate) fn unchanged(&mut self) {
        // Somebody who always sees another address does not have it looked at all the time.
        self.every = if self.doubted { (2 * self.every).min(LOOK_MAX) } else { LOOK_MIN };
        (self.doubted, self.misses) = (false, 0);
    }

    /// The node is persistent from now on, at a new address. `found`: a look has shown it.
    pub(crate) fn changed(&mut self, found: bool) {
        *self = Self { doubted: !found, ..Self::new() };
    }

    /// An ephemeral node is not reached.
    pub(crate) fn failed(&mut self) {
        self.every = (2 * self.every).min(LOOK_MAX);
        self.failed = true;
    }

    /// Nobody has reached a persistent node, which has had this many `answers` so far. Whether that happened
    /// too often; it counts only while others do answer.
    pub(crate) fn missed(&mut self, answers: u32) -> bool {
        let heard = core::mem::replace(&mut self.answers, answers) != answers;
        self.misses += u8::from(heard);
        (self.doubted, self.every) = (true, LOOK_MIN);
        self.misses >= MISSES_MAX
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }
}
