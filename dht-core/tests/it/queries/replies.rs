//! What a query tells on its way: the mailbox that pauses it, the order of events, and the hints
//! about dead nodes.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::wire::addr_from_bytes;
use dht_core::{Config, DATAGRAM_MAX, Event, Query, QueryId, SessionId};

use crate::support::solo::*;

fn query() -> Query {
    Query::new(target(1), 16)
}

/// A query of very many nodes without ids, so that all of them are visited.
fn wide(count: u32) -> (Solo, Query) {
    let mut solo = Solo::new();
    for n in 0..count {
        // The first ten know all others.
        let known = if n < 10 { 10 + n * 20..(30 + n * 20).min(count) } else { 0..0 };
        let anonymous = Fake { id: false, ..Fake::naming(known.map(addr)) };
        solo.peers.insert(addr(n), anonymous);
    }
    (solo, query().nodes((0..10).map(addr)).concurrency(100))
}

#[test]
fn a_query_pauses_while_64_replies_wait() {
    let (mut solo, wide) = wide(100);
    let id = solo.query(wide);
    solo.advance(LATENCY);
    assert_eq!(solo.asked(16).len(), 64, "those that may come count too");
    solo.advance_ms(4_000);
    assert_eq!(solo.asked(16).len(), 64);
    assert_eq!(solo.node.take_outcome(id), None);
    for read in 1..=10 {
        assert!(solo.node.next_reply(id).is_some());
        solo.flush();
        assert_eq!(solo.asked(16).len(), 64 + read, "each that is read makes room for one");
    }
    let mut read = 10;
    solo.run_until(|solo| {
        while solo.node.next_reply(id).is_some() {
            read += 1;
        }
        solo.flush();
        read == 100
    });
    assert_eq!(solo.node.take_outcome(id).unwrap().unwrap().successes, 100);
}

#[test]
fn nobody_waits_for_replies_that_nobody_wants() {
    let (mut solo, wide_query) = wide(100);
    let id = solo.query(wide_query.discard_replies());
    solo.run_until(|solo| solo.node.take_outcome(id).is_some());
    assert_eq!(solo.asked(16).len(), 100);
    assert!(!solo.events.contains(&Event::Reply(id)));

    let (mut solo, wide_query) = wide(100);
    let id = solo.query(wide_query);
    solo.advance_ms(1_000);
    solo.node.discard_replies(id);
    solo.flush();
    assert_eq!(solo.node.next_reply(id), None);
    solo.run_until(|solo| solo.node.take_outcome(id).is_some());
    assert_eq!(solo.asked(16).len(), 100);
}

#[test]
fn replies_come_in_order_and_before_the_end() {
    let mut solo = Solo::new();
    for n in 0..20 {
        let latency = Duration::from_millis(u64::from(100 - n));
        solo.peers.insert(addr(n), Fake { latency, ..Fake::default() });
    }
    let id = solo.query(query().nodes((0..20).map(addr)).concurrency(20));
    solo.events.clear();
    solo.advance_ms(3_000);
    let mut expected = vec![Event::Reply(id); 20];
    expected.push(Event::Finished(id));
    solo.events.retain(|event| matches!(event, Event::Reply(_) | Event::Finished(_)));
    assert_eq!(solo.events, expected);
    let froms: Vec<_> =
        std::iter::from_fn(|| solo.node.next_reply(id)).map(|reply| reply.from.addr).collect();
    assert_eq!(froms, (0..20).rev().map(addr).collect::<Vec<_>>());
    assert!(solo.node.take_outcome(id).is_some(), "and wait until they are taken");
    assert_eq!((solo.node.take_outcome(id), solo.node.next_reply(id)), (None, None));
}

/// Who was told of whom.
fn hints(solo: &Solo) -> Vec<(SocketAddrV4, SocketAddrV4)> {
    let requests = solo.sent.iter().filter_map(|sent| Some((sent.to, sent.as_request()?)));
    let hints = requests.filter(|(_, r)| r.internal && r.command == DOWN_HINT);
    hints.filter_map(|(to, r)| Some((to, addr_from_bytes(r.value?.try_into().ok()?)))).collect()
}

/// Three nodes, two of which name a dead one.
fn with_a_dead_one(config: Config) -> (Solo, Query) {
    let mut solo = Solo::with(config);
    solo.peers.extend([1, 2].map(|n| (addr(n), Fake::naming([addr(9)]))));
    solo.peers.insert(addr(3), Fake::default());
    (solo, query().nodes([1, 2, 3].map(addr)).retries(3).thorough())
}

#[test]
fn all_who_named_a_dead_node_are_told() {
    let (mut solo, query) = with_a_dead_one(Config::default());
    let id = solo.query(query);
    solo.run_until(|solo| solo.node.take_outcome(id).is_some());
    let mut told = hints(&solo);
    told.sort();
    assert_eq!(told, [(addr(1), addr(9)), (addr(2), addr(9))]);
    assert_eq!(solo.stats().commands.down_hint.tx, 2);
    solo.advance_ms(100);
    assert_eq!(solo.stats().commands.down_hint.rx, 2);
}

#[test]
fn who_names_it_after_its_death_is_told_at_once() {
    let (mut solo, query) = with_a_dead_one(Config::default());
    let latency = Duration::from_millis(900);
    // Asked by the one that the others name, after the dead one has timed out.
    solo.peers.insert(addr(3), Fake { latency, ..Fake::naming([addr(4)]) });
    solo.peers.insert(addr(4), Fake { latency, ..Fake::naming([addr(9), addr(5)]) });
    solo.peers.insert(addr(5), Fake::default());
    solo.walk(query).1.unwrap();
    assert_eq!(hints(&solo).last(), Some(&(addr(4), addr(9))));
    assert!(solo.asked(16).contains(&addr(5)), "and what it says is read on");
}

