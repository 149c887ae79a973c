//! What a scenario can do without.

use crate::scenario::{Attack, Clocks, FaultKind, NodeOptions, SECOND, Scenario, Stands};
use crate::world::addresses::{Addresses, Sharing};
use crate::world::link::{Latency, Link, Loss, Reorder};
use crate::world::{
    Micros,
    partition::{Partition, Side},
};

/// Switches features off, one by one, the costly ones first.
pub(super) fn features() -> [fn(&mut Scenario); 29] {
    [
        |scenario| scenario.churn = None,
        |scenario| scenario.nats.clear(),
        |scenario| scenario.addresses = None,
        |scenario| scenario.node = NodeOptions::default(),
        |scenario| {
            scenario.link = Link { latency: scenario.link.latency.clone(), ..Link::default() }
        },
        |scenario| scenario.link.latency = Latency::Constant { delay_us: 40_000 },
        |scenario| scenario.clocks = Clocks::default(),
        |scenario| scenario.dead = 0.0,
        |scenario| scenario.lookups = scenario.lookups.min(1),
        |scenario| scenario.bootstraps = 1,
        |scenario| scenario.nats.truncate(scenario.nats.len().saturating_sub(1)),
        |scenario| drop(scenario.nats.drain(..scenario.nats.len().min(1))),
        |scenario| scenario.link.loss = Loss::None,
        |scenario| scenario.link.duplicate = 0.0,
        |scenario| scenario.link.reorder = Reorder::default(),
        |scenario| scenario.link.corrupt = 0.0,
        |scenario| scenario.link.truncate = 0.0,
        |scenario| scenario.link.mtu = Link::default().mtu,
        |scenario| scenario.node.adaptive_timeout = false,
        |scenario| scenario.node.concurrency = NodeOptions::default().concurrency,
        |scenario| scenario.node.ephemeral = 0.0,
        |scenario| scenario.node.unsure = 0.0,
        |scenario| scenario.node.thorough = false,
        |scenario| scenario.clocks.drift_ppm = 0,
        |scenario| scenario.clocks.offset_us = 0,
        |scenario| scenario.nats.iter_mut().for_each(|group| group.share = 1),
        |scenario| shares(scenario, |addresses| addresses.networks = Sharing::NONE),
        |scenario| shares(scenario, |addresses| addresses.servers = Sharing::NONE),
        |scenario| shares(scenario, |addresses| addresses.nats = Sharing::NONE),
    ]
}

fn shares(scenario: &mut Scenario, change: impl FnOnce(&mut Addresses)) {
    if let Some(addresses) = &mut scenario.addresses {
        change(addresses);
    }
}

/// Halves numbers.
pub(super) fn halves() -> [fn(&mut Scenario); 5] {
    [
        |scenario| scenario.lookups /= 2,
        |scenario| scenario.join_over_us = scenario.join_over_us / 2 / SECOND * SECOND,
        |scenario| scenario.settle_us = scenario.settle_us / 2 / SECOND * SECOND,
        |scenario| scenario.clocks.drift_ppm /= 2,
        |scenario| {
            let half = scenario.run_us / 2 / SECOND * SECOND;
            if times(scenario).all(|at| at <= half) {
                scenario.run_us = half.max(SECOND);
                scenario.lookups = scenario.lookups.div_ceil(2);
            }
        },
    ]
}

/// Simpler variants of a fault, the simplest first.
pub(super) fn faults(what: &FaultKind) -> Vec<FaultKind> {
    let mut all = match what.clone() {
        FaultKind::Partition { first, one_way, for_us, flap } => {
            return partitions(&Partition { first, one_way, from_us: 0, until_us: for_us, flap });
        }
        FaultKind::Restart { host, .. } => {
            vec![FaultKind::Restart { host, with_table: false, anew: false }]
        }
        FaultKind::Lookups { host, count, .. } => {
            vec![FaultKind::Lookups { host, count, cancel: 0 }]
        }
        FaultKind::Link { link } => {
            links(&link).into_iter().map(|link| FaultKind::Link { link }).collect()
        }
        _ => Vec::new(),
    };
    let mut less = what.clone();
    if let Some((amount, ..)) = less.amount() {
        *amount = amount.div_ceil(2);
    }
    match &mut less {
        FaultKind::Stall { for_us, .. }
        | FaultKind::Sleep { for_us, .. }
        | FaultKind::Suspend { for_us, .. }
            if *for_us > SECOND =>
        {
            *for_us /= 2;
        }
        FaultKind::Lookups { count, cancel, .. } => *cancel = (*cancel).min(*count),
        _ => {}
    }
    all.push(less);
    all.retain(|simpler| simpler != what);
    all
}

