//! Commits: to which nodes, with which token, and what counts as success.

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Config, Node, Query, QueryError, Request, RequestError, SessionId, error_code};

use crate::support::lab::*;

fn query() -> Query {
    Query::new(target(1), 16).value(&b"v"[..]).nodes((0..8).map(addr))
}

/// Eight nodes, each with a token of its own.
fn eight() -> Lab {
    let mut lab = Lab::alone();
    for n in 0..8 {
        lab.peers.insert(addr(n), Peer { token: Some([n as u8; 32]), ..Peer::default() });
    }
    lab
}

/// The requests that left with a token.
fn commits(lab: &Lab) -> Vec<&Sent> {
    let is_commit = |sent: &&Sent| sent.as_request().is_some_and(|r| r.token.is_some());
    lab.sent.iter().filter(is_commit).collect()
}

#[test]
fn each_of_the_closest_gets_the_query_again_with_its_token() {
    let mut lab = eight();
    let outcome = lab.walk(query().commit()).1.unwrap();
    let commit = outcome.commit.unwrap();
    assert_eq!((commit.succeeded, commit.refused, commit.timed_out), (8, 0, 0));
    assert_eq!(commits(&lab).len(), 8);
    for sent in commits(&lab) {
        let n = (0..8).find(|n| addr(*n) == sent.to).unwrap();
        let request = sent.request();
        assert_eq!(request.token, Some(&[n as u8; 32]));
        assert_eq!((request.command, request.internal), (16, false));
        assert_eq!((request.target, request.value), (Some(target(1).as_bytes()), Some(&b"v"[..])));
    }
    // Answers to commits are no replies to the query.
    assert_eq!(outcome.closest.len(), 8);
}

#[test]
fn only_the_twenty_closest_are_committed_to() {
    let mut lab = Lab::alone();
    let nodes = by_distance(&target(1), 40);
    lab.peers.extend(nodes.iter().map(|addr| (*addr, Peer::default())));
    let far_first: Vec<_> = nodes.iter().rev().copied().collect();
    lab.walk(Query::new(target(1), 16).nodes(far_first).commit()).1.unwrap();
    let to: BTreeSet<_> = commits(&lab).iter().map(|sent| sent.to).collect();
    assert_eq!(to, nodes[..20].iter().copied().collect());
}

#[test]
fn what_became_of_each_is_counted() {
    let mut lab = eight();
    let mut peer = |n, change: fn(&mut Peer)| change(lab.peers.get_mut(&addr(n)).unwrap());
    peer(0, |peer| peer.commits = vec![(17, None)]);
    peer(1, |peer| peer.token = None);
    peer(2, |peer| peer.ignores_commits = true);
    peer(3, |peer| peer.ignores_commits = true);
    let commit = lab.walk(query().commit()).1.unwrap().commit.unwrap();
    assert_eq!((commit.succeeded, commit.timed_out), (4, 2));
    assert_eq!((commit.refused, commit.refusal, commit.without_token), (1, Some(17), 1));
}

#[test]
fn a_commit_is_tried_four_times() {
    let mut lab = eight();
    lab.peers.values_mut().for_each(|peer| peer.ignores_commits = true);
    let start = lab.now;
    let failed = lab.walk(query().commit()).1;
    assert!(matches!(failed, Err(QueryError::Commit(commit)) if commit.timed_out == 8));
    assert_eq!(ms_since(start, lab.now), 4_020);
    assert_eq!(commits(&lab).len(), 32);
    for n in 0..8 {
        let to_it: Vec<_> = commits(&lab).into_iter().filter(|s| s.to == addr(n)).collect();
        assert!(to_it.iter().all(|sent| sent.bytes == to_it[0].bytes));
    }
}

