//! Nodes that lie about others and about the asker: S9, S9b, S16.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use dht_core::{Config, Query};
use dht_sim::attack::{Liar, LiarConfig, Names, Pace, Sees};
use dht_sim::{HostId, Sim, Spec};

use super::network::*;

const VICTIM: HostId = HostId(5);

fn liar(sim: &mut Sim, names: Names, sees: Sees) -> HostId {
    let config = LiarConfig { addrs: vec![addr(0)], names, sees, ..LiarConfig::default() };
    sim.add_actor(&[ip(0)], Liar::new(config).unwrap())
}

/// A node joins by these: the seconds until it is ready, the datagrams that it sent until then, and
/// those that went to nobody.
fn join(sim: &mut Sim, bootstrap: &[SocketAddrV4]) -> (HostId, f64, u64, u64) {
    sim.add_invariant(Watch::default());
    let began = sim.now();
    let at = sim.add(Spec::joining(bootstrap)).unwrap();
    let ready = |sim: &mut Sim| sim.node(at).unwrap().bootstrapped();
    assert!(sim.run_until(60 * SECOND, ready).unwrap());
    let took = (sim.now() - began) as f64 / 1e6;
    let watch = Watch::of(sim);
    let nowhere = watch.sent.iter().filter(|((by, to), _)| *by == at && to.ip().octets()[0] >= 128);
    (at, took, watch.sent_by(at), nowhere.map(|(_, count)| count).sum())
}

#[test]
fn s9_dead_addresses_cost_little_time_and_few_datagrams() {
    let honest = settled().address(HostId(0));
    let (_, alone, sent, _) = join(&mut settled(), &[honest]);
    let mut sim = settled();
    liar(&mut sim, Names::Dead(230), Sees::Truth);
    let (_, both, sent_both, nowhere) = join(&mut sim, &[honest, addr(0)]);
    eprintln!(
        "S9, one of two: {both:.1} s instead of {alone:.1}, {sent_both} datagrams instead of \
               {sent}, {nowhere} to dead addresses"
    );
    assert!(both - alone <= 2.0 && nowhere <= 60, "{both} {nowhere}");

    let mut sim = settled();
    liar(&mut sim, Names::Dead(230), Sees::Truth);
    let (_, only, sent_only, nowhere) = join(&mut sim, &[addr(0)]);
    eprintln!("S9, the only one: {only:.1} s, {sent_only} datagrams, {nowhere} to dead addresses");
    assert!(nowhere <= 60, "{nowhere}");
}

#[test]
fn s9_a_lookup_that_meets_a_liar_is_hardly_slower() {
    let mut took = Vec::new();
    for lies in [false, true] {
        let mut sim = settled();
        if lies {
            liar(&mut sim, Names::Dead(230), Sees::Truth);
        }
        sim.add_invariant(Watch::default());
        for n in 0..10 {
            let given = if lies { vec![addr(0)] } else { Vec::new() };
            let query = Query::find_node(key(n)).nodes(given);
            let began = sim.now();
            let (_, outcome) = sim.walk(VICTIM, query, 60 * SECOND).unwrap().unwrap();
            let closest = outcome.unwrap().closest.len();
            took.push((lies, (sim.now() - began) as f64 / 1e6, closest));
        }
        eprintln!("S9, lookups, liar {lies}: {} datagrams in ten", Watch::of(&sim).sent_by(VICTIM));
    }
    let most = |with: bool| {
        let times = took.iter().filter(|(lies, ..)| *lies == with).map(|(_, time, _)| *time);
        times.fold(0.0, f64::max)
    };
    eprintln!("S9, lookups: {:.2} s at most, {:.2} s with a liar", most(false), most(true));
    assert!(most(true) - most(false) <= 2.0, "{took:?}");
    assert!(took.iter().all(|(_, _, closest)| *closest == 20));
}

