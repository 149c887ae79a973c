//! A run of a [`Scenario`]: who joins when, who leaves, what is asked, and what came of it.

mod attackers;
mod faults;
mod healing;
mod phantom;
pub mod snapshot;
mod tally;
mod work;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

pub use snapshot::Snapshot;
pub use tally::Tally;

use dht_core::{Config, ConfigError, Node, Query, QueryId};

use crate::checks;
use crate::scenario::{Impossible, Scenario};
use crate::sim::{Return, Sim, Spec, Violation};
use crate::world::{HostId, Micros, NatId, Purpose, SECOND, Stream, churn::Met, clock::Clock};

/// Something that the run does to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The third phase begins.
    Begin,
    Fault(usize),
    Leave(HostId),
    Return(HostId, bool),
    Lookup(u32),
    Cancel(HostId, QueryId),
    Resume(HostId),
    /// A session of a host ends, by its number.
    EndSession(HostId, u64),
    /// An attacker begins, and is gone.
    Attack(usize),
    Retreat(HostId),
    Sample,
    Heal,
    /// A host gets the table that was saved, and whether it then starts.
    Load(HostId, bool),
}

/// A run under way. A clone is a fork.
///
/// ```
/// use dht_sim::{Run, Scenario};
///
/// let scenario = Scenario { nodes: 20, lookups: 5, run_us: 60_000_000, ..Scenario::default() };
/// let mut run = Run::new(scenario)?;
/// run.finish()?;
/// assert_eq!((run.tally().lookups, run.tally().recall()), (5, 1.0));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Run {
    scenario: Scenario,
    sim: Sim,
    agenda: BinaryHeap<Reverse<(Micros, u64, Step)>>,
    serial: u64,
    bootstraps: Vec<SocketAddrV4>,
    /// Of each host, when it comes and goes.
    churn: BTreeMap<HostId, Stream>,
    churns: bool,
    draws: Stream,
    /// How many random lookups were begun.
    looked_up: u32,
    tally: Tally,
    /// The NAT of each group that is being filled, and how many places it has left.
    filling: Vec<Option<(NatId, u32)>>,
    /// Tables that hosts are still to start with.
    stored: Option<Arc<Snapshot>>,
    /// Lookups that have to find nearly everything are being made.
    healing: bool,
    /// Who asks nodes all that can be asked, while everything is checked.
    prober: Option<HostId>,
    /// Requests of sessions that are open, by their numbers.
    sessions: BTreeMap<u64, work::Session>,
    /// Attackers that have begun.
    attackers: Vec<HostId>,
    end: Micros,
}

/// What is measured is sampled this often.
const SAMPLE: Micros = 5 * SECOND;

impl Run {
    /// Prepares a run: no node has joined yet.
    ///
    /// # Errors
    /// If the scenario is impossible.
    pub fn new(scenario: Scenario) -> Result<Self, Impossible> {
        Self::create(scenario, None)
    }

    /// Prepares a run of a network that was saved: its nodes start with the tables that they had, as if they had been
    /// there all along, instead of joining with empty ones. Only nodes that can't be reached, or have to find out, look for
    /// their places. All should start within the 5 s after which nodes begin to ask each other.
    ///
    /// # Errors
    /// If the scenario is impossible, or has other nodes or NATs than the saved network.
    pub fn load(scenario: Scenario, snapshot: Snapshot) -> Result<Self, Impossible> {
        snapshot.check_fits(&scenario)?;
        Self::create(scenario, Some(Arc::new(snapshot)))
    }

    fn create(scenario: Scenario, stored: Option<Arc<Snapshot>>) -> Result<Self, Impossible> {
        scenario.check()?;
        let mut sim = Sim::new(scenario.seed);
        sim.set_link(scenario.link.clone());
        if let Some(addresses) = scenario.addresses {
            sim.set_addresses(addresses).map_err(Impossible)?;
        }
        if scenario.checks {
            sim.check_nodes(true);
            checks::all().into_iter().for_each(|check| sim.add_boxed_invariant(check));
        }
        let mut run = Self {
            sim,
            agenda: BinaryHeap::new(),
            serial: 0,
            bootstraps: Vec::new(),
            churn: BTreeMap::new(),
            churns: false,
            draws: Stream::new(scenario.seed, Purpose::Scenario, u32::MAX),
            looked_up: 0,
            tally: Tally::default(),
            filling: vec![None; scenario.nats.len()],
            stored,
            healing: false,
            prober: None,
            sessions: BTreeMap::new(),
            attackers: Vec::new(),
            end: scenario.end(),
            scenario,
        };
        run.prepare().map_err(|error| Impossible(error.to_string()))?;
        Ok(run)
    }

