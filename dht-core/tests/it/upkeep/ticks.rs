//! What a node does every five seconds: which nodes it pings, and when it refreshes its table.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Event, Id, Node, Query, Request, SavedNode};

use crate::support::lab::{FIND_NODE, LATENCY, Lab, PING, RTT, TICK, joining, peer};

const SECOND: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_micros(1);

/// Runs until a tick has pinged nodes, and returns these nodes.
fn next_pings(lab: &mut Lab) -> Vec<SocketAddrV4> {
    lab.sent.clear();
    for _ in 0..100 {
        lab.ticks(1);
        if !lab.checked().is_empty() {
            return lab.checked();
        }
    }
    panic!("no pings in 100 ticks");
}

/// All known nodes, the one heard of longest ago first.
fn oldest_first(lab: &Lab) -> Vec<SocketAddrV4> {
    let mut nodes: Vec<_> = lab.node.nodes().collect();
    nodes.reverse();
    nodes
}

/// A node that knows 30 peers, peer 0 the latest, all of which it last heard of long ago.
fn long_after() -> Lab {
    let mut lab = Lab::alone();
    for n in (0..30).rev() {
        lab.add_peer(peer(n));
        let saved = SavedNode { addr: peer(n), added: TICK * 100, pinged: TICK * 100 };
        lab.call(|node, now| node.import(now, &[saved], Duration::ZERO));
    }
    assert_eq!(lab.node.table_len(), 30);
    lab
}

fn hear_all(lab: &mut Lab, count: u32) {
    (0..count).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
}

#[test]
fn every_eighth_tick_the_oldest_are_pinged_five_at_first_and_ever_fewer_down_to_two() {
    let mut lab = long_after();
    lab.run_until(|lab| !lab.checked().is_empty());
    assert_eq!(lab.checked(), [29, 28, 27, 26, 25].map(peer));
    lab.run_for(SECOND / 5);
    for (round, count) in [4, 3, 2, 2, 2].into_iter().enumerate() {
        lab.sent.clear();
        let oldest = oldest_first(&lab);
        lab.run_for(8 * TICK - SECOND / 5 - INSTANT);
        assert_eq!(lab.checked(), [], "in round {round}");
        lab.run_for(INSTANT);
        assert_eq!(lab.checked(), oldest[..count], "in round {round}");
        lab.run_for(SECOND / 5);
        assert_eq!(oldest_first(&lab)[..5], oldest[count..count + 5], "others are the oldest now");
    }
}

/// How many nodes of the table each of seven keep-alives pings, if the peers `down` are down.
fn counts(down: &[u32]) -> Vec<usize> {
    let mut lab = long_after();
    down.iter().for_each(|n| lab.peer(peer(*n)).up = false);
    let mut count = || {
        let known = oldest_first(&lab);
        let asked = next_pings(&mut lab);
        // Wait until all tries are over.
        lab.ticks(1);
        asked.iter().filter(|addr| known.contains(addr)).count()
    };
    (0..7).map(|_| count()).collect()
}

#[test]
fn whoever_is_found_gone_raises_it_by_three_up_to_eight() {
    assert_eq!(counts(&[]), [5, 4, 3, 2, 2, 2, 2]);
    // The size of the next keep-alive was set before, so the raise shows in the one after.
    assert_eq!(counts(&[29]), [5, 4, 7, 6, 5, 4, 3]);
    assert_eq!(counts(&[24]), [5, 4, 3, 6, 5, 4, 3]);
    assert_eq!(counts(&[28, 29]), [5, 4, 8, 7, 6, 5, 4], "at most eight");
}

#[test]
fn with_more_than_two_in_flight_it_is_three() {
    for (in_flight, expected) in [(2, 4), (3, 3)] {
        let mut lab = long_after();
        assert_eq!(next_pings(&mut lab).len(), 5);
        lab.run_for(8 * TICK - SECOND);
        lab.sent.clear();
        for n in 0..in_flight {
            let nobody = Request::new(peer(900 + n), 100);
            lab.request(nobody);
        }
        lab.run_for(SECOND);
        assert_eq!(lab.checked().len(), expected);
    }
}

#[test]
fn if_even_the_oldest_was_heard_of_in_the_last_minute_it_is_two() {
    for (ticks_ago, expected) in [(11, 2), (12, 3)] {
        let mut lab = long_after();
        assert_eq!(next_pings(&mut lab).len(), 5);
        lab.ticks(16 - ticks_ago);
        hear_all(&mut lab, 30);
        assert_eq!(next_pings(&mut lab).len(), 2, "some ticks ago");
        assert_eq!(next_pings(&mut lab).len(), expected, "{ticks_ago} ticks ago");
    }
}

