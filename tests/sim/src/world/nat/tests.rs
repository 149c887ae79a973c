use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::world::Purpose;

const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const TIMEOUT: Micros = 60_000_000;
const KINDS: [Kind; 5] = [
    Kind::FullCone,
    Kind::AddressRestricted,
    Kind::PortRestricted,
    Kind::Symmetric,
    Kind::Firewall,
];

fn of_kind(kind: Kind) -> Nat {
    Nat { kind, ..Nat::default() }
}

fn nat_box(config: Nat) -> NatBox {
    config.check().unwrap();
    NatBox::new(config, PUBLIC, Stream::new(7, Purpose::Nat, 0))
}

/// Inner hosts `10.0.0.n`.
fn inner(n: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), port)
}

/// Hosts of the internet, `198.51.100.n`.
fn peer(n: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, n), port)
}

/// The sender as the peer sees it.
fn send(nat: &mut NatBox, now: Micros, from: SocketAddrV4, to: SocketAddrV4) -> SocketAddrV4 {
    match nat.outbound(now, from, to) {
        Outbound::Sent(source) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_maps_and_filters_as_the_table_says() {
    // (kind, let in are: the peer, its address's other port, another address, and to a second
    // peer the same public address is shown)
    for (kind, same, other_port, other_address, one_mapping) in [
        (Kind::FullCone, true, true, true, true),
        (Kind::AddressRestricted, true, true, false, true),
        (Kind::PortRestricted, true, false, false, true),
        (Kind::Symmetric, true, false, false, false),
        (Kind::Firewall, true, false, false, true),
    ] {
        for ports in [Ports::Preserve, Ports::Random] {
            let mut nat = nat_box(Nat { ports, ..of_kind(kind) });
            let host = inner(1, 5_000);
            let source = send(&mut nat, 0, host, peer(1, 1));
            let let_in = |nat: &NatBox, from| nat.inbound(1, from, source) == Some(host);
            assert_eq!(let_in(&nat, peer(1, 1)), same, "{kind:?}");
            assert_eq!(let_in(&nat, peer(1, 2)), other_port, "{kind:?}");
            assert_eq!(let_in(&nat, peer(2, 1)), other_address, "{kind:?}");
            assert_eq!(send(&mut nat, 1, host, peer(2, 1)) == source, one_mapping, "{kind:?}");
            assert_eq!(let_in(&nat, peer(2, 1)), one_mapping, "{kind:?}");
            // Another inner host gains nothing.
            assert_eq!(nat.inbound(1, peer(1, 1), inner(2, 5_000)), None);
            let is_own = source == host;
            assert_eq!(is_own, kind == Kind::Firewall);
            let keeps_port = ports == Ports::Preserve || is_own;
            assert_eq!(source.port() == host.port(), keeps_port, "{kind:?}");
        }
    }
}

#[test]
fn nothing_gets_in_before_anything_got_out() {
    for kind in KINDS {
        let nat = nat_box(of_kind(kind));
        for to in [SocketAddrV4::new(PUBLIC, 5_000), inner(1, 5_000)] {
            assert_eq!(nat.inbound(0, peer(1, 1), to), None);
        }
    }
}

#[test]
fn only_outbound_datagrams_keep_a_mapping_alive() {
    for kind in KINDS {
        let (mut nat, host) = (nat_box(of_kind(kind)), inner(1, 5_000));
        let source = send(&mut nat, 0, host, peer(1, 1));
        let end = TIMEOUT - 1;
        assert_eq!(nat.inbound(end, peer(1, 1), source), Some(host));
        assert_eq!(nat.inbound(TIMEOUT, peer(1, 1), source), None, "that did not refresh it");
        assert_eq!(send(&mut nat, end, host, peer(1, 1)), source);
        assert_eq!(nat.inbound(end + TIMEOUT - 1, peer(1, 1), source), Some(host));
        assert_eq!(nat.inbound(end + TIMEOUT, peer(1, 1), source), None);
    }
}

#[test]
fn a_peer_is_forgotten_though_the_mapping_lives() {
    for (kind, still) in [
        (Kind::FullCone, true),
        (Kind::AddressRestricted, false),
        (Kind::PortRestricted, false),
        (Kind::Symmetric, false),
        (Kind::Firewall, false),
    ] {
        let (mut nat, host) = (nat_box(of_kind(kind)), inner(1, 5_000));
        let source = send(&mut nat, 0, host, peer(1, 1));
        send(&mut nat, TIMEOUT / 2, host, peer(2, 1));
        let let_in = nat.inbound(TIMEOUT, peer(1, 1), source);
        assert_eq!(let_in.is_some(), still, "{kind:?}");
    }
}

#[test]
fn peers_that_ran_out_take_no_memory() {
    let (mut nat, host) = (nat_box(Nat::default()), inner(1, 5_000));
    for n in 0..100 {
        send(&mut nat, u64::from(n) * TIMEOUT / 10, host, peer(n, 1));
        let remembered = nat.mappings.get(&Key { inner: host, peer: None }).unwrap().1.peers.len();
        assert_eq!(remembered, 10.min(usize::from(n) + 1));
    }
}

#[test]
fn an_expired_mapping_leaves_its_port_to_others() {
    let mut nat = nat_box(Nat::default());
    let source = send(&mut nat, 0, inner(1, 5_000), peer(1, 1));
    assert_ne!(send(&mut nat, 1, inner(2, 5_000), peer(1, 1)), source);
    assert_eq!(send(&mut nat, TIMEOUT, inner(3, 5_000), peer(1, 1)), source);
    assert_eq!(nat.mappings.len(), 2, "the expired one is gone");
}

#[test]
fn hairpinning_shows_the_public_address_and_is_filtered() {
    for (kind, at_once) in [
        (Kind::FullCone, true),
        (Kind::AddressRestricted, false),
        (Kind::PortRestricted, false),
        (Kind::Symmetric, false),
    ] {
        let mut nat = nat_box(of_kind(kind));
        let (one, two) = (inner(1, 5_000), inner(2, 6_000));
        let [public_one, public_two] = [one, two].map(|host| send(&mut nat, 0, host, peer(1, 1)));
        let mut pass = |from, to| match nat.outbound(1, from, to) {
            Outbound::Hairpin(source) => {
                assert_eq!(*source.ip(), PUBLIC);
                nat.inbound(1, source, to)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(pass(one, public_two), at_once.then_some(two), "{kind:?}");
        // Now the other one has sent as well, so that both are let in: but a symmetric NAT
        // shows each of them at a port that the other does not know.
        let punched = (kind != Kind::Symmetric).then_some(one);
        assert_eq!(pass(two, public_one), punched, "{kind:?}");
        assert_eq!(pass(one, public_two).is_some(), kind != Kind::Symmetric);
        let mut nat = nat_box(Nat { hairpin: false, ..of_kind(kind) });
        assert_eq!(nat.outbound(0, one, public_two), Outbound::Dropped);
        assert_eq!(nat.mappings.len(), 0);
    }
    let mut firewall = nat_box(of_kind(Kind::Firewall));
    let to = SocketAddrV4::new(PUBLIC, 1);
    assert_eq!(firewall.outbound(0, inner(1, 1), to), Outbound::Sent(inner(1, 1)));
}

#[test]
fn a_rebind_closes_the_old_ports_and_opens_others() {
    for kind in KINDS {
        let mut nat = nat_box(of_kind(kind));
        let hosts: Vec<_> = (0..100).map(|n| inner(n, 5_000)).collect();
        let before: Vec<_> = hosts.iter().map(|h| send(&mut nat, 0, *h, peer(1, 1))).collect();
        nat.rebind();
        let firewall = kind == Kind::Firewall;
        for (host, source) in hosts.iter().zip(&before) {
            let let_in = nat.inbound(1, peer(1, 1), *source);
            assert_eq!(let_in, firewall.then_some(*host));
        }
        let after: Vec<_> = hosts.iter().map(|h| send(&mut nat, 1, *h, peer(1, 1))).collect();
        assert!(after.iter().all(|source| before.contains(source) == firewall));
        for (host, source) in hosts.iter().zip(&after) {
            assert_eq!(nat.inbound(1, peer(1, 1), *source), Some(*host));
        }
    }
}

#[test]
fn beyond_the_bound_the_oldest_mapping_gives_way() {
    let mut nat = nat_box(Nat { mappings_max: 3, ..Nat::default() });
    let hosts = [1, 2, 3, 4].map(|n| inner(n, 5_000 + u16::from(n)));
    let [first, second, third, fourth] = hosts;
    let mut at = 0;
    let mut send = |host| {
        at += 1;
        send(&mut nat, at, host, peer(1, 1))
    };
    let sources = [send(first), send(second), send(third)];
    send(first);
    send(fourth);
    let let_in = sources.map(|source| nat.inbound(9, peer(1, 1), source));
    assert_eq!(let_in, [Some(first), None, Some(third)]);
    assert_eq!(nat.mappings.len(), 3);
}

#[test]
fn beyond_the_bound_the_oldest_peer_gives_way() {
    let mut nat = nat_box(Nat { peers_max: 2, ..Nat::default() });
    let host = inner(1, 5_000);
    for (now, n) in [(0, 1), (1, 2), (2, 1), (3, 3)] {
        send(&mut nat, now, host, peer(n, 1));
    }
    let source = SocketAddrV4::new(PUBLIC, 5_000);
    let let_in = [1, 2, 3].map(|n| nat.inbound(4, peer(n, 1), source).is_some());
    assert_eq!(let_in, [true, false, true]);
}

#[test]
fn with_all_mappings_in_use_each_still_gets_a_port_of_its_own() {
    let mut nat = nat_box(Nat { mappings_max: MAPPINGS_MAX, ..of_kind(Kind::Symmetric) });
    let mut ports = BTreeSet::new();
    for n in 0..MAPPINGS_MAX + 9 {
        let to = SocketAddrV4::new(Ipv4Addr::from(n + 1), 1);
        let source = send(&mut nat, n.into(), inner(1, 5_000), to);
        ports.insert(source.port());
    }
    assert_eq!(nat.mappings.len(), MAPPINGS_MAX as usize);
    assert_eq!(nat.ports.len(), MAPPINGS_MAX as usize);
    let before: BTreeSet<u16> = nat.ports.keys().copied().collect();
    nat.rebind();
    assert_eq!(nat.ports.len(), MAPPINGS_MAX as usize);
    assert!(nat.ports.keys().all(|port| *port >= FIRST_PORT && !before.contains(port)));
}

#[test]
fn impossible_numbers_are_refused() {
    let ok = Nat::default();
    for (nat, field) in [
        (Nat { timeout_us: 0, ..ok }, "timeout_us"),
        (Nat { mappings_max: 0, ..ok }, "mappings_max"),
        (Nat { mappings_max: MAPPINGS_MAX + 1, ..ok }, "mappings_max"),
        (Nat { peers_max: 0, ..ok }, "peers_max"),
        (Nat { peers_max: PEERS_MAX + 1, ..ok }, "peers_max"),
    ] {
        let error = nat.check().unwrap_err();
        assert!(error.starts_with(field), "{error}");
        let mut nat = NatBox::new(nat, PUBLIC, Stream::new(7, Purpose::Nat, 0));
        send(&mut nat, 0, inner(1, 1), peer(1, 1));
        assert_eq!(nat.mappings.len(), 1, "but it does no harm");
    }
    let nat: Nat = serde_json::from_str(r#"{"kind": "symmetric", "ports": "random"}"#).unwrap();
    assert_eq!(nat, Nat { kind: Kind::Symmetric, ports: Ports::Random, ..ok });
    assert!(serde_json::from_str::<Nat>(r#"{"timeout": 1}"#).is_err());
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(usize, usize),
    Wait(Micros),
    Rebind,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4_usize, 0..4_usize).prop_map(|(host, peer)| Op::Send(host, peer)),
        3 => (1..TIMEOUT).prop_map(Op::Wait),
        1 => Just(Op::Wait(TIMEOUT)),
        1 => Just(Op::Rebind),
    ]
}

proptest! {
    /// The model: when each host last sent to each peer. The hosts' ports are the same, and so are
    /// the peers' addresses and ports, two by two.
    #[test]
    fn follows_the_model(
        kind in prop::sample::select(&KINDS[..]),
        ports in prop::sample::select(&[Ports::Preserve, Ports::Random][..]),
        seed: u64,
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let hosts = [inner(1, 5_000), inner(1, 6_000), inner(2, 5_000), inner(2, 6_000)];
        let peers = [peer(1, 1), peer(1, 2), peer(2, 1), peer(2, 2)];
        let config = Nat { ports, ..of_kind(kind) };
        let mut nat = NatBox::new(config, PUBLIC, Stream::new(seed, Purpose::Nat, 0));
        let mut sent = [[None::<Micros>; 4]; 4];
        // What each peer has seen each host as, since the last rebind.
        let mut seen = [[None::<SocketAddrV4>; 4]; 4];
        let mut now = 0;
        let fresh = |now: Micros, at: &Option<Micros>| at.is_some_and(|at| now - at < TIMEOUT);
        for op in ops {
            match op {
                Op::Wait(us) => now += us,
                Op::Rebind => {
                    nat.rebind();
                    if kind != Kind::Firewall {
                        // Ports of mappings that have run out are free, and may be among the new.
                        let fresh = sent.as_flattened().iter().map(|at| fresh(now, at));
                        for (seen, fresh) in seen.as_flattened_mut().iter_mut().zip(fresh) {
                            let Some(source) = seen.take().filter(|_| fresh) else { continue };
                            for peer in peers {
                                prop_assert_eq!(nat.inbound(now, peer, source), None);
                            }
                        }
                    }
                }
                Op::Send(host, peer) => {
                    let mapped = match kind {
                        Kind::Symmetric => fresh(now, &sent[host][peer]),
                        _ => sent[host].iter().any(|at| fresh(now, at)),
                    };
                    let source = send(&mut nat, now, hosts[host], peers[peer]);
                    let known = match kind {
                        Kind::Symmetric => seen[host][peer],
                        _ => seen[host].into_iter().flatten().next(),
                    };
                    if mapped && known.is_some() {
                        prop_assert_eq!(Some(source), known);
                    } else if kind != Kind::Symmetric {
                        seen[host] = [None; 4];
                    }
                    sent[host][peer] = Some(now);
                    seen[host][peer] = Some(source);
                }
            }
            let mut used = BTreeSet::new();
            for (host, (sent, seen)) in sent.iter().zip(&seen).enumerate() {
                let mapped = sent.iter().any(|at| fresh(now, at));
                for (n, at) in sent.iter().enumerate() {
                    let Some(source) = seen[n] else { continue };
                    let expected = match kind {
                        Kind::FullCone => mapped,
                        // Two by two, peers have one address.
                        Kind::AddressRestricted => fresh(now, at) || fresh(now, &sent[n ^ 1]),
                        _ => fresh(now, at),
                    };
                    if expected {
                        prop_assert_eq!(nat.inbound(now, peers[n], source), Some(hosts[host]));
                    } else {
                        // Its port may be another host's by now, but never its own.
                        prop_assert_ne!(nat.inbound(now, peers[n], source), Some(hosts[host]));
                    }
                }
                // A public port is one host's.
                if mapped && kind != Kind::Symmetric {
                    if let Some(source) = seen.iter().flatten().next() {
                        prop_assert!(used.insert(*source), "{} is shared", source);
                    }
                }
            }
            prop_assert!(nat.mappings.len() <= 16);
            let ports = if kind == Kind::Firewall { 0 } else { nat.mappings.len() };
            prop_assert_eq!(nat.ports.len(), ports);
        }
    }

    #[test]
    fn after_the_time_out_nothing_gets_in(
        kind in prop::sample::select(&KINDS[..]),
        sends in prop::collection::vec((0..4_u8, 0..4_u16, 0..4_u8, 0..4_u16), 1..40),
        seed: u64,
    ) {
        let mut nat = NatBox::new(of_kind(kind), PUBLIC, Stream::new(seed, Purpose::Nat, 0));
        let mut sources = BTreeSet::new();
        for (now, (host, port, to, to_port)) in (0..).zip(&sends) {
            sources.insert(send(&mut nat, now, inner(*host, 1 + port), peer(*to, 1 + to_port)));
        }
        let end = sends.len() as Micros - 1 + TIMEOUT;
        for (_, _, to, to_port) in &sends {
            for source in &sources {
                prop_assert_eq!(nat.inbound(end, peer(*to, 1 + to_port), *source), None);
            }
        }
        send(&mut nat, end, inner(1, 1), peer(1, 1));
        prop_assert_eq!(nat.mappings.len(), 1);
    }
}
