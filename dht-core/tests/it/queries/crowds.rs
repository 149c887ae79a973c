//! Who is many with few addresses, or names its own kind only, is no more than a part of what a query finds.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{Config, Id, Query};

use crate::support::lab::*;

/// A node that knows 200 honest ones, of which many have answered.
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
    // The honest ones know them too.
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
    // Each in a /24 of its own; they name each other only.
    let hostile: Vec<_> = (0..40).map(|n| SocketAddrV4::new([66, n, 6, 6].into(), 1)).collect();
    let own = Peer::knowing(hostile.iter().copied());
    lab.peers.extend(hostile.iter().map(|addr| (*addr, own.clone())));
    let mut truth: Vec<_> = honest.iter().chain(&hostile).copied().collect();
    truth.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    let found: BTreeSet<_> =
        found(&mut lab, Query::find_node(target).nodes(hostile)).into_iter().collect();
    assert_eq!(found, truth[..20].iter().copied().collect());
}

/// Sixteen hosts, which the honest ones know, take all of the twenty places nearest to a target.
pub(crate) fn crowd(lab: &mut Lab, honest: &[SocketAddrV4], target: Id) {
    let at = |n: u32| SocketAddrV4::new([66, (n % 16) as u8, 6, 6].into(), 1 + (n / 16) as u16);
    let mut hostile: Vec<_> = (0..40_000).map(at).collect();
    hostile.sort_by_cached_key(|addr| Id::of(*addr).distance(&target));
    hostile.truncate(30);
    let all = Peer::knowing(honest.iter().chain(&hostile).copied());
    lab.peers.extend(honest.iter().map(|addr| (*addr, all.clone())));
    let own = Peer::naming(hostile[..20].iter().copied());
    lab.peers.extend(hostile.iter().map(|addr| (*addr, own.clone())));
}

/// Sixteen hosts have all of the twenty nearest. Where there is memory for it, a query of the user's goes on to the honest
/// nodes behind them; else it ends with twenty.
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
