//! Queries as streams.

use std::net::SocketAddrV4;
use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use super::sim::Sim;
use super::world::local;
use crate::driver::{Dht, Error};
use crate::{Answer, Id, Query, QueryError, Reply, Request};

const TARGET: Id = Id([7; 32]);
/// As many replies as a query keeps.
const MAILBOX: usize = 64;

/// `count` nodes, and a further node that knows the way to all of them.
fn many(sim: &Sim, count: usize) -> (Dht, Vec<Dht>, Query) {
    let nodes: Vec<Dht> = (0..count).map(|_| sim.up()).collect();
    let addrs: Vec<SocketAddrV4> =
        nodes.iter().map(|node| node.server_address().unwrap()).collect();
    // They have no id, so none of them is closer than another: all are asked.
    let query = Query::find_node(TARGET).nodes(addrs).only_closest_nodes();
    (sim.up(), nodes, query)
}

/// Five nodes in each other's tables.
fn network(sim: &Sim) -> Vec<Dht> {
    let first = sim.node(|builder| {
        let own = crate::driver::Builder::bootstrapper(sim.world.clone(), 1000, "127.0.0.1");
        drop(builder);
        own
    });
    sim.block_on(first.fully_bootstrapped()).unwrap();
    let mut nodes = Vec::from([first]);
    for _ in 0..4 {
        let node = sim.node(|builder| {
            builder.bootstrap(["127.0.0.1:1000"]).ephemeral(false).firewalled(false)
        });
        sim.block_on(node.fully_bootstrapped()).unwrap();
        nodes.push(node);
    }
    nodes
}

#[test]
fn a_query_that_nobody_reads_pauses_and_goes_on_when_read() {
    let sim = Sim::default();
    let (node, nodes, query) = many(&sim, 100);
    let mut stream = node.query(query);
    sim.advance(Duration::from_secs(3));
    let asked = node.stats().requests.total as usize;
    assert!((MAILBOX - 1..=MAILBOX).contains(&asked), "{asked} were asked");
    let mut replies = Vec::new();
    while let Some(reply) = sim.block_on(stream.next()) {
        replies.push(reply.from.addr.port());
    }
    replies.sort_unstable();
    replies.dedup();
    assert_eq!(replies.len(), nodes.len());
    let outcome = sim.block_on(stream.finished()).unwrap();
    assert_eq!(outcome.successes, 100);
}

#[test]
fn waiting_for_the_end_needs_no_reader() {
    let sim = Sim::default();
    let (node, _nodes, query) = many(&sim, 100);
    // A paused query goes on when its replies are not wanted any more.
    let mut stream = node.query(query);
    sim.advance(Duration::from_secs(3));
    assert!(sim.block_on(stream.next()).is_some());
    let outcome = sim.block_on(stream.finished()).unwrap();
    assert_eq!(outcome.successes, 100);
    // Asking again gives the same, and the stream is over.
    assert_eq!(sim.block_on(stream.finished()).unwrap(), outcome);
    assert!(sim.block_on(stream.next()).is_none());
}

#[test]
fn dropping_a_query_cancels_it() {
    let sim = Sim::default();
    let (node, _nodes, query) = many(&sim, 30);
    drop(node.query(query));
    sim.advance(Duration::from_secs(10));
    let stats = node.stats();
    assert_eq!((stats.queries.active, stats.requests.active), (0, 0));
    assert_eq!(stats.requests.responses, 0);
}

#[test]
fn a_query_finds_the_closest_nodes() {
    let sim = Sim::default();
    let nodes = network(&sim);
    let mut query = nodes[4].find_node(TARGET);
    assert!(query.closest_nodes().is_empty() && query.closest_replies().is_empty());
    let found: Vec<_> =
        sim.block_on(query.nodes()).unwrap().into_iter().map(|peer| peer.addr).collect();
    let mut known: Vec<_> = nodes[..4].iter().map(|node| node.server_address().unwrap()).collect();
    known.sort_by_key(|addr| Id::of(*addr).distance(&TARGET));
    assert_eq!(found, known);
    assert_eq!(query.closest_replies().len(), 4);
    let replies = sim.block_on(nodes[4].find_node(TARGET).replies()).unwrap();
    assert_eq!(replies.len(), 4);
}

