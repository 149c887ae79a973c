//! When to run the [firewall check](super::firewall), and what its outcome changes: for an ephemeral node that wants to
//! be persistent, and for a persistent node that may have moved.

use alloc::boxed::Box;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::firewall::{Aim, Found};
use super::{News, Others, PROBES, Probe, Reach, Step};
use crate::api::message::Via;
use crate::context::Cx;
use crate::table::place_of;

/// How many nodes that were not heard of lately are asked first: too few to decide anything.
const FAVOURED: usize = 2;
/// Ticks after which a way into the server socket that our own datagrams have opened is closed: 3 minutes.
const CLOSED: u32 = 36;

impl Reach {
    /// In every tick: sees whether it is time to look if the node can be persistent, or still is. `free`: how many requests
    /// may begin.
    pub(crate) fn look_on_tick(
        &mut self,
        cx: &mut Cx,
        others: Others<'_>,
        free: usize,
        bootstraps: bool,
    ) {
        self.looks.pass();
        let stable = self.stability.pass();
        // What is believed is about to be known better, and a look in vain would cost an adaptive node an hour.
        let surveyed = self.stability.adaptive && self.ephemeral && self.survey.order.is_some();
        if self.probe.is_some() || bootstraps || surveyed {
            return;
        }
        let told = !cx.config.firewalled;
        let room = free >= PROBES;
        if !self.ephemeral {
            if room && self.looks.is_due_again(told) {
                self.look_at_own_addr(cx, others);
            }
            return;
        }
        let due = match cx.config.ephemeral {
            Some(false) => told || self.looks.is_due(),
            _ => self.stability.adaptive && stable,
        };
        // A node that knows that it is reached need not ask.
        let due = due && (room || !self.firewalled);
        if due && self.nat.host().is_some() && self.nat.port() != 0 {
            self.look(cx, others, false);
        }
    }

    /// Sees whether the node can shed its firewalled state and, unless `only_firewall`, become persistent. The outcome
    /// comes as [`News::Looked`], at once or after a check.
    pub(crate) fn look(&mut self, cx: &mut Cx, others: Others<'_>, only_firewall: bool) {
        if !self.ephemeral || (only_firewall && !self.firewalled) || self.probe.is_some() {
            return self.tell(News::Looked(false));
        }
        let (host, port) = (self.nat.host(), self.nat.port());
        let Some(host) = host.filter(|_| port != 0) else {
            return self.tell(News::Looked(false));
        };
        if !only_firewall {
            self.stability.try_later();
        }
        if !self.firewalled {
            // What was found before may be so no more.
            self.looks.changed(!cx.config.firewalled);
            self.become_reachable(cx, SocketAddrV4::new(host, port), only_firewall);
            return self.tell(News::Looked(true));
        }
        let aim = if only_firewall { Aim::Firewall } else { Aim::Persistence };
        self.probe(cx, others, (host, port), aim, self.server_port());
    }

    /// Looks whether a persistent node is where it was. What the configuration says of the address stands.
    fn look_at_own_addr(&mut self, cx: &mut Cx, others: Others<'_>) {
        match self.own_addr.filter(|own| cx.config.public_address != Some(*own)) {
            Some(own) => {
                // A forwarded port may be another one than the bound one.
                let told = !cx.config.firewalled;
                let port = if told { own.port() } else { self.server_port() };
                self.probe(cx, others, (*own.ip(), own.port()), Aim::Again, port);
            }
            None => self.looks.changed(true),
        }
    }

    /// Asks some nodes to answer to `port`. By the client socket, always: the way into the server's must not
    /// have been opened by asking.
    fn probe(
        &mut self,
        cx: &mut Cx,
        others: Others<'_>,
        believed: (Ipv4Addr, u16),
        aim: Aim,
        port: u16,
    ) {
        self.looks.begin();
        let nodes = self.probe_nodes(cx, others);
        self.probe = Some(Box::new(Probe::new(believed, aim, port, nodes.len())));
        self.asks.clear();
        self.asks.extend(nodes);
        self.step = Step::Probe { port };
        self.conclude_probe(cx, others);
    }

