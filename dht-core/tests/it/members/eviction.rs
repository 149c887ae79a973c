//! Which nodes leave the routing table: nodes that do not answer, and nodes that answer without an id. No node
//! leaves because of what a peer says, or of a request that the node itself gave up.

use std::time::Duration;

use dht_core::{Id, Instant, Query, Request, RequestError, Via, wire};

use crate::support::bare_answer;
use crate::support::lab::{
    CLIENT, DOWN_HINT, FIND_NODE, LATENCY, Lab, PING, PING_NAT, SERVER, joining, neighbour, peer,
};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

/// A node among `count` peers that has just pinged some of them, as a keep-alive does every eight ticks.
fn settled(count: u32) -> Lab {
    let mut lab = Lab::among(count);
    lab.run_until(|lab| !lab.checked().is_empty());
    lab.run_for(SECOND / 2);
    lab.sent.clear();
    lab
}

/// The nodes that were pinged, each once.
fn checked(lab: &Lab) -> Vec<std::net::SocketAddrV4> {
    let mut asked = lab.checked();
    asked.sort();
    asked.dedup();
    asked
}

#[test]
fn who_does_not_answer_four_tries_is_gone() {
    let mut lab = settled(5);
    lab.peer(peer(2)).up = false;
    lab.hint(peer(1), peer(2));
    lab.run_for(4 * SECOND - MOMENT);
    assert_eq!(lab.checked(), [peer(2); 4]);
    assert!(lab.knows(peer(2)));
    lab.run_for(MOMENT);
    assert!(!lab.knows(peer(2)));
    assert_eq!(lab.node.table_len(), 4);
}

#[test]
fn the_keep_alive_ping_finds_who_is_gone() {
    let mut lab = settled(5);
    lab.peer(peer(2)).up = false;
    lab.ticks(40);
    assert!(!lab.knows(peer(2)));
    assert_eq!(lab.node.table_len(), 4);
}

#[test]
fn a_query_finds_it_too_but_a_request_of_the_users_does_not() {
    let mut lab = settled(30);
    lab.peer(peer(2)).up = false;
    let id = lab.request(Request::ping(peer(2)));
    assert_eq!(lab.result(id), Err(RequestError::Timeout));
    assert!(lab.knows(peer(2)), "it may have been a matter of ports or of luck");
    let query = Query::find_node(Id::of(peer(2))).thorough().discard_replies();
    let query = query.nodes([peer(2)]).only_closest_nodes();
    lab.query(query);
    lab.run_for(7 * SECOND);
    assert!(!lab.knows(peer(2)));
}

#[test]
fn two_answers_without_an_id_in_a_row_are_one_too_many() {
    let mut lab = settled(5);
    lab.peer(peer(2)).has_id = false;
    let check = |lab: &mut Lab| {
        lab.hint(peer(1), peer(2));
        lab.ticks(1);
    };
    check(&mut lab);
    assert!(lab.knows(peer(2)));
    // An answer with an id in between starts the count anew.
    lab.peer(peer(2)).has_id = true;
    check(&mut lab);
    lab.peer(peer(2)).has_id = false;
    check(&mut lab);
    assert!(lab.knows(peer(2)));
    check(&mut lab);
    assert!(!lab.knows(peer(2)));
}

#[test]
fn the_silence_of_a_ping_nat_says_nothing() {
    let mut config = joining(&[peer(0)]);
    config.quick_firewall = false;
    let mut lab = Lab::joined(config, 24);
    for n in 0..24 {
        lab.peer(peer(n)).reaches = false;
    }
    lab.ticks(240);
    // The check begins in this tick: five nodes are asked to reach the server socket.
    assert_eq!(lab.asked(PING_NAT).len(), 5);
    let timeouts = lab.node.stats().requests.timeouts;
    lab.ticks(1);
    assert_eq!(lab.asked(PING_NAT).len(), 5 * 4);
    assert!(lab.node.firewalled());
    assert_eq!(lab.node.table_len(), 24, "they may well be there");
    // After three timeouts the check can't succeed, so it does not wait for the other two nodes.
    assert_eq!(lab.node.stats().requests.timeouts, timeouts + 3);
    assert_eq!(lab.node.health().timeouts, 0, "nor is the network to blame");
}

