//! What the model does not say of the table: its memory, stale slots, chance, and what it costs.

use super::*;
use crate::api::exempt::Exempt;

#[test]
fn every_bucket_takes_twenty_and_no_more() {
    let mut table = filled(&[K; BUCKETS]);
    assert_eq!(table.len(), 5120);
    for bits in 0..BUCKETS {
        let id = sharing(*table.own(), bits, 99);
        assert_eq!(table.insert(&id, addr(9_000), 60), Insert::Full);
        assert_eq!(table.bucket_len(&id), K);
    }
    let own = *table.own();
    assert_eq!(table.insert(&own, addr(9_000), 60), Insert::Own);
    assert_eq!((table.bucket_len(&own), table.least_recent(&own, 0)), (0, None));
    assert_eq!(table.len(), 5120);

    while let Some(slot) = table.oldest() {
        assert_eq!(table.remove(slot), Some(slot.addr()));
    }
    assert!(table.is_empty());
    assert!(table.buckets.heap() <= 256);
}

#[test]
fn memory_follows_what_is_in_it() {
    let full = |buckets: usize, rest: &[usize]| [&[K].repeat(buckets), rest].concat();
    // With 330 nodes: one in a network of a million.
    let mut scattered = full(15, &[10, 8, 6, 3, 1]);
    scattered.extend([0; 20]);
    scattered.extend([1, 1]);
    let cases = [
        (full(0, &[]), 0),
        (full(0, &[1]), 168),
        (full(16, &[10]), 6_900),
        (full(16, &[5, 3, 1, 1]), 7_000),
        (full(15, &[15, 9, 4, 1, 1]), 7_000),
        (scattered, 7_200),
    ];
    for (counts, most) in cases {
        let table = filled(&counts);
        let bytes = table.buckets.heap();
        assert!(bytes <= most, "{bytes} bytes for {counts:?}");
        assert!(bytes + size_of::<Table>() <= 7_400);
    }
}

#[test]
fn random_reaches_each_node_equally_often() {
    let table = filled(&[K, 0, 7, 1]);
    let mut hits = std::collections::HashMap::new();
    let step = u64::MAX / 2800;
    for n in 0..2800 {
        let slot = table.random(step * n + step / 2).unwrap();
        assert!(table.node(slot).is_some());
        *hits.entry(slot).or_insert(0) += 1;
    }
    assert_eq!(hits.len(), 28);
    assert!(hits.values().all(|&hits| hits == 100), "{hits:?}");
    assert!(table.random(u64::MAX).is_some());
    assert_eq!(Table::new(*table.own(), Ids::default(), Exempt::Local, PLACES_MAX).random(7), None);
}

#[test]
fn a_stale_slot_reads_nothing_and_changes_nothing() {
    let own = Id::of(addr(0));
    let mut table = Table::new(own, Ids::default(), Exempt::Local, PLACES_MAX);
    let id = sharing(own, 3, 0);
    let Insert::Added(stale) = table.insert(&id, addr(1), 60) else { panic!() };
    assert_eq!(table.remove(stale), Some(addr(1)));
    // Another node takes the same place.
    let Insert::Added(slot) = table.insert(&id, addr(2), 60) else { panic!() };
    assert_eq!(slot.index, stale.index);
    let before = table.node(slot);

    table.touch(stale, 61);
    table.set_pinged(stale, 61);
    table.set_sampled(stale, 61);
    table.set_hinted(stale, true);
    table.set_silent_answers(stale, 3);
    assert_eq!(table.remove(stale), None);
    assert_eq!((table.node(stale), table.newer(stale), table.older(stale)), (None, None, None));
    assert_eq!((table.node(slot), table.len()), (before, 1));
}

