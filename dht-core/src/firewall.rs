//! The firewall check: some nodes are asked to send an answer to the server socket, and
//! what arrives there is evidence. Who is asked, and what follows, is the node's concern.
//! Mirrors `_checkIfFirewalled` of `index.js`.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::message::Via;
use crate::nat::Sampler;

/// How many nodes are asked.
pub(crate) const PROBES: usize = 5;
/// How many must have reached the server socket, if that many were asked.
const PONGS_MIN: usize = 3;

/// A check under way.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// What was known of the own address when it began.
    pub(crate) believed: (Ipv4Addr, u16),
    /// Whether only the firewall state is at stake, not becoming persistent.
    pub(crate) only_firewall: bool,
    asked: usize,
    open: usize,
    pongs: usize,
    /// What the answers that came in on the server socket say of the own address.
    pub(crate) sampler: Sampler,
}

impl Probe {
    pub(crate) fn new(believed: (Ipv4Addr, u16), only_firewall: bool, asked: usize) -> Self {
        Self { believed, only_firewall, asked, open: asked, pongs: 0, sampler: Sampler::default() }
    }

    /// One of those asked has answered, to `to`, as seen there.
    pub(crate) fn answered(&mut self, via: Via, from: Ipv4Addr, to: SocketAddrV4) {
        self.open = self.open.saturating_sub(1);
        if via == Via::Server {
            self.pongs += 1;
            self.sampler.add_from(to, from);
        }
    }

    /// One of those asked has not.
    pub(crate) fn failed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Whether the last one has ended, or the others can't change much: one that is dead would take
    /// seconds. That is so once most have agreed, each from another /24, or too few are left.
    pub(crate) fn is_over(&self, host: Option<Ipv4Addr>, server_port: u16) -> bool {
        let most = PONGS_MIN.min(self.asked / 2 + 1);
        let agreed = self.sampler.size() >= most && self.is_reachable(host, server_port);
        self.open == 0 || agreed || self.pongs + self.open < self.pongs_min()
    }

    const fn pongs_min(&self) -> usize {
        if self.asked >= PROBES { PONGS_MIN } else { 1 }
    }

    /// Whether the server socket is reachable: enough answers, the same host as known, and
    /// a public port that is the local one.
    pub(crate) fn is_reachable(&self, host: Option<Ipv4Addr>, server_port: u16) -> bool {
        self.pongs >= self.pongs_min()
            && self.sampler.host().is_some()
            && self.sampler.host() == host
            && self.sampler.port() == server_port
            && server_port != 0
    }
}