#[test]
fn stopping_a_query_gives_what_it_has() {
    let sim = Sim::default();
    let (node, _nodes, query) = many(&sim, 100);
    let mut stream = node.query(query.clone());
    sim.advance(Duration::from_secs(3));
    stream.stop();
    let outcome = sim.block_on(stream.finished()).unwrap();
    assert!((60..=MAILBOX as u32).contains(&outcome.successes), "{outcome:?}");
    assert_eq!(node.stats().queries.active, 0);
    stream.stop();

    // A query that stands in the line never begins.
    let node = sim.node(|builder| builder.configure(|config| config.max_queries = 8));
    let _running: Vec<_> = (0..8).map(|_| node.query(query.clone())).collect();
    let mut waiting = node.query(query);
    assert_eq!(node.stats().queries.active, 9);
    waiting.stop();
    assert_eq!(node.stats().queries.active, 8);
    assert!(sim.block_on(waiting.finished()).is_err());
}

#[test]
fn queries_wait_for_a_place_in_order() {
    let sim = Sim::default();
    let (_, _nodes, query) = many(&sim, 3);
    let node = sim.node(|builder| builder.configure(|config| config.max_queries = 8));
    let mut streams: Vec<_> = (0..20).map(|_| node.query(query.clone())).collect();
    for stream in &mut streams {
        assert_eq!(sim.block_on(stream.replies()).unwrap().len(), 3);
    }
}

#[test]
fn a_commit_of_ones_own() {
    let sim = Sim::default();
    let nodes = network(&sim);
    for (at, node) in nodes.iter().enumerate() {
        let mut requests = node.requests();
        sim.spawn(async move {
            while let Some(request) = requests.next().await {
                let taken = request.token.is_some() && at % 2 == 0;
                let answer = if taken { Answer::value("taken") } else { Answer::empty() };
                request.reply(answer).unwrap();
            }
        });
    }
    let node = &nodes[4];
    let commit = |reply: Reply| {
        let token = reply.token.unwrap();
        node.request(Request::new(reply.from.addr, 16).target(TARGET).token(token))
    };
    let mut query = node.query(Query::new(TARGET, 16));
    let commits = sim.block_on(query.commit_with(commit)).unwrap();
    let taken = commits.iter().filter(|commit| {
        commit.as_ref().is_ok_and(|reply| reply.value.as_deref() == Some(b"taken"))
    });
    assert_eq!((taken.count(), commits.len()), (2, 4));

    // The same by the core.
    let outcome = sim.block_on(node.query(Query::new(TARGET, 16).commit()).finished()).unwrap();
    assert_eq!(outcome.commit.unwrap().succeeded, 4);
}

#[test]
fn nobody_to_commit_to() {
    let sim = Sim::default();
    let node = sim.up();
    let mut query = node.query(Query::new(TARGET, 16).nodes([local(9)]));
    let error = sim.block_on(query.commit_with(|reply| node.ping(reply.from.addr))).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Query(QueryError::TooFewNodes {
                asked: 1,
                answered: 0,
                without_id: 0,
                refused: 0,
                refusal: None,
                timed_out: 1
            })
        ),
        "{error}"
    );
}

#[test]
fn a_closed_node_begins_no_query() {
    let sim = Sim::default();
    let node = sim.up();
    sim.block_on(node.close()).unwrap();
    let mut query = node.find_node(TARGET);
    assert!(sim.block_on(query.next()).is_none());
    assert_eq!(sim.block_on(query.finished()).unwrap_err().to_string(), "node destroyed");
}

#[test]
fn a_paused_query_goes_on_at_once_when_nobody_wants_its_replies() {
    let sim = Sim::default();
    let (node, _nodes, query) = many(&sim, 100);
    let mut stream = node.query(query);
    sim.advance(Duration::from_secs(3));
    let start = sim.clock();
    assert_eq!(sim.block_on(stream.finished()).unwrap().successes, 100);
    assert_eq!(sim.clock(), start);
}

#[test]
fn a_query_that_has_waited_for_a_place_goes_out_at_once() {
    let sim = Sim::default();
    let (_, _nodes, query) = many(&sim, 3);
    let node = sim.node(|builder| builder.configure(|config| config.max_queries = 8));
    sim.block_on(node.listening()).unwrap();
    let start = sim.clock();
    let mut streams: Vec<_> = (0..40).map(|_| node.query(query.clone())).collect();
    for stream in &mut streams {
        assert_eq!(sim.block_on(stream.finished()).unwrap().successes, 3);
    }
    assert_eq!(sim.clock(), start);
}
