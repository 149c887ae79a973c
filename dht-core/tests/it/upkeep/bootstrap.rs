//! How a node starts: which nodes it asks, which events it tells and in which order, and how it goes on
//! when no node answers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Node, Query, Request, Unsent};

use crate::support::lab::{
    FIND_NODE, HOST, Lab, PING_NAT, SERVER, joining, neighbour, peer, told, wanting,
};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than a round trip, shorter than any timeout.
const SOON: Duration = Duration::from_millis(200);

fn silent(asked: u32, timed_out: u32, unresolved: u16) -> Event {
    Event::BootstrapSilent { asked, timed_out, unresolved, unusable: 0, unsent: None }
}

fn named(names: &[&str]) -> Config {
    let mut config = Config::default();
    config.bootstrap = names.iter().map(|name| name.parse().unwrap()).collect();
    config
}

/// Answers the lookup of a bootstrap name.
fn resolve(lab: &mut Lab, name: &str, ip: Option<Ipv4Addr>) {
    let at = lab.lookups.iter().position(|(_, other)| other == name).unwrap();
    let (lookup, _) = lab.lookups.remove(at);
    lab.call(|node, now| node.handle_resolved(now, lookup, ip.as_slice()));
}

/// How often a bootstrap found only silent nodes.
fn silences(lab: &Lab) -> usize {
    let is_silent = |event: &&Event| matches!(event, Event::BootstrapSilent { .. });
    lab.events.iter().filter(is_silent).count()
}

/// How long it takes until the node is ready.
fn time_to_ready(lab: &mut Lab) -> Duration {
    let start = lab.now;
    lab.run_until(|lab| lab.node.bootstrapped());
    lab.now.saturating_since(start)
}

#[test]
fn a_lonely_node_is_ready_at_once() {
    let lab = Lab::alone();
    assert_eq!(lab.events, [Event::Listening, Event::Ready]);
    assert_eq!(lab.sent, []);
    assert!(lab.node.ephemeral() && lab.node.firewalled());
}

#[test]
fn nothing_leaves_before_the_bind_and_all_of_it_after() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    let ping = lab.request(Request::ping(peer(1)));
    let query = Query::find_node(Id([0; 32])).nodes([peer(2)]).discard_replies();
    lab.query(query);
    lab.run_for(60 * SECOND);
    assert_eq!((lab.sent.len(), lab.events.len()), (0, 0));
    for n in 0..3 {
        lab.add_peer(peer(n));
    }
    lab.bind();
    assert_eq!(lab.events.first(), Some(&Event::Listening));
    assert!(lab.result(ping).is_ok());
    assert!(lab.asked(FIND_NODE).contains(&peer(2)));
}

#[test]
fn known_nodes_are_asked_before_bootstrap_nodes() {
    let mut config = joining(&[peer(99)]);
    config.nodes = (0..20).map(peer).collect();
    let lab = Lab::started(config);
    let asked = lab.asked(FIND_NODE);
    assert!(!asked.is_empty() && !asked.contains(&peer(99)));
    // With fewer than twenty known nodes the bootstrap nodes are asked as well.
    let mut config = joining(&[peer(99)]);
    config.nodes = vec![peer(0)];
    let mut asked = Lab::started(config).asked(FIND_NODE);
    asked.sort();
    assert_eq!(asked, [peer(0), peer(99)]);
}

#[test]
fn it_looks_for_its_own_id() {
    let lab = Lab::started(joining(&[peer(0)]));
    let target = lab.sent[0].request().target.copied();
    assert_eq!(target, Some(lab.node.table_id().0));
}

#[test]
fn a_bootstrapper_is_persistent_by_itself() {
    let mut lab = Lab::started(Config::bootstrapper(2000, &HOST.to_string()).unwrap());
    assert_eq!(lab.events, [Event::Listening, Event::Persistent, Event::Ready]);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.node.remote_address(), Some(SERVER));
    assert_eq!(lab.sent, []);
    lab.ticks(100);
    assert_eq!(lab.sent, [], "nobody is there to talk to");
}

#[test]
fn a_first_node_cannot_be_persistent_without_knowing_its_address() {
    let mut config = Config::default();
    config.ephemeral = Some(false);
    let mut lab = Lab::started(config.clone());
    assert_eq!(lab.events, [Event::Listening, Event::Ready]);
    assert_eq!(lab.node.id(), None);
    // Nor does it help to know that there is no firewall.
    config.firewalled = false;
    assert_eq!(Lab::started(config).node.id(), None);
    lab.ticks(300);
    assert!(lab.node.ephemeral());
}

