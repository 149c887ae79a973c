//! Floods: more of something than was asked for.

use std::net::SocketAddrV4;

use dht_core::wire;
use smart_default::SmartDefault;

use super::pace::Pacer;
use super::puppet::{ping, request_bytes, response_bytes};
use super::{MARK, Pace, Puppet, Sources};
use crate::sim::{Actor, ActorCx, command};
use crate::world::{Stream, check};

/// What a [`Flooder`] floods with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Requests with true ids, whose owners never answer.
    Ids,
    /// Requests for answers after this many milliseconds.
    DelayedPings(u32),
    /// Requests for closer nodes: with a victim as the source, the answers flood it.
    FindNode,
    /// Requests with this command of the application's, for its value.
    Command(u64),
    /// Datagrams that no honest node sends: cut off, with counts and lengths up to 2^64, answers to nothing,
    /// noise.
    Malformed,
}

/// What a [`Flooder`] does.
///
/// ```
/// use std::net::Ipv4Addr;
/// use dht_sim::Sim;
/// use dht_sim::attack::{Flooder, FlooderConfig};
///
/// let mut sim = Sim::new(1);
/// let victim = sim.next_address();
/// let config = FlooderConfig { targets: vec![victim], ..FlooderConfig::default() };
/// sim.add_actor(&[Ipv4Addr::new(90, 0, 0, 1)], Flooder::new(config)?);
/// # Ok::<_, String>(())
/// ```
#[derive(SmartDefault, Clone, Debug, PartialEq, Eq)]
pub struct FlooderConfig {
    /// With what.
    #[default(Flood::Ids)]
    pub flood: Flood,
    /// Whom: one after the other.
    pub targets: Vec<SocketAddrV4>,
    /// From where.
    #[default(Sources::Anywhere)]
    pub sources: Sources,
    /// How fast.
    pub pace: Pace,
}

impl FlooderConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.pace.check()?;
        self.sources.check()?;
        if let Flood::Command(command) = self.flood {
            let fits = command <= wire::VARINT_MAX;
            check::that(fits, "flood.command", "be below 2^53")?;
        }
        check::that(!self.targets.is_empty(), "targets", "not be empty")
    }
}

/// Sends much, and looks at no answer.
///
/// Rules 2, 7, 8, 9 and 11 of `HARDENING.md`: a node that has not answered is in no table; traffic to a source
/// that has not proved its address is bounded by the traffic from it; queues have ends; the decoder takes
/// anything. It shows in [`DropStats`](dht_core::DropStats).
#[derive(Clone, Debug, Default)]
pub struct Flooder {
    config: FlooderConfig,
    pacer: Pacer,
    turns: usize,
}

impl Flooder {
    /// A flooder with this configuration.
    ///
    /// # Errors
    /// As [`FlooderConfig::check`].
    pub fn new(config: FlooderConfig) -> Result<Self, String> {
        config.check()?;
        Ok(Self { pacer: Pacer::new(config.pace), config, ..Self::default() })
    }

    fn flood(&mut self, cx: &mut ActorCx<'_>) {
        let targets = &self.config.targets;
        let Some(to) = targets.get(self.turns % targets.len()).copied() else { return };
        self.turns += 1;
        let from = self.config.sources.draw(cx.rng);
        let bytes = datagram(self.config.flood, from, to, cx.rng);
        cx.send(from, to, bytes);
    }
}

impl Actor for Flooder {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        self.pacer.start(cx);
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, _: u64) {
        (0..self.pacer.turn(cx)).for_each(|_| self.flood(cx));
    }
}

fn datagram(flood: Flood, from: SocketAddrV4, to: SocketAddrV4, rng: &mut Stream) -> Vec<u8> {
    let tid = rng.next() as u16;
    let puppet = Puppet::at(from);
    let anonymous = ping(tid, to);
    let target = rng.key();
    match flood {
        Flood::Ids => request_bytes(&puppet.request(tid, to)),
        Flood::DelayedPings(millis) => {
            let value = millis.to_le_bytes();
            let command = command::DELAYED_PING;
            request_bytes(&wire::Request { command, value: Some(&value), ..anonymous })
        }
        Flood::FindNode => {
            let command = command::FIND_NODE;
            request_bytes(&wire::Request { command, target: Some(&target), ..anonymous })
        }
        Flood::Command(command) => {
            let target = Some(&target);
            request_bytes(&wire::Request { internal: false, command, target, ..anonymous })
        }
        Flood::Malformed => malformed(puppet, to, rng),
    }
}

/// A message of any kind with all its fields, spoiled in one of several ways.
fn malformed(puppet: Puppet, to: SocketAddrV4, rng: &mut Stream) -> Vec<u8> {
    let (tid, token, target) = (rng.next() as u16, rng.key(), rng.key());
    let mut bytes = if rng.chance(0.5) {
        let plain = puppet.request(tid, to);
        let (command, internal) = (rng.below(8), rng.chance(0.7));
        let token = Some(&token).filter(|_| rng.chance(0.3));
        let (target, value) = (Some(&target), Some(MARK));
        request_bytes(&wire::Request { command, internal, token, target, value, ..plain })
    } else {
        let plain = puppet.response(tid, to);
        let response = wire::Response { token: Some(&token), value: Some(MARK), ..plain };
        response_bytes(&response, &[puppet.addr(), to])
    };
    let at = rng.below(bytes.len() as u64) as usize;
    match rng.below(5) {
        0 => bytes.truncate(at),
        1 => {
            // A length or a count, or in the middle of something else.
            let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
            let width = [3, 5, 9][rng.below(3) as usize];
            let marker = [0xfd, 0xfe, 0xff][rng.below(3) as usize];
            let end = bytes.len().min(at + width);
            bytes.splice(at..end, std::iter::once(marker).chain(huge).take(width));
        }
        2 => bytes[at] ^= 1 + rng.below(255) as u8,
        3 => {
            // The flags promise fields that are not there.
            if let Some(flags) = bytes.get_mut(1) {
                *flags = rng.next() as u8;
            }
        }
        _ => {
            let len = rng.below(64) as usize;
            bytes = rng.key().into_iter().chain(rng.key()).take(len).collect();
        }
    }
    bytes
}
