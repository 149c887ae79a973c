//! Tables with few places, as on a device: a node that has been there for a while gives way only if it does not answer,
//! however many nodes come; and a new table takes shape, so that the device knows its neighbours.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Id, SavedNode};

use crate::support::lab::{Lab, PING, TICK, peer};
use crate::support::net::Net;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: u32 = 12;

/// How many leading bits the id of `addr` shares with `own`.
fn depth(own: Id, addr: SocketAddrV4) -> u32 {
    let (own, id) = (own.0, Id::of(addr).0);
    let same = own.iter().zip(id).take_while(|(a, b)| **a == *b).count();
    same as u32 * 8 + (own[same] ^ id[same]).leading_zeros()
}

/// A device with a full table of 48 nodes that entered `added` ticks ago: 20, 20 and eight in three
/// buckets. All of them answer.
fn device(added: u32) -> (Lab, Vec<SocketAddrV4>) {
    let mut config = Config::embedded();
    // An ephemeral node keeps its id.
    config.ephemeral = Some(true);
    let mut lab = Lab::started(config);
    let own = lab.node.table_id();
    let mut known = Vec::new();
    for (bits, count) in [(0, 20), (1, 20), (2, 8)] {
        known.extend((0..).map(peer).filter(|addr| depth(own, *addr) == bits).take(count));
    }
    for addr in &known {
        lab.add_peer(*addr);
        let saved = SavedNode { addr: *addr, added: TICK * added, pinged: TICK * MINUTE };
        lab.call(|node, now| node.import(now, &[saved], Duration::ZERO));
    }
    assert_eq!(lab.node.table_len(), 48);
    (lab, known)
}

/// 32 hosts of other /24s have chosen their ports so that they are nearer than all known nodes: eight in each of four
/// buckets. These newcomers introduce themselves until nothing changes any more. Returns how many known nodes are left.
fn left_beside_newcomers(lab: &mut Lab, known: &[SocketAddrV4]) -> usize {
    let own = lab.node.table_id();
    let mut newcomers = Vec::new();
    for n in 0..32 {
        let at = |port| SocketAddrV4::new(*peer(5_000 + n).ip(), port);
        newcomers.push((1000..).map(at).find(|addr| depth(own, *addr) == 3 + n / 8).unwrap());
    }
    for addr in &newcomers {
        lab.add_peer(*addr);
    }
    for _ in 0..10 {
        for addr in &newcomers {
            lab.hear_with_id(*addr, PING);
            lab.run_for(SECOND / 2);
        }
    }
    known.iter().filter(|addr| lab.knows(**addr)).count()
}

#[test]
fn who_has_been_there_for_ten_minutes_keeps_its_place_however_many_come() {
    for (added, least, most) in
        [(2 * MINUTE, 20, 30), (8 * MINUTE, 20, 30), (10 * MINUTE + 4, 48, 48)]
    {
        let (mut lab, known) = device(added);
        let left = left_beside_newcomers(&mut lab, &known);
        println!("{} of 48 are left {added} ticks after they came", left);
        assert!((least..=most).contains(&left), "{left} {added} ticks after they came");
        let requests = lab.node.stats().requests;
        assert_eq!((lab.node.table_len(), requests.timeouts), (48, 0));
    }
}

#[test]
fn who_does_not_answer_gives_way_to_one_that_is_nearer() {
    let (mut lab, known) = device(HOUR);
    // A node of the farther one of the two full buckets.
    let silent = known[5];
    lab.peer(silent).up = false;
    let left = left_beside_newcomers(&mut lab, &known);
    assert_eq!((left, lab.knows(silent)), (47, false));
    assert_eq!(lab.node.table_len(), 48, "a newcomer has its place");
}

const HOUR: u32 = 720;

/// How many of the eight nodes nearest to itself a member knows, in percent, over all members.
fn neighbours_known(net: &mut Net, members: &[usize]) -> usize {
    let (mut known, mut all) = (0, 0);
    for at in members {
        let own = net.server(*at);
        let nearest = net.true_closest(&Id::of(own), 9);
        let nearest: BTreeSet<_> = nearest.into_iter().filter(|addr| *addr != own).collect();
        let table: BTreeSet<_> = net.node(*at).nodes().collect();
        known += nearest.intersection(&table).count();
        all += nearest.len();
    }
    100 * known / all
}

#[test]
fn devices_know_their_neighbours_though_others_come_and_go() {
    let mut net = Net::new(4);
    net.bootstrapper();
    let join = |net: &mut Net| {
        let mut config = Config::embedded();
        config.bootstrap = vec![net.server(0).into()];
        (config.ephemeral, config.firewalled) = (Some(false), false);
        let at = net.start(config);
        net.run_until(|net| net.members[at].node.bootstrapped());
        at
    };
    let mut alive: Vec<_> = (1..200).map(|_| join(&mut net)).collect();
    net.run_for(Duration::from_secs(1800));
    println!("at first {} %", neighbours_known(&mut net, &alive));
    // Two hours, in which half of the devices are replaced.
    for _ in 0..100 {
        net.kill(alive.remove(0));
        alive.push(join(&mut net));
        net.run_for(Duration::from_secs(72));
    }
    let known = neighbours_known(&mut net, &alive);
    println!("after two hours {known} %");
    assert!(known >= 80, "{known} %");
}