#[test]
fn a_node_told_to_be_persistent_checks_its_firewall_and_looks_again_under_its_id() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::unbound(config);
    for n in 0..8 {
        lab.add_peer(peer(n)).closer = (0..8).map(peer).collect();
    }
    let old = lab.node.table_id();
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    let nat = |port| Event::NatUpdate { host: Some(HOST), port };
    // The port of the client socket, while requests leave by it; then the port of the server socket.
    let (up, own) = ([Event::Listening, Event::Online], [nat(1000), nat(2000)]);
    let events = [&up[..], &own, &[Event::Persistent, Event::Ready]].concat();
    assert_eq!(lab.events, events);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.asked(PING_NAT).len(), 5);
    let targets: Vec<_> = lab.sent.iter().filter(|sent| sent.is(FIND_NODE)).collect();
    let towards = |id: Id| {
        let found = targets.iter().filter(|sent| sent.request().target == Some(&id.0));
        found.count()
    };
    assert!(towards(old) > 0 && towards(Id::of(SERVER)) > 0);
}

#[test]
fn without_a_firewall_no_check_is_made() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    config.firewalled = false;
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0));
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert_eq!(lab.asked(PING_NAT), []);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn the_first_three_to_answer_are_asked_to_reach_the_server_socket() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    for n in 0..30 {
        lab.add_peer(peer(n)).closer = (0..30).map(peer).collect();
    }
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    let quick: Vec<_> = lab.sent.iter().filter(|sent| sent.is(PING_NAT)).collect();
    assert_eq!(quick[0].to, peer(0));
    assert_eq!(quick[0].request().value, Some(&2000_u16.to_le_bytes()[..]));
    // The quick check has succeeded, so the firewall is checked, and the table is built around the
    // derived id; but the node stays ephemeral.
    assert_eq!(quick.len(), 3 + 5);
    assert!(!lab.node.firewalled() && lab.node.ephemeral());
    assert_eq!((lab.node.table_id(), lab.node.id()), (Id::of(SERVER), None));
    assert_eq!(lab.times(Event::Persistent), 0);
}

#[test]
fn the_very_first_to_answer_does_not_keep_it_from_looking() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    for n in 0..30 {
        lab.add_peer(peer(n)).closer = (0..30).map(peer).collect();
    }
    lab.peer(peer(0)).reaches = false;
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert!(!lab.node.firewalled());
}

#[test]
fn three_nodes_of_one_24_are_one_that_is_asked_early() {
    let mut lab = Lab::unbound(joining(&[neighbour([81, 0, 0], 0)]));
    let all: Vec<_> = (0..3).map(|n| neighbour([81, 0, 0], n)).chain((0..2).map(peer)).collect();
    for addr in &all {
        let peer = lab.add_peer(*addr);
        (peer.closer, peer.reaches) = (all.clone(), false);
    }
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    let asked = lab.asked(PING_NAT);
    assert_eq!(asked, [all[0], peer(0), peer(1)]);
}

#[test]
fn with_a_single_peer_the_quick_look_comes_too_late() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    lab.add_peer(peer(0));
    lab.bind();
    lab.run_for(SECOND);
    assert!(lab.node.bootstrapped());
    assert_eq!(lab.asked(PING_NAT), [peer(0)]);
    assert!(lab.node.firewalled(), "for now");
}

#[test]
fn no_quick_look_if_it_failed_or_is_not_wanted() {
    for (wanted, reaches, probes) in [(true, false, 3), (false, true, 0)] {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = wanted;
        let mut lab = Lab::unbound(config);
        for n in 0..30 {
            let peer_n = lab.add_peer(peer(n));
            peer_n.closer = (0..30).map(peer).collect();
            peer_n.reaches = reaches;
        }
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        assert_eq!(lab.asked(PING_NAT).len(), probes);
        assert!(lab.node.firewalled());
        assert_eq!(lab.node.request_via(), dht_core::Via::Client);
    }
}

#[test]
fn dead_bootstrap_nodes_cost_three_seconds_and_are_told() {
    let mut lab = Lab::started(joining(&[peer(0), peer(1)]));
    let time = time_to_ready(&mut lab);
    println!("F4: ready {time:?} after the bind, where the bootstrap nodes are dead");
    assert!((2 * SECOND..=3 * SECOND).contains(&time), "{time:?}");
    assert_eq!(lab.events, [Event::Listening, silent(2, 2, 0), Event::Ready]);
}