/// S4.
#[test]
fn who_answers_something_else_meanwhile_stays() {
    let mut checks = 0;
    for round in 0..20 {
        let mut lab = settled(5);
        lab.ticks(1);
        // Peer 2 answers before the hint and after it in one tick, but its answers to the check are lost.
        lab.peer(peer(2)).ignores = &[PING, FIND_NODE];
        for hinted in [false, true] {
            let id = lab.request(Request::new(peer(2), 100));
            assert!(lab.result(id).is_ok());
            if !hinted {
                lab.sent.clear();
                lab.run_for(SECOND / 20 * round);
                lab.hint(peer(1), peer(2));
                checks += checked(&lab).len();
            }
        }
        lab.run_for(6 * SECOND);
        assert!(lab.knows(peer(2)), "{round}");
    }
    println!("S4: 0 evictions by 20 hints in the tick in which the node was seen, {checks} checks");
    assert_eq!(checks, 20);
}

#[test]
fn requests_that_seem_to_come_from_it_prove_nothing() {
    let mut lab = settled(5);
    lab.peer(peer(2)).up = false;
    lab.hint(peer(1), peer(2));
    for _ in 0..10 {
        lab.run_for(SECOND / 5);
        lab.hear_with_id(peer(2), PING);
    }
    lab.run_for(4 * SECOND);
    assert!(!lab.knows(peer(2)));
}

#[test]
fn a_hint_is_checked_once_a_tick() {
    let mut lab = settled(5);
    for _ in 0..3 {
        lab.hint(peer(1), peer(2));
        lab.run_for(SECOND / 10);
    }
    assert_eq!(lab.checked(), [peer(2)]);
    lab.ticks(1);
    lab.hint(peer(1), peer(2));
    assert_eq!(lab.checked(), [peer(2); 2]);
    assert!(lab.knows(peer(2)));
}

#[test]
fn the_first_hint_is_checked_even_in_the_tick_of_a_contact() {
    let mut lab = settled(5);
    lab.hear_with_id(peer(2), PING);
    lab.hint(peer(1), peer(2));
    assert_eq!(lab.checked(), [peer(2)]);
    lab.ticks(1);
    lab.hear_with_id(peer(2), PING);
    lab.hint(peer(1), peer(2));
    assert_eq!(lab.checked(), [peer(2)], "but not the next one");
}

#[test]
fn hints_about_strangers_are_ignored_and_answered_all_the_same() {
    let mut lab = settled(5);
    let value = wire::addr_bytes(peer(77));
    // Bytes after the address do not matter.
    let value = [&value[..], &[1, 2, 3]].concat();
    let request = wire::Request { value: Some(&value), ..crate::support::lab::asks(DOWN_HINT) };
    let sent = lab.hear(peer(66), &request);
    assert_eq!(sent.len(), 1);
    let answer = sent[0].response();
    assert_eq!((answer.error, answer.token, answer.value), (0, None, None));
}

#[test]
fn one_host_has_five_hints_a_tick() {
    let mut lab = settled(20);
    for n in 0..8 {
        lab.hint(neighbour([60, 0, 0], 0), peer(n));
    }
    assert_eq!(checked(&lab).len(), 5);
    assert_eq!(lab.node.stats().drops.down_hints, 3);
    // Another host has five hints of its own; the next tick brings new ones.
    lab.hint(neighbour([60, 0, 0], 1), peer(8));
    assert_eq!(checked(&lab).len(), 6);
    lab.ticks(1);
    lab.sent.clear();
    lab.hint(neighbour([60, 0, 0], 0), peer(9));
    assert_eq!(checked(&lab), [peer(9)]);
}

#[test]
fn ten_are_checked_at_once_local_hosts_included() {
    let mut lab = settled(20);
    for n in 0..15 {
        lab.hint(neighbour([127, 0, 0], 0), peer(n));
    }
    assert_eq!(checked(&lab).len(), 10);
    assert_eq!(lab.node.stats().drops.down_hints, 5);
    // The checked nodes have answered, so there are places again.
    lab.run_for(SECOND / 2);
    lab.hint(neighbour([127, 0, 0], 0), peer(15));
    assert_eq!(checked(&lab).len(), 11);
}

