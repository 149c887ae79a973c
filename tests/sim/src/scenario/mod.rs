//! What a run is made of, as plain data: the network, what it goes through, what is asked of it. It can be
//! written to a file, read back, and made smaller.
//!
//! A run has three phases: nodes join, the network settles, and then time counts: faults happen,
//! lookups are made. Times in faults and attacks count from the beginning of the third phase.

mod attack;
mod fault;
mod named_hosts;
pub mod script;

use attack::ATTACKS_MAX;
pub use attack::{Attack, AttackKind, Stands};
pub use fault::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::world::addresses::{Addresses, PLACES_MAX};
use crate::world::churn::{Churn, LENGTH_MAX_US};
use crate::world::nat::{BEHIND_FIREWALL_MAX, Kind, Nat};
use crate::world::{Micros, SECOND, check, link::Link};

/// A run. All that happens in it follows from these numbers.
///
/// ```
/// use dht_sim::scenario::{Fault, FaultKind};
/// use dht_sim::{Scenario, script};
///
/// let leave = Fault { at_us: 0, what: FaultKind::MassLeave { part: 0.2 } };
/// let scenario = Scenario { nodes: 1_000, faults: vec![leave], ..Scenario::default() };
/// scenario.check()?;
/// assert_eq!(script::parse(&script::to_text(&scenario))?, scenario);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// By default 100 nodes are there for ten minutes, without any fault.
#[derive(SmartDefault, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// The version of the format of [scripts](script): always [`VERSION`](script::VERSION).
    #[default(script::VERSION)]
    pub version: u32,
    /// Decides everything that is random.
    #[default(1)]
    pub seed: u64,
    /// How many nodes there are, bootstrap nodes among them.
    #[default(100)]
    pub nodes: u32,
    /// How many of them are bootstrap nodes; these are never touched by churn.
    #[default(1)]
    pub bootstraps: u32,
    /// Over which time nodes join, one after the other.
    #[default(60 * SECOND)]
    pub join_over_us: Micros,
    /// How long the network is left alone after that.
    #[default(60 * SECOND)]
    pub settle_us: Micros,
    /// How long the run is from then on.
    #[default(600 * SECOND)]
    pub run_us: Micros,
    /// The way of datagrams, from the beginning.
    pub link: Link,
    /// What nodes are like.
    pub node: NodeOptions,
    /// Who is behind which kind of NAT.
    pub nats: Vec<NatGroup>,
    /// Who shares a /24, an address, a NAT. Without it each host has a /24 of its own.
    pub addresses: Option<Addresses>,
    /// How far the clocks of nodes are off, at most.
    pub clocks: Clocks,
    /// How nodes come and go in the third phase.
    pub churn: Option<Churn>,
    /// This part of the nodes, drawn at random, vanishes at the beginning of the third phase.
    pub dead: f64,
    /// How many lookups are made in the third phase, evenly over it, for random keys by random nodes.
    #[default(100)]
    pub lookups: u32,
    /// What happens in the third phase.
    pub faults: Vec<Fault>,
    /// Who attacks it in the third phase.
    pub attacks: Vec<Attack>,
    /// Whether everything is checked all the time.
    pub checks: bool,
    /// After the last fault and attack, and so long after the end of churn: whether a sample of lookups has
    /// to find nearly everything. It makes the run longer.
    pub heal_us: Option<Micros>,
}

/// What nodes are like.
#[derive(SmartDefault, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeOptions {
    /// See [`Config::adaptive_timeout`](dht_core::Config::adaptive_timeout).
    pub adaptive_timeout: bool,
    /// See [`Config::concurrency`](dht_core::Config::concurrency).
    #[default(10)]
    pub concurrency: u16,
    /// This part of the nodes is ephemeral: it asks, but is in no table.
    pub ephemeral: f64,
    /// This part of the nodes does not know that it can be reached, and finds out.
    pub unsure: f64,
    /// Whether queries wait for everybody's last try, as in dht-rpc.
    pub thorough: bool,
}

/// Some of the nodes are behind NATs of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatGroup {
    /// What part of the nodes.
    pub part: f64,
    /// How many of them share one NAT: more than one as behind a carrier's. With one, the scenario's
    /// [`addresses`](Scenario::addresses) may say how many.
    #[serde(default = "one")]
    pub share: u32,
    /// What it does.
    pub nat: Nat,
}

fn one() -> u32 {
    1
}

/// How far clocks are off. Each node draws its own, evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clocks {
    /// Fast or slow by at most this many parts per million.
    pub drift_ppm: u32,
    /// Wall clocks: off by at most this.
    pub offset_us: Micros,
}

/// What a scenario costs at most, roughly: memory in bytes per node.
const NODE_BYTES: u64 = 26_000;
const PACKET_BYTES: u64 = 400;

/// Lookups that have to find nearly everything are given so long.
const HEALING_WAIT: Micros = 40 * SECOND;

/// Lookups in a second.
const LOOKUPS_MAX: u64 = 10_000;

