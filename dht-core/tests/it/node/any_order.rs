//! Two nodes of a small network get calls in any order, while datagrams travel between the nodes.
//!
//! The model covers what a caller relies on: every request and query ends exactly once, each
//! answer belongs to its request, and no request fails without a reason. The invariants of all
//! nodes are checked after every step.

use std::collections::BTreeMap;
use std::time::Duration;

use dht_core::{
    Answer, Event, Node, Query, QueryError, QueryId, Request, RequestError, RequestId, SessionId,
};
use proptest::prelude::*;

use crate::support::net::{Fate, Net, target};

/// How many nodes get calls; the other nodes only answer.
const CALLED: usize = 2;
const MEMBERS: usize = 4;
const ECHO: u64 = 7;

#[derive(Clone, Debug)]
enum Op {
    Run(u64),
    /// Time passes, and no node is called meanwhile.
    Sleep(u64),
    Request {
        to: usize,
        retries: u8,
        session: u64,
    },
    Query {
        to: u32,
        kind: u8,
        session: u64,
    },
    Cancel(usize),
    Finish(usize),
    CancelQuery(usize),
    Discard(usize),
    EndSession(u64),
    Suspend,
    Resume,
    Bind,
    Close,
    Refresh,
    AddNode(usize),
    Maintain(bool),
    WakeUp,
    /// Every n-th datagram is lost; 0: none is.
    Loss(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let session = || 0..3u64;
    prop_oneof![
        8 => (0..400u64).prop_map(Op::Run),
        2 => (0..20_000u64).prop_map(Op::Run),
        1 => (0..40_000u64).prop_map(Op::Sleep),
        8 => (0..MEMBERS + 1, 0..4u8, session())
            .prop_map(|(to, retries, session)| Op::Request { to, retries, session }),
        6 => (0..50u32, 0..8u8, session())
            .prop_map(|(to, kind, session)| Op::Query { to, kind, session }),
        1 => (0..20usize).prop_map(Op::Cancel),
        1 => (0..10usize).prop_map(Op::Finish),
        1 => (0..10usize).prop_map(Op::CancelQuery),
        1 => (0..10usize).prop_map(Op::Discard),
        1 => session().prop_map(Op::EndSession),
        1 => Just(Op::Suspend),
        2 => Just(Op::Resume),
        2 => Just(Op::Bind),
        1 => prop::bool::weighted(0.1).prop_map(|close| if close { Op::Close } else { Op::Bind }),
        1 => Just(Op::Refresh),
        1 => (0..MEMBERS + 1).prop_map(Op::AddNode),
        1 => any::<bool>().prop_map(Op::Maintain),
        1 => Just(Op::WakeUp),
        1 => (0..4u8).prop_map(Op::Loss),
    ]
}

/// What the caller of one node knows.
#[derive(Default)]
struct Caller {
    /// The value that each request should get back; `None` once the request was cancelled.
    requests: BTreeMap<RequestId, Option<Vec<u8>>>,
    queries: Vec<QueryId>,
    begun: u32,
    /// Whether something happened after which requests to live nodes may fail.
    troubled: bool,
    ended: bool,
}

/// An item of a list, unless the list is empty.
fn pick<T: Copy>(items: &[T], n: usize) -> Option<T> {
    items.get(n % items.len().max(1)).copied()
}

impl Caller {
    fn call(&mut self, net: &mut Net, at: usize, op: &Op) {
        let session = |n: u64| SessionId(n);
        let known: Vec<_> = self.requests.keys().copied().collect();
        // `MEMBERS` stands for an address without a node.
        let addr = |net: &Net, n: usize| match n {
            MEMBERS => "45.99.0.1:9".parse().unwrap(),
            n => net.server(n),
        };
        match *op {
            Op::Request { to, retries, session: group } => {
                self.begun += 1;
                let value = vec![self.begun as u8; self.begun as usize % 300];
                let request = Request::new(addr(net, to), ECHO).value(value.clone());
                let request = request.retries(retries).session(session(group));
                if let Ok(id) = net.call(at, |node, now| node.request(now, request)) {
                    // No node answers at that address.
                    let expected = (to < MEMBERS).then_some(value);
                    assert_eq!(self.requests.insert(id, expected), None);
                }
            }
            Op::Query { to, kind, session: group } => {
                let mut query = match kind {
                    0..=3 => Query::find_node(target(to)),
                    _ => Query::new(target(to), ECHO).value(&b"v"[..]).session(session(group)),
                };
                if kind & 1 != 0 {
                    query = query.discard_replies();
                }
                if kind == 7 {
                    query = query.commit();
                }
                self.queries.extend(net.call(at, |node, now| node.query(now, query)));
            }
            Op::Cancel(n) => {
                if let Some(id) = pick(&known, n) {
                    net.call(at, |node, now| node.cancel_request(now, id));
                    self.requests.remove(&id);
                    net.members[at].events.retain(|event| *event != Event::Response(id));
                }
            }
            Op::CancelQuery(n) => {
                if let Some(id) = pick(&self.queries, n) {
                    net.call(at, |node, now| node.cancel_query(now, id));
                    self.queries.retain(|other| *other != id);
                    net.members[at].events.retain(
                        |event| !matches!(event, Event::Reply(q) | Event::Finished(q) if *q == id),
                    );
                }
            }
            Op::Finish(n) => {
                let id = pick(&self.queries, n);
                id.into_iter().for_each(|id| net.call(at, |node, now| node.finish_query(now, id)));
            }
            Op::Discard(n) => {
                let id = pick(&self.queries, n);
                id.into_iter().for_each(|id| net.call(at, |node, _| node.discard_replies(id)));
            }
            Op::EndSession(n) => {
                self.troubled = true;
                net.call(at, |node, now| node.end_session(now, session(n)));
            }
            Op::Suspend => {
                self.troubled = true;
                net.call(at, Node::suspend);
            }
            Op::Close => {
                self.ended = true;
                net.call(at, Node::close);
            }
            Op::Resume => net.call(at, Node::resume),
            Op::Bind => net.bind(at),
            Op::Refresh => net.call(at, Node::refresh),
            Op::AddNode(n) => {
                let addr = addr(net, n);
                net.call(at, |node, now| node.add_node(now, addr).unwrap());
            }
            Op::Maintain(quiet) => net.call(at, |node, now| node.maintain(now, quiet)),
            Op::WakeUp => net.call(at, Node::handle_wakeup),
            Op::Run(_) | Op::Sleep(_) | Op::Loss(_) => {}
        }
    }

