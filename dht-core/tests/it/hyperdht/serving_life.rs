//! What time does to what is kept, and which peers of a topic a lookup draws.

use std::collections::BTreeMap;
use std::time::Duration;

use dht_core::Id;
use dht_core::hyperdht::{Action, Handshake, Holepunch, Mode, PeerRecord, command, hash};

use super::serving_rig::{Rig, Said, done, host, pair, stored, topic_of};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// A topic that nobody's key leads to.
fn topic() -> Id {
    hash(b"topic")
}

fn record(n: u16, relays: usize) -> PeerRecord {
    let relay_addresses = (0..relays).map(|n| host(n as u16, 1)).collect();
    PeerRecord { public_key: pair(n).public_key(), relay_addresses }
}

fn with_relays(count: usize) -> Said {
    Said { relays: record(0, count).relay_addresses, ..Said::default() }
}

/// Keeps something, does something about it after a while, and tells whether it is still there after a while more.
fn survives(
    [first, then]: [u64; 2],
    keep: impl Fn(&mut Rig),
    touch: impl Fn(&mut Rig),
    is_there: impl Fn(&mut Rig) -> bool,
) -> bool {
    let mut rig = Rig::new();
    rig.now += Duration::from_micros(123);
    keep(&mut rig);
    rig.wait(Duration::from_secs(first));
    touch(&mut rig);
    rig.wait(Duration::from_secs(then));
    let mut just_before = rig.clone();
    just_before.now = rig.now - Duration::from_micros(1);
    assert!(is_there(&mut just_before), "a moment before");
    is_there(&mut rig)
}

fn nothing(_: &mut Rig) {}

#[test]
fn announcements_live_for_twenty_minutes_whoever_asks() {
    let keep = |rig: &mut Rig| {
        assert_eq!(rig.announce(host(1, 1), &pair(1), topic(), &Said::default()), done());
    };
    let is_there = |rig: &mut Rig| !rig.peers(topic()).is_empty();
    let ask = |rig: &mut Rig| assert_eq!(rig.peers(topic()).len(), 1);
    assert!(!survives([0, 20 * MINUTE], keep, nothing, is_there));
    assert!(!survives([10 * MINUTE, 10 * MINUTE], keep, ask, is_there));
    // Announced again it has a new life.
    assert!(!survives([10 * MINUTE, 20 * MINUTE], keep, keep, is_there));
}

#[test]
fn a_peer_itself_lives_on_while_it_is_asked_for() {
    let own = topic_of(&pair(1));
    let keep = |rig: &mut Rig| {
        assert_eq!(rig.announce(host(1, 1), &pair(1), own, &Said::default()), done());
    };
    let is_there = |rig: &mut Rig| rig.get(command::FIND_PEER, own).is_some();
    assert!(!survives([0, 20 * MINUTE], keep, nothing, is_there));
    let handshake =
        Handshake { mode: Mode::FromClient, noise: &[1], peer_address: None, relay_address: None };
    let holepunch = Holepunch { mode: Mode::FromClient, id: 0, payload: &[], peer_address: None };
    for (command, value) in [
        (command::FIND_PEER, None),
        (command::LOOKUP, None),
        (command::PEER_HANDSHAKE, Some(handshake.encode())),
        (command::PEER_HOLEPUNCH, Some(holepunch.encode())),
    ] {
        let touch = |rig: &mut Rig| {
            rig.ask(host(2, 2), command, Some(own), None, value.as_deref());
        };
        // The moment before would renew it, but that is a copy.
        assert!(!survives([19 * MINUTE, 20 * MINUTE], keep, touch, is_there), "{command}");
    }
}

