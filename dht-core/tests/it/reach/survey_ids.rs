//! What surveys of the own address do to the id: when a node is sure of it, and when it loses it.

use std::net::SocketAddrV4;

use dht_core::{Config, Event, Id, Instant};

use super::survey_rules::{
    LIE, MINUTE, SECOND, all_see, all_see_differently, begins_anew, heard_of, import, knowing,
    large_batches, peers, reached_by,
};
use crate::support::lab::{Lab, PING, PING_NAT, RTT, SERVER, TICK, joining, peer, told};

/// A node that is sure of its id, and whose last survey is an hour ago.
fn sure(config: Config, count: u32) -> Lab {
    let mut lab = knowing(config, &peers(count));
    lab.run_for(2 * 60 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    // Else the checks of reachability, which use PING_NAT, would find the same as a survey.
    lab.peers.values_mut().for_each(|peer| peer.ignores = &[PING_NAT]);
    lab.sent.clear();
    lab
}

#[test]
fn a_node_that_is_sure_asks_no_more_unless_it_is_contradicted() {
    let mut lab = sure(told(&[peer(0)]), 40);
    lab.run_for(2 * 60 * MINUTE);
    assert_eq!(large_batches(&lab), 0);
    all_see(&mut lab, Some(LIE));
    lab.run_for(5 * MINUTE);
    assert!(large_batches(&lab) >= 1);
}

#[test]
fn an_ephemeral_node_that_is_sure_asks_no_more() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = reached_by(config, &peers(40), false);
    lab.run_for(2 * MINUTE);
    lab.sent.clear();
    lab.run_for(2 * 60 * MINUTE);
    assert!(lab.node.ephemeral());
    assert_eq!(large_batches(&lab), 0);
    // A view from elsewhere starts a survey.
    all_see(&mut lab, Some(LIE));
    lab.run_for(60 * MINUTE);
    assert!(large_batches(&lab) >= 1);
}

#[test]
fn an_id_of_the_first_views_is_made_anew_of_the_first_four() {
    let mut lab = Lab::unbound(told(&[peer(0)]));
    lab.add_peer(peer(0)).sees = Some(LIE);
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert_eq!(lab.node.id(), Some(Id::of(LIE)));
    for n in 1..4 {
        assert_eq!(lab.node.id(), Some(Id::of(LIE)), "{n}");
        lab.add_peer(peer(n));
        lab.ping(peer(n));
    }
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert!(lab.asked(PING).len() == 3, "there was no survey yet");
}

#[test]
fn two_who_agree_make_no_id_that_stands_but_three_of_four_do() {
    for liars in 1..4 {
        let mut lab = Lab::unbound(told(&[peer(0)]));
        lab.add_peer(peer(0)).sees = Some(LIE);
        lab.bind();
        lab.run_until(|lab| lab.node.bootstrapped());
        // With 13 honest nodes the liars are too few to win, unless the id is settled before.
        for n in 1..liars + 13 {
            lab.add_peer(peer(n)).sees = (n < liars).then_some(LIE);
            lab.ping(peer(n));
        }
        let expected = if liars < 3 { SERVER } else { LIE };
        assert_eq!(lab.node.id(), Some(Id::of(expected)), "{liars} liars");
        assert_eq!(lab.asked(PING).len() as u32, liars + 12, "there was no survey yet");
    }
}

#[test]
fn an_adaptive_node_has_asked_when_it_settles() {
    let mut lab = knowing(joining(&[peer(0)]), &peers(40));
    lab.run_until(|lab| lab.events.contains(&Event::Persistent));
    assert!(large_batches(&lab) >= 1);
}

#[test]
fn an_adaptive_node_that_settles_waits_for_the_end_of_the_survey() {
    let mut config = joining(&[peer(0)]);
    config.quick_firewall = false;
    let mut lab = heard_of(config, &peers(200), true);
    for n in 200..1_000 {
        import(&mut lab, peer(n));
        if lab.knows(peer(n)) {
            lab.add_peer(peer(n));
            lab.ping(peer(n));
        }
    }
    lab.sent.clear();
    // The survey takes more than a minute: it asks all nodes, as a bootstrap node contradicts.
    lab.peer(peer(0)).sees = Some(LIE);
    lab.run_until(|lab| lab.events.contains(&Event::Persistent));
    let look = lab.sent.iter().find(|sent| sent.is(PING_NAT)).unwrap().at;
    let at = |time| lab.sent.iter().filter(|sent| sent.is(PING) && sent.at == time).count();
    // The last node of the survey was asked in the tick before the look.
    assert!(at(look) <= 5 && at(Instant::from_micros(look.as_micros() - 5_000_000)) >= 1);
    assert!(large_batches(&lab) > 12, "{}", large_batches(&lab));
}

