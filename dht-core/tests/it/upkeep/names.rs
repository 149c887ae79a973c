//! Names of bootstrap nodes are a source of nodes like any other: a node that can do without a name
//! does not wait, all addresses of a name are tried, and none is forgotten when a resolver fails.

use std::net::Ipv4Addr;
use std::time::Duration;

use dht_core::{Config, Event, Node, Query};

use crate::support::lab::{FIND_NODE, Lab, Peer, addr, peer, target};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than a round trip, shorter than any timeout.
const SOON: Duration = Duration::from_millis(200);

fn joining(nodes: &[&str]) -> Config {
    let mut config = Config::default();
    config.bootstrap = nodes.iter().map(|node| node.parse().unwrap()).collect();
    config.quick_firewall = false;
    config
}

/// The resolver answers the latest lookup of this name.
fn resolve(lab: &mut Lab, name: &str, ips: &[Ipv4Addr]) {
    let at = lab.lookups.iter().rposition(|(_, other)| other == name).unwrap();
    let (lookup, _) = lab.lookups.remove(at);
    lab.call(|node, now| node.handle_resolved(now, lookup, ips));
}

fn ips(peers: impl IntoIterator<Item = u32>) -> Vec<Ipv4Addr> {
    peers.into_iter().map(|n| *peer(n).ip()).collect()
}

/// How long a lookup takes.
fn lookup(lab: &mut Lab, n: u32) -> Duration {
    let start = lab.now;
    let query = Query::find_node(target(n)).discard_replies();
    let id = lab.query(query);
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
    lab.now.saturating_since(start)
}

#[test]
fn nobody_waits_for_a_name_where_somebody_answers() {
    let first = peer(0).to_string();
    let mut lab = Lab::unbound(joining(&[&first, "silent.example:4000"]));
    (0..3).for_each(|n| lab.add_peer(peer(n)).closer = (0..3).map(peer).collect());
    lab.bind();
    lab.run_for(SOON);
    assert!(lab.node.bootstrapped());
    for n in 0..20 {
        let took = lookup(&mut lab, n);
        assert!(took < SOON, "lookup {n} took {took:?}");
        lab.run_for(SECOND);
    }
    assert!(!lab.events.iter().any(|event| matches!(event, Event::BootstrapSilent { .. })));
}

#[test]
fn an_answer_with_an_error_code_is_one() {
    let first = addr(0).to_string();
    let mut lab = Lab::started(joining(&[&first, "silent.example:4000"]));
    lab.peers.insert(addr(0), Peer { error: 1, ..Peer::default() });
    lab.run_ms(20_000);
    let start = lab.now;
    assert_eq!(lab.walk(Query::new(target(1), 77)).1.unwrap().answered, 1);
    assert!(lab.now.saturating_since(start) < SOON);
}

#[test]
fn all_addresses_of_a_name_are_tried_up_to_eight_of_a_result() {
    for good in [0, 7, 8] {
        let mut lab = Lab::unbound(joining(&["one.example:4000"]));
        lab.add_peer(peer(good));
        lab.bind();
        resolve(&mut lab, "one.example", &ips(0..20));
        lab.run_for(3 * SECOND);
        assert_eq!(lab.knows(peer(good)), good < 8, "the one at {good}");
        let mut asked = lab.asked(FIND_NODE);
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), 8);
    }
}

#[test]
fn sixteen_addresses_are_remembered_those_found_last_first() {
    let mut lab = Lab::unbound(joining(&["one.example:4000"]));
    lab.bind();
    for from in [0, 8, 13] {
        resolve(&mut lab, "one.example", &ips(from..from + 8));
        lab.run_for(70 * SECOND);
        lab.sent.clear();
        lookup(&mut lab, 1);
    }
    let mut asked = lab.asked(FIND_NODE);
    asked.sort();
    asked.dedup();
    // Eight addresses of the last result, three more of the second, five of the first.
    assert_eq!(
        asked,
        (0..5).chain(8..21).map(peer).filter(|a| asked.contains(a)).collect::<Vec<_>>()
    );
    assert_eq!(asked.len(), 16);
}