#[test]
fn finds_by_address_alone() {
    let mut table = Table::new(Id::of(addr(0)), Ids::default(), Exempt::Local, PLACES_MAX);
    for n in 1..50 {
        let inserted = table.insert(&Id::of(addr(n)), addr(n), 60);
        match inserted {
            Insert::Added(slot) => assert_eq!(table.get(addr(n)), Some(slot)),
            _ => assert_eq!((inserted, table.get(addr(n))), (Insert::Full, None)),
        }
    }
    assert_eq!(table.get(addr(0)), None);
}

quickcheck::quickcheck! {
    fn the_rest_of_an_id_is_what_follows_its_buckets_bit(seed: u16, bucket: u8) -> bool {
        let (id, bucket) = (Id::of(addr(seed)), usize::from(bucket));
        let bit = |at: usize| id.0.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
        let expected = (bucket + 1..bucket + 33).fold(0, |bits, at| bits << 1 | u32::from(bit(at)));
        rest(&id, bucket) == expected
    }
}

#[test]
fn debug_output_names_nobody() {
    let shown = std::format!("{:?}", filled(&[1]));
    assert!(shown.contains("len: 1") && !shown.contains("10.0."), "{shown}");
}

#[test]
fn no_ids_make_an_answer_dear() {
    use core::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    for id_of in SOURCES {
        let cache = IdCache::new(move |addr| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            Some(id_of(addr))
        });
        let mut table =
            Table::new(Id([0x55; 32]), Ids::new(Some(cache)), Exempt::Local, PLACES_MAX);
        for n in 0..300 {
            let _ = table.insert(&id_of(addr(n)), addr(n), 1);
        }
        let before = ASKED.load(Ordering::Relaxed);
        let mut out = heapless::Vec::new();
        (0..=255).for_each(|byte| table.closest(&Id([byte; 32]), &mut out));
        assert_eq!(ASKED.load(Ordering::Relaxed), before, "addresses were hashed");
        assert!(out.is_full());
    }
}

#[test]
fn around_a_new_id_all_nodes_are_new_for_as_long_as_around_the_first() {
    let own = Id([0x5a; 32]);
    let mut table = Table::new(own, Ids::default(), Exempt::Local, K);
    for n in 0..K as u16 {
        assert!(matches!(table.insert(&Id::of(addr(n)), addr(n), 800), Insert::Added(_)));
    }
    let (tick, firm) = (2_000, 100);
    let other = Id([0xa5; 32]);
    let gives_way = |table: &Table, tick| {
        let ids = (0..8).map(|bits| sharing(*table.own(), bits, 1));
        ids.filter(|id| table.youngster(id, tick, firm).is_some()).count()
    };
    assert_eq!(gives_way(&table, tick), 0, "all nodes are old");
    table.rebase(other, tick, |_| {});
    assert_eq!(table.len(), K);
    assert!(gives_way(&table, tick + firm - 1) > 0);
    assert_eq!(gives_way(&table, tick + firm), 0);
}

#[test]
fn each_node_of_a_network_is_drawn_by_some_key() {
    let mut table = Table::new(Id([0x5a; 32]), Ids::default(), Exempt::Local, PLACES_MAX);
    // Nodes at one host, and hosts of one /24.
    let at = |host, port| SocketAddrV4::new(Ipv4Addr::new(80, 0, 0, host), port);
    let network: Vec<_> = (1..7).map(|n| at(1, n)).chain((2..8).map(|n| at(n, 1))).collect();
    for addr in &network {
        let Insert::Added(slot) = table.insert(&Id::of(*addr), *addr, 60) else { panic!("{addr}") };
        table.touch(slot, 60);
    }
    let mut drawn = [0; 12];
    for key in 0..1_200 {
        let [(_, addr)] = table.spread((key * 7_919, None), &Exempt::Local, 0, 60)[..] else {
            panic!("{key}")
        };
        drawn[network.iter().position(|other| *other == addr).unwrap()] += 1;
    }
    assert!(drawn.iter().all(|times| *times > 20), "{drawn:?} of 1,200 times");
}
