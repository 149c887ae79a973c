//! Datagrams that the system refuses to send: the caller gets the reason, and no other node suffers.

use std::time::Duration;

use dht_core::{
    Config, DATAGRAM_MAX, Event, Id, Node, Query, Request, RequestError, SavedNode, Unsent,
};

use crate::support::lab::{CLIENT, Lab, Peer, SERVER, joining, neighbour, peer};

const SECOND: Duration = Duration::from_secs(1);
const DENIED: RequestError = RequestError::Unsent(Unsent::Denied);

#[test]
fn a_request_fails_with_the_reason_after_all_its_tries() {
    let mut lab = Lab::alone();
    lab.refusal = Some(Unsent::Denied);
    let start = lab.now;
    let id = lab.request(Request::ping(peer(0)));
    assert_eq!(lab.result(id), Err(DENIED));
    assert_eq!(lab.now.saturating_since(start), 4 * SECOND);
    let stats = lab.node.stats().requests;
    assert_eq!((stats.unsent, stats.timeouts, stats.retries, stats.active), (1, 0, 3, 0));
    assert_eq!(DENIED.to_string(), "request not sent: the system does not permit it");
    assert_eq!(DENIED.code(), "REQUEST_TIMEOUT", "which is all that the reference knows of");
}

#[test]
fn one_try_that_was_refused_is_reason_enough_and_an_answer_to_another_is_none() {
    let mut lab = Lab::alone();
    for up in [false, true] {
        lab.refusal = Some(Unsent::Other);
        let id = lab.request(Request::ping(peer(0)));
        lab.refusal = None;
        lab.add_peer(peer(0)).up = up;
        let result = lab.result(id);
        assert_eq!(result.is_ok(), up);
        assert!(up || result == Err(RequestError::Unsent(Unsent::Other)));
    }
    // Nor does the refusal of an earlier request count.
    lab.peer(peer(0)).up = false;
    let id = lab.request(Request::ping(peer(0)));
    assert_eq!(lab.result(id), Err(RequestError::Timeout));
}

#[test]
fn telling_it_too_late_or_of_something_else_does_no_harm() {
    let mut lab = Lab::alone();
    let mut buf = [0; DATAGRAM_MAX];
    let ping = lab.node.request(lab.now, Request::ping(peer(0)).retries(0)).unwrap();
    let transmit = lab.node.poll_transmit(lab.now, &mut buf).unwrap();
    assert_eq!(lab.result(ping), Err(RequestError::Timeout));
    lab.node.handle_unsent(lab.now, &transmit, Unsent::Denied);
    // By now the place belongs to another request.
    let ping = lab.request(Request::ping(peer(0)).retries(0));
    lab.node.handle_unsent(lab.now, &transmit, Unsent::Denied);
    assert_eq!(lab.result(ping), Err(RequestError::Timeout));
    // No request waits for an answer that was refused.
    lab.refusal = Some(Unsent::Denied);
    lab.hear_with_id(peer(1), crate::support::lab::PING);
    lab.run_for(10 * SECOND);
    lab.node.check_invariants();
}

#[test]
fn nobody_loses_a_place_because_the_network_is_gone() {
    let mut lab = Lab::joined(joining(&[peer(0)]), 40);
    let known = lab.node.table_len();
    assert!(known > 20);
    let before = find(&mut lab);
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.events.clear();
    for n in 0..60 {
        let query = Query::find_node(Id([n; 32])).discard_replies();
        lab.query(query);
        lab.run_for(60 * SECOND);
    }
    assert_eq!(lab.node.table_len(), known);
    let stats = lab.node.stats().requests;
    assert!(stats.unsent > 1000 && stats.timeouts == 0, "{stats:?}");
    // Both measures show that the node is offline.
    assert!(!lab.node.health().online && !lab.node.online());
    assert_eq!(lab.node.health().unsent, Some(Unsent::NetworkUnreachable));
    assert_eq!((lab.times(Event::Offline), lab.times(Event::NetworkUpdate)), (1, 1));

    lab.refusal = None;
    assert_eq!(find(&mut lab), before, "nobody is suspected");
    assert_eq!(lab.node.health().unsent, None);
    assert!(lab.node.online());
}

#[test]
fn a_bootstrap_without_a_network_says_so_and_goes_on() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.bind();
    lab.run_for(8 * SECOND);
    let silent = |event: &Event| match event {
        Event::BootstrapSilent { asked, unsent, .. } => Some((*asked, *unsent)),
        _ => None,
    };
    let told: Vec<_> = lab.events.iter().filter_map(silent).collect();
    assert_eq!(told, [(1, Some(Unsent::NetworkUnreachable))]);
    // There is a network now, at first without the peer, then with it.
    lab.refusal = None;
    lab.run_for(60 * SECOND);
    assert!(!lab.node.online() && lab.times(Event::Online) == 0);
    lab.add_peer(peer(0));
    lab.run_for(320 * SECOND);
    assert!(lab.node.online() && lab.knows(peer(0)));
    assert_eq!(lab.times(Event::Online), 1);
}

