use super::*;
use crate::scenario::AttackKind;

fn small() -> SwarmOptions {
    SwarmOptions { nodes: 10, time_us: 300 * SECOND, ..SwarmOptions::default() }
}

#[test]
fn a_seed_is_one_run() {
    let options = small();
    assert_eq!(Scenario::random(7, &options), Scenario::random(7, &options));
    let stats = run_seed(7, &options).unwrap();
    assert_eq!(run_seed(7, &options).unwrap(), stats);
    assert_ne!(run_seed(8, &options).unwrap().trace, stats.trace);
}

#[test]
fn all_that_is_drawn_can_be_run_and_written_down() {
    let (mut faults, mut kinds) = (0, std::collections::BTreeSet::new());
    let (mut attacked, mut attacks) = (0, std::collections::BTreeSet::new());
    let (mut crowded, mut stands) = (0, std::collections::BTreeSet::new());
    for seed in 0..2_000 {
        let scenario = Scenario::random(seed, &SwarmOptions::default());
        scenario.check().unwrap();
        let text = serde_json::to_string(&scenario).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), scenario);
        assert!(scenario.faults.len() <= 21 + 6 + 1 && scenario.checks);
        faults += scenario.faults.len();
        attacked += u32::from(!scenario.attacks.is_empty());
        attacks.extend(scenario.attacks.iter().map(|attack| attack.kind));
        stands.extend(scenario.attacks.iter().map(|attack| attack.stands as u8));
        crowded += u32::from(scenario.addresses.is_some());
        kinds.extend(scenario.faults.iter().map(|f| std::mem::discriminant(&f.what)).map(hash));
    }
    assert!(faults > 10_000, "{faults}");
    assert_eq!(kinds.len(), 17, "of all kinds");
    assert_eq!(attacks.len(), AttackKind::ALL.len());
    assert!((600..1_000).contains(&attacked), "{attacked}");
    assert_eq!(stands.len(), 3);
    assert!((1_100..1_300).contains(&crowded), "{crowded}");
}

fn hash(kind: std::mem::Discriminant<crate::scenario::FaultKind>) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn many_seeds_are_run_on_two_threads_as_on_one() {
    let options = SwarmOptions { nodes: 6, time_us: 240 * SECOND, ..small() };
    let run = |threads| {
        let mut all = std::collections::BTreeMap::new();
        let count = run_many(
            0..6,
            &options,
            threads,
            None,
            || false,
            |seed, result| {
                all.insert(seed, result.unwrap());
                ControlFlow::Continue(())
            },
        );
        assert_eq!(count, 6);
        all
    };
    assert_eq!(run(1), run(2));
    let mut seen = 0;
    let count = run_many(
        0..,
        &options,
        2,
        None,
        || false,
        |_, _| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert_eq!(count, 2);
    let (now, never) = (Some(Instant::now()), || false);
    assert_eq!(run_many(0.., &options, 1, now, never, |_, _| unreachable!()), 0);
}

#[test]
fn what_is_stopped_has_no_result() {
    // Long enough never to end here.
    let options = SwarmOptions { time_us: 1_000_000_000 * SECOND, ..small() };
    let asked = std::sync::atomic::AtomicU32::new(0);
    let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 9;
    assert_eq!(run_many(0.., &options, 2, None, stop, |_, _| unreachable!()), 0);
    let begun = std::cell::Cell::new(false);
    let impossible = Scenario { nodes: 1, ..Scenario::default() };
    let failed = run_unless(impossible, || begun.replace(true));
    assert!(failed.is_some_and(|result| result.is_err()), "what was found is not lost");
    assert_eq!(run_unless(Scenario::random(7, &small()), || false), Some(run_seed(7, &small())));
}

#[test]
fn a_panic_is_a_failure() {
    let scenario = Scenario { nodes: 4, ..Scenario::random(1, &small()) };
    let failure = run_prepared(scenario, |run| {
        run.sim_mut().add_rule(|now: Micros, _: &crate::sim::Packet| {
            assert!(now < 30 * SECOND, "enough");
            crate::Fate::Pass
        });
    })
    .unwrap_err();
    assert_eq!(failure.violation.invariant, PANIC);
    assert!(failure.violation.message.starts_with("enough ("), "{failure}");
    assert!(failure.violation.at >= 30 * SECOND && failure.events > 0);
    let impossible = Scenario { nodes: 1, ..Scenario::default() };
    assert_eq!(run_scenario(impossible).unwrap_err().violation.invariant, IMPOSSIBLE);
}

/// Answers itself, twice each time.
#[derive(Clone)]
struct Loop(std::net::SocketAddrV4);

impl crate::sim::Actor for Loop {
    fn on_start(&mut self, cx: &mut crate::sim::ActorCx<'_>) {
        cx.send(self.0, self.0, vec![7]);
    }

    fn on_packet(&mut self, cx: &mut crate::sim::ActorCx<'_>, packet: crate::sim::Datagram<'_>) {
        (0..2).for_each(|_| cx.send(packet.to, packet.from, packet.bytes.to_vec()));
    }
}

/// Little, of which a few hundred thousand datagrams in ten seconds are too much.
fn tiny() -> Scenario {
    let (join_over_us, settle_us, run_us) = (0, SECOND, 9 * SECOND);
    Scenario { nodes: 2, join_over_us, settle_us, run_us, lookups: 0, ..Scenario::default() }
}

#[test]
fn a_loop_of_datagrams_is_a_storm() {
    // About 19 doublings until the end.
    let link = crate::world::link::Link {
        latency: crate::world::link::Latency::Constant { delay_us: SECOND / 2 },
        ..crate::world::link::Link::default()
    };
    let failure = run_prepared(Scenario { link, ..tiny() }, |run| {
        let addr = std::net::SocketAddrV4::new([66, 0, 0, 1].into(), 4_000);
        run.sim_mut().add_actor(&[*addr.ip()], Loop(addr));
    })
    .unwrap_err();
    assert_eq!((&*failure.violation.invariant, failure.violation.at), (STORM, 10 * SECOND));
}

#[test]
fn what_is_asked_for_is_no_storm() {
    let mut attack = crate::scenario::Attack::from(AttackKind::FloodFindNode);
    attack.rate = 40_000;
    let stats = run_scenario(Scenario { attacks: vec![attack], ..tiny() }).unwrap();
    assert!(stats.events > STORM_LIMIT, "{}", stats.events);
}

/// Of two nodes and an attacker, for ten seconds.
const STORM_LIMIT: u64 = 3 * 20_000 * 10;
