//! The table against a model of it: a list of nodes that know their whole ids,
//! with everything done the long way.

mod crowding;
mod single;

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::arena::SURPLUS;
use super::*;
use crate::api::exempt::Exempt;
use crate::api::id_cache::IdCache;

type IdOf = fn(SocketAddrV4) -> Id;

/// The sources of ids: the true one, and two that give what no search could find.
const SOURCES: [IdOf; 3] = [Id::of, tied, deep];

/// Prefixes that are equal, or differ only where a sort key holds a position.
fn tied(addr: SocketAddrV4) -> Id {
    let mut id = Id::of(addr);
    let prefix: u64 = [0, 1, 1 << 63, 1 << 63 | 1][usize::from(id.0[8] % 4)];
    id.0[..8].copy_from_slice(&prefix.to_be_bytes());
    id
}

/// Ids that share up to 28 bytes with one another.
fn deep(addr: SocketAddrV4) -> Id {
    let mut id = Id::of(addr);
    let zeros = usize::from(id.0[31] % 29);
    id.0[..zeros].fill(0);
    id
}

fn addr(n: u16) -> SocketAddrV4 {
    let [a, b] = n.to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(10, 0, a, b), 1 + n % 3)
}

#[derive(Clone, Copy, Debug)]
struct Node {
    id: Id,
    slot: Slot,
    pinged: u32,
    added: u32,
    sampled: Option<u32>,
    seen: u8,
    hinted: bool,
    answers_without_id: u8,
}

struct Model {
    own: Id,
    /// Oldest contact first.
    nodes: Vec<Node>,
}

impl Model {
    fn bucket(&self, id: &Id) -> u32 {
        self.own.distance(id).shared_bits()
    }

    fn bucket_len(&self, bucket: u32) -> usize {
        self.nodes.iter().filter(|node| self.bucket(&node.id) == bucket).count()
    }

    fn position(&self, slot: Slot) -> Option<usize> {
        self.nodes.iter().position(|node| node.slot == slot)
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.slot == slot) {
            change(node);
        }
    }

    fn closest(&self, target: &Id) -> Vec<SocketAddrV4> {
        // Of an id the table keeps the 32 bits that follow the common prefix of its bucket.
        let known = |node: &Node| {
            let mut id = node.id;
            let end = (self.bucket(&id) + 33).min(256) as usize;
            (end..256).for_each(|bit| id.0[bit / 8] &= !(0x80 >> (bit % 8)));
            let mut target = *target;
            (end..256).for_each(|bit| target.0[bit / 8] &= !(0x80 >> (bit % 8)));
            (id.distance(&target), node.slot.index)
        };
        let mut nodes = self.nodes.clone();
        nodes.sort_by_cached_key(known);
        nodes.iter().take(K).map(|node| node.slot.addr).collect()
    }

    /// Keeps the latest nodes that fit, and returns the dropped ones.
    fn rebase(&mut self, own: Id) -> Vec<SocketAddrV4> {
        self.own = own;
        let mut dropped = Vec::new();
        for node in core::mem::take(&mut self.nodes).into_iter().rev() {
            if node.id == own || self.bucket_len(self.bucket(&node.id)) == K {
                dropped.push(node.slot.addr);
            } else {
                self.nodes.insert(0, node);
            }
        }
        dropped
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Insert(u16),
    // Of all slots that there have ever been, so that many are stale.
    Remove(prop::sample::Index),
    Touch(prop::sample::Index),
    SetPinged(prop::sample::Index),
    SetSampled(prop::sample::Index),
    SetHinted(prop::sample::Index, bool),
    SetSilentAnswers(prop::sample::Index, u8),
    Wait(u32),
    Rebase(u16),
    Closest([u8; 32]),
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        60 => (0..400u16).prop_map(Op::Insert),
        8 => index().prop_map(Op::Remove),
        15 => index().prop_map(Op::Touch),
        3 => index().prop_map(Op::SetPinged),
        3 => index().prop_map(Op::SetSampled),
        2 => (index(), any::<bool>()).prop_map(|(i, hinted)| Op::SetHinted(i, hinted)),
        2 => (index(), any::<u8>()).prop_map(|(i, count)| Op::SetSilentAnswers(i, count)),
        10 => prop_oneof![0..10u32, 300..1100u32, 30_000..70_000u32].prop_map(Op::Wait),
        1 => (0..400u16).prop_map(Op::Rebase),
        5 => any::<[u8; 32]>().prop_map(Op::Closest),
    ]
}

