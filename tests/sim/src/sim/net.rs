//! How datagrams travel: out of a node, through its NAT, past rules, partitions and the link, and
//! into another node.

use std::any::Any;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{Answer, Handled, Transmit, Via, error_code};
use dyn_clone::DynClone;

use super::host::{Host, Pause};
use super::{ActorCx, Cx, Datagram, Direction, Packet, Sim, engine::packet_key, life::Due};
use crate::world::addrs::{Owner, host_at};
use crate::world::link::{Carried, Damage, Path};
use crate::world::nat::{Kind, Nat, NatBox, Outbound};
use crate::world::{HostId, Micros, NatId, Purpose, Stream, addresses::Who};

/// What a rule makes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The next rule decides, or else the link.
    Pass,
    /// It arrives unharmed, after this many microseconds.
    Deliver(Micros),
    /// It is lost.
    Drop,
}

/// Decides what becomes of datagrams. A closure that can be cloned is one.
///
/// ```
/// use dht_sim::{Fate, Micros, Packet, Sim};
///
/// let mut sim = Sim::new(1);
/// sim.add_rule(|_: Micros, packet: &Packet| match packet.bytes.len() {
///     ..500 => Fate::Pass,
///     _ => Fate::Drop,
/// });
/// ```
pub trait Rule: DynClone + Any + Send {
    /// A datagram has been sent. Its addresses are as on the public network, after any NAT.
    fn on_packet(&mut self, now: Micros, packet: &Packet) -> Fate;
}

dyn_clone::clone_trait_object!(Rule);

impl<F: FnMut(Micros, &Packet) -> Fate + Clone + Send + 'static> Rule for F {
    fn on_packet(&mut self, now: Micros, packet: &Packet) -> Fate {
        self(now, packet)
    }
}

/// What waits in the sockets of a stopped process: as many datagrams as the usual buffer of
/// 208 KiB takes, each of which counts for 768 bytes there. What comes after that is lost.
const BACKLOG_MAX: usize = 277;
/// From this port on they are sockets of the embedder's own.
const EXTRA_PORTS: u16 = 62_100;

impl Sim {
    /// Adds a NAT or firewall at a public address of its own, in a /24 of its own unless a
    /// [model](Self::set_addresses) says otherwise.
    pub fn add_nat(&mut self, config: Nat) -> NatId {
        let number = self.nats.len() as u32;
        // The hosts behind a firewall have the rest of its /24.
        let model = self.model.as_mut().filter(|_| config.kind != Kind::Firewall);
        let ip = match model {
            Some(model) => model.place(Who::Nat(number)).ip,
            // Beside the row of hosts, one per /24 like these: 101.0.0.1, 101.0.1.1, …
            None => Ipv4Addr::from(0x6500_0001 + (number << 8)),
        };
        self.add_nat_at(ip, config)
    }

