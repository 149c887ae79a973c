//! What a peer can say or ask for at no cost to itself: addresses that a response names as closer
//! nodes, and delayed answers (DELAYED_PING).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Answer, Config, DATAGRAM_MAX, Id, Query, Via, wire};

use crate::support::lab::{
    CLIENT, DELAYED_PING, FIND_NODE, HOST, Lab, Peer, SERVER, asks, neighbour, peer,
};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

fn addr(ip: [u8; 4], port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(ip), port)
}

/// The nodes that a query asks after its first node, `teller`, has named `named` as closer nodes.
fn asked_after(lab: &mut Lab, teller: SocketAddrV4, named: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    let Peer { closer, .. } = lab.add_peer(teller);
    *closer = named.to_vec();
    lab.sent.clear();
    let query = Query::find_node(Id([0; 32])).nodes([teller]).discard_replies();
    lab.query(query);
    lab.run_for(4 * SECOND);
    let mut asked = lab.asked(FIND_NODE);
    asked.sort();
    asked.dedup();
    asked.retain(|other| *other != teller);
    asked
}

#[test]
fn addresses_that_cannot_be_real_are_never_contacted() {
    let impossible = [
        addr([8, 8, 8, 8], 0),
        addr([0, 0, 0, 0], 4000),
        addr([0, 1, 2, 3], 4000),
        addr([224, 0, 0, 1], 4000),
        addr([239, 255, 255, 250], 1900),
        addr([240, 0, 0, 1], 4000),
        addr([255, 255, 255, 255], 4000),
    ];
    let own = [CLIENT, SERVER];
    let private = [addr([127, 0, 0, 1], 4000), addr([10, 0, 0, 1], 4000)];
    let named = [&impossible[..], &own, &private, &[peer(5)]].concat();

    let mut lab = Lab::alone();
    assert_eq!(asked_after(&mut lab, peer(1), &named), [peer(5)]);
    assert_eq!(lab.node.stats().drops.closer_nodes, named.len() as u64 - 1);
    assert!(lab.sent.iter().all(|sent| sent.to == peer(1) || sent.to == peer(5)));
    // A node in a private network may name private addresses, but not the own loopback addresses.
    let mut lab = Lab::alone();
    let mut expected = vec![private[1], peer(5)];
    expected.sort();
    assert_eq!(asked_after(&mut lab, addr([192, 168, 1, 1], 4000), &named), expected);
    assert_eq!(lab.node.table_len(), 1, "only who answered is stored");
}

#[test]
fn the_own_public_address_is_not_contacted_wherever_it_is_bound() {
    let local = |port| SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 2), port);
    let mut lab = Lab::unbound(Config::default());
    lab.call(|node, now| node.handle_bound(now, local(1000), local(2000)));
    // The first response says that the node is seen as CLIENT.
    let named = [CLIENT, SocketAddrV4::new(HOST, 9), local(1000), local(2000), peer(5)];
    assert_eq!(asked_after(&mut lab, peer(1), &named), [named[1], peer(5)]);
}

#[test]
fn twenty_addresses_are_read_from_a_reply() {
    let mut lab = Lab::alone();
    let query = Query::find_node(Id([0; 32])).nodes([peer(1)]).concurrency(100).discard_replies();
    lab.query(query);
    let tid = lab.sent[0].request().tid;
    // Encoded by hand, since the codec writes twenty nodes at most.
    let mut bytes = vec![0x13, 4, tid as u8, (tid >> 8) as u8];
    bytes.extend(wire::addr_bytes(CLIENT));
    bytes.push(30);
    (10..40).for_each(|n| bytes.extend(wire::addr_bytes(peer(n))));
    lab.sent.clear();
    lab.hear_bytes(Via::Client, peer(1), &bytes);
    let mut asked = lab.asked(FIND_NODE);
    asked.sort();
    assert_eq!(asked, (10..30).map(peer).collect::<Vec<_>>());
}

#[test]
fn a_flood_of_dead_addresses_costs_little() {
    let mut lab = Lab::alone();
    let named: Vec<_> = (100..330).map(peer).collect();
    let Peer { closer, .. } = lab.add_peer(peer(1));
    *closer = named;
    let query = Query::find_node(Id([0; 32])).nodes([peer(1)]).discard_replies();
    let query = lab.query(query);
    let start = lab.now;
    let mut outcome = None;
    lab.run_until(|lab| {
        outcome = lab.node.take_outcome(query);
        outcome.is_some()
    });
    assert!(lab.sent.len() <= 60, "{} datagrams", lab.sent.len());
    assert!(lab.now.saturating_since(start) <= 4 * SECOND + SECOND / 2);
    assert_eq!(outcome.unwrap().unwrap().successes, 1);
}

