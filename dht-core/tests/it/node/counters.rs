//! What is counted, and that the counters add up. The counters of dropped datagrams are tested
//! where the drops are.

use std::time::Duration;

use dht_core::wire::addr_bytes;
use dht_core::{CommandCount, Config, Id, Node, Query, Request, RequestStats, Via};

use crate::support::lab::*;
use crate::support::net::{Fate, Net};

fn count(tx: u64, rx: u64) -> CommandCount {
    let mut count = CommandCount::default();
    (count.tx, count.rx) = (tx, rx);
    count
}

/// Counters of requests: active, total, responses, timeouts, retries, cancelled.
fn requests(lab: &Lab) -> [u64; 6] {
    let RequestStats { active, total, responses, timeouts, retries, cancelled, .. } =
        lab.stats().requests;
    [active, total, responses, timeouts, retries, cancelled]
}

#[test]
fn a_request_is_active_until_it_ends_in_one_of_three_ways() {
    let mut config = Config::default();
    config.max_window = 2;
    let mut lab = Lab::started(config);
    lab.peers.insert(addr(1), Peer::default());
    let ids = lab.requests([2, 3, 1].into_iter().map(|n| Request::ping(addr(n)).retries(1)));
    assert_eq!(requests(&lab), [3, 3, 0, 0, 0, 0], "one of them waits");
    lab.node.cancel_request(lab.now, ids[0]);
    lab.flush();
    assert_eq!(requests(&lab), [2, 3, 0, 0, 0, 1]);
    lab.run_ms(900);
    assert_eq!(requests(&lab), [1, 3, 1, 0, 0, 1]);
    lab.run_ms(900);
    assert_eq!(requests(&lab), [1, 3, 1, 0, 1, 1], "a retry is no request");
    lab.run_ms(900);
    assert_eq!(requests(&lab), [0, 3, 1, 1, 1, 1]);
    lab.request(Request::ping(addr(4)));
    lab.node.suspend(lab.now);
    assert_eq!(requests(&lab), [0, 4, 1, 1, 1, 2]);
}

#[test]
fn internal_commands_are_counted_apart() {
    let mut lab = Lab::alone();
    lab.peers.extend([1, 2].map(|n| (addr(n), Peer::default())));
    let dead = addr(3);
    for to in [addr(1), addr(2), dead] {
        lab.request(Request::ping(to));
        lab.request(Request::delayed_ping(to, Duration::ZERO));
        // The application's commands of the same numbers are not counted as internal commands.
        lab.requests((0..4).map(|command| Request::new(to, command)));
    }
    lab.query(Query::find_node(target(1)).nodes([addr(1), dead]).only_closest_nodes().thorough());
    lab.run_ms(4_900);
    let commands = lab.stats().commands;
    assert_eq!(commands.ping, count(3, 2), "not the retries");
    assert_eq!(commands.find_node, count(2, 1));
    assert_eq!((commands.ping_nat, commands.down_hint), (count(0, 0), count(0, 0)));
    assert_eq!(lab.stats().requests.total, 3 * 6 + 2);
}

#[test]
fn what_others_ask_is_not_counted() {
    let mut lab = Lab::alone();
    for command in 0..6 {
        let ask = Ask::internal(command).target(target(1)).value(&addr_bytes(addr(1)));
        lab.ask(addr(1), &ask);
    }
    assert_eq!(lab.stats().requests, RequestStats::default());
    assert_eq!(lab.stats().commands.ping, count(0, 0));
}

#[test]
fn queries_are_active_until_they_end() {
    let mut lab = Lab::alone();
    let before = lab.stats().queries.total;
    assert_eq!(before, 1, "the bootstrap");
    lab.peers.insert(addr(1), Peer::default());
    let query = || Query::new(target(1), 16).nodes([addr(1)]);
    let ids = [query(), query().commit(), query()].map(|query| lab.query(query));
    assert_eq!(lab.stats().queries.active, 3);
    lab.node.cancel_query(lab.now, ids[2]);
    assert_eq!(lab.stats().queries.active, 2);
    lab.run_for(RTT);
    assert_eq!(lab.stats().queries.active, 1, "one has still to commit");
    lab.run_for(RTT);
    assert_eq!((lab.stats().queries.active, lab.stats().queries.total), (0, before + 3));
    for id in ids {
        lab.node.cancel_query(lab.now, id);
    }
    assert_eq!(lab.stats().queries.active, 0, "and they end once only");
}

