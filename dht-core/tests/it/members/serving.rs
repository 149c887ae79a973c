//! Black holes: nodes that answer PINGs, so that they enter tables, but no command that a table is for. A node
//! that leaves FIND_NODE unanswered does not count as live because it answers another command.

use std::time::Duration;

use dht_core::{Event, Id, Query, Request};

use crate::support::lab::{FIND_NODE, LATENCY, Lab, PING, PING_NAT, RTT, TICK, peer};

const SECOND: Duration = Duration::from_secs(1);

/// A node among `count` peers, of which peer 0 answers only PINGs and commands of the application.
fn beside_a_hole(count: u32) -> Lab {
    let mut lab = Lab::among(count);
    lab.peer(peer(0)).ignores = &[FIND_NODE];
    assert!(lab.knows(peer(0)));
    lab
}

fn find(lab: &mut Lab, query: Query) {
    lab.query(query.discard_replies());
}

#[test]
fn a_black_hole_is_out_once_a_query_has_met_it_whatever_else_it_answers() {
    for question in [Request::ping(peer(0)), Request::new(peer(0), 100)] {
        let mut lab = beside_a_hole(30);
        find(&mut lab, Query::find_node(Id::of(peer(0))));
        // Every half second the black hole answers another command.
        for _ in 0..24 {
            lab.run_for(SECOND / 2);
            let id = lab.request(question.clone());
            assert!(lab.result(id).is_ok());
        }
        assert!(!lab.knows(peer(0)), "{question:?}");
        assert_eq!(lab.node.table_len(), 29);
    }
}

#[test]
fn a_hint_about_a_black_hole_is_found_to_be_true() {
    let mut lab = beside_a_hole(5);
    lab.hint(peer(1), peer(0));
    lab.hint(peer(1), peer(2));
    assert_eq!(lab.asked(FIND_NODE), [0, 2].map(peer));
    lab.run_for(4 * SECOND);
    assert!(!lab.knows(peer(0)) && lab.knows(peer(2)));
}

#[test]
fn where_no_query_goes_every_second_keep_alive_of_a_node_asks_what_it_is_there_for() {
    let mut lab = beside_a_hole(5);
    // Peer 1 has answered FIND_NODE when the node joined, so its first check is a PING.
    let mut kinds = Vec::new();
    for _ in 0..60 {
        lab.sent.clear();
        lab.ticks(1);
        let to_it = |sent: &&crate::support::Sent| sent.to == peer(1) && sent.checks();
        kinds.extend(lab.sent.iter().filter(to_it).map(|sent| sent.is(PING)));
    }
    assert!(kinds.len() >= 3 && kinds[0], "{kinds:?}");
    assert!(!lab.knows(peer(0)));
    assert_eq!(lab.node.table_len(), 4);
}

#[test]
fn what_a_node_has_answered_counts_for_one_check() {
    let mut lab = beside_a_hole(25);
    lab.sent.clear();
    // All other peers are heard of, so every keep-alive checks peer 0; and no query has begun yet.
    for _ in 0..8 {
        for n in 1..25 {
            lab.request(Request::ping(peer(n)));
        }
        lab.ticks(2);
    }
    lab.run_for(4 * SECOND);
    let checks: Vec<_> =
        lab.sent.iter().filter(|sent| sent.to == peer(0) && sent.checks()).collect();
    // Peer 0 has answered FIND_NODE when the node joined, and leaves four tries unanswered now.
    assert_eq!(
        checks.iter().map(|sent| sent.is(PING)).collect::<Vec<_>>(),
        [true, false, false, false, false]
    );
    assert!(!lab.knows(peer(0)));
}

#[test]
fn a_black_hole_that_was_found_out_comes_back_by_answering_that_alone() {
    let mut lab = beside_a_hole(30);
    lab.hint(peer(1), peer(0));
    lab.run_for(5 * SECOND);
    assert!(!lab.knows(peer(0)));
    // For two hours the black hole introduces itself every minute, and the user pings it every ten minutes.
    for minute in 0..119 {
        lab.hear_with_id(peer(0), PING);
        if minute % 10 == 0 {
            lab.request(Request::ping(peer(0)));
        }
        for _ in 0..12 {
            lab.run_for(TICK);
            assert!(!lab.knows(peer(0)), "in minute {minute}");
        }
    }
    lab.peer(peer(0)).ignores = &[];
    lab.hear_with_id(peer(0), PING);
    lab.run_for(2 * LATENCY);
    assert!(lab.knows(peer(0)), "as soon as it answers");
}

