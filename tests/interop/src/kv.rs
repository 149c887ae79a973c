//! Applications of the stories: they answer the `request` events of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::node::Node;

/// The command of the key-value store.
pub const VALUES: u64 = 0;

/// What an application does with a request: the op, and its fields besides node and request.
#[derive(Debug)]
pub struct Act(&'static str, Value);

/// A reply with these fields.
#[must_use]
pub fn reply(fields: Value) -> Act {
    Act("reply", fields)
}

/// An error reply with these fields.
#[must_use]
pub fn error(fields: Value) -> Act {
    Act("error", fields)
}

/// Passes the request on.
#[must_use]
pub fn relay(fields: Value) -> Act {
    Act("relay", fields)
}

/// Lets `app` answer all requests to these nodes, which belong to one agent, from now on and on
/// a thread of its own. Answering `None` leaves a request alone.
pub fn serve(nodes: &[Node<'_>], mut app: impl FnMut(&Value) -> Option<Act> + Send + 'static) {
    let Some(first) = nodes.first() else { return };
    let agent = first.agent();
    let numbers: BTreeSet<u64> = nodes.iter().map(|node| node.number()).collect();
    let wire = Arc::clone(agent.wire());
    let mut place = agent.now();
    for node in nodes {
        node.ok("listen", json!({ "event": "request", "on": true }));
    }
    thread::spawn(move || {
        while let Some(line) = wire.log.at(place) {
            place += 1;
            let ours = line["node"].as_u64().is_some_and(|number| numbers.contains(&number));
            if line["event"] != "request" || !ours {
                continue;
            }
            if let Some(Act(op, mut fields)) = app(&line) {
                fields["node"] = line["node"].clone();
                fields["request"] = line["request"].clone();
                wire.send(&[(op, fields)]);
            }
        }
    });
}

/// Answers every request by its own value.
pub fn serve_echo(node: Node<'_>) {
    serve(&[node], |request| Some(reply(json!({ "value": request["value"] }))));
}

/// The key-value store of dht-rpc's README: a value that comes with a token is kept under its
/// SHA-256, any other request is a look-up. Each node has a store of its own.
pub fn serve_values(nodes: &[Node<'_>]) {
    let mut stores: BTreeMap<u64, BTreeMap<String, Value>> = BTreeMap::new();
    serve(nodes, move |request| {
        if request["command"] != VALUES {
            return Some(error(json!({ "code": 1 })));
        }
        let store = stores.entry(request["node"].as_u64()?).or_default();
        if !request["token"].is_null() {
            let value = &request["value"];
            store.insert(sha256(&bytes_of(value.as_str()?)), value.clone());
            return Some(reply(json!({})));
        }
        Some(reply(json!({ "value": store.get(request["target"].as_str()?) })))
    });
}

/// SHA-256, in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as lowercase hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hex stands for.
#[must_use]
pub fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}
