//! Runs in which an invariant once did not hold.

use dht_sim::Run;
use dht_sim::scenario::{Attack, AttackKind, Scenario};

const SECOND: dht_sim::Micros = 1_000_000;

/// Requests that ended just before a tick left more deadlines behind than there were places.
#[test]
fn a_burst_before_the_tick_that_gives_its_places_back() {
    let attack = Attack { hosts: 4, rate: 500, ..AttackKind::Grind.into() };
    let scenario = Scenario {
        seed: 2,
        nodes: 30,
        join_over_us: 60 * SECOND,
        settle_us: 60 * SECOND,
        run_us: 120 * SECOND,
        lookups: 5,
        attacks: vec![attack],
        checks: true,
        ..Scenario::default()
    };
    Run::new(scenario).unwrap().finish().unwrap();
}