fn partitions(cut: &Partition) -> Vec<FaultKind> {
    let steady = Partition { flap: None, ..cut.clone() };
    let both_ways = Partition { one_way: false, ..cut.clone() };
    let mut all = vec![steady, both_ways];
    if let Side::Hosts(hosts) = &cut.first {
        let (left, right) = hosts.split_at(hosts.len() / 2);
        let sides = [left, right, &hosts[1.min(hosts.len())..]];
        let sides = sides.into_iter().filter(|side| !side.is_empty());
        all.extend(
            sides.map(|side| Partition { first: Side::Hosts(side.to_vec()), ..cut.clone() }),
        );
    }
    if cut.until_us > 2 * SECOND {
        all.push(Partition { until_us: cut.until_us / 2, ..cut.clone() });
    }
    all.retain(|simpler| simpler != cut);
    let fault = |Partition { first, one_way, until_us: for_us, flap, .. }| FaultKind::Partition {
        first,
        one_way,
        for_us,
        flap,
    };
    all.into_iter().map(fault).collect()
}

fn links(link: &Link) -> [Link; 7] {
    [
        Link { latency: link.latency.clone(), ..Link::default() },
        Link { latency: Link::default().latency, ..link.clone() },
        Link { loss: Loss::None, ..link.clone() },
        Link { duplicate: 0.0, ..link.clone() },
        Link { reorder: Reorder::default(), ..link.clone() },
        Link { corrupt: 0.0, ..link.clone() },
        Link { truncate: 0.0, ..link.clone() },
    ]
}

/// Weaker variants of an attack, the weakest first.
pub(super) fn attacks(attack: &Attack) -> Vec<Attack> {
    let all = [
        Attack { hosts: 1, ..*attack },
        Attack { stands: Stands::Apart, ..*attack },
        Attack { hosts: attack.hosts.div_ceil(2), ..*attack },
        Attack { rate: attack.rate.div_ceil(2), ..*attack },
        Attack { for_us: (attack.for_us / 2).max(SECOND).min(attack.for_us), ..*attack },
    ];
    all.into_iter().filter(|weaker| weaker != attack).collect()
}

/// When something happens.
pub(super) fn times(scenario: &Scenario) -> impl Iterator<Item = Micros> + '_ {
    let faults = scenario.faults.iter().map(|fault| fault.at_us);
    faults.chain(scenario.attacks.iter().map(|attack| attack.at_us))
}

/// What happens from this time on is sooner, and so is the end.
pub(super) fn advance(scenario: &mut Scenario, from: Micros, sooner: Micros) {
    let faults = scenario.faults.iter_mut().map(|fault| &mut fault.at_us);
    let all = faults.chain(scenario.attacks.iter_mut().map(|attack| &mut attack.at_us));
    all.filter(|at| **at >= from).for_each(|at| *at -= sooner);
    scenario.run_us = scenario.run_us.saturating_sub(sooner).max(SECOND);
}

/// With fewer hosts, the numbers of missing hosts become numbers of other ones; but never of bootstrap nodes, without
/// which a network is another one.
pub(super) fn wrap(scenario: &mut Scenario, hosts: u32) {
    let bootstraps = scenario.bootstraps;
    let joining = hosts.saturating_sub(bootstraps).max(1);
    let wrap = |host: &mut u32| {
        if *host >= hosts {
            *host = bootstraps + (*host - bootstraps) % joining;
        }
    };
    scenario.attacks.iter_mut().for_each(|attack| wrap(&mut attack.victim));
    for fault in &mut scenario.faults {
        fault.what.hosts().into_iter().for_each(wrap);
        if let FaultKind::Partition { first: Side::Hosts(side), .. } = &mut fault.what {
            side.sort_unstable();
            side.dedup();
        }
    }
}