    /// The nodes to ask: nodes that have answered us, each of another /24, where each /24 of the table is as likely as
    /// any other, since neither nodes that come often nor hosts with many nodes must decide. First come a few nodes not
    /// asked or heard of lately, since our datagrams may have opened a way in for the rest; but forged requests make any
    /// node look recently heard of, so most are drawn from the whole table. If these are few, bootstrap nodes without an id
    /// (which are in no table) follow. A stranger that is the only known node does not decide, unless the user has
    /// named no node.
    fn probe_nodes(&self, cx: &mut Cx, others: Others<'_>) -> heapless::Vec<SocketAddrV4, PROBES> {
        let mut nodes = heapless::Vec::<(u32, SocketAddrV4), PROBES>::new();
        let (tick, key) = (cx.tick, cx.rng.next_u32());
        let exempt = &cx.config.exempt;
        let favoured = if self.firewalled { 0 } else { FAVOURED };
        let mut add = |most, place, addr| {
            if nodes.len() < most && nodes.iter().all(|(other, _)| *other != place) {
                // There is a place.
                let _ = nodes.push((place, addr));
            }
        };
        for (most, silent) in [(favoured, CLOSED), (PROBES, 0)] {
            for (place, addr) in others.table.spread((key, None), exempt, silent, tick) {
                add(most, place, addr);
            }
        }
        let Others { table, sources } = others;
        let bootstrap = || sources.bootstrap(&cx.config, self.own_addr);
        // Nodes with an id are in the table.
        for addr in bootstrap().filter(|addr| self.anonymous.contains(addr)) {
            add(PROBES, place_of(addr, key, exempt), addr);
        }
        if let [(place, only)] = nodes[..] {
            let users = || bootstrap().chain(sources.given.iter());
            if sources.any(&cx.config)
                && !exempt.covers(*only.ip())
                && users().all(|addr| addr != only)
            {
                // Of a /24 that is the only one, a node that the user has named will do.
                let known =
                    |addr: &_| place_of(*addr, key, exempt) == place && table.get(*addr).is_some();
                let known = users().find(known);
                nodes.clear();
                nodes.extend(known.map(|addr| (place, addr)));
            }
        }
        nodes.into_iter().map(|(_, addr)| addr).collect()
    }

    /// A part of the check has ended: the node that answered, the socket, and the address at which it sees us; or no answer,
    /// perhaps because an attacker may be guessing it, so that even the true one does not count.
    pub(crate) fn on_probe(
        &mut self,
        cx: &mut Cx,
        others: Others<'_>,
        answer: Option<(Via, SocketAddrV4, SocketAddrV4)>,
        guessed: bool,
    ) {
        if let Some(probe) = &mut self.probe {
            match answer {
                Some((via, from, to)) => probe.answered(via, *from.ip(), to, &cx.config.exempt),
                None if guessed => probe.guessed(),
                None => probe.failed(),
            }
        }
        self.conclude_probe(cx, others);
    }

    fn conclude_probe(&mut self, cx: &mut Cx, others: Others<'_>) {
        let (host, port) = (self.nat.host(), self.server_port());
        let Some(mut probe) = self.probe.take_if(|probe| probe.is_over(host, port)) else {
            return;
        };
        self.asks.clear();
        self.tell(News::ProbesEnd);
        if probe.aim == Aim::Again {
            return self.seen_again(cx, others, *probe);
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
                self.take_views(cx, probe.sampler);
                let own = SocketAddrV4::new(host, self.server_port());
                self.become_reachable(cx, own, probe.aim == Aim::Firewall);
                true
            }
        };
        if reached {
            self.looks.changed(true);
        } else {
            if !self.firewalled {
                // What is believed was said of the client socket's port.
                self.forget_views(cx);
            }
            self.looks.failed();
        }
        self.tell(News::Looked(reached));
    }

    /// A look at a persistent node is over.
    fn seen_again(&mut self, cx: &mut Cx, others: Others<'_>, probe: Probe) {
        match probe.found() {
            _ if self.ephemeral => {}
            Found::Same | Found::Unclear => self.looks.unchanged(),
            Found::Moved(addr) | Found::Disputed(addr) if !self.may_be_at(cx, others, addr) => {
                self.looks.unchanged();
            }
            Found::Disputed(addr) => _ = self.looks.note_move(addr, false),
            Found::Moved(addr) => {
                if self.looks.note_move(addr, true) {
                    self.looks.changed(true);
                    self.stop_survey();
                    self.move_to(cx, addr, probe.sampler);
                }
            }
            Found::Nobody if !cx.config.firewalled => self.looks.unchanged(),
            Found::Nobody => {
                if self.looks.missed(cx.stats.requests.responses as u32) {
                    self.lose_reachability(cx);
                    self.looks.failed();
                }
            }
        }
    }
}
