//! Nodes that answer, and lie.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{Id, wire};
use smart_default::SmartDefault;

use super::pace::Pacer;
use super::puppet::{Ground, answer, closest_addresses, request_bytes, response_bytes};
use super::{Pace, Puppet, Sources};
use crate::sim::{Actor, ActorCx, Datagram};
use crate::world::{Stream, check};

/// The closer nodes in the answers of a [`Liar`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// None.
    Nobody,
    /// This many addresses without a node, new ones each time, the nearest to the target first.
    Dead(u16),
    /// Addresses without a node, the nearest to the target of very many: of the ports of a host, or of all public
    /// addresses. No honest node is as near.
    Near {
        /// Where they are.
        sources: Sources,
        /// How many there are to choose from; at most 65,536.
        of: u32,
        /// How many are named.
        count: u16,
    },
    /// This many addresses of one host that has nothing to do with it.
    Doors(Ipv4Addr, u16),
    /// Addresses that no node can have, or that mean the asker itself or its own network.
    Impossible,
    /// These, the nearest to the target first.
    These(Vec<SocketAddrV4>),
}

/// The address under which a [`Liar`] claims to see the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// The true one.
    Truth,
    /// Always this one.
    This(SocketAddrV4),
    /// Another one each time.
    Anything,
}

/// What a [`Liar`] does.
#[derive(SmartDefault, Clone, Debug, PartialEq, Eq)]
pub struct LiarConfig {
    /// Its addresses: their hosts must be the ones that the actor is added with.
    pub addrs: Vec<SocketAddrV4>,
    /// The closer nodes that it names.
    #[default(Names::Nobody)]
    pub names: Names,
    /// What it says of the asker's address.
    #[default(Sees::Truth)]
    pub sees: Sees,
    /// The nodes that it sends to unasked, in turn requests with its id, which make it known, and answers to
    /// nothing. Both have its lie about the receiver's address.
    pub targets: Vec<SocketAddrV4>,
    /// How fast.
    #[default(Pace { total: 0, ..Pace::default() })]
    pub pace: Pace,
}

impl LiarConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.pace.check()?;
        check::that(!self.addrs.is_empty(), "addrs", "not be empty")?;
        if let Names::Near { sources, of, .. } = &self.names {
            sources.check()?;
            check::within("names.near.of", *of, 1, GROUND_MAX)?;
        }
        let silent = self.pace.total == 0;
        check::that(silent || !self.targets.is_empty(), "targets", "not be empty")
    }
}

/// Addresses of which the nearest are found for every answer.
const GROUND_MAX: u32 = 1 << 16;

/// Answers requests as a node does, with lies: closer nodes that are dead, impossible, or a third
/// party's, and a false address of the asker.
///
/// Rule 4 of `HARDENING.md` bounds what is believed of closer nodes, rule 6 what is believed of
/// the own address: solicited answers only, one vote per /24. It shows in
/// [`DropStats::closer_nodes`](dht_core::DropStats::closer_nodes).
#[derive(Clone, Debug, Default)]
pub struct Liar {
    config: LiarConfig,
    ground: Ground,
    pacer: Pacer,
    turns: u64,
    asked: u64,
    named: u64,
}

impl Liar {
    /// A liar with this configuration.
    ///
    /// # Errors
    /// As [`LiarConfig::check`].
    pub fn new(config: LiarConfig) -> Result<Self, String> {
        config.check()?;
        Ok(Self { pacer: Pacer::new(config.pace), config, ..Self::default() })
    }

    /// Requests that it was sent.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Addresses that it has named.
    pub fn named(&self) -> u64 {
        self.named
    }

    fn sees(&self, addr: SocketAddrV4, rng: &mut Stream) -> SocketAddrV4 {
        match self.config.sees {
            Sees::Truth => addr,
            Sees::This(other) => other,
            Sees::Anything => Sources::Anywhere.draw(rng),
        }
    }

    fn names(&self, asker: SocketAddrV4, target: &Id, rng: &mut Stream) -> Vec<SocketAddrV4> {
        match &self.config.names {
            Names::Nobody => Vec::new(),
            Names::Dead(count) => nearest((0..*count).map(|_| Sources::Anywhere.draw(rng)), target),
            Names::Near { count, .. } => self.ground.closest(target, usize::from(*count)),
            Names::Doors(host, count) => {
                let host = Sources::Host(*host);
                nearest((0..*count).map(|_| host.draw(rng)), target)
            }
            Names::Impossible => impossible(asker),
            Names::These(these) => nearest(these.iter().copied(), target),
        }
    }

    fn shout(&mut self, cx: &mut ActorCx<'_>) {
        let turn = self.turns as usize;
        self.turns += 1;
        let LiarConfig { addrs, targets, .. } = &self.config;
        let puppet = Puppet::at(addrs[turn / 2 % addrs.len()]);
        let Some(target) = targets.get(turn / 2 % targets.len().max(1)).copied() else { return };
        let (tid, sees) = (cx.rng.next() as u16, self.sees(target, cx.rng));
        let bytes = if turn.is_multiple_of(2) {
            request_bytes(&puppet.request(tid, sees))
        } else {
            response_bytes(&puppet.response(tid, sees), &[])
        };
        cx.send(puppet.addr(), target, bytes);
    }
}

impl Actor for Liar {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        if let Names::Near { sources, of, .. } = &self.config.names {
            let own = |addr: &SocketAddrV4| self.config.addrs.contains(addr);
            let all = (0..*of).map(|_| sources.draw(cx.rng));
            self.ground = Ground::of(all.filter(|addr| !own(addr)));
        }
        self.pacer.start(cx);
    }

    fn on_packet(&mut self, cx: &mut ActorCx<'_>, Datagram { from, to, bytes }: Datagram<'_>) {
        let Ok(wire::Message::Request(request)) = wire::decode(bytes) else { return };
        if !self.config.addrs.contains(&to) {
            return;
        }
        let puppet = Puppet::at(to);
        self.asked += 1;
        let target = request.target.copied().map(Id);
        let closer = target.map(|target| self.names(from, &target, cx.rng)).unwrap_or_default();
        let seen_as = self.sees(from, cx.rng);
        if let Some((dest, bytes)) = answer(puppet, from, &request, seen_as, &closer) {
            self.named += closer.len() as u64;
            cx.send(to, dest, bytes);
        }
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        (0..self.pacer.turn(cx)).for_each(|_| self.shout(cx));
    }
}

fn nearest(addrs: impl Iterator<Item = SocketAddrV4>, target: &Id) -> Vec<SocketAddrV4> {
    closest_addresses(addrs, target, usize::MAX)
}

/// Addresses that must not be contacted because an answer named them.
fn impossible(asker: SocketAddrV4) -> Vec<SocketAddrV4> {
    let other_port = SocketAddrV4::new(*asker.ip(), asker.port() ^ 1);
    let rest = [
        ([0, 0, 0, 0], 4_000),
        ([0, 1, 2, 3], 4_000),
        ([66, 7, 7, 7], 0),
        ([127, 0, 0, 1], 4_000),
        ([10, 0, 0, 1], 4_000),
        ([100, 64, 0, 1], 4_000),
        ([169, 254, 0, 1], 4_000),
        ([172, 16, 0, 1], 4_000),
        ([192, 168, 0, 1], 4_000),
        ([224, 0, 0, 1], 4_000),
        ([239, 255, 255, 250], 1_900),
        ([255, 255, 255, 255], 4_000),
    ];
    let rest = rest.map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(ip), port));
    [asker, other_port].into_iter().chain(rest).collect()
}