#[test]
fn verifications_are_counted_apart_from_requests() {
    let mut lab = Lab::alone();
    lab.peers.insert(addr(1), Peer::default());
    lab.peers.insert(addr(2), Peer { has_id: false, ..Peer::default() });
    for n in 1..4 {
        let id = Some(*Id::of(addr(n)).as_bytes());
        lab.ask(addr(n), &Ask { id, ..Ask::internal(PING) });
    }
    lab.run_ms(1_500);
    let stats = lab.stats();
    let verifications = stats.verifications;
    assert_eq!((verifications.sent, verifications.verified, verifications.failed), (3, 1, 2));
    assert_eq!((stats.requests, stats.commands.ping), (RequestStats::default(), count(0, 0)));
}

#[test]
fn a_hint_beyond_the_limits_is_counted() {
    let mut lab = Lab::alone();
    (100..110).for_each(|n| lab.add_node(addr(n)));
    for n in 100..107 {
        lab.ask(addr(1), &Ask::internal(DOWN_HINT).value(&addr_bytes(addr(n))));
    }
    assert_eq!(lab.stats().drops.down_hints, 2, "five per host and tick");
}

#[test]
fn upkeep_that_finds_no_place_is_counted() {
    let mut config = Config::default();
    config.max_background_requests = 64;
    let mut lab = Lab::started(config);
    lab.add_node(addr(200));
    let nodes = (0..100).map(addr);
    let query = Query::new(target(1), 16).nodes(nodes).only_closest_nodes();
    lab.query(query.concurrency(100).discard_replies());
    lab.ask(addr(1), &Ask::internal(DOWN_HINT).value(&addr_bytes(addr(200))));
    assert_eq!(lab.stats().drops.background, 1);
}

#[test]
fn every_counter_adds_up_in_a_bad_network() {
    let mut net = Net::network(7, 30);
    net.rule(|_, _, rng| match rand_core::Rng::next_u32(rng) % 10 {
        0..3 => Fate::Drop,
        3 => Fate::Twice(Duration::from_millis(70)),
        4 => Fate::Deliver(Duration::from_millis(1_400)),
        _ => Fate::Pass,
    });
    for n in 0..30 {
        let query = Query::find_node(target(n)).discard_replies();
        net.query(n as usize, if n % 3 == 0 { query.commit() } else { query });
        if n % 7 == 0 {
            net.kill(n as usize + 1);
        }
    }
    for _ in 0..40 {
        net.run_for(Duration::from_millis(731));
        for member in &net.members {
            let requests = member.node.stats().requests;
            let ended = requests.responses + requests.timeouts + requests.cancelled;
            assert_eq!(requests.total, requests.active + ended);
            let rx = member.node.stats().commands;
            let rx = rx.ping.rx + rx.ping_nat.rx + rx.find_node.rx + rx.down_hint.rx;
            assert!(rx <= requests.responses);
        }
    }
    for at in 0..30 {
        net.call(at, Node::close);
        let stats = net.members[at].node.stats();
        assert_eq!((stats.requests.active, stats.queries.active), (0, 0));
    }
    let lost: u64 = net.members.iter().map(|member| member.node.stats().drops.unsolicited).sum();
    assert!(lost > 0, "duplicates and late answers are counted");
}

#[test]
fn a_wrong_source_and_a_late_answer_differ() {
    let mut lab = Lab::alone();
    lab.request(Request::ping(addr(1)));
    let tid = lab.sent[0].request().tid;
    let _ = lab.hand_in(Via::Client, addr(2), &Forged::by(addr(2)).bytes(tid));
    let _ = lab.hand_in(Via::Client, addr(1), &Forged::by(addr(1)).bytes(tid ^ 1));
    let drops = lab.stats().drops;
    assert_eq!((drops.wrong_source, drops.unsolicited), (1, 1));
}
