//! What a walk earns and owes, and whom it asks last. What it finds is tested through whole nodes.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::*;
use crate::api::id_cache::Ids;
use crate::api::message::Peer;

/// A node in a /24 of its own; nodes known by hearsay are in another part of the internet.
fn at(net: u8, n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(net, 0, n, 1), 4000)
}

const TABLE: u8 = 46;
const NAMED: u8 = 80;

/// A walk that has begun at a node of the table, which has named that number of nodes; it knows `table` more.
fn walk(thorough: bool, table: u8, named: u8) -> Walk {
    let plan = Plan {
        target: Id([7; 32]),
        concurrency: 100,
        thorough,
        only_given: false,
        keeps_replies: false,
        max_query_addresses: 512,
        max_open: 256,
        radius: u64::MAX,
        spacing: 0,
        quotas: Quotas::NONE,
        exempt: Exempt::Local,
        salt: 1,
        pace: Pace::default(),
    };
    let (mut walk, ids) = (Walk::new(plan), Ids::default());
    walk.uses_table();
    walk.offer(&ids, at(TABLE, 255));
    let (first, _) = next(&mut walk).unwrap();
    answer(&mut walk, first);
    (0..table).for_each(|n| _ = walk.offer(&ids, at(TABLE, n)));
    (0..named).for_each(|n| _ = walk.offer_from(&ids, at(NAMED, n), first));
    walk
}

fn next(walk: &mut Walk) -> Option<(u16, SocketAddrV4)> {
    walk.next(|_| false, |_| false, |_, _| true)
}

/// An error, so that the closest don't fill up.
fn answer(walk: &mut Walk, node: u16) {
    let addr = walk.addr(node).unwrap();
    let from = Peer { addr, id: None };
    let (rtt, token, closer_nodes, value) = (Duration::ZERO, None, None, None);
    walk.answered(node, &Reply { from, seen_as: addr, token, closer_nodes, error: 1, value, rtt });
}

/// All nodes that it asks now.
fn ask(walk: &mut Walk) -> Vec<u16> {
    core::iter::from_fn(|| next(walk)).map(|(node, _)| node).collect()
}

#[test]
fn silence_of_nodes_that_others_told_of_leads_astray_and_none_of_the_table_does() {
    let mut table = walk(false, 40, 0);
    for node in ask(&mut table) {
        table.missed(node);
    }
    assert_eq!((table.debt(), table.is_astray()), (0, false));
    let mut named = walk(false, 0, 10);
    for (count, node) in ask(&mut named).into_iter().enumerate() {
        assert_eq!((named.debt() as usize, named.is_astray()), (count, count > 3));
        assert_eq!(named.class() == Class::Hint, count > 3);
        named.missed(node);
    }
}

#[test]
fn an_answer_pays_for_two_tries_and_four_can_be_saved_up() {
    for (answers, paid) in [(1, 2), (2, 4), (4, 8), (12, 8)] {
        let mut walk = walk(false, 0, 40);
        let asked = ask(&mut walk);
        asked[..answers].iter().for_each(|node| answer(&mut walk, *node));
        for node in &asked[answers..answers + paid + 3] {
            walk.missed(*node);
        }
        assert_eq!((walk.debt(), walk.is_astray()), (3, false), "{answers}");
        walk.failed(asked[answers], true);
        assert!(walk.is_astray(), "{answers}");
    }
}

#[test]
fn nodes_of_the_table_earn_nothing() {
    let mut walk = walk(false, 10, 10);
    let asked = ask(&mut walk);
    for node in &asked {
        let named = walk.seen.is_hearsay(*node);
        if named { walk.missed(*node) } else { answer(&mut walk, *node) }
    }
    assert_eq!(walk.debt(), 10);
}

#[test]
fn with_credit_it_may_ask_more_than_its_share() {
    let mut walk = walk(false, 0, 60);
    let mut asked = Vec::new();
    let mut fill = |walk: &mut Walk, share| {
        while walk.may_ask(share) {
            asked.push(next(walk).unwrap().0);
        }
        (asked.len(), asked.clone())
    };
    let (count, first) = fill(&mut walk, 10);
    assert_eq!(count, 10);
    answer(&mut walk, first[0]);
    // One place was left, and two are earned.
    let (count, second) = fill(&mut walk, 10);
    assert_eq!(count, 10 + 1 + 2);
    // Astray it has none, and one at least.
    for node in &second[1..7] {
        walk.missed(*node);
    }
    assert!(walk.is_astray());
    assert!(!walk.may_ask(1) && walk.may_ask(10));
    for node in &second[7..] {
        walk.missed(*node);
    }
    assert!(walk.may_ask(0));
}

#[test]
fn behind_dead_doors_only_what_others_told_of_is_asked_last_and_not_by_a_thorough_walk() {
    for thorough in [false, true] {
        let mut walk = walk(thorough, 10, 20);
        let doors = |addr: SocketAddrV4| addr.ip().octets()[2] < 8;
        let asked: Vec<_> =
            core::iter::from_fn(|| walk.next(|_| false, doors, |_, _| true)).collect();
        assert_eq!(asked.len(), 30);
        let last = &asked[22..];
        let behind =
            |(_, addr): &(u16, SocketAddrV4)| addr.ip().octets()[0] == NAMED && doors(*addr);
        assert_eq!(last.iter().all(behind), !thorough);
        // They are waited for all the same.
        assert!(asked.iter().all(|(node, _)| !walk.is_late(*node)));
    }
}

#[test]
fn who_was_named_was_named_by_somebody_even_if_it_is_not_remembered_by_whom() {
    let (mut walk, ids) = (walk(false, 0, 30), Ids::default());
    for by in 1..20 {
        (0..30).for_each(|n| _ = walk.offer_from(&ids, at(NAMED, n), by));
    }
    walk.offer_from(&ids, at(NAMED, 99), 0);
    let (node, ..) = walk.seen.get(at(NAMED, 99)).unwrap();
    assert_eq!((walk.named_by(node).count(), walk.voices(node)), (0, 1));
}
