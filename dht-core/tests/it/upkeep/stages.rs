//! Suspended, resumed, closed: what becomes of the work under way.

use std::time::Duration;

use dht_core::{
    Answer, Config, Event, Id, Node, Query, QueryError, QueryId, Request, RequestError, SendError,
    Via,
};

use crate::support::lab::{
    CLIENT, FIND_NODE, Lab, PING, SERVER, asks, far_half, joining, peer, unanswered,
};

const SECOND: Duration = Duration::from_secs(1);
const USERS: u64 = 100;

fn user(command: u64) -> dht_core::wire::Request<'static> {
    dht_core::wire::Request { internal: false, ..asks(command) }
}

/// A node among `count` peers, the first half of which are silent.
fn among_silent_ones(count: u32) -> Lab {
    let mut lab = Lab::among(count);
    for n in 0..count / 2 {
        lab.peer(peer(n)).up = false;
    }
    lab
}

fn walk(lab: &mut Lab, query: Query) -> QueryId {
    lab.query(query)
}

#[test]
fn suspending_fails_what_is_in_flight_and_refuses_what_is_new() {
    let mut lab = Lab::among(3);
    let sent = lab.request(Request::ping(peer(99)));
    lab.run_for(SECOND / 2);
    lab.call(Node::suspend);
    assert_eq!(lab.events, [Event::Response(sent), Event::Suspended]);
    assert_eq!(lab.node.take_response(sent), Some(Err(RequestError::Suspended)));
    assert!(lab.node.suspended());
    let now = lab.now;
    assert_eq!(lab.node.request(now, Request::ping(peer(1))), Err(SendError::Suspended));
    let query = Query::find_node(Id([0; 32]));
    assert_eq!(lab.node.query(now, query).err(), Some(SendError::Suspended));
    assert_eq!(lab.node.stats().requests.cancelled, 1);
}

#[test]
fn while_suspended_nothing_happens() {
    let mut lab = Lab::among(3);
    let user_request = user(USERS);
    lab.answer = Some(Answer::empty());
    lab.hear(peer(1), &user_request);
    lab.hear(peer(1), &dht_core::wire::Request { value: Some(&[1, 2, 0, 0]), ..asks(4) });
    lab.call(Node::suspend);
    lab.sent.clear();
    let (before, known) = (lab.node.stats(), lab.node.table_len());
    assert_eq!(lab.node.poll_timeout(), None);
    lab.hear(peer(1), &user_request);
    lab.hear_with_id(peer(50), PING);
    lab.run_for(Duration::from_secs(3600));
    lab.call(Node::handle_timeout);
    lab.call(|node, now| node.maintain(now, false));
    lab.call(Node::refresh);
    lab.call(Node::handle_network_change);
    lab.call(Node::suspend);
    assert_eq!(lab.sent, [], "not even the delayed answer");
    assert_eq!(lab.events, [Event::Suspended]);
    assert_eq!(lab.node.table_len(), known);
    assert_eq!(lab.node.stats().drops.suspended, before.drops.suspended + 2);
}

#[test]
fn a_node_can_be_added_while_suspended_and_is_silent_about_it() {
    // The buckets of the far nodes are full, or will be.
    let mut lab = Lab::among(60);
    lab.call(Node::suspend);
    lab.sent.clear();
    let known = lab.node.table_len();
    for n in 100..400 {
        lab.call(|node, now| node.add_node(now, peer(n)).unwrap());
    }
    assert!(lab.node.table_len() > known);
    lab.run_for(SECOND);
    assert_eq!(lab.sent, []);
}

#[test]
fn a_query_ends_with_what_it_has_and_a_commit_is_cancelled() {
    let mut lab = among_silent_ones(30);
    let plain = walk(&mut lab, Query::find_node(Id([7; 32])).discard_replies());
    let commit = walk(&mut lab, Query::new(Id([7; 32]), USERS).commit().discard_replies());
    // Before the walks give any node up.
    lab.run_for(SECOND / 10);
    lab.call(Node::suspend);
    let outcome = lab.node.take_outcome(plain).unwrap().unwrap();
    assert!(outcome.successes > 0 && !outcome.closest.is_empty());
    assert_eq!(outcome.timed_out, 0);
    let cancelled = QueryError::Cancelled(RequestError::Suspended);
    assert_eq!(lab.node.take_outcome(commit), Some(Err(cancelled)));
    // The queries end before the node is told to be suspended.
    assert_eq!(lab.events.last(), Some(&Event::Suspended));
    assert_eq!(lab.node.stats().queries.active, 0);
}

