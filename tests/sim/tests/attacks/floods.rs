//! Floods: S11, S12, S14.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Exempt, Request};
use dht_sim::attack::{Bystander, Flood, Flooder, FlooderConfig, Pace, Sources};
use dht_sim::{HostId, Spec};

use super::network::*;

const VICTIM: HostId = HostId(5);

/// S11: bytes that arrive at a third party for each that was sent in its name, headers counted.
fn reflection(flood: Flood, answer: usize) -> f64 {
    let mut sim = settled();
    let target = sim.next_address();
    let spec = Spec::joining(&[sim.address(HostId(0))]).app(Store { answer, ..Store::default() });
    let server = sim.add(spec).unwrap();
    sim.run_for(10 * SECOND).unwrap();
    assert_eq!(target, sim.address(server));
    let victim = sim.add_actor(&[ip(9)], Bystander::new());
    let config = FlooderConfig {
        flood,
        targets: vec![target],
        sources: Sources::These(vec![addr(9)]),
        pace: Pace::per_second(500, 4),
    };
    let flooder = sim.add_actor(&[ip(0)], Flooder::new(config).unwrap());
    sim.run_for(10 * SECOND).unwrap();
    let received = sim.actor::<Bystander>(victim).unwrap().received();
    let spent = sim.spent(flooder);
    received.bytes as f64 / spent.bytes as f64
}

#[test]
fn s11_reflection() {
    let nodes = reflection(Flood::FindNode, 0);
    let pings = reflection(Flood::Ids, 0);
    let values = reflection(Flood::Command(7), 1_000);
    eprintln!(
        "S11: closer nodes {nodes:.2}, pings with id {pings:.2}, values of 1,000 bytes \
         {values:.2} (to reach: 3.00)"
    );
    for share in [nodes, pings, values] {
        assert!(share <= 3.0, "{share}");
    }
}

#[test]
fn s12_delayed_pings_have_an_end_and_others_are_served() {
    for sources in [Sources::Host(ip(0)), Sources::Anywhere] {
        let mut sim = settled();
        sim.add_invariant(Watch::default());
        let to = sim.address(VICTIM);
        let config = FlooderConfig {
            flood: Flood::DelayedPings(9_000),
            targets: vec![to],
            sources: sources.clone(),
            pace: Pace { total: 10_000, ..Pace::per_second(100_000, 1) },
        };
        sim.add_actor(&[ip(0)], Flooder::new(config).unwrap());
        sim.run_for(SECOND / 20).unwrap();
        let began = sim.now();
        let reply = sim.ask_node(HostId(20), Request::new(to, 7), SECOND).unwrap();
        assert!(reply.unwrap().is_ok());
        let served = sim.now() - began;
        sim.run_for(20 * SECOND).unwrap();
        let answers: u64 = Watch::of(&sim)
            .sent
            .iter()
            .filter(|((at, to), _)| *at == VICTIM && matches!(to.ip().octets()[0], 66 | 128..))
            .map(|(_, count)| count)
            .sum();
        let dropped = sim.node(VICTIM).unwrap().stats().drops.delayed_pings;
        eprintln!("S12, {sources:?}: {answers} waited, {dropped} dropped, served in {served} µs");
        assert_eq!(answers + dropped, 10_000);
        assert!(answers <= if sources == Sources::Anywhere { 1_024 } else { 4 });
        assert!(served <= 100_000);
    }
}

/// S12 where nobody is exempt: 64 hosts ask for 100,000 delayed pings in a second. Others are served in their time, delayed
/// pings of theirs too, since each host has four of the places.
#[test]
fn s12_sixty_four_hosts_leave_places_to_others() {
    let mut sim = settled();
    sim.add_invariant(Watch::default());
    let to = sim.address(VICTIM);
    let hosts: Vec<_> = (0..64).map(ip).collect();
    let honest = *sim.address(HostId(20)).ip();
    assert!(hosts.iter().chain([&honest]).all(|host| !Exempt::default().covers(*host)));
    let config = FlooderConfig {
        flood: Flood::DelayedPings(9_000),
        targets: vec![to],
        sources: Sources::These((0..64).map(addr).collect()),
        pace: Pace::per_second(100_000, 1),
    };
    sim.add_actor(&hosts, Flooder::new(config).unwrap());
    let mut slowest = 0;
    for n in 0..9 {
        sim.run_for(SECOND / 20).unwrap();
        let (began, delay) = (sim.now(), Duration::from_millis(if n == 8 { 2_000 } else { 0 }));
        let request = if n == 8 { Request::delayed_ping(to, delay) } else { Request::new(to, 7) };
        assert!(sim.ask_node(HostId(20), request, 3 * SECOND).unwrap().unwrap().is_ok());
        slowest = slowest.max(sim.now() - began - delay.as_micros() as u64);
    }
    sim.run_for(20 * SECOND).unwrap();
    let waited = |n| Watch::of(&sim).sent.get(&(VICTIM, addr(n))).copied().unwrap_or_default();
    let waited: Vec<_> = (0..64).map(waited).collect();
    let (all, dropped) = (waited.iter().sum::<u64>(), sim.node(VICTIM).unwrap().stats().drops);
    eprintln!(
        "S12, 64 hosts: {all} waited, {} dropped; others, delayed pings included, {slowest} µs late at most",
        dropped.delayed_pings
    );
    assert_eq!((waited, all + dropped.delayed_pings), (vec![4; 64], 100_000));
    assert!(slowest <= 100_000, "{slowest}");
}

#[test]
fn s14_malformed_datagrams_do_nothing() {
    let mut sim = settled();
    Watch::over(&mut sim, &[VICTIM]);
    let targets = vec![sim.address(VICTIM), sim.client_address(VICTIM)];
    let sources = [
        Sources::Anywhere,
        Sources::These(table(&sim, VICTIM).into_iter().collect()),
        Sources::These(vec![SocketAddrV4::new([0, 0, 0, 0].into(), 0)]),
    ];
    sim.check_nodes(true);
    for (n, sources) in (0..).zip(sources) {
        let config = FlooderConfig {
            flood: Flood::Malformed,
            targets: targets.clone(),
            sources,
            pace: Pace { total: 1_000, ..Pace::per_second(500, 1) },
        };
        sim.add_actor(&[ip(n)], Flooder::new(config).unwrap());
    }
    sim.run_for(3 * SECOND).unwrap();
    let watch = Watch::of(&sim);
    assert_eq!(watch.removed.get(&VICTIM), None);
    let honest = addrs(&sim);
    assert!(table(&sim, VICTIM).iter().all(|addr| honest.contains(addr)));
    let drops = sim.node(VICTIM).unwrap().stats().drops;
    eprintln!("S14: {drops:?}");
    assert!(drops.malformed > 300 && drops.not_ours > 300 && drops.unsolicited > 200);
}
