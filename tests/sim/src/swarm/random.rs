//! Random scenarios. Each feature draws from a stream of its own, so that a feature that gets another
//! draw shifts no other.

use strum::VariantArray;

use super::SwarmOptions;
use crate::scenario::{
    Attack, AttackKind, Clocks, Fault, FaultKind, NatGroup, NodeOptions, Scenario, Stands, script,
};
use crate::world::addresses::{
    ADDRESSES_PER_NETWORK_MAX, Addresses, HOSTS_PER_NAT_MAX, NODES_PER_ADDRESS_MAX, Sharing,
};
use crate::world::churn::{Churn, Length};
use crate::world::link::{Latency, Link, Loss, Reorder};
use crate::world::nat::{Kind, Nat, Ports};
use crate::world::partition::{Flap, Side};
use crate::world::{Micros, Purpose, SECOND, Stream};

const MILLI: Micros = 1_000;
const MINUTE: Micros = 60 * SECOND;
/// The stream of random scenarios; streams of hosts are numbered from 0, and the stream of a run is the last.
const SWARM: u32 = u32::MAX - 1;
/// Kinds of faults.
const KINDS: u64 = 16;
/// Stores and sessions.
const WORK_MAX: u64 = 6;
/// A crash, and a return of the same host.
const RETURN: u64 = 1;
/// Kinds of attackers that are drawn together, and kinds that were added later.
const FIRST: (u64, u64) = (0, 16);
const LATER: (u64, u64) = (FIRST.1, AttackKind::ALL.len() as u64);
/// More lookups at once than there are places for, so that requests of a node's own find none.
const CROWD: u32 = 100;
/// So much time to heal, if there is any: tables may need two or three refreshes.
const HEAL: Micros = 15 * MINUTE;
/// No fault lasts longer: nothing of it is left when the network was given time to heal.
const FAULT_MAX: Micros = 5 * MINUTE;

impl Scenario {
    /// The random scenario of a seed: a random part of all features, each in a random strength (swarm testing: Groce and
    /// others, 2012). A feature that is left out can't hide another one.
    pub fn random(seed: u64, options: &SwarmOptions) -> Self {
        let mut all = Stream::new(seed, Purpose::Scenario, SWARM);
        let [mut link, mut nats, mut node, mut churn, mut rest, mut faults, mut attacks, mut work] =
            std::array::from_fn(|_| all.split());
        let mut addresses = all.split();
        // What came later is drawn last.
        let [mut more_attacks, mut more_work] = std::array::from_fn(|_| all.split());
        let (join_over_us, settle_us) = (MINUTE, MINUTE);
        let all_us = options.time_us.max(2 * SECOND);
        // What a short run has been through can't heal in what is left of it.
        let heal_us = (all_us >= 3 * HEAL).then_some(HEAL);
        let after = heal_us.map_or(0, |heal| heal + 40 * SECOND);
        let run_us = all_us.saturating_sub(join_over_us + settle_us + after);
        // A whole number of seconds per lookup, so that a shorter run can make the first of them.
        let run_us = run_us.max(MINUTE) / SECOND * SECOND;
        let every = [10, 20, 30, 60, 120][rest.below(5) as usize] * SECOND;
        let lookups = (run_us / every).max(1);
        let bootstraps = if rest.chance(0.3) { 2 } else { 1 };
        let clocks = if rest.chance(0.5) { random_clocks(&mut rest) } else { Clocks::default() };
        let dead = if rest.chance(0.2) { rest.unit() * 0.4 } else { 0.0 };
        let mut scenario = Self {
            version: script::VERSION,
            seed,
            nodes: options.nodes.max(4),
            bootstraps,
            join_over_us,
            settle_us,
            run_us: lookups * every,
            link: random_link(&mut link),
            node: random_node(&mut node),
            nats: random_nats(&mut nats),
            addresses: random_addresses(&mut addresses),
            clocks,
            churn: churn.chance(0.4).then(|| random_churn(&mut churn)),
            dead,
            lookups: lookups as u32,
            faults: Vec::new(),
            attacks: Vec::new(),
            checks: true,
            heal_us,
        };
        scenario.faults = random_faults(&mut faults, &scenario, options.faults_max);
        scenario.faults.extend(random_work(&mut work, &scenario));
        scenario.faults.extend(random_crowd(&mut more_work, &scenario));
        scenario.faults.sort_by_key(|fault| fault.at_us);
        scenario.attacks = random_attacks(&mut attacks, &scenario, options.attacks_max);
        if !scenario.attacks.is_empty() && more_attacks.chance(0.5) {
            // The last: where the hosts of an attacker are follows from its place.
            scenario.attacks.push(random_attack(&mut more_attacks, &scenario, LATER));
        }
        scenario
    }
}

