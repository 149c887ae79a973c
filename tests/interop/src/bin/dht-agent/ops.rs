//! The ops of nodes: each turns fields into a call of the library.

use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use dht_core::driver::Error;
use dht_core::{Answer, DATAGRAM_MAX, Id, Query, Request, SessionId};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::fields::{Fields, address, addresses, boolean, hex, id, natural, text, token, uint};
use crate::node::Shared;
use crate::say;

/// The answer of an op, or `None` if that comes later.
pub(crate) type Answered = Result<Option<Value>, Failure>;

/// An op of a node.
pub(crate) type Op = fn(&Shared, Fields<'_>, &Value) -> Answered;

/// All of them, by name.
pub(crate) const OPS: [(&str, Op); 23] = [
    ("start", |node, _, _| {
        node.borrow_mut().start()?;
        DONE
    }),
    ("info", info),
    ("listen", listen),
    ("bootstrapped", |node, _, op| {
        let done = node.borrow().dht.fully_bootstrapped();
        later(node, op, done, |()| Value::Null)
    }),
    ("suspend", |node, _, op| {
        let done = node.borrow().dht.suspend();
        later(node, op, done, |()| Value::Null)
    }),
    ("resume", |node, _, op| {
        let done = node.borrow().dht.resume();
        later(node, op, done, |()| Value::Null)
    }),
    ("destroy", |node, _, op| {
        let done = node.borrow_mut().destroy();
        later(node, op, done, |()| Value::Null)
    }),
    ("addNode", |node, fields, _| {
        // JavaScript says nothing of what it can't use.
        let _ = node.borrow().dht.add_node(fields.own_address()?);
        DONE
    }),
    ("refresh", |node, _, _| {
        node.borrow().dht.refresh();
        DONE
    }),
    ("tick", |node, fields, _| {
        node.borrow().dht.maintain(fields.flag("quiet", false)?);
        DONE
    }),
    ("nodes", nodes),
    ("table", table),
    ("rttStats", |node, _, op| {
        let dht = node.borrow().dht.clone();
        let stats = async move { dht.rtt_stats().await };
        later(node, op, stats, |stats| say::rtt_stats(&stats))
    }),
    ("ping", ping),
    ("delayedPing", |node, fields, op| {
        let to = fields.get("to", address)?;
        let delay = Duration::from_millis(fields.get("delay", uint)?);
        send(node, fields, op, Request::delayed_ping(to, delay))
    }),
    ("request", request),
    ("endSession", |node, fields, _| {
        node.borrow().dht.end_session(SessionId(fields.get("session", natural)?));
        DONE
    }),
    ("query", query),
    ("findNode", |node, fields, op| {
        run(node, fields, op, Query::find_node(fields.get("target", id)?))
    }),
    ("endQuery", end_query),
    ("reply", reply),
    ("error", error),
    ("relay", relay),
];

/// Nothing but success is to be told.
const DONE: Answered = Ok(Some(Value::Null));

/// The answer comes when `done` is. It is begun at once, and if that is all there is to
/// it, answered at once.
fn later<T: 'static>(
    node: &Shared,
    op: &Value,
    done: impl Future<Output = Result<T, Error>> + 'static,
    map: fn(T) -> Value,
) -> Answered {
    let mut done = Box::pin(done);
    if let Poll::Ready(result) = done.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(Some(map(result?)));
    }
    let (node, op) = (Rc::clone(node), op.clone());
    tokio::task::spawn_local(async move {
        let result = done.await;
        node.borrow_mut().drain();
        say::answer(&op, result.map(map).map_err(Failure::from));
    });
    Ok(None)
}

fn info(node: &Shared, _: Fields<'_>, _: &Value) -> Answered {
    let node = node.borrow();
    Ok(Some(say::info(&node.dht, node.started, node.destroyed)))
}

fn listen(node: &Shared, fields: Fields<'_>, _: &Value) -> Answered {
    let (event, on) = (fields.get("event", text)?, fields.get("on", boolean)?);
    node.borrow_mut().listen(event, on)?;
    DONE
}

fn nodes(node: &Shared, fields: Fields<'_>, _: &Value) -> Answered {
    let limit = fields.maybe("limit", uint)?.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Some(say::addresses(&node.borrow().dht.nodes(limit))))
}

fn table(node: &Shared, _: Fields<'_>, _: &Value) -> Answered {
    let dht = &node.borrow().dht;
    let peer = |addr| say::peer(dht_core::Peer { addr, id: Some(Id::of(addr)) });
    let nodes: Value = dht.nodes(usize::MAX).into_iter().map(peer).collect();
    let id = say::hex(&dht.status().table_id.0);
    Ok(Some(json!({ "id": id, "k": dht_core::K, "nodes": nodes })))
}

