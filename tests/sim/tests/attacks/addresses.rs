//! Nodes that lie about the address of a node that joins, from many ports of few hosts: the node gets its id, and the
//! right one.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{Config, Id};
use dht_sim::attack::{Liar, LiarConfig, Names, Pace, Sees};
use dht_sim::{HostId, Spec};

use super::network::*;

/// (right id, false id, no id) of ten nodes that join with this configuration among liars, so much later.
fn join(hosts: u8, ports: u16, mut config: Config, minutes: u32) -> (u32, u32, u32) {
    let mut sim = settled();
    let first = sim.address(HostId(0));
    let ips: Vec<_> = (0..hosts).map(|n| Ipv4Addr::new(66, n, 0, 1)).collect();
    let ports = 4_000..4_000 + ports;
    let liars: Vec<_> =
        ips.iter().flat_map(|ip| ports.clone().map(|port| SocketAddrV4::new(*ip, port))).collect();
    let names = liars.iter().step_by(liars.len().div_ceil(180)).copied().collect();
    let attack = LiarConfig {
        addrs: liars,
        names: Names::These(names),
        sees: Sees::This(SocketAddrV4::new([99, 9, 9, 9].into(), 4_000)),
        targets: addrs(&sim),
        pace: Pace::per_second(500, 40),
    };
    sim.add_actor(&ips, Liar::new(attack).unwrap());
    sim.run_for(45 * SECOND).unwrap();
    config.bootstrap = vec![first.into()];
    let new: Vec<_> = (0..10)
        .map(|_| {
            let at = sim.add(Spec::new(config.clone())).unwrap();
            sim.run_for(10 * SECOND).unwrap();
            at
        })
        .collect();
    sim.run_for(60 * SECOND * minutes).unwrap();
    let (mut right, mut wrong, mut none) = (0, 0, 0);
    for at in new {
        match sim.node(at).unwrap().id() {
            Some(id) if id == Id::of(sim.address(at)) => right += 1,
            Some(_) => wrong += 1,
            None => none += 1,
        }
    }
    eprintln!(
        "{hosts} liars' hosts: of ten {right} have their id, {wrong} a false one, {none} none"
    );
    (right, wrong, none)
}

#[test]
fn servers_get_their_id_however_many_ports_few_hosts_have() {
    let mut server = Config::default();
    (server.ephemeral, server.firewalled) = (Some(false), false);
    assert_eq!(join(4, 64, server.clone(), 5), (10, 0, 0));
    // As many as the honest ones, and twice as many of a table's /24s: the bootstrap node decides, where it has witnesses.
    let (right, wrong, _) = join(64, 4, server, 10);
    assert!(right >= 8 && wrong <= 1, "{right} {wrong}");
}

#[test]
fn nodes_by_default_get_their_id_too() {
    // The check is repeated after an hour.
    assert_eq!(join(4, 64, Config::default(), 100), (10, 0, 0));
}