#[test]
fn checks_do_not_starve_keep_alive_pings() {
    let mut lab = Lab::among(60);
    for n in 0..10 {
        lab.peer(peer(n)).up = false;
    }
    // All places for checks are taken whenever a keep-alive is to ping the oldest nodes.
    let mut hinted_only = true;
    for tick in 0..16 {
        for n in 0..10 {
            lab.hint(neighbour([60, tick, 0], n), peer(u32::from(n)));
        }
        lab.run_for(5 * SECOND);
        hinted_only &= checked(&lab).iter().all(|to| (0..10).any(|n| peer(n) == *to));
    }
    assert!(!hinted_only);
}

/// A response that claims to come from `from`, with a guessed transaction id.
fn forge(lab: &mut Lab, from: std::net::SocketAddrV4, tid: u16, to: std::net::SocketAddrV4) {
    let response = bare_answer(tid, to, None);
    lab.hear_bytes(Via::Client, from, &response);
    lab.hear_bytes(Via::Server, from, &response);
}

#[test]
fn a_storm_of_hints_about_live_nodes_with_forged_answers_evicts_nobody() {
    let mut lab = settled(20);
    let mut tid = 0_u16;
    for round in 0..2_000_u32 {
        let victim = peer(round % 20);
        // The hints seem to come from ever new hosts, so that no budget per host applies.
        lab.hint(neighbour([60, (round / 250) as u8, 0], (round % 250) as u16), victim);
        if let Some(sent) = lab.sent.last().filter(|sent| sent.checks()) {
            // An attacker that sees the request knows its transaction id, but answers from a wrong address.
            let seen = sent.request().tid;
            forge(&mut lab, peer(500), seen, CLIENT);
        }
        tid = tid.wrapping_add(7919);
        forge(&mut lab, victim, tid, SERVER);
        lab.run_for(Duration::from_millis(37));
    }
    assert_eq!(lab.node.table_len(), 20);
    let drops = lab.node.stats().drops;
    assert!(drops.unsolicited > 3_000, "{drops:?}");
    assert!(drops.wrong_source > 0, "{drops:?}");
    assert_eq!(lab.node.stats().requests.timeouts, 0);
}

#[test]
fn a_hint_goes_to_those_who_named_the_dead_one_and_if_they_are_gone_so_are_they() {
    let mut lab = hinting();
    lab.run_for(4 * SECOND - MOMENT);
    assert_eq!(lab.asked(DOWN_HINT), [peer(1); 4]);
    assert!(lab.knows(peer(1)));
    lab.run_for(MOMENT);
    assert!(!lab.knows(peer(1)));
}

/// A node that is just sending a hint to peer 1, which named a dead node, and does not answer any more.
fn hinting() -> Lab {
    // With so few nodes a query waits for the last try.
    let mut lab = settled(10);
    lab.peer(peer(1)).closer.push(peer(40));
    lab.peer(peer(1)).closer.rotate_right(1);
    let query = Query::find_node(Id::of(peer(40))).nodes([peer(1)]).thorough().discard_replies();
    lab.query(query);
    lab.run_for(SECOND / 2);
    lab.peer(peer(1)).up = false;
    let start: Instant = lab.now;
    lab.run_until(|lab| !lab.asked(DOWN_HINT).is_empty());
    assert_eq!(lab.asked(DOWN_HINT), [peer(1)]);
    assert!(lab.now.saturating_since(start) > 3 * SECOND, "after the last try");
    let hint = lab.sent.iter().find(|sent| sent.is(DOWN_HINT)).unwrap();
    assert_eq!(hint.request().value, Some(&wire::addr_bytes(peer(40))[..]));
    assert!(!lab.asked(FIND_NODE).is_empty());
    lab
}