#[test]
fn who_knows_nobody_tries_the_bootstrap_nodes_again() {
    let mut lab = Lab::unbound(joining(&[peer(0)]));
    lab.add_peer(peer(0)).has_id = false;
    lab.bind();
    lab.ticks(8);
    let mut times = Vec::new();
    for tick in 0..32 {
        lab.sent.clear();
        lab.ticks(1);
        if lab.asked(FIND_NODE) == [peer(0)] {
            times.push(tick);
        }
    }
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [8, 8, 8]);
}

#[test]
fn after_an_hour_in_silence_all_are_still_there() {
    let mut lab = Lab::among(40);
    lab.ticks(720);
    assert_eq!(lab.node.table_len(), 40);
    assert_eq!(lab.node.stats().requests.timeouts, 0);
}

#[test]
fn five_minutes_without_a_query_bring_a_refresh() {
    let mut lab = Lab::among(25);
    let begun = lab.node.stats().queries.total;
    lab.ticks(59);
    assert_eq!(lab.node.stats().queries.total, begun);
    let nodes: Vec<_> = lab.node.nodes().map(|addr| Id::of(addr).0).collect();
    lab.ticks(1);
    assert_eq!(lab.node.stats().queries.total, begun + 1);
    let target = lab.sent.iter().find_map(|sent| sent.as_request()?.target.copied()).unwrap();
    assert!(nodes.contains(&target), "towards one of the table");
    assert!(lab.events.iter().all(|event| !matches!(event, Event::Finished(_))), "nobody's");
    lab.ticks(59);
    assert_eq!(lab.node.stats().queries.total, begun + 1);
    lab.ticks(1);
    assert_eq!(lab.node.stats().queries.total, begun + 2);
}

/// How many ticks it takes until the next refresh begins.
fn until_refresh(lab: &mut Lab) -> u32 {
    let begun = lab.node.stats().queries.total;
    for ticks in 1..=300 {
        lab.ticks(1);
        if lab.node.stats().queries.total > begun {
            assert_eq!(lab.node.stats().queries.total, begun + 1);
            return ticks;
        }
    }
    panic!("no refresh in 300 ticks");
}

#[test]
fn while_the_table_does_not_change_it_is_refreshed_ever_less_often_down_to_every_20_minutes() {
    let mut lab = Lab::among(25);
    let pauses = [0; 6].map(|_| until_refresh(&mut lab));
    assert_eq!(pauses, [60, 60, 120, 240, 240, 240]);
    // A node enters: the next refresh is as far away as it was, then the pauses are as at first.
    lab.add_peer(peer(25));
    lab.hear_with_id(peer(25), PING);
    assert_eq!([0; 4].map(|_| until_refresh(&mut lab)), [240, 60, 120, 240]);
    // A node leaves: perhaps not the only one, so the next refresh comes soon.
    lab.peer(peer(25)).up = false;
    lab.hint(peer(1), peer(25));
    assert_eq!([0; 3].map(|_| until_refresh(&mut lab)), [60, 60, 120]);
    // To hear again of known nodes is no change.
    (0..25).for_each(|n| drop(lab.hear_with_id(peer(n), PING)));
    assert_eq!([0; 2].map(|_| until_refresh(&mut lab)), [240, 240]);
    // After a sleep the pauses are as at first.
    lab.call(Node::handle_wakeup);
    assert_eq!([0; 3].map(|_| until_refresh(&mut lab)), [1, 60, 120]);
}

#[test]
fn a_refresh_that_falls_due_while_one_is_under_way_is_not_counted() {
    let mut lab = Lab::among(25);
    let begun = lab.node.stats().queries.total;
    // Upkeep out of turn: no time passes, so the first refresh does not end.
    for _ in 0..125 {
        lab.call(|node, now| node.maintain(now, false));
    }
    assert_eq!(lab.node.stats().queries.total, begun + 1);
    // The missed refresh is made up for, and only then do the pauses become longer.
    assert_eq!([0; 4].map(|_| until_refresh(&mut lab)), [1, 120, 240, 240]);
}

#[test]
fn any_query_puts_the_refresh_off() {
    let mut lab = Lab::among(25);
    lab.ticks(59);
    let query = Query::find_node(Id([0; 32])).discard_replies();
    lab.query(query);
    let begun = lab.node.stats().queries.total;
    lab.ticks(59);
    assert_eq!(lab.node.stats().queries.total, begun);
    lab.ticks(1);
    assert_eq!(lab.node.stats().queries.total, begun + 1);
}

