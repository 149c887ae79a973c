//! When a bucket is full, a newcomer has to show that it is better than the one heard of
//! longest ago: that one has to be silent.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::Config;
use support::lab::{Lab, PING, far_half, joining, peer};

const SECOND: Duration = Duration::from_secs(1);

/// A node with one full bucket, some ticks old, and `count` more who would like to be in it.
fn full(count: usize) -> (Lab, Vec<SocketAddrV4>, Vec<SocketAddrV4>) {
    let mut config = Config::default();
    // It keeps its id, and so its table.
    config.ephemeral = Some(true);
    let mut lab = Lab::started(config);
    let all = far_half(lab.node.table_id(), 20 + count);
    for addr in &all {
        lab.add_peer(*addr);
    }
    let (known, new) = all.split_at(20);
    for addr in known {
        lab.call(|node, now| node.add_node(now, *addr));
    }
    lab.ticks(2);
    assert_eq!(lab.node.table_len(), 20);
    lab.sent.clear();
    (lab, known.to_vec(), new.to_vec())
}

/// All talk to us; nobody is the same any more after that.
fn hear_all(lab: &mut Lab, known: &[SocketAddrV4]) {
    for addr in known {
        lab.hear_with_id(*addr, PING);
    }
}

#[test]
fn a_silent_node_makes_room_for_a_newcomer_that_is_verified_first() {
    let (mut lab, known, new) = full(1);
    hear_all(&mut lab, &known);
    lab.ticks(1);
    // The third is the one not heard of since.
    let others: Vec<_> = known.iter().copied().filter(|addr| *addr != known[2]).collect();
    hear_all(&mut lab, &others);
    lab.ticks(1);
    lab.peer(known[2]).up = false;
    lab.sent.clear();
    lab.hear_with_id(new[0], PING);
    assert_eq!(lab.asked(PING), [new[0]], "the newcomer first");
    lab.run_for(SECOND / 2);
    assert_eq!(lab.asked(PING), [new[0], known[2]], "then the one last pinged longest ago");
    lab.run_for(3 * SECOND);
    assert!(lab.knows(known[2]) && !lab.knows(new[0]), "four tries");
    lab.run_for(SECOND);
    assert!(!lab.knows(known[2]) && lab.knows(new[0]));
    assert_eq!(lab.node.table_len(), 20);
}

#[test]
fn a_node_that_answers_keeps_its_place() {
    let (mut lab, known, new) = full(1);
    lab.hear_with_id(new[0], PING);
    lab.run_for(10 * SECOND);
    // Equal in age: the first one added has to answer.
    assert_eq!(lab.asked(PING)[..2], [new[0], known[0]]);
    assert!(lab.knows(known[0]) && !lab.knows(new[0]));
}

#[test]
fn a_newcomer_that_does_not_answer_challenges_nobody() {
    let (mut lab, known, new) = full(1);
    lab.peer(new[0]).up = false;
    lab.hear_with_id(new[0], PING);
    lab.run_for(SECOND * 2);
    assert_eq!(lab.asked(PING), [new[0]]);
    assert!(known.iter().all(|addr| lab.knows(*addr)));
}

#[test]
fn old_nodes_that_were_heard_of_lately_are_not_bothered() {
    let (mut lab, known, new) = full(1);
    // (ticks in the table, ticks since the last contact, whether one of them is challenged);
    // the former is kept in units of four ticks, and rounded down.
    for (age, ago, challenged) in [(340, 2, true), (370, 11, false), (392, 12, true)] {
        let passed = lab.now.saturating_since(dht_core::Instant::from_millis(1_000_000));
        let ticks = (passed.as_secs() / 5) as u32;
        lab.ticks(age - ago - ticks);
        hear_all(&mut lab, &known);
        // Keep-alive pings would count as contact.
        lab.sent.clear();
        lab.ticks(ago);
        let kept: Vec<_> = lab.asked(PING);
        lab.sent.clear();
        lab.hear_with_id(new[0], PING);
        lab.run_for(SECOND);
        let asked = lab.asked(PING);
        if challenged {
            assert_eq!(asked.len(), 2, "at {age}");
            assert!(asked[0] == new[0] && !kept.contains(&asked[1]));
        } else {
            assert_eq!(asked, [], "not even the newcomer, at {age}");
        }
        lab.run_for(9 * SECOND);
    }
}

#[test]
fn at_most_three_are_challenged_at_once() {
    let (mut lab, known, new) = full(6);
    for addr in &known {
        lab.peer(*addr).up = false;
    }
    for addr in &new {
        lab.hear_with_id(*addr, PING);
    }
    lab.run_for(SECOND / 2);
    assert_eq!(lab.asked(PING)[new.len()..], known[..3]);
    lab.run_for(4 * SECOND);
    assert_eq!(new.iter().filter(|addr| lab.knows(**addr)).count(), 3);
    // Then there are places for the next ones.
    lab.ticks(1);
    lab.sent.clear();
    let waiting = *new.iter().find(|addr| !lab.knows(**addr)).unwrap();
    lab.hear_with_id(waiting, PING);
    lab.run_for(5 * SECOND);
    assert!(lab.knows(waiting));
}

#[test]
fn a_node_pinged_in_this_very_tick_is_not_challenged() {
    let (mut lab, known, new) = full(1);
    hear_all(&mut lab, &known);
    lab.sent.clear();
    lab.hear_with_id(new[0], PING);
    lab.run_for(SECOND);
    assert_eq!(lab.asked(PING), []);
}

#[test]
fn while_bootstrapping_nobody_is_challenged() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    let all = far_half(lab.node.table_id(), 21);
    lab.add_peer(all[20]);
    for addr in &all[..20] {
        lab.call(|node, now| node.add_node(now, *addr));
    }
    lab.bind();
    lab.run_for(SECOND);
    assert!(!lab.node.bootstrapped());
    lab.sent.clear();
    lab.hear_with_id(all[20], PING);
    lab.run_for(SECOND / 2);
    assert!(lab.asked(PING).iter().all(|to| *to == all[20]));
}

#[test]
fn a_node_that_answers_twice_without_an_id_makes_room() {
    let (mut lab, known, new) = full(2);
    lab.peer(known[0]).has_id = false;
    lab.hear_with_id(new[0], PING);
    lab.run_for(SECOND);
    assert!(lab.knows(known[0]), "once is not enough");
    lab.ticks(1);
    // Everyone else has been heard of since.
    let rest: Vec<_> = known[1..].to_vec();
    hear_all(&mut lab, &rest);
    lab.ticks(1);
    lab.hear_with_id(new[1], PING);
    lab.run_for(SECOND);
    assert!(!lab.knows(known[0]) && lab.knows(new[1]));
}
