//! What was said before, said again.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dht_core::wire;
use smart_default::SmartDefault;

use super::puppet::{ping, request_bytes};
use super::{MARK, Puppet};
use crate::sim::{Actor, ActorCx, Datagram};
use crate::world::{Micros, check};

/// What a [`Replayer`] does.
#[derive(SmartDefault, Clone, Debug, PartialEq, Eq)]
pub struct ReplayerConfig {
    /// Its own address, on the host that the actor is added with.
    #[default(SocketAddrV4::new([66, 0, 0, 1].into(), 4_000))]
    pub addr: SocketAddrV4,
    /// The nodes that it asks for a token of its own, once.
    pub ask: Vec<SocketAddrV4>,
    /// The application's command that it asks by, and uses the token for.
    pub command: u64,
    /// Each datagram is sent again after each of these times, in microseconds.
    #[default(vec![1_000_000])]
    pub delays_us: Vec<Micros>,
    /// The source addresses, one after the other; with none, the datagram's first source.
    pub sources: Vec<SocketAddrV4>,
    /// The number of datagrams that are recorded.
    #[default(1_000)]
    pub records: u32,
}

impl ReplayerConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        check::that(!self.delays_us.is_empty(), "delays_us", "not be empty")?;
        check::that(self.records > 0, "records", "not be 0")?;
        check::that(self.command <= wire::VARINT_MAX, "command", "be below 2^53")
    }
}

/// A datagram to be sent again.
#[derive(Clone, Debug)]
struct Record {
    from: SocketAddrV4,
    to: SocketAddrV4,
    bytes: Vec<u8>,
}

/// Sends datagrams again, later and with other sources: all that it overhears in the path of a host
/// ([`Sim::overhear`](crate::Sim::overhear)), requests and answers alike; and, off the path, commits with a
/// token that it was given itself, in the name of other hosts.
///
/// Rules 1 and 10 of `HARDENING.md`: a request is answered once, and a token is good for one host, for
/// 7.5 to 15 s. It shows in [`DropStats::bad_token`](dht_core::DropStats::bad_token) and
/// [`unsolicited`](dht_core::DropStats::unsolicited).
#[derive(Clone, Debug, Default)]
pub struct Replayer {
    config: ReplayerConfig,
    unanswered: Vec<SocketAddrV4>,
    recorded: u32,
    waiting: BTreeMap<u64, Record>,
    timers: u64,
    tokens: u32,
    handed_in: Vec<Record>,
}

impl Replayer {
    /// A replayer with this configuration.
    ///
    /// # Errors
    /// As [`ReplayerConfig::check`].
    pub fn new(config: ReplayerConfig) -> Result<Self, String> {
        config.check()?;
        Ok(Self { unanswered: config.ask.clone(), config, ..Self::default() })
    }

    /// Hands it a datagram to begin with, as recorded elsewhere.
    pub fn with(mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>) -> Self {
        self.handed_in.push(Record { from, to, bytes });
        self
    }

    /// Tokens that it was given.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Datagrams that it has recorded.
    pub fn recorded(&self) -> u32 {
        self.recorded
    }

    fn ask(&mut self, cx: &mut ActorCx<'_>, to: SocketAddrV4, token: Option<&[u8; 32]>) -> Vec<u8> {
        let me = Puppet::at(self.config.addr);
        let request = wire::Request {
            token,
            internal: false,
            command: self.config.command,
            target: Some(me.id().as_bytes()),
            value: token.map(|_| MARK),
            ..ping(cx.rng.next() as u16, to)
        };
        request_bytes(&request)
    }

    fn record(&mut self, cx: &mut ActorCx<'_>, record: &Record) {
        if self.recorded >= self.config.records {
            return;
        }
        self.recorded += 1;
        for delay in &self.config.delays_us {
            cx.wake_after(*delay, self.timers);
            self.waiting.insert(self.timers, record.clone());
            self.timers += 1;
        }
    }
}

impl Actor for Replayer {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        for record in std::mem::take(&mut self.handed_in) {
            self.record(cx, &record);
        }
        for to in self.config.ask.clone() {
            let bytes = self.ask(cx, to, None);
            cx.send(self.config.addr, to, bytes);
        }
    }

    fn on_packet(&mut self, cx: &mut ActorCx<'_>, Datagram { from, bytes, .. }: Datagram<'_>) {
        let Ok(wire::Message::Response(response)) = wire::decode(bytes) else { return };
        let Some(at) = self.unanswered.iter().position(|addr| *addr == from) else { return };
        if let Some(token) = response.token {
            self.unanswered.swap_remove(at);
            self.tokens += 1;
            let bytes = self.ask(cx, from, Some(token));
            self.record(cx, &Record { from: self.config.addr, to: from, bytes });
        }
    }

    fn on_overheard(&mut self, cx: &mut ActorCx<'_>, Datagram { from, to, bytes }: Datagram<'_>) {
        self.record(cx, &Record { from, to, bytes: bytes.to_vec() });
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, token: u64) {
        let Some(Record { from, to, bytes }) = self.waiting.remove(&token) else { return };
        if self.config.sources.is_empty() {
            return cx.send(from, to, bytes);
        }
        for source in &self.config.sources {
            cx.send(*source, to, bytes.clone());
        }
    }
}