fn delayed(lab: &mut Lab, from: SocketAddrV4, millis: u32) {
    let value = millis.to_le_bytes();
    lab.hear(from, &wire::Request { value: Some(&value), ..asks(DELAYED_PING) });
}

fn answers(lab: &Lab) -> usize {
    lab.sent.iter().filter(|sent| sent.as_response().is_some()).count()
}

#[test]
fn a_delayed_ping_is_answered_on_time_and_as_a_ping_is() {
    let mut lab = Lab::alone();
    for millis in [10_000, 1_234, 0] {
        delayed(&mut lab, peer(1), millis);
    }
    for (millis, count) in [(0, 1), (1_233, 1), (1_234, 2), (9_999, 2), (10_000, 3)] {
        let passed = lab.now.saturating_since(dht_core::Instant::from_millis(1_000_000));
        lab.run_for(Duration::from_millis(millis) - passed);
        assert_eq!(answers(&lab), count, "after {millis} ms");
    }
    let last = lab.sent.last().unwrap();
    let answer = last.response();
    assert_eq!((last.to, last.via, answer.tid), (peer(1), Via::Server, 7));
    assert_eq!((answer.token, answer.value, answer.error), (None, None, 0));
}

#[test]
fn the_longest_delay_can_be_configured() {
    let mut config = Config::default();
    config.max_ping_delay = 3 * SECOND;
    let mut lab = Lab::started(config);
    delayed(&mut lab, peer(1), 3_001);
    delayed(&mut lab, peer(1), 3_000);
    lab.run_for(20 * SECOND);
    assert_eq!(answers(&lab), 1);
}

#[test]
fn a_host_has_four_delayed_pings_and_all_together_a_thousand() {
    let mut lab = Lab::alone();
    for n in 0..6 {
        let mut from = peer(1);
        from.set_port(5000 + n);
        delayed(&mut lab, from, 9_000);
    }
    assert_eq!(lab.node.stats().drops.delayed_pings, 2);
    // Local hosts have no limit of their own: only the total of 1,024 applies.
    for n in 0..1_030 {
        delayed(&mut lab, neighbour([127, 0, 0], n), 9_000);
    }
    assert_eq!(lab.node.stats().drops.delayed_pings, 2 + 1_030 - (1_024 - 4));
    lab.run_for(9 * SECOND - MOMENT);
    assert_eq!(answers(&lab), 0);
    lab.run_for(MOMENT);
    assert_eq!(answers(&lab), 1_024);
    // Once the delayed answers have left, there is room again.
    delayed(&mut lab, peer(1), 0);
    lab.run_for(MOMENT);
    assert_eq!(answers(&lab), 1_025);
}

#[test]
fn others_are_served_during_a_flood_of_delayed_pings() {
    let mut lab = Lab::alone();
    lab.answer = Some(Answer::empty());
    for n in 0..5_000_u32 {
        delayed(&mut lab, neighbour([66, (n / 250) as u8, 0], (n % 250) as u16), 10_000);
    }
    let sent = lab.hear(peer(1), &wire::Request { internal: false, ..asks(100) });
    assert_eq!(sent.len(), 1);
    assert!(lab.node.poll_timeout().is_some());
    let mut buf = [0; DATAGRAM_MAX];
    lab.now += 11 * SECOND;
    lab.node.handle_timeout(lab.now);
    let mut late = 0;
    while lab.node.poll_transmit(lab.now, &mut buf).is_some() {
        late += 1;
    }
    assert_eq!(late, 1_024);
}

#[test]
fn the_own_host_is_not_contacted_at_either_port() {
    let any = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    for config in [Config::default(), Config::bootstrapper(2000, &HOST.to_string()).unwrap()] {
        let mut lab = Lab::unbound(config);
        lab.call(|node, now| node.handle_bound(now, any(1000), any(2000)));
        let neighbour = SocketAddrV4::new(HOST, 3000);
        let asked = asked_after(&mut lab, peer(1), &[CLIENT, SERVER, neighbour]);
        assert_eq!(asked, [neighbour]);
    }
}