/// Why a scenario can't be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(pub String);

impl Scenario {
    /// Refuses what is impossible or contradicts itself.
    ///
    /// # Errors
    /// What is wrong, with the field's name.
    pub fn check(&self) -> Result<(), Impossible> {
        self.find_fault().map_err(Impossible)
    }

    fn find_fault(&self) -> Result<(), String> {
        let most = crate::world::addrs::HOSTS_MAX as u32;
        check::that(self.nodes >= 2, "nodes", "be at least 2")?;
        let addresses = format!("be at most {most}: there are no more addresses");
        check::that(self.nodes <= most, "nodes", &addresses)?;
        check::that(self.bootstraps >= 1, "bootstraps", "be at least 1")?;
        check::that(self.bootstraps < self.nodes, "bootstraps", "be fewer than nodes")?;
        let all = self.all_nodes();
        let together = format!("be at most {most} together");
        check::that(all <= u64::from(most), "nodes and those of faults", &together)?;
        let length = |field: &str, us: Micros| check::duration(field, us, 0, LENGTH_MAX_US);
        length("join_over_us", self.join_over_us)?;
        length("settle_us", self.settle_us)?;
        length("run_us", self.run_us)?;
        length("heal_us", self.heal_us.unwrap_or(0))?;
        self.link.check().map_err(|error| format!("link.{error}"))?;
        check::probability("dead", self.dead)?;
        check::probability("node.ephemeral", self.node.ephemeral)?;
        check::probability("node.unsure", self.node.unsure)?;
        check::within("node.concurrency", self.node.concurrency.into(), 1, 256)?;
        let drift = self.clocks.drift_ppm <= 100_000;
        check::that(drift, "clocks.drift_ppm", "be at most 100,000: a tenth")?;
        let mut behind = 0.0;
        for (at, group) in self.nats.iter().enumerate() {
            check::probability(&format!("nats[{at}].part"), group.part)?;
            let share = format!("nats[{at}].share");
            check::that(group.share >= 1, &share, "be at least 1")?;
            let fits = group.nat.kind != Kind::Firewall || group.share <= BEHIND_FIREWALL_MAX;
            check::that(fits, &share, "be at most 254: a firewall stands before a /24")?;
            group.nat.check().map_err(|error| format!("nats[{at}].nat.{error}"))?;
            behind += group.part;
        }
        if behind > 1.0 {
            return Err("the parts of nats are more than 1 together".to_owned());
        }
        if let Some(addresses) = &self.addresses {
            addresses.check().map_err(|error| format!("addresses.{error}"))?;
            let most = PLACES_MAX as u64;
            let fits = format!("be at most {most} with addresses from a model");
            check::that(all <= most, "nodes and those of faults", &fits)?;
        }
        if let Some(churn) = &self.churn {
            churn.check().map_err(|error| format!("churn.{error}"))?;
        }
        let idle = self.lookups == 0 && self.faults.is_empty() && self.attacks.is_empty();
        let lasts = self.run_us > 0 || idle;
        check::that(lasts, "run_us", "not be 0: there are lookups, faults or attacks")?;
        let lookups = LOOKUPS_MAX.saturating_mul(self.run_us.div_ceil(SECOND).max(1));
        let few = u64::from(self.lookups) <= lookups;
        check::that(few, "lookups", "be at most 10,000 a second")?;
        check::that(self.attacks.len() <= ATTACKS_MAX, "attacks", "be at most 256")?;
        for (at, attack) in self.attacks.iter().enumerate() {
            let fault = attack.find_fault(self.run_us);
            fault.map_err(|error| format!("attacks[{at}]: {error}"))?;
        }
        for (at, fault) in self.faults.iter().enumerate() {
            fault.find_fault(self).map_err(|error| format!("faults[{at}]: {error}"))?;
        }
        Ok(())
    }

    /// How much memory it takes, roughly, in bytes.
    pub fn memory_estimate(&self) -> u64 {
        let nodes = self.all_nodes();
        // Joining nodes have most under way: about 30 datagrams each for a second or two.
        let joining = nodes.saturating_mul(2 * SECOND) / self.join_over_us.max(2 * SECOND);
        (20_000_000 + nodes * NODE_BYTES).saturating_add(joining.saturating_mul(30 * PACKET_BYTES))
    }

    /// How datagrams travel once everything has healed: as fast as before, and all arrive.
    pub(crate) fn healed_link(&self) -> Link {
        Link { latency: self.link.latency.clone(), ..Link::default() }
    }

    /// When it ends, in virtual time, healing and its lookups included.
    pub fn end(&self) -> Micros {
        let healing = self.heal_us.map_or(0, |heal| heal.saturating_add(HEALING_WAIT));
        self.run_from().saturating_add(self.run_us).saturating_add(healing)
    }

    /// When the third phase begins, in virtual time.
    pub fn run_from(&self) -> Micros {
        self.join_over_us.saturating_add(self.settle_us)
    }
}