fn run(id_of: IdOf, own: u16, ops: Vec<Op>) {
    let own = id_of(addr(own));
    let mut table = Table::new(
        own,
        Ids::new(Some(IdCache::new(move |addr| Some(id_of(addr))))),
        Exempt::Local,
        PLACES_MAX,
    );
    let mut model = Model { own, nodes: Vec::new() };
    let mut slots = Vec::new();
    let mut tick = 51;
    for op in ops {
        let pick = |index: prop::sample::Index| (!slots.is_empty()).then(|| *index.get(&slots));
        match op {
            Op::Insert(n) => {
                let id = id_of(addr(n));
                let known = model.nodes.iter().find(|node| node.slot.addr == addr(n));
                match (table.insert(&id, addr(n), tick), known) {
                    (Insert::Own, None) => assert_eq!(id, model.own),
                    (Insert::Present(slot), Some(node)) => assert_eq!(slot, node.slot),
                    (Insert::Full, None) => {
                        assert_eq!(model.bucket_len(model.bucket(&id)), K);
                    }
                    (Insert::Added(slot), None) => {
                        assert_ne!(id, model.own);
                        slots.push(slot);
                        let seen = table.node(slot).unwrap().seen;
                        assert_ne!(seen, 0);
                        model.nodes.push(Node {
                            id,
                            slot,
                            pinged: tick,
                            added: tick,
                            sampled: None,
                            seen,
                            hinted: false,
                            answers_without_id: 0,
                        });
                    }
                    other => panic!("{other:?}"),
                }
            }
            Op::Remove(index) => {
                let Some(slot) = pick(index) else { continue };
                let found = model.position(slot);
                assert_eq!(table.remove(slot), found.map(|_| slot.addr));
                found.map(|position| model.nodes.remove(position));
            }
            Op::Touch(index) => {
                let Some(slot) = pick(index) else { continue };
                table.touch(slot, tick);
                if let Some(position) = model.position(slot) {
                    let mut node = model.nodes.remove(position);
                    (node.pinged, node.seen) = (tick, node.seen.wrapping_add(1).max(1));
                    model.nodes.push(node);
                }
            }
            Op::SetPinged(index) => {
                let Some(slot) = pick(index) else { continue };
                table.set_pinged(slot, tick);
                model.change(slot, |node| node.pinged = tick);
            }
            Op::SetSampled(index) => {
                let Some(slot) = pick(index) else { continue };
                table.set_sampled(slot, tick);
                model.change(slot, |node| node.sampled = Some(tick));
            }
            Op::SetHinted(index, hinted) => {
                let Some(slot) = pick(index) else { continue };
                table.set_hinted(slot, hinted);
                model.change(slot, |node| node.hinted = hinted);
            }
            Op::SetSilentAnswers(index, count) => {
                let Some(slot) = pick(index) else { continue };
                table.set_silent_answers(slot, count);
                let count = count.min(7);
                model.change(slot, |node| node.answers_without_id = count);
            }
            Op::Wait(ticks) => tick += ticks,
            Op::Rebase(n) => {
                let mut dropped = Vec::new();
                table.rebase(id_of(addr(n)), tick, |addr| dropped.push(addr));
                assert_eq!(dropped, model.rebase(id_of(addr(n))));
                for node in &mut model.nodes {
                    node.slot = table.find(&node.id, node.slot.addr).unwrap();
                    slots.push(node.slot);
                }
            }
            Op::Closest(target) => check_closest(&table, &model, target),
        }
        check(&table, &model, tick);
    }
}

fn check_closest(table: &Table, model: &Model, target: [u8; 32]) {
    let mut targets = Vec::from([Id(target), model.own]);
    // Near the own id, at every depth.
    for bit in (0..256).step_by(1 + usize::from(target[0]) / 8) {
        let mut id = model.own;
        id.0[bit / 8] ^= 0x80 >> (bit % 8);
        targets.push(id);
    }
    targets.extend(model.nodes.iter().step_by(1 + usize::from(target[1]) / 8).map(|node| node.id));
    let mut out = heapless::Vec::new();
    for target in targets {
        table.closest(&target, &mut out);
        assert_eq!(out, *model.closest(&target));
    }
}