#[test]
fn values_live_for_two_days_after_they_were_asked_for() {
    let value = b"value";
    let keep = |rig: &mut Rig| assert_eq!(rig.immutable_put(host(1, 1), value), stored());
    let is_there = |rig: &mut Rig| rig.get(command::IMMUTABLE_GET, hash(value)).is_some();
    let ask = |rig: &mut Rig| assert!(is_there(rig));
    assert!(!survives([0, 48 * HOUR], keep, nothing, is_there));
    assert!(!survives([47 * HOUR, 48 * HOUR], keep, ask, is_there));
    assert!(!survives([47 * HOUR, 48 * HOUR], keep, keep, is_there));

    let own = topic_of(&pair(1));
    let keep = |rig: &mut Rig| assert_eq!(rig.put(host(1, 1), &pair(1), 7, value), stored());
    let is_there = |rig: &mut Rig| rig.get(command::MUTABLE_GET, own).is_some();
    let ask = |rig: &mut Rig| {
        // A later version than there is, so nothing is answered.
        rig.ask(host(1, 1), command::MUTABLE_GET, Some(own), None, Some(&[8]));
    };
    let refused = |rig: &mut Rig| assert_ne!(rig.put(host(1, 1), &pair(1), 6, value), stored());
    assert!(!survives([0, 48 * HOUR], keep, nothing, is_there));
    assert!(!survives([47 * HOUR, 48 * HOUR], keep, ask, is_there));
    assert!(!survives([47 * HOUR, 48 * HOUR], keep, keep, is_there));
    assert!(!survives([47 * HOUR, 48 * HOUR], keep, refused, is_there));
}

/// Each refresh, with the token whose hash the one before had, is good for twenty minutes more.
#[test]
fn refreshing_goes_on_for_as_long_as_there_are_tokens() {
    let tokens: Vec<[u8; 32]> =
        (0..3).fold(vec![[9; 32]], |all, _| [vec![hash(&all[0]).0], all].concat());
    let own = topic_of(&pair(1));
    for topic in [topic(), own] {
        let mut rig = Rig::new();
        let said = Said { refresh: Some(tokens[0]), ..with_relays(2) };
        assert_eq!(rig.announce(host(1, 1), &pair(1), topic, &said), done());
        for token in &tokens[1..] {
            rig.minutes(19);
            assert_eq!(rig.refresh(host(2, 1), topic, *token), done());
            assert_eq!(rig.refresh(host(2, 1), topic, *token), Action::Silent, "a second time");
            assert_eq!(rig.peers(topic), [record(1, 2)]);
            rig.service.check_invariants();
        }
        rig.minutes(19);
        assert_eq!(rig.peers(topic), [record(1, 2)]);
        assert_eq!(rig.refresh(host(2, 1), topic, tokens[3]), Action::Silent);
        assert_eq!(rig.service.stats().refreshes.entries, 1);
    }
    // Too late.
    let mut rig = Rig::new();
    let said = Said { refresh: Some(tokens[0]), ..Said::default() };
    rig.announce(host(1, 1), &pair(1), topic(), &said);
    rig.minutes(20);
    assert_eq!(rig.refresh(host(1, 1), topic(), tokens[1]), Action::Silent);
    assert_eq!(rig.peers(topic()), []);
}

/// The reference goes on to tell what a peer has announced first, until that is old.
#[test]
fn what_is_announced_last_counts() {
    let mut rig = Rig::new();
    for relays in [3, 0, 5, 1] {
        rig.announce(host(1, 1), &pair(1), topic(), &with_relays(relays));
        assert_eq!(rig.peers(topic()), [record(1, relays.min(3))]);
    }
    assert_eq!(rig.service.stats().topics.entries, 1);
}

#[test]
fn bumps_are_taken_by_the_clock_only() {
    let mut rig = Rig::new();
    let start = 1_700_000_000_000;
    let bumped = |rig: &mut Rig, bump| {
        rig.announce(host(1, 1), &pair(1), topic(), &Said { bump, ..Said::default() });
        rig.bump(topic())
    };
    assert_eq!(bumped(&mut rig, 1), 0, "without a clock");
    rig.service.handle_wall_clock(rig.now, Duration::from_millis(start));
    assert_eq!(bumped(&mut rig, start + 60_001), 0);
    assert_eq!(bumped(&mut rig, start + 60_000), start + 60_000);
    rig.minutes(5);
    // Five minutes later, with nothing said in between.
    assert_eq!(bumped(&mut rig, start + 360_001), start + 60_000);
    assert_eq!(bumped(&mut rig, start + 360_000), start + 360_000);
    // The clock is set back.
    rig.service.handle_wall_clock(rig.now, Duration::from_millis(1_000));
    assert_eq!(bumped(&mut rig, start + 360_001), start + 360_000);
    // It lives for as long as somebody asks.
    rig.minutes(19);
    assert_eq!(bumped(&mut rig, 0), start + 360_000);
    rig.minutes(19);
    assert_eq!(bumped(&mut rig, 0), start + 360_000);
    rig.minutes(20);
    assert_eq!(bumped(&mut rig, 0), 0);
    assert_eq!(rig.service.stats().bumps.entries, 0, "none is none to keep");
    // No clock makes it panic.
    rig.service.handle_wall_clock(rig.now, Duration::MAX);
    rig.minutes(1);
    assert_eq!(bumped(&mut rig, start), start);
}

