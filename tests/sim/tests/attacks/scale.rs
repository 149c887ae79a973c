//! S6, S7 and S8 in networks of 1,000 nodes, of which no node knows all. `cargo sim results S6 S8` has them in full,
//! with 1,000 and 3,000.
//!
//! The goals of `HARDENING.md` are missed: an attacker near a key holds up to all of the 20 that are found, and up to one
//! lookup in five among a fifth of hostile nodes ends with these alone. Until that is mended, the tests hold what is reached: worse
//! it must not become.

use dht_sim::addresses::Addresses;
use dht_sim::results::hostile::{Hosts, eclipse, poisoned, settled};

const NODES: u32 = 1_000;
const SEED: u64 = 7;

/// Goal: at most 2 of 20. Reached: 7.75 of 20 on average, a majority in 5 % of the lookups; 8.14 and 5 % where honest
/// nodes share addresses.
#[test]
fn s6_one_host_near_a_key_of_a_large_network() {
    for addresses in [None, Some(Addresses::default())] {
        let settled = settled(SEED, NODES, addresses).unwrap();
        let eclipse = eclipse(&settled, Hosts::Apart(1), 4).unwrap();
        eprintln!("S6, shared: {}: {eclipse:?}, {:.2} of 20", addresses.is_some(), eclipse.mean());
        assert!(eclipse.mean() <= 9.0, "{eclipse:?}");
        assert!(eclipse.majority * 8 <= eclipse.lookups, "{eclipse:?}");
    }
}

/// Goal: recall 0.95, an honest one in 99.9 % of the lookups. Reached after 5 minutes of the attack: 0.805, and 80.5 %
/// (each of the other lookups ended with 20 hostile nodes); after 20 minutes 0.942 and 94.2 %.
#[test]
fn s8_one_in_five_of_a_large_network() {
    let settled = settled(SEED, NODES, None).unwrap();
    let seen = poisoned(settled, Hosts::Apart(NODES / 4), NODES / 4, 5, 200).unwrap();
    eprintln!("S8: {seen:?}");
    assert!(seen.recall >= 0.75, "{seen:?}");
    assert!(seen.none * 4 <= seen.lookups, "{seen:?}");
}

/// Honest nodes that share /24s, addresses and NATs are found as well as all nodes.
#[test]
fn honest_neighbours_are_found() {
    let settled = settled(SEED, NODES, Some(Addresses::default())).unwrap();
    let alone = Hosts::Apart(1);
    // One hostile node is never a majority.
    let seen = poisoned(settled, alone, 1, 1, 200).unwrap();
    eprintln!("neighbours: {seen:?}");
    assert!(seen.recall >= 0.999, "{seen:?}");
}
