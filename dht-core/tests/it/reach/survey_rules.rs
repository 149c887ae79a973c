//! The rules of a survey of the own address, one by one: which nodes it asks, which answers count, and when it is made.
//! What all rules together achieve is in `survey`, and what they do to the id in `survey_ids`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Query, SavedNode, Via};

use crate::support::lab::{Lab, PING, PING_NAT, RTT, SERVER, TICK, neighbour, peer, told, wanting};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const LIE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(99, 9, 9, 9), SERVER.port());

/// A node that knows all of `peers`, right after it has bootstrapped.
pub(super) fn knowing(config: Config, peers: &[SocketAddrV4]) -> Lab {
    reached_by(config, peers, true)
}

pub(super) fn reached_by(config: Config, peers: &[SocketAddrV4], reached: bool) -> Lab {
    let mut lab = Lab::unbound(config);
    for addr in peers {
        let peer = lab.add_peer(*addr);
        (peer.closer, peer.reaches) = (peers.to_vec(), reached);
    }
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    // The first of `peers` is the latest in contact.
    peers.iter().rev().for_each(|addr| import(&mut lab, *addr));
    lab.sent.clear();
    lab
}

/// Puts a node into the table, if there is a place for it.
pub(super) fn import(lab: &mut Lab, addr: SocketAddrV4) {
    let saved = SavedNode { addr, pinged: Duration::ZERO, added: Duration::ZERO };
    lab.call(|node, now| node.import(now, &[saved], Duration::ZERO));
}

/// A node that knows as many of `peers` as its table has room for; each of these has answered, so a survey may ask it.
pub(super) fn heard_of(config: Config, peers: &[SocketAddrV4], reached: bool) -> Lab {
    let mut lab = reached_by(config, peers, reached);
    for addr in peers {
        if lab.knows(*addr) {
            lab.ping(*addr);
        }
    }
    lab.sent.clear();
    lab
}

pub(super) fn peers(count: u32) -> Vec<SocketAddrV4> {
    (0..count).map(peer).collect()
}

pub(super) fn all_see(lab: &mut Lab, addr: Option<SocketAddrV4>) {
    lab.peers.values_mut().for_each(|peer| peer.sees = addr);
}

/// Each peer sees another host.
pub(super) fn all_see_differently(lab: &mut Lab) {
    for (n, peer) in lab.peers.values_mut().enumerate() {
        peer.sees = Some(SocketAddrV4::new(Ipv4Addr::new(99, 0, 0, n as u8), 2000));
    }
}

/// Does the upkeep of `ticks` ticks, without any time passing.
fn pass(lab: &mut Lab, ticks: u32) {
    (0..ticks).for_each(|_| lab.call(|node, now| node.maintain(now, false)));
}

/// Runs until `count` large batches have left.
fn run_until_batches(lab: &mut Lab, count: usize) {
    lab.run_until(|lab| large_batches(lab) >= count);
}

/// Whether the next survey begins anew, which means with the bootstrap nodes.
pub(super) fn begins_anew(lab: &mut Lab) -> bool {
    lab.sent.clear();
    lab.ticks(3);
    let batches = batches(lab);
    let large = batches.iter().position(|batch| batch.len() > 5);
    let users = batches.iter().position(|batch| batch.contains(&peer(0)));
    users.unwrap() < large.unwrap()
}

