//! The scripts of dht-rpc's README, run as they are printed, against a network of ours; and our
//! nodes against theirs.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used)]

use dht_interop::kv::{VALUES, hex, serve_values, sha256};
use dht_interop::readme::{Network, readme};
use dht_interop::stage::{bootstrapper, ephemeral, persistent};
use dht_interop::{Agent, js, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

#[test]
fn the_readme_works_on_its_own_network() {
    if !js::available() {
        return;
    }
    let network = Network::of(20);
    let key = readme("put", "in theirs", network.bootstrap()).unwrap();
    assert_eq!(key, sha256(b"in theirs"));
    assert_eq!(readme("get", &key, network.bootstrap()).as_deref(), Some("in theirs"));
    assert_eq!(readme("get", &sha256(b"never put"), network.bootstrap()), None);
}

#[test]
fn the_readme_puts_and_gets_in_our_network() {
    if !js::available() {
        return;
    }
    let agent = Agent::rust(RUST);
    let first = bootstrapper(&agent);
    let mut nodes = vec![first];
    nodes.extend((0..9).map(|_| persistent(&agent, &first.bootstrap())));
    serve_values(&nodes);

    let key = readme("put", "in ours", &first.bootstrap()).unwrap();
    assert_eq!(key, sha256(b"in ours"));
    assert_eq!(readme("get", &key, &first.bootstrap()).as_deref(), Some("in ours"));
    assert_eq!(readme("get", &sha256(b"never put"), &first.bootstrap()), None);

    // A node of ours finds it as well.
    let asks = ephemeral(&agent, &[&first.bootstrap()]);
    asks.ok("query", json!({ "target": key, "command": VALUES }));
    assert!(asks.events("data").iter().any(|data| data["reply"]["value"] == hex(b"in ours")));
}

#[test]
fn our_nodes_put_and_get_in_the_readmes_network() {
    if !js::available() {
        return;
    }
    let network = Network::of(20);
    let agent = Agent::rust(RUST);
    let node = ephemeral(&agent, &[network.bootstrap()]);
    let (value, key) = (hex(b"by us"), sha256(b"by us"));

    let put = json!({ "target": key, "command": VALUES, "value": value, "commit": true });
    node.ok("query", put);
    assert_eq!(readme("get", &key, network.bootstrap()).as_deref(), Some("by us"));

    let theirs = readme("put", "by them", network.bootstrap()).unwrap();
    node.ok("query", json!({ "target": theirs, "command": VALUES }));
    assert!(node.events("data").iter().any(|data| data["reply"]["value"] == hex(b"by them")));
}
