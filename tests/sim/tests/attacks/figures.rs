//! What goes wrong without anything that must not be: a lookup that takes twice as long, a table that is never
//! full, a node that never becomes one of the network. Nothing is violated by that, so each is a figure here.

use std::time::Duration;

use dht_core::{Answer, Config, Id, Incoming, Query, Request, SavedNode};
use dht_sim::attack::{HintAbuser, HintAbuserConfig, Pace, Sources};
use dht_sim::link::{Link, Loss};
use dht_sim::{App, Cx, HostId, Invariant, Lookup, Packet, Sim, Spec, Verdict};

use super::network::*;

const ASKER: HostId = HostId(5);

/// Lookups by one node, one after the other.
fn look_up(sim: &mut Sim, at: HostId, keys: impl Iterator<Item = Id>) -> Vec<Lookup> {
    sim.take_lookups();
    for key in keys {
        assert!(sim.look_up(at, key));
        assert!(sim.run_until(60 * SECOND, |sim| sim.lookups_under_way() == 0).unwrap());
    }
    sim.take_lookups()
}

/// Means over lookups.
#[derive(Debug)]
struct Means {
    asked: f64,
    hops: f64,
    seconds: f64,
    recall: f64,
}

impl Means {
    fn of(lookups: &[Lookup]) -> Self {
        let mean =
            |of: fn(&Lookup) -> f64| lookups.iter().map(of).sum::<f64>() / lookups.len() as f64;
        Self {
            asked: mean(|lookup| f64::from(lookup.asked)),
            hops: mean(|lookup| f64::from(lookup.hops)),
            seconds: mean(|lookup| (lookup.ended - lookup.started) as f64 / 1e6),
            recall: mean(Lookup::recall),
        }
    }
}

#[test]
fn a_lookup_asks_few_and_finds_all() {
    let mut sim = network(7, 200);
    let means = Means::of(&look_up(&mut sim, ASKER, (0..40).map(key)));
    eprintln!("lookups among 200: {means:?}");
    assert!(means.recall >= 0.999 && means.asked <= 32.0 && means.hops <= 2.0, "{means:?}");
}

/// A key in the middle of all ids, or of a half or a quarter of them. Of the ids on its other side some differ
/// least from it, as numbers, and none of them is close.
fn middle(n: usize) -> Id {
    let mut id = Id([0; 32]);
    id.0[0] = [0x80, 0x40, 0xc0, 0x20, 0x60, 0xa0, 0xe0][n % 7];
    id
}

#[test]
fn of_many_that_are_given_the_closest_are_asked() {
    let mut sim = settled();
    let asked: Vec<_> = (0..7)
        .map(|n| {
            let query = Query::find_node(middle(n)).nodes(addrs(&sim));
            let (_, outcome) = sim.walk(ASKER, query, 60 * SECOND).unwrap().unwrap();
            outcome.unwrap().asked
        })
        .collect();
    eprintln!("of {NODES} that were given lookups have asked {asked:?}");
    assert!(asked.iter().sum::<u32>() <= 7 * 33, "{asked:?}");
}

/// The hosts whose ids are the closest to a key, the asker aside.
fn nearest(sim: &Sim, key: &Id, count: usize) -> Vec<HostId> {
    let hosts = sim.persistent().filter(|host| *host != ASKER);
    let mut hosts: Vec<_> =
        hosts.map(|host| (sim.id_of(sim.address(host)).distance(key), host)).collect();
    hosts.sort_unstable();
    hosts.into_iter().take(count).map(|(_, host)| host).collect()
}

/// A lookup for a key whose nearest nodes are gone, unknown to all others.
fn look_where_nobody_is(gone: usize) -> Means {
    let lookups = (0..10).flat_map(|n| {
        let mut sim = settled();
        for host in nearest(&sim, &key(n), gone) {
            sim.crash(host);
        }
        look_up(&mut sim, ASKER, std::iter::once(key(n)))
    });
    Means::of(&lookups.collect::<Vec<_>>())
}

#[test]
fn the_dead_are_not_waited_for() {
    let [few, many] = [3, 12].map(look_where_nobody_is);
    eprintln!("lookups where 3 of the nearest are gone: {few:?}, 12: {many:?}");
    assert!(few.seconds <= 3.0 && many.seconds <= 3.0, "{few:?} {many:?}");
}

