//! Requests as futures.

use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use super::sim::Sim;
use super::world::local;
use crate::driver::Error;
use crate::{Answer, Request, RequestError, SendError};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_request_is_answered() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    sim.spawn(async move {
        while let Some(request) = requests.next().await {
            let value = request.value.clone().unwrap_or_default();
            request.reply(Answer::value(value)).unwrap();
        }
    });
    let to = b.server_address().unwrap();
    let reply = sim.block_on(a.request(Request::new(to, 16).value(&b"hello"[..]))).unwrap();
    assert_eq!(reply.value.as_deref(), Some(&b"hello"[..]));
    assert_eq!((reply.from.addr, reply.seen_as), (to, a.status().client_address.unwrap()));
}

#[test]
fn what_is_asked_before_the_bind_is_sent_after_it() {
    let sim = Sim::default();
    let b = sim.up();
    let a = sim.node(|builder| builder);
    let ping = a.ping(b.server_address().unwrap());
    assert_eq!(a.stats().requests.active, 1);
    sim.block_on(ping).unwrap();
}

#[test]
fn nobody_answers() {
    let sim = Sim::default();
    let node = sim.up();
    let start = sim.clock();
    let error = sim.block_on(node.ping(local(9))).unwrap_err();
    assert!(matches!(error, Error::Request(RequestError::Timeout)));
    assert_eq!(error.code(), Some("REQUEST_TIMEOUT"));
    assert_eq!(sim.clock().saturating_since(start), 4 * SECOND);
}

#[test]
fn dropping_a_request_cancels_it() {
    let sim = Sim::default();
    let node = sim.up();
    let peer = sim.world.socket(9);
    let ping = node.ping(local(9));
    sim.run();
    assert!(peer.take().is_some());
    drop(ping);
    sim.advance(10 * SECOND);
    assert!(peer.take().is_none(), "tried again");
    let stats = node.stats().requests;
    assert_eq!((stats.active, stats.cancelled), (0, 1));
}

#[test]
fn a_future_that_is_ready_stays_quiet_afterwards() {
    let sim = Sim::default();
    let node = sim.up();
    let mut ping = node.ping(local(0));
    assert!(matches!(sim.now(&mut ping), Some(Err(Error::Send(SendError::InvalidAddress)))));
    assert!(sim.now(&mut ping).is_none());
}

#[test]
fn what_can_not_be_sent_is_told() {
    let sim = Sim::default();
    let node = sim.up();
    let too_late = node.delayed_ping(local(9), 11 * SECOND);
    assert_eq!(sim.block_on(too_late).unwrap_err().to_string(), "delay exceeds max delay: 10000ms");
    let too_large = sim.block_on(node.ping_with(local(9), 100_000, 0)).unwrap_err();
    let Error::Send(SendError::TooLarge { limit }) = too_large else { panic!("{too_large}") };
    let fits = node.ping_with(local(9), limit, 7);
    sim.run();
    assert_eq!(node.stats().requests.active, 1);
    assert_eq!(sim.world.get().ttls, [7]);
    drop(fits);
}

/// A node that may have two requests under way, and six that want to.
fn crowd(sim: &Sim) -> (crate::driver::Dht, Vec<crate::driver::RequestFuture>) {
    let node = sim.node(|builder| builder.configure(|config| config.max_requests = 2));
    sim.block_on(node.listening()).unwrap();
    let pings = (10..16).map(|port| node.ping(local(port))).collect();
    sim.run();
    (node, pings)
}

#[test]
fn those_who_find_the_node_busy_get_their_turn_in_order() {
    let sim = Sim::default();
    let sockets: Vec<_> = (10..16).map(|port| sim.world.socket(port)).collect();
    let (node, mut pings) = crowd(&sim);
    let reached = || sockets.iter().filter(|socket| socket.take().is_some()).count();
    assert_eq!(reached(), 2);
    assert_eq!((node.stats().requests.active, node.stats().requests.total), (6, 6));

    // A request that waits is given up, then a running one: the next in line takes over, unpolled.
    drop(pings.remove(3));
    drop(pings.remove(0));
    sim.run();
    let next = sockets.iter().position(|socket| socket.take().is_some());
    assert_eq!(next, Some(2));

    // The rest fail one after the other, and none is left behind.
    for ping in pings {
        assert!(sim.block_on(ping).is_err());
    }
    let stats = node.stats().requests;
    assert_eq!((stats.active, stats.timeouts, stats.cancelled), (0, 4, 1));
    assert!(sockets[3].take().is_none(), "the one that gave up was sent");
}

#[test]
fn those_who_wait_for_a_place_hear_of_the_end() {
    let sim = Sim::default();
    let (node, mut pings) = crowd(&sim);
    node.suspend();
    let last = pings.pop().unwrap();
    assert!(matches!(sim.block_on(last), Err(Error::Send(SendError::Suspended))));
    let first = pings.remove(0);
    assert!(matches!(sim.block_on(first), Err(Error::Request(RequestError::Suspended))));
}

#[test]
fn a_session_ends_with_all_that_is_in_it() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder.configure(|config| config.max_requests = 2));
    sim.block_on(node.listening()).unwrap();
    let (session, other) = (node.session(), node.session());
    assert_ne!(session.id(), other.id());
    let mine: Vec<_> = (0..4).map(|_| session.request(Request::ping(local(9)))).collect();
    let theirs = other.request(Request::ping(local(9)));
    session.end();
    for ping in mine {
        let error = sim.block_on(ping).unwrap_err();
        assert!(matches!(error, Error::Request(RequestError::Destroyed)), "{error}");
    }
    let error = sim.block_on(theirs).unwrap_err();
    assert!(matches!(error, Error::Request(RequestError::Timeout)), "{error}");
    // It can be used again.
    assert!(matches!(
        sim.block_on(session.request(Request::ping(local(9)))),
        Err(Error::Request(RequestError::Timeout))
    ));
}

#[test]
fn rtt_stats_of_a_node_that_knows_nobody_and_of_one_that_does() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let stats = sim.block_on(a.rtt_stats()).unwrap();
    assert_eq!((stats.successes, stats.responses.avg_rtt), (0, Some(Duration::ZERO)));
    a.add_node(b.server_address().unwrap()).unwrap();
    let stats = sim.block_on(a.rtt_stats()).unwrap();
    assert_eq!((stats.successes, stats.errors), (1, 0));
    assert_eq!(stats.responses.avg_closer_nodes, Some(0.0));
    // Ephemeral as it is, it does not count as a closest node.
    assert_eq!(stats.closest_replies.avg_rtt, None);
}
