//! Forged answers, false hints, and what is said again: S1, S2, S3, S17.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Query, Request};
use dht_sim::attack::{
    HintAbuser, HintAbuserConfig, MARK, Pace, Replayer, ReplayerConfig, Sources, Spoofer,
    SpooferConfig,
};
use dht_sim::link::{Latency, Link};
use dht_sim::{HostId, Sim};

use super::network::*;

const VICTIM: HostId = HostId(5);

/// S1: how many answers from wrong sources a victim got, and how many it believed. It looks for
/// keys while an attacker in its path answers each of its requests `strays` times.
fn wrong_sources(lookups: u64, strays: u32) -> (u64, u64) {
    let mut sim = settled();
    let victims = vec![sim.address(VICTIM)];
    let config = SpooferConfig {
        victims,
        strays,
        names: (1..=20).map(addr).collect(),
        pace: Pace { total: 0, ..Pace::default() },
        ..SpooferConfig::default()
    };
    let spoofer = sim.add_actor(&[ip(0)], Spoofer::new(config).unwrap());
    sim.overhear(VICTIM, spoofer);
    let before = sim.node(VICTIM).unwrap().stats();
    let honest = addrs(&sim);
    let mut believed = 0;
    for n in 0..lookups {
        // With a command of the user's, so that values are read.
        let query = Query::new(key(n), 7);
        let (replies, outcome) = sim.walk(VICTIM, query, 30 * SECOND).unwrap().unwrap();
        let forged = |reply: &&dht_core::Reply| {
            reply.value.as_deref() == Some(MARK) || !honest.contains(&reply.from.addr)
        };
        believed += replies.iter().filter(forged).count() as u64;
        assert_eq!(outcome.unwrap().closest.len(), 20);
    }
    believed += table(&sim, VICTIM).iter().filter(|addr| !honest.contains(addr)).count() as u64;
    sim.run_for(SECOND).unwrap();
    let drops = sim.node(VICTIM).unwrap().stats().drops;
    let wrong = drops.wrong_source - before.drops.wrong_source;
    let late = drops.unsolicited - before.drops.unsolicited;
    let sent = sim.spent(spoofer).datagrams;
    // True answers may be late as well.
    assert!(wrong + late >= sent && wrong > sent / 2, "{wrong} and {late} of {sent}");
    (sent, believed)
}

#[test]
fn s1_no_answer_from_a_wrong_source_is_believed() {
    let (sent, believed) = wrong_sources(10, 80);
    eprintln!("S1: {believed} of {sent} believed");
    assert!(sent > 20_000, "{sent}");
    assert_eq!(believed, 0);
}

#[test]
#[ignore = "many datagrams"]
fn s1_in_full() {
    let (sent, believed) = wrong_sources(200, 200);
    eprintln!("S1: {believed} of {sent} believed");
    assert!(sent >= 1_000_000, "{sent}");
    assert_eq!(believed, 0);
}

/// S2: (requests, forged answers to them, changes of the table).
fn blind_guesses(seed_host: u8, rounds: u32) -> (u32, u32, u64) {
    const AT_ONCE: u32 = 50;
    let mut sim = settled();
    sim.set_link(Link { latency: Latency::Constant { delay_us: 50_000 }, ..Link::default() });
    sim.run_for(SECOND).unwrap();
    let asked = *table(&sim, VICTIM).first().unwrap();
    Watch::over(&mut sim, &[VICTIM]);
    let config = SpooferConfig {
        asked: vec![asked],
        victims: vec![sim.address(VICTIM)],
        pace: Pace::per_second(10_000, 1_000),
        ..SpooferConfig::default()
    };
    sim.add_actor(&[ip(seed_host)], Spoofer::new(config).unwrap());
    let mut forged = 0;
    for _ in 0..rounds {
        // All at once: each of them is in flight for 100 ms, or 1,000 guesses.
        let begin = |_| {
            let request = Request::new(asked, 7);
            sim.with(VICTIM, |node, now| node.request(now, request)).unwrap().unwrap()
        };
        let ids: Vec<_> = (0..AT_ONCE).map(begin).collect();
        for id in ids {
            let reply = sim.response(VICTIM, id, 10 * SECOND).unwrap().unwrap().unwrap();
            forged += u32::from(reply.value.as_deref() == Some(MARK));
        }
        sim.run_for(Duration::from_millis(20)).unwrap();
    }
    let watch = Watch::of(&sim);
    let changes = watch.added.values().chain(watch.removed.values()).sum();
    (rounds * AT_ONCE, forged, changes)
}

