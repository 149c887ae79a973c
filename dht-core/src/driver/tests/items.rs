//! Everything in one order.

use std::time::Duration;
use std::vec::Vec;

use super::sim::Sim;
use super::world::local;
use crate::driver::{Item, Items};
use crate::{Event, Id, Query, Request, RequestError, SessionId, error_code};

const TARGET: Id = Id([7; 32]);

/// What is there by now.
fn take(sim: &Sim, items: &mut Items) -> Vec<Item> {
    sim.run();
    std::iter::from_fn(|| items.try_next()).collect()
}

#[test]
fn things_come_in_the_order_in_which_they_happen() {
    let sim = Sim::default();
    let other = sim.up();
    let node = sim.node(|builder| builder);
    let mut items = node.items();
    let to = other.server_address().unwrap();
    let ping = node.start_request(Request::ping(to)).unwrap();
    let query = node.start_query(Query::find_node(TARGET).nodes([to])).unwrap();
    let told = take(&sim, &mut items);
    let at = |what: &dyn Fn(&Item) -> bool| told.iter().position(what).unwrap();
    let listening = at(&|item| matches!(item, Item::Event(Event::Listening)));
    let ready = at(&|item| matches!(item, Item::Event(Event::Ready)));
    let response = at(&|item| matches!(item, Item::Response(id, Ok(_)) if *id == ping));
    let reply = at(&|item| matches!(item, Item::Reply(id, _) if *id == query));
    let finished = at(&|item| matches!(item, Item::Finished(id, Ok(_)) if *id == query));
    assert!(listening < ready && listening < response);
    assert!(listening < reply && reply < finished);

    // Closing: requests fail first.
    let ping = node.start_request(Request::ping(local(9))).unwrap();
    node.close();
    let told = take(&sim, &mut items);
    assert!(
        matches!(&told[..], [
            Item::Response(id, Err(_)),
            Item::Event(Event::Closed),
        ] if *id == ping),
        "{told:?}"
    );
    assert!(sim.block_on(items.next()).is_none());
}

#[test]
fn replies_that_nobody_takes_make_a_query_pause() {
    let sim = Sim::default();
    let nodes: Vec<_> = (0..100).map(|_| sim.up()).collect();
    let addrs: Vec<_> = nodes.iter().map(|node| node.server_address().unwrap()).collect();
    let node = sim.up();
    let mut items = node.items();
    let query = Query::find_node(TARGET).nodes(addrs).only_closest_nodes();
    node.start_query(query.clone()).unwrap();
    sim.advance(Duration::from_secs(3));
    assert!(node.stats().requests.total <= 64);
    let mut replies = 0;
    let outcome = loop {
        match sim.block_on(items.next()).unwrap() {
            Item::Reply(..) => replies += 1,
            Item::Finished(_, outcome) => break outcome.unwrap(),
            Item::Event(Event::NatUpdate { .. } | Event::Online) => {}
            item => panic!("{item:?}"),
        }
    };
    assert_eq!((replies, outcome.successes), (100, 100));

    // Ended early: no reply follows.
    let id = node.start_query(query.clone()).unwrap();
    sim.advance(Duration::from_secs(1));
    node.finish_query(id);
    let told = take(&sim, &mut items);
    assert!(matches!(&told[..], [Item::Finished(ended, Ok(_))] if *ended == id), "{told:?}");

    // Forgotten: nothing follows.
    let id = node.start_query(query).unwrap();
    sim.advance(Duration::from_secs(1));
    node.cancel_query(id);
    let ping = node.start_request(Request::ping(local(9))).unwrap();
    node.cancel_request(ping);
    sim.advance(Duration::from_secs(10));
    assert!(take(&sim, &mut items).is_empty());
    assert_eq!(node.stats().requests.active, 0);
}

#[test]
fn a_session_of_ones_own_number() {
    let sim = Sim::default();
    let node = sim.up();
    let mut items = node.items();
    let session = SessionId(3);
    let ping = node.start_request(Request::ping(local(9)).session(session)).unwrap();
    node.end_session(session);
    // At once, before anything else gets to run.
    match items.try_next() {
        Some(Item::Response(id, Err(error))) if id == ping => {
            assert_eq!(error.code(), Some(RequestError::Destroyed.code()));
        }
        item => panic!("{item:?}"),
    }
}

#[test]
fn incoming_requests_come_here_or_not() {
    let sim = Sim::default();
    let (node, other) = (sim.up(), sim.up());
    let mut items = node.items();
    let ask = || other.request(Request::new(node.server_address().unwrap(), 16).retries(0));
    let asked = ask();
    match sim.block_on(items.next()) {
        Some(Item::Request(request)) => request.reply_value("here").unwrap(),
        item => panic!("{item:?}"),
    }
    assert_eq!(sim.block_on(asked).unwrap().value.as_deref(), Some(&b"here"[..]));

    items.take_requests(false);
    assert_eq!(sim.block_on(ask()).unwrap().error, error_code::UNKNOWN_COMMAND);
    let mut requests = node.requests();
    let asked = ask();
    sim.block_on(requests.next()).unwrap().reply_value("there").unwrap();
    assert_eq!(sim.block_on(asked).unwrap().value.as_deref(), Some(&b"there"[..]));

    // What is left behind unread is answered.
    items.take_requests(true);
    let asked = ask();
    sim.run();
    drop(items);
    assert_eq!(sim.block_on(asked).unwrap().error, error_code::UNKNOWN_COMMAND);
}

#[test]
fn with_the_last_reader_goes_what_was_started_for_it() {
    let sim = Sim::default();
    let node = sim.up();
    let (first, last) = (node.items(), node.items());
    node.start_request(Request::ping(local(9))).unwrap();
    node.start_query(Query::find_node(TARGET).nodes([local(9)])).unwrap();
    drop(first);
    assert_eq!(node.stats().requests.active, 2);
    drop(last);
    assert_eq!((node.stats().requests.active, node.stats().queries.active), (0, 0));

    // Started without a reader, they run to their end, the late visit of the query too, and leave nothing.
    node.start_request(Request::ping(local(9))).unwrap();
    node.start_query(Query::find_node(TARGET).nodes([local(9)])).unwrap();
    sim.advance(Duration::from_secs(20));
    assert_eq!((node.stats().requests.active, node.stats().queries.active), (0, 0));
    assert_eq!((node.stats().requests.timeouts, node.stats().requests.cancelled), (2, 2));
}

#[test]
fn a_reader_that_sleeps_loses_changes_but_no_answers() {
    let sim = Sim::default();
    let node = sim.up();
    sim.block_on(node.fully_bootstrapped()).unwrap();
    let mut items = node.items();
    let mut events = node.events();
    let ping = node.start_request(Request::ping(local(9)).retries(0)).unwrap();
    // Each round is told by at least three changes.
    for _ in 0..100 {
        sim.block_on(node.suspend()).unwrap();
        sim.block_on(node.resume()).unwrap();
    }
    assert!(items.lost() >= 44 && items.lost() == events.lost());
    let told = take(&sim, &mut items);
    assert!(told.iter().any(|item| matches!(item, Item::Response(id, _) if *id == ping)));
    assert_eq!(told.len(), 256 + 1);
    assert_eq!(std::iter::from_fn(|| sim.now(&mut std::pin::pin!(events.next()))).count(), 256);
}