#[test]
fn a_stranger_that_was_visited_in_vain_does_not_enter_by_a_ping() {
    let mut lab = Lab::among(10);
    lab.add_peer(peer(77)).ignores = &[FIND_NODE];
    lab.peer(peer(1)).closer.insert(0, peer(77));
    find(&mut lab, Query::find_node(Id::of(peer(77))).nodes([peer(1)]));
    lab.run_for(10 * SECOND);
    assert!(!lab.knows(peer(77)));
    let ping = |lab: &mut Lab| {
        lab.hear_with_id(peer(77), PING);
        lab.request(Request::ping(peer(77)));
        lab.run_for(2 * SECOND);
        lab.knows(peer(77))
    };
    assert!(!ping(&mut lab));
    // Its silence is forgotten after five minutes; then the next keep-alive asks FIND_NODE again.
    lab.run_for(301 * SECOND);
    assert!(ping(&mut lab));
    lab.sent.clear();
    lab.run_until(|lab| lab.asked(FIND_NODE).contains(&peer(77)));
    lab.run_for(5 * SECOND);
    assert!(!lab.knows(peer(77)));
}

#[test]
fn who_leaves_an_applications_command_unanswered_is_asked_what_every_node_answers() {
    for serves in [true, false] {
        let mut lab = Lab::among(30);
        lab.peer(peer(0)).ignores_commands = true;
        if !serves {
            lab.peer(peer(0)).ignores = &[FIND_NODE];
        }
        let query = Query::new(Id::of(peer(0)), 100).nodes([peer(0)]).only_closest_nodes();
        find(&mut lab, query.thorough());
        for _ in 0..150 {
            lab.run_for(SECOND / 10);
            assert!(lab.knows(peer(0)) || !serves, "that alone evicts nobody");
        }
        assert!(lab.asked(FIND_NODE).contains(&peer(0)));
        assert_eq!(lab.knows(peer(0)), serves);
        assert!(!lab.node.suspects(peer(0)) || !serves);
    }
}

#[test]
fn an_answer_to_what_was_left_unanswered_or_to_more_clears_a_node() {
    // (commands that the peer ignores, what it is asked then, whether the answer clears it)
    let cases: [(&'static [u64], Request, bool); 4] = [
        (&[PING], Request::new(peer(0), 100), true),
        (&[FIND_NODE], Request::ping(peer(0)), false),
        (&[FIND_NODE], Request::new(peer(0), 100), false),
        (&[FIND_NODE, PING_NAT], Request::ping(peer(0)), false),
    ];
    for (ignores, question, clears) in cases {
        let mut lab = Lab::among(5);
        lab.peer(peer(0)).ignores = ignores;
        if ignores[0] == FIND_NODE {
            lab.hint(peer(1), peer(0));
        }
        lab.run_until(|lab| lab.node.suspects(peer(0)));
        lab.hear_with_id(peer(1), PING);
        let order: Vec<_> = lab.node.nodes().collect();
        // Nor do requests from the peer put off its next check.
        lab.hear_with_id(peer(0), PING);
        assert_eq!(lab.node.nodes().collect::<Vec<_>>(), order);
        let id = lab.request(question);
        assert!(lab.result(id).is_ok());
        assert_eq!(lab.node.suspects(peer(0)), !clears, "{ignores:?}");
        assert_eq!(lab.node.nodes().next() == Some(peer(0)), clears);
        lab.run_for(5 * SECOND);
        assert_eq!(lab.knows(peer(0)), clears);
    }
}

#[test]
fn the_copy_of_an_answer_to_a_ping_says_no_more_than_the_answer() {
    let mut lab = Lab::among(15);
    lab.add_peer(peer(50)).ignores = &[FIND_NODE];
    // So slow that a PING to this peer is sent twice, and answered twice.
    lab.peer(peer(50)).rtt = RTT + Duration::from_millis(1_100);
    let all: Vec<_> = [50].into_iter().chain(0..15).map(peer).collect();
    (0..15).for_each(|n| lab.peer(peer(n)).closer = all.clone());
    let id = lab.query(Query::find_node(Id::of(peer(50))));
    lab.run_until(|lab| lab.events.contains(&Event::Finished(id)));
    lab.run_for(20 * SECOND);
    assert!(lab.node.suspects(peer(50)));
    for _ in 0..2 {
        let id = lab.request(Request::ping(peer(50)));
        lab.result(id).unwrap();
        lab.run_for(3 * SECOND);
        assert!(lab.node.suspects(peer(50)) && !lab.knows(peer(50)));
    }
}