    /// Takes the responses, replies and outcomes that are ready.
    fn read(&mut self, net: &mut Net, at: usize) {
        while let Some(event) = net.members[at].events.pop_front() {
            match event {
                Event::Response(id) => {
                    let expected = self.requests.remove(&id).expect("begun, and not ended");
                    let result = net.call(at, |node, _| node.take_response(id));
                    match (result.expect("it was told"), expected) {
                        (Ok(reply), Some(value)) => assert_eq!(reply.value.unwrap(), value),
                        (Ok(_), None) => panic!("an answer from where nobody is"),
                        (Err(RequestError::Timeout), None) => {}
                        (Err(_), _) => assert!(self.troubled || self.ended),
                    }
                }
                Event::Finished(id) => {
                    while let Some(reply) = net.call(at, |node, _| node.next_reply(id)) {
                        assert_eq!(reply.error, 0);
                    }
                    let outcome = net.call(at, |node, _| node.take_outcome(id));
                    match outcome.expect("it was told") {
                        Ok(outcome) => assert!(outcome.closest.len() < MEMBERS),
                        Err(QueryError::TooFewNodes { .. }) => {}
                        Err(_) => assert!(self.troubled || self.ended),
                    }
                    let before = self.queries.len();
                    self.queries.retain(|other| *other != id);
                    assert_eq!(self.queries.len() + 1, before, "told once");
                }
                Event::Closed => assert!(self.ended),
                _ => {}
            }
        }
    }
}

fn check(net: &Net) {
    net.members.iter().for_each(|member| member.node.check_invariants());
}

fn run(seed: u64, ops: &[(usize, Op)]) {
    let mut net = Net::network(seed, MEMBERS);
    for at in 0..MEMBERS {
        net.serve(at, |request| Some(Answer::value(request.value?.to_vec())));
    }
    let mut callers: [Caller; CALLED] = Default::default();
    for (at, op) in ops {
        match op {
            Op::Run(ms) => net.run_for(Duration::from_millis(*ms)),
            Op::Sleep(ms) => net.now += Duration::from_millis(*ms),
            Op::Loss(n) => {
                let n = u64::from(*n);
                let mut count = 0;
                net.rule(move |_, _, _| {
                    count += 1;
                    if n != 0 && count % n == 0 { Fate::Drop } else { Fate::Pass }
                });
            }
            op => callers[*at].call(&mut net, *at, op),
        }
        // After each of these steps requests of either node may fail.
        if matches!(op, Op::Sleep(_) | Op::Loss(_) | Op::Suspend | Op::Close) {
            callers.iter_mut().for_each(|caller| caller.troubled = true);
        }
        check(&net);
        callers.iter_mut().enumerate().for_each(|(at, caller)| caller.read(&mut net, at));
    }
    for at in 0..CALLED {
        net.call(at, Node::resume);
        net.bind(at);
    }
    // Long enough for six tries to a node of a query, and for the candidates after failed nodes.
    for _ in 0..60 {
        net.run_for(Duration::from_secs(1));
        callers.iter_mut().enumerate().for_each(|(at, caller)| caller.read(&mut net, at));
        if callers.iter().all(|caller| caller.requests.is_empty() && caller.queries.is_empty()) {
            break;
        }
    }
    check(&net);
    for (at, caller) in callers.iter().enumerate() {
        assert!(caller.requests.is_empty() && caller.queries.is_empty(), "these never ended");
        net.call(at, Node::close);
        check(&net);
        assert_eq!(net.members[at].node.poll_timeout(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_of_calls_is_legal(
        seed in 0..4u64,
        ops in prop::collection::vec((0..CALLED, op()), 1..40),
    ) {
        run(seed, &ops);
    }
}
