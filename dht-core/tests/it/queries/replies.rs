//! What a query tells on its way: the mailbox, which pauses the query while it is full, the order
//! of events, and the hints about dead nodes.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::wire::addr_from_bytes;
use dht_core::{Config, DATAGRAM_MAX, Event, Query, QueryId, SessionId};

use crate::support::lab::*;

fn query() -> Query {
    Query::new(target(1), 16)
}

/// A query among `count` nodes without ids, so that it visits all of them.
fn wide(count: u32) -> (Lab, Query) {
    let mut lab = Lab::alone();
    for n in 0..count {
        // The first ten nodes name all other nodes.
        let known = if n < 10 { 10 + n * 20..(30 + n * 20).min(count) } else { 0..0 };
        let anonymous = Peer { has_id: false, ..Peer::naming(known.map(addr)) };
        lab.peers.insert(addr(n), anonymous);
    }
    (lab, query().nodes((0..10).map(addr)).concurrency(100))
}

#[test]
fn a_query_pauses_while_64_replies_wait() {
    let (mut lab, wide) = wide(100);
    let id = lab.query(wide);
    lab.run_for(RTT);
    assert_eq!(lab.asked(16).len(), 64, "those that may come count too");
    lab.run_ms(4_000);
    assert_eq!(lab.asked(16).len(), 64);
    assert_eq!(lab.node.take_outcome(id), None);
    for read in 1..=10 {
        assert!(lab.node.next_reply(id).is_some());
        lab.flush();
        assert_eq!(lab.asked(16).len(), 64 + read, "each that is read makes room for one");
    }
    let mut read = 10;
    lab.run_until(|lab| {
        while lab.node.next_reply(id).is_some() {
            read += 1;
        }
        lab.flush();
        read == 100
    });
    assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().successes, 100);
}

#[test]
fn nobody_waits_for_replies_that_nobody_wants() {
    let (mut lab, wide_query) = wide(100);
    let id = lab.query(wide_query.discard_replies());
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
    assert_eq!(lab.asked(16).len(), 100);
    assert!(!lab.events.contains(&Event::Reply(id)));

    let (mut lab, wide_query) = wide(100);
    let id = lab.query(wide_query);
    lab.run_ms(1_000);
    lab.node.discard_replies(id);
    lab.flush();
    assert_eq!(lab.node.next_reply(id), None);
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
    assert_eq!(lab.asked(16).len(), 100);
}

#[test]
fn replies_come_in_order_and_before_the_end() {
    let mut lab = Lab::alone();
    for n in 0..20 {
        let latency = Duration::from_millis(u64::from(100 - n));
        lab.peers.insert(addr(n), Peer { rtt: latency, ..Peer::default() });
    }
    let id = lab.query(query().nodes((0..20).map(addr)).concurrency(20));
    lab.events.clear();
    lab.run_ms(3_000);
    let mut expected = vec![Event::Reply(id); 20];
    expected.push(Event::Finished(id));
    lab.events.retain(|event| matches!(event, Event::Reply(_) | Event::Finished(_)));
    assert_eq!(lab.events, expected);
    let froms: Vec<_> =
        std::iter::from_fn(|| lab.node.next_reply(id)).map(|reply| reply.from.addr).collect();
    assert_eq!(froms, (0..20).rev().map(addr).collect::<Vec<_>>());
    assert!(lab.node.take_outcome(id).is_some(), "and wait until they are taken");
    assert_eq!((lab.node.take_outcome(id), lab.node.next_reply(id)), (None, None));
}

/// The hints that left: which node was told of which dead node.
fn hints(lab: &Lab) -> Vec<(SocketAddrV4, SocketAddrV4)> {
    let requests = lab.sent.iter().filter_map(|sent| Some((sent.to, sent.as_request()?)));
    let hints = requests.filter(|(_, r)| r.internal && r.command == DOWN_HINT);
    hints.filter_map(|(to, r)| Some((to, addr_from_bytes(r.value?.try_into().ok()?)))).collect()
}

/// Three nodes, two of which name a dead node.
fn with_a_dead_one(config: Config) -> (Lab, Query) {
    let mut lab = Lab::started(config);
    lab.peers.extend([1, 2].map(|n| (addr(n), Peer::naming([addr(9)]))));
    lab.peers.insert(addr(3), Peer::default());
    (lab, query().nodes([1, 2, 3].map(addr)).retries(3).thorough())
}

#[test]
fn all_who_named_a_dead_node_are_told() {
    let (mut lab, query) = with_a_dead_one(Config::default());
    let id = lab.query(query);
    lab.run_until(|lab| lab.node.take_outcome(id).is_some());
    let mut told = hints(&lab);
    told.sort();
    assert_eq!(told, [(addr(1), addr(9)), (addr(2), addr(9))]);
    assert_eq!(lab.stats().commands.down_hint.tx, 2);
    lab.run_ms(100);
    assert_eq!(lab.stats().commands.down_hint.rx, 2);
}

#[test]
fn who_names_it_after_its_death_is_told_at_once() {
    let (mut lab, query) = with_a_dead_one(Config::default());
    let latency = Duration::from_millis(900);
    // Node 3 names node 4, which is asked after the dead node has timed out.
    lab.peers.insert(addr(3), Peer { rtt: latency, ..Peer::naming([addr(4)]) });
    lab.peers.insert(addr(4), Peer { rtt: latency, ..Peer::naming([addr(9), addr(5)]) });
    lab.peers.insert(addr(5), Peer::default());
    lab.walk(query).1.unwrap();
    assert_eq!(hints(&lab).last(), Some(&(addr(4), addr(9))));
    assert!(lab.asked(16).contains(&addr(5)), "and what it says is read on");
}

