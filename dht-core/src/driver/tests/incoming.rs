//! Requests of other nodes.

use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;

use super::sim::Sim;
use super::world::local;
use crate::driver::{Dht, REQUESTS_MAX, RequestFuture};
use crate::{Answer, Request, SendError, error_code};

/// Asks `to` for something, once.
fn ask(node: &Dht, to: &Dht) -> RequestFuture {
    node.request(Request::new(to.server_address().unwrap(), 16).retries(0))
}

#[test]
fn the_ways_to_answer() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    let mut ways = [0, 1, 2, 3].map(|_| ask(&a, &b));
    let taken = [0, 1, 2, 3].map(|_| sim.block_on(requests.next()).unwrap());
    assert_eq!(taken[0].from.addr, a.status().client_address.unwrap());
    assert_eq!((taken[0].command, &taken[0].value, taken[0].token), (16, &None, None));
    let [first, second, third, fourth] = taken;
    first.reply_value("yes").unwrap();
    second.error(17).unwrap();
    drop(third);
    let later = fourth.ignore();
    let replies = [0, 1, 2].map(|at| sim.block_on(&mut ways[at]).unwrap());
    let errors = replies.each_ref().map(|reply| reply.error);
    assert_eq!(errors, [0, 17, error_code::UNKNOWN_COMMAND]);
    assert_eq!(replies[0].value.as_deref(), Some(&b"yes"[..]));
    assert!(sim.now(&mut ways[3]).is_none());
    b.reply(later, Answer::empty()).unwrap();
    assert_eq!(sim.block_on(&mut ways[3]).unwrap().value, None);
}

#[test]
fn an_answer_that_is_too_large_is_refused() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    let asked = ask(&a, &b);
    let request = sim.block_on(requests.next()).unwrap();
    let answer = request.reply_value(Bytes::from(Vec::from([0; 5000])));
    assert!(matches!(answer, Err(SendError::TooLarge { .. })));
    // The one who asks need not wait for the time-out.
    assert_eq!(sim.block_on(asked).unwrap().error, error_code::UNKNOWN_COMMAND);

    let asked = ask(&a, &b);
    let request = sim.block_on(requests.next()).unwrap();
    let relayed = request.relay(a.server_address().unwrap(), Some(Vec::from([0; 5000]).into()));
    assert!(matches!(relayed, Err(SendError::TooLarge { .. })));
    assert_eq!(sim.block_on(asked).unwrap().error, error_code::UNKNOWN_COMMAND);
}

#[test]
fn the_longest_answer_is_as_long_as_the_docs_say() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    for (len, sent) in [(1323, true), (1324, false)] {
        let _asked = a.request(
            Request::new(b.server_address().unwrap(), 16).target(crate::Id([1; 32])).retries(0),
        );
        let request = sim.block_on(requests.next()).unwrap();
        let answer =
            request.reply_value(Bytes::from(Vec::from_iter([0; 1324].into_iter().take(len))));
        assert_eq!(answer.is_ok(), sent, "{answer:?}");
    }
}

#[test]
fn nobody_listens() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    assert_eq!(sim.block_on(ask(&a, &b)).unwrap().error, error_code::UNKNOWN_COMMAND);

    // The last one to stop listening answers what it leaves.
    let (first, last) = (b.requests(), b.requests());
    let mut asked = ask(&a, &b);
    sim.run();
    drop(first);
    sim.run();
    assert!(sim.now(&mut asked).is_none());
    drop(last);
    assert_eq!(sim.block_on(asked).unwrap().error, error_code::UNKNOWN_COMMAND);
}

#[test]
fn too_many_are_dropped_in_silence() {
    let sim = Sim::default();
    let b = sim.up();
    let mut requests = b.requests();
    // A request without anything but a command.
    let request = |tid: u16| {
        let [lo, hi] = tid.to_le_bytes();
        [0x03, 0, lo, hi, 127, 0, 0, 1, 1, 0, 16]
    };
    let peer = sim.world.socket(9);
    let port = b.server_address().unwrap().port();
    for tid in 0..REQUESTS_MAX as u16 + 3 {
        peer.send(port, &request(tid));
    }
    sim.run();
    assert_eq!(b.status().drops.requests, 3);
    assert!(peer.take().is_none());
    for _ in 0..REQUESTS_MAX {
        sim.block_on(requests.next()).unwrap().error(20).unwrap();
        sim.run();
        assert!(peer.take().is_some());
    }
    assert!(sim.now(&mut std::pin::pin!(requests.next())).is_none());
}

#[test]
fn a_closed_node_answers_nothing_any_more() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    let asked = [ask(&a, &b), ask(&a, &b)];
    let held = sim.block_on(requests.next()).unwrap();
    sim.block_on(b.close()).unwrap();
    assert!(sim.block_on(requests.next()).is_none(), "the one that waited is gone");
    drop(held);
    for asked in asked {
        assert!(sim.block_on(asked).is_err());
    }
}

#[test]
fn a_relay_chain() {
    let sim = Sim::default();
    let (a, b, c) = (sim.up(), sim.up(), sim.up());
    let (mut at_b, mut at_c) = (b.requests(), c.requests());
    let asker = a.status().client_address.unwrap();
    let asked = a.request(Request::new(b.server_address().unwrap(), 16).any_replier());
    let request = sim.block_on(at_b.next()).unwrap();
    let from = Bytes::from(request.from.addr.port().to_string());
    request.relay(c.server_address().unwrap(), Some(from)).unwrap();
    let relayed = sim.block_on(at_c.next()).unwrap();
    let port: u16 = std::str::from_utf8(relayed.value.as_ref().unwrap()).unwrap().parse().unwrap();
    assert_eq!(local(port), asker);
    relayed.reply(Answer::value("from c").to(asker)).unwrap();
    let reply = sim.block_on(asked).unwrap();
    assert_eq!(reply.value.as_deref(), Some(&b"from c"[..]));
    assert_eq!(reply.from.addr, c.server_address().unwrap());
}

#[test]
fn debug_output_gives_nothing_away() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    let to = b.server_address().unwrap();
    let _asked = a.request(Request::new(to, 16).value("secret"));
    let request = sim.block_on(requests.next()).unwrap();
    assert!(!std::format!("{request:?}").contains("secret"));
    sim.advance(Duration::from_secs(1));
}