#[test]
fn what_was_not_waited_for_is_reported_once_it_is_clear() {
    let (mut solo, _) = with_a_dead_one(Config::default());
    solo.walk(query().nodes([1, 2, 3].map(addr))).1.unwrap();
    assert_eq!(hints(&solo), []);
    let tries = |solo: &Solo| solo.sent.iter().filter(|sent| sent.to == addr(9)).count();
    solo.run_until(|solo| !hints(solo).is_empty());
    assert_eq!(
        (tries(&solo), solo.stats().requests.timeouts),
        (6, 1),
        "two, then four of FIND_NODE"
    );
    // It came back before that: nobody is told.
    let (mut solo, _) = with_a_dead_one(Config::default());
    solo.walk(query().nodes([1, 2, 3].map(addr))).1.unwrap();
    solo.peers.insert(addr(9), Fake::default());
    solo.advance_ms(10_000);
    assert_eq!(hints(&solo), []);
}

#[test]
fn hints_can_be_switched_off() {
    let mut config = Config::default();
    config.send_down_hints = false;
    let (mut solo, query) = with_a_dead_one(config);
    solo.walk(query).1.unwrap();
    assert_eq!(hints(&solo), []);
    // And nobody is told of nodes that only the user has named.
    let mut solo = Solo::new();
    solo.walk(Query::new(target(1), 16).nodes([addr(1)]).thorough()).1.unwrap();
    assert_eq!(hints(&solo), []);
}

#[test]
fn so_many_hints_per_tick_and_no_more() {
    let limits =
        [(Some(0), 0), (Some(1), 1), (Some(50), 50), (Some(59), 59), (Some(60), 60), (None, 60)];
    for (limit, sent) in limits {
        let mut config = Config::default();
        config.down_hints_rate_limit = limit;
        let mut solo = Solo::with(config);
        // Three nodes name twenty dead ones.
        let dead: Vec<_> = (100..120).map(addr).collect();
        solo.peers.extend((0..3).map(|n| (addr(n), Fake::naming(dead.iter().copied()))));
        let three = query().nodes((0..3).map(addr)).retries(3).thorough().concurrency(30);
        solo.walk(three).1.unwrap();
        solo.advance_ms(100);
        assert_eq!(hints(&solo).len(), sent, "{limit:?}");
        // The rest of them follow in the next ticks.
        for ticks in 2..5 {
            solo.advance_ms(5_000);
            assert_eq!(hints(&solo).len(), (ticks * sent).min(60), "{limit:?}");
        }
    }
}

/// A query that has just sent its hints, in a session, and is not over yet.
fn hinting() -> (Solo, QueryId) {
    let (mut solo, query) = with_a_dead_one(Config::default());
    // The hints are not answered, and one node is slow.
    solo.peers.insert(addr(3), Fake { latency: Duration::from_millis(1_500), ..Fake::default() });
    let id = solo.query(query.session(SessionId(1)).retries(3).thorough().nodes([1, 2].map(addr)));
    solo.advance_ms(500);
    [1, 2].map(addr).iter().for_each(|addr| drop(solo.peers.remove(addr)));
    solo.run_until(|solo| !hints(solo).is_empty());
    solo.sent.clear();
    (solo, id)
}

#[test]
fn hints_outlive_their_query_and_its_session() {
    let ends: [fn(&mut Solo, QueryId); 3] = [
        |_, _| (),
        |solo, id| solo.node.cancel_query(solo.now, id),
        |solo, _| solo.node.end_session(solo.now, SessionId(1)),
    ];
    for end in ends {
        let (mut solo, id) = hinting();
        end(&mut solo, id);
        solo.advance_ms(3_500);
        assert_eq!(hints(&solo).len(), 6, "three more tries of both");
    }
}

/// Answers one datagram of a query, and loses the others. Nobody looks at the events.
fn answer_one(solo: &mut Solo) {
    let mut buf = [0; DATAGRAM_MAX];
    let mut first = None;
    while let Some(transmit) = solo.node.poll_transmit(solo.now, &mut buf) {
        let tid = u16::from_le_bytes([buf[2], buf[3]]);
        first.get_or_insert((transmit.via, transmit.to, Forged::default().bytes(tid)));
    }
    let (via, from, answer) = first.unwrap();
    let _ = solo.node.handle_datagram(solo.now, via, from, &answer);
}

#[test]
fn a_reply_is_told_however_many_events_wait() {
    // Somewhere among these numbers notes are swept out when the last one is made.
    for stale in 240..270 {
        let mut solo = Solo::new();
        for _ in 0..stale {
            let id = solo.node.query(solo.now, query().nodes([addr(1)])).unwrap();
            answer_one(&mut solo);
            assert!(solo.node.next_reply(id).is_some());
            assert!(solo.node.take_outcome(id).is_some());
        }
        let id = solo.node.query(solo.now, query().nodes([addr(1), addr(2)])).unwrap();
        answer_one(&mut solo);
        solo.flush();
        assert!(solo.events.contains(&Event::Reply(id)), "after {stale} others");
    }
}

#[test]
fn who_names_a_dead_node_many_times_over_is_told_once() {
    let mut solo = Solo::new();
    solo.peers.insert(addr(1), Fake::naming([addr(9); 20]));
    solo.walk(query().nodes([addr(1)]).retries(3).thorough().thorough()).1.unwrap();
    solo.advance_ms(1_000);
    assert_eq!(hints(&solo), [(addr(1), addr(9))]);
}
