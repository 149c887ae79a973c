//! When a node believes that peers can reach it, and how an adaptive node becomes persistent.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Event, Id, Node, Persistence, Via};

use super::{ELSEWHERE, believed};
use crate::support::bare_answer;
use crate::support::lab::{
    CLIENT, HOST, Lab, PING, PING_NAT, RTT, SERVER, joining, neighbour, peer,
};

const SECOND: Duration = Duration::from_secs(1);

/// A node that has joined with `count` peers, counts as firewalled, and was never checked so far.
pub(super) fn firewalled(count: u32) -> Lab {
    let mut config = joining(&[peer(0)]);
    config.quick_firewall = false;
    Lab::joined(config, count)
}

/// Runs for twenty minutes. Returns the nodes that were asked to reach the server socket.
fn probed(lab: &mut Lab) -> Vec<SocketAddrV4> {
    lab.ticks(240);
    let mut asked = lab.asked(PING_NAT);
    asked.sort();
    asked.dedup();
    asked
}

#[test]
fn after_twenty_minutes_five_are_asked_to_reach_the_server_socket() {
    let mut lab = firewalled(30);
    lab.ticks(239);
    assert_eq!(lab.asked(PING_NAT), [], "not before");
    assert!(lab.node.ephemeral());
    lab.ticks(1);
    let asked: BTreeSet<_> = lab.asked(PING_NAT).into_iter().collect();
    assert_eq!((asked.len(), lab.asked(PING_NAT).len()), (5, 5));
    assert!(asked.iter().all(|addr| lab.knows(*addr)));
    for sent in lab.sent.iter().filter(|sent| sent.is(PING_NAT)) {
        assert_eq!(sent.request().value, Some(&SERVER.port().to_le_bytes()[..]));
        assert_eq!(sent.via, Via::Client);
    }
    lab.run_for(SECOND);
    assert!(!lab.node.ephemeral() && !lab.node.firewalled());
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.node.remote_address(), Some(SERVER));
    let events: Vec<_> = lab.events.iter().rev().take(2).rev().copied().collect();
    let nat = Event::NatUpdate { host: Some(HOST), port: SERVER.port() };
    assert_eq!(events, [nat, Event::Persistent]);
    // From now on requests leave by the server socket, and carry the id.
    lab.sent.clear();
    lab.ping(peer(1));
    let own = Id::of(SERVER).0;
    assert_eq!(lab.sent[0].via, Via::Server);
    assert_eq!(lab.sent[0].request().id, Some(&own));
}

#[test]
fn they_are_drawn_from_all_that_have_answered() {
    let mut asked = BTreeSet::new();
    for seed in 0..40 {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = false;
        let mut lab = Lab::with_seed(config, seed);
        (0..20).for_each(|n| lab.add_peer(peer(n)).closer = (0..20).map(peer).collect());
        lab.bind();
        lab.ticks(239);
        // Ten peers send requests, to be the latest in contact; and twenty nodes have never answered.
        (0..10).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
        (500..520).for_each(|n| _ = lab.call(|node, now| node.add_node(now, peer(n))));
        lab.ticks(2);
        asked.extend(lab.asked(PING_NAT));
    }
    assert_eq!(asked, (0..20).map(peer).collect());
}

#[test]
fn requests_that_are_forged_do_not_decide_who_is_asked() {
    // All nodes but the liars seem to have sent a request lately.
    let liars: Vec<_> = (0..30).map(|n| neighbour([81, n, 0], 0)).collect();
    let (mut checks, mut asked_liars) = (0, 0);
    for seed in 0..20 {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = false;
        let mut lab = Lab::with_seed(config, seed);
        (0..30).for_each(|n| lab.add_peer(peer(n)).closer = (0..30).map(peer).collect());
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        for addr in liars.iter().copied().chain((0..120).map(peer)) {
            lab.add_peer(addr);
            lab.ping(addr);
        }
        lab.ticks(237);
        (0..120).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
        lab.sent.clear();
        lab.ticks(3);
        let asked = lab.asked(PING_NAT);
        assert_eq!(asked.len(), 5);
        let lie = asked.iter().filter(|addr| liars.contains(addr)).count();
        checks += 1;
        asked_liars += lie;
    }
    assert!(asked_liars <= 3 * checks, "{asked_liars} of {}", 5 * checks);
}