#[test]
fn what_was_under_way_counts_as_failed_in_a_query_that_is_ended() {
    let mut lab = Lab::among(0);
    let nodes = [peer(200), peer(201)];
    let ask = |query: Query| query.nodes(nodes).only_closest_nodes().discard_replies();
    let plain = walk(&mut lab, ask(Query::find_node(Id([7; 32]))));
    let commit = walk(&mut lab, ask(Query::new(Id([7; 32]), USERS).commit()));
    lab.run_for(SECOND / 2);
    lab.call(Node::suspend);
    let outcome = lab.node.take_outcome(plain).unwrap().unwrap();
    assert_eq!((outcome.asked, outcome.successes, outcome.errors), (2, 0, 2));
    // Nor is there a node to commit to.
    let nobody = unanswered(2);
    assert_eq!(lab.node.take_outcome(commit), Some(Err(nobody)));
}

fn suspend_and_resume(lab: &mut Lab) {
    lab.call(Node::suspend);
    lab.call(Node::resume);
    lab.bind();
    lab.sent.clear();
}

#[test]
fn what_was_under_way_takes_no_places_afterwards() {
    let mut lab = Lab::among(20);
    // Verifications, a delayed answer, and as many checks of hints as there may be.
    let strangers = || (100..116).map(peer);
    strangers().for_each(|addr| drop(lab.hear_with_id(addr, PING)));
    lab.hear(peer(1), &dht_core::wire::Request { value: Some(&[1, 2, 0, 0]), ..asks(4) });
    (0..10).for_each(|n| lab.hint(peer(200 + n), peer(n)));
    suspend_and_resume(&mut lab);
    lab.run_for(SECOND);
    assert!(
        lab.sent.iter().all(|sent| sent.as_response().is_none()),
        "nobody waits for it any more"
    );
    lab.sent.clear();
    strangers().for_each(|addr| drop(lab.hear_with_id(addr, PING)));
    assert_eq!(lab.checked(), strangers().collect::<Vec<_>>());
    lab.sent.clear();
    (10..20).for_each(|n| lab.hint(peer(200 + n), peer(n)));
    assert_eq!(lab.checked(), (10..20).map(peer).collect::<Vec<_>>());
}

#[test]
fn nor_do_challenges() {
    let mut config = Config::default();
    config.ephemeral = Some(true);
    let mut lab = Lab::started(config);
    let far = far_half(lab.node.table_id(), 26);
    for addr in &far[..20] {
        lab.add_peer(*addr);
        lab.call(|node, now| node.add_node(now, *addr).unwrap());
    }
    // All nodes look old, as after the resumption.
    lab.call(Node::handle_wakeup);
    for newcomers in [&far[20..23], &far[23..]] {
        lab.sent.clear();
        for addr in newcomers {
            lab.hear_with_id(*addr, PING);
        }
        assert_eq!(lab.checked().len(), 3, "each has another one asked");
        suspend_and_resume(&mut lab);
    }
}

#[test]
fn suspension_and_cancellation_evict_nobody() {
    let mut lab = among_silent_ones(20);
    let known = lab.node.table_len();
    let query = walk(&mut lab, Query::find_node(Id::of(peer(1))).discard_replies());
    lab.run_for(SECOND / 10);
    assert!(lab.node.stats().requests.active > 0);
    lab.call(|node, now| node.cancel_query(now, query));
    lab.run_for(3 * SECOND);
    walk(&mut lab, Query::find_node(Id::of(peer(1))).discard_replies());
    // Keep-alive pings are in flight as well.
    lab.ticks(8);
    lab.run_until(|lab| !lab.checked().is_empty());
    lab.sent.clear();
    let before = lab.node.table_len();
    lab.call(Node::suspend);
    assert_eq!(lab.node.table_len(), before);
    lab.call(Node::resume);
    assert_eq!(lab.node.table_len(), before);
    assert!(before <= known);
    assert_eq!(lab.node.stats().requests.active, 0);
}

