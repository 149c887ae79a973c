//! How much a /24 may store and have checked.

use std::time::Duration;

use dht_core::hyperdht::{Action, KeyPair, ServiceConfig, ServiceStats, StoreStats, command, hash};
use dht_core::{Exempt, Id};

use super::serving_rig::{Rig, Said, done, host, pair, stored, topic_of};

/// Room for 45 to 100 of the entries below in each store, with pointers of 32 bits up to 121, and signatures checked without end.
fn small() -> ServiceConfig {
    ServiceConfig {
        topic_bytes: 40_000,
        peer_bytes: 40_000,
        refresh_bytes: 40_000,
        bump_bytes: 40_000,
        mutable_bytes: 40_000,
        immutable_bytes: 40_000,
        checks_per_second: u32::MAX,
        checks_per_source: u32::MAX,
        ..ServiceConfig::default()
    }
}

/// A kind of entry: how number `n` is stored by somebody, whether it is there, and its store.
struct Kind {
    name: &'static str,
    put: fn(&mut Rig, u16, std::net::SocketAddrV4),
    is_there: fn(&mut Rig, u16) -> bool,
    stats: fn(&ServiceStats) -> StoreStats,
}

/// The topic that only number `n` announces.
fn topic(n: u16) -> Id {
    hash(&n.to_le_bytes())
}

/// A token, and its hash.
fn refresh(n: u16) -> ([u8; 32], [u8; 32]) {
    let token = topic(n).0;
    (token, hash(&token).0)
}

fn announces(rig: &mut Rig, from: std::net::SocketAddrV4, pair: &KeyPair, topic: Id, said: &Said) {
    assert_eq!(rig.announce(from, pair, topic, said), done());
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "topics",
        put: |rig, n, from| announces(rig, from, &pair(n), topic(0), &Said::default()),
        is_there: |rig, n| {
            // A lookup shows 20 of them only, and one of each /24 if there are 20, so it takes some.
            let key = pair(n).public_key();
            (0..1_000).any(|_| rig.peers(topic(0)).iter().any(|peer| peer.public_key == key))
        },
        stats: |stats| stats.topics,
    },
    Kind {
        name: "peers",
        put: |rig, n, from| {
            announces(rig, from, &pair(n), topic_of(&pair(n)), &Said::default());
        },
        is_there: |rig, n| rig.get(command::FIND_PEER, topic_of(&pair(n))).is_some(),
        stats: |stats| stats.peers,
    },
    Kind {
        name: "refreshes",
        put: |rig, n, from| {
            let said = Said { refresh: Some(refresh(n).1), ..Said::default() };
            announces(rig, from, &pair(0), topic(n), &said);
        },
        is_there: |rig, n| rig.clone().refresh(host(60_000, 1), topic(n), refresh(n).0) == done(),
        stats: |stats| stats.refreshes,
    },
    Kind {
        name: "bumps",
        put: |rig, n, from| {
            rig.service.handle_wall_clock(rig.now, Duration::from_secs(1));
            announces(rig, from, &pair(0), topic(n), &Said { bump: 5, ..Said::default() });
        },
        is_there: |rig, n| {
            // For a topic without peers nothing is answered, not even a bump.
            let mut rig = rig.clone();
            announces(&mut rig, host(60_000, 1), &pair(1), topic(n), &Said::default());
            rig.bump(topic(n)) == 5
        },
        stats: |stats| stats.bumps,
    },
    Kind {
        name: "mutables",
        put: |rig, n, from| assert_eq!(rig.put(from, &pair(n), 1, b"value"), stored()),
        is_there: |rig, n| rig.get(command::MUTABLE_GET, topic_of(&pair(n))).is_some(),
        stats: |stats| stats.mutables,
    },
    Kind {
        name: "immutables",
        put: |rig, n, from| assert_eq!(rig.immutable_put(from, &n.to_be_bytes()), stored()),
        is_there: |rig, n| rig.get(command::IMMUTABLE_GET, hash(&n.to_be_bytes())).is_some(),
        stats: |stats| stats.immutables,
    },
];

fn there(rig: &mut Rig, kind: &Kind, mut numbers: std::ops::Range<u16>) -> usize {
    numbers.by_ref().filter(|n| (kind.is_there)(rig, *n)).count()
}

#[test]
fn a_flood_from_one_24_pushes_out_its_own_only() {
    for kind in &KINDS {
        let mut rig = Rig::with(small());
        // One entry each of 20 networks, some before and some during the flood.
        (0..15).for_each(|n| (kind.put)(&mut rig, n, host(n, 1)));
        for n in 100..500 {
            (kind.put)(&mut rig, n, host(5_000, (n % 100) as u8 + 1));
            if n % 80 == 0 {
                (kind.put)(&mut rig, n / 80 + 13, host(n / 80 + 13, 1));
            }
        }
        let stats = (kind.stats)(&rig.service.stats());
        rig.service.check_invariants();
        assert_eq!(there(&mut rig, kind, 0..20), 20, "{}", kind.name);
        // What is left is for the flood, and its latest stay.
        assert!((30..130).contains(&stats.entries), "{}: {stats:?}", kind.name);
        assert_eq!(stats.gave_way, 420 - stats.entries as u64, "{}", kind.name);
        let latest = 500 - (stats.entries as u16 - 20);
        assert_eq!(there(&mut rig, kind, latest..500), stats.entries - 20, "{}", kind.name);
        assert!(stats.bytes <= 40_000 && stats.bytes > 37_000, "{}: {stats:?}", kind.name);
    }
}

