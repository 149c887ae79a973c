//! What holds for every query, whatever the network does: loss, delay, duplicates, dead nodes,
//! nodes without ids or tokens, answers with errors, any options.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Event, Id, Instant, Query, QueryId, Stats};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng};

use crate::support::lab::*;

#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    nodes: u32,
    given: u32,
    in_table: u32,
    concurrency: u16,
    retries: u8,
    /// Of a thousand: nodes that are dead, have no id or refuse; datagrams that are lost or arrive twice.
    dead: u32,
    anonymous: u32,
    refusing: u32,
    loss: u32,
    twice: u32,
    latency_ms: u32,
    thorough: bool,
    force: bool,
    only: bool,
    commit: bool,
    window: u32,
}

prop_compose! {
    fn options()(
        (thorough, force, only, commit) in any::<(bool, bool, bool, bool)>(),
        retries in 0..6_u8,
        concurrency in prop_oneof![Just(1_u16), 2..12_u16, Just(64)],
        // With a smaller window, upkeep alone may never let the node come to rest.
        window in prop_oneof![Just(80_u32), 8..20_u32],
    ) -> (bool, bool, bool, bool, u8, u16, u32) {
        (thorough, force, only, commit, retries, concurrency, window)
    }
}

prop_compose! {
    fn cases()(
        seed in any::<u64>(),
        nodes in 1..90_u32,
        (given, in_table) in (0..40_u32, 0..40_u32),
        (dead, anonymous, refusing) in (0..600_u32, 0..300_u32, 0..300_u32),
        (loss, twice, latency_ms) in (0..400_u32, 0..300_u32, 1..2_500_u32),
        (thorough, force, only, commit, retries, concurrency, window) in options(),
    ) -> Case {
        Case {
            seed, nodes, given, in_table, concurrency, retries, dead, anonymous, refusing, loss,
            twice, latency_ms, thorough, force, only, commit, window,
        }
    }
}

fn below(rng: &mut ChaCha20Rng, n: u32) -> u32 {
    rng.next_u32() % n.max(1)
}

/// The network of a case, and the query.
fn stage(case: Case) -> (Lab, Query) {
    let mut rng = ChaCha20Rng::seed_from_u64(case.seed);
    let mut config = Config::default();
    config.max_window = case.window;
    let mut lab = Lab::started(config);
    for n in 0..case.nodes {
        if below(&mut rng, 1_000) < case.dead {
            continue;
        }
        let known = below(&mut rng, 25);
        let nodes = (0..known).map(|_| addr(below(&mut rng, case.nodes))).collect();
        let peer = Peer {
            has_id: below(&mut rng, 1_000) >= case.anonymous,
            error: if below(&mut rng, 1_000) < case.refusing { 16 } else { 0 },
            token: (below(&mut rng, 10) > 0).then_some([1; 32]),
            rtt: Duration::from_millis(1 + u64::from(below(&mut rng, case.latency_ms))),
            closer: nodes,
            ..Peer::default()
        };
        lab.peers.insert(addr(n), peer);
    }
    for _ in 0..case.in_table {
        let known = addr(below(&mut rng, case.nodes));
        lab.add_node(known);
    }
    let given: Vec<_> = (0..case.given).map(|_| addr(below(&mut rng, case.nodes))).collect();
    lab.fate(move |latency| {
        let copies = match below(&mut rng, 1_000) {
            roll if roll < case.loss => 0,
            roll if roll < case.loss + case.twice => 2,
            _ => 1,
        };
        (0..copies).map(|n| latency * (1 + 3 * n)).collect()
    });
    let mut query = Query::new(target(1), 16).nodes(given);
    query = query.concurrency(case.concurrency).retries(case.retries);
    for (set, with) in [
        (case.thorough, Query::thorough as fn(Query) -> Query),
        (case.force, Query::force),
        (case.only, Query::only_closest_nodes),
        (case.commit, Query::commit),
    ] {
        query = if set { with(query) } else { query };
    }
    (lab, query)
}

/// How many visits go on after their query at most.
const LATE_MAX: u64 = 32;

/// No first try is given up sooner, however soon other nodes answer, and no later try sooner than after half.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

/// Follows the visits of a query.
#[derive(Default)]
struct Watch {
    sent: usize,
    heard: usize,
    /// The last try and its transaction id.
    asked: BTreeMap<SocketAddrV4, (Instant, u16)>,
    asked_again: BTreeSet<SocketAddrV4>,
    answered: BTreeSet<SocketAddrV4>,
}

impl Watch {
    fn look(&mut self, lab: &Lab) {
        self.answered.extend(&lab.heard[self.heard..]);
        self.heard = lab.heard.len();
        for sent in &lab.sent[self.sent..] {
            let request = sent.request();
            if request.internal || request.token.is_some() {
                continue;
            }
            let known = self.asked.insert(sent.to, (sent.at, request.tid));
            if let Some((at, tid)) = known {
                assert_eq!(tid, request.tid, "{} is asked twice", sent.to);
                let pause = sent.at.saturating_since(at);
                let again = self.asked_again.contains(&sent.to);
                let least = if again { PATIENCE_MIN / 2 } else { PATIENCE_MIN };
                assert!(pause >= least, "{} is asked again after {pause:?}", sent.to);
                self.asked_again.insert(sent.to);
            }
        }
        self.sent = lab.sent.len();
    }

