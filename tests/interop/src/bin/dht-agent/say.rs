//! Writing lines, and the library's values as JSON.

use std::io::{self, Write};
use std::net::SocketAddrV4;

use dht_core::driver::{Dht, ReplyStats, RttStats};
use dht_core::{CommandCount, Config, Event, Id, K, Outcome, Peer, Reply, Stats};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Writes one line. A caller who no longer listens is about to close our input as well.
pub(crate) fn line(line: &Value) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Answers an op.
pub(crate) fn answer(id: &Value, result: Result<Value, Failure>) {
    line(&match result {
        Ok(value) => json!({ "id": id, "ok": value }),
        Err(Failure { code, message }) => {
            json!({ "id": id, "error": { "code": code, "message": message } })
        }
    });
}

/// Announces an event; `fields` is an object.
pub(crate) fn event(node: u64, name: &str, mut fields: Value) {
    fields["event"] = json!(name);
    fields["node"] = json!(node);
    line(&fields);
}

/// A change of state as the protocol tells it: its name and further fields.
pub(crate) fn change(event: &Event) -> Option<(&'static str, Value)> {
    let entry = |addr: &SocketAddrV4| json!({ "id": hex(&Id::of(*addr).0), "host": addr.ip().to_string(), "port": addr.port() });
    Some(match event {
        Event::NatUpdate { host, port } => {
            let host = host.map(|ip| ip.to_string());
            ("nat-update", json!({ "host": host, "port": port }))
        }
        Event::NodeAdded(addr) => ("add-node", entry(addr)),
        Event::NodeRemoved(addr) => ("remove-node", entry(addr)),
        event => (plain(event)?, json!({})),
    })
}

fn plain(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Listening => "listening",
        Event::Ready => "ready",
        Event::Persistent => "persistent",
        Event::Ephemeral => "ephemeral",
        Event::WakeUp => "wakeup",
        Event::NetworkChange => "network-change",
        Event::NetworkUpdate => "network-update",
        Event::Suspended => "suspend",
        Event::Resumed => "resume",
        Event::Closed => "close",
        _ => return None,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn address(addr: SocketAddrV4) -> Value {
    json!({ "host": addr.ip().to_string(), "port": addr.port() })
}

pub(crate) fn addresses(addrs: &[SocketAddrV4]) -> Value {
    addrs.iter().copied().map(address).collect()
}

pub(crate) fn peer(Peer { addr, id }: Peer) -> Value {
    let id = id.map(|id| hex(&id.0));
    json!({ "host": addr.ip().to_string(), "port": addr.port(), "id": id })
}

pub(crate) fn reply(reply: &Reply) -> Value {
    json!({
        "from": peer(reply.from),
        "to": address(reply.seen_as),
        "token": reply.token.map(|token| hex(token.as_bytes())),
        "closerNodes": reply.closer_nodes.as_deref().map(addresses),
        "error": reply.error,
        "value": reply.value.as_deref().map(hex),
        "rtt": reply.rtt.as_secs_f64() * 1e3,
    })
}

pub(crate) fn outcome(outcome: &Outcome) -> Value {
    json!({
        "closest": outcome.closest.iter().map(reply).collect::<Value>(),
        "successes": outcome.successes,
        "errors": outcome.errors,
    })
}

pub(crate) fn rtt_stats(stats: &RttStats) -> Value {
    let about = |of: &ReplyStats| {
        json!({
            "avgRtt": of.avg_rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            "errors": of.errors,
            "avgCloserNodes": of.avg_closer_nodes,
        })
    };
    json!({
        "successes": stats.successes,
        "errors": stats.errors,
        "responses": about(&stats.responses),
        "closestReplies": about(&stats.closest_replies),
    })
}

/// The state of a node. Before it is started it has neither addresses nor ids.
pub(crate) fn info(dht: &Dht, started: bool, destroyed: bool) -> Value {
    let (config, status) = (dht.config(), dht.status());
    let health = status.health;
    let known = |addr: Option<SocketAddrV4>| addr.filter(|_| started);
    let bound = |addr| known(addr).map(|addr| addr.port());
    json!({
        "id": status.id.filter(|_| started).map(|id| hex(&id.0)),
        "tableId": started.then(|| hex(&status.table_id.0)),
        "host": status.host.filter(|_| started).map(|ip| ip.to_string()),
        "port": if started { status.port } else { 0 },
        "ephemeral": status.ephemeral,
        "firewalled": status.firewalled,
        "randomized": status.randomized,
        "bootstrapped": status.bootstrapped,
        "suspended": status.suspended,
        "destroyed": destroyed,
        "online": health.online,
        "degraded": health.degraded,
        "address": known(status.address).map(address),
        "localAddress": known(dht.local_address()).map(address),
        "remoteAddress": known(status.remote_address).map(address),
        "serverPort": bound(status.server_address),
        "clientPort": bound(status.client_address),
        "bootstrap": bootstrap(&config),
        "size": status.table_len,
        "k": K,
        "stats": stats(&dht.stats()),
        "health": {
            "online": health.online,
            "degraded": health.degraded,
            "cold": health.cold,
            "idle": health.idle,
            "responses": health.responses,
            "timeouts": health.timeouts,
            "timeoutsRate": health.timeouts_rate,
        },
        "config": {
            "concurrency": config.concurrency,
            "maxWindow": config.max_window,
            "maxPingDelay": u64::try_from(config.max_ping_delay.as_millis()).unwrap_or(u64::MAX),
            "sendDownHints": config.send_down_hints,
            "downHintsRateLimit": config.down_hints_rate_limit.map_or(-1, i64::from),
            "portRange": status.port_range.bounds(),
        },
    })
}

fn bootstrap(config: &Config) -> Value {
    let nodes = config.bootstrap.iter();
    nodes.map(|node| json!({ "host": node.host(), "port": node.port() })).collect()
}

fn stats(stats: &Stats) -> Value {
    let count = |count: CommandCount| json!({ "tx": count.tx, "rx": count.rx });
    let (requests, commands) = (stats.requests, stats.commands);
    json!({
        "queries": { "active": stats.queries.active, "total": stats.queries.total },
        "requests": {
            "active": requests.active,
            "total": requests.total,
            "responses": requests.responses,
            "timeouts": requests.timeouts + requests.unsent,
            "retries": requests.retries,
        },
        "commands": {
            "ping": count(commands.ping),
            "pingNat": count(commands.ping_nat),
            "findNode": count(commands.find_node),
            "downHint": count(commands.down_hint),
        },
    })
}