#[test]
fn lookups_that_find_no_place_get_their_turn() {
    const LOOKUPS: usize = 200;
    let mut sim = settled();
    sim.take_lookups();
    for n in 0..LOOKUPS {
        assert!(sim.look_up(ASKER, key(n as u64)));
    }
    let ended = sim.run_until(60 * SECOND, |sim| sim.lookups_under_way() == 0).unwrap();
    let left = sim.lookups_under_way();
    assert!(ended, "{left} of {LOOKUPS} do not end");
    assert_eq!(Means::of(&sim.take_lookups()).recall, 1.0);
}

/// Datagrams of a host.
#[derive(Clone, Debug)]
struct Sent(HostId, u64);

impl Invariant for Sent {
    fn name(&self) -> &'static str {
        "sent"
    }

    fn sent(&mut self, _: &Sim, host: HostId, _: &Packet) -> Verdict {
        self.1 += u64::from(host == self.0);
        Ok(())
    }
}

#[test]
fn no_more_leave_at_once_than_the_window_allows() {
    let mut sim = settled();
    sim.add_invariant(Sent(ASKER, 0));
    let count = |sim: &Sim| sim.invariant::<Sent>().unwrap().1;
    // A while in which it sends nothing.
    let mut quiet = (0, 0);
    let is_quiet = |sim: &mut Sim| {
        if count(sim) != quiet.1 {
            quiet = (sim.now(), count(sim));
        }
        sim.now() - quiet.0 > 3_100_000
    };
    assert!(sim.run_until(600 * SECOND, is_quiet).unwrap());
    let before = count(&sim);
    // Addresses without a node, each in another network.
    sim.with(ASKER, |node, now| {
        for n in 0..200 {
            let to = std::net::SocketAddrV4::new([200, n, 0, 1].into(), 4_000);
            node.request(now, Request::ping(to)).unwrap();
        }
    });
    let window = sim.node(ASKER).unwrap().config().max_window;
    assert_eq!(count(&sim) - before, u64::from(window));
}

/// How many nodes of a table are in the bucket that has most of them.
fn fullest(sim: &Sim, at: HostId) -> usize {
    let own = sim.node(at).unwrap().table_id();
    let mut counts = [0; 256];
    for addr in sim.node(at).unwrap().nodes() {
        counts[sim.id_of(addr).distance(&own).shared_bits() as usize] += 1;
    }
    counts.into_iter().max().unwrap()
}

#[test]
fn buckets_hold_twenty() {
    let sim = settled();
    let full: Vec<_> = (0..NODES).map(|host| fullest(&sim, HostId(host))).collect();
    eprintln!("the fullest buckets: {full:?}");
    assert_eq!(full.iter().max(), Some(&20));
    assert!(full.iter().filter(|count| **count == 20).count() >= 20);
}

#[test]
fn whoever_saved_a_table_is_not_in_it() {
    let mut sim = settled();
    let own = sim.address(ASKER);
    let mut saved = sim.saved_table(ASKER);
    saved.insert(0, SavedNode { addr: own, ..saved[0] });
    sim.import_table(ASKER, &saved, Duration::ZERO);
    assert!(!table(&sim, ASKER).contains(&own));
    sim.crash(ASKER);
    sim.import_table(ASKER, &saved, Duration::ZERO);
    sim.restart(ASKER, dht_sim::Return::WithTable).unwrap();
    sim.run_for(10 * SECOND).unwrap();
    assert!(!table(&sim, ASKER).contains(&own));
}

#[test]
fn hints_are_sent_bit_by_bit() {
    const LIMIT: u32 = 3;
    let mut sim = settled();
    let mut config = Config::default();
    config.bootstrap = vec![sim.address(HostId(0)).into()];
    (config.ephemeral, config.firewalled) = (Some(false), false);
    config.down_hints_rate_limit = Some(LIMIT);
    let at = sim.add(Spec::new(config)).unwrap();
    sim.run_for(20 * SECOND).unwrap();
    (40..NODES).for_each(|host| sim.crash(HostId(host)));
    (0..40).for_each(|n| assert!(sim.look_up(at, key(n))));
    let mut sent = vec![0];
    for _ in 0..60 {
        sim.run_for(SECOND).unwrap();
        sent.push(sim.node(at).unwrap().stats().commands.down_hint.tx);
    }
    let most = sent.windows(6).map(|five| five[5] - five[0]).max().unwrap();
    eprintln!("down hints: {most} in 5 s at most, {} in all", sent[60]);
    // Of two ticks.
    assert!(most <= u64::from(2 * LIMIT) && sent[60] > u64::from(4 * LIMIT));
}