#[test]
fn what_worked_is_not_forgotten_when_the_name_fails() {
    let mut lab = Lab::unbound(joining(&["one.example:4000"]));
    lab.add_peer(peer(0)).has_id = false;
    lab.bind();
    resolve(&mut lab, "one.example", &ips([0]));
    lab.run_for(SECOND);
    assert!(lab.node.bootstrapped() && lab.node.table_len() == 0);
    // At first the resolver says that the name does not exist, then it does not answer.
    for says_so in [true, false, false] {
        lab.run_for(120 * SECOND);
        lab.call(Node::refresh);
        if says_so {
            resolve(&mut lab, "one.example", &[]);
        }
        lab.run_for(20 * SECOND);
        let took = lookup(&mut lab, 1);
        assert!(took < SOON, "{took:?}");
    }
    assert!(!lab.events.iter().any(|event| matches!(event, Event::BootstrapSilent { .. })));
}

#[test]
fn a_name_that_comes_when_others_have_answered_is_still_of_use() {
    // The first node answers, and knows no other node.
    let first = peer(0).to_string();
    let mut lab = Lab::unbound(joining(&[&first, "late.example:4000"]));
    (0..2).for_each(|n| _ = lab.add_peer(peer(n)));
    lab.bind();
    lab.run_for(SECOND);
    assert!(lab.node.bootstrapped() && !lab.knows(peer(1)));
    resolve(&mut lab, "late.example", &ips([1]));
    lab.run_for(SOON);
    assert!(lab.knows(peer(1)));
    // The same result again is no news.
    lab.run_for(120 * SECOND);
    lookup(&mut lab, 1);
    lab.sent.clear();
    resolve(&mut lab, "late.example", &ips([1]));
    assert_eq!(lab.asked(FIND_NODE), []);
}

#[test]
fn names_are_told_in_turn() {
    let names: Vec<_> = (0..20).map(|n| format!("no{n}.example:4000")).collect();
    let config = joining(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut lab = Lab::unbound(config);
    lab.takes_lookups = false;
    lab.bind();
    let mut told = Vec::new();
    // The embedder takes eight names at a time, and its resolver never answers.
    for _ in 0..3 {
        for _ in 0..8 {
            let lookup = lab.node.poll_name().unwrap();
            told.push(lab.node.name_of(lookup).to_owned());
        }
        lab.run_ms(5_000);
        lab.node.refresh(lab.now);
        lab.run_ms(5_000);
        lab.node.refresh(lab.now);
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 20, "{told:?}");
}

/// A suspended node does not wait for a name, and its resolver may be gone.
#[test]
fn a_name_is_looked_up_anew_by_a_node_that_is_resumed() {
    let mut lab = Lab::unbound(joining(&["one.example:4000"]));
    lab.add_peer(peer(0));
    lab.bind();
    assert_eq!(lab.lookups.len(), 1);
    lab.run_for(SECOND);
    lab.call(Node::suspend);
    lab.lookups.clear();
    lab.run_for(10 * SECOND);
    assert_eq!(lab.lookups, []);
    lab.call(Node::resume);
    lab.bind();
    lab.run_for(4 * SECOND);
    resolve(&mut lab, "one.example", &ips([0]));
    lab.run_for(SOON);
    assert!(lab.node.bootstrapped() && lab.knows(peer(0)));
    assert!(!lab.events.iter().any(|event| matches!(event, Event::BootstrapSilent { .. })));
}

/// A query may need the name before there is a socket.
#[test]
fn nor_does_the_time_until_the_bind_count() {
    let mut lab = Lab::unbound(joining(&["one.example:4000"]));
    lab.add_peer(peer(0));
    let query = Query::find_node(target(1)).discard_replies();
    let id = lab.query(query);
    lab.run_for(10 * SECOND);
    lab.bind();
    assert_eq!(lab.lookups.len(), 1, "asked for once");
    lab.run_for(4 * SECOND);
    resolve(&mut lab, "one.example", &ips([0]));
    lab.run_for(SOON);
    assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().successes, 1);
}
