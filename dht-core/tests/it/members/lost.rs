//! Nodes that fell silent are remembered for a while: if the network was split, they are the way back to
//! its other half.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Id, Node, Query, Request, wire};

use crate::support::lab::{FIND_NODE, LATENCY, Lab, PING, TICK, asks, far_half, neighbour, peer};
use crate::support::net::{self, Fate, Net};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A node among 30 peers that has just lost the first `count` of them.
fn losing(count: u32) -> Lab {
    let mut lab = Lab::among(30);
    for n in 0..count {
        lab.peer(peer(n)).up = false;
        lab.hint(peer(20 + n / 5), peer(n));
    }
    lab.run_for(4 * SECOND);
    assert_eq!(lab.node.table_len(), 30 - count as usize);
    lab.sent.clear();
    lab
}

/// Which of the `count` lost nodes are asked in the next `ticks` ticks: pairs of a tick and a peer.
fn asked(lab: &mut Lab, count: u32, ticks: u32) -> Vec<(u32, u32)> {
    let mut asked = Vec::new();
    for tick in 1..=ticks {
        lab.sent.clear();
        lab.ticks(1);
        let lost = |addr: &SocketAddrV4| (0..count).find(|n| peer(*n) == *addr);
        asked.extend(lab.checked().iter().filter_map(lost).map(|n| (tick, n)));
    }
    asked
}

#[test]
fn with_every_keep_alive_one_of_them_is_asked_once_and_each_has_its_turn() {
    let mut lab = losing(3);
    let before = lab.node.stats();
    let asked = asked(&mut lab, 3, 48);
    assert_eq!(asked.len(), 6, "one datagram each, no retries: {asked:?}");
    assert!(asked.windows(2).all(|pair| pair[1].0 - pair[0].0 == 8));
    assert!(asked.windows(3).all(|turn| turn[0].1 != turn[1].1 && turn[1].1 != turn[2].1));
    assert_eq!((asked[0].1, asked[1].1, asked[2].1), (asked[3].1, asked[4].1, asked[5].1));
    // Lost nodes are asked by verifications, which count neither as requests nor for the health.
    let stats = lab.node.stats();
    assert_eq!(stats.verifications.failed, before.verifications.failed + 6);
    assert_eq!(stats.requests.timeouts, before.requests.timeouts);
}

#[test]
fn asking_one_does_not_count_as_other_traffic() {
    for (others, expected) in [(2, 5), (3, 3)] {
        let mut lab = losing(3);
        // All nodes look old, so the second tick from now is to ping five.
        lab.call(Node::handle_wakeup);
        lab.run_for(lab.until_tick() + TICK - SECOND);
        for n in 0..others {
            lab.request(Request::new(peer(900 + n), 100));
        }
        lab.sent.clear();
        lab.run_for(SECOND);
        let known = lab.checked().iter().filter(|addr| lab.knows(**addr)).count();
        assert_eq!((known, lab.checked().len()), (expected, expected + 1), "{others} in flight");
    }
}

#[test]
fn nobody_is_looked_for_after_two_hours() {
    let mut lab = losing(1);
    // The eviction took most of a tick.
    let asked = asked(&mut lab, 1, 1_500);
    let last = asked.last().unwrap().0;
    assert!((1_432..1_440).contains(&last), "{last}");
    // Peer 0 is asked every eighth tick until then; and for its view, as a bootstrap node.
    assert!((180..=188).contains(&asked.len()), "{}", asked.len());
}

/// A lost node is remembered for two hours, sleep included, however old the other nodes look then.
#[test]
fn sleep_does_not_make_the_node_forget_whom_it_has_lost() {
    let mut lab = losing(1);
    for _ in 0..3 {
        lab.call(Node::suspend);
        lab.call(Node::resume);
        lab.bind();
        lab.ticks(2);
    }
    assert!(!asked(&mut lab, 1, 8).is_empty());
    lab.sleep(2 * HOUR);
    assert_eq!(asked(&mut lab, 1, 60), []);
}

#[test]
fn only_those_who_fell_silent_are_looked_for() {
    let mut lab = Lab::among(30);
    lab.peer(peer(1)).has_id = false;
    for _ in 0..2 {
        lab.hint(peer(20), peer(1));
        lab.ticks(1);
    }
    assert!(!lab.knows(peer(1)), "it is there, but has no id any more");
    assert_eq!(asked(&mut lab, 2, 40).iter().filter(|(_, n)| *n == 1).count(), 0);
}

#[test]
fn when_one_is_back_all_are_asked_at_once_and_the_own_neighbourhood_is_looked_at() {
    let mut lab = losing(10);
    (0..10).for_each(|n| lab.peer(peer(n)).up = true);
    lab.run_until(|lab| (0..10).any(|n| lab.knows(peer(n))));
    assert_eq!((0..10).filter(|n| lab.knows(peer(*n))).count(), 1);
    lab.run_for(2 * LATENCY);
    assert!((0..10).all(|n| lab.knows(peer(n))));
    let own = lab.node.table_id();
    let targets = lab.sent.iter().filter(|sent| sent.is(FIND_NODE));
    assert!(targets.into_iter().any(|sent| sent.request().target == Some(own.as_bytes())));
}