/// Anything from `min` to `max`, smaller ones more often: its logarithm is even.
fn scale(draws: &mut Stream, min: Micros, max: Micros) -> Micros {
    let ratio = max as f64 / min as f64;
    (min as f64 * libm::pow(ratio, draws.unit())) as Micros
}

fn range(draws: &mut Stream, min: u64, max: u64) -> u64 {
    min + draws.below(max - min + 1)
}

/// A part up to `max`, in thousandths: numbers that people can read.
fn part(draws: &mut Stream, max: f64) -> f64 {
    libm::round(draws.unit() * max * 1_000.0).max(1.0) / 1_000.0
}

/// The same with this chance, otherwise 0.
fn maybe(draws: &mut Stream, chance: f64, max: f64) -> f64 {
    if draws.chance(chance) { part(draws, max) } else { 0.0 }
}

pub(super) fn random_link(draws: &mut Stream) -> Link {
    let [mut latency, mut loss, mut rest] = std::array::from_fn(|_| draws.split());
    let loss = if !loss.chance(0.6) {
        Loss::None
    } else if loss.chance(0.5) {
        Loss::Independent(part(&mut loss, 0.2))
    } else {
        // A fifth is lost at most, in spells.
        Loss::GilbertElliott {
            p_good_to_bad: part(&mut loss, 0.03),
            p_bad_to_good: 0.1 + part(&mut loss, 0.4),
            loss_good: part(&mut loss, 0.02),
            loss_bad: 0.3 + part(&mut loss, 0.5),
        }
    };
    let [duplicate, corrupt, truncate, probability] =
        [0.1, 0.05, 0.05, 0.2].map(|max| maybe(&mut rest.split(), 0.3, max));
    let extra_us = scale(&mut rest, MILLI, 500 * MILLI);
    let reorder = Reorder { probability, extra_us: if probability > 0.0 { extra_us } else { 0 } };
    let latency = random_latency(&mut latency);
    let mtu = if rest.chance(0.2) { 9_000 } else { 1_500 };
    Link { latency, loss, duplicate, reorder, corrupt, truncate, mtu }
}

fn random_latency(draws: &mut Stream) -> Latency {
    match draws.below(4) {
        0 => Latency::Constant { delay_us: scale(draws, MILLI, 150 * MILLI) },
        1 => {
            let min_us = scale(draws, MILLI, 100 * MILLI);
            Latency::Uniform { min_us, max_us: min_us + scale(draws, MILLI, 150 * MILLI) }
        }
        2 => {
            let per_pair = draws.chance(0.5);
            Latency::LogNormal {
                median_us: scale(draws, 5 * MILLI, 80 * MILLI),
                sigma: part(draws, 0.6),
                min_us: MILLI,
                per_pair,
                jitter_sigma: if per_pair { part(draws, 0.2) } else { 0.0 },
            }
        }
        _ => {
            let regions = range(draws, 2, 5);
            let mut row = || (0..regions).map(|_| scale(draws, 5 * MILLI, 150 * MILLI)).collect();
            let median_us = (0..regions).map(|_| row()).collect();
            Latency::Regions { median_us, jitter_sigma: part(draws, 0.2), min_us: MILLI }
        }
    }
}

fn random_node(draws: &mut Stream) -> NodeOptions {
    let concurrency = if draws.chance(0.3) { range(draws, 1, 32) as u16 } else { 10 };
    let adaptive_timeout = draws.chance(0.3);
    let thorough = draws.chance(0.3);
    let [ephemeral, unsure] = std::array::from_fn(|_| maybe(draws, 0.3, 0.5));
    NodeOptions { adaptive_timeout, concurrency, ephemeral, unsure, thorough }
}

