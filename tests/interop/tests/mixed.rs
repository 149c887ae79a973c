//! A network of both implementations stores values for either.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use dht_interop::kv::{VALUES, hex, serve_values, sha256};
use dht_interop::stage::{bootstrapper, both_ways, ephemeral, persistent_options};
use dht_interop::{Agent, Node, Value, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

/// Nodes of each side.
const NODES: usize = 20;

/// Starts nodes together and waits until all are part of the network.
fn crowd<'a>(agent: &'a Agent, bootstrap: &str) -> Vec<Node<'a>> {
    let start = |_| {
        let node = Node::create(agent, persistent_options(bootstrap)).unwrap();
        node.ok("start", json!({}));
        node
    };
    let nodes: Vec<_> = (0..NODES).map(start).collect();
    for node in &nodes {
        node.ok("bootstrapped", json!({}));
        assert_eq!(node.info()["ephemeral"], false);
    }
    nodes
}

/// Stores by a query that commits.
fn put(node: Node<'_>, value: &str) {
    let target = sha256(value.as_bytes());
    let fields = json!({
        "target": target, "command": VALUES, "value": hex(value.as_bytes()), "commit": true,
    });
    node.ok("query", fields);
}

/// Stores by a commit of the caller's own: a query, then requests with the tokens it brought.
fn put_by_hand(node: Node<'_>, value: &str) {
    let target = sha256(value.as_bytes());
    let result = node.ok("query", json!({ "target": target, "command": VALUES }));
    let closest = result["closest"].as_array().unwrap();
    assert_eq!(closest.len(), 20);
    for reply in closest {
        let fields = json!({
            "to": { "host": reply["from"]["host"], "port": reply["from"]["port"] },
            "target": target, "command": VALUES, "value": hex(value.as_bytes()),
            "token": reply["token"],
        });
        assert_eq!(node.ok("request", fields)["error"], 0);
    }
}

/// How many of the nodes that a query meets have the value.
fn count(node: Node<'_>, value: &str) -> usize {
    let fields = json!({ "target": sha256(value.as_bytes()), "command": VALUES });
    let query = node.send("query", fields);
    let result = node.agent().answer(query).unwrap();
    assert!(result["successes"].as_u64() >= Some(20), "{result}");
    let holds = |event: &&Value| {
        event["query"] == query && event["reply"]["value"] == hex(value.as_bytes())
    };
    node.events("data").iter().filter(holds).count()
}

#[test]
fn what_one_side_stores_the_other_finds() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let (ours, theirs) = (crowd(here, &first.bootstrap()), crowd(there, &first.bootstrap()));
        serve_values(&ours);
        serve_values(&theirs);
        serve_values(&[first]);

        let mine = ephemeral(here, &[&first.bootstrap()]);
        let yours = ephemeral(there, &[&first.bootstrap()]);
        for (from, to) in [(mine, yours), (yours, mine)] {
            let name = from.agent().name();
            let (value, other) = (format!("committed by {name}"), format!("by hand, {name}"));
            assert_eq!(count(to, &value), 0, "nobody has it yet");
            put(from, &value);
            assert!(count(to, &value) > 0, "{value}");
            put_by_hand(from, &other);
            assert!(count(to, &other) > 0, "{other}");
        }

        // Both kinds of nodes took part.
        for nodes in [&ours, &theirs] {
            let stored =
                |node: &&Node<'_>| node.events("request").iter().any(|e| e["token"].is_string());
            assert!(nodes.iter().any(|node| stored(&node)));
        }
    });
}

#[test]
fn every_node_finds_the_closest_of_both_kinds() {
    both_ways(RUST, |here, there| {
        let first = bootstrapper(there);
        let (ours, theirs) = (crowd(here, &first.bootstrap()), crowd(there, &first.bootstrap()));
        let asks = ephemeral(here, &[&first.bootstrap()]);
        for node in ours.iter().chain(&theirs).step_by(5) {
            // Nobody is closer to a node's id than the node itself.
            let info = node.info();
            let result = asks.ok("findNode", json!({ "target": info["id"] }));
            assert_eq!(result["closest"][0]["from"]["id"], info["id"]);
        }
    });
}
