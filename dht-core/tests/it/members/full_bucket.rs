//! When a bucket is full, its node that was not heard of for longest is asked whether it is there. Only if
//! that node is silent does the newcomer get a chance: else each request of a stranger would cost a ping.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Request, SavedNode};

use crate::support::lab::{LATENCY, Lab, PING, TICK, far_half, joining, peer};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
const MINUTE: u32 = 12;
const HALF_AN_HOUR: u32 = 360;

/// Puts nodes into the table one after the other: added `added` ticks ago, last heard of `pinged` ticks ago.
fn import(lab: &mut Lab, known: &[SocketAddrV4], added: u32, pinged: u32) {
    for addr in known {
        let saved = SavedNode { addr: *addr, added: TICK * added, pinged: TICK * pinged };
        lab.call(|node, now| node.import(now, &[saved], Duration::ZERO));
    }
}

/// A node with one full bucket, whose nodes have these ages, and `count` more nodes for that bucket.
fn full_of(added: u32, pinged: u32, count: usize) -> (Lab, Vec<SocketAddrV4>, Vec<SocketAddrV4>) {
    let mut config = Config::default();
    // An ephemeral node keeps its table id, and so its table.
    config.ephemeral = Some(true);
    let mut lab = Lab::started(config);
    let all = far_half(lab.node.table_id(), 20 + count);
    for addr in &all {
        lab.add_peer(*addr);
    }
    let (known, new) = all.split_at(20);
    import(&mut lab, known, added, pinged);
    assert_eq!(lab.node.table_len(), 20);
    (lab, known.to_vec(), new.to_vec())
}

/// The same, with nodes that were heard of a minute ago: any of them may be asked.
fn full(count: usize) -> (Lab, Vec<SocketAddrV4>, Vec<SocketAddrV4>) {
    full_of(MINUTE, MINUTE, count)
}

/// Runs until a keep-alive pings nodes, and returns these nodes.
fn keep_alive(lab: &mut Lab) -> Vec<SocketAddrV4> {
    lab.sent.clear();
    lab.run_until(|lab| !lab.checked().is_empty());
    lab.checked()
}

#[test]
fn a_silent_node_makes_room_for_a_newcomer_that_is_verified_then() {
    let (mut lab, known, new) = full(1);
    lab.hear_with_id(known[0], PING);
    lab.hear_with_id(known[1], PING);
    lab.peer(known[2]).up = false;
    lab.sent.clear();
    lab.hear_with_id(new[0], PING);
    assert_eq!(lab.checked(), [known[2]], "the one heard of longest ago, and only that one");
    lab.run_for(4 * SECOND - MOMENT);
    assert_eq!(lab.checked(), [known[2]; 4]);
    assert!(lab.knows(known[2]));
    lab.run_for(MOMENT);
    assert!(!lab.knows(known[2]));
    assert_eq!(lab.checked().last(), Some(&new[0]), "now the newcomer");
    assert_eq!((lab.checked().len(), lab.node.stats().verifications.sent), (5, 1));
    assert!(!lab.knows(new[0]), "not yet");
    lab.run_for(2 * LATENCY);
    assert!(lab.knows(new[0]));
    assert_eq!(lab.node.table_len(), 20);
}

#[test]
fn a_newcomer_that_has_answered_already_is_not_asked_again() {
    let (mut lab, known, new) = full(1);
    let id = lab.request(Request::ping(new[0]));
    lab.peer(known[0]).up = false;
    assert!(lab.result(id).is_ok());
    lab.run_for(4 * SECOND);
    assert_eq!(lab.checked()[1..], [known[0]; 4]);
    assert!(!lab.knows(known[0]) && lab.knows(new[0]));
    assert_eq!(lab.node.stats().verifications.sent, 0);
}

#[test]
fn a_node_that_answers_keeps_its_place_and_the_newcomer_is_not_asked() {
    let (mut lab, known, new) = full(2);
    lab.hear_with_id(new[0], PING);
    lab.run_for(4 * LATENCY);
    // All nodes are equal in age, so the first one added is asked.
    assert_eq!(lab.checked(), [known[0]]);
    lab.hear_with_id(new[1], PING);
    lab.run_for(4 * LATENCY);
    assert_eq!(lab.checked(), known[..2], "another time another one");
    assert!(known.iter().all(|addr| lab.knows(*addr)));
    assert_eq!(lab.node.stats().verifications.sent, 0);
}