    fn prepare(&mut self) -> Result<(), ConfigError> {
        for _ in 0..self.scenario.bootstraps {
            let address = self.sim.next_address();
            self.bootstraps.push(address);
            let spec =
                self.equip(Spec::bootstrapper(address)?).after(u64::from(self.stored.is_some()));
            let host = self.sim.add(spec)?;
            self.plan_load(0, host, true);
        }
        let joining = self.scenario.nodes - self.scenario.bootstraps;
        for at in 0..joining {
            let over = u128::from(self.scenario.join_over_us) * u128::from(at);
            let after = (over / u128::from(joining)) as Micros;
            self.join(after)?;
        }
        if self.scenario.checks {
            let prober = self.sim.add_actor(&checks::PROBER_IPS, checks::Prober::default());
            self.prober = Some(prober);
        }
        let from = self.scenario.run_from();
        self.plan(from, Step::Begin);
        self.plan(SAMPLE, Step::Sample);
        for at in 0..self.scenario.faults.len() {
            self.plan(from + self.scenario.faults[at].at_us, Step::Fault(at));
        }
        for at in 0..self.scenario.attacks.len() {
            self.plan(from + self.scenario.attacks[at].at_us, Step::Attack(at));
        }
        if self.scenario.heal_us.is_some() {
            self.plan(from + self.scenario.run_us, Step::Heal);
        }
        Ok(())
    }

    /// Adds a node that joins after a while.
    fn join(&mut self, after: Micros) -> Result<HostId, ConfigError> {
        let Scenario { seed, node, clocks, .. } = self.scenario;
        let host = self.sim.hosts();
        let mut draws = Stream::new(seed, Purpose::Scenario, host);
        let nat = self.draw_nat(draws.unit());
        let mut config = Config::default();
        config.adaptive_timeout = node.adaptive_timeout;
        config.concurrency = node.concurrency;
        config.firewalled = nat.is_some() || draws.chance(node.unsure);
        config.ephemeral = Some(draws.chance(node.ephemeral)).filter(|_| nat.is_none());
        let starts_settled = !config.firewalled;
        let clock = Clock {
            drift_ppm: between(&mut draws, u64::from(clocks.drift_ppm)) as i32,
            offset_us: between(&mut draws, clocks.offset_us),
            uptime_us: draws.below(1_000_000) * SECOND,
            ..Clock::default()
        };
        let region = draws.below(256) as u8;
        let mut spec = self.equip(Spec::new(config).clock(clock).region(region).after(after));
        spec.nat = nat;
        if self.stored.is_none() {
            return self.sim.add(spec);
        }
        // By then it has its table.
        let host = self.sim.add(spec.after(after + 1))?;
        self.plan_load(after, host, starts_settled);
        Ok(host)
    }

    /// A host as the scenario has it: it knows the bootstrap nodes, and what the checks need.
    fn equip(&self, mut spec: Spec) -> Spec {
        spec.config.bootstrap = self.bootstraps.iter().map(|addr| (*addr).into()).collect();
        spec.config.node_events = self.scenario.checks;
        if self.scenario.checks { spec.app(checks::Echo) } else { spec }
    }

    fn plan_load(&mut self, at: Micros, host: HostId, start: bool) {
        if self.stored.is_some() {
            self.plan(at, Step::Load(host, start));
        }
    }

    /// A host gets its table. One by one, since unpacked they are large.
    fn give_table(&mut self, host: HostId, start: bool) {
        let Some(stored) = &self.stored else { return };
        let table = stored.table(host);
        if start {
            // Its configuration was looked at when it was added.
            let _ = self.sim.start_settled(host, &table, Duration::ZERO);
        } else {
            self.sim.import_table(host, &table, Duration::ZERO);
        }
        if host.0 + 1 == self.scenario.nodes {
            self.stored = None;
        }
    }

    /// The NAT that a new node is behind, if any.
    fn draw_nat(&mut self, unit: f64) -> Option<NatId> {
        let mut below = 0.0;
        let parts = self.scenario.nats.iter().map(|group| {
            below += group.part;
            below
        });
        let at = { parts }.position(|below| unit < below)?;
        let group = self.scenario.nats[at];
        let (nat, left) = match self.filling[at] {
            Some((nat, left)) if left > 0 => (nat, left),
            _ => {
                let share = if group.share == 1 { self.sim.behind_next_nat() } else { group.share };
                (self.sim.add_nat(group.nat), share)
            }
        };
        self.filling[at] = Some((nat, left - 1));
        Some(nat)
    }

    fn plan(&mut self, at: Micros, step: Step) {
        self.serial += 1;
        self.agenda.push(Reverse((at, self.serial, step)));
    }

