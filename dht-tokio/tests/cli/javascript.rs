//! The scripts of dht-rpc's README, run by Node.js, and the command use each other's networks.

use dht_interop::js;
use dht_interop::readme::{Network, readme};

use crate::support::{dht, testnet};
use crate::{ABSENT, key};

/// Our `get`, as [`readme`] runs theirs.
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
        both_put_and_get(Network::of(30).bootstrap());
    }
}