#[test]
fn s2_a_blind_guess_is_right_in_two_of_a_hundred_requests_at_most() {
    let (requests, forged, changes) = blind_guesses(0, 40);
    let share = f64::from(forged) / f64::from(requests);
    eprintln!("S2: {forged} of {requests} requests ({:.2} %), {changes} changes", 100.0 * share);
    assert!(share <= 0.02, "{forged} of {requests}");
    assert_eq!(changes, 0);
}

/// Guesses in the name of nodes that are not there: the victim is made to verify them, and each gets
/// a second of guesses. How many ended in the table, of how many.
fn planted(seconds: u32) -> (usize, u32) {
    let mut sim = settled();
    let mut rng = dht_sim::stream::Stream::new(1, dht_sim::stream::Purpose::Workload, 0);
    let dead: Vec<_> = (0..seconds).map(|_| Sources::Anywhere.draw(&mut rng)).collect();
    let config = SpooferConfig {
        asked: dead,
        victims: vec![sim.address(VICTIM)],
        provoke: true,
        pace: Pace::per_second(10_000, seconds),
        ..SpooferConfig::default()
    };
    sim.add_actor(&[ip(0)], Spoofer::new(config).unwrap());
    sim.run_for(SECOND * (seconds + 2)).unwrap();
    let honest = addrs(&sim);
    (table(&sim, VICTIM).iter().filter(|addr| !honest.contains(addr)).count(), seconds)
}

#[test]
fn s2_who_is_not_there_is_not_verified_by_guesses() {
    let (planted, of) = planted(30);
    eprintln!("S2, verifications: {planted} of {of} nodes that are not there are in the table");
    assert_eq!(planted, 0);
}

/// S3: (nodes evicted, hints that were sent, checks that they caused).
fn hints(sources: Sources, total: u64, answers: u32) -> (u64, u64, u64) {
    let mut sim = settled();
    Watch::over(&mut sim, &[VICTIM]);
    let config = HintAbuserConfig {
        about: table(&sim, VICTIM).into_iter().collect(),
        victims: vec![sim.address(VICTIM)],
        sources,
        pace: Pace { total, ..Pace::per_second(2_000, 1) },
        answers,
    };
    let before = sim.node(VICTIM).unwrap().stats();
    let abuser = sim.add_actor(&[ip(0)], HintAbuser::new(config).unwrap());
    sim.run_for(Duration::from_millis(total / 2) + 10 * SECOND).unwrap();
    let hints = sim.actor::<HintAbuser>(abuser).unwrap().hints();
    let stats = sim.node(VICTIM).unwrap().stats();
    let checks = stats.commands.find_node.tx - before.commands.find_node.tx;
    (Watch::of(&sim).removed.values().sum(), hints, checks)
}

#[test]
fn s3_hints_and_forged_answers_evict_nobody() {
    for (sources, answers) in
        [(Sources::Host(ip(0)), 1), (Sources::Anywhere, 1), (Sources::Anywhere, 4)]
    {
        let (evicted, sent, checks) = hints(sources, 6_000, answers);
        eprintln!("S3: {evicted} evicted by {sent} hints, {checks} FIND_NODEs");
        assert_eq!(sent, 6_000);
        assert_eq!(evicted, 0);
    }
}

#[test]
#[ignore = "many datagrams"]
fn s3_in_full() {
    for sources in [Sources::Host(ip(0)), Sources::Anywhere] {
        let (evicted, sent, checks) = hints(sources, 1_000_000, 4);
        eprintln!("S3: {evicted} evicted by {sent} hints, {checks} FIND_NODEs");
        assert_eq!((evicted, sent), (0, 1_000_000));
    }
}

/// The same where it hurts most: one hint about one node in each tick, and a burst of guesses while the
/// answer to the check is under way. (Evictions of that node, checks.)
fn focused(ticks: u64, guesses: u32) -> (u64, u64) {
    let mut sim = settled();
    Watch::over(&mut sim, &[VICTIM]);
    let before = sim.node(VICTIM).unwrap().stats();
    let config = HintAbuserConfig {
        about: vec![*table(&sim, VICTIM).first().unwrap()],
        victims: vec![sim.address(VICTIM)],
        sources: Sources::Anywhere,
        pace: Pace { after_us: 0, every_us: 5_000_000, burst: 1, total: ticks },
        answers: guesses,
    };
    let abuser = sim.add_actor(&[ip(0)], HintAbuser::new(config).unwrap());
    sim.run_for(SECOND * 5 * ticks as u32).unwrap();
    let spent = sim.spent(abuser);
    let stats = sim.node(VICTIM).unwrap().stats();
    let checks = stats.commands.find_node.tx - before.commands.find_node.tx;
    let evicted = Watch::of(&sim).removed.values().sum();
    eprintln!(
        "S3, {guesses} guesses with each hint: {evicted} evictions in {ticks} ticks, {checks} FIND_NODEs, \
         {} bytes a second",
        spent.bytes / (5 * ticks)
    );
    (evicted, checks)
}