fn check(table: &Table, model: &Model, tick: u32) {
    assert_eq!(*table.own(), model.own);
    assert_eq!(table.len(), model.nodes.len());
    assert_eq!(table.is_empty(), model.nodes.is_empty());

    let slots: Vec<Slot> = model.nodes.iter().map(|node| node.slot).collect();
    let upwards: Vec<Slot> =
        iter::successors(table.oldest(), |&slot| table.newer(slot)).take(6_000).collect();
    assert_eq!(upwards, slots);
    let mut downwards: Vec<Slot> = table.iter().take(6_000).map(|(slot, _)| slot).collect();
    downwards.reverse();
    assert_eq!(downwards, slots);

    for node in &model.nodes {
        assert_eq!(table.find(&node.id, node.slot.addr), Some(node.slot));
        assert_eq!(table.find_by_prefix(node.id.prefix(), node.slot.addr), Some(node.slot));
        assert_eq!(split(node.slot.index).0 as u32, model.bucket(&node.id));
        assert_eq!(table.entry(node.slot).unwrap().rest, rest(&node.id, split(node.slot.index).0));
        let info = table.node(node.slot).unwrap();
        assert_eq!(
            (info.addr, info.seen, info.hinted, info.answers_without_id),
            (node.slot.addr, node.seen, node.hinted, node.answers_without_id)
        );
        let age = tick - node.pinged;
        let pinged_ago = info.pinged_ago(tick);
        assert!(pinged_ago == age || (PINGED_REACH..age).contains(&pinged_ago));
        check_coarse(info.added_ago(tick), tick - node.added);
        assert_eq!(info.sampled.is_some(), node.sampled.is_some());
        if let (Some(ago), Some(sampled)) = (info.sampled_ago(tick), node.sampled) {
            check_coarse(ago, tick - sampled);
        }
    }

    if let Some(node) = model.nodes.first() {
        let same = |other: &&Node| model.bucket(&other.id) == model.bucket(&node.id);
        let others = model.nodes.iter().filter(same).map(|other| other.slot);
        let key = |slot: &Slot| table.node(*slot).map(|n| (n.pinged, n.added, slot.index));
        let before = others.filter(|slot| table.node(*slot).unwrap().pinged != tick);
        assert_eq!(table.least_recent(&node.id, tick), before.min_by_key(key));
    }

    assert!(table.buckets.len() <= BUCKETS);
    table.buckets.check_invariants();
    assert!(table.buckets.iter().all(|bucket| bucket.len() <= K));
    let entries: usize = table.buckets.iter().map(|bucket| bucket.len()).sum();
    assert_eq!(entries, model.nodes.len());
}

fn check_coarse(ago: u32, age: u32) {
    let exact = age.saturating_sub(COARSE_UNIT - 1)..=age;
    assert!(exact.contains(&ago) || (COARSE_REACH..age).contains(&ago), "{ago} for {age}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn agrees_with_the_model(
        source in prop::sample::select(&SOURCES[..]),
        own in 0..400u16,
        ops in prop::collection::vec(op(), 1..300),
    ) {
        run(source, own, ops);
    }
}

/// An id that shares `bits` bits with `own`, and differs by `n` further on.
fn sharing(own: Id, bits: usize, n: u8) -> Id {
    let mut id = own;
    id.0[bits / 8] ^= 0x80 >> (bits % 8);
    if bits < 200 {
        id.0[30] = n;
    }
    id
}

/// A table whose buckets hold as many as said.
fn filled(counts: &[usize]) -> Table {
    let own = Id([0x5a; 32]);
    let mut table = Table::new(own, Ids::default(), Exempt::Local, PLACES_MAX);
    for (bits, &count) in counts.iter().enumerate() {
        for n in 0..count {
            let addr = addr((bits * K + n) as u16);
            assert!(matches!(
                table.insert(&sharing(own, bits, n as u8), addr, 60),
                Insert::Added(slot) if slot.addr() == addr
            ));
        }
    }
    table
}

proptest! {
    /// However nodes come and go, a small table that is full shares its places among the buckets while they are new, and
    /// has no place that it does not use.
    #[test]
    fn in_a_small_table_the_new_of_the_fullest_bucket_give_way(
        max in K..60,
        nodes in prop::collection::vec((0usize..12, any::<u8>(), any::<bool>()), 0..400),
    ) {
        let own = Id([0x5a; 32]);
        let mut table = Table::new(own, Ids::default(), Exempt::Local, max);
        let mut inside = Vec::new();
        for (at, (bits, n, leaves)) in nodes.into_iter().enumerate() {
            let (id, addr, tick) = (sharing(own, bits, n), addr(at as u16), 60 + at as u32);
            if leaves && !inside.is_empty() {
                let (id, addr, _) = inside.swap_remove(at % inside.len());
                prop_assert_eq!(table.remove(table.find(&id, addr).unwrap()), Some(addr));
            }
            let len = table.bucket_len(&id);
            let room = len < K && inside.len() < max;
            prop_assert_eq!(table.has_place_for(&id), room);
            let young = table.youngster(&id, tick, 100);
            if let Some(slot) = young {
                prop_assert!(!room && len < K);
                let gone = inside.iter().position(|(_, addr, _)| *addr == slot.addr()).unwrap();
                let (id, _, added) = inside.swap_remove(gone);
                // Ages are coarse.
                prop_assert!(tick - added < 100 + COARSE_UNIT);
                prop_assert!(table.bucket_len(&id) > len + SURPLUS);
                table.remove(slot);
            }
            let inserted = table.insert(&id, addr, tick);
            prop_assert_eq!(matches!(inserted, Insert::Added(_)), room || young.is_some());
            if let Insert::Added(_) = inserted {
                inside.push((id, addr, tick));
            }
            prop_assert!(table.len() <= max && table.len() == inside.len());
            for (id, addr, _) in &inside {
                prop_assert!(table.find(id, *addr).is_some());
            }
            table.buckets.check_invariants();
            prop_assert_eq!(table.iter().take(max + 1).count(), inside.len());
        }
    }
}
