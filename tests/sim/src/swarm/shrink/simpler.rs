//! What is simpler than a scenario or a part of it: tried one by one, and kept if it fails as well.
//!
//! Fields are found by serde, so that a new field, fault or attacker needs nothing here: what differs from what is
//! usual becomes usual, numbers are halved, switches turned off, lists cut, options left out. What makes no sense is
//! refused by serde or by [`Scenario::check`].

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, to_value};

use crate::scenario::{Attack, FaultKind, Scenario, Stands};
use crate::world::{Micros, SECOND, partition::Side};

/// A scenario without faults and attackers, simpler by one thing.
pub(super) fn scenarios(scenario: &Scenario) -> Vec<Scenario> {
    let Scenario { version, seed, nodes, run_us, checks, heal_us, .. } = *scenario;
    let (faults, attacks) = (Vec::new(), Vec::new());
    let plain = Scenario { faults, attacks, ..scenario.clone() };
    let (join_over_us, settle_us, lookups) = (0, 0, 0);
    let usual = Scenario { version, seed, nodes, run_us, checks, heal_us, ..Scenario::default() };
    than(&plain, Some(&Scenario { join_over_us, settle_us, lookups, ..usual }))
}

/// A simpler fault.
pub(super) fn faults(what: &FaultKind) -> Vec<FaultKind> {
    than(what, None)
}

/// A weaker attack.
pub(super) fn attacks(attack: &Attack) -> Vec<Attack> {
    let (for_us, rate, hosts, stands) = (SECOND, 1, 1, Stands::Apart);
    than(attack, Some(&Attack { for_us, rate, hosts, stands, ..*attack }))
}

/// Each with one thing less, the largest things first.
fn than<T: Serialize + DeserializeOwned>(this: &T, usual: Option<&T>) -> Vec<T> {
    let this = to_value(this).unwrap_or_default();
    let mut all = less("", &this, usual.and_then(|usual| to_value(usual).ok()).as_ref());
    all.sort_by_key(|(depth, _)| *depth);
    all.into_iter().filter_map(|(_, simpler)| serde_json::from_value(simpler).ok()).collect()
}

/// Less than the value of a field, and how deep in it the change is.
fn less(field: &str, this: &Value, usual: Option<&Value>) -> Vec<(usize, Value)> {
    // A number that names a host is as simple as any other.
    if usual == Some(this) || field == "host" {
        return Vec::new();
    }
    let mut all: Vec<Value> = usual.cloned().into_iter().collect();
    let mut inside = Vec::new();
    match this {
        Value::Null | Value::String(_) | Value::Bool(false) => {}
        Value::Bool(true) => all.push(false.into()),
        Value::Number(number) => match number.as_u64() {
            // Shorter than a second is not simpler.
            Some(us) if field.ends_with("_us") => all.push((us / 2).max(SECOND).min(us).into()),
            Some(number) => all.extend([0.into(), (number / 2).into()]),
            None => all.push(0.into()),
        },
        Value::Array(items) => {
            let (left, right) = items.split_at(items.len() / 2);
            all.extend([left.into(), right.into(), items.iter().skip(1).cloned().collect()]);
            for (at, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                for (depth, simpler) in less("", item, None) {
                    let mut items = items.clone();
                    items[at] = simpler;
                    inside.push((depth + 1, items.into()));
                }
            }
        }
        Value::Object(fields) => {
            all.push(Value::Null);
            for (name, value) in fields {
                for (depth, simpler) in less(name, value, usual.and_then(|usual| usual.get(name))) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), simpler);
                    inside.push((depth + 1, fields.into()));
                }
            }
        }
    }
    all.retain(|simpler| simpler != this);
    all.into_iter().map(|simpler| (0, simpler)).chain(inside).collect()
}

/// Half of the time, if nothing is planned for the rest of it.
pub(super) fn half_the_time(scenario: &mut Scenario) {
    let half = scenario.run_us / 2 / SECOND * SECOND;
    if times(scenario).all(|at| at <= half) {
        scenario.run_us = half.max(SECOND);
        scenario.lookups = scenario.lookups.div_ceil(2);
    }
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
