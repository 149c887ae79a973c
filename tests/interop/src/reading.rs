//! Our reading of a datagram, in the terms of the reference's.

use std::net::SocketAddrV4;

use dht_core::Id;
use dht_core::wire::{self, Message};
use serde_json::{Value, json};

use crate::kv::hex;

/// Where ours is stricter on purpose: of a long list of closer nodes the first 20 are read.
#[must_use]
pub fn as_strict(mut theirs: Value) -> Value {
    if let Some(nodes) = theirs.get_mut("closerNodes").and_then(Value::as_array_mut) {
        nodes.truncate(wire::CLOSER_NODES_MAX);
    }
    theirs
}

/// What ours makes of a datagram, as [`Judge::read`](crate::judge::Judge::read) would tell it.
#[must_use]
pub fn read(from: SocketAddrV4, datagram: &[u8]) -> Value {
    let hexed = |bytes: Option<&[u8]>| bytes.map(hex);
    let addr = |addr: SocketAddrV4| json!({ "host": addr.ip().to_string(), "port": addr.port() });
    let proven = |id: Option<&[u8; 32]>| id.filter(|id| **id == Id::of(from).0).map(|id| hex(id));
    match wire::decode(datagram) {
        // The node drops what comes from port 0, whatever it says.
        _ if from.port() == 0 => Value::Null,
        Err(_) => Value::Null,
        Ok(Message::Request(request)) => json!({
            "kind": "request",
            "tid": request.tid,
            "to": addr(request.to),
            "id": proven(request.id),
            "token": hexed(request.token.map(|token| &token[..])),
            "internal": request.internal,
            "command": request.command.to_string(),
            "target": hexed(request.target.map(|target| &target[..])),
            "value": hexed(request.value),
        }),
        Ok(Message::Response(response)) => json!({
            "kind": "response",
            "tid": response.tid,
            "to": addr(response.to),
            "id": proven(response.id),
            "token": hexed(response.token.map(|token| &token[..])),
            "closerNodes": response.closer_nodes.map(|nodes| nodes.iter().map(addr).collect::<Vec<_>>()),
            "error": response.error.to_string(),
            "value": hexed(response.value),
        }),
    }
}
