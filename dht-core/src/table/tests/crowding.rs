//! Quotas: how many nodes of one host, and of one /24, are too many, and what becomes of the rest.

use super::*;
use crate::table::Quotas;

const OWN: Id = Id([0x5a; 32]);

/// A node on host `host` of the public /24 with this number.
fn at(prefix: u16, host: u8, port: u16) -> SocketAddrV4 {
    let [a, b] = prefix.to_be_bytes();
    SocketAddrV4::new([60, a, b, host].into(), port)
}

fn table(exempt: Exempt, max: usize) -> Table {
    Table::new(OWN, Ids::default(), exempt, max)
}

/// A table with that many nodes, each in a /24 of its own, in the first bucket and the next.
fn diverse(count: u16) -> Table {
    let mut table = table(Exempt::Local, PLACES_MAX);
    for n in 0..count {
        let (bits, number) = (usize::from(n) / K, n as u8);
        assert!(matches!(
            table.insert(&sharing(OWN, bits, number), at(n, 1, 1), 60),
            Insert::Added(_)
        ));
    }
    table
}

fn closest(table: &Table, target: &Id) -> Vec<SocketAddrV4> {
    let mut out = heapless::Vec::new();
    table.closest(target, &mut out);
    out.to_vec()
}

#[test]
fn what_is_fair_depends_on_how_many_hosts_there_are() {
    for (hosts, host, prefix) in [
        (0, 20, 20),
        (1, 20, 20),
        (4, 12, 12),
        (10, 7, 7),
        (20, 4, 4),
        (40, 3, 3),
        (41, 2, 3),
        (200, 2, 3),
    ] {
        assert_eq!(diverse(hosts).quotas(), Quotas { host, prefix }, "{hosts}");
    }
}

#[test]
fn the_third_node_of_a_host_is_over_quota_among_many_hosts() {
    let mut table = diverse(38);
    for n in 0..4 {
        // Nearer than all others, the first one nearest.
        let id = sharing(OWN, 60 - usize::from(n), 200);
        assert!(!table.does_without(&id, at(900, 1, n)));
        let Insert::Added(slot) = table.insert(&id, at(900, 1, n), 60) else { panic!("{n}") };
        assert_eq!(table.at(slot.index).unwrap().over_quota(), n >= 2, "{n}");
    }
    let found = closest(&table, &OWN);
    assert_eq!(found[..2], [at(900, 1, 0), at(900, 1, 1)]);
    assert!(!found.contains(&at(900, 1, 2)) && found.len() == K);
    // With one host more, there are so many that it does without.
    let _ = table.insert(&sharing(OWN, 3, 1), at(800, 1, 1), 60);
    let (id, other) = (sharing(OWN, 40, 1), sharing(OWN, 40, 2));
    assert!(table.does_without(&id, at(900, 1, 9)) && !table.does_without(&other, at(901, 1, 9)));
}

#[test]
fn nodes_over_quota_are_named_where_there_are_no_others() {
    let mut table = diverse(10);
    for n in 0..19 {
        let _ = table.insert(&sharing(OWN, 60 - usize::from(n), 200), at(900, 1, n), 60);
    }
    let found = closest(&table, &OWN);
    assert_eq!(found.len(), K);
    assert!((0..10).all(|n| found.contains(&at(n, 1, 1))), "those of other hosts first");
}

#[test]
fn a_node_over_quota_gives_way_to_one_that_is_not() {
    let mut table = diverse(38);
    let id = |n| sharing(OWN, 2, n);
    for n in 0..20 {
        let _ = table.insert(&id(100 + n), at(900, 1, n.into()), 60 + 4 * u32::from(n));
    }
    assert!(!table.has_place_for(&id(0)));
    assert_eq!(table.surplus(&id(200), at(900, 1, 99)), None, "its own host has too many");
    assert_eq!(
        table.surplus(&id(200), at(901, 1, 1)).unwrap().addr(),
        at(900, 1, 19),
        "the last one"
    );
    // In another bucket there is none.
    assert_eq!(table.surplus(&sharing(OWN, 0, 200), at(901, 1, 1)), None);
}

#[test]
fn who_is_over_quota_is_within_it_once_others_have_left() {
    let mut table = diverse(20);
    let id = |n: u16| sharing(OWN, 30, n as u8);
    for n in 0..6 {
        let _ = table.insert(&id(n), at(900, 1, n), 60);
    }
    let over = |table: &Table| {
        let of =
            |n: &u16| table.find(&id(*n), at(900, 1, *n)).and_then(|slot| table.at(slot.index));
        (0..6).filter(|n| of(n).is_some_and(|entry| entry.over_quota())).count()
    };
    let before = over(&table);
    assert!(before > 0, "{before}");
    for gone in 0..5 {
        table.remove(table.find(&id(gone), at(900, 1, gone)).unwrap());
    }
    assert_eq!(over(&table), 0);
}

#[test]
fn of_a_large_host_the_nearest_nodes_stay() {
    let mut table = diverse(45);
    for n in 0..6 {
        let (id, addr) = (sharing(OWN, 30 + usize::from(n), 200), at(900, 1, n));
        assert!(!table.does_without(&id, addr), "nearer than the others");
        let _ = table.insert(&id, addr, 60);
        let outdone = table.outdone(addr).map(|slot| slot.addr());
        assert_eq!(outdone, n.checked_sub(2).map(|farthest| at(900, 1, farthest)));
        if let Some(slot) = table.outdone(addr) {
            table.remove(slot);
        }
    }
}

#[test]
fn a_24_has_two_places_of_a_bucket_and_ten_of_a_table() {
    let mut table = diverse(80);
    let mut over = Vec::new();
    for n in 0..15_u16 {
        let id = sharing(OWN, 60 - usize::from(n / 3), n as u8);
        let Insert::Added(slot) = table.insert(&id, at(900, n as u8, 1), 60) else { panic!("{n}") };
        over.push(table.at(slot.index).unwrap().over_quota());
    }
    let expected = (0..15).map(|n| n % 3 == 2 || n >= 10);
    assert!(over.iter().copied().eq(expected), "{over:?}");
}

#[test]
fn where_all_live_on_one_host_or_are_exempt_nobody_is_over_quota() {
    for exempt in [Exempt::Local, Exempt::everybody()] {
        let mut table = table(exempt, PLACES_MAX);
        for n in 0..200 {
            let id = sharing(OWN, usize::from(n) / K, n as u8);
            let Insert::Added(slot) = table.insert(&id, at(0, 1, n), 60) else { panic!("{n}") };
            assert!(!table.at(slot.index).unwrap().over_quota(), "{n}");
        }
    }
}

proptest! {
    /// However nodes come and go, hosts and /24s are counted.
    #[test]
    fn hosts_are_counted(
        steps in prop::collection::vec((0..3u16, 0..3u8, 1..6u16, any::<bool>()), 1..200),
        all in any::<bool>(),
        rebase in 0..200usize,
    ) {
        let mut table = table(if all { Exempt::everybody() } else { Exempt::Local }, PLACES_MAX);
        for (step, (prefix, host, port, leaves)) in steps.into_iter().enumerate() {
            let addr = at(prefix, host, port);
            let id = Id::of(addr);
            match table.find(&id, addr) {
                Some(slot) if leaves => drop(table.remove(slot)),
                _ => drop(table.insert(&id, addr, 60)),
            }
            if step == rebase {
                table.rebase(Id([1; 32]), 60, |_| {});
            }
            table.check_invariants();
        }
    }
}