#[test]
fn a_stale_token_is_renewed_once() {
    let stale = error_code::INVALID_TOKEN;
    // (answers to commits, datagrams, succeeded, refused)
    for (answers, sent, succeeded, refused) in [
        (vec![(stale, Some([99; 32])), (0, None)], 2, 1, 0),
        (vec![(stale, Some([99; 32])), (stale, Some([98; 32])), (0, None)], 2, 0, 1),
        (vec![(stale, None), (0, None)], 1, 0, 1),
        (vec![(17, Some([99; 32])), (0, None)], 1, 0, 1),
        (vec![(0, Some([99; 32])), (17, None)], 1, 1, 0),
    ] {
        let mut lab = eight();
        lab.peers.get_mut(&addr(3)).unwrap().commits = answers.clone();
        let commit = lab.walk(query().commit()).1.unwrap().commit.unwrap();
        assert_eq!((commit.succeeded, commit.refused), (7 + succeeded, refused), "{answers:?}");
        let tokens: Vec<_> = commits(&lab)
            .iter()
            .filter(|sent| sent.to == addr(3))
            .map(|sent| sent.request().token.unwrap()[0])
            .collect();
        assert_eq!(tokens, [3, 99][..sent]);
    }
}

/// The answer to a commit may make the node ask another node at once: here a node of a full bucket, whose place the
/// sender of the answer could take.
#[test]
fn a_commit_that_is_repeated_keeps_its_place() {
    let mut config = Config::default();
    (config.ephemeral, config.max_requests) = (Some(true), 1);
    config.max_background_requests = 10;
    let mut lab = Lab::started(config);
    let far = far_half(lab.node.table_id(), 30);
    let (known, new) = far.split_at(20);
    known.iter().for_each(|addr| lab.add_node(*addr));
    for addr in new {
        lab.peers.insert(*addr, Peer { ignores_commits: true, ..Peer::default() });
    }
    let stale = vec![(error_code::INVALID_TOKEN, Some([99; 32])), (0, None)];
    *lab.peer(new[4]) = Peer { commits: stale, ..Peer::default() };
    let query = Query::new(target(1), 16).nodes(new.iter().copied()).only_closest_nodes();
    let query = lab.query(query.commit());
    lab.run_until(|lab| commits(lab).len() == 10);
    // No place is free, not even the user's; and the nodes of the table have not been heard of for long.
    lab.request(Request::ping(addr(0)));
    lab.call(Node::handle_wakeup);
    lab.run_ms(10_000);
    let commit = lab.node.take_outcome(query).unwrap().unwrap().commit.unwrap();
    assert_eq!((commit.succeeded, commit.refused, commit.timed_out), (1, 0, 9));
}

/// What SECURITY.md says of commits.
#[test]
fn nobody_can_drag_out_a_commit() {
    let mut lab = eight();
    let stale = vec![(error_code::INVALID_TOKEN, Some([99; 32])); 16];
    (0..8).for_each(|n| lab.peers.get_mut(&addr(n)).unwrap().commits = stale.clone());
    // The walk is quick, and every commit is answered just in time.
    let mut answers = 0;
    lab.fate(move |latency| {
        answers += 1;
        vec![if answers <= 8 { latency } else { Duration::from_millis(3_990) }]
    });
    let start = lab.now;
    let failed = lab.walk(query().commit()).1;
    assert!(matches!(failed, Err(QueryError::Commit(commit)) if commit.refused == 8), "{failed:?}");
    assert_eq!(ms_since(start, lab.now), 2 * 3_990 + 20);
}

#[test]
fn a_commit_that_nobody_takes_has_failed() {
    let mut lab = eight();
    let refusing = vec![(20, None)];
    (0..8).for_each(|n| lab.peers.get_mut(&addr(n)).unwrap().commits = refusing.clone());
    let (replies, failed) = lab.walk(query().commit());
    let Err(QueryError::Commit(commit)) = failed else { panic!("{failed:?}") };
    assert_eq!((commit.succeeded, commit.refused, commit.refusal), (0, 8, Some(20)));
    assert_eq!(replies.len(), 8, "the answers are there all the same");

    let mut lab = eight();
    (0..8).for_each(|n| lab.peers.get_mut(&addr(n)).unwrap().token = None);
    let failed = lab.walk(query().commit()).1;
    assert!(matches!(failed, Err(QueryError::Commit(commit)) if commit.without_token == 8));
    assert_eq!(commits(&lab).len(), 0);
}