#[test]
fn who_knows_fewer_than_twenty_looks_around_every_64_ticks() {
    for (known, expected) in [(19, 3), (20, 0)] {
        let mut lab = Lab::among(known);
        let (mut refreshes, mut last) = (Vec::new(), lab.node.stats().queries.total);
        for tick in 0..192 {
            if tick % 30 == 0 {
                // The node is never idle for long.
                let query = Query::find_node(Id([0; 32])).nodes([peer(0)]).only_closest_nodes();
                lab.query(query.discard_replies());
                last += 1;
            }
            lab.ticks(1);
            if lab.node.stats().queries.total > last {
                last = lab.node.stats().queries.total;
                refreshes.push(tick);
            }
        }
        assert_eq!(refreshes.len(), expected, "{known} known: {refreshes:?}");
        assert!(refreshes.windows(2).all(|pair| pair[1] - pair[0] == 64));
    }
}

#[test]
fn a_refresh_can_be_asked_for() {
    let mut lab = Lab::among(25);
    lab.call(Node::refresh);
    assert!(!lab.asked(FIND_NODE).is_empty());
    // One refresh at a time is enough.
    let begun = lab.node.stats().queries.total;
    lab.call(Node::refresh);
    assert_eq!(lab.node.stats().queries.total, begun);
}

#[test]
fn a_background_walk_yields_to_others_but_not_to_itself() {
    // (requests of the user's in flight, how many nodes the walk has asked after each round trip)
    for (others, expected) in [(0, [2, 12, 22]), (2, [2, 12, 22]), (3, [2, 4, 6])] {
        let mut config = joining(&[peer(0)]);
        config.quick_firewall = false;
        let mut lab = Lab::joined(config, 40);
        for n in 0..others {
            lab.request(Request::new(peer(900 + n), 100));
        }
        lab.call(Node::refresh);
        let mut asked = || {
            let count = lab.asked(FIND_NODE).len();
            lab.run_for(2 * LATENCY);
            count
        };
        assert_eq!([0; 3].map(|_| asked()), expected, "{others} in flight");
    }
}

#[test]
fn ticks_begin_at_random_so_that_nodes_do_not_act_in_step() {
    let first_ping = |seed| {
        let mut config = Config::default();
        config.nodes = vec![peer(0)];
        config.quick_firewall = false;
        let mut lab = Lab::with_seed(config, seed);
        lab.add_peer(peer(0));
        lab.bind();
        next_pings(&mut lab);
        lab.now
    };
    let phases: BTreeSet<_> = (0..24).map(first_ping).collect();
    assert!(phases.len() >= 5, "{} phases of 8", phases.len());
    assert_eq!(first_ping(3), first_ping(3));
}

#[test]
fn upkeep_waits_for_the_end_of_the_bootstrap() {
    // Each node names the next one, and all are slow: the chain would take more than a minute.
    let own = Lab::unbound(Config::default()).node.table_id();
    let mut chain: Vec<_> = (0..100).map(peer).collect();
    chain.sort_by_key(|addr| std::cmp::Reverse(Id::of(*addr).distance(&own)));
    let mut lab = Lab::unbound(joining(&chain[..1]));
    for pair in chain.windows(2) {
        let slow = lab.add_peer(pair[0]);
        slow.closer = vec![pair[1]];
        slow.rtt = RTT + Duration::from_millis(950);
    }
    lab.call(|node, now| node.add_node(now, peer(999)).unwrap());
    lab.bind();
    lab.ticks(3);
    assert!(!lab.node.bootstrapped());
    assert_eq!(lab.checked(), []);
    // And the health has no samples yet.
    assert!(lab.node.health().cold);
    // But no peer can drag out either of the two walks for longer than 20 s.
    lab.ticks(7);
    assert!(lab.node.bootstrapped());
}

#[test]
fn upkeep_can_be_done_out_of_turn() {
    let mut lab = Lab::among(25);
    let begun = lab.node.stats().queries.total;
    for _ in 0..59 {
        lab.call(|node, now| node.maintain(now, false));
    }
    let pings = lab.checked().len();
    assert!((7 * 2..=8 * 5).contains(&pings), "in one of eight: {pings}");
    assert_eq!(lab.node.stats().queries.total, begun);
    lab.call(|node, now| node.maintain(now, false));
    assert_eq!(lab.node.stats().queries.total, begun + 1);
}

#[test]
fn quiet_upkeep_sends_nothing_and_passes_no_tick() {
    let mut lab = Lab::among(25);
    assert!(lab.node.health().cold);
    for _ in 0..100 {
        lab.call(|node, now| node.maintain(now, true));
    }
    assert_eq!(lab.sent, []);
    assert!(!lab.node.health().cold, "but samples the health");
    let begun = lab.node.stats().queries.total;
    lab.ticks(59);
    assert_eq!(lab.node.stats().queries.total, begun);
}
