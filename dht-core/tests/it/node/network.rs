//! Whole networks: nodes join, find each other, store values and find values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dht_core::{Answer, Event, Persistence, Query};

use crate::support::net::{Net, target};

/// Command 0 of dht-rpc's README: with a token it stores a value, without one it looks a value up.
fn serve_values(net: &mut Net, at: usize) -> Rc<RefCell<usize>> {
    let stored = Rc::new(RefCell::new(0));
    let (count, mut values) = (stored.clone(), BTreeMap::new());
    net.serve(at, move |request| {
        let target = request.target?;
        if request.token.is_some() {
            values.insert(target, request.value?.to_vec());
            *count.borrow_mut() += 1;
            return Some(Answer::empty());
        }
        Some(values.get(&target).map_or(Answer::empty(), |value| Answer::value(value.clone())))
    });
    stored
}

#[test]
fn a_node_joins_becomes_persistent_and_is_ready() {
    let mut net = Net::new(1);
    let first = net.bootstrapper();
    let at = net.start(net.persistent(first));
    net.run_until(|net| net.members[at].node.bootstrapped());
    let events: Vec<_> = net.members[at].events.drain(..).collect();
    let (host, port) = (Some(*net.server(at).ip()), net.server(at).port());
    let expected = [
        Event::Listening,
        Event::Online,
        Event::NatUpdate { host, port },
        Event::Persistent,
        Event::Persistence(Persistence::Told),
        Event::Ready,
    ];
    assert_eq!(events, expected);
    let (id, table_id) = (net.members[at].node.id(), net.members[at].node.table_id());
    assert_eq!((id, table_id), (Some(table_id), dht_core::Id::of(net.server(at))));
}

#[test]
fn lookups_find_exactly_the_closest() {
    let mut net = Net::network(2, 60);
    for n in 0..20 {
        let expected = net.true_closest(&target(n), 20);
        let (replies, outcome) = net.walk(n as usize, Query::find_node(target(n)));
        let outcome = outcome.unwrap();
        let mut found: Vec<_> = outcome.closest.iter().map(|reply| reply.from.addr).collect();
        // A node does not ask itself.
        let own = net.server(n as usize);
        let expected: Vec<_> = expected.into_iter().filter(|addr| *addr != own).collect();
        found.truncate(expected.len());
        assert_eq!(found, expected);
        assert_eq!(replies.len() as u32, outcome.successes);
    }
}

#[test]
fn a_value_is_stored_at_the_closest_and_found_by_others() {
    let mut net = Net::network(3, 50);
    let stored: Vec<_> = (0..50).map(|at| serve_values(&mut net, at)).collect();
    let key = target(9);
    let (_, outcome) = net.walk(7, Query::new(key, 0).value(&b"hello"[..]).commit());
    assert_eq!(outcome.unwrap().commit.unwrap().succeeded, 20);
    let holders = net.true_closest(&key, 21);
    let count: usize = stored.iter().map(|count| *count.borrow()).sum();
    assert_eq!(count, 20);
    for (at, stored) in stored.iter().enumerate().filter(|(_, count)| *count.borrow() > 0) {
        assert!(holders.contains(&net.server(at)), "{at} holds {stored:?}");
    }
    let (replies, _) = net.walk(33, Query::new(key, 0));
    let value = replies.iter().find_map(|reply| reply.value.as_deref());
    assert_eq!(value, Some(&b"hello"[..]));
}

#[test]
fn one_bootstrap_node_and_one_node_can_store_and_read() {
    let mut net = Net::network(4, 2);
    let stored = serve_values(&mut net, 0);
    let (_, outcome) = net.walk(1, Query::new(target(1), 0).value(&b"x"[..]).commit());
    assert_eq!(outcome.unwrap().commit.unwrap().succeeded, 1);
    assert_eq!(*stored.borrow(), 1);
    let (replies, _) = net.walk(1, Query::new(target(1), 0));
    assert_eq!(replies[0].value.as_deref(), Some(&b"x"[..]));
}

#[test]
fn a_dead_node_is_waited_for_once() {
    let mut net = Net::network(6, 15);
    net.kill(4);
    let took = |net: &mut Net, query: Query| {
        let start = net.now;
        let outcome = net.walk(9, query).1.unwrap();
        assert_eq!(outcome.closest.len(), 13);
        net.now.saturating_since(start)
    };
    let key = dht_core::Id::of(net.server(4));
    // Two tries, each as long as the slowest answer so far; the reference takes six seconds.
    assert_eq!(took(&mut net, Query::find_node(key)).as_millis(), 200);
    assert!(took(&mut net, Query::find_node(key)) < Duration::from_millis(200));
    assert_eq!(took(&mut net, Query::find_node(key).thorough()).as_secs(), 6);
    // By then a check of the dead node has failed as well, so the node is out of the table.
    let dead = net.server(4);
    assert!(!net.node(9).nodes().any(|addr| addr == dead));
}

#[test]
fn the_same_seed_gives_the_same_datagrams() {
    let run = || {
        let mut net = Net::network(5, 20);
        net.log = Some(Vec::new());
        net.walk(3, Query::find_node(target(1))).1.unwrap();
        net.run_for(Duration::from_secs(600));
        net.log
    };
    assert_eq!(run(), run());
}