#[test]
fn too_few_nodes_comes_with_numbers() {
    let mut lab = Lab::alone();
    // Two nodes without an id, a node that refuses, five dead nodes.
    let anonymous = Peer { has_id: false, ..Peer::default() };
    lab.peers.extend([0, 1].map(|n| (addr(n), anonymous.clone())));
    lab.peers.insert(addr(2), Peer { error: 16, ..Peer::default() });
    for query in [query().commit(), query().commit().thorough(), query().commit().retries(0)] {
        let few = QueryError::TooFewNodes {
            asked: 8,
            answered: 3,
            without_id: 2,
            refused: 1,
            refusal: Some(16),
            timed_out: 5,
        };
        assert_eq!(lab.walk(query).1, Err(few));
        let said = "too few nodes responded (asked 8, answered 3, 2 of these without an id, \
                    1 with an error code (the last: 16), timed out 5)";
        assert_eq!(few.to_string(), said);
    }
    let nobody = unanswered(0);
    assert_eq!(Lab::alone().walk(Query::new(target(1), 16).commit()).1, Err(nobody));
    assert_eq!(
        nobody.to_string(),
        "too few nodes responded (asked 0, answered 0, 0 of these without an id, \
         0 with an error code, timed out 0)"
    );
}

#[test]
fn a_command_that_no_node_knows_is_told() {
    let mut lab = eight();
    (0..8).for_each(|n| lab.peers.get_mut(&addr(n)).unwrap().error = 1);
    // The numbers of one query do not count for the next query, which takes its memory.
    for _ in 0..2 {
        let failed = lab.walk(query().commit()).1.unwrap_err();
        assert!(failed.to_string().contains("8 with an error code (the last: 1, unknown command)"));
    }
}

#[test]
fn a_commit_can_be_made_by_hand() {
    let mut lab = eight();
    let outcome = lab.walk(query()).1.unwrap();
    assert_eq!((outcome.commit, commits(&lab).len()), (None, 0));
    let session = SessionId(1);
    let requests = outcome.closest.iter().map(|reply| {
        Request::new(reply.from.addr, 17).token(reply.token.unwrap()).session(session)
    });
    let ids = lab.requests(requests);
    assert!(ids.into_iter().all(|id| lab.result(id).is_ok()));
    assert_eq!(commits(&lab).len(), 8);
}

#[test]
fn commits_are_cancelled_with_their_query_and_with_its_session() {
    let session = SessionId(3);
    let ways: [fn(&mut Lab, dht_core::QueryId); 4] = [
        |lab, id| lab.node.cancel_query(lab.now, id),
        |lab, _| lab.node.end_session(lab.now, SessionId(3)),
        |lab, _| lab.node.suspend(lab.now),
        |lab, id| lab.node.finish_query(lab.now, id),
    ];
    let destroyed = QueryError::Cancelled(RequestError::Destroyed);
    let suspended = QueryError::Cancelled(RequestError::Suspended);
    let outcomes = [None, Some(Err(destroyed)), Some(Err(suspended))];
    for (n, way) in ways.into_iter().enumerate() {
        let mut lab = eight();
        let id = lab.query(query().commit().session(session));
        lab.run_until(|lab| !commits(lab).is_empty());
        lab.sent.clear();
        way(&mut lab, id);
        let stats = lab.stats();
        assert_eq!((stats.requests.active, stats.queries.active), (0, 0));
        assert_eq!(stats.requests.cancelled, 8);
        let outcome = lab.node.take_outcome(id);
        match outcomes.get(n) {
            Some(expected) => assert_eq!(outcome, *expected),
            None => assert_eq!(outcome.unwrap().unwrap().closest.len(), 8),
        }
        lab.run_ms(4_000);
        assert_eq!(lab.sent, []);
    }
}

#[test]
fn a_commit_that_some_have_taken_is_no_failure_when_it_is_cut_short() {
    let ways: [fn(&mut Lab, dht_core::QueryId); 4] = [
        |lab, _| lab.node.suspend(lab.now),
        |lab, _| lab.node.close(lab.now),
        |lab, _| lab.node.end_session(lab.now, SessionId(3)),
        |lab, id| lab.node.finish_query(lab.now, id),
    ];
    for way in ways {
        let mut lab = eight();
        for n in 0..3 {
            lab.peers.get_mut(&addr(n)).unwrap().ignores_commits = true;
        }
        let id = lab.query(query().commit().session(SessionId(3)));
        lab.run_until(|lab| !commits(lab).is_empty());
        lab.run_ms(500);
        way(&mut lab, id);
        let commit = lab.node.take_outcome(id).unwrap().unwrap().commit.unwrap();
        assert_eq!((commit.succeeded, commit.timed_out), (5, 0));
    }
}
