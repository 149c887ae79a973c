//! A network for a long time, while nodes come, go and work: memory stays flat, and counters close.
//!
//! Twelve hosts for twelve hours by default; `DHT_SOAK=50` has 50 hosts for thirty days, which wants a release build.
#![allow(clippy::unwrap_used, reason = "a test, in functions that clippy doesn't take for one")]

#[path = "../../../dht-core/tests/heap/mod.rs"]
mod heap;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Instant;

use dht_core::{Event, Id, Node, Query, QueryId, Request, RequestId, RequestStats};
use dht_sim::link::{Latency, Link, Loss};
use dht_sim::stream::{Purpose, Stream};
use dht_sim::{App, Cx, HostId, Micros, Return, SECOND, Sim, Spec};

const HOUR: Micros = 3600 * SECOND;
const SEED: u64 = 30;
/// One host in this many never leaves, the first one included.
const PERMANENT: u32 = 4;
const SESSION: Micros = HOUR;
const DOWNTIME: Micros = HOUR / 4;

/// A user who asks for something now and then, and gives up half-way now and then.
#[derive(Clone, Default)]
struct User {
    requests: BTreeSet<RequestId>,
    queries: BTreeSet<QueryId>,
}

impl User {
    fn ask(&mut self, cx: &mut Cx<'_>) {
        let target = Id([cx.rng.next(); 4].map(u64::to_le_bytes).concat().try_into().unwrap());
        let (now, command) = (cx.now, 7 + cx.rng.below(3));
        match cx.rng.below(6) {
            0 => {
                let query = Query::new(target, command).value(vec![7; 100]).commit();
                self.queries.extend(cx.node.query(now, query));
            }
            1 => self.queries.extend(cx.node.query(now, Query::find_node(target))),
            2 => self.queries.iter().for_each(|id| cx.node.finish_query(now, *id)),
            3 => {
                self.requests.iter().for_each(|id| cx.node.cancel_request(now, *id));
                self.queries.iter().for_each(|id| cx.node.cancel_query(now, *id));
                self.requests.clear();
                self.queries.clear();
            }
            _ => {
                let known = cx.node.nodes().nth(cx.rng.below(20) as usize);
                let request = known.map(|to| Request::new(to, command).value(vec![7; 100]));
                self.requests.extend(request.and_then(|it| cx.node.request(now, it).ok()));
            }
        }
        Self::wait(cx);
    }

    fn wait(cx: &mut Cx<'_>) {
        let pause = cx.rng.exponential(HOUR / 6);
        cx.wake_after(pause, 0);
    }
}

