//! hyperdht, the next layer up, runs over nodes that know nothing of it.

use std::process::Stdio;

use dht_interop::stage::{bootstrapper, persistent};
use dht_interop::{Agent, Node, js, json};

const RUST: Option<&str> = option_env!("CARGO_BIN_EXE_dht-agent");

#[test]
fn a_client_finds_a_server_over_our_bootstrap_nodes() {
    if !js::available() {
        return;
    }
    let agent = Agent::rust(RUST);
    let first = bootstrapper(&agent);
    let others = [(); 3].map(|()| persistent(&agent, &first.bootstrap()));
    let mut bootstrap = vec![first.bootstrap()];
    bootstrap.extend(others.map(Node::bootstrap));

    first.ok("listen", json!({ "event": "add-node", "on": true }));
    let run = js::script("hyperdht.mjs").args(bootstrap).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
    assert!(told.contains(r#"{"step":"done"}"#), "{told}");

    // It did go through our nodes: they met those that stored the announcement.
    assert!(first.events("add-node").len() >= 3);
}
