use std::cell::Cell;

use super::*;
use crate::run::Run;
use crate::scenario::{Attack, AttackKind, Fault, FaultKind};
use crate::sim::{Invariant, Sim, Verdict};
use crate::swarm::{SwarmOptions, run_prepared};
use crate::world::HostId;

fn failure(scenario: &Scenario, at: Micros) -> Failure {
    let violation = Violation {
        invariant: "synthetic".to_owned(),
        message: format!("with {} faults", scenario.faults.len()),
        host: None,
        at,
        seed: scenario.seed,
        trace: 0,
    };
    Failure { scenario: Box::new(scenario.clone()), violation, events: 7 }
}

/// Fails if host 7 crashes before a partition.
fn crash_before_partition(scenario: &Scenario) -> Option<Failure> {
    let crash = |fault: &&Fault| fault.what == FaultKind::Crash { host: 7 };
    let crash = scenario.faults.iter().find(crash)?.at_us;
    let partition =
        |fault: &&Fault| matches!(fault.what, FaultKind::Partition { .. }) && fault.at_us > crash;
    let cut = scenario.faults.iter().find(partition)?.at_us;
    Some(failure(scenario, scenario.run_from() + cut))
}

/// A random scenario with everything on, and with this pair of faults.
fn scenario(seed: u64, options: &SwarmOptions) -> Scenario {
    let mut faults = Vec::new();
    for more in 0..5 {
        faults.extend(Scenario::random(seed * 5 + more, options).faults);
    }
    let mut scenario = Scenario::random(seed, options);
    let crash = FaultKind::Crash { host: 7 };
    faults.push(Fault { at_us: scenario.run_us / 4, what: crash });
    let first = crate::world::partition::Side::Fraction(0.3);
    let what = FaultKind::Partition { first, one_way: true, for_us: 60 * SECOND, flap: None };
    faults.push(Fault { at_us: scenario.run_us / 2, what });
    faults.sort_by_key(|fault| fault.at_us);
    scenario.faults = faults;
    scenario.attacks.push(Attack { at_us: scenario.run_us / 3, ..AttackKind::Grind.into() });
    scenario
}

#[test]
fn what_matters_is_left_and_nothing_else() {
    for seed in 0..50 {
        let scenario = scenario(seed, &SwarmOptions::default());
        let first = crash_before_partition(&scenario).unwrap();
        let shrunk = shrink_by(first, ShrinkOptions::default(), crash_before_partition);
        let left = &shrunk.scenario;
        let before = scenario.faults.len() + scenario.attacks.len();
        assert!(shrunk.finished && shrunk.before.faults == before);
        assert_eq!((shrunk.after.faults, left.nodes, left.lookups), (2, 8, 0), "{left:?}");
        assert_eq!(left.faults[0].what, FaultKind::Crash { host: 7 });
        assert!(matches!(
            left.faults[1].what,
            FaultKind::Partition { one_way: false, flap: None, .. }
        ));
        let plain = Scenario {
            seed,
            nodes: 8,
            join_over_us: 0,
            settle_us: 0,
            run_us: left.run_us,
            lookups: 0,
            faults: left.faults.clone(),
            checks: true,
            ..Scenario::default()
        };
        assert_eq!(*left, plain);
        assert!(left.run_us <= left.faults[1].at_us + 2 * SECOND, "{left:?}");
        assert!(shrunk.attempts < 1_000, "{}", shrunk.attempts);
    }
}

/// An attack is what matters: of it, what has to be left is left.
#[test]
fn attackers_become_weaker() {
    let fails = |scenario: &Scenario| {
        let strong = |attack: &&Attack| attack.kind == AttackKind::Grind && attack.rate >= 50;
        let attack = scenario.attacks.iter().find(strong)?;
        Some(failure(scenario, scenario.run_from() + attack.at_us))
    };
    let mut scenario = scenario(2, &SwarmOptions::default());
    let attack = Attack { hosts: 9, rate: 400, victim: 70, ..AttackKind::Grind.into() };
    scenario.attacks.push(Attack { at_us: scenario.run_us / 2, ..attack });
    let first = fails(&scenario).unwrap();
    let shrunk = shrink_by(first, ShrinkOptions::default(), fails);
    let [left] = shrunk.scenario.attacks[..] else { panic!("{:?}", shrunk.scenario) };
    assert_eq!((left.hosts, left.rate, left.for_us, shrunk.after.faults), (1, 50, SECOND, 1));
    assert!(left.victim < shrunk.scenario.nodes && left.at_us <= SECOND, "{left:?}");
}

