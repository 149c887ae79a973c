//! Forged answers: blind, with guessed ids of requests, or with true ids from wrong sources.

use std::net::SocketAddrV4;

use dht_core::wire;
use smart_default::SmartDefault;

use super::pace::Pacer;
use super::puppet::{request_bytes, response_bytes};
use super::{MARK, Pace, Puppet, Sources};
use crate::sim::{Actor, ActorCx, Datagram};
use crate::world::{Micros, check};

/// What a [`Spoofer`] does.
#[derive(SmartDefault, Clone, Debug, PartialEq, Eq)]
pub struct SpooferConfig {
    /// The nodes whose answers it forges: their exact source addresses.
    pub asked: Vec<SocketAddrV4>,
    /// The victims that it answers: one of the two addresses of each.
    pub victims: Vec<SocketAddrV4>,
    /// How fast it guesses.
    pub pace: Pace,
    /// How long it guesses in the name of one node before it goes on to the next, in microseconds.
    #[default(1_000_000)]
    pub dwell_us: Micros,
    /// Begins with a request in that name, so that the victim asks whether its sender is there.
    pub provoke: bool,
    /// Whether what it forges carries the id of its source.
    #[default(true)]
    pub with_id: bool,
    /// The closer nodes in what it forges.
    pub names: Vec<SocketAddrV4>,
    /// Answers to each request that it overhears: with the true id of the request, from addresses
    /// that were not asked.
    pub strays: u32,
}

impl SpooferConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.pace.check()?;
        check::that(!self.victims.is_empty(), "victims", "not be empty")?;
        check::that(self.dwell_us > 0, "dwell_us", "not be 0")?;
        let guesses = self.pace.total > 0;
        check::that(!guesses || !self.asked.is_empty(), "asked", "not be empty")
    }
}

/// Answers in the name of other nodes.
///
/// Off the path it never sees a request: it guesses the id, no guess twice in 65,536, and hopes that a request
/// with it is in flight. In the path of a victim ([`Sim::overhear`](crate::Sim::overhear)) it knows the id,
/// but answers from wrong addresses: another port, another host of the network, anywhere. (An attacker
/// in the path that forges the right source is beyond what this protocol can defend against.)
///
/// Rule 1 of `HARDENING.md`: an answer counts for id and exact source, and ids can't be predicted.
/// It shows in [`DropStats::unsolicited`](dht_core::DropStats::unsolicited) and
/// [`wrong_source`](dht_core::DropStats::wrong_source).
#[derive(Clone, Debug, Default)]
pub struct Spoofer {
    config: SpooferConfig,
    pacer: Pacer,
    tid: u16,
    step: u16,
    /// The node in whose name it guesses, and since when.
    at: usize,
    since: Option<Micros>,
    victim: usize,
}

impl Spoofer {
    /// A spoofer with this configuration.
    ///
    /// # Errors
    /// As [`SpooferConfig::check`].
    pub fn new(config: SpooferConfig) -> Result<Self, String> {
        config.check()?;
        Ok(Self { pacer: Pacer::new(config.pace), config, ..Self::default() })
    }

    fn guess(&mut self, cx: &mut ActorCx<'_>) {
        if self.since.is_none_or(|since| cx.time - since >= self.config.dwell_us) {
            self.at += usize::from(self.since.is_some());
            self.since = Some(cx.time);
            self.begin(cx);
        }
        self.tid = self.tid.wrapping_add(self.step);
        self.victim += 1;
        let Some(asked) = cycled(&self.config.asked, self.at).map(Puppet::at) else { return };
        let Some(victim) = cycled(&self.config.victims, self.victim) else { return };
        let bytes = forge(asked, self.tid, victim, &self.config);
        cx.send(asked.addr(), victim, bytes);
    }

    /// The next name to guess in: nothing is known of the ids that follow.
    fn begin(&mut self, cx: &mut ActorCx<'_>) {
        let random = cx.rng.next();
        (self.tid, self.step) = (random as u16, (random >> 16) as u16 | 1);
        let asked = cycled(&self.config.asked, self.at).filter(|_| self.config.provoke);
        let Some(asked) = asked.map(Puppet::at) else { return };
        for victim in &self.config.victims {
            let bytes = request_bytes(&asked.request(self.tid, *victim));
            cx.send(asked.addr(), *victim, bytes);
        }
    }
}

impl Actor for Spoofer {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        self.pacer.start(cx);
    }

    fn on_overheard(&mut self, cx: &mut ActorCx<'_>, Datagram { from, to, bytes }: Datagram<'_>) {
        let Ok(wire::Message::Request(request)) = wire::decode(bytes) else { return };
        if !self.config.victims.iter().any(|victim| victim.ip() == from.ip()) {
            return;
        }
        for _ in 0..self.config.strays {
            let source = match cx.rng.below(3) {
                0 => Sources::Host(*to.ip()),
                1 => Sources::Network(*to.ip()),
                _ => Sources::Anywhere,
            };
            let source = source.draw(cx.rng);
            if source != to {
                let bytes = forge(Puppet::at(source), request.tid, from, &self.config);
                cx.send(source, from, bytes);
            }
        }
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        (0..self.pacer.turn(cx)).for_each(|_| self.guess(cx));
    }
}

fn cycled<T: Copy>(list: &[T], at: usize) -> Option<T> {
    list.get(at.checked_rem(list.len())?).copied()
}

fn forge(source: Puppet, tid: u16, victim: SocketAddrV4, config: &SpooferConfig) -> Vec<u8> {
    let plain = source.response(tid, victim);
    let id = plain.id.filter(|_| config.with_id);
    response_bytes(&wire::Response { id, value: Some(MARK), ..plain }, &config.names)
}
