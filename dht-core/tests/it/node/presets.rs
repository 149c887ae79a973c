//! `Config::server`, `client` and `embedded`: what each preset is for works within its limits.

use std::time::Duration;

use dht_core::{Answer, Config, Query, Request, SendError};

use crate::support::net::{Net, target};

fn preset(net: &Net, mut config: Config) -> Config {
    config.bootstrap = vec![net.server(0).into()];
    config
}

/// How many of the true 20 closest nodes `lookups` lookups find, and how many there are to find.
fn found(net: &mut Net, at: usize, lookups: u32) -> (usize, usize) {
    let (mut all, mut found) = (0, 0);
    for n in 0..lookups {
        let truly = net.true_closest(&target(n), 20);
        let outcome = net.walk(at, Query::find_node(target(n)).discard_replies()).1.unwrap();
        let is_found = |addr| outcome.closest.iter().any(|reply| reply.from.addr == addr);
        found += truly.iter().filter(|addr| is_found(**addr)).count();
        all += truly.len();
    }
    (found, all)
}

#[test]
fn a_device_finds_stores_asks_and_answers() {
    let mut net = Net::network(1, 150);
    for at in 0..150 {
        let mut kept = None;
        net.serve(at, move |request| {
            if request.token.is_some() {
                kept = request.value.map(<[u8]>::to_vec);
            }
            Some(kept.clone().map_or(Answer::empty(), Answer::value))
        });
    }
    let at = net.start(preset(&net, Config::embedded()));
    net.run_until(|net| net.members[at].node.bootstrapped());
    assert_eq!(found(&mut net, at, 20), (400, 400));

    let value = vec![7; 310];
    let store = Query::new(target(99), 0).value(value.clone()).commit();
    assert_eq!(net.walk(at, store).1.unwrap().commit.unwrap().succeeded, 20);
    let (replies, outcome) = net.walk(at, Query::new(target(99), 0));
    assert_eq!(outcome.unwrap().closest.len(), 20);
    assert!(replies.iter().filter(|reply| reply.value.as_deref() == Some(&value)).count() >= 20);

    let peer = net.server(7);
    net.serve(at, |request| Some(Answer::value(request.value?.to_vec())));
    assert!(net.ask(at, Request::ping(peer)).is_ok());
    let device = net.client(at);
    let reply = net.ask(7, Request::new(device, 0).value(&b"hello"[..])).unwrap();
    assert_eq!(reply.value.as_deref(), Some(&b"hello"[..]));

    // Half an hour later nothing has changed.
    net.run_for(Duration::from_secs(1800));
    let node = net.node(at);
    assert!(node.ephemeral() && node.online() && (20..=80).contains(&node.table_len()));
    assert_eq!(found(&mut net, at, 5), (100, 100));
}

#[test]
fn a_device_says_busy_rather_than_taking_more() {
    let mut net = Net::network(2, 30);
    let at = net.start(preset(&net, Config::embedded()));
    net.run_until(|net| net.members[at].node.bootstrapped());
    let first = net.query(at, Query::find_node(target(1)).discard_replies());
    let now = net.now;
    assert_eq!(net.node(at).query(now, Query::find_node(target(2))), Err(SendError::Busy));
    assert!(net.outcome(at, first).1.is_ok());
    net.walk(at, Query::find_node(target(2))).1.unwrap();

    for (len, fits) in [(398, true), (399, false)] {
        let store = Query::new(target(3), 16).value(vec![0; len]).commit();
        let result = net.call(at, |node, now| node.query(now, store));
        assert_eq!(result.err(), (!fits).then_some(SendError::TooLarge { limit: 398 }));
    }
}

#[test]
fn a_device_that_reads_replies_gets_past_dead_nodes() {
    let mut net = Net::network(6, 100);
    let at = net.start(preset(&net, Config::embedded()));
    net.run_until(|net| net.members[at].node.bootstrapped());
    (5..100).step_by(10).for_each(|dead| net.kill(dead));
    for n in 0..5 {
        let start = net.now;
        let (replies, outcome) = net.walk(at, Query::find_node(target(n)));
        assert_eq!(outcome.unwrap().closest.len(), 20);
        assert!(replies.len() >= 20);
        let took = net.now.saturating_since(start);
        assert!(took < Duration::from_secs(3), "{n}: {took:?}");
    }
}

#[test]
fn a_longer_datagram_than_a_device_takes_is_counted() {
    let mut net = Net::network(3, 2);
    net.serve(1, |request| {
        let len = u16::from_le_bytes(request.value?.try_into().ok()?);
        Some(Answer::value(vec![1; len.into()]))
    });
    let at = net.start(preset(&net, Config::embedded()));
    net.run_until(|net| net.members[at].node.bootstrapped());
    let to = net.server(1);
    let ask = |len: u16| Request::new(to, 0).value(len.to_le_bytes().to_vec());
    // Beside the value: 10 bytes of head, an id, a token, and three bytes for its length.
    assert_eq!(net.ask(at, ask(431)).unwrap().value.map(|value| value.len()), Some(431));
    assert!(net.ask(at, ask(432)).is_err());
    assert_eq!(net.node(at).stats().drops.oversize, 4, "each of its tries was answered");
}

#[test]
fn devices_alone_make_a_network() {
    let mut net = Net::new(4);
    net.bootstrapper();
    for _ in 1..60 {
        let mut config = preset(&net, Config::embedded());
        (config.ephemeral, config.firewalled) = (Some(false), false);
        let at = net.start(config);
        net.run_until(|net| net.members[at].node.bootstrapped());
    }
    net.run_for(Duration::from_secs(60));
    let (found, all) = found(&mut net, 30, 20);
    // A node does not ask itself.
    assert!(found >= all - 20, "{found} of {all}");
}

#[test]
fn a_server_is_persistent_at_once_and_a_client_never() {
    let mut net = Net::network(5, 30);
    let [server, client] = [Config::server(), Config::client()].map(|config| {
        let at = net.start(preset(&net, config));
        net.run_until(|net| net.members[at].node.bootstrapped());
        at
    });
    net.run_for(Duration::from_secs(10));
    assert!(!net.node(server).ephemeral() && net.node(server).id().is_some());
    net.run_for(Duration::from_secs(2 * 3600));
    assert!(net.node(client).ephemeral());
    assert!(net.node(client).table_len() >= 20);
    assert_eq!(found(&mut net, client, 10), (200, 200));
}