#[test]
fn who_is_there_for_twenty_minutes_stays() {
    let mut sim = network(3, 10);
    let mut config = Config::default();
    config.bootstrap = vec![sim.address(HostId(0)).into()];
    config.firewalled = false;
    let at = sim.add(Spec::new(config)).unwrap();
    sim.run_for(18 * 60 * SECOND).unwrap();
    assert!(sim.node(at).unwrap().ephemeral());
    sim.run_for(4 * 60 * SECOND).unwrap();
    assert!(!sim.node(at).unwrap().ephemeral());
}

#[test]
fn a_bootstrap_node_may_be_late() {
    let mut sim = Sim::new(5);
    const JOINING: u32 = 16;
    // Where the one after them will be.
    let bootstrap = {
        let mut later = Sim::new(5);
        for _ in 0..JOINING {
            later.add(Spec::joining(&[])).unwrap();
        }
        later.next_address()
    };
    for _ in 0..JOINING {
        sim.add(Spec::joining(&[bootstrap])).unwrap();
    }
    sim.run_for(12 * SECOND).unwrap();
    assert_eq!(sim.next_address(), bootstrap);
    sim.add(Spec::bootstrapper(bootstrap).unwrap()).unwrap();
    sim.run_for(10 * SECOND).unwrap();
    let in_time = (0..JOINING).filter(|host| sim.node(HostId(*host)).unwrap().id().is_some());
    assert_eq!(in_time.count(), JOINING as usize);
}

/// Answers no request well.
#[derive(Clone)]
struct Refuses;

impl App for Refuses {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        cx.reply(request, Answer::error(16).token(true));
    }
}

#[test]
fn who_refuses_is_not_among_the_closest() {
    let mut sim = settled();
    let bootstrap = sim.address(HostId(0));
    let refusing: Vec<_> = (0..20)
        .map(|_| {
            let host = sim.add(Spec::joining(&[bootstrap]).app(Refuses)).unwrap();
            sim.address(host)
        })
        .collect();
    sim.run_for(30 * SECOND).unwrap();
    let mut refused = 0;
    for n in 0..10 {
        let walked = sim.walk(ASKER, Query::new(key(n), 7).commit(), 60 * SECOND).unwrap();
        let outcome = walked.unwrap().1.unwrap();
        refused += outcome.errors;
        let closest = outcome.closest.iter().map(|reply| reply.from.addr);
        assert_eq!(closest.filter(|addr| refusing.contains(addr)).count(), 0);
        let commit = outcome.commit.unwrap();
        assert!(commit.succeeded >= 10 && commit.refused == 0, "{commit}");
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn one_host_has_a_few_asked_whether_they_are_there() {
    let mut sim = settled();
    let checks = |sim: &Sim| {
        let commands = sim.node(ASKER).unwrap().stats().commands;
        commands.ping.tx + commands.find_node.tx
    };
    let before = checks(&sim);
    let config = HintAbuserConfig {
        about: table(&sim, ASKER).into_iter().collect(),
        victims: vec![sim.address(ASKER)],
        sources: Sources::Host(ip(0)),
        pace: Pace::per_second(200, 10),
        answers: 0,
    };
    sim.add_actor(&[ip(0)], HintAbuser::new(config).unwrap());
    sim.run_for(10 * SECOND).unwrap();
    let asked = checks(&sim) - before;
    eprintln!("2,000 hints of one host in 10 s: {asked} checks");
    // Of three ticks, beside a keep-alive.
    assert!((5..=3 * 5 + 8).contains(&asked), "{asked}");
}

#[test]
fn what_is_lost_is_sent_again() {
    let mut sim = settled();
    sim.set_link(Link { loss: Loss::Independent(0.2), ..Link::default() });
    let known = addrs(&sim).into_iter().filter(|addr| *addr != sim.address(ASKER));
    let known: Vec<_> = known.take(50).collect();
    let mut answered = 0;
    for to in known.iter().chain(&known).copied() {
        let response = sim.ask_node(ASKER, Request::ping(to), 10 * SECOND).unwrap();
        answered += u32::from(matches!(response, Some(Ok(_))));
    }
    eprintln!("where a fifth is lost, {answered} of 100 pings are answered");
    // By one try 64, by four 98.
    assert!(answered >= 90, "{answered}");
}