fn ping(node: &Shared, fields: Fields<'_>, op: &Value) -> Answered {
    let ping = Request::ping(fields.get("to", address)?);
    let size = fields.maybe("size", uint)?.unwrap_or(0);
    // One byte more than any datagram carries is refused as well as many more.
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(DATAGRAM_MAX + 1);
    let ping = if size == 0 { ping } else { ping.value(vec![0; size]) };
    send(node, fields, op, ping)
}

fn request(node: &Shared, fields: Fields<'_>, op: &Value) -> Answered {
    let to = fields.get("to", address)?;
    let mut request = Request::new(to, fields.get("command", uint)?);
    if let Some(target) = fields.maybe("target", id)? {
        request = request.target(target);
    }
    if let Some(value) = fields.maybe("value", hex)? {
        request = request.value(value);
    }
    if let Some(token) = fields.maybe("token", token)? {
        request = request.token(token);
    }
    if fields.flag("anyReplier", false)? {
        request = request.any_replier();
    }
    send(node, fields, op, request)
}

fn send(node: &Shared, fields: Fields<'_>, op: &Value, mut request: Request) -> Answered {
    if !fields.flag("retry", true)? {
        request = request.retries(0);
    }
    if let Some(session) = fields.maybe("session", natural)? {
        request = request.session(SessionId(session));
    }
    let mut node = node.borrow_mut();
    let id = node.dht.start_request(request).map_err(|error| node.explain(error))?;
    node.requests.insert(id, op.clone());
    Ok(None)
}

fn query(node: &Shared, fields: Fields<'_>, op: &Value) -> Answered {
    let mut query = Query::new(fields.get("target", id)?, fields.get("command", uint)?);
    if let Some(value) = fields.maybe("value", hex)? {
        query = query.value(value);
    }
    if fields.flag("commit", false)? {
        query = query.commit();
    }
    run(node, fields, op, query)
}

fn run(node: &Shared, fields: Fields<'_>, op: &Value, mut query: Query) -> Answered {
    if let Some(nodes) = fields.maybe("nodes", addresses)? {
        query = query.nodes(nodes);
    }
    if let Some(concurrency) = fields.maybe("concurrency", uint)? {
        query = query.concurrency(u16::try_from(concurrency).unwrap_or(u16::MAX));
    }
    if let Some(retries) = fields.maybe("retries", uint)? {
        query = query.retries(u8::try_from(retries).unwrap_or(u8::MAX));
    }
    if fields.flag("onlyClosestNodes", false)? {
        query = query.only_closest_nodes();
    }
    if fields.flag("thorough", false)? {
        query = query.thorough();
    }
    if let Some(session) = fields.maybe("session", natural)? {
        query = query.session(SessionId(session));
    }
    let mut node = node.borrow_mut();
    let id = node.dht.start_query(query).map_err(|error| node.explain(error))?;
    node.queries.insert(id, op.clone());
    Ok(None)
}

fn end_query(node: &Shared, fields: Fields<'_>, _: &Value) -> Answered {
    let op = fields.get("query", natural)?;
    let mut node = node.borrow_mut();
    // What came before the end is told before it.
    node.drain();
    let query = node.queries.iter().find(|(_, other)| natural(other) == Some(op));
    if let Some((query, _)) = query {
        node.dht.finish_query(*query);
    }
    DONE
}

fn reply(node: &Shared, fields: Fields<'_>, _: &Value) -> Answered {
    let answer = match fields.maybe("value", hex)? {
        Some(value) => Answer::value(value),
        None => Answer::empty(),
    };
    respond(node, fields, answer.token(fields.flag("token", true)?))
}

fn error(node: &Shared, fields: Fields<'_>, _: &Value) -> Answered {
    let answer = Answer::error(fields.get("code", uint)?);
    respond(node, fields, answer.token(fields.flag("token", false)?))
}

fn respond(node: &Shared, fields: Fields<'_>, mut answer: Answer) -> Answered {
    answer = answer.closer_nodes(fields.flag("closerNodes", true)?);
    if let Some(to) = fields.maybe("to", address)? {
        answer = answer.to(to);
    }
    let mut node = node.borrow_mut();
    let request = node.take_incoming(fields.get("request", natural)?)?;
    node.dht.reply(request, answer).map_err(|error| node.explain(error))?;
    DONE
}

fn relay(node: &Shared, fields: Fields<'_>, _: &Value) -> Answered {
    let value: Option<Bytes> = fields.maybe("value", hex)?;
    let to = fields.get("to", address)?;
    let mut node = node.borrow_mut();
    let request = node.take_incoming(fields.get("request", natural)?)?;
    node.dht.relay(request, to, value).map_err(|error| node.explain(error))?;
    DONE
}