/// The nodes that were pinged, by batches: pings that left together.
fn batches(lab: &Lab) -> Vec<Vec<SocketAddrV4>> {
    let mut batches: Vec<(_, Vec<_>)> = Vec::new();
    for sent in lab.sent.iter().filter(|sent| sent.is(PING)) {
        match batches.last_mut() {
            Some((at, batch)) if *at == sent.at => batch.push(sent.to),
            _ => batches.push((sent.at, vec![sent.to])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// How many large batches there were: keep-alives ask five at once at most, surveys eight, the network of a bootstrap
/// node aside.
pub(super) fn large_batches(lab: &Lab) -> usize {
    batches(lab).iter().filter(|batch| batch.len() > 5).count()
}

#[test]
fn bootstrap_nodes_are_asked_first_one_of_each_network_and_no_other_node_of_it() {
    let users = [neighbour([81, 1, 1], 0), neighbour([81, 1, 1], 1), peer(0)];
    let beside: Vec<_> = (9..18).map(|n| neighbour([46, 0, 0], n)).collect();
    let mut all = peers(30);
    all.extend(users[..2].iter().chain(&beside));
    let mut lab = heard_of(told(&users), &all, true);
    // All nodes see different addresses, so the survey asks every network.
    all_see_differently(&mut lab);
    lab.run_for(30 * SECOND);
    let batches = batches(&lab);
    assert_eq!(batches[0], [users[0], users[2]]);
    let others = batches[1..].concat();
    assert!(others.len() >= 24 && !others.contains(&users[1]));
    assert!(!others.iter().any(|addr| beside.contains(addr)));
}

#[test]
fn a_local_bootstrap_node_is_one_of_all() {
    let local = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 7), 4000);
    let mut all = peers(7);
    all.push(local);
    let mut lab = knowing(told(&[local]), &all);
    lab.run_for(6 * SECOND);
    let batches = batches(&lab);
    assert_eq!(batches[0].len(), 8, "{batches:?}");
    assert!(batches[0].contains(&local));
}

#[test]
fn each_survey_has_an_order_of_its_own_and_asks_another_node_of_a_network() {
    let crowd: Vec<_> = (0..12).map(|n| neighbour([81, 1, 1], n)).collect();
    let mut all = peers(40);
    all.extend(&crowd);
    let mut lab = knowing(told(&[peer(0)]), &all);
    all_see_differently(&mut lab);
    let (mut orders, mut drawn) = (BTreeSet::new(), BTreeSet::new());
    for pause in [0, 1, 2, 4, 8, 16] {
        lab.sent.clear();
        lab.run_for(MINUTE * pause + 40 * SECOND);
        let mut batches = batches(&lab).into_iter().filter(|batch| batch.len() >= 8);
        orders.insert(batches.next());
        drawn.extend(lab.asked(PING).into_iter().filter(|addr| crowd.contains(addr)));
    }
    assert!(orders.len() >= 4, "{orders:?}");
    assert!(drawn.len() >= 4, "{drawn:?}");
}

#[test]
fn none_is_made_while_the_node_bootstraps() {
    let mut lab = Lab::unbound(told(&[peer(0)]));
    // Each node names the next one, and answers late.
    for n in 0..12 {
        let other = lab.add_peer(peer(n));
        (other.closer, other.rtt) = (vec![peer(n + 1)], RTT + SECOND * 9 / 10);
    }
    lab.bind();
    lab.run_until(|lab| {
        assert!(lab.node.bootstrapped() || lab.asked(PING).is_empty());
        lab.node.bootstrapped()
    });
    assert!(lab.now.as_micros() > 1_007_000_000, "{:?}", lab.now);
}

#[test]
fn none_is_made_while_the_node_bootstraps_again() {
    let mut lab = Lab::unbound(told(&[peer(0)]));
    for n in 0..8 {
        let other = lab.add_peer(peer(n));
        (other.closer, other.rtt, other.up) = (vec![peer(n + 1)], RTT + SECOND * 9 / 10, false);
    }
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    lab.peers.values_mut().for_each(|peer| peer.up = true);
    lab.run_until(|lab| lab.node.table_len() > 0);
    let found = lab.now;
    lab.run_until(|lab| {
        let is_over = lab.events.contains(&Event::Persistent);
        assert!(is_over || lab.asked(PING).is_empty(), "{:?}", lab.now);
        is_over
    });
    assert!(lab.now > found + TICK, "{:?}", lab.now.saturating_since(found));
}

#[test]
fn none_goes_on_during_a_look_at_the_firewall() {
    let mut lab = reached_by(wanting(), &peers(40), false);
    lab.peers.values_mut().for_each(|peer| peer.rtt = RTT + SECOND / 2);
    lab.run_until(|lab| lab.asked(PING).contains(&peer(0)));
    pass(&mut lab, 24);
    assert_eq!(lab.asked(PING_NAT).len(), 5);
    lab.run_for(SECOND);
    lab.sent.clear();
    pass(&mut lab, 1);
    assert_eq!(large_batches(&lab), 0, "nobody has answered the look");
    lab.run_for(9 * SECOND);
    assert!(large_batches(&lab) >= 1);
}

#[test]
fn none_is_made_where_there_are_not_places_for_a_batch() {
    for busy in [true, false] {
        let mut config = told(&[peer(0)]);
        config.max_background_requests = 8;
        let mut lab = knowing(config, &peers(30));
        for _ in 0..6 {
            if busy {
                let query = Query::find_node(Id([7; 32])).nodes([peer(900)]).only_closest_nodes();
                lab.query(query.discard_replies());
            }
            lab.run_for(SECOND * 3);
        }
        assert_eq!(large_batches(&lab) == 0, busy);
    }
}

#[test]
fn what_arrives_at_the_other_socket_is_no_view() {
    let mut lab = knowing(told(&[peer(0)]), &peers(30));
    lab.peers.values_mut().for_each(|peer| peer.ignores = &[PING]);
    for _ in 0..50 {
        let before = lab.sent.len();
        lab.run_for(SECOND);
        for sent in lab.sent[before..].to_vec().iter().filter(|sent| sent.is(PING)) {
            let answer = crate::support::bare_answer(sent.request().tid, LIE, Some(sent.to));
            lab.hear_bytes(Via::Client, sent.to, &answer);
        }
    }
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

#[test]
fn a_batch_counts_as_a_whole() {
    let mut lab = heard_of(told(&[peer(0)]), &peers(80), true);
    lab.peers.values_mut().for_each(|peer| peer.ignores = &[PING]);
    let (mut begun, mut batches) = (0, 0);
    for _ in 0..120 {
        lab.run_for(SECOND);
        let asked: Vec<_> =
            lab.sent[begun..].iter().filter(|sent| sent.is(PING)).cloned().collect();
        begun = lab.sent.len();
        batches += usize::from(asked.len() >= 7);
        for (n, sent) in asked.iter().enumerate() {
            // A bootstrap node that contradicts the liars would have all nodes asked: this one is silent.
            if sent.to == peer(0) {
                continue;
            }
            // The liars of each batch answer first. Their lead is 6 and 4 in the middle and at the end of the first batch,
            // 10 and 8 of the second, 12 and 8 of the third.
            let lie = asked.len() >= 7 && n < [6, 6, 4].get(batches - 1).copied().unwrap_or(0);
            let answer = crate::support::bare_answer(
                sent.request().tid,
                if lie { LIE } else { SERVER },
                Some(sent.to),
            );
            lab.hear_bytes(Via::Server, sent.to, &answer);
        }
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "batch {batches}");
    }
    assert!(batches >= 4, "{batches}");
}

#[test]
fn who_answers_twice_counts_once() {
    let mut lab = heard_of(told(&[peer(0)]), &peers(80), true);
    lab.fate(|rtt| vec![rtt; 2]);
    lab.run_for(35 * SECOND);
    // A lead of twelve takes two batches of eight.
    assert_eq!(large_batches(&lab), 2);
}

#[test]
fn a_node_found_to_be_reachable_asks_anew_by_the_other_socket() {
    let mut lab = reached_by(wanting(), &peers(40), false);
    lab.peers.values_mut().for_each(|peer| (peer.rtt, peer.reaches) = (RTT + SECOND / 2, true));
    run_until_batches(&mut lab, 1);
    pass(&mut lab, 24);
    lab.run_for(SECOND);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert!(begins_anew(&mut lab));
}

#[test]
fn a_node_that_two_looks_found_elsewhere_asks_anew() {
    let mut lab = heard_of(wanting(), &peers(60), true);
    all_see(&mut lab, Some(LIE));
    // Where a bootstrap node contradicts, all nodes have to be asked.
    lab.peer(peer(0)).sees = None;
    lab.peers.values_mut().for_each(|peer| peer.rtt = RTT + SECOND / 2);
    for batch in 1..4 {
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        run_until_batches(&mut lab, batch);
        pass(&mut lab, 12);
        lab.run_for(SECOND);
    }
    assert_eq!(lab.node.id(), Some(Id::of(LIE)));
    assert!(begins_anew(&mut lab));
}

#[test]
fn what_the_table_says_against_the_latest_who_were_heard_is_looked_at_at_once() {
    let mut lab = reached_by(wanting(), &peers(40), false);
    let begun = lab.now;
    (0..40).for_each(|n| lab.ping(peer(n)));
    for n in 0..40 {
        let addr = neighbour([81, n, 0], 0);
        lab.add_peer(addr).sees = Some(LIE);
        import(&mut lab, addr);
        lab.ping(addr);
    }
    lab.peers.values_mut().for_each(|peer| peer.reaches = true);
    assert_eq!(lab.node.host(), Some(*LIE.ip()));
    // Otherwise the next look would come two minutes after the first one, which was in vain.
    lab.run_until(|lab| lab.node.id() == Some(Id::of(SERVER)));
    let took = lab.now.saturating_since(begun);
    assert!(took < MINUTE, "{took:?}");
}
