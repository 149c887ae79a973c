//! Finding out about the own address: what peers see, and whether they can reach it, for as long as the node
//! lives. Mirrors `_natAdd`, `_updateNetworkState` and `_checkIfFirewalled` of `index.js`, which look once.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use super::{Binding, Node, Stage};
use crate::addr::{is_host, is_local, is_sendable};
use crate::api::event::Event;
use crate::api::message::Via;
use crate::api::persistence::Persistence;
use crate::id::Id;
use crate::reach::firewall::{Aim, Found, PROBES, Probe};
use crate::reach::nat::Sampler;
use crate::requests::call::Purpose;
use crate::requests::congestion::Class;
use crate::table::place_of;
use crate::wire::command::PING_NAT;

/// With fewer views of our address than this, an id that is made of it is unsure.
const VIEWS_MIN: usize = 4;
/// How many nodes that were not heard of lately are asked first: too few to decide anything.
const FAVOURED: usize = 2;
/// Ticks after which a way into the server socket that our own datagrams have opened is closed: 3 minutes.
const CLOSED: u32 = 36;

impl Node {
    /// `from` has seen us as `to`.
    pub(super) fn sample(&mut self, to: SocketAddrV4, from: SocketAddrV4) {
        if self.nat.add_from(to, *from.ip()) {
            self.emit_nat();
            self.survey.sure &= !self.ephemeral;
        }
        self.survey.contradicted |= self.own_addr.is_some_and(|own| own.ip() != to.ip());
        self.confirm_own_addr();
    }

    /// The first few may be wrong about our address, by accident or on purpose, and an id made of it then counts
    /// as none with everybody else. So as soon as enough have been heard, the id is made of what these agree
    /// on. (The reference keeps the wrong one.) From then on it stays until a look shows another
    /// one: whoever could outvote the others later must not take it away.
    fn confirm_own_addr(&mut self) {
        let own = self.own_addr.filter(|_| self.id_is_unsure && self.nat.size() >= VIEWS_MIN);
        let (Some(own), Some(host)) = (own, self.nat.host()) else { return };
        let addr = SocketAddrV4::new(host, self.nat.port());
        if self.ephemeral || !self.may_have_id_of(addr, own) {
            return;
        }
        self.id_is_unsure = false;
        if addr != own {
            self.become_reachable(addr, false);
        }
    }

    /// Whether a node that took itself to be at `own` may be at `addr`: only the bound port was found to be reachable.
    pub(super) fn may_have_id_of(&self, addr: SocketAddrV4, own: SocketAddrV4) -> bool {
        is_sendable(addr) && (!self.cx.config.firewalled || addr.port() == own.port())
    }

    fn emit_nat(&mut self) {
        self.emit(Event::NatUpdate { host: self.nat.host(), port: self.nat.port() });
    }

    /// Asks a node to answer to the server socket, early: if that works, the node may well
    /// be reachable, and checks it while it bootstraps.
    pub(super) fn quick_nat(&mut self, to: SocketAddrV4) {
        if self.bootstrap.take_quick_nat(to) {
            let value = self.server_port_value();
            self.begin_internal(to, PING_NAT, Some(value), Class::KeepAlive, Purpose::QuickNat);
        }
    }

    /// Whether the configuration says that the node can be reached.
    fn is_told(&self) -> bool {
        !self.cx.config.firewalled
    }