#[test]
fn silence_is_broken_with_ever_more_patience() {
    let mut lab = Lab::started(joining(&[peer(0)]));
    lab.run_for(Duration::from_secs(2400));
    let mut tries: Vec<_> = lab.sent.iter().filter(|sent| sent.is(FIND_NODE)).collect();
    // One entry for each bootstrap: all tries of a bootstrap have the same transaction id.
    tries.dedup_by(|b, a| b.request().tid == a.request().tid);
    let silences = lab.times(silent(1, 1, 0));
    let from = tries[0].at;
    let begun: Vec<_> = tries.iter().map(|sent| sent.at.saturating_since(from).as_secs()).collect();
    for (gap, n) in [5, 10, 20, 40, 80, 160, 320, 320, 320].into_iter().zip(1_u64..) {
        let before: u64 = [5, 10, 20, 40, 80, 160, 320, 320, 320][..n as usize].iter().sum();
        // Each walk takes two seconds itself.
        let at = before + 2 * n;
        assert!(begun.contains(&at), "the try after {gap} s, at {at}, of {begun:?}");
    }
    assert!(silences >= 9);
    assert_eq!(lab.times(Event::Ready), 1, "told once");
}

#[test]
fn when_the_bootstrap_node_comes_up_a_node_becomes_what_it_was_told_to_be() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::started(config);
    time_to_ready(&mut lab);
    assert_eq!(lab.node.id(), None);
    lab.add_peer(peer(0));
    lab.run_for(10 * SECOND);
    assert!(lab.knows(peer(0)));
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!((lab.times(Event::Ready), lab.times(Event::Persistent)), (1, 1));
    // The bootstrap is over: from now on requests are the usual upkeep.
    lab.sent.clear();
    lab.ticks(55);
    let towards_self = |sent: &crate::support::lab::Sent| {
        sent.is(FIND_NODE) && sent.request().target == Some(&Id::of(SERVER).0)
    };
    assert!(!lab.sent.iter().any(towards_self));
}

#[test]
fn a_name_is_looked_up_and_used() {
    let mut lab = Lab::unbound(named(&["one.example:4000"]));
    lab.add_peer(peer(0));
    lab.bind();
    assert_eq!(lab.lookups.len(), 1);
    assert_eq!(lab.lookups[0].1, "one.example");
    lab.run_for(SECOND);
    assert!(!lab.node.bootstrapped(), "it waits for the name");
    resolve(&mut lab, "one.example", Some(*peer(0).ip()));
    assert!(time_to_ready(&mut lab) < SOON);
    assert!(lab.knows(peer(0)));
    assert!(!lab.events.iter().any(|event| matches!(event, Event::BootstrapSilent { .. })));
}

#[test]
fn a_result_that_was_not_asked_for_is_ignored() {
    let mut lab = Lab::unbound(named(&["one.example:4000"]));
    lab.bind();
    let (lookup, _) = lab.lookups[0];
    for n in 0..2 {
        lab.call(|node, now| node.handle_resolved(now, lookup, &[*peer(n).ip()]));
    }
    // The next try, after five seconds, uses the first result.
    lab.run_for(10 * SECOND);
    assert!(lab.asked(FIND_NODE).iter().all(|to| *to == peer(0)));
}

#[test]
fn a_suggested_address_and_the_name_are_tried_side_by_side() {
    let suggested = *peer(1).ip();
    let mut config = named(&[&format!("{suggested}@one.example:4000")]);
    config.quick_firewall = false;
    // The suggestion is good: the node does not wait for the name.
    let mut lab = Lab::unbound(config.clone());
    lab.add_peer(peer(1));
    lab.bind();
    assert_eq!(lab.asked(FIND_NODE), [peer(1)]);
    assert_eq!(lab.lookups[0].1, "one.example");
    lab.run_for(SOON);
    assert!(lab.knows(peer(1)));
    // The suggestion is dead: the node goes on with the name, at no other cost.
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0));
    lab.bind();
    lab.run_for(SOON);
    resolve(&mut lab, "one.example", Some(*peer(0).ip()));
    lab.run_for(SOON);
    assert!(lab.knows(peer(0)));
    assert!(time_to_ready(&mut lab) <= 3 * SECOND);
}

