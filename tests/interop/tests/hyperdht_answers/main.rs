//! A node of ours answers each request as one of hyperdht's own does that keeps the same: the same fields, the same
//! value, to the same place, or not at all.
//!
//! What differs on purpose says why. One difference can't show, since all are on the loopback interface: on behalf of
//! senders with public addresses a node of ours sends nothing to local ones.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod announcing;
mod relaying;
mod table;
mod values;

use std::net::SocketAddrV4;

use dht_interop::ours::{self, Network, address, wait};
use dht_interop::probe::Probe;
use dht_interop::theirs::Theirs;
use dht_interop::{js, json};

use announcing::{announcing, announcing_badly, coming_and_going, commands, looking, refreshing};
use relaying::{plugins, relaying, to_ephemeral};
use table::{Table, outcome};
use values::{immutables, mutables};

/// Sends all rows to both nodes, and compares.
fn compare(table: &Table<'_>, ours: SocketAddrV4, theirs: SocketAddrV4) {
    let mut different = Vec::new();
    for row in &table.rows {
        let [ours, theirs] = [ours, theirs].map(|node| table.send(row, node));
        if (ours != theirs) != row.differs.is_some() {
            different.push(format!("{}:\n  ours   {ours:?}\n  theirs {theirs:?}", row.name));
        }
        if let Some(expected) = row.outcome.filter(|expected| *expected != outcome(&theirs)) {
            different.push(format!("{}: {theirs:?}\n  and not {expected:?}", row.name));
        }
    }
    let (count, all) = (different.len(), table.rows.len());
    assert!(
        different.is_empty(),
        "{count} of {all} are not as they should be:\n{}",
        different.join("\n")
    );
}

#[test]
fn a_node_that_stores_answers_as_theirs_does() {
    if !js::available() {
        return;
    }
    let (network, js, probe) = (Network::form(2), Theirs::new(), Probe::new());
    let options = json!({ "bootstrap": [network.bootstrap().to_string()], "persistent": true });
    let node = js.node("theirs", options);
    let (ours, theirs) = (address(&network.nodes()[1]), node.address.parse().unwrap());
    let mut table = Table { js: &js, probe: &probe, rows: Vec::new() };
    for rows in [
        looking,
        commands,
        announcing_badly,
        announcing,
        coming_and_going,
        refreshing,
        mutables,
        immutables,
        relaying,
        plugins,
    ] {
        rows(&mut table);
    }
    assert!(table.rows.len() > 1_000);
    compare(&table, ours, theirs);
}

#[test]
fn a_node_that_does_not_answers_as_theirs_does() {
    if !js::available() {
        return;
    }
    let (network, js, probe) = (Network::form(2), Theirs::new(), Probe::new());
    let node = js.node("theirs", json!({ "bootstrap": [network.bootstrap().to_string()] }));
    let own = ours::node(network.bootstrap(), false);
    wait(own.fully_bootstrapped()).unwrap();
    let mut table = Table { js: &js, probe: &probe, rows: Vec::new() };
    to_ephemeral(&mut table);
    compare(&table, address(&own), node.address.parse().unwrap());
}
