//! A cache of ids that several nodes share: it changes only which node computes an id.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dht_core::{Config, Id, IdCache, Instant, Query, Request};

use crate::support::net::{Fate, Net, Packet, target};

/// The life of a network: nodes join, search, store, become reachable, lose datagrams, die, sleep.
fn life(ids: Option<IdCache>) -> Vec<(Instant, Packet)> {
    let mut net = Net::new(11);
    net.log = Some(Vec::new());
    net.ids = ids;
    let mut net = net.grown(40);
    let mut adaptive = Config::default();
    adaptive.bootstrap = vec![net.server(0).into()];
    adaptive.nodes = vec![net.server(3), net.server(4)];
    let late = net.start(adaptive);
    net.run_until(|net| net.members[late].node.bootstrapped());
    net.walk(late, Query::new(target(1), 7).value(&b"x"[..]).commit()).1.unwrap_err();
    net.rule(|now, packet, _| {
        let lost = (now.as_micros() / 100 + u64::from(packet.to.port())) % 11 == 0;
        if lost { Fate::Drop } else { Fate::Pass }
    });
    (20..30).for_each(|at| net.kill(at));
    for at in [1, 5, late] {
        net.walk(at, Query::find_node(target(at as u32))).1.unwrap();
    }
    let dead = net.server(20);
    net.ask(2, Request::ping(dead)).unwrap_err();
    let saved = net.members[2].node.export();
    net.call(late, |node, now| {
        node.import(now, &saved, Duration::from_secs(60));
        node.refresh(now);
    });
    net.run_for(Duration::from_secs(1500));
    net.members.iter().for_each(|member| member.node.check_invariants());
    net.log.unwrap()
}

#[test]
fn the_same_datagrams_leave_with_and_without_a_cache() {
    let (known, asked) = (Mutex::new(BTreeMap::new()), Arc::new(AtomicU32::new(0)));
    let hits = Arc::new(AtomicU32::new(0));
    let counts = (asked.clone(), hits.clone());
    let remembers = IdCache::new(move |addr: SocketAddrV4| {
        asked.fetch_add(1, Relaxed);
        let mut known = known.lock().unwrap();
        if let Some(id) = known.get(&addr) {
            hits.fetch_add(1, Relaxed);
            return Some(*id);
        }
        known.insert(addr, Id::of(addr));
        None
    });
    let alone = life(None);
    assert!(alone.len() > 5_000, "{}", alone.len());
    assert!(alone == life(Some(remembers)), "a cache shows");
    let (asked, hits) = (counts.0.load(Relaxed), counts.1.load(Relaxed));
    assert!(asked > 10_000 && hits > asked * 9 / 10, "{hits} of {asked}");
    assert!(alone == life(Some(IdCache::new(|_| None))), "an empty cache shows");
}

#[test]
fn a_cache_that_lies_misleads_its_own_node_only() {
    let mut net = Net::network(12, 30);
    let count = AtomicU32::new(0);
    net.ids = Some(IdCache::new(move |addr| {
        // The lie is another one each time.
        let n = count.fetch_add(1, Relaxed);
        (!n.is_multiple_of(3)).then(|| target(u32::from(addr.port()) + n % 7))
    }));
    let mut config = net.persistent(0);
    // The node is ephemeral, so lookups need not find it: it would send a wrong id.
    config.ephemeral = None;
    let misled = net.start(config);
    net.ids = None;
    let _ = net.walk(misled, Query::find_node(target(1)));
    net.run_for(Duration::from_secs(600));
    for at in 0..30 {
        let expected = net.true_closest(&target(2), 21);
        let (_, outcome) = net.walk(at, Query::find_node(target(2)));
        let own = net.server(at);
        let expected: Vec<_> = expected.into_iter().filter(|addr| *addr != own).take(20).collect();
        let found: Vec<_> = outcome.unwrap().closest.iter().map(|reply| reply.from.addr).collect();
        assert_eq!(found, expected);
        net.members[at].node.check_invariants();
    }
}
