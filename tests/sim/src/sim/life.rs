//! What hosts go through: they are added, start, meet their deadlines, crash, come back, are stopped,
//! sleep.

use std::net::Ipv4Addr;
use std::time::Duration;

use dht_core::{ConfigError, Event, Id, IdCache, Node, SavedNode};

use super::engine::{deadline_key, micros, timer_key};
use super::host::{Host, Kept, Pause};
use super::{Actor, Sim, Spec};
use crate::world::addrs::{Owner, in_row, port_of};
use crate::world::{HostId, Micros, Purpose, Stream, addresses::Place, clock::Clock};

/// Codes of changes in the trace.
mod code {
    pub(super) const STARTED: u64 = 1;
    pub(super) const CRASHED: u64 = 2;
    pub(super) const PAUSED: u64 = 3;
    pub(super) const WENT_ON: u64 = 4;
    pub(super) const EVENT: u64 = 16;
}

/// What a node comes back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// The same address, an empty table.
    Fresh,
    /// The same address, and the table that it had.
    WithTable,
    /// Another node in its place: at another port, so with another id.
    Anew,
}

impl Sim {
    /// Adds a host. It starts at once, or after the delay that was asked for.
    ///
    /// # Errors
    /// If its configuration can't be used.
    ///
    /// # Panics
    /// Beyond 5.7 million hosts, for which there are no addresses; if the address that it asks for is taken; behind a
    /// firewall that stands before 254 hosts already.
    pub fn add(&mut self, spec: Spec) -> Result<HostId, ConfigError> {
        let at = HostId(self.hosts.len() as u32);
        let Place { ip, slot } = self.place(at, spec.ip, spec.slot, spec.nat);
        let mut host = self.empty_host(at, ip, spec.clock);
        (host.slot, host.port) = (slot, port_of(slot, 0));
        host.region = spec.region;
        host.nat = spec.nat;
        host.app = spec.app;
        host.kept =
            Some(Box::new(Kept { config: spec.config, table: Vec::new(), since: self.now }));
        self.hosts.push(host);
        if spec.delay == 0 {
            self.start(at)?;
        } else {
            self.set_timer(at, self.now.saturating_add(spec.delay), Due::Start);
        }
        Ok(at)
    }

    /// Adds an attacker, or whatever else is no node, at these addresses, at once.
    ///
    /// # Panics
    /// If one of them is taken.
    pub fn add_actor(&mut self, ips: &[Ipv4Addr], actor: impl Actor) -> HostId {
        self.add_boxed_actor(ips, Box::new(actor))
    }

    /// Adds an actor that is boxed already.
    ///
    /// # Panics
    /// As [`add_actor`](Self::add_actor).
    pub fn add_boxed_actor(&mut self, ips: &[Ipv4Addr], actor: Box<dyn Actor>) -> HostId {
        let at = HostId(self.hosts.len() as u32);
        let ip = ips.first().copied().unwrap_or_else(|| in_row(at.index()));
        for ip in ips {
            self.claim(*ip, Owner::Host(at));
        }
        let mut host = self.empty_host(at, ip, Clock::default());
        host.actor = Some(actor);
        host.app_rng = Stream::new(self.seed, Purpose::Actor, at.0);
        self.hosts.push(host);
        self.act(at, |actor, cx| actor.on_start(cx));
        at
    }

    /// An actor is gone: what it had planned is not done, and what is sent to it arrives nowhere.
    pub fn remove_actor(&mut self, at: HostId) {
        if let Some(host) = self.hosts.get_mut(at.index()) {
            host.actor = None;
            self.wires.retain(|(_, actor)| *actor != at);
        }
    }

    fn empty_host(&self, at: HostId, ip: Ipv4Addr, clock: Clock) -> Host {
        Host {
            ip,
            clock: clock.start(),
            link_rng: Stream::new(self.seed, Purpose::Link, at.0),
            app_rng: Stream::new(self.seed, Purpose::App, at.0),
            ..Host::default()
        }
    }