    /// The network.
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// The network, to do things to it that are not in the scenario.
    pub fn sim_mut(&mut self) -> &mut Sim {
        &mut self.sim
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// What has been measured so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// When it ends, in virtual time.
    pub fn end(&self) -> Micros {
        self.end
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn finish(&mut self) -> Result<(), Violation> {
        self.run_to(self.end)
    }

    /// Runs until this virtual time, or to the end if that is sooner.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn run_to(&mut self, until: Micros) -> Result<(), Violation> {
        let until = until.min(self.end);
        while let Some(Reverse((at, _, _))) = self.agenda.peek() {
            if *at > until {
                break;
            }
            let Some(Reverse((at, _, step))) = self.agenda.pop() else { break };
            self.sim.run_to(at)?;
            self.perform(step);
        }
        self.sim.run_to(until)?;
        self.collect();
        if until == self.end && self.healing {
            self.judge_healing()?;
        }
        Ok(())
    }

    fn perform(&mut self, step: Step) {
        let now = self.sim.now();
        match step {
            Step::Begin => self.begin(),
            Step::Fault(at) => {
                if let Some(fault) = self.scenario.faults.get(at).cloned() {
                    // A stream of its own, by its time: a fault that is left out does not shift other faults.
                    let (seed, when) = (self.scenario.seed, (fault.at_us / 1_000) as u32);
                    self.draws = Stream::of_pair(seed, Purpose::Scenario, u32::MAX, when);
                    self.inflict(&fault.what);
                }
            }
            Step::Leave(host) => {
                if self.churns {
                    self.sim.crash(host);
                    self.plan_return(host);
                }
            }
            Step::Return(host, with_table) => {
                let how = if with_table { Return::WithTable } else { Return::Anew };
                // Its configuration was good the first time.
                let _ = self.sim.restart(host, how);
                self.plan_leave(host);
            }
            Step::Lookup(n) => {
                self.random_lookup();
                if n > 1 {
                    let left = self.scenario.run_us - (now - self.scenario.run_from());
                    self.plan(now + left / u64::from(n), Step::Lookup(n - 1));
                }
            }
            Step::Cancel(host, query) => {
                self.sim.with(host, |node, now| node.cancel_query(now, query));
            }
            Step::Resume(host) => self.resume(host),
            Step::EndSession(host, session) => self.end_session(host, session),
            Step::Attack(at) => self.attack(at),
            Step::Retreat(attacker) => self.sim.remove_actor(attacker),
            Step::Sample => {
                self.collect();
                self.tally.sample(&self.sim);
                if let Some(prober) = self.prober {
                    self.sim.tell_prober(prober);
                }
                self.plan(now + SAMPLE, Step::Sample);
            }
            Step::Heal => self.heal(),
            Step::Load(host, start) => self.give_table(host, start),
        }
    }

    /// The third phase begins.
    fn begin(&mut self) {
        let from = self.sim.now();
        self.collect();
        self.tally.begin(&self.sim);
        let hosts = self.scenario.bootstraps..self.scenario.nodes;
        if self.scenario.dead > 0.0 {
            self.leave_at_random(self.scenario.dead);
        }
        if let Some(churn) = self.scenario.churn {
            self.churns = true;
            for host in hosts {
                let mut stream = Stream::new(self.scenario.seed, Purpose::Churn, host);
                let host = HostId(host);
                match churn.meet(&mut stream) {
                    Met::Permanent => {}
                    Met::Up(for_us) => self.plan(from.saturating_add(for_us), Step::Leave(host)),
                    Met::Down(for_us) => {
                        self.sim.crash(host);
                        let table = churn.returns_with_table(&mut stream);
                        self.plan(from.saturating_add(for_us), Step::Return(host, table));
                    }
                }
                self.churn.insert(host, stream);
            }
        }
        if self.scenario.lookups > 0 {
            let first = self.scenario.run_us / u64::from(self.scenario.lookups) / 2;
            self.plan(from + first, Step::Lookup(self.scenario.lookups));
        }
    }

    fn plan_return(&mut self, host: HostId) {
        let Some(churn) = self.scenario.churn else { return };
        let Some(stream) = self.churn.get_mut(&host) else { return };
        let (down, table) = (churn.downtime.draw(stream), churn.returns_with_table(stream));
        self.plan(self.sim.now().saturating_add(down), Step::Return(host, table));
    }

    fn plan_leave(&mut self, host: HostId) {
        let Some(churn) = self.scenario.churn.filter(|_| self.churns) else { return };
        let Some(stream) = self.churn.get_mut(&host) else { return };
        let up = churn.session.draw(stream);
        self.plan(self.sim.now().saturating_add(up), Step::Leave(host));
    }

    /// A random node that is up looks for a random key.
    fn random_lookup(&mut self) {
        // Each has a stream of its own, so that faults do not shift what is looked for.
        self.looked_up += 1;
        self.draws = Stream::new(self.scenario.seed, Purpose::Workload, self.looked_up);
        let hosts = u64::from(self.sim.hosts());
        for _ in 0..1_000 {
            let host = HostId(self.draws.below(hosts) as u32);
            if self.sim.is_up(host) && self.sim.node(host).is_some_and(Node::bootstrapped) {
                let target = self.draws.id();
                let query = Query::find_node(target);
                let query = if self.scenario.node.thorough { query.thorough() } else { query };
                self.tally.not_begun += u64::from(!self.sim.look_up_by(host, target, query));
                return;
            }
        }
        self.tally.not_begun += 1;
    }

    /// Has a node look for a random key.
    pub fn look_up_random(&mut self, host: HostId) {
        let target = self.draws.id();
        self.sim.look_up(host, target);
    }

    fn collect(&mut self) {
        for lookup in self.sim.take_lookups() {
            self.tally.lookup(&lookup);
        }
    }
}

/// Anything from `-most` to `most`.
fn between(draws: &mut Stream, most: u64) -> i64 {
    let most = most.min(1 << 62);
    draws.below(2 * most + 1) as i64 - most as i64
}
