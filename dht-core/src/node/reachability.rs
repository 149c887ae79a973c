//! Finding out about the own address: what peers see, and whether they can reach it.
//! Mirrors `_natAdd`, `_updateNetworkState` and `_checkIfFirewalled` of `index.js`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddrV4;

use bytes::Bytes;

use super::{Node, Stage};
use crate::addr::is_sendable;
use crate::command::PING_NAT;
use crate::congestion::Class;
use crate::event::Event;
use crate::firewall::{PROBES, Probe};
use crate::id::Id;
use crate::inflight::Purpose;
use crate::message::Via;
use crate::nat::Sampler;

/// With fewer views of our address than this, an id that is made of it is unsure.
const VIEWS_MIN: usize = 4;

impl Node {
    /// `from` has seen us as `to`.
    pub(super) fn sample(&mut self, to: SocketAddrV4, from: SocketAddrV4) {
        if self.nat.add_from(to, *from.ip()) {
            self.emit_nat();
        }
        self.confirm_own_addr();
    }

    /// The first few may be wrong about our address, by accident or on purpose, and an id made of it then counts
    /// as none with everybody else. So as soon as enough have been heard, the id is made of what these agree
    /// on. (The reference keeps the wrong one.) From then on it stays: whoever could
    /// outvote the others later must not take it away.
    fn confirm_own_addr(&mut self) {
        let own = self.own_addr.filter(|_| self.id_is_unsure && self.nat.size() >= VIEWS_MIN);
        let (Some(own), Some(host)) = (own, self.nat.host()) else { return };
        let addr = SocketAddrV4::new(host, self.nat.port());
        // Only the bound port was found to be reachable.
        let possible = is_sendable(addr) && (!self.config.firewalled || addr.port() == own.port());
        if self.ephemeral || !possible {
            return;
        }
        self.id_is_unsure = false;
        if addr != own {
            self.become_reachable(addr, false);
        }
    }

    /// What others saw was another socket of ours.
    pub(super) fn forget_own_address(&mut self) {
        self.nat = Sampler::default();
        self.anonymous_samples.clear();
        self.table.forget_samples();
        self.emit_nat();
    }

    fn emit_nat(&mut self) {
        self.emit(Event::NatUpdate { host: self.nat.host(), port: self.nat.port() });
    }

    /// Asks one node to answer to the server socket, early: if that works, the node may well
    /// be reachable, and checks it while it bootstraps.
    pub(super) fn quick_nat(&mut self, to: SocketAddrV4) {
        if self.bootstrap.take_quick_nat() {
            let value = self.server_port_value();
            self.begin_internal(to, PING_NAT, Some(value), Class::KeepAlive, Purpose::QuickNat);
        }
    }

    /// Sees whether the node can shed its firewalled state and, unless `only_firewall`, become
    /// persistent. The answer may come at once or after a check: [`network_state_known`] gets it.
    ///
    /// [`network_state_known`]: Self::network_state_known
    pub(super) fn update_network_state(&mut self, only_firewall: bool) {
        if !self.ephemeral || (only_firewall && !self.firewalled) || self.probe.is_some() {
            return self.network_state_known(false);
        }
        let (host, port) = (self.nat.host(), self.nat.port());
        if !only_firewall {
            self.upkeep.checking(host);
        }
        let Some(host) = host.filter(|_| port != 0) else {
            return self.network_state_known(false);
        };
        if !self.firewalled {
            self.become_reachable(SocketAddrV4::new(host, port), only_firewall);
            return self.network_state_known(true);
        }
        let nodes = self.probe_nodes();
        let probe = Probe::new((host, port), only_firewall, nodes.len());
        let value = self.server_port_value();
        self.probe = Some(Box::new(probe));
        for addr in nodes {
            let value = Some(value.clone());
            let class = Class::KeepAlive;
            if self.begin_internal(addr, PING_NAT, value, class, Purpose::Probe).is_none() {
                self.on_probe_failed();
            }
        }
        self.conclude_probe();
    }

    /// Those heard of last, and bootstrap nodes if these are few.
    fn probe_nodes(&self) -> heapless::Vec<SocketAddrV4, { 2 * PROBES }> {
        let mut nodes: heapless::Vec<_, { 2 * PROBES }> = self.nodes().take(PROBES).collect();
        if nodes.len() < PROBES {
            for addr in self.bootstrap_addrs() {
                if !nodes.contains(&addr) {
                    // There are enough if it is full.
                    let _ = nodes.push(addr);
                }
            }
        }
        nodes
    }

    fn server_port(&self) -> u16 {
        self.binding.map_or(0, |binding| binding.server.port())
    }

    fn server_port_value(&self) -> Bytes {
        Bytes::copy_from_slice(&self.server_port().to_le_bytes())
    }

    pub(super) fn on_probe_answered(&mut self, via: Via, from: SocketAddrV4, to: SocketAddrV4) {
        if let Some(probe) = &mut self.probe {
            probe.answered(via, *from.ip(), to);
        }
        self.conclude_probe();
    }

    pub(super) fn on_probe_failed(&mut self) {
        if let Some(probe) = &mut self.probe {
            probe.failed();
        }
        self.conclude_probe();
    }

    fn conclude_probe(&mut self) {
        let (host, port) = (self.nat.host(), self.server_port());
        let Some(probe) = self.probe.take_if(|probe| probe.is_over(host, port)) else {
            return;
        };
        self.forget_flights(|purpose| purpose == Purpose::Probe);
        let reached = probe.is_reachable(self.nat.host(), self.server_port()) && {
            let (host, port) = probe.believed;
            self.firewalled = false;
            // What was believed may have changed while the check was on.
            let unchanged = (self.nat.host(), self.nat.port()) == (Some(host), port);
            let (found, only_firewall) = (probe.sampler.port(), probe.only_firewall);
            unchanged && self.ephemeral && {
                // From now on requests leave by the server socket, so its port is ours.
                self.anonymous_samples.clear();
                let before = (self.nat.host(), self.nat.port());
                self.nat = probe.sampler;
                if before != (self.nat.host(), self.nat.port()) {
                    self.emit_nat();
                }
                if found != 0 {
                    self.become_reachable(SocketAddrV4::new(host, found), only_firewall);
                }
                found != 0
            }
        };
        self.network_state_known(reached);
    }

    /// The node is reachable at `addr`: its id follows, and its table is rebuilt around it.
    fn become_reachable(&mut self, addr: SocketAddrV4, only_firewall: bool) {
        let id = self.table.ids().of(addr);
        self.own_addr = Some(addr);
        self.id_is_unsure = self.nat.size() < VIEWS_MIN && self.config.public_address.is_none();
        if !only_firewall {
            self.ephemeral = false;
        }
        if self.table.own() != id {
            self.rebuild_table(id);
            if self.bootstrap.is_done() {
                self.start_refresh();
            }
        }
        if !self.ephemeral {
            self.emit(Event::Persistent);
        }
    }

    fn rebuild_table(&mut self, own: Id) {
        let mut dropped = Vec::new();
        self.table.rebase(own, |addr| dropped.push(addr));
        for addr in dropped {
            self.removed(addr);
        }
    }

    /// An update of the network state is over.
    fn network_state_known(&mut self, reached: bool) {
        if self.stage == Stage::Running {
            self.bootstrap_checked(reached);
        }
    }
}