    /// Visits under way that have not missed a try. A second try shows that the first was missed; where a second
    /// try may wait for its place in the window, the shortest patience shows it.
    fn in_flight(&self, now: Instant, waits: bool) -> usize {
        let most = if waits { PATIENCE_MIN } else { Duration::from_secs(1) };
        let fresh = |(to, (at, _)): &(&SocketAddrV4, &(Instant, u16))| {
            let missed = self.asked_again.contains(*to) || now.saturating_since(*at) >= most;
            !missed && !self.answered.contains(*to)
        };
        self.asked.iter().filter(fresh).count()
    }
}

/// Runs until `is_over`, and watches the visits.
fn run(lab: &mut Lab, watch: &mut Watch, case: Case, mut is_over: impl FnMut(&mut Lab) -> bool) {
    let end = lab.now + Duration::from_secs(3_600);
    while !is_over(lab) {
        assert!(lab.step(end), "it does not end");
        lab.stats();
        watch.look(lab);
        let waits = case.window < 80 || watch.asked.len() + 2 * watch.asked_again.len() > 60;
        assert!(watch.in_flight(lab.now, waits) <= usize::from(case.concurrency));
    }
}

fn read(lab: &mut Lab, id: QueryId, replies: &mut Vec<dht_core::Reply>) {
    while let Some(reply) = lab.node.next_reply(id) {
        replies.push(reply);
    }
    lab.flush();
}

fn rests(stats: Stats) -> bool {
    (stats.requests.active, stats.queries.active) == (0, 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_query_ends_with_the_closest_that_answered(case in cases()) {
        let (mut lab, query) = stage(case);
        let id = lab.query(query);
        let (mut replies, mut watch, mut result) = (Vec::new(), Watch::default(), None);
        watch.look(&lab);
        run(&mut lab, &mut watch, case, |lab| {
            read(lab, id, &mut replies);
            result = lab.node.take_outcome(id);
            result.is_some()
        });
        let asked = watch.asked.len();
        prop_assert!(asked <= 200);
        prop_assert!(replies.len() <= asked);
        let mut repliers: Vec<_> = replies.iter().map(|reply| reply.from.addr).collect();
        repliers.sort();
        repliers.dedup();
        prop_assert_eq!(repliers.len(), replies.len(), "each is told once");

        // The closest nodes, found the naive way.
        let mut closest: Vec<_> =
            replies.iter().filter_map(|r| Some((r.from.id?.distance(&target(1)), r.from.addr))).collect();
        closest.sort();
        closest.truncate(20);
        match result.unwrap() {
            Ok(outcome) => {
                let found: Vec<_> = outcome.closest.iter().map(|r| r.from.addr).collect();
                prop_assert_eq!(found, closest.iter().map(|(_, a)| *a).collect::<Vec<_>>());
                for reply in &outcome.closest {
                    prop_assert_eq!(reply.from.id, Some(Id::of(reply.from.addr)));
                }
                prop_assert_eq!(outcome.successes as usize, replies.len());
                prop_assert_eq!(outcome.commit.is_some(), case.commit);
            }
            Err(error) => prop_assert!(case.commit, "{error}"),
        }
        prop_assert_eq!((lab.node.next_reply(id), lab.node.take_outcome(id)), (None, None));
        // Hints are left, and requests that a tick may just have begun; these end as well.
        lab.run_until(|lab| rests(lab.stats()));
    }

    /// Cancelled before the first tick, which brings requests of its own.
    #[test]
    fn cancelling_frees_all_but_late_visits_at_any_time(case in cases(), after_ms in 0..4_900_u64) {
        let (mut lab, query) = stage(case);
        let id = lab.query(query);
        lab.run_ms(after_ms);
        lab.node.cancel_query(lab.now, id);
        let stats = lab.stats();
        prop_assert_eq!(stats.queries.active, 0);
        prop_assert!(stats.requests.active <= LATE_MAX + stats.commands.down_hint.tx);
        prop_assert_eq!((lab.node.next_reply(id), lab.node.take_outcome(id)), (None, None));
        lab.flush();
        lab.sent.clear();
        lab.events.clear();
        lab.run_ms(10_000);
        prop_assert_eq!(lab.asked(16), vec![]);
        prop_assert!(!lab.events.contains(&Event::Reply(id)));
        prop_assert!(!lab.events.contains(&Event::Finished(id)));
    }

    #[test]
    fn ending_it_early_frees_all_but_hints(case in cases(), after_ms in 0..8_000_u64) {
        let (mut lab, query) = stage(case);
        let id = lab.query(query);
        lab.run_ms(after_ms);
        lab.node.finish_query(lab.now, id);
        // A tick may have begun another query meanwhile.
        prop_assert!(after_ms >= 5_000 || lab.stats().queries.active == 0);
        prop_assert!(lab.node.take_outcome(id).is_some());
        lab.flush();
        lab.sent.clear();
        lab.run_until(|lab| rests(lab.stats()));
        prop_assert_eq!(lab.asked(16), vec![]);
    }
}