#[test]
fn those_who_are_exempt_count_as_one() {
    for kind in &KINDS {
        // Everybody: the oldest gives way.
        let mut rig = Rig::with(ServiceConfig { exempt: Exempt::everybody(), ..small() });
        (0..200).for_each(|n| (kind.put)(&mut rig, n, host(n % 7, 1)));
        let entries = (kind.stats)(&rig.service.stats()).entries as u16;
        assert_eq!(there(&mut rig, kind, 200 - entries..200), entries.into(), "{}", kind.name);
        assert_eq!(there(&mut rig, kind, 0..200 - entries), 0, "{}", kind.name);

        // A flood from networks at home, and one entry of a stranger.
        let mut rig = Rig::with(small());
        (kind.put)(&mut rig, 0, host(0, 1));
        for n in 1..200 {
            let from = std::net::SocketAddrV4::new([10, 0, n as u8, 1].into(), 4000);
            (kind.put)(&mut rig, n, from);
        }
        assert_eq!(there(&mut rig, kind, 0..1), 1, "{}", kind.name);

        // Nobody: at home as elsewhere, each /24 has its share.
        let mut rig = Rig::with(ServiceConfig { exempt: Exempt::Nobody, ..small() });
        let at_home = |n: u16, host| std::net::SocketAddrV4::new([10, 0, n as u8, host].into(), 1);
        (0..10).for_each(|n| (kind.put)(&mut rig, n, at_home(n, 1)));
        (10..200).for_each(|n| (kind.put)(&mut rig, n, at_home(77, n as u8)));
        assert_eq!(there(&mut rig, kind, 0..10), 10, "{}", kind.name);
    }
}

/// Else a flood could be charged with what others have stored, and push it out.
#[test]
fn storing_what_others_have_stored_changes_nothing() {
    for kind in KINDS.iter().filter(|kind| matches!(kind.name, "mutables" | "immutables")) {
        let mut rig = Rig::with(small());
        (0..10).for_each(|n| (kind.put)(&mut rig, n, host(n, 1)));
        (0..10).for_each(|n| (kind.put)(&mut rig, n, host(5_000, 1)));
        (100..300).for_each(|n| (kind.put)(&mut rig, n, host(5_000, 1)));
        assert_eq!(there(&mut rig, kind, 0..10), 10, "{}", kind.name);
    }
    // A bump, by another peer of the topic.
    let (mut rig, bumps) = (Rig::with(small()), &KINDS[3]);
    rig.service.handle_wall_clock(rig.now, Duration::from_secs(1));
    (bumps.put)(&mut rig, 0, host(0, 1));
    let higher = Said { bump: 6, ..Said::default() };
    announces(&mut rig, host(5_000, 1), &pair(9), topic(0), &higher);
    (100..300).for_each(|n| (bumps.put)(&mut rig, n, host(5_000, 1)));
    announces(&mut rig, host(1, 1), &pair(9), topic(0), &Said::default());
    assert_eq!(rig.bump(topic(0)), 6);
}

/// What only its owner can store counts for where the owner is now.
#[test]
fn a_peer_that_moves_takes_its_entries_along() {
    for (kind, moves) in
        [(&KINDS[0], None), (&KINDS[1], None), (&KINDS[2], None), (&KINDS[4], Some(2))]
    {
        let mut rig = Rig::with(small());
        // First from where the flood will come from, then from elsewhere.
        (kind.put)(&mut rig, 0, host(5_000, 1));
        match moves {
            None => (kind.put)(&mut rig, 0, host(0, 1)),
            Some(seq) => assert_eq!(rig.put(host(0, 1), &pair(0), seq, b"later"), stored()),
        }
        (100..300).for_each(|n| (kind.put)(&mut rig, n, host(5_000, 1)));
        assert_eq!(there(&mut rig, kind, 0..1), 1, "{}", kind.name);
    }
}

#[test]
fn what_has_no_place_at_all_is_not_kept() {
    let mut rig = Rig::with(ServiceConfig { immutable_bytes: 2_000, max_value: 2_000, ..small() });
    rig.immutable_put(host(1, 1), &[1; 100]);
    let kept = rig.service.stats().immutables;
    rig.immutable_put(host(1, 1), &vec![2; 2_001 - (kept.bytes - 100)]);
    let stats = rig.service.stats().immutables;
    assert_eq!((stats.entries, stats.bytes, stats.gave_way), (1, kept.bytes, 1));
    rig.immutable_put(host(1, 1), &vec![2; 2_000 - (kept.bytes - 100)]);
    let stats = rig.service.stats().immutables;
    assert_eq!((stats.entries, stats.bytes, stats.gave_way), (1, 2_000, 2));
}