#[test]
fn forged_requests_leave_a_place_for_those_that_were_lost() {
    // Forged requests come all the time: from many /24s, from the /24 of the lost node, or in its name.
    let [a, b, c, _] = peer(0).ip().octets();
    for forged in 0..3 {
        let mut lab = losing(1);
        let before = lab.node.stats().verifications.sent;
        for round in 0..20 * 40_u16 {
            lab.run_for(SECOND / 4);
            for n in 0..20 {
                let from = match forged {
                    0 => neighbour([70, (round % 250) as u8, n], 0),
                    1 => neighbour([a, b, c], 500 + round * 20 + u16::from(n)),
                    _ => peer(0),
                };
                let id = Id::of(from).0;
                lab.hear(from, &wire::Request { id: Some(&id), ..asks(PING) });
            }
        }
        // The /24 of the lost node is silent, so few of its nodes are asked.
        let many = if forged == 1 { 10 } else { 100 };
        assert!(lab.node.stats().verifications.sent > before + many);
        assert!(lab.checked().iter().filter(|addr| **addr == peer(0)).count() >= 5, "{forged}");
    }
}

#[test]
fn any_answer_of_one_that_was_lost_tells_it() {
    let mut lab = losing(2);
    (0..2).for_each(|n| lab.peer(peer(n)).up = true);
    // Peer 0 answers a PING of the user's.
    lab.request(Request::ping(peer(0)));
    // FIND_NODE is what peer 0 left unanswered: it is asked for that as well, and then peer 1.
    lab.run_for(6 * LATENCY);
    assert!(lab.knows(peer(0)) && lab.knows(peer(1)));
}

#[test]
fn all_are_asked_again_after_five_minutes_not_sooner() {
    // (ticks between the first two nodes that are back, how many of the other nine the second has asked)
    for (ticks, expected) in [(59, 0), (60, 8)] {
        let mut lab = losing(10);
        let back = |lab: &mut Lab, n| {
            lab.peer(peer(n)).up = true;
            lab.sent.clear();
            lab.request(Request::ping(peer(n)));
            lab.run_for(6 * LATENCY);
            let others = |addr: &&SocketAddrV4| (0..10).any(|o| o != n && peer(o) == **addr);
            lab.checked().iter().filter(others).count()
        };
        assert_eq!(back(&mut lab, 0), 9);
        lab.ticks(ticks);
        assert_eq!(back(&mut lab, 1), expected, "after {ticks} ticks");
    }
}

#[test]
fn one_that_is_back_alone_does_not_put_off_the_search_for_others() {
    let mut lab = losing(1);
    let back = |lab: &mut Lab, n| {
        lab.request(Request::ping(peer(n)));
        lab.run_for(6 * LATENCY);
        assert!(lab.knows(peer(n)));
    };
    lab.peer(peer(0)).up = true;
    back(&mut lab, 0);
    // Soon after, three other nodes are lost.
    for n in 1..4 {
        lab.peer(peer(n)).up = false;
        lab.hint(peer(20), peer(n));
    }
    lab.run_for(4 * SECOND);
    assert!((1..4).all(|n| !lab.knows(peer(n))));
    (1..4).for_each(|n| lab.peer(peer(n)).up = true);
    back(&mut lab, 1);
    assert!((2..4).all(|n| lab.knows(peer(n))), "all are asked when the first is back");
}

#[test]
fn one_that_finds_its_bucket_full_has_found_the_network_again_all_the_same() {
    let mut config = Config::default();
    config.ephemeral = Some(true);
    let mut lab = Lab::started(config);
    let far = far_half(lab.node.table_id(), 22);
    far.iter().for_each(|addr| _ = lab.add_peer(*addr));
    far[..20].iter().for_each(|addr| _ = lab.call(|node, now| node.add_node(now, *addr).unwrap()));
    for addr in &far[..2] {
        lab.peer(*addr).up = false;
        lab.hint(peer(1), *addr);
    }
    lab.run_for(4 * SECOND);
    // Newcomers have taken the places.
    far[20..].iter().for_each(|addr| drop(lab.hear_with_id(*addr, PING)));
    lab.run_for(SECOND);
    assert_eq!(lab.node.table_len(), 20);
    lab.sent.clear();
    lab.peer(far[0]).up = true;
    lab.request(Request::ping(far[0]));
    lab.run_for(6 * LATENCY);
    assert!(!lab.knows(far[0]));
    assert!(lab.checked().starts_with(&[far[0], far[0]]) && lab.checked().contains(&far[1]));
}

/// How many of the true 20 closest nodes the lookups of all members find, in percent.
fn recall(net: &mut Net) -> usize {
    let (mut found, mut all) = (0, 0);
    for at in 0..net.members.len() {
        let key = net::target(at as u32);
        let own = net.server(at);
        let truth = net.true_closest(&key, 21);
        let truth: Vec<_> = truth.into_iter().filter(|addr| *addr != own).take(20).collect();
        let outcome = net.walk(at, Query::find_node(key).discard_replies()).1.unwrap();
        let closest = outcome.closest.iter().map(|reply| reply.from.addr);
        found += closest.filter(|addr| truth.contains(addr)).count();
        all += truth.len();
    }
    100 * found / all
}

#[test]
fn two_halves_of_a_network_that_were_apart_find_each_other() {
    const NODES: usize = 60;
    let mut net = Net::network(11, NODES);
    let half = |ip: &std::net::Ipv4Addr| ip.octets()[2] % 2;
    assert_eq!(half(net.server(0).ip()), 0);
    net.rule(move |_, packet, _| match half(packet.from.ip()) == half(packet.to.ip()) {
        true => Fate::Pass,
        false => Fate::Drop,
    });
    let strangers = |net: &Net, at: usize| {
        let own = half(net.server(at).ip());
        net.members[at].node.nodes().filter(|addr| half(addr.ip()) != own).count()
    };
    net.run_for(Duration::from_secs(60 * 60));
    assert_eq!((0..NODES).map(|at| strangers(&net, at)).sum::<usize>(), 0, "nobody knows anybody");
    net.rule(|_, _, _| Fate::Pass);
    net.run_for(Duration::from_secs(120));
    assert!((0..NODES).all(|at| strangers(&net, at) >= 5));
    assert_eq!(recall(&mut net), 100);
}