#[test]
fn what_was_not_waited_for_is_reported_once_it_is_clear() {
    let (mut lab, _) = with_a_dead_one(Config::default());
    lab.walk(query().nodes([1, 2, 3].map(addr))).1.unwrap();
    assert_eq!(hints(&lab), []);
    let tries = |lab: &Lab| lab.sent.iter().filter(|sent| sent.to == addr(9)).count();
    lab.run_until(|lab| !hints(lab).is_empty());
    assert_eq!((tries(&lab), lab.stats().requests.timeouts), (6, 1), "two, then four of FIND_NODE");
    // The dead node comes back before that: no hint leaves.
    let (mut lab, _) = with_a_dead_one(Config::default());
    lab.walk(query().nodes([1, 2, 3].map(addr))).1.unwrap();
    lab.peers.insert(addr(9), Peer::default());
    lab.run_ms(10_000);
    assert_eq!(hints(&lab), []);
}

#[test]
fn hints_can_be_switched_off() {
    let mut config = Config::default();
    config.send_down_hints = false;
    let (mut lab, query) = with_a_dead_one(config);
    lab.walk(query).1.unwrap();
    assert_eq!(hints(&lab), []);
    // Nor does a hint leave about a node that only the user has named.
    let mut lab = Lab::alone();
    lab.walk(Query::new(target(1), 16).nodes([addr(1)]).thorough()).1.unwrap();
    assert_eq!(hints(&lab), []);
}

#[test]
fn so_many_hints_per_tick_and_no_more() {
    let limits =
        [(Some(0), 0), (Some(1), 1), (Some(50), 50), (Some(59), 59), (Some(60), 60), (None, 60)];
    for (limit, sent) in limits {
        let mut config = Config::default();
        config.down_hints_rate_limit = limit;
        let mut lab = Lab::started(config);
        // Three nodes name twenty dead ones.
        let dead: Vec<_> = (100..120).map(addr).collect();
        lab.peers.extend((0..3).map(|n| (addr(n), Peer::naming(dead.iter().copied()))));
        let three = query().nodes((0..3).map(addr)).retries(3).thorough().concurrency(30);
        lab.walk(three).1.unwrap();
        lab.run_ms(100);
        assert_eq!(hints(&lab).len(), sent, "{limit:?}");
        // The remaining hints follow in the next ticks.
        for ticks in 2..5 {
            lab.run_ms(5_000);
            assert_eq!(hints(&lab).len(), (ticks * sent).min(60), "{limit:?}");
        }
    }
}

/// A query that has just sent its hints, in a session, and is not over yet.
fn hinting() -> (Lab, QueryId) {
    let (mut lab, query) = with_a_dead_one(Config::default());
    // The hints are not answered, and one node is slow.
    lab.peers.insert(addr(3), Peer { rtt: Duration::from_millis(1_500), ..Peer::default() });
    let id = lab.query(query.session(SessionId(1)).retries(3).thorough().nodes([1, 2].map(addr)));
    lab.run_ms(500);
    [1, 2].map(addr).iter().for_each(|addr| drop(lab.peers.remove(addr)));
    lab.run_until(|lab| !hints(lab).is_empty());
    lab.sent.clear();
    (lab, id)
}

#[test]
fn hints_outlive_their_query_and_its_session() {
    let ends: [fn(&mut Lab, QueryId); 3] = [
        |_, _| (),
        |lab, id| lab.node.cancel_query(lab.now, id),
        |lab, _| lab.node.end_session(lab.now, SessionId(1)),
    ];
    for end in ends {
        let (mut lab, id) = hinting();
        end(&mut lab, id);
        lab.run_ms(3_500);
        assert_eq!(hints(&lab).len(), 6, "three more tries of both");
    }
}

/// Answers one datagram of a query, and loses the other datagrams. The events are not taken.
fn answer_one(lab: &mut Lab) {
    let mut buf = [0; DATAGRAM_MAX];
    let mut first = None;
    while let Some(transmit) = lab.node.poll_transmit(lab.now, &mut buf) {
        let tid = u16::from_le_bytes([buf[2], buf[3]]);
        first.get_or_insert((transmit.via, transmit.to, Forged::default().bytes(tid)));
    }
    let (via, from, answer) = first.unwrap();
    let _ = lab.node.handle_datagram(lab.now, via, from, &answer);
}

#[test]
fn a_reply_is_told_however_many_events_wait() {
    // For one of these numbers the stale notes are swept out just when the last note is made.
    for stale in 240..270 {
        let mut lab = Lab::alone();
        for _ in 0..stale {
            let id = lab.node.query(lab.now, query().nodes([addr(1)])).unwrap();
            answer_one(&mut lab);
            assert!(lab.node.next_reply(id).is_some());
            assert!(lab.node.take_outcome(id).is_some());
        }
        let id = lab.node.query(lab.now, query().nodes([addr(1), addr(2)])).unwrap();
        answer_one(&mut lab);
        lab.flush();
        assert!(lab.events.contains(&Event::Reply(id)), "after {stale} others");
    }
}

#[test]
fn who_names_a_dead_node_many_times_over_is_told_once() {
    let mut lab = Lab::alone();
    lab.peers.insert(addr(1), Peer::naming([addr(9); 20]));
    lab.walk(query().nodes([addr(1)]).retries(3).thorough().thorough()).1.unwrap();
    lab.run_ms(1_000);
    assert_eq!(hints(&lab), [(addr(1), addr(9))]);
}