#[test]
fn a_sure_id_goes_after_two_surveys_in_a_row_that_see_the_same() {
    let mut lab = sure(told(&[peer(0)]), 60);
    let after_one_survey = |lab: &mut Lab, by: &str| {
        all_see(lab, Some(LIE));
        lab.sent.clear();
        // Pings to all nodes, so that enough views from elsewhere say the same as the survey.
        (0..60).for_each(|n| lab.ping(peer(n)));
        lab.run_until(|lab| large_batches(lab) >= 2);
        lab.run_for(TICK);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "{by}");
    };
    after_one_survey(&mut lab, "the first");
    // The next survey finds the old address, so the first survey counts no more.
    all_see(&mut lab, None);
    lab.run_for(42 * MINUTE);
    after_one_survey(&mut lab, "after one that has seen it where it was");
    // Nor does the first survey count after one in which all nodes contradict one another.
    all_see_differently(&mut lab);
    lab.run_for(42 * MINUTE);
    after_one_survey(&mut lab, "after one without a result");
    lab.run_for(2 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(LIE)), "two in a row");
    // The node is as sure as before.
    all_see(&mut lab, None);
    lab.sent.clear();
    lab.run_until(|lab| large_batches(lab) >= 2);
    lab.run_for(TICK);
    assert_eq!(lab.node.id(), Some(Id::of(LIE)));
}

#[test]
fn a_few_that_a_bootstrap_node_backs_take_no_sure_id_away() {
    let mut lab = sure(told(&[peer(0)]), 60);
    for n in 0..10 {
        lab.peer(peer(n)).sees = Some(LIE);
    }
    // Each ping gets a view that contradicts the id, so there is one survey after another.
    for n in 0..24 {
        lab.ping(peer(n % 10));
        lab.run_for(5 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    }
    assert!(large_batches(&lab) >= 10);
}

#[test]
fn where_a_survey_has_moved_it_a_node_looks_a_minute_later() {
    let mut lab = sure(told(&[peer(0)]), 60);
    // A few nodes always see another address, so the node has come to look every half an hour only.
    (1..6).for_each(|n| lab.peer(peer(n)).sees = Some(LIE));
    lab.run_for(180 * MINUTE);
    all_see(&mut lab, Some(LIE));
    lab.run_until(|lab| lab.node.id() == Some(Id::of(LIE)));
    lab.sent.clear();
    lab.ticks(13);
    assert_eq!(lab.asked(PING_NAT).len(), 5 * 4);
}

#[test]
fn a_node_found_to_be_reachable_at_its_port_does_not_move_to_another_port() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = sure(config, 60);
    let elsewhere = SocketAddrV4::new(*LIE.ip(), 7777);
    all_see(&mut lab, Some(elsewhere));
    for _ in 0..60 {
        lab.run_for(MINUTE / 4);
        assert_ne!(lab.node.id(), Some(Id::of(elsewhere)));
    }
    assert!(large_batches(&lab) >= 3);
}

#[test]
fn what_was_asked_before_counts_no_more_for_other_sockets_or_after_a_suspension() {
    for suspended in [false, true] {
        let mut lab = knowing(told(&[peer(0)]), &peers(60));
        lab.peers.values_mut().for_each(|peer| peer.rtt = RTT + 3 * SECOND);
        lab.run_until(|lab| large_batches(lab) >= 1);
        if suspended {
            // Even at the same ports the node may be on another network now.
            lab.call(dht_core::Node::suspend);
            lab.call(dht_core::Node::resume);
            lab.bind();
        } else {
            lab.server.set_port(2001);
            let (client, server) = (lab.client, lab.server);
            lab.call(|node, now| node.handle_rebound(now, client, server));
        }
        lab.node.check_invariants();
        assert!(begins_anew(&mut lab), "suspended: {suspended}");
    }
}
