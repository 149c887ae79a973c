//! What attackers achieve in networks that no node knows all of. `tests/HARDENING-RESULTS.md` has the same at full size, each with
//! its defence and without.

use dht_sim::Sim;
use dht_sim::addresses::Addresses;
use dht_sim::results::hostile::{Hosts, eclipse, poisoned, settled, store};

const NODES: u32 = 1_000;
const SEED: u64 = 7;

fn network(nodes: u32) -> Sim {
    settled(SEED, nodes, None).unwrap()
}

/// S6, S7, H4: quotas hold what is found near a key, however many ports a host has.
#[test]
fn few_hosts_near_a_key_are_few_of_the_nodes_found() {
    let plain = network(NODES);
    let shared = settled(SEED, NODES, Some(Addresses::default())).unwrap();
    for (hosts, most) in [(Hosts::Apart(1), 2), (Hosts::Together(16), 3), (Hosts::Apart(4), 8)] {
        // Where many share addresses, tables know few hosts.
        for (settled, most) in [(&plain, most), (&shared, most * 3 / 2)] {
            let eclipse = eclipse(settled, hosts, 3).unwrap();
            eprintln!("{hosts:?}: {:.2} of 20, {eclipse:?}", eclipse.mean());
            assert!(eclipse.worst <= most, "{hosts:?}: {eclipse:?}");
        }
    }
}

/// S8, H1: one in five is hostile and names its own kind only. A result that is too thin is not believed.
#[test]
fn one_in_five_captures_no_lookup() {
    let seen = poisoned(network(NODES), Hosts::Apart(NODES / 4), NODES / 4, 5, 400).unwrap();
    eprintln!("S8: {seen:?}");
    assert!(seen.none == 0 && seen.recall >= 0.999, "{seen:?}");
}

/// H2: the same by four hosts with many ports each.
#[test]
fn four_hosts_with_many_ports_capture_no_lookup() {
    let seen = poisoned(network(NODES), Hosts::Apart(4), 300, 5, 400).unwrap();
    eprintln!("H2: {seen:?}");
    assert!(seen.none == 0 && seen.recall >= 0.999, "{seen:?}");
}

/// H3: a host has two places in a table, in deep buckets too, which are never full.
#[test]
fn one_host_has_two_places_of_a_table() {
    let seen = poisoned(network(300), Hosts::Apart(1), 1_000, 5, 40).unwrap();
    eprintln!("H3: {seen:?}");
    assert!(seen.in_tables <= 0.05, "{seen:?}");
}

/// H5: where sixteen hosts crowd a key, values are stored beyond the twenty nearest nodes too, and found there.
#[test]
fn values_survive_a_crowd_at_their_keys() {
    let settled = network(NODES);
    let stored = store(&settled, Hosts::Apart(16), 3).unwrap();
    eprintln!("H5: {stored:?}");
    assert!(stored.fewest >= 3 && stored.commits <= 60 * stored.values, "{stored:?}");
    assert_eq!(stored.found, stored.lookups, "{stored:?}");
    // Where nobody does, twenty nodes are enough.
    let calm = store(&settled, Hosts::Apart(0), 20).unwrap();
    assert_eq!((calm.commits, calm.found), (20 * calm.values, calm.lookups), "{calm:?}");
}

/// Honest nodes that share /24s, addresses and NATs are found as well as all nodes.
#[test]
fn honest_neighbours_are_found() {
    let settled = settled(SEED, NODES, Some(Addresses::default())).unwrap();
    let alone = Hosts::Apart(1);
    // One hostile node is never a majority.
    let seen = poisoned(settled, alone, 1, 1, 200).unwrap();
    eprintln!("neighbours: {seen:?}");
    assert!(seen.recall >= 0.98, "{seen:?}");
}