impl App for User {
    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Event) {
        match event {
            Event::Listening => Self::wait(cx),
            Event::Response(id) => {
                assert!(cx.node.take_response(*id).is_some() && self.requests.remove(id));
            }
            Event::Reply(id) => drop(cx.node.next_reply(*id)),
            Event::Finished(id) => {
                while cx.node.next_reply(*id).is_some() {}
                assert!(cx.node.take_outcome(*id).is_some() && self.queries.remove(id));
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        self.ask(cx);
    }

    fn on_restart(&mut self, _: Return) {
        *self = Self::default();
    }
}

/// A network whose nodes come and go.
struct Soak {
    sim: Sim,
    /// When which host changes.
    changes: BinaryHeap<Reverse<(Micros, u32)>>,
    rng: Stream,
    /// Of all nodes that are gone.
    gone: RequestStats,
}

impl Soak {
    fn new(hosts: u32) -> Self {
        let mut sim = Sim::new(SEED);
        sim.set_link(Link {
            latency: Latency::Uniform { min_us: 10_000, max_us: 90_000 },
            loss: Loss::Independent(0.01),
            ..Link::default()
        });
        let first = sim.next_address();
        sim.add(Spec::bootstrapper(first).unwrap().app(User::default())).unwrap();
        let mut rng = Stream::new(SEED, Purpose::Churn, 0);
        let mut changes = BinaryHeap::new();
        for host in 1..hosts {
            let spec = Spec::joining(&[first]).after(rng.below(60 * SECOND));
            sim.add(spec.app(User::default())).unwrap();
            if host % PERMANENT != 0 {
                changes.push(Reverse((60 * SECOND + rng.exponential(SESSION), host)));
            }
        }
        Self { sim, changes, rng, gone: RequestStats::default() }
    }

    fn run_to(&mut self, end: Micros) {
        while let Some(&Reverse((at, host))) = self.changes.peek() {
            if at > end {
                break;
            }
            self.changes.pop();
            self.sim.run_to(at).unwrap();
            let host = HostId(host);
            let length = if let Some(node) = self.sim.node(host) {
                add(&mut self.gone, closed(node));
                self.sim.crash(host);
                DOWNTIME
            } else {
                let how = [Return::Fresh, Return::WithTable, Return::Anew];
                self.sim.restart(host, how[self.rng.below(3) as usize]).unwrap();
                SESSION
            };
            self.changes.push(Reverse((at + self.rng.exponential(length), host.0)));
        }
        self.sim.run_to(end).unwrap();
    }

    /// All requests that were ever made.
    fn requests(&self) -> RequestStats {
        let mut sum = self.gone;
        self.sim.nodes().for_each(|(_, node)| add(&mut sum, closed(node)));
        sum
    }

    /// The heap, in bytes: of an average node of those that never leave, of the largest of these, and of everything, the
    /// simulator included, for each host.
    fn memory(&self) -> [usize; 3] {
        let all = heap::used() as usize / self.sim.hosts() as usize;
        let stay = self.sim.nodes().filter(|(host, _)| host.0 % PERMANENT == 0);
        let sizes: Vec<_> = stay.map(|(_, node)| size(node)).collect();
        [sizes.iter().sum::<usize>() / sizes.len(), *sizes.iter().max().unwrap(), all]
    }
}

/// What a copy of a node takes of the heap, and the node itself.
fn size(node: &Node) -> usize {
    let before = heap::used();
    let copy = node.clone();
    let taken = heap::used() - before;
    drop(copy);
    taken as usize + size_of::<Node>()
}

/// The counters of a node, which close.
fn closed(node: &Node) -> RequestStats {
    node.check_invariants();
    let requests = node.stats().requests;
    let RequestStats { active, total, responses, timeouts, unsent, cancelled, .. } = requests;
    assert_eq!(total, active + responses + timeouts + unsent + cancelled);
    requests
}

fn add(sum: &mut RequestStats, more: RequestStats) {
    sum.active += more.active;
    sum.total += more.total;
    sum.responses += more.responses;
    sum.timeouts += more.timeouts;
    sum.unsent += more.unsent;
    sum.retries += more.retries;
    sum.cancelled += more.cancelled;
}

#[test]
fn memory_stays_flat_and_counters_close() {
    let (hosts, ends) = match std::env::var("DHT_SOAK") {
        Ok(hosts) => (hosts.parse().unwrap(), [24, 240, 720]),
        Err(_) => (12, [2, 6, 12]),
    };
    heap::counted(|| {
        let (mut soak, start) = (Soak::new(hosts), Instant::now());
        let mut seen = Vec::new();
        for end in ends {
            // Hour by hour, so that nothing of a node is older than that when it is looked at.
            let from = soak.sim.now() / HOUR;
            (from..=end).for_each(|hour| soak.run_to(hour * HOUR));
            let (memory, took) = (soak.memory(), start.elapsed());
            let (up, requests) = (soak.sim.up_count(), soak.requests());
            eprintln!("after {end} h, {took:.0?}: {up} up, bytes {memory:?}, {requests:?}");
            seen.push(memory);
        }
        let [first, .., last] = seen[..] else { unreachable!() };
        for (before, after) in first.into_iter().zip(last) {
            assert!(after <= before + before / 4, "{seen:?}");
        }
        let sum = soak.requests();
        assert!(sum.timeouts > 0 && sum.cancelled > 0 && sum.unsent == 0, "{sum:?}");
    });
}