#[test]
fn a_cancelled_query_leaves_those_where_they_are_that_were_not_late_yet() {
    for (after, late) in [(SECOND / 20, false), (SECOND / 2, true)] {
        let mut lab = among_silent_ones(20);
        let known = lab.node.table_len();
        let query = walk(&mut lab, Query::find_node(Id::of(peer(1))).discard_replies());
        lab.run_for(after);
        lab.call(|node, now| node.cancel_query(now, query));
        assert_eq!(lab.node.stats().requests.active > 0, late);
        lab.run_for(10 * SECOND);
        assert_eq!(lab.node.table_len() < known, late, "late visits go on");
        assert_eq!(lab.node.stats().requests.timeouts > 0, late);
    }
}

#[test]
fn resuming_is_waking_up_then_rebinding_then_refreshing() {
    let mut lab = Lab::among(5);
    lab.call(Node::suspend);
    lab.run_for(Duration::from_secs(3600));
    lab.call(Node::resume);
    assert_eq!(lab.events, [Event::Suspended, Event::WakeUp]);
    assert!(!lab.node.suspended());
    // A request made before the bind is held.
    let id = lab.request(Request::ping(peer(1)));
    lab.run_for(20 * SECOND);
    assert_eq!(lab.sent, []);
    lab.bind();
    assert_eq!(lab.events, [Event::Suspended, Event::WakeUp, Event::Resumed]);
    assert!(!lab.asked(FIND_NODE).is_empty(), "a refresh");
    assert!(lab.result(id).is_ok());
    lab.ticks(4);
    assert_eq!(lab.times(Event::WakeUp), 1, "that was no second sleep");
}

#[test]
fn resuming_at_other_ports_is_noticed() {
    let mut lab = Lab::among(5);
    lab.call(Node::suspend);
    lab.call(Node::resume);
    let (mut client, mut server) = (CLIENT, SERVER);
    client.set_port(1001);
    server.set_port(2001);
    lab.call(|node, now| node.handle_bound(now, client, server));
    assert_eq!(lab.node.client_addr(), Some(client));
    assert_eq!(lab.node.server_addr(), Some(server));
}

#[test]
fn suspended_in_the_middle_of_the_bootstrap_it_begins_anew() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    lab.add_peer(peer(0)).up = false;
    lab.bind();
    lab.run_for(SECOND / 2);
    lab.call(Node::suspend);
    assert!(!lab.node.bootstrapped());
    lab.peer(peer(0)).up = true;
    lab.call(Node::resume);
    lab.bind();
    lab.run_for(SECOND);
    assert!(lab.node.bootstrapped() && lab.knows(peer(0)));
    let events = [Event::Listening, Event::Suspended, Event::WakeUp, Event::Resumed, Event::Ready];
    lab.events.retain(|event| !matches!(event, Event::NatUpdate { .. } | Event::Online));
    assert_eq!(lab.events, events);
}

#[test]
fn suspended_before_it_was_bound_it_is_told_of_as_usual() {
    let mut lab = Lab::unbound(Config::default());
    lab.call(Node::suspend);
    lab.bind();
    assert_eq!(lab.events, [Event::Suspended], "sockets are for later");
    lab.call(Node::resume);
    lab.bind();
    let events = [Event::Suspended, Event::WakeUp, Event::Listening, Event::Resumed, Event::Ready];
    assert_eq!(lab.events, events);
}

#[test]
fn a_silent_bootstrap_is_tried_again_after_a_suspension_too() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::unbound(config);
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    lab.call(Node::suspend);
    lab.add_peer(peer(0));
    lab.call(Node::resume);
    lab.bind();
    lab.run_for(SECOND);
    assert!(!lab.node.ephemeral(), "persistent, as was asked for");
}

