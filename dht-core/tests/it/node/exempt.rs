//! Which addresses the limits per host and per /24 apply to: each limit asks the configuration.

use std::net::SocketAddrV4;

use dht_core::{Config, Exempt, Query};

use crate::support::lab::*;

const PUBLIC: [u8; 3] = [60, 0, 0];
const LOOPBACK: [u8; 3] = [127, 0, 0];

/// Each policy, and whether it limits public addresses, and local ones.
fn policies() -> [(Exempt, bool, bool); 4] {
    [
        (Exempt::Local, true, false),
        (Exempt::Nobody, true, true),
        (Exempt::everybody(), false, false),
        ("60.0.0.0/24".parse().unwrap(), false, true),
    ]
}

/// How much a public and a local network can use: `limit` where the limit applies, `all` elsewhere.
fn each_asks((limit, all): (usize, usize), used: impl Fn(Config, [u8; 3]) -> usize) {
    for (exempt, public, local) in policies() {
        for (prefix, limited) in [(PUBLIC, public), (LOOPBACK, local)] {
            let mut config = Config::default();
            config.exempt = exempt.clone();
            let expected = if limited { limit } else { all };
            assert_eq!(used(config, prefix), expected, "{exempt:?}, {prefix:?}");
        }
    }
}

#[test]
fn delayed_pings_of_a_host() {
    each_asks((4, 9), |config, prefix| {
        let mut lab = Lab::started(config);
        for n in 0..9 {
            let from = SocketAddrV4::new(*neighbour(prefix, 0).ip(), 4_000 + n);
            lab.ask(from, &Ask::internal(DELAYED_PING).value(&500_u32.to_le_bytes()));
        }
        lab.run_ms(600);
        lab.sent.len()
    });
}

#[test]
fn candidates_of_a_network_that_are_asked_at_once() {
    each_asks((3, 8), |config, prefix| {
        let mut lab = Lab::started(config);
        (0..8).for_each(|n| drop(lab.hear_with_id(neighbour(prefix, n), PING)));
        lab.asked(PING).len()
    });
}

#[test]
fn hints_of_a_host() {
    each_asks((5, 8), |config, prefix| {
        let mut config = config;
        config.bootstrap = vec![peer(0).into()];
        let mut lab = Lab::joined(config, 20);
        lab.run_until(|lab| !lab.checked().is_empty());
        lab.run_for(TICK / 10);
        lab.sent.clear();
        (0..8).for_each(|n| lab.hint(neighbour(prefix, 0), peer(n)));
        lab.checked().len()
    });
}

#[test]
fn silent_strangers_of_a_host_that_a_walk_asks() {
    each_asks((4, 20), |config, prefix| {
        let mut lab = Lab::started(config);
        // A local sender may name local addresses.
        let teller = SocketAddrV4::new([prefix[0], 9, 9, 9].into(), 1);
        let named = (1..=20).map(|n| SocketAddrV4::new(*neighbour(prefix, 0).ip(), n));
        lab.peers.insert(teller, Peer::naming(named));
        lab.walk(Query::new(target(1), 16).nodes([teller]).thorough()).1.unwrap();
        let asked: std::collections::BTreeSet<_> = lab.asked(16).into_iter().collect();
        asked.len() - 1
    });
}