    /// Starts the node of a host that is down. Does nothing if it is up.
    ///
    /// # Errors
    /// If its configuration can't be used.
    pub fn start(&mut self, at: HostId) -> Result<(), ConfigError> {
        let ids = self.ids.clone();
        let host = &mut self.hosts[at.index()];
        if host.node.is_some() {
            return Ok(());
        }
        let Some(kept) = host.kept.take() else { return Ok(()) };
        let mut config = kept.config;
        let server = host.server();
        if host.nat.is_none() {
            // Hashed here, once; everybody else looks it up.
            ids.set(server);
        }
        config.ids.get_or_insert_with(|| IdCache::new(move |addr| ids.get(addr)));
        let now = host.local(self.now);
        let which = at.0.rotate_left(8) ^ host.generation.rotate_right(8);
        let mut rng = Stream::new(self.seed, Purpose::Node, which);
        let mut node = Node::new(config, &mut rng, now)?;
        let away = Duration::from_micros(self.now - kept.since);
        node.import(now, &kept.table, away);
        let client = host.client();
        node.handle_bound(now, client, server);
        host.node = Some(Box::new(node));
        self.up += 1;
        self.trace.change(self.now, at, code::STARTED);
        self.settle(at);
        Ok(())
    }

    /// The node of a host vanishes, without a word. Its table and configuration are kept for a return.
    pub fn crash(&mut self, at: HostId) {
        let now = self.now;
        let host = &mut self.hosts[at.index()];
        let Some(node) = host.node.take() else { return };
        self.up -= 1;
        // Whatever it had planned ends with it, and its secrets are drawn anew the next time.
        host.generation += 1;
        host.armed = Micros::MAX;
        host.pause = Pause::No;
        host.was_paused = false;
        let backlog = std::mem::take(&mut host.backlog);
        host.missed.clear();
        let usual = host.usual.take().map(|usual| *usual);
        let config = usual.unwrap_or_else(|| node.config().clone());
        host.kept = Some(Box::new(Kept { config, table: node.export(), since: now }));
        let id = node.table_id();
        for packet in backlog {
            self.packets.discard(packet);
        }
        self.unlist(id, at);
        self.lookups.host_down(at);
        self.trace.change(now, at, code::CRASHED);
        self.ask(Some(at), |invariant, sim| invariant.down(sim, at));
    }

    /// A host that has crashed comes back. Does nothing if it is up.
    ///
    /// # Errors
    /// If its configuration can't be used.
    pub fn restart(&mut self, at: HostId, how: Return) -> Result<(), ConfigError> {
        let host = &mut self.hosts[at.index()];
        if host.node.is_none() {
            if let Some(kept) = host.kept.as_mut().filter(|_| how != Return::WithTable) {
                kept.table = Vec::new();
            }
            if how == Return::Anew {
                self.ids.forget(host.server());
                host.port = port_of(host.slot, host.generation);
                // A bootstrap node knows where it is.
                let known = host.kept.as_mut().and_then(|kept| kept.config.public_address.as_mut());
                known.into_iter().for_each(|address| address.set_port(host.port));
            }
            if let Some(app) = &mut host.app {
                app.on_restart(how);
            }
        }
        self.start(at)
    }

    /// Starts the node of a host that is down as if it had been there all along: it has this table, knows its public
    /// address, and begins no lookup for its place. Not for nodes that can't be reached, or have to find out. Does nothing
    /// if the node is up.
    ///
    /// Until it starts the next time, its table alone tells it whom to ask, and no bootstrap node.
    ///
    /// # Errors
    /// If its configuration can't be used.
    pub fn start_settled(
        &mut self,
        at: HostId,
        table: &[SavedNode],
        away: Duration,
    ) -> Result<(), ConfigError> {
        let host = &mut self.hosts[at.index()];
        let server = host.server();
        let Some(kept) = host.kept.as_deref_mut() else { return Ok(()) };
        let usual = Box::new(kept.config.clone());
        kept.config.bootstrap = Vec::new();
        kept.config.public_address = Some(server);
        self.start(at)?;
        self.hosts[at.index()].usual = Some(usual);
        self.import_table(at, table, away);
        Ok(())
    }

