//! Many nodes at few addresses, or nodes that name only each other, are no more than a part of what a query finds.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Id, Instant, Node, Query};

use crate::support::lab::*;

/// A node among 200 honest nodes, many of which have answered.
pub(crate) fn among_200() -> (Lab, Vec<SocketAddrV4>) {
    among_200_with(Config::default())
}

fn among_200_with(config: Config) -> (Lab, Vec<SocketAddrV4>) {
    let mut lab = Lab::started(config);
    let honest: Vec<_> = (0..200).map(addr).collect();
    let all = Peer::knowing(honest.iter().copied());
    lab.peers.extend(honest.iter().map(|addr| (*addr, all.clone())));
    honest.iter().for_each(|addr| lab.add_node(*addr));
    for n in 1..20 {
        lab.walk(Query::find_node(target(100 * n)).discard_replies()).1.unwrap();
    }
    (lab, honest)
}

fn found(lab: &mut Lab, query: Query) -> Vec<SocketAddrV4> {
    let closest = lab.walk(query.discard_replies()).1.unwrap().closest;
    closest.iter().map(|reply| reply.from.addr).collect()
}

#[test]
fn one_host_is_two_of_the_twenty_whatever_its_ports() {
    let (mut lab, honest) = among_200();
    let target = target(7);
    let port = |n| SocketAddrV4::new(Ipv4Addr::new(66, 6, 6, 6), n);
    let mut hostile: Vec<_> = (1..20_000).map(port).collect();
    hostile.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    hostile.truncate(30);
    // The honest nodes know the hostile ones too.
    let all = Peer::knowing(honest.iter().chain(&hostile).copied());
    lab.peers.extend(honest.iter().map(|addr| (*addr, all.clone())));
    let own = Peer::naming(hostile[..20].iter().copied());
    lab.peers.extend(hostile.iter().map(|addr| (*addr, own.clone())));
    let mut wanted = honest;
    wanted.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    let wanted: Vec<_> = hostile[..2].iter().chain(&wanted[..18]).copied().collect();
    assert_eq!(found(&mut lab, Query::find_node(target)), wanted);
}

#[test]
fn a_thin_result_is_not_believed() {
    let (mut lab, honest) = among_200();
    let target = target(7);
    // Hostile nodes, each in a /24 of its own, which name only each other.
    let hostile: Vec<_> = (0..40).map(|n| SocketAddrV4::new([66, n, 6, 6].into(), 1)).collect();
    let own = Peer::knowing(hostile.iter().copied());
    lab.peers.extend(hostile.iter().map(|addr| (*addr, own.clone())));
    let mut truth: Vec<_> = honest.iter().chain(&hostile).copied().collect();
    truth.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    let found: BTreeSet<_> =
        found(&mut lab, Query::find_node(target).nodes(hostile)).into_iter().collect();
    assert_eq!(found, truth[..20].iter().copied().collect());
}

/// `count` nodes of sixteen hosts, the nearest to `target` first.
fn of_sixteen_hosts(target: Id, count: usize) -> Vec<SocketAddrV4> {
    let at = |n: u32| SocketAddrV4::new([66, (n % 16) as u8, 6, 6].into(), 1 + (n / 16) as u16);
    let mut nodes: Vec<_> = (0..40_000).map(at).collect();
    nodes.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    nodes.truncate(count);
    nodes
}

/// The nodes of sixteen hosts take all of the twenty places nearest to `target`; the honest nodes know them.
pub(crate) fn crowd(lab: &mut Lab, honest: &[SocketAddrV4], target: Id) {
    let hostile = of_sixteen_hosts(target, 30);
    let all = Peer::knowing(honest.iter().chain(&hostile).copied());
    lab.peers.extend(honest.iter().map(|addr| (*addr, all.clone())));
    let own = Peer::naming(hostile[..20].iter().copied());
    lab.peers.extend(hostile.iter().map(|addr| (*addr, own.clone())));
}

/// Sixteen hosts have all of the twenty nearest nodes. Where there is memory for it, a query of the user's goes on to
/// the honest nodes behind them; else the query ends with twenty.
#[test]
fn a_query_goes_on_beyond_a_crowd_if_it_has_room() {
    for (remembered, most) in [(4_096, 60), (480, 60), (479, 20), (108, 20)] {
        let mut config = Config::default();
        config.max_query_addresses = remembered;
        let (mut lab, honest) = among_200_with(config);
        let target = target(7);
        crowd(&mut lab, &honest, target);
        let closest = lab.walk(Query::find_node(target)).1.unwrap().closest;
        let of_honest = closest.iter().filter(|reply| honest.contains(&reply.from.addr)).count();
        assert!((20..=most).contains(&closest.len()), "{remembered}: {}", closest.len());
        assert_eq!(of_honest >= 3, most > 20, "{remembered}: {of_honest} of {}", closest.len());
    }
}

/// Behind the crowd, where a query looks for honest nodes, six nodes name nodes of one /24 that do not exist. No more
/// datagrams go to that /24 than to any silent /24.
#[test]
fn looks_beyond_a_crowd_go_to_nodes_that_have_answered() {
    let (mut lab, honest) = among_200();
    let target = target(7);
    crowd(&mut lab, &honest, target);
    let hostile = of_sixteen_hosts(target, 36);
    for (n, liar) in hostile[30..].iter().enumerate() {
        let near = flipped(target, 3 + n % 3);
        let mut ghosts: Vec<_> = (0..8_000).map(|n| neighbour([99, 9, 9], n)).collect();
        ghosts.sort_by_cached_key(|addr| Id::of(*addr).distance(&near));
        *lab.add_peer(*liar) = Peer::naming(ghosts[n / 3 * 20..][..20].iter().copied());
    }
    for _ in 0..5 {
        let nodes = hostile[30..].iter().copied();
        assert!(found(&mut lab, Query::find_node(target).nodes(nodes)).len() > 20);
    }
    let to_ghosts = lab.sent.iter().filter(|sent| sent.to.ip().octets()[0] == 99);
    let times: Vec<_> = to_ghosts.map(|sent| sent.at).collect();
    let minute = Duration::from_secs(60);
    let most = |times: &[Instant]| times[12].saturating_since(times[0]) >= minute;
    assert!(!times.is_empty() && times.windows(13).all(most), "{}", times.len());
}

/// A crowd around a node of the table, which refreshes may look for, does not count as the usual density.
#[test]
fn a_crowd_that_a_refresh_finds_covers_up_no_other() {
    let (mut lab, honest) = among_200();
    let target = target(7);
    crowd(&mut lab, &honest, target);
    of_sixteen_hosts(target, 4).into_iter().for_each(|addr| lab.add_node(addr));
    for _ in 0..60 {
        lab.call(Node::refresh);
        lab.run_for(Duration::from_secs(10));
        assert!(found(&mut lab, Query::find_node(target)).len() > 20);
    }
}