#[test]
fn closing_ends_everything_and_says_so_once() {
    let mut lab = among_silent_ones(40);
    let request = lab.request(Request::ping(peer(99)));
    // One query has asked all nodes that it could, the other one is in the middle of its walk.
    let asked = Query::find_node(Id([7; 32])).nodes([peer(1)]).only_closest_nodes();
    let asked = walk(&mut lab, asked.discard_replies());
    let walking = walk(&mut lab, Query::find_node(Id([7; 32])).discard_replies());
    let commit = Query::new(Id([7; 32]), USERS).nodes([peer(1)]).only_closest_nodes().commit();
    let commit = walk(&mut lab, commit.discard_replies());
    lab.call(Node::close);
    assert_eq!(lab.node.take_response(request), Some(Err(RequestError::Destroyed)));
    assert!(matches!(lab.node.take_outcome(asked), Some(Ok(_))));
    assert_eq!(lab.node.take_outcome(walking), Some(Err(QueryError::NodeDestroyed)));
    let nobody = unanswered(1);
    assert_eq!(lab.node.take_outcome(commit), Some(Err(nobody)));
    assert_eq!(lab.events.last(), Some(&Event::Closed));
    lab.call(Node::close);
    assert_eq!(lab.times(Event::Closed), 1);
    assert!(lab.node.closed());
    let requests = lab.node.stats().requests;
    let ended = requests.responses + requests.timeouts + requests.cancelled;
    assert_eq!((requests.active, requests.total), (0, ended));
}

#[test]
fn answers_given_before_the_end_are_still_sent() {
    let mut lab = Lab::among(3);
    let mut buf = [0; dht_core::DATAGRAM_MAX];
    let len = user(USERS).encode(&mut buf).unwrap();
    let now = lab.now;
    let handled = lab.node.handle_datagram(now, Via::Server, peer(1), &buf[..len]);
    let dht_core::Handled::Request(incoming) = handled else { panic!("a request") };
    lab.node.request(now, Request::ping(peer(2))).unwrap();
    lab.node.reply(now, incoming.reply_to, Answer::value("bye")).unwrap();
    lab.node.close(now);
    assert_eq!(lab.node.reply(now, incoming.reply_to, Answer::empty()), Err(SendError::Closed));
    lab.flush();
    assert_eq!(lab.sent.len(), 1, "but no request leaves");
    assert_eq!(lab.sent[0].response().value, Some(&b"bye"[..]));
}

#[test]
fn once_closed_nothing_does_anything() {
    let mut lab = Lab::among(3);
    lab.call(Node::close);
    lab.sent.clear();
    lab.events.clear();
    let known = lab.node.table_len();
    let now = lab.now;
    assert_eq!(lab.node.request(now, Request::ping(peer(1))), Err(SendError::Closed));
    assert_eq!(lab.node.query(now, Query::find_node(Id([0; 32]))).err(), Some(SendError::Closed));
    lab.bind();
    lab.hear_with_id(peer(50), PING);
    lab.call(|node, now| node.add_node(now, peer(60)).unwrap());
    lab.call(Node::refresh);
    lab.call(Node::suspend);
    lab.call(Node::resume);
    lab.bind();
    lab.call(Node::handle_wakeup);
    lab.call(Node::handle_network_change);
    lab.call(|node, now| node.maintain(now, false));
    lab.run_for(Duration::from_secs(3600));
    lab.call(Node::handle_timeout);
    assert_eq!((lab.sent.len(), lab.events.len()), (0, 0));
    assert_eq!((lab.node.table_len(), lab.node.poll_timeout()), (known, None));
    assert!(lab.node.closed() && !lab.node.suspended());
}

#[test]
fn a_node_that_is_suspended_or_not_bound_can_be_closed() {
    let mut unbound = Lab::unbound(Config::default());
    let held = unbound.request(Request::ping(peer(1)));
    unbound.call(Node::close);
    assert_eq!(unbound.node.take_response(held), Some(Err(RequestError::Destroyed)));
    assert_eq!(unbound.events.last(), Some(&Event::Closed));
    let mut suspended = Lab::among(2);
    suspended.call(Node::suspend);
    suspended.call(Node::close);
    assert_eq!(suspended.events, [Event::Suspended, Event::Closed]);
}
