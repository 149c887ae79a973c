//! A host: a node with its sockets, clock and application, or an attacker in place of one.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{Config, ConfigError, Instant, Node, SavedNode};
use smart_default::SmartDefault;

use super::{Actor, App, Spent};
use crate::world::addrs::port_of;
use crate::world::clock::{Clock, NodeClock};
use crate::world::{Micros, NatId, Stream, link::LinkState};

/// What a new host is.
///
/// ```
/// use dht_sim::clock::Clock;
/// use dht_sim::nat::Nat;
/// use dht_sim::{Sim, Spec};
///
/// let mut sim = Sim::new(7);
/// let first = sim.next_address();
/// sim.add(Spec::bootstrapper(first)?)?;
/// let home = sim.add_nat(Nat::default());
/// let slow = Clock { drift_ppm: -50, ..Clock::default() };
/// let host = sim.add(Spec::joining(&[first]).behind(home).clock(slow).after(5_000_000))?;
/// assert!(sim.node(host).is_none(), "it starts in 5 s");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds an application")]
pub struct Spec {
    pub(crate) config: Config,
    pub(crate) app: Option<Box<dyn App>>,
    pub(crate) region: u8,
    pub(crate) nat: Option<NatId>,
    pub(crate) clock: Clock,
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) slot: Option<u16>,
    pub(crate) delay: Micros,
}

impl Spec {
    /// A node with this configuration, at a public address of its own, with a clock that is right.
    pub fn new(config: Config) -> Self {
        let clock = Clock::default();
        Self { config, app: None, region: 0, nat: None, clock, ip: None, slot: None, delay: 0 }
    }

    /// With an application that answers requests.
    pub fn app(mut self, app: impl App) -> Self {
        self.app = Some(Box::new(app));
        self
    }

    /// In this region: see [`Latency`](crate::link::Latency).
    pub fn region(mut self, region: u8) -> Self {
        self.region = region;
        self
    }

    /// Behind a NAT or firewall, made by [`Sim::add_nat`](crate::Sim::add_nat).
    pub fn behind(mut self, nat: NatId) -> Self {
        self.nat = Some(nat);
        self
    }

    /// With a clock that is off.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// At this address, instead of the next one of the row or of the
    /// [model](crate::Sim::set_addresses). In one /24 there may be many hosts.
    pub fn ip(mut self, ip: Ipv4Addr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// At this address, which it shares with other nodes, each of which has a number below
    /// [`NODES_PER_ADDRESS_MAX`](crate::addresses::NODES_PER_ADDRESS_MAX): a server with many nodes. Its
    /// ports follow from the number.
    pub fn shared(mut self, ip: Ipv4Addr, number: u16) -> Self {
        (self.ip, self.slot) = (Some(ip), Some(number));
        self
    }

    /// Started so much later.
    pub fn after(mut self, delay: Micros) -> Self {
        self.delay = delay;
        self
    }
}

/// What happens to a host whose process does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pause {
    /// It runs.
    #[default]
    No,
    /// The process is stopped: datagrams wait in the sockets.
    Stalled,
    /// The machine sleeps: datagrams are lost.
    Asleep,
}

/// A host.
#[derive(Clone, SmartDefault)]
pub(crate) struct Host {
    pub(crate) node: Option<Box<Node>>,
    pub(crate) app: Option<Box<dyn App>>,
    pub(crate) actor: Option<Box<dyn Actor>>,
    /// What the actor has sent.
    pub(crate) spent: Spent,
    /// The address that it knows of itself: behind a NAT, an inner one.
    #[default(Ipv4Addr::UNSPECIFIED)]
    pub(crate) ip: Ipv4Addr,
    /// The port of the server socket; the client socket has the next one.
    #[default(port_of(None, 0))]
    pub(crate) port: u16,
    /// Which of the nodes at its address it is, if the address can be shared.
    pub(crate) slot: Option<u16>,
    pub(crate) region: u8,
    pub(crate) pause: Pause,
    /// Whether it ever was anything else.
    pub(crate) was_paused: bool,
    pub(crate) nat: Option<NatId>,
    pub(crate) clock: NodeClock,
    pub(crate) link: LinkState,
    pub(crate) link_rng: Stream,
    /// Randomness of its application or actor.
    pub(crate) app_rng: Stream,
    /// How often it was made anew.
    pub(crate) generation: u32,
    /// How much it has handled since all of its state was checked.
    pub(crate) unchecked: u32,
    /// When the queue of events has an entry for it, in virtual time.
    #[default(Micros::MAX)]
    pub(crate) armed: Micros,
    /// What is kept while it is down or not started yet.
    pub(crate) kept: Option<Box<Kept>>,
    /// With what it starts the next time, if not as it did.
    pub(crate) usual: Option<Box<Config>>,
    /// What came in while its process was stopped.
    pub(crate) backlog: Vec<u32>,
    /// Timers of its application that have run out meanwhile.
    pub(crate) missed: Vec<u64>,
}

/// What is kept of a node that is down.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) config: Config,
    pub(crate) table: Vec<SavedNode>,
    pub(crate) since: Micros,
}

impl Host {
    pub(crate) fn server(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip, self.port)
    }

    pub(crate) fn client(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip, self.port + 1)
    }

    /// What the node's clock shows.
    pub(crate) fn local(&self, now: Micros) -> Instant {
        Instant::from_micros(self.clock.boot(now))
    }

    /// When, in virtual time, the node's clock will show this.
    pub(crate) fn global(&self, local: Instant) -> Micros {
        self.clock.global_at(local.as_micros())
    }

    /// Whether it takes and sends datagrams.
    pub(crate) fn is_up(&self) -> bool {
        self.node.is_some() && self.pause == Pause::No
    }
}

/// What most networks are made of.
impl Spec {
    /// A bootstrap node: persistent from the start. It knows its public address, so this has to be the address of the
    /// host: see [`Sim::next_address`](crate::Sim::next_address).
    ///
    /// # Errors
    /// If the address can't be one.
    pub fn bootstrapper(addr: SocketAddrV4) -> Result<Self, ConfigError> {
        Ok(Self::new(Config::bootstrapper(addr.port(), &addr.ip().to_string())?))
    }

    /// A node that can be reached, joins through these nodes, and becomes persistent at once.
    pub fn joining(bootstrap: &[SocketAddrV4]) -> Self {
        let mut config = Config::default();
        config.bootstrap = bootstrap.iter().map(|addr| (*addr).into()).collect();
        config.ephemeral = Some(false);
        config.firewalled = false;
        Self::new(config)
    }
}