#[test]
fn s9b_not_one_datagram_goes_to_an_impossible_address() {
    let mut sim = settled();
    let liar = liar(&mut sim, Names::Impossible, Sees::Truth);
    let honest = sim.address(HostId(0));
    let (joined, ready, ..) = join(&mut sim, &[honest, addr(0)]);
    for at in [VICTIM, joined] {
        for n in 0..5 {
            let query = Query::find_node(key(n)).nodes([addr(0)]);
            sim.walk(at, query, 60 * SECOND).unwrap().unwrap().1.unwrap();
        }
    }
    sim.run_for(10 * SECOND).unwrap();
    let named = sim.actor::<Liar>(liar).unwrap().named();
    let mut possible: BTreeSet<_> = addrs(&sim).into_iter().collect();
    possible.extend((0..=NODES + 1).map(|n| sim.client_address(HostId(n))));
    possible.extend([addr(0), sim.address(joined)]);
    let watch = Watch::of(&sim);
    let wrong: Vec<_> = watch
        .sent
        .keys()
        .filter(|(at, to)| {
            let own = [sim.address(*at), sim.client_address(*at)];
            !possible.contains(to) || own.contains(to)
        })
        .collect();
    eprintln!("S9b: {named} named, {} contacted, ready in {ready:.1} s", wrong.len());
    assert!(named >= 100 && wrong.is_empty(), "{wrong:?}");
    assert!(sim.node(VICTIM).unwrap().stats().drops.closer_nodes > 0);
}

/// S16: unasked lies about the address of nodes, and solicited ones from one network.
fn nat_lies(total: u64) {
    let mut sim = settled();
    let all: Vec<_> = (0..NODES).map(HostId).collect();
    let before: Vec<_> = all.iter().map(|at| nat(&sim, *at)).collect();
    sim.add_invariant(Watch::default());
    let ours = (0..32).map(|n| SocketAddrV4::new(ip(0), 4_000 + n)).collect();
    let config = LiarConfig {
        addrs: ours,
        names: Names::Nobody,
        sees: Sees::This(addr(9)),
        targets: addrs(&sim),
        pace: Pace { total, ..Pace::per_second(2_000, 1) },
    };
    let liar = sim.add_actor(&[ip(0)], Liar::new(config).unwrap());
    sim.run_for(SECOND * (total / 2_000) as u32 + 30 * SECOND).unwrap();
    let after: Vec<_> = all.iter().map(|at| nat(&sim, *at)).collect();
    let asked = sim.actor::<Liar>(liar).unwrap().asked();
    eprintln!("S16: {total} lies unasked, {asked} when asked");
    assert_eq!(before, after);
    assert_eq!(Watch::of(&sim).nat_updates.values().sum::<u64>(), 0);
    assert_eq!(sim.persistent_count(), NODES as usize);
}

fn nat(sim: &Sim, at: HostId) -> (Option<std::net::Ipv4Addr>, u16, Option<dht_core::Id>) {
    let node = sim.node(at).unwrap();
    (node.host(), node.port(), node.id())
}

#[test]
fn s16_lies_about_addresses_change_nothing() {
    nat_lies(20_000);
}

#[test]
#[ignore = "a minute"]
fn s16_in_full() {
    nat_lies(100_000);
}

#[test]
fn s16_a_new_node_learns_its_address_among_liars() {
    let mut sim = settled();
    let ours = (0..32).map(|n| SocketAddrV4::new(ip(0), 4_000 + n)).collect();
    let config = LiarConfig {
        addrs: ours,
        sees: Sees::This(addr(9)),
        targets: addrs(&sim),
        pace: Pace::per_second(200, 10),
        ..LiarConfig::default()
    };
    sim.add_actor(&[ip(0)], Liar::new(config).unwrap());
    sim.run_for(15 * SECOND).unwrap();
    let mut config = Config::default();
    config.bootstrap = vec![sim.address(HostId(0)).into(), addr(0).into()];
    config.ephemeral = Some(false);
    config.firewalled = false;
    let at = sim.add(Spec::new(config)).unwrap();
    sim.run_for(30 * SECOND).unwrap();
    let node = sim.node(at).unwrap();
    let own = sim.address(at);
    assert_eq!((node.host(), node.port()), (Some(*own.ip()), own.port()));
    assert_eq!(node.id(), Some(dht_core::Id::of(own)));
}