#[test]
fn a_newcomer_that_does_not_answer_either_does_not_enter() {
    let (mut lab, known, new) = full(1);
    lab.peer(new[0]).up = false;
    lab.peer(known[0]).up = false;
    lab.hear_with_id(new[0], PING);
    lab.run_for(5 * SECOND);
    assert_eq!(lab.checked(), [known[0], known[0], known[0], known[0], new[0]]);
    assert_eq!((lab.node.table_len(), lab.knows(known[0])), (19, false));
    assert_eq!(lab.node.stats().verifications.failed, 1);
}

#[test]
fn nodes_that_were_heard_of_in_the_last_minute_are_not_bothered() {
    // The age in the table does not matter: the reference, too, asks nodes that are not old.
    for added in [MINUTE, HALF_AN_HOUR - 4, HALF_AN_HOUR + 4] {
        for (pinged, asked) in [(0, 0), (MINUTE - 1, 0), (MINUTE, 1), (MINUTE + 1, 1)] {
            let (mut lab, known, new) = full_of(added, pinged, 1);
            lab.hear_with_id(new[0], PING);
            lab.run_for(SECOND);
            let context = format!("added {added} ticks ago, pinged {pinged} ticks ago");
            assert_eq!(lab.checked(), known[..asked], "{context}");
            assert_eq!(lab.node.stats().verifications.sent, 0, "{context}");
        }
    }
}

#[test]
fn at_most_three_are_asked_at_once() {
    let (mut lab, known, new) = full(6);
    for addr in &known {
        lab.peer(*addr).up = false;
    }
    for addr in &new {
        lab.hear_with_id(*addr, PING);
    }
    assert_eq!(lab.checked(), known[..3]);
    lab.run_for(4 * SECOND);
    lab.run_for(2 * LATENCY);
    assert_eq!(new.iter().filter(|addr| lab.knows(**addr)).count(), 3);
    // Then there are places for the next newcomers.
    lab.sent.clear();
    let waiting = *new.iter().find(|addr| !lab.knows(**addr)).unwrap();
    lab.hear_with_id(waiting, PING);
    assert_eq!(lab.checked(), [known[3]]);
}

#[test]
fn rivals_are_asked_out_of_the_budget_of_the_keep_alive() {
    let (mut lab, known, new) = full(9);
    // Five rivals are asked before the first keep-alive, which then has only its minimum left.
    for addr in &new[..6] {
        lab.hear_with_id(*addr, PING);
        lab.run_for(4 * LATENCY);
    }
    assert_eq!(lab.checked(), known[..5]);
    assert_eq!(keep_alive(&mut lab), known[5..7]);
    // Four may be asked before the next keep-alive, which gets what is left of the four.
    for addr in &new[6..] {
        lab.hear_with_id(*addr, PING);
        lab.run_for(4 * LATENCY);
    }
    assert_eq!(lab.checked(), known[5..10]);
    lab.ticks(7);
    assert_eq!(keep_alive(&mut lab), known[10..12], "two although one is left");
}

#[test]
fn while_bootstrapping_nobody_is_asked_for_its_place() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    let all = far_half(lab.node.table_id(), 21);
    lab.add_peer(all[20]);
    import(&mut lab, &all[..20], MINUTE, MINUTE);
    // No node answers.
    lab.bind();
    lab.run_for(SECOND / 2);
    assert!(!lab.node.bootstrapped());
    lab.hear_with_id(all[20], PING);
    assert_eq!(lab.checked(), []);
    lab.run_until(|lab| lab.node.bootstrapped());
    // The silent nodes are being checked, or gone: they are put back, and made to look old.
    import(&mut lab, &all[..20], MINUTE, MINUTE);
    lab.call(|node, now| node.handle_wakeup(now));
    lab.sent.clear();
    lab.hear_with_id(all[20], PING);
    assert!(matches!(lab.checked()[..], [rival] if rival != all[20]), "{:?}", lab.checked());
}

#[test]
fn a_node_that_answers_twice_without_an_id_makes_room() {
    let (mut lab, known, new) = full(2);
    lab.peer(known[0]).has_id = false;
    lab.hear_with_id(new[0], PING);
    lab.run_for(SECOND);
    assert!(lab.knows(known[0]) && !lab.knows(new[0]), "once is not enough");
    // All nodes look old again.
    lab.call(|node, now| node.handle_wakeup(now));
    lab.sent.clear();
    lab.hear_with_id(new[1], PING);
    lab.run_for(SECOND);
    assert_eq!(lab.checked()[..1], known[1..2], "others are older");
    for addr in &known[1..] {
        lab.hear_with_id(*addr, PING);
    }
    lab.sent.clear();
    lab.hear_with_id(new[1], PING);
    lab.run_for(SECOND);
    assert_eq!(lab.checked(), [known[0], new[1]]);
    assert!(!lab.knows(known[0]) && lab.knows(new[1]));
}