#[test]
fn who_has_many_nodes_in_a_24_is_asked_as_seldom_as_who_has_one() {
    let liars: Vec<_> = (0..120).map(|n| neighbour([81, 0, (n % 2) as u8], n / 2)).collect();
    let mut asked_liars = 0;
    for seed in 0..40 {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = false;
        let mut lab = Lab::with_seed(config, seed);
        (0..18).for_each(|n| lab.add_peer(peer(n)).closer = (0..18).map(peer).collect());
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        for addr in &liars {
            lab.add_peer(*addr);
            lab.ping(*addr);
        }
        lab.ticks(240);
        let asked: BTreeSet<_> = lab.asked(PING_NAT).into_iter().collect();
        assert_eq!(asked.len(), 5);
        asked_liars += asked.iter().filter(|addr| liars.contains(addr)).count();
    }
    // Two of twenty /24s, so a tenth of the 200 asked.
    assert!((8..32).contains(&asked_liars), "{asked_liars} of 200");
}

#[test]
fn the_nodes_of_one_host_do_not_show_that_others_get_through() {
    // The bootstrap node has no id, and its datagrams do not get through; or it is dead, from the beginning or later.
    for (first, up) in [(true, true), (true, false), (false, false)] {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = false;
        let mut lab = Lab::unbound(config);
        let liars: Vec<_> = (0..3).map(|n| neighbour([81, 0, 0], 250 * n)).collect();
        let bootstrap = lab.add_peer(peer(0));
        (bootstrap.up, bootstrap.has_id, bootstrap.reaches) = (first, false, false);
        lab.bind();
        lab.run_for(10 * SECOND);
        for addr in &liars {
            lab.add_peer(*addr);
            lab.ping(*addr);
        }
        lab.peer(peer(0)).up = up;
        lab.ticks(240 + 720);
        assert_eq!(lab.node.table_len(), 3);
        assert!(lab.node.firewalled() && lab.node.ephemeral());
    }
}

#[test]
fn bootstrap_nodes_fill_up_where_fewer_than_five_are_known() {
    // The last of the bootstrap nodes is dead.
    let mut config = joining(&[peer(0), peer(100), peer(101), peer(102)]);
    config.quick_firewall = false;
    let mut lab = Lab::unbound(config);
    (0..3).for_each(|n| lab.add_peer(peer(n)).closer = (0..3).map(peer).collect());
    (100..102).for_each(|n| lab.add_peer(peer(n)).has_id = false);
    lab.bind();
    assert_eq!(probed(&mut lab), [peer(0), peer(1), peer(2), peer(100), peer(101)]);
}

#[test]
fn three_of_five_have_to_get_through_or_most_of_fewer() {
    for (known, through, reached) in [
        (30, 2, false),
        (30, 3, true),
        (4, 2, false),
        (4, 3, true),
        (2, 1, false),
        (2, 2, true),
        (1, 1, true),
    ] {
        let mut lab = firewalled(known);
        (0..known).for_each(|n| lab.peer(peer(n)).reaches = false);
        lab.ticks(240);
        // The asked nodes are drawn now; the retries to the first `through` of them get through.
        let asked = lab.asked(PING_NAT);
        asked.iter().take(through).for_each(|addr| lab.peer(*addr).reaches = true);
        lab.run_for(SECOND * 4);
        assert_eq!(!lab.node.firewalled(), reached, "{through} of {}", asked.len());
        assert_eq!(!lab.node.ephemeral(), reached);
    }
}