#[test]
fn names_that_fail_are_told_at_once_and_those_never_answered_after_five_seconds() {
    let mut lab = Lab::started(named(&["one.example:4000", "two.example:4000"]));
    resolve(&mut lab, "one.example", None);
    assert!(!lab.node.bootstrapped());
    resolve(&mut lab, "two.example", None);
    assert_eq!(lab.events, [Event::Listening, silent(0, 0, 2), Event::Ready]);
    let mut lab = Lab::started(named(&["one.example:4000"]));
    assert_eq!(time_to_ready(&mut lab), 5 * SECOND);
    assert_eq!(lab.events, [Event::Listening, silent(0, 0, 1), Event::Ready]);
    // The result comes too late for this bootstrap, so the next one begins.
    resolve(&mut lab, "one.example", Some(*peer(0).ip()));
    assert_eq!(lab.asked(FIND_NODE), [peer(0)]);
}

#[test]
fn a_name_is_good_for_a_minute() {
    let mut lab = Lab::unbound(named(&["one.example:4000"]));
    lab.add_peer(peer(0));
    lab.bind();
    resolve(&mut lab, "one.example", Some(*peer(0).ip()));
    lab.run_for(59 * SECOND);
    lab.call(Node::refresh);
    assert_eq!(lab.lookups, []);
    lab.run_for(2 * SECOND);
    lab.call(Node::refresh);
    assert_eq!(lab.lookups.len(), 1);
}

#[test]
fn a_bootstrap_node_that_is_itself_costs_nothing_and_worries_nobody() {
    let mut config = Config::bootstrapper(2000, &HOST.to_string()).unwrap();
    config.bootstrap = vec![SERVER.into()];
    let mut lab = Lab::started(config);
    assert_eq!(lab.events, [Event::Listening, Event::Persistent, Event::Ready]);
    lab.run_for(600 * SECOND);
    assert_eq!(lab.sent, []);
}

#[test]
fn a_node_that_finds_out_that_it_is_its_own_bootstrap_node_is_told_and_ready() {
    // The router does not pass on datagrams from inside to the own public address.
    let mut lab = Lab::started(joining(&[SERVER]));
    assert!(time_to_ready(&mut lab) <= 3 * SECOND);
    assert_eq!(lab.times(silent(1, 1, 0)), 1);
}

#[test]
fn once_it_knows_its_address_it_does_not_ask_itself() {
    let mut config = joining(&[SERVER, peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0));
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    // Retries of earlier requests to the own address end within 6 s.
    lab.run_for(6 * SECOND);
    lab.sent.clear();
    lab.call(Node::refresh);
    lab.run_for(SECOND);
    assert_eq!(lab.asked(FIND_NODE), [peer(0)]);
}

#[test]
fn addresses_of_the_users_are_used_whatever_they_are() {
    let private = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 4000);
    let broadcast = SocketAddrV4::new(Ipv4Addr::BROADCAST, 4000);
    let mut lab = Lab::started(joining(&[private, broadcast]));
    let mut asked = lab.asked(FIND_NODE);
    asked.sort();
    assert_eq!(asked, [private, broadcast]);
    lab.request(Request::ping(broadcast));
    assert_eq!(lab.sent.last().unwrap().to, broadcast);
    lab.call(|node, now| node.add_node(now, private).unwrap());
    assert!(lab.knows(private));
}

#[test]
fn a_name_that_resolves_late_is_of_use_at_once() {
    let mut lab = Lab::unbound(named(&["one.example:4000"]));
    lab.add_peer(peer(0));
    lab.bind();
    // The resolver takes longer than the node waits.
    lab.run_for(6 * SECOND);
    resolve(&mut lab, "one.example", Some(*peer(0).ip()));
    lab.run_for(SOON);
    assert!(lab.knows(peer(0)));
}

#[test]
fn a_name_that_failed_is_looked_up_again_by_the_next_try() {
    let mut lab = Lab::unbound(named(&["one.example:4000"]));
    lab.add_peer(peer(0));
    lab.bind();
    resolve(&mut lab, "one.example", None);
    lab.run_for(5 * SECOND);
    resolve(&mut lab, "one.example", Some(*peer(0).ip()));
    lab.run_for(SOON);
    assert!(lab.knows(peer(0)));
}

