//! Networks that lose, double and delay datagrams: S19, F1, F2.

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Query, Request};
use dht_sim::HostId;
use dht_sim::link::{Latency, Link, Loss, Reorder};

use super::network::*;

/// S19: 30 % are lost, 10 % come twice, 5 % up to 3 s late. A lookup each minute, and who leaves a table, though all live:
/// in the first 20 minutes, in which nodes learn how much is lost, and in the hour after that.
#[test]
fn s19_lookups_succeed_and_the_living_stay_where_a_third_is_lost() {
    let mut sim = settled();
    let reorder = Reorder { probability: 0.05, extra_us: 3_000_000 };
    let loss = Loss::Independent(0.3);
    sim.set_link(Link { loss, duplicate: 0.1, reorder, ..Link::default() });
    let all: Vec<_> = (0..NODES).map(HostId).collect();
    Watch::over(&mut sim, &all);
    let (mut recall, mut least, mut first, mut places) = (0.0, 20, 0, 0);
    for n in 0..80 {
        sim.run_for(60 * SECOND).unwrap();
        let (part, found) = look(&mut sim, HostId(n % NODES), key(n.into()), &[]);
        (recall, least) = (recall + part / 80.0, least.min(found));
        if n == 19 {
            first = Watch::of(&sim).removed.values().sum();
            places = all.iter().map(|at| table(&sim, *at).len()).sum();
        }
    }
    let left = Watch::of(&sim).removed.values().sum::<u64>() - first;
    let share = |left: u64| 100.0 * left as f64 / places as f64;
    let (first, left) = (share(first), share(left));
    eprintln!(
        "S19: recall {recall:.4}, {least} found at least; of {places} places the living leave {first:.2} % in 20 minutes, \
         then {left:.2} % in an hour (to reach: 1 %)"
    );
    assert!(least > 0 && recall >= 0.95, "{least} {recall}");
    assert!(first <= 10.0 && left <= 1.0, "{first} {left}");
}

/// F1: 20 nodes, next to one another, 30 % lost.
#[test]
fn f1_lookups_of_twenty_nodes_take_three_seconds_at_most() {
    let mut sim = network(7, 20);
    let latency = Latency::Constant { delay_us: 100 };
    sim.set_link(Link { loss: Loss::Independent(0.3), latency, ..Link::default() });
    let (mut found, mut longest) = (Vec::new(), 0);
    for n in 0..40 {
        let (at, began) = (HostId(n % 20), sim.now());
        let query = Query::find_node(key(n.into()));
        let outcome = sim.walk(at, query, 60 * SECOND).unwrap().unwrap().1;
        found.push(outcome.unwrap().closest.len());
        longest = longest.max(sim.now() - began);
    }
    let (least, mean) = (*found.iter().min().unwrap(), found.iter().sum::<usize>() as f64 / 40.0);
    let longest = longest as f64 / 1e6;
    eprintln!(
        "F1: 40 of 40 find {mean:.1} of 19 on average, {least} at least, in {longest:.1} s at most"
    );
    assert!(mean >= 16.0 && least >= 10 && longest <= 3.0, "{mean} {least} {longest}");
}

/// F2: half of the datagrams come twice, half of them late.
#[test]
fn f2_each_answer_is_told_once() {
    let mut sim = settled();
    let reorder = Reorder { probability: 0.5, extra_us: 100_000 };
    sim.set_link(Link { duplicate: 0.5, reorder, ..Link::default() });
    let mut told = 0;
    for n in 0..20 {
        let (replies, outcome) =
            sim.walk(HostId(n), Query::find_node(key(n.into())), 60 * SECOND).unwrap().unwrap();
        let from: BTreeSet<_> = replies.iter().map(|reply| reply.from.addr).collect();
        assert_eq!((from.len(), outcome.unwrap().closest.len()), (replies.len(), 20));
        told += replies.len();
    }
    let to = sim.address(HostId(7));
    let begin = |_| sim.with(HostId(5), |node, now| node.request(now, Request::new(to, 7)));
    let ids: Vec<_> = (0..50).map(begin).map(|id| id.unwrap().unwrap()).collect();
    for id in &ids {
        assert!(sim.response(HostId(5), *id, 10 * SECOND).unwrap().unwrap().is_ok());
    }
    sim.run_for(Duration::from_secs(10)).unwrap();
    let again = ids.iter().filter_map(|id| sim.with(HostId(5), |node, _| node.take_response(*id)));
    assert_eq!(again.flatten().count(), 0);
    let late = sim.node(HostId(5)).unwrap().stats().drops.unsolicited;
    eprintln!(
        "F2: {told} replies and 50 answers told once each; {late} doubles dropped by one node"
    );
    assert!(late > 10, "{late}");
}