#[test]
fn it_ends_in_time() {
    let scenario = scenario(1, &SwarmOptions::default());
    let first = crash_before_partition(&scenario).unwrap();
    let count = Cell::new(0);
    let counted = |scenario: &Scenario| {
        count.set(count.get() + 1);
        crash_before_partition(scenario)
    };
    let shrunk = shrink_by(
        first.clone(),
        ShrinkOptions { attempts: 5, ..ShrinkOptions::default() },
        counted,
    );
    assert_eq!((shrunk.attempts, count.get(), shrunk.finished), (5, 5, false));
    let none = ShrinkOptions { time: Duration::ZERO, ..ShrinkOptions::default() };
    let shrunk = shrink_by(first, none, |_| unreachable!());
    assert_eq!((&shrunk.scenario, shrunk.attempts), (&scenario, 0));
}

/// Of what is left of a scenario it can be told which hosts it names.
#[test]
fn only_hosts_that_there_are_are_named() {
    let fault = |what| Fault { at_us: SECOND, what };
    let crowd = FaultKind::FlashCrowd { nodes: 50, over_us: 0 };
    let crash = FaultKind::Crash { host: 140 };
    let faults = vec![fault(crowd), fault(crash)];
    let scenario = Scenario { nodes: 100, faults, ..Scenario::default() };
    assert_eq!(scenario.check_named_hosts(), Ok(()));
    let fails = |scenario: &Scenario| {
        let crash = |fault: &Fault| matches!(fault.what, FaultKind::Crash { .. });
        let all = scenario.nodes == 100 && scenario.faults.iter().any(crash);
        all.then(|| failure(scenario, scenario.run_from() + SECOND))
    };
    let shrunk = shrink_by(fails(&scenario).unwrap(), ShrinkOptions::default(), fails);
    assert_eq!(shrunk.scenario.check_named_hosts(), Ok(()));
    assert_eq!(shrunk.after.faults, 1, "{:?}", shrunk.scenario.faults);
}

/// Another invariant is another failure, and healing is kept if it is what fails.
#[test]
fn it_stays_the_same_failure() {
    let scenario = Scenario::random(3, &SwarmOptions::default());
    let at = scenario.run_from() + scenario.run_us + scenario.heal_us.unwrap_or(0);
    for name in ["healing", "other"] {
        let named = |scenario: &Scenario, name: &str| {
            let mut failure = failure(scenario, at);
            failure.violation.invariant = name.to_owned();
            failure
        };
        let fails = |candidate: &Scenario| {
            let same = candidate.faults.len() >= 3 && candidate.nodes > 50;
            Some(named(candidate, if same { name } else { "something else" }))
        };
        let mut scenario = scenario.clone();
        scenario.faults = self::scenario(3, &SwarmOptions::default()).faults;
        let first = named(&scenario, name);
        let shrunk = shrink_by(first, ShrinkOptions::default(), fails);
        assert_eq!((shrunk.after.faults, shrunk.after.nodes), (3, 51));
        assert_eq!(shrunk.scenario.heal_us.is_some(), name == "healing");
        assert_eq!(shrunk.violation.invariant, name);
    }
}

/// The same pair of events, seen in the network.
#[derive(Clone, Default)]
struct CrashBeforePartition(bool);

impl Invariant for CrashBeforePartition {
    fn name(&self) -> &'static str {
        "synthetic"
    }

    fn down(&mut self, _: &Sim, host: HostId) -> Verdict {
        self.0 |= host == HostId(7);
        Ok(())
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        let wrong = self.0 && sim.is_partitioned();
        if wrong { Err("a partition after the crash".to_owned()) } else { Ok(()) }
    }
}

#[test]
fn by_real_runs_as_well_and_always_the_same() {
    let prepare = |run: &mut Run| run.sim_mut().add_invariant(CrashBeforePartition::default());
    let fails = |scenario: &Scenario| run_prepared(scenario.clone(), prepare).err();
    let mut scenario =
        scenario(2, &SwarmOptions { nodes: 10, time_us: 240 * SECOND, ..SwarmOptions::default() });
    // Nothing else takes host 7 down.
    scenario.churn = None;
    scenario.dead = 0.0;
    scenario.faults.retain(|fault| !matches!(fault.what, FaultKind::MassLeave { .. }));
    let first = fails(&scenario).unwrap();
    let options = ShrinkOptions { time: Duration::from_secs(600), attempts: 100 };
    let shrunk = shrink_by(first.clone(), options, fails);
    assert_eq!((shrunk.after.faults, shrunk.after.nodes), (2, 8), "{:?}", shrunk.scenario);
    assert!(shrunk.after.events < shrunk.before.events / 4, "{shrunk:?}");
    let again = fails(&shrunk.scenario).unwrap();
    assert_eq!(again.violation, shrunk.violation);
    let few = ShrinkOptions { attempts: 12, ..options };
    assert_eq!(shrink_by(first.clone(), few, fails), shrink_by(first, few, fails));
}