#[test]
fn a_silent_resolver_delays_nobody_whose_suggested_address_has_answered() {
    let suggested = format!("{}@one.example:4000", peer(0).ip());
    let mut lab = Lab::unbound(named(&[&suggested]));
    lab.add_peer(peer(0));
    lab.bind();
    assert!(time_to_ready(&mut lab) < SOON);
}

#[test]
fn another_network_or_the_end_of_a_sleep_ends_the_wait_for_the_next_try() {
    for news in [Node::handle_network_change, Node::handle_wakeup] {
        let mut config = joining(&[peer(0)]);
        config.ephemeral = Some(false);
        let mut lab = Lab::started(config);
        lab.run_for(60 * SECOND);
        lab.run_until(|lab| lab.sent.last().is_some_and(|sent| sent.at + 4 * SECOND < lab.now));
        lab.add_peer(peer(0));
        lab.call(news);
        lab.run_for(SOON);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    }
}

/// Twelve dead bootstrap nodes take longer than the pause before the next try, and there are two walks to them.
#[test]
fn a_bootstrap_is_not_tried_again_before_it_is_over() {
    let dead: Vec<_> = (0..12).map(peer).collect();
    let mut config = told(&dead);
    config.public_address = Some(SERVER);
    let mut lab = Lab::started(config);
    assert!(time_to_ready(&mut lab) > 7 * SECOND);
    lab.add_peer(peer(0));
    lab.run_for(15 * SECOND);
    assert!(lab.knows(peer(0)));
}

/// Adaptive timeouts of far nodes are long.
#[test]
fn nor_before_a_long_check_is_over() {
    let mut config = wanting();
    config.adaptive_timeout = true;
    let mut lab = Lab::unbound(config);
    for n in 0..5 {
        let peer_n = lab.add_peer(peer(n));
        (peer_n.closer, peer_n.reaches) = ((0..5).map(peer).collect(), false);
        peer_n.rtt = Duration::from_millis(240);
    }
    lab.bind();
    lab.run_until(|lab| lab.asked(PING_NAT).len() == 5);
    for rtt in [350, 500, 700, 1_000] {
        lab.peers.values_mut().for_each(|peer| peer.rtt = Duration::from_millis(rtt));
        let pings = lab.requests((0..5).map(|n| Request::ping(peer(n))));
        pings.into_iter().for_each(|ping| _ = lab.result(ping).unwrap());
    }
    assert!(!lab.node.bootstrapped());
    lab.call(Node::suspend);
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.call(Node::resume);
    lab.bind();
    lab.run_until(|lab| silences(lab) > 0);
    let took = time_to_ready(&mut lab);
    assert!(took > 5 * SECOND, "{took:?}");
    lab.refusal = None;
    lab.run_for(5 * SECOND);
    assert!(lab.asked(FIND_NODE).contains(&peer(0)), "it is tried again at once");
}

#[test]
fn once_a_node_has_answered_there_is_nothing_to_try_again() {
    let mut config = told(&[peer(0)]);
    config.public_address = Some(SERVER);
    let mut lab = Lab::started(config);
    // The bootstrap node is up for the second walk, under the new id.
    lab.run_until(|lab| !lab.events.iter().all(|event| *event == Event::Listening));
    lab.add_peer(peer(0));
    time_to_ready(&mut lab);
    assert!(lab.knows(peer(0)));
    lab.sent.clear();
    lab.run_for(20 * SECOND);
    assert_eq!(lab.asked(FIND_NODE), []);
}

/// A check that a running node makes says nothing of a bootstrap that has begun meanwhile.
#[test]
fn a_bootstrap_goes_on_when_another_check_is_over() {
    let mut lab = Lab::started(wanting());
    lab.run_for(60 * SECOND);
    // These peers tell where the node is, but name no other node.
    for n in 1..6 {
        lab.add_peer(peer(n)).ignores = &[FIND_NODE];
        lab.add_node(peer(n));
        lab.ping(peer(n));
    }
    lab.sent.clear();
    lab.run_until(|lab| !lab.asked(PING_NAT).is_empty());
    let before = silences(&lab);
    lab.call(Node::handle_network_change);
    lab.run_for(SECOND);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "it was checked");
    lab.run_for(10 * SECOND);
    assert!(silences(&lab) > before);
    lab.add_peer(peer(0));
    lab.run_for(400 * SECOND);
    assert!(lab.knows(peer(0)), "it was asked again");
}