fn random_nats(draws: &mut Stream) -> Vec<NatGroup> {
    if !draws.chance(0.4) {
        return Vec::new();
    }
    let groups = range(draws, 1, 3);
    let mut group = || {
        let kind = Kind::VARIANTS[draws.below(5) as usize];
        let nat = Nat {
            kind,
            hairpin: draws.chance(0.5),
            timeout_us: scale(draws, 20 * SECOND, 5 * MINUTE),
            ports: if draws.chance(0.5) { Ports::Preserve } else { Ports::Random },
            ..Nat::default()
        };
        // A firewall translates nothing, so hosts behind it can't share an address.
        let share = if kind == Kind::Firewall { 1 } else { range(draws, 1, 6) as u32 };
        NatGroup { part: part(draws, 0.2), share, nat }
    };
    (0..groups).map(|_| group()).collect()
}

/// Often enough: what concerns neighbours is seen nowhere else.
fn random_addresses(draws: &mut Stream) -> Option<Addresses> {
    let shared = draws.chance(0.6);
    let mut sharing = |most_part: f64, most: u32| {
        let mut draws = draws.split();
        if draws.chance(0.3) {
            return Sharing::NONE;
        }
        let (part, most) = (part(&mut draws, most_part), scale(&mut draws, 2, most.into()));
        Sharing { part, most: most as u32 }
    };
    let networks = sharing(1.0, ADDRESSES_PER_NETWORK_MAX);
    let servers = sharing(0.5, NODES_PER_ADDRESS_MAX);
    let nats = sharing(1.0, HOSTS_PER_NAT_MAX);
    shared.then_some(Addresses { networks, servers, nats })
}

fn random_clocks(draws: &mut Stream) -> Clocks {
    let drift_ppm = scale(draws, 10, 5_000) as u32;
    Clocks { drift_ppm, offset_us: scale(draws, SECOND, 24 * 60 * MINUTE) }
}

fn random_churn(draws: &mut Stream) -> Churn {
    let mean_us = scale(draws, 5 * MINUTE, 120 * MINUTE);
    let session = match draws.below(3) {
        0 => Length::Exponential { mean_us },
        1 => Length::Weibull { scale_us: mean_us, shape: 0.4 + part(draws, 0.8) },
        _ => Length::Pareto { min_us: mean_us / 4, shape: 1.2 + part(draws, 2.0) },
    };
    Churn {
        session,
        downtime: Length::Exponential { mean_us: scale(draws, 30 * SECOND, 15 * MINUTE) },
        permanent: part(draws, 0.5),
        return_with_table: maybe(draws, 0.5, 1.0),
    }
}

/// Of kinds that are drawn first, so that a scenario may have many of one.
fn random_faults(draws: &mut Stream, scenario: &Scenario, most: u32) -> Vec<Fault> {
    let kinds: Vec<u64> = (0..KINDS).filter(|_| draws.chance(0.4)).collect();
    let count = if kinds.is_empty() { 0 } else { draws.below(u64::from(most) + 1) };
    let mut faults = Vec::new();
    while (faults.len() as u64) < count {
        let mut draws = draws.split();
        // Whole milliseconds: numbers that people can read.
        let at_us = draws.below(scenario.run_us / MILLI) * MILLI;
        let kind = kinds[draws.below(kinds.len() as u64) as usize];
        let what = random_fault(&mut draws, kind, scenario.nodes);
        if let (FaultKind::Crash { host }, RETURN) = (&what, kind) {
            // A bootstrap node that has forgotten all nodes has none to join by: an island, until another node joins by it.
            let is_bootstrap = *host < scenario.bootstraps;
            let with_table = draws.chance(0.5) || is_bootstrap;
            let anew = draws.chance(0.3) && !is_bootstrap;
            let what = FaultKind::Restart { host: *host, with_table, anew };
            let at_us = at_us + scale(&mut draws, MILLI, 30 * MINUTE) / MILLI * MILLI;
            faults.push(Fault { at_us: at_us.min(scenario.run_us), what });
        }
        faults.push(Fault { at_us, what });
    }
    faults.sort_by_key(|fault| fault.at_us);
    faults
}