    /// Adds a NAT or firewall at this public address. Hosts behind a firewall have this address and the following
    /// ones in its /24: it translates nothing.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn add_nat_at(&mut self, ip: Ipv4Addr, config: Nat) -> NatId {
        let nat = NatId(self.nats.len() as u32);
        let stream = Stream::new(self.seed, Purpose::Nat, nat.0);
        self.nats.push(NatBox::new(config, ip, stream));
        self.claim(ip, Owner::Nat(nat));
        nat
    }

    /// The same for all NATs.
    pub fn rebind_nats(&mut self) {
        self.nats.iter_mut().for_each(NatBox::rebind);
    }

    /// A node has sent something: the bytes are in the buffer.
    pub(crate) fn send(&mut self, host: HostId, transmit: Transmit) {
        let sender = &self.hosts[host.index()];
        let port = match transmit.via {
            Via::Server => sender.port,
            Via::Client => sender.port + 1,
            Via::Extra(port) => port,
        };
        let (from, nat) = (SocketAddrV4::new(sender.ip, port), sender.nat);
        let bytes = &self.buf.0[..transmit.len];
        let at = self.packets.put(host, Datagram { from, to: transmit.to, bytes });
        let mut packet = self.leave(host, at);
        self.ask(Some(host), |invariant, sim| invariant.sent(sim, host, &packet));
        if let Some(nat) = nat {
            if self.are_neighbours(nat, host, packet.to) {
                return self.arrive(NEARBY, at, packet);
            }
            match self.nats[nat.index()].outbound(self.now, from, packet.to) {
                Outbound::Sent(public) => packet.from = public,
                Outbound::Hairpin(public) => {
                    packet.from = public;
                    return self.arrive(NEARBY, at, packet);
                }
                Outbound::Dropped => return self.lose(at, packet),
            }
        }
        self.carry(at, packet);
    }

    /// An actor has sent something, from wherever it says.
    pub(crate) fn send_raw(&mut self, host: HostId, datagram: Datagram<'_>) {
        let at = self.packets.put(host, datagram);
        let packet = self.leave(host, at);
        self.carry(at, packet);
    }

    /// A datagram leaves its host.
    fn leave(&mut self, host: HostId, at: u32) -> Packet {
        let packet = self.packets.take(at);
        self.counts.sent += 1;
        self.counts.bytes += packet.bytes.len() as u64;
        self.taps.datagram(self.now, host, Direction::Out, &packet);
        packet
    }

    /// A datagram is on the public network.
    fn carry(&mut self, at: u32, mut packet: Packet) {
        if !self.wires.is_empty() {
            self.tell_wires(&packet);
        }
        match self.judge(&packet) {
            Fate::Pass => {}
            Fate::Deliver(delay) => return self.arrive(delay, at, packet),
            Fate::Drop => return self.lose(at, packet),
        }
        let receiver = self.receiver(&packet);
        let blocked = receiver.is_some_and(|receiver| {
            let hosts = (packet.sender.0, receiver.0);
            self.partitions.iter().any(|(cut, _)| cut.blocks(self.now, hosts.0, hosts.1))
        });
        if blocked {
            return self.lose(at, packet);
        }
        let to_region = receiver.map_or(0, |receiver| self.hosts[receiver.index()].region);
        let Host { link, link_rng, region, .. } = &mut self.hosts[packet.sender.index()];
        let path = Path {
            seed: self.seed,
            from: packet.sender.0,
            to: receiver.map_or(u32::MAX, |receiver| receiver.0),
            from_region: *region,
            to_region,
        };
        let (first, second) = match self.link.carry(link, link_rng, path, packet.bytes.len()) {
            Carried::Lost | Carried::TooLong => return self.lose(at, packet),
            Carried::Once(first) => (first, None),
            Carried::Twice(first, second) => (first, Some(second)),
        };
        if let Some(second) = second {
            let twin = self.packets.put(packet.sender, packet.datagram());
            let mut packet = self.packets.take(twin);
            damage(&mut packet.bytes, second.damage);
            self.arrive(second.delay_us, twin, packet);
        }
        damage(&mut packet.bytes, first.damage);
        self.arrive(first.delay_us, at, packet);
    }

    /// Whether an address is that of another host behind the same firewall: what goes there does not
    /// cross it.
    fn are_neighbours(&self, nat: NatId, host: HostId, to: SocketAddrV4) -> bool {
        let other = || self.inner_hosts.get(&(nat, *to.ip())).is_some_and(|other| *other != host);
        self.nats[nat.index()].is_firewall() && other()
    }

    /// Tells the actors in the path of a datagram, unless an actor has sent it: otherwise one could react to itself for
    /// ever.
    fn tell_wires(&mut self, packet: &Packet) {
        if self.hosts[packet.sender.index()].actor.is_some() {
            return;
        }
        let receiver = self.receiver(packet);
        for at in 0..self.wires.len() {
            let (host, actor) = self.wires[at];
            if packet.sender == host || receiver == Some(host) {
                self.act(actor, |actor, cx| actor.on_overheard(cx, packet.datagram()));
            }
        }
    }

    /// A datagram will arrive.
    fn arrive(&mut self, delay: Micros, at: u32, packet: Packet) {
        self.packets.restore(at, packet);
        self.events.push(self.now.saturating_add(delay), packet_key(self.counts.sent, at));
    }

    fn lose(&mut self, at: u32, packet: Packet) {
        self.counts.lost += 1;
        self.packets.put_back(at, packet);
    }

    /// The host that a datagram goes to, as far as its address tells; behind a NAT any of its hosts.
    fn receiver(&self, packet: &Packet) -> Option<HostId> {
        match self.owner(packet.to)? {
            Owner::Shared => None,
            Owner::Host(host) => Some(host),
            Owner::Nat(nat) => {
                let inner = self.nats[nat.index()].inbound(self.now, packet.from, packet.to);
                let host = inner.and_then(|inner| self.inner_hosts.get(&(nat, *inner.ip())));
                // A NAT that lets nothing in: all hosts behind it are equally far away.
                let any = self.inner_hosts.range((nat, MIN_IP)..).next();
                host.or(any.filter(|((of, _), _)| *of == nat).map(|(_, host)| host)).copied()
            }
        }
    }

    fn owner(&self, to: SocketAddrV4) -> Option<Owner> {
        let in_row = host_at(*to.ip()).and_then(|host| {
            let at = self.hosts.get(host)?;
            (at.ip == *to.ip() && at.nat.is_none()).then_some(Owner::Host(HostId(host as u32)))
        });
        in_row.or_else(|| self.addrs.get(to))
    }

    /// A datagram has arrived.
    pub(crate) fn deliver(&mut self, at: u32) {
        let mut packet = self.packets.take(at);
        let host = match self.owner(packet.to) {
            Some(Owner::Host(host)) => Some(host),
            Some(Owner::Nat(nat)) => self.through_nat(nat, &mut packet),
            Some(Owner::Shared) | None => None,
        };
        if let Some(host) = host {
            let keep = self.hand_over(host, &packet);
            if keep {
                self.hosts[host.index()].backlog.push(at);
                return self.packets.restore(at, packet);
            }
        } else {
            self.counts.unreachable += 1;
        }
        self.packets.put_back(at, packet);
    }

    fn through_nat(&mut self, nat: NatId, packet: &mut Packet) -> Option<HostId> {
        let sender = self.hosts[packet.sender.index()].nat;
        if sender != Some(nat) || !self.are_neighbours(nat, packet.sender, packet.to) {
            packet.to = self.nats[nat.index()].inbound(self.now, packet.from, packet.to)?;
        }
        self.inner_hosts.get(&(nat, *packet.to.ip())).copied()
    }

    /// Gives a datagram to its host. `true`: the process is stopped, so it has to wait.
    pub(crate) fn hand_over(&mut self, host: HostId, packet: &Packet) -> bool {
        let receiver = &mut self.hosts[host.index()];
        match receiver.pause {
            Pause::No => {}
            Pause::Stalled if receiver.backlog.len() < BACKLOG_MAX => return true,
            Pause::Stalled | Pause::Asleep => {
                self.counts.lost += 1;
                return false;
            }
        }
        if receiver.actor.is_some() {
            self.arrived(host, packet);
            self.act(host, |actor, cx| actor.on_packet(cx, packet.datagram()));
            return false;
        }
        let via = match packet.to.port() {
            port if port == receiver.port => Via::Server,
            port if port == receiver.port + 1 => Via::Client,
            port if port >= EXTRA_PORTS => Via::Extra(port),
            _ => {
                self.counts.unreachable += 1;
                return false;
            }
        };
        if receiver.node.is_none() {
            self.counts.unreachable += 1;
            return false;
        }
        self.arrived(host, packet);
        self.handle(host, via, packet);
        self.settle(host);
        false
    }

    fn arrived(&mut self, host: HostId, packet: &Packet) {
        self.counts.delivered += 1;
        self.trace.delivery(self.now, packet.datagram());
        self.taps.datagram(self.now, host, Direction::In, packet);
        self.ask(Some(host), |invariant, sim| invariant.received(sim, host, packet));
    }

    fn handle(&mut self, at: HostId, via: Via, packet: &Packet) {
        let host = &mut self.hosts[at.index()];
        let now = host.local(self.now);
        let Some(node) = host.node.as_deref_mut() else { return };
        let Handled::Request(incoming) = node.handle_datagram(now, via, packet.from, &packet.bytes)
        else {
            return;
        };
        if self.call_app(at, |app, cx| app.on_request(cx, &incoming)).is_none() {
            let refusal = Answer::error(error_code::UNKNOWN_COMMAND);
            self.call(at, |node, now| node.reply(now, incoming.reply_to, refusal));
        }
    }

    /// Lets the application of a host do something; what it sends leaves with the next flush.
    pub(crate) fn call_app<T>(
        &mut self,
        at: HostId,
        call: impl FnOnce(&mut dyn crate::sim::App, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let host = &mut self.hosts[at.index()];
        let now = host.local(self.now);
        let (wall, monotonic) = (host.clock.wall(self.now), host.clock.monotonic(self.now));
        let node = host.node.as_deref_mut()?;
        let app = host.app.as_deref_mut()?;
        let mut timers = Vec::new();
        let mut cx = Cx {
            node,
            now,
            time: self.now,
            wall,
            monotonic,
            host: at,
            rng: &mut host.app_rng,
            timers: &mut timers,
        };
        let result = call(app, &mut cx);
        self.set_timers(at, timers);
        Some(result)
    }

    /// Lets an actor do something, and sends what it wants to send.
    pub(crate) fn act(
        &mut self,
        at: HostId,
        call: impl FnOnce(&mut dyn crate::sim::Actor, &mut ActorCx<'_>),
    ) {
        let host = &mut self.hosts[at.index()];
        let Some(actor) = host.actor.as_deref_mut() else { return };
        let (mut timers, mut out) = (Vec::new(), Vec::new());
        let (timers_out, packets_out) = (&mut timers, &mut out);
        let rng = &mut host.app_rng;
        let mut cx =
            ActorCx { time: self.now, host: at, rng, timers: timers_out, out: packets_out };
        call(actor, &mut cx);
        for (from, to, bytes) in out {
            self.hosts[at.index()].spent.count(&bytes);
            self.send_raw(at, Datagram { from, to, bytes: &bytes });
        }
        self.set_timers(at, timers);
    }

    fn set_timers(&mut self, at: HostId, timers: Vec<(Micros, u64)>) {
        for (after, token) in timers {
            self.set_timer(at, self.now.saturating_add(after), Due::Token(token));
        }
    }
}

/// Between two hosts behind one NAT or firewall.
const NEARBY: Micros = 1_000;
const MIN_IP: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn damage(bytes: &mut Vec<u8>, damage: Damage) {
    let len = damage.apply(bytes);
    bytes.truncate(len);
}