#[test]
fn only_answers_on_the_server_socket_count() {
    let mut lab = firewalled(30);
    (0..30).for_each(|n| lab.peer(peer(n)).reaches = false);
    lab.ticks(240);
    for sent in lab.sent.clone().iter().filter(|sent| sent.is(PING_NAT)) {
        let response = bare_answer(sent.request().tid, SERVER, Some(sent.to));
        lab.hear_bytes(Via::Client, sent.to, &response);
    }
    lab.run_for(6 * SECOND);
    assert!(lab.node.firewalled() && lab.node.ephemeral());
}

#[test]
fn host_and_port_have_to_be_right() {
    let server = |host, port| Some(SocketAddrV4::new(host, port));
    for (name, sees, reached) in [
        ("as bound", server(HOST, SERVER.port()), true),
        ("a mapped port", server(HOST, 2001), false),
        ("another host", server(*ELSEWHERE.ip(), SERVER.port()), false),
    ] {
        let mut lab = firewalled(30);
        lab.ticks(239);
        (0..30).for_each(|n| lab.peer(peer(n)).sees = sees);
        lab.ticks(2);
        assert_eq!(lab.asked(PING_NAT).len(), 5, "{name}");
        assert_eq!(!lab.node.firewalled(), reached, "{name}");
        assert_eq!(!lab.node.ephemeral(), reached, "{name}");
    }
}

#[test]
fn without_a_known_address_nobody_is_asked() {
    let mut config = Config::default();
    config.nodes = (0..30).map(peer).collect();
    let mut lab = Lab::unbound(config);
    for n in 0..30_u8 {
        lab.add_peer(peer(u32::from(n))).sees = Some(SocketAddrV4::new([99, 0, 0, n].into(), 9));
    }
    lab.bind();
    lab.ticks(245);
    assert_eq!(lab.node.host(), None);
    let asked: BTreeSet<_> = lab.asked(PING_NAT).into_iter().collect();
    assert_eq!(asked.len(), 3, "the quick ones");
    assert!(lab.node.ephemeral());
}

#[test]
fn an_hour_later_it_is_tried_again_and_every_hour_after_that() {
    for moved in [false, true] {
        let mut lab = firewalled(30);
        (0..30).for_each(|n| lab.peer(peer(n)).reaches = false);
        assert_eq!(probed(&mut lab).len(), 5);
        lab.ticks(2);
        if moved {
            for n in 0..30 {
                lab.peer(peer(n)).sees = Some(SocketAddrV4::new(*ELSEWHERE.ip(), 2000));
            }
        }
        for hour in 0..3 {
            lab.sent.clear();
            lab.ticks(720 - 3);
            assert_eq!(lab.asked(PING_NAT), []);
            if hour == 2 {
                (0..30).for_each(|n| lab.peer(peer(n)).reaches = true);
            }
            lab.ticks(1);
            assert_eq!(lab.asked(PING_NAT).len(), 5);
            lab.ticks(2);
            assert_eq!(lab.node.ephemeral(), hour < 2);
        }
        assert_eq!(lab.reasons.last(), Some(&Persistence::Reachable));
    }
}

#[test]
fn who_wants_to_be_ephemeral_never_checks() {
    for adaptive in [true, false] {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = false;
        config.adaptive = adaptive;
        config.ephemeral = adaptive.then_some(true);
        let mut lab = Lab::joined(config, 10);
        lab.ticks(300);
        assert_eq!(lab.asked(PING_NAT), []);
        assert!(lab.node.ephemeral());
    }
}

#[test]
fn the_table_is_rebuilt_around_the_new_id_and_refreshed() {
    let mut lab = firewalled(30);
    let (before, known) = (lab.node.table_id(), lab.node.table_len());
    let queries = lab.node.stats().queries.total;
    lab.ticks(239);
    let begun = lab.node.stats().queries.total;
    lab.ticks(1);
    lab.run_for(SECOND);
    assert_ne!(lab.node.table_id(), before);
    assert_eq!(lab.node.table_len(), known);
    assert!(lab.node.stats().queries.total > begun && begun > queries);
}