#[test]
fn more_signatures_than_allowed_are_not_checked() {
    let mut rig = Rig::with(ServiceConfig {
        checks_per_second: 20,
        checks_per_source: 3,
        ..ServiceConfig::default()
    });
    let put_from = |rig: &mut Rig, from| {
        (0..20).filter(|_| rig.put(from, &pair(1), 1, b"") == stored()).count()
    };
    let put = |rig: &mut Rig, net, host_number| put_from(rig, host(net, host_number));
    assert_eq!(put(&mut rig, 1, 1), 3);
    assert_eq!(put(&mut rig, 1, 2), 0, "of the same /24");
    // All that is signed shares this.
    assert_eq!(rig.announce(host(1, 3), &pair(1), topic(1), &Said::default()), Action::Silent);
    assert_eq!(rig.unannounce(host(1, 3), &pair(1), topic(1)), Action::Silent);
    assert_eq!(rig.announce(host(2, 3), &pair(1), topic(1), &Said::default()), done());
    assert_eq!(put(&mut rig, 2, 1), 2);
    let at_home = std::net::SocketAddrV4::new([10, 0, 0, 1].into(), 1);
    assert_eq!(put_from(&mut rig, at_home), 14, "what is left in all");
    assert_eq!(put(&mut rig, 4, 1), 0);
    // What is not signed is served all the same.
    assert_eq!(rig.immutable_put(host(1, 1), b"value"), stored());
    assert_eq!(rig.peers(topic(1)).len(), 1);
    let stats = rig.service.stats();
    assert_eq!(
        (stats.checked, stats.bad_signatures, stats.unchecked),
        (20, 0, 17 + 20 + 2 + 18 + 6 + 20)
    );
    rig.wait(Duration::from_secs(1));
    assert_eq!(put(&mut rig, 1, 1), 3);
}

/// Who stores a value that gives way at once is not told that it is stored.
#[test]
fn what_gives_way_at_once_is_not_confirmed() {
    let mut rig = Rig::with(ServiceConfig { mutable_bytes: 2_800, ..small() });
    // Of two that store one value each, the one with the longer value gives way.
    let put = |rig: &mut Rig, net, len| rig.put(host(net, 1), &pair(net), 1, &vec![7; len]);
    assert_eq!(put(&mut rig, 1, 900), stored());
    assert_eq!(put(&mut rig, 2, 1_200), Action::Silent);
    assert_eq!(put(&mut rig, 3, 200), stored());
    let stats = rig.service.stats().mutables;
    assert_eq!((stats.entries, stats.gave_way), (2, 1), "{stats:?}");
    // Nor is an announcement, and it leaves nothing else behind.
    let mut rig = Rig::with(ServiceConfig { topic_bytes: 1_000, peer_bytes: 600, ..small() });
    let said = Said { refresh: Some([1; 32]), ..Said::default() };
    let announce = |rig: &mut Rig, n, relays| {
        let relays = (0..relays).map(|n| host(n, 1)).collect();
        let said = Said { relays, ..said.clone() };
        [topic(0), topic_of(&pair(n))]
            .map(|topic| rig.announce(host(n, 1), &pair(n), topic, &said) == done())
    };
    assert_eq!(announce(&mut rig, 1, 0), [true; 2]);
    let kept = rig.service.stats();
    assert_eq!(announce(&mut rig, 2, 3), [false; 2]);
    assert_eq!(rig.service.stats().refreshes, kept.refreshes);
    assert_eq!(rig.peers(topic(0))[0].public_key, pair(1).public_key());
}

#[test]
fn signatures_are_counted() {
    let mut rig = Rig::new();
    let (key, other) = (pair(1), pair(2));
    let counts = |rig: &Rig| {
        let stats = rig.service.stats();
        [stats.checked, stats.bad_signatures, stats.unchecked]
    };
    rig.announce(host(1, 1), &key, topic(1), &Said::default());
    assert_eq!(counts(&rig), [1, 0, 0]);
    // For another topic.
    let value = super::serving_rig::signed(command::ANNOUNCE, &key, topic(1), &Said::default());
    let token = Some(super::serving_rig::TOKEN);
    for command in [command::ANNOUNCE, command::UNANNOUNCE] {
        rig.ask(host(1, 1), command, Some(topic(2)), token, Some(&value));
    }
    assert_eq!(counts(&rig), [3, 2, 0]);
    // Whose hash is wrong needs no check.
    let put = dht_core::hyperdht::Mutable::sign(&key, 1, b"value").unwrap();
    let value = put.encode_put(&other.public_key());
    let asked = |rig: &mut Rig, target| {
        rig.ask(host(1, 1), command::MUTABLE_PUT, Some(target), token, Some(&value))
    };
    assert_eq!(asked(&mut rig, topic_of(&key)), Action::Silent);
    assert_eq!(counts(&rig), [3, 2, 0]);
    assert_eq!(asked(&mut rig, topic_of(&other)), Action::Silent);
    assert_eq!(counts(&rig), [4, 3, 0]);
    // A refresh needs none either.
    rig.refresh(host(1, 1), topic(1), [1; 32]);
    assert_eq!(counts(&rig), [4, 3, 0]);
}
