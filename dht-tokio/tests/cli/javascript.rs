//! The scripts of dht-rpc's README, run by Node.js, and the command use each other's networks.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use dht_interop::js;

use crate::support::{dht, testnet};
use crate::{ABSENT, key};

/// The README's network; its process ends with this.
struct Readme {
    child: Child,
    bootstrap: String,
}

impl Readme {
    fn network(nodes: usize) -> Self {
        let mut child = js::script("readme.mjs")
            .args(["network", "--nodes", &nodes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut bootstrap = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut bootstrap).unwrap();
        Self { child, bootstrap: bootstrap.trim().to_owned() }
    }
}

impl Drop for Readme {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the README's `put` or `get`: what it prints, unless it fails.
fn readme(mode: &str, argument: &str, bootstrap: &str) -> Option<String> {
    let run = js::script("readme.mjs")
        .args([mode, argument, "--bootstrap", bootstrap])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8(run.stdout).unwrap().trim().to_owned();
    run.status.success().then_some(printed)
}

/// Our `get`, in the same way.
fn get(key: &str, bootstrap: &str) -> Option<String> {
    let run = dht(&["get", key, "--bootstrap", bootstrap]);
    assert_eq!(run.code == Some(0), !run.stdout.is_empty(), "{}", run.stderr);
    (run.code == Some(0)).then(|| run.text())
}

/// Values put by either side are got by either side.
fn both_put_and_get(bootstrap: &str) {
    let theirs = readme("put", "by them", bootstrap).unwrap();
    assert_eq!(theirs, key("by them"));
    let put = dht(&["put", "by us", "--bootstrap", bootstrap]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    assert!(put.stderr.contains("stored with 20 nodes"), "{}", put.stderr);

    for (value, key) in [("by them", &*theirs), ("by us", put.text().trim())] {
        assert_eq!(readme("get", key, bootstrap).as_deref(), Some(value));
        assert_eq!(get(key, bootstrap).as_deref(), Some(value));
    }
    assert_eq!(readme("get", ABSENT, bootstrap), None);
    assert_eq!(get(ABSENT, bootstrap), None);
}

#[test]
fn in_our_network() {
    if js::available() {
        both_put_and_get(&testnet(30).address);
    }
}

#[test]
fn in_the_readmes_network() {
    if js::available() {
        both_put_and_get(&Readme::network(30).bootstrap);
    }
}