fn random_fault(draws: &mut Stream, kind: u64, nodes: u32) -> FaultKind {
    let host = draws.below(u64::from(nodes)) as u32;
    let mut lasting = |min| scale(draws, min, FAULT_MAX) / MILLI * MILLI;
    match kind {
        0 | RETURN => FaultKind::Crash { host },
        2 => FaultKind::Stall { host, for_us: lasting(10 * MILLI) },
        3 => FaultKind::Sleep { host, for_us: lasting(SECOND) },
        4 => FaultKind::Suspend { host, for_us: lasting(10 * MILLI) },
        5 | 6 => FaultKind::Partition {
            for_us: lasting(SECOND),
            first: random_side(draws, nodes),
            one_way: draws.chance(0.3),
            flap: draws.chance(0.3).then(|| {
                let period_us = scale(draws, SECOND, MINUTE);
                Flap { period_us, open_us: 1 + draws.below(period_us - 1) }
            }),
        },
        7 => FaultKind::MassLeave { part: part(draws, 0.5) },
        8 => FaultKind::FlashCrowd {
            nodes: range(draws, 1, u64::from(nodes / 4).max(1)) as u32,
            over_us: scale(draws, SECOND, MINUTE),
        },
        9 => {
            let by_us = scale(draws, MILLI, 60 * MINUTE) as i64;
            FaultKind::StepClock { host, by_us: if draws.chance(0.5) { by_us } else { -by_us } }
        }
        10 => FaultKind::RebindNats,
        11 => FaultKind::Link { link: random_link(draws) },
        12 => FaultKind::Burst { host, requests: scale(draws, 1, 2_000) as u32 },
        13 => {
            let count = scale(draws, 1, 64) as u32;
            let cancel = draws.below(u64::from(count) + 1) as u32;
            FaultKind::Lookups { host, count, cancel }
        }
        14 => FaultKind::DownHints { host },
        _ => FaultKind::Phantoms { host, count: scale(draws, 1, 2_000) as u32 },
    }
}

/// What nodes are asked to do beside lookups: seldom much, so that it is not most of what there is.
fn random_work(draws: &mut Stream, scenario: &Scenario) -> Vec<Fault> {
    let count = if draws.chance(0.5) { range(draws, 1, WORK_MAX) } else { 0 };
    let mut work = || {
        let mut draws = draws.split();
        let at_us = draws.below(scenario.run_us / MILLI) * MILLI;
        let host = draws.below(u64::from(scenario.nodes)) as u32;
        let what = if draws.chance(0.6) {
            FaultKind::Stores { host, count: scale(&mut draws, 1, 16) as u32 }
        } else {
            let requests = scale(&mut draws, 1, 256) as u32;
            FaultKind::Session { host, requests, for_us: scale(&mut draws, MILLI, 10 * SECOND) }
        };
        Fault { at_us, what }
    };
    (0..count).map(|_| work()).collect()
}

/// Once in a while, more lookups by one node than there are places for.
fn random_crowd(draws: &mut Stream, scenario: &Scenario) -> Option<Fault> {
    let (any, at) = (draws.chance(0.15), draws.below(scenario.run_us / MILLI));
    let host = draws.below(u64::from(scenario.nodes)) as u32;
    let what = FaultKind::Lookups { host, count: CROWD, cancel: 0 };
    any.then(|| Fault { at_us: at * MILLI, what })
}

/// Few enough hosts that they are no majority anywhere, and so little that honest nodes' traffic is still
/// most of what there is.
fn random_attacks(draws: &mut Stream, scenario: &Scenario, most: u32) -> Vec<Attack> {
    if most == 0 || !draws.chance(0.4) {
        return Vec::new();
    }
    let count = range(draws, 1, most.into());
    let mut attack = || random_attack(&mut draws.split(), scenario, FIRST);
    let mut attacks: Vec<_> = (0..count).map(|_| attack()).collect();
    attacks.sort_by_key(|attack| attack.at_us);
    attacks
}

/// The kinds of attackers from this one to that.
fn random_attack(draws: &mut Stream, scenario: &Scenario, (from, to): (u64, u64)) -> Attack {
    Attack {
        kind: AttackKind::ALL[range(draws, from, to - 1) as usize],
        at_us: draws.below(scenario.run_us / MILLI) * MILLI,
        for_us: scale(draws, SECOND, FAULT_MAX) / MILLI * MILLI,
        victim: draws.below(u64::from(scenario.nodes)) as u32,
        rate: scale(draws, 1, 500) as u32,
        hosts: scale(draws, 1, u64::from(scenario.nodes / 10).max(2)) as u32,
        stands: Stands::VARIANTS[draws.below(3) as usize],
    }
}

fn random_side(draws: &mut Stream, nodes: u32) -> Side {
    if draws.chance(0.5) {
        return Side::Fraction(part(draws, 0.5));
    }
    let count = scale(draws, 1, u64::from(nodes / 2).max(2));
    Side::Hosts((0..count).map(|_| draws.below(u64::from(nodes)) as u32).collect())
}