    /// The table of a host: as it was saved, if the host is down.
    pub fn saved_table(&self, at: HostId) -> Vec<SavedNode> {
        let host = &self.hosts[at.index()];
        match (&host.node, &host.kept) {
            (Some(node), _) => node.export(),
            (None, Some(kept)) => kept.table.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// Gives the node of a host a saved table, `away` old. If it is down, it will start with it.
    pub fn import_table(&mut self, at: HostId, table: &[SavedNode], away: Duration) {
        let host = &mut self.hosts[at.index()];
        let now = host.local(self.now);
        if let Some(node) = host.node.as_deref_mut() {
            node.import(now, table, away);
            self.flush(at);
        } else if let Some(kept) = host.kept.as_deref_mut() {
            kept.table = table.to_vec();
            kept.since = self.now.saturating_sub(micros(away));
        }
    }

    /// Stops the process of a host for a while: what comes in waits in its sockets.
    pub fn stall(&mut self, at: HostId, time: Duration) {
        self.pause(at, Pause::Stalled, time);
    }

    /// The machine sleeps for a while: what comes in is lost. Its boot clock goes on, its
    /// monotonic clock does not.
    pub fn sleep(&mut self, at: HostId, time: Duration) {
        self.pause(at, Pause::Asleep, time);
    }

    fn pause(&mut self, at: HostId, pause: Pause, time: Duration) {
        let host = &mut self.hosts[at.index()];
        if !host.is_up() {
            return;
        }
        host.pause = pause;
        host.was_paused = true;
        if pause == Pause::Asleep {
            host.clock.suspend(self.now, micros(time));
        }
        self.trace.change(self.now, at, code::PAUSED);
        self.set_timer(at, self.now.saturating_add(micros(time)), Due::GoOn);
    }

    fn go_on(&mut self, at: HostId) {
        let host = &mut self.hosts[at.index()];
        if host.pause == Pause::No {
            return;
        }
        host.pause = Pause::No;
        let backlog = std::mem::take(&mut host.backlog);
        let missed = std::mem::take(&mut host.missed);
        self.trace.change(self.now, at, code::WENT_ON);
        // A loop that finds both its timers run out and datagrams in its sockets.
        self.meet_deadline(at);
        for token in missed {
            self.app_timer(at, token);
        }
        for place in backlog {
            let packet = self.packets.take(place);
            let _ = self.hand_over(at, &packet);
            self.packets.put_back(place, packet);
        }
        // What was asked of it meanwhile.
        self.settle(at);
    }

    /// Steps a host's wall clock. Nodes don't look at it; applications may.
    pub fn step_wall_clock(&mut self, at: HostId, by_us: i64) {
        self.hosts[at.index()].clock.step(by_us);
    }

    /// A deadline of a host is due, unless it is an old one.
    pub(crate) fn fire(&mut self, at: HostId, due: Micros) {
        let host = &mut self.hosts[at.index()];
        if host.armed != due {
            return;
        }
        host.armed = Micros::MAX;
        if host.is_up() {
            self.meet_deadline(at);
        }
    }

    /// Calls a node whose deadline has come, if it has.
    fn meet_deadline(&mut self, at: HostId) {
        let host = &mut self.hosts[at.index()];
        let now = host.local(self.now);
        let Some(node) = host.node.as_deref_mut() else { return };
        if node.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.counts.timeouts += 1;
            node.handle_timeout(now);
            if node.poll_timeout().is_some_and(|deadline| deadline <= now) {
                let message = "it has just been called, and wants to be again".to_owned();
                self.violate("no deadline in the past", Some(at), message);
            }
            self.settle(at);
        } else {
            self.arm(at);
        }
    }

    /// A host has dealt with something: sends what follows, and checks what must hold.
    pub(crate) fn settle(&mut self, at: HostId) {
        self.flush(at);
        self.check(at);
    }

    /// Sends what a node wants to send, and deals with its events.
    pub(crate) fn flush(&mut self, at: HostId) {
        loop {
            let host = &mut self.hosts[at.index()];
            let now = host.local(self.now);
            let Some(node) = host.node.as_deref_mut().filter(|_| host.pause == Pause::No) else {
                return;
            };
            if let Some(event) = node.poll_event() {
                self.on_event(at, &event);
            } else if let Some(transmit) = node.poll_transmit(now, &mut self.buf.0) {
                self.send(at, transmit);
            } else {
                break;
            }
        }
        self.arm(at);
    }

    /// Sees to it that the host is called by its next deadline.
    fn arm(&mut self, at: HostId) {
        let host = &mut self.hosts[at.index()];
        let Some(deadline) = host.node.as_deref().and_then(Node::poll_timeout) else { return };
        let due = host.global(deadline).max(self.now);
        // A later deadline is not worth an entry: the earlier one will find out.
        if due < host.armed {
            host.armed = due;
            self.events.push(due, deadline_key(at));
        }
    }

    fn on_event(&mut self, at: HostId, event: &Event) {
        let what = match event {
            Event::Response(_) | Event::Reply(_) | Event::Finished(_) => None,
            Event::Listening => Some(0),
            Event::Ready => Some(1),
            Event::BootstrapSilent { .. } => Some(2),
            Event::Persistent => Some(3),
            Event::Ephemeral => Some(4),
            Event::WakeUp => Some(5),
            Event::NetworkChange => Some(6),
            Event::NetworkUpdate => Some(7),
            Event::NatUpdate { .. } => Some(8),
            Event::Suspended => Some(9),
            Event::Resumed => Some(10),
            Event::Closed => Some(11),
            _ => Some(12),
        };
        if let Some(what) = what {
            self.trace.change(self.now, at, code::EVENT + what);
            self.taps.event(self.now, at, event);
        }
        match event {
            Event::Persistent => self.list(at),
            Event::Ephemeral => {
                // Behind a NAT, its own address is not the address that its id is the hash of.
                if let Some(id) = self.node(at).map(Node::table_id) {
                    self.unlist(id, at);
                }
            }
            _ => {}
        }
        self.ask(Some(at), |invariant, sim| invariant.event(sim, at, event));
        if !self.on_lookup_event(at, event) && !self.is_awaited(at, event) {
            self.call_app(at, |app, cx| app.on_event(cx, event));
        }
    }

    /// A node has an id now.
    fn list(&mut self, at: HostId) {
        if let Some(id) = self.node(at).and_then(Node::id) {
            self.truth.insert(id, at);
        }
    }

    /// Unless another one has the id by now.
    fn unlist(&mut self, id: Id, at: HostId) {
        if self.truth.get(&id) == Some(&at) {
            self.truth.remove(&id);
        }
    }

    pub(crate) fn set_timer(&mut self, at: HostId, when: Micros, due: Due) {
        self.next_timer += 1;
        let timer = Timer { host: at, generation: self.hosts[at.index()].generation, due };
        self.timers.insert(self.next_timer, timer);
        self.events.push(when, timer_key(self.next_timer));
    }

    /// A timer of a host has run out, whether it is up or not.
    pub(crate) fn on_timer(&mut self, serial: u64) {
        let Some(Timer { host: at, generation, due }) = self.timers.remove(&serial) else {
            return;
        };
        let host = &mut self.hosts[at.index()];
        if host.generation != generation {
            // Its process has crashed since.
            return;
        }
        match due {
            // Its configuration was looked at when it was added.
            Due::Start => drop(self.start(at)),
            Due::GoOn => self.go_on(at),
            Due::Token(token) if host.actor.is_some() => {
                self.act(at, |actor, cx| actor.on_timer(cx, token));
            }
            Due::Token(token) if host.pause != Pause::No => host.missed.push(token),
            Due::Token(token) => self.app_timer(at, token),
        }
    }

    fn app_timer(&mut self, at: HostId, token: u64) {
        let called = self.call_app(at, |app, cx| app.on_timer(cx, token));
        if called.is_some() {
            self.settle(at);
        }
    }
}

/// A timer under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    host: HostId,
    /// Which of the host's processes has set it.
    generation: u32,
    due: Due,
}

/// What is to happen when a timer has run out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// The host starts.
    Start,
    /// Its process goes on, or its machine wakes up.
    GoOn,
    /// Its application or actor is told.
    Token(u64),
}