#[test]
fn s3_guesses_without_an_id_evict_nobody() {
    let evicted: u64 = [8_000, 32_000].map(|guesses| focused(20, guesses).0).iter().sum();
    assert_eq!(evicted, 0);
}

fn taken(sim: &Sim, at: HostId) -> &[(u64, SocketAddrV4)] {
    &sim.app::<Store>(at).unwrap().taken
}

/// A client that commits to a node while an attacker is in its path. The fork, the client, and when the commit was
/// taken.
fn committed(config: ReplayerConfig) -> (Sim, HostId, HostId) {
    let mut sim = settled();
    let client = HostId(20);
    let to = sim.address(VICTIM);
    let limit = 10 * SECOND;
    let reply = sim.ask_node(client, Request::new(to, 7), limit).unwrap().unwrap().unwrap();
    let replayer = sim.add_actor(&[*config.addr.ip()], Replayer::new(config).unwrap());
    sim.overhear(client, replayer);
    let request = Request::new(to, 7).token(reply.token.unwrap()).value(&b"mine"[..]);
    sim.ask_node(client, request, limit).unwrap().unwrap().unwrap();
    assert_eq!(taken(&sim, VICTIM).len(), 1);
    (sim, client, replayer)
}

#[test]
fn s17_a_token_is_of_no_use_to_another_host() {
    // Overheard, and sent from elsewhere.
    let sources = vec![addr(0), addr(1), SocketAddrV4::new(ip(0), 1)];
    let delays_us = vec![0, 100_000, 1_000_000, 5_000_000];
    let (mut sim, client, _) =
        committed(ReplayerConfig { addr: addr(0), sources, delays_us, ..Default::default() });
    sim.run_for(20 * SECOND).unwrap();
    assert_eq!(taken(&sim, VICTIM).len(), 1, "the client's alone");
    eprintln!("S17: of 12 commits with another host's token 0 are accepted");
    assert_eq!(sim.node(VICTIM).unwrap().stats().drops.bad_token, 3 * 4);
    // Nor does what the client was told earlier mean anything to it now.
    assert!(sim.node(client).unwrap().stats().drops.unsolicited > 0);
}

#[test]
fn s17_a_token_that_was_given_to_the_attacker_is_its_own() {
    let mut sim = settled();
    let honest: Vec<_> = (20..30).map(|n| sim.address(HostId(n))).collect();
    let config = ReplayerConfig {
        addr: addr(0),
        ask: vec![sim.address(VICTIM)],
        sources: honest.into_iter().chain([addr(0)]).collect(),
        delays_us: vec![1_000, 2_000_000],
        command: 7,
        ..ReplayerConfig::default()
    };
    let replayer = sim.add_actor(&[ip(0)], Replayer::new(config).unwrap());
    sim.run_for(10 * SECOND).unwrap();
    assert_eq!(sim.actor::<Replayer>(replayer).unwrap().tokens(), 1);
    let from: Vec<_> = taken(&sim, VICTIM).iter().map(|(_, from)| *from).collect();
    assert_eq!(from, [addr(0); 2]);
    assert_eq!(sim.node(VICTIM).unwrap().stats().drops.bad_token, 20);
}

#[test]
fn s17_a_token_ages() {
    // An attacker in the path can say the same again from the same address while the token lives.
    let delays_us = vec![1_000_000, 7_300_000, 15_000_000, 16_000_000, 30_000_000, 60_000_000];
    let (mut sim, client, _) =
        committed(ReplayerConfig { addr: addr(0), delays_us, records: 1, ..Default::default() });
    let client = sim.address(client);
    let at = sim.now();
    sim.run_for(70 * SECOND).unwrap();
    let taken = taken(&sim, VICTIM);
    assert!(taken.iter().all(|(_, from)| *from == client));
    let ages: Vec<_> = taken.iter().map(|(then, _)| then.saturating_sub(at) / 1_000_000).collect();
    eprintln!(
        "S17: what is said again is accepted at the ages {ages:?} s, and not after 15, 16, 30, 60 s"
    );
    assert!((2..=3).contains(&ages.len()) && ages.iter().all(|age| *age < 15), "{ages:?}");
    assert_eq!(sim.node(VICTIM).unwrap().stats().drops.bad_token as usize, 7 - taken.len());
}