    /// In every tick: sees whether it is time to look again if the node can be persistent, or still is.
    pub(super) fn look_again(&mut self) {
        self.looks.pass();
        let settled = self.upkeep.settle();
        // What is believed is about to be known better, and a look in vain would cost an adaptive node an hour.
        let surveyed = self.upkeep.adaptive && self.ephemeral && self.survey.order.is_some();
        if self.probe.is_some() || self.bootstrap.is_active() || surveyed {
            return;
        }
        let room = self.requests.free(&self.cx.config) >= PROBES;
        if !self.ephemeral {
            if room && self.looks.is_due_again(self.is_told()) {
                self.look_at_own_addr();
            }
            return;
        }
        let due = match self.cx.config.ephemeral {
            Some(false) => self.is_told() || self.looks.is_due(),
            _ => self.upkeep.adaptive && settled,
        };
        // Nobody has to be asked by a node that knows that it is reached.
        let due = due && (room || !self.firewalled);
        if due && self.nat.host().is_some() && self.nat.port() != 0 {
            self.update_network_state(false);
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
        let Some(host) = host.filter(|_| port != 0) else {
            return self.network_state_known(false);
        };
        if !only_firewall {
            self.upkeep.unsettle();
        }
        if !self.firewalled {
            // What was found before may be so no more.
            self.looks.changed(self.is_told());
            self.become_reachable(SocketAddrV4::new(host, port), only_firewall);
            return self.network_state_known(true);
        }
        let aim = if only_firewall { Aim::Firewall } else { Aim::Persistence };
        self.probe((host, port), aim, self.server_port());
    }

    /// Looks whether a persistent node is where it was. What the configuration says of the address stands.
    fn look_at_own_addr(&mut self) {
        match self.own_addr.filter(|own| self.cx.config.public_address != Some(*own)) {
            Some(own) => {
                // A forwarded port may be another one than the bound one.
                let port = if self.is_told() { own.port() } else { self.server_port() };
                self.probe((*own.ip(), own.port()), Aim::Again, port);
            }
            None => self.looks.changed(true),
        }
    }

    /// Asks some nodes to answer to `port`. By the client socket, always: the way into the server's must not
    /// have been opened by asking.
    fn probe(&mut self, believed: (Ipv4Addr, u16), aim: Aim, port: u16) {
        self.looks.begin();
        let nodes = self.probe_nodes();
        self.probe = Some(Box::new(Probe::new(believed, aim, port, nodes.len())));
        let value = Bytes::copy_from_slice(&port.to_le_bytes());
        for addr in nodes {
            let value = Some(value.clone());
            let class = Class::KeepAlive;
            if self.begin_internal(addr, PING_NAT, value, class, Purpose::Probe).is_none() {
                self.on_probe_failed();
            }
            // If too few can be asked, it may be over.
            if self.probe.is_none() {
                return;
            }
        }
        self.conclude_probe();
    }

    /// Nodes that have answered us, each of another /24, and each /24 of the table as likely as any other: neither who
    /// comes often nor who has many nodes must decide. At first a few that were not asked or heard of lately, since the
    /// others may have a way in that not everybody has; but requests that are forged make any node look as if it was
    /// heard of, so most are drawn from all. If these are few, bootstrap nodes that have none to be in the table by. A stranger
    /// who is the only one known does not decide, unless the user has told of nobody.
    fn probe_nodes(&mut self) -> heapless::Vec<SocketAddrV4, PROBES> {
        let mut nodes = heapless::Vec::<(u32, SocketAddrV4), PROBES>::new();
        let (tick, key) = (self.cx.tick, self.cx.rng.next_u32());
        let favoured = if self.firewalled { 0 } else { FAVOURED };
        let mut add = |most, place, addr| {
            if nodes.len() < most && nodes.iter().all(|(other, _)| *other != place) {
                // There is a place.
                let _ = nodes.push((place, addr));
            }
        };
        for (most, silent) in [(favoured, CLOSED), (PROBES, 0)] {
            for (place, addr) in self.table.spread(key, None, silent, tick) {
                add(most, place, addr);
            }
        }
        // Those with an id are in the table.
        for addr in self.bootstrap_addrs().filter(|addr| self.anonymous_samples.contains(addr)) {
            add(PROBES, place_of(addr, key), addr);
        }
        if let [(place, only)] = nodes[..] {
            let users = || self.bootstrap_addrs().chain(self.given.iter());
            if self.has_sources() && !is_local(*only.ip()) && users().all(|addr| addr != only) {
                // Of a /24 that is the only one, a node that the user has named will do.
                let known =
                    |addr: &_| place_of(*addr, key) == place && self.table.get(*addr).is_some();
                let known = users().find(known);
                nodes.clear();
                nodes.extend(known.map(|addr| (place, addr)));
            }
        }
        nodes.into_iter().map(|(_, addr)| addr).collect()
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

    /// Somebody may be guessing an answer, so that the true one does not count either.
    pub(super) fn on_probe_guessed(&mut self) {
        if let Some(probe) = &mut self.probe {
            probe.guessed();
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
        let Some(mut probe) = self.probe.take_if(|probe| probe.is_over(host, port)) else {
            return;
        };
        self.requests.forget_all(&mut self.cx, |purpose| purpose == Purpose::Probe);
        if probe.aim == Aim::Again {
            return self.seen_again(*probe);
        }
        let reached = probe.is_reachable(self.nat.host(), self.server_port()) && {
            let (host, port) = probe.believed;
            self.firewalled = false;
            // What was believed may have changed while the check was on.
            let unchanged = (self.nat.host(), self.nat.port()) == (Some(host), port);
            unchanged && self.ephemeral && {
                // From now on requests leave by the server socket, so its port is ours.
                probe.sampler.keep_only(host);
                self.stop_survey();
                self.take_views(probe.sampler);
                let own = SocketAddrV4::new(host, self.server_port());
                self.become_reachable(own, probe.aim == Aim::Firewall);
                true
            }
        };
        if reached {
            self.looks.changed(true);
        } else {
            if !self.firewalled {
                // What is believed was said of the client socket's port.
                self.forget_views();
            }
            self.looks.failed();
        }
        self.network_state_known(reached);
    }

    /// A look at a persistent node is over.
    fn seen_again(&mut self, probe: Probe) {
        match probe.found() {
            _ if self.ephemeral => {}
            Found::Same | Found::Unclear => self.looks.unchanged(),
            Found::Moved(addr) | Found::Disputed(addr) if !self.may_be_at(addr) => {
                self.looks.unchanged();
            }
            Found::Disputed(addr) => _ = self.looks.is_moved(addr, false),
            Found::Moved(addr) => {
                if self.looks.is_moved(addr, true) {
                    self.looks.changed(true);
                    self.stop_survey();
                    self.move_id_to(addr, probe.sampler);
                }
            }
            Found::Nobody if self.is_told() => self.looks.unchanged(),
            Found::Nobody => {
                if self.looks.missed(self.cx.stats.requests.responses as u32) {
                    self.lose_reachability();
                    self.looks.failed();
                }
            }
        }
    }

    /// Whether a persistent node may have moved to `addr`: not where another one is, nor out of the internet.
    pub(super) fn may_be_at(&self, addr: SocketAddrV4) -> bool {
        let was_local = self.own_addr.is_some_and(|own| is_local(*own.ip()));
        is_host(addr)
            && (was_local || !is_local(*addr.ip()))
            && self.table.get(addr).is_none()
            && self.bootstrap_addrs().all(|other| other != addr)
    }

    /// A persistent node is at `addr`, as these views have it, and not where it was.
    pub(super) fn move_id_to(&mut self, addr: SocketAddrV4, views: Sampler) {
        self.take_views(views);
        self.table.forget_samples();
        self.become_reachable(addr, false);
    }

    /// Has these views of the own address instead of others.
    pub(super) fn take_views(&mut self, views: Sampler) {
        self.anonymous_samples.clear();
        let before = (self.nat.host(), self.nat.port());
        self.nat = views;
        if before != (self.nat.host(), self.nat.port()) {
            self.emit_nat();
        }
    }

    /// Whoever has told the own address is asked anew.
    fn forget_views(&mut self) {
        self.stop_survey();
        self.take_views(Sampler::default());
        self.table.forget_samples();
    }

    /// Others do not reach the node, as far as is known.
    fn lose_reachability(&mut self) {
        self.looks.anew();
        self.upkeep.unsettle();
        if !self.firewalled {
            // From now on requests leave by the client socket.
            self.firewalled = true;
            self.forget_views();
        }
        if !self.ephemeral {
            self.ephemeral = true;
            self.emit(Event::Ephemeral);
        }
    }

    /// The sockets are bound elsewhere than before, which nobody else has to tell us. A node that is told
    /// to be reachable has another id at once; for another one nothing is known of the new port.
    pub(super) fn rebound(&mut self, before: Binding) {
        let Some(bound) = self.binding else { return };
        if bound.client != before.client && self.firewalled {
            self.forget_views();
        }
        if bound.server == before.server {
            return;
        }
        // It is about the old port, and its outcome would count for the new one.
        let check = self.probe.take();
        self.requests.forget_all(&mut self.cx, |purpose| purpose == Purpose::Probe);
        self.move_server(before.server, bound.server);
        if check.is_some_and(|check| check.aim != Aim::Again) {
            self.network_state_known(false);
        }
    }

    fn move_server(&mut self, before: SocketAddrV4, bound: SocketAddrV4) {
        if !self.is_told() {
            return self.lose_reachability();
        }
        self.forget_views();
        let Some(own) = self.own_addr else { return };
        let same_host = own.ip() == before.ip();
        let host = if same_host { *bound.ip() } else { *own.ip() };
        let same_port = own.port() == before.port();
        let port = if same_port { bound.port() } else { own.port() };
        let addr = SocketAddrV4::new(host, port);
        if self.cx.config.public_address.is_some() && self.nat.add(addr) {
            self.emit_nat();
        }
        if self.ephemeral || !is_sendable(addr) {
            self.own_addr = Some(addr);
        } else if addr != own {
            self.become_reachable(addr, false);
        }
    }

    /// The node is reachable at `addr`: its id follows, and its table is rebuilt around it.
    pub(super) fn become_reachable(&mut self, addr: SocketAddrV4, only_firewall: bool) {
        let id = self.table.ids().of(addr);
        self.own_addr = Some(addr);
        let given = self.cx.config.public_address == Some(addr);
        self.id_is_unsure = self.nat.size() < VIEWS_MIN && !given;
        self.survey.sure = given;
        if !only_firewall {
            self.ephemeral = false;
        }
        if self.table.own() != id {
            self.rebuild_table(id);
            if self.bootstrap.is_done() {
                // Its new neighbours get to know of it.
                self.start_search(id);
            }
        }
        if !self.ephemeral {
            self.emit(Event::Persistent);
        }
    }

    fn rebuild_table(&mut self, own: Id) {
        let mut dropped = Vec::new();
        self.table.rebase(own, self.cx.tick, |addr| dropped.push(addr));
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

    /// Why the node is persistent, or is not: a snapshot. [`Event::Persistence`] tells of changes.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        let wanted = self.cx.config.ephemeral == Some(false);
        match (self.nat.host(), self.nat.port()) {
            _ if !self.ephemeral && self.is_told() => Persistence::Told,
            _ if !self.ephemeral => Persistence::Reachable,
            _ if !wanted && !self.upkeep.adaptive => Persistence::Declined,
            _ if !self.bootstrap.is_done() => Persistence::Bootstrapping,
            _ if !wanted && !self.upkeep.is_settled() && !self.looks.has_failed() => {
                Persistence::Settling
            }
            (None, _) => Persistence::AddressUnknown,
            (Some(_), 0) => Persistence::PortVaries,
            _ if self.looks.has_failed() => Persistence::Unreachable,
            _ => Persistence::Unchecked,
        }
    }

    /// What is to be told of it, if that has not been told yet.
    pub(super) fn persistence_news(&mut self) -> Option<Event> {
        let now = self.persistence();
        let news = self.stage == Stage::Running && self.persistence_told != now;
        news.then(|| {
            self.persistence_told = now;
            Event::Persistence(now)
        })
    }
}