#[test]
fn what_is_over_is_freed_by_the_timeout() {
    let mut rig = Rig::new();
    rig.service.handle_wall_clock(rig.now, Duration::from_secs(1));
    let said = Said { refresh: Some([1; 32]), bump: 1, ..Said::default() };
    rig.announce(host(1, 1), &pair(1), topic(), &said);
    rig.announce(host(1, 1), &pair(1), topic_of(&pair(1)), &said);
    rig.put(host(1, 1), &pair(1), 1, b"value");
    rig.immutable_put(host(1, 1), b"value");
    let entries = |rig: &Rig| {
        let stats = rig.service.stats();
        let stores = [stats.topics, stats.peers, stats.refreshes, stats.bumps];
        let stores = [&stores[..], &[stats.mutables, stats.immutables]].concat();
        assert!(stores.iter().all(|store| (store.entries == 0) == (store.bytes == 0)));
        assert!(stores.iter().all(|store| store.gave_way == 0));
        stores.iter().map(|store| store.entries).collect::<Vec<_>>()
    };
    assert_eq!(entries(&rig), [1; 6]);
    rig.minutes(20);
    assert_eq!(entries(&rig), [1; 6]);
    rig.service.handle_timeout(rig.now);
    assert_eq!(entries(&rig), [0, 0, 0, 0, 1, 1]);
    rig.minutes(48 * 60 - 20);
    rig.service.handle_timeout(rig.now);
    assert_eq!(entries(&rig), [0; 6]);
    rig.service.check_invariants();
}

#[test]
fn a_lookup_draws_twenty_each_as_likely_as_any_other() {
    let mut rig = Rig::new();
    let count = 100;
    for n in 0..count {
        assert_eq!(rig.announce(host(n, 1), &pair(n), topic(), &Said::default()), done());
    }
    let mut drawn = BTreeMap::new();
    for round in 0..1_000 {
        let peers = rig.peers(topic());
        assert_eq!(peers.len(), 20);
        assert!(peers.windows(2).all(|two| two[0].public_key < two[1].public_key), "each once");
        peers.iter().for_each(|peer| *drawn.entry(peer.public_key).or_insert(0) += 1);
        // Coming and going does not change it.
        let n = round % count;
        rig.unannounce(host(n, 1), &pair(n), topic());
        rig.wait(Duration::from_millis(20));
        rig.announce(host(n, 1), &pair(n), topic(), &Said::default());
        rig.service.check_invariants();
    }
    // 200 times each, give or take 13: here within five times that.
    assert_eq!(drawn.len(), usize::from(count));
    assert!(drawn.values().all(|times| (135..=265).contains(times)), "{drawn:?}");
}

/// Of 21 one is left out, which may be the one that was left out before.
#[test]
fn what_was_drawn_before_does_not_matter() {
    let mut rig = Rig::new();
    for n in 0..21 {
        assert_eq!(rig.announce(host(n, 1), &pair(n), topic(), &Said::default()), done());
    }
    let all: Vec<_> = (0..21).map(|n| pair(n).public_key()).collect();
    let mut left_out = || {
        let drawn = rig.peers(topic());
        all.iter().position(|key| drawn.iter().all(|peer| peer.public_key != *key)).unwrap()
    };
    let row: Vec<_> = (0..2_000).map(|_| left_out()).collect();
    // 95 times, give or take 10: here within five times that.
    let same = row.windows(2).filter(|two| two[0] == two[1]).count();
    assert!((47..=143).contains(&same), "{same}");
}