#[test]
fn online_is_who_was_answered_lately() {
    let mut lab = Lab::alone();
    assert!(!lab.node.online() && lab.node.health().online, "the reference means it otherwise");
    let ping = |lab: &mut Lab, up: bool| {
        lab.peer(peer(0)).up = up;
        let ping = Request::ping(peer(0)).retries(0);
        let id = lab.request(ping);
        assert_eq!(lab.result(id).is_ok(), up);
        lab.ticks(1);
        lab.node.online()
    };
    lab.add_peer(peer(0)).has_id = false;
    assert!(!ping(&mut lab, false) && ping(&mut lab, true));
    // Offline is a minute without an answer, and four requests: neither is enough alone.
    lab.run_for(120 * SECOND);
    assert!((0..3).all(|_| ping(&mut lab, false)) && !ping(&mut lab, false));
    assert!(ping(&mut lab, true) && (0..8).all(|_| ping(&mut lab, false)));
    lab.run_for(30 * SECOND);
    assert!(!lab.node.online());
    assert_eq!((lab.times(Event::Online), lab.times(Event::Offline)), (2, 2));
    assert_eq!(lab.times(Event::NetworkUpdate), 0, "the reference calls that idle");

    // After a sleep or a suspension earlier answers count no more.
    assert!(ping(&mut lab, true));
    lab.sleep(3600 * SECOND);
    lab.run_for(SECOND);
    assert!(!lab.node.online() && ping(&mut lab, true));
    lab.call(|node, now| node.suspend(now));
    assert!(!lab.node.online());
    lab.call(|node, now| node.resume(now));
    lab.call(|node, now| node.handle_bound(now, CLIENT, SERVER));
    assert!(!lab.node.online() && ping(&mut lab, true));
    assert_eq!((lab.times(Event::Online), lab.times(Event::Offline)), (5, 2));
}

#[test]
fn who_answers_only_an_unsolicited_guess_is_no_contact() {
    let mut lab = Lab::started(Config::default());
    lab.hear_with_id(peer(0), crate::support::lab::PING);
    lab.run_for(10 * SECOND);
    assert!(!lab.node.online(), "asking is not answering");
}

/// How many nodes a query finds, asks and gives up, and how long the query takes.
fn find(lab: &mut Lab) -> (usize, u32, u32, Duration) {
    let query = Query::find_node(Id([1; 32]));
    let start = lab.now;
    let id = lab.query(query);
    lab.run_until(|lab| lab.events.contains(&Event::Finished(id)));
    let outcome = lab.node.take_outcome(id).unwrap().unwrap();
    (outcome.closest.len(), outcome.asked, outcome.timed_out, lab.now.saturating_since(start))
}

#[test]
fn the_first_answer_after_silence_is_counted_once() {
    // The bootstrap that the answer starts takes the only place for background queries.
    let mut config = Config::embedded();
    config.bootstrap = vec![peer(0).into()];
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0));
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    lab.run_for(Duration::from_millis(100));
    lab.refusal = None;
    lab.call(Node::refresh);
    lab.run_for(Duration::from_secs(1));
    let requests = lab.node.stats().requests;
    let ended = requests.responses + requests.timeouts + requests.unsent + requests.cancelled;
    assert_eq!(requests.total, requests.active + ended);
    assert!(lab.knows(peer(0)));
}

#[test]
fn where_places_are_scarce_nobody_is_suspected_for_what_was_not_sent() {
    let mut config = Config::embedded();
    (config.max_nodes, config.max_queries) = (64, 2);
    let mut lab = Lab::started(config);
    let saved = |n| SavedNode { addr: peer(n), pinged: Duration::ZERO, added: Duration::ZERO };
    let saved: Vec<_> = (0..40).map(saved).collect();
    lab.call(|node, now| node.import(now, &saved, Duration::ZERO));
    let query = || Query::find_node(Id([7; 32])).discard_replies();
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.query(query());
    lab.run_for(Duration::from_secs(12));
    assert!((0..40).all(|n| !lab.node.suspects(peer(n))));
}

/// A try that a limit holds back is no reason for suspicion either.
#[test]
fn nobody_in_a_silent_net_is_suspected_for_what_was_not_sent() {
    let mut lab = Lab::alone();
    let named: Vec<_> = (0..8).map(|n| neighbour([99, 9, 9], n)).collect();
    *lab.add_peer(peer(0)) = Peer::naming(named.iter().copied());
    lab.query(Query::find_node(Id([7; 32])).nodes([peer(0)]).discard_replies());
    lab.refusal = None;
    lab.run_for(Duration::from_millis(15));
    lab.refusal = Some(Unsent::NetworkUnreachable);
    lab.run_for(Duration::from_secs(12));
    assert!(lab.node.stats().withheld.requests > 0);
    assert!(named.iter().all(|addr| !lab.node.suspects(*addr)));
}