#[test]
fn nobody_is_asked_twice_in_one_check() {
    // The suggested address is the same as the address that the name resolves to.
    let mut config = Config::default();
    let node = format!("{}@one.example:4000", peer(0).ip());
    config.bootstrap = vec![node.parse().unwrap()];
    config.ephemeral = Some(false);
    config.quick_firewall = false;
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0)).has_id = false;
    lab.bind();
    let (lookup, _) = lab.lookups.remove(0);
    lab.call(|node, now| node.handle_resolved(now, lookup, &[*peer(0).ip()]));
    lab.run_for(SECOND);
    assert_eq!(lab.asked(PING_NAT), [peer(0)]);
}

#[test]
fn a_check_does_not_wait_for_the_dead_when_enough_have_agreed() {
    let mut lab = firewalled(30);
    lab.ticks(239);
    // The fork shows which nodes are drawn.
    let mut fork = lab.clone();
    fork.ticks(1);
    fork.asked(PING_NAT)[..2].iter().for_each(|addr| lab.peer(*addr).reaches = false);
    lab.ticks(1);
    lab.run_for(SECOND / 10);
    assert!(!lab.node.firewalled() && !lab.node.ephemeral());
    assert_eq!(lab.node.stats().requests.active, 0, "nor are they asked on");
}

#[test]
fn where_few_are_asked_most_of_them_are_enough() {
    // One vote of three is no majority; the check then waits for the timeouts of the other two.
    for (dead, soon) in [(1..1, true), (2..3, true), (1..3, false)] {
        let mut config = joining(&[peer(0), peer(1), peer(2)]);
        (config.ephemeral, config.quick_firewall) = (Some(false), false);
        let mut lab = Lab::unbound(config);
        (0..3).for_each(|n| lab.add_peer(peer(n)).reaches = !dead.contains(&n));
        lab.bind();
        lab.run_for(SECOND / 5);
        assert_eq!(lab.asked(PING_NAT).len(), 3);
        assert_eq!(lab.node.bootstrapped(), soon, "{dead:?}");
        lab.run_until(|lab| lab.node.bootstrapped());
        assert_eq!(lab.node.firewalled(), !soon);
    }
}

#[test]
fn a_check_ends_when_too_few_are_left() {
    let mut lab = firewalled(30);
    lab.ticks(239);
    // Three nodes answer, but to the client socket; the other two have not answered by then.
    (0..30).for_each(|n| lab.peer(peer(n)).reaches = false);
    lab.ticks(1);
    let probes = lab.sent.iter().filter(|sent| sent.is(PING_NAT));
    let tids: Vec<_> = probes.map(|sent| (sent.to, sent.request().tid)).collect();
    assert_eq!(tids.len(), 5);
    for (from, tid) in tids.into_iter().skip(2) {
        let response = bare_answer(tid, SocketAddrV4::new(HOST, CLIENT.port()), Some(from));
        lab.hear_bytes(Via::Client, from, &response);
    }
    lab.run_for(SECOND / 10);
    assert!(lab.node.firewalled());
    assert_eq!(lab.node.stats().requests.active, 0, "nobody is asked on");
}

#[test]
fn those_of_one_24_are_one_witness_in_a_check() {
    for liars_first in [true, false] {
        let mut lab = firewalled(3);
        // Three nodes that see another host, and 40 liars of one /24, which are the latest in contact.
        let truth = Some(SocketAddrV4::new(*ELSEWHERE.ip(), SERVER.port()));
        let liars: Vec<_> = (0..40).map(|n| neighbour([80, 0, 0], n)).collect();
        let honest = [0, 1, 2].map(peer);
        lab.ticks(239);
        for addr in liars.iter().copied() {
            lab.add_peer(addr).sees = Some(CLIENT);
            lab.ping(addr);
            lab.peer(addr).sees = Some(SERVER);
        }
        for addr in honest {
            lab.peer(addr).sees = truth;
            lab.peer(addr).rtt = RTT + Duration::from_millis(if liars_first { 100 } else { 0 });
        }
        lab.run_until(|lab| !lab.asked(PING_NAT).is_empty());
        lab.run_for(SECOND);
        let asked = lab.asked(PING_NAT);
        assert_eq!(asked.iter().filter(|addr| liars.contains(addr)).count(), 1, "{asked:?}");
        assert!(lab.node.firewalled() && lab.node.ephemeral(), "liars first: {liars_first}");
    }
}