/// One host in each of two networks has announced as many keys as it could, and hides nobody.
#[test]
fn each_24_has_its_share_of_a_lookup() {
    let mut rig = Rig::new();
    for n in 100..500 {
        rig.announce(host(n % 2, 1), &pair(n), topic(), &Said::default());
    }
    let drawn = |rig: &mut Rig, keys: std::ops::Range<u16>| {
        let keys: Vec<_> = keys.map(|n| pair(n).public_key()).collect();
        let peers = rig.peers(topic());
        assert_eq!(peers.len(), 20);
        peers.iter().filter(|peer| keys.contains(&peer.public_key)).count()
    };
    // All of who has few, and the others share what is left.
    (0..3).for_each(|n| drop(rig.announce(host(7, 1), &pair(n), topic(), &Said::default())));
    (3..13).for_each(|n| drop(rig.announce(host(8, 1), &pair(n), topic(), &Said::default())));
    for _ in 0..20 {
        assert_eq!(drawn(&mut rig, 0..3), 3);
        assert!((5..=6).contains(&drawn(&mut rig, 3..13)));
    }
    // One of each /24 if there are more than twenty.
    (13..53).for_each(|n| drop(rig.announce(host(n, 1), &pair(n), topic(), &Said::default())));
    let of_two = (0..400).map(|_| drawn(&mut rig, 100..500)).sum::<usize>();
    // In 20 of 44 lookups each of the two has a place: 364, give or take 80 since /24s have no equal distances.
    assert!((240..490).contains(&of_two), "{of_two}");
}

/// Also by somebody who says none, or an earlier one.
#[test]
fn a_bump_lives_on_while_its_topic_is_announced() {
    let mut rig = Rig::new();
    rig.service.handle_wall_clock(rig.now, Duration::from_secs(1));
    for bump in [5, 0, 4, 5] {
        rig.announce(host(1, 1), &pair(1), topic(), &Said { bump, ..Said::default() });
        rig.minutes(19);
    }
    assert_eq!(rig.bump(topic()), 5);
}

/// Thousands of entries that came together go over time; until then they count no more.
#[test]
fn what_is_over_is_not_told_even_if_it_is_there() {
    let mut rig = Rig::new();
    for n in 0..200 {
        rig.announce(host(n, 1), &pair(n), topic(), &Said::default());
        rig.announce(host(n, 1), &pair(n), topic_of(&pair(n)), &Said::default());
    }
    rig.minutes(20);
    assert_eq!(rig.peers(topic()), []);
    let left = rig.service.stats();
    assert!(left.topics.entries > 100 && left.peers.entries > 100, "{left:?}");
    assert_eq!(rig.get(command::FIND_PEER, topic_of(&pair(199))), None);
    (0..3).for_each(|_| rig.service.handle_timeout(rig.now));
    let left = rig.service.stats();
    assert_eq!((left.topics.entries, left.peers.entries), (0, 0));
    rig.service.check_invariants();
}

#[test]
fn the_peer_itself_comes_last_if_there_is_a_place() {
    let own = topic_of(&pair(0));
    for others in [0, 1, 18, 19, 20, 21, 40] {
        let mut rig = Rig::new();
        rig.announce(host(0, 1), &pair(0), own, &with_relays(2));
        for n in 1..=others {
            rig.announce(host(n, 1), &pair(n), own, &Said::default());
        }
        let value = rig.get(command::LOOKUP, own).unwrap();
        let peers = dht_core::hyperdht::Peers::decode(&value).unwrap().peers;
        assert_eq!(peers.len(), usize::from(others + 1).min(20), "{others}");
        assert_eq!(peers.last() == Some(&record(0, 2)), others < 20, "{others}");
        assert_eq!(peers.iter().filter(|peer| **peer == record(0, 2)).count() == 1, others < 20);
    }
}

#[test]
fn the_application_takes_back_what_it_has_announced() {
    let (own, pair) = (topic_of(&pair(1)), pair(1));
    let mut rig = Rig::new();
    for topic in [topic(), own] {
        rig.announce(host(1, 1), &pair, topic, &Said::default());
        rig.announce(host(2, 1), &self::pair(2), topic, &Said::default());
        rig.service.unannounce(&topic, &pair.public_key());
        assert_eq!(rig.peers(topic), [record(2, 0)]);
    }
    assert_eq!(rig.get(command::FIND_PEER, own), None);
    rig.service.check_invariants();
}

#[test]
fn a_plugin_has_one_version() {
    let mut rig = Rig::new();
    let asked = |rig: &mut Rig, version| {
        let (plugin, command, value) = ("chat", 1, None);
        let request = dht_core::hyperdht::PluginRequest { plugin, version, command, value };
        let value = request.encode();
        rig.ask(host(1, 1), command::PLUGIN, None, None, Some(&value)) != Action::Silent
    };
    assert!(!asked(&mut rig, 1));
    rig.service.register("chat", 1);
    rig.service.register("other", 2);
    assert!(asked(&mut rig, 1) && !asked(&mut rig, 2));
    rig.service.register("chat", 2);
    assert!(!asked(&mut rig, 1) && asked(&mut rig, 2));
}