#[test]
fn who_answers_something_else_than_the_hint_meanwhile_stays() {
    let mut lab = hinting();
    lab.run_for(SECOND / 2);
    lab.peer(peer(1)).up = true;
    let id = lab.request(Request::ping(peer(1)));
    assert!(lab.result(id).is_ok());
    lab.peer(peer(1)).up = false;
    lab.run_for(4 * SECOND);
    assert_eq!(lab.asked(DOWN_HINT), [peer(1); 4]);
    assert!(lab.knows(peer(1)));
}

#[test]
fn who_enters_by_an_answer_is_not_taken_out_for_what_it_was_asked_before() {
    let mut lab = settled(30);
    lab.add_peer(peer(77)).up = false;
    let query = Query::find_node(Id::of(peer(77))).thorough().discard_replies();
    let query = query.nodes([peer(77)]).only_closest_nodes();
    lab.query(query);
    lab.run_for(SECOND / 2);
    lab.peer(peer(77)).up = true;
    let id = lab.request(Request::ping(peer(77)));
    assert!(lab.result(id).is_ok());
    assert!(lab.knows(peer(77)));
    lab.peer(peer(77)).up = false;
    lab.run_for(7 * SECOND);
    assert_eq!(lab.asked(FIND_NODE), [peer(77); 6]);
    assert!(lab.knows(peer(77)));
}

#[test]
fn who_is_back_in_the_table_is_not_taken_out_for_what_it_was_asked_in_a_former_stay() {
    let mut lab = settled(30);
    lab.add_peer(peer(77));
    let enter = |lab: &mut Lab| {
        lab.peer(peer(77)).up = true;
        let id = lab.request(Request::ping(peer(77)));
        assert!(lab.result(id).is_ok());
        // If peer 77 was lost before, the node asks it one more question, FIND_NODE.
        lab.run_for(2 * LATENCY);
        assert!(lab.knows(peer(77)));
        lab.peer(peer(77)).up = false;
    };
    enter(&mut lab);
    lab.hint(peer(1), peer(77));
    lab.run_for(SECOND / 2);
    let query = Query::find_node(Id::of(peer(1))).thorough().discard_replies();
    let query = query.nodes([peer(77)]).only_closest_nodes();
    lab.query(query);
    lab.run_for(4 * SECOND);
    assert!(!lab.knows(peer(77)), "it did not answer after the hint");
    enter(&mut lab);
    lab.run_for(3 * SECOND);
    let visits = lab.sent.iter().filter(|sent| sent.is(FIND_NODE) && !sent.checks());
    assert_eq!(visits.map(|sent| sent.to).collect::<Vec<_>>(), [peer(77); 6]);
    assert!(lab.knows(peer(77)));
}

#[test]
fn a_query_with_one_try_says_little_so_its_silent_nodes_are_asked_on() {
    let one_try: [fn(Query) -> Query; 2] = [Query::force, |query| query.retries(0)];
    for one_try in one_try {
        for back in [false, true] {
            let mut lab = settled(30);
            lab.peer(peer(2)).up = false;
            let query = Query::find_node(Id::of(peer(2))).nodes([peer(2)]).only_closest_nodes();
            let query = one_try(query.thorough()).discard_replies();
            let id = lab.query(query);
            lab.run_for(SECOND);
            assert!(lab.node.take_outcome(id).is_some(), "over");
            lab.peer(peer(2)).up = back;
            lab.run_for(4 * SECOND);
            assert_eq!(lab.asked(FIND_NODE).len(), if back { 3 } else { 1 + 4 });
            assert_eq!(lab.knows(peer(2)), back);
        }
    }
}

#[test]
fn who_answers_something_else_than_the_query_meanwhile_stays() {
    let mut lab = settled(30);
    lab.peer(peer(2)).up = false;
    let query = Query::find_node(Id::of(peer(2))).thorough().discard_replies();
    let query = query.nodes([peer(2)]).only_closest_nodes();
    lab.query(query);
    lab.run_for(SECOND / 2);
    lab.peer(peer(2)).up = true;
    let id = lab.request(Request::ping(peer(2)));
    assert!(lab.result(id).is_ok());
    lab.peer(peer(2)).up = false;
    lab.run_for(7 * SECOND);
    assert_eq!(lab.asked(FIND_NODE), [peer(2); 6]);
    assert!(lab.knows(peer(2)));
}