#[test]
fn what_was_said_of_the_client_port_does_not_count_for_the_server_socket() {
    let mut lab = firewalled(30);
    lab.ticks(239);
    (0..30).for_each(|n| lab.peer(peer(n)).rtt = RTT + SECOND / 2);
    lab.run_until(|lab| !lab.asked(PING_NAT).is_empty());
    // Before the check is over, sixteen new peers answer that see other ports of the client socket.
    for n in 100..116 {
        lab.add_peer(peer(n)).sees = Some(SocketAddrV4::new(HOST, 5000 + n as u16));
        lab.ping(peer(n));
        lab.peer(peer(n)).sees = None;
    }
    assert_eq!(believed(&lab), (Some(HOST), 0));
    lab.run_for(SECOND);
    assert!(lab.node.ephemeral() && !lab.node.firewalled());
    lab.run_for(10 * SECOND);
    // All views that count are now of the server socket.
    for n in 200..202 {
        lab.add_peer(peer(n));
        lab.ping(peer(n));
    }
    assert_eq!(believed(&lab), (Some(HOST), SERVER.port()));
}

/// The peers `busy` are down, and are checked since a hint says so.
fn keep_busy(lab: &mut Lab, busy: std::ops::Range<u32>) {
    for n in busy {
        lab.peer(peer(n)).up = false;
        lab.hint(peer(500 + n), peer(n));
    }
}

#[test]
fn a_check_waits_until_there_is_room_for_all_that_it_asks() {
    let mut config = joining(&[peer(0)]);
    (config.quick_firewall, config.max_background_requests) = (false, 8);
    let mut lab = Lab::joined(config, 30);
    lab.ticks(239);
    lab.run_for(lab.until_tick() - SECOND / 10);
    keep_busy(&mut lab, 20..24);
    assert!(lab.node.stats().requests.active >= 4);
    lab.run_for(SECOND);
    assert_eq!(lab.asked(PING_NAT), []);
    lab.ticks(4);
    assert_eq!(lab.asked(PING_NAT).len(), 5);
    assert!(!lab.node.ephemeral());
}

#[test]
fn nobody_is_asked_for_a_check_that_is_over_before_it_has_begun() {
    let mut config = joining(&[peer(0)]);
    (config.ephemeral, config.quick_firewall) = (Some(false), false);
    config.max_background_requests = 8;
    let mut lab = Lab::unbound(config);
    (0..20).for_each(|n| lab.add_peer(peer(n)).closer = (0..20).map(peer).collect());
    // The last node of the walk answers late, when the requests to all other nodes have left room.
    lab.peer(peer(19)).rtt = RTT + 4 * SECOND / 5;
    lab.bind();
    lab.run_for(3 * SECOND / 5);
    keep_busy(&mut lab, 5..12);
    assert_eq!((lab.node.stats().requests.active, lab.node.bootstrapped()), (8, false));
    lab.run_until(|lab| lab.node.bootstrapped());
    assert_eq!((lab.node.stats().requests.active, lab.asked(PING_NAT)), (7, vec![]));
}

#[test]
fn who_was_reached_in_another_network_is_asked_about_anew() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    (0..30).for_each(|n| lab.add_peer(peer(n)).closer = (0..30).map(peer).collect());
    lab.bind();
    lab.run_for(60 * SECOND);
    assert!(!lab.node.firewalled() && lab.node.ephemeral());
    (0..30).for_each(|n| lab.peer(peer(n)).reaches = false);
    lab.call(Node::handle_network_change);
    for _ in 0..760 {
        lab.ticks(1);
        assert!(lab.node.firewalled() && lab.node.ephemeral());
    }
    // Nor does that last.
    (0..30).for_each(|n| lab.peer(peer(n)).reaches = true);
    lab.ticks(740);
    assert!(!lab.node.firewalled() && !lab.node.ephemeral());
}
