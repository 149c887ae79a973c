//! The internal commands, one by one, and which requests get no answer.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::wire::addr_bytes;
use dht_core::{Config, Handled, Id, Via, error_code};

use crate::support::lab::*;

/// Checks that the response carries only a transaction id and an address.
fn assert_bare(sent: &Sent, to: SocketAddrV4) {
    let response = sent.response();
    assert_eq!((sent.to, response.to, response.tid), (to, to, 0x1234));
    assert_eq!((response.error, response.token, response.value), (0, None, None));
    assert_eq!(response.closer_nodes, None);
}

/// A node with `count` nodes in its table.
fn knowing(count: u32) -> Lab {
    let mut lab = Lab::alone();
    (100..100 + count).for_each(|n| lab.add_node(addr(n)));
    lab
}

#[test]
fn a_ping_is_answered_with_nothing() {
    let mut lab = knowing(3);
    for value in [None, Some(vec![]), Some(vec![0; 1000])] {
        for about in [None, Some(target(1))] {
            let ask = Ask { value: value.clone(), target: about, ..Ask::internal(PING) };
            let sent = lab.ask(addr(1), &ask);
            assert_eq!(sent.len(), 1);
            assert_bare(&sent[0], addr(1));
        }
    }
}

#[test]
fn ping_nat_is_answered_at_the_port_it_names() {
    let mut lab = knowing(3);
    for (value, port) in [(&[0x34, 0x12][..], 0x1234), (&[1, 0], 1), (&[0xff, 0xff, 0], 0xffff)] {
        let sent = lab.ask(addr(1), &Ask::internal(PING_NAT).value(value).target(target(1)));
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].via, Via::Server);
        // `to` is the address that the answer was sent to; the request came from another port.
        assert_bare(&sent[0], SocketAddrV4::new(*addr(1).ip(), port));
    }
}

#[test]
fn find_node_tells_the_closest_in_order() {
    let mut lab = knowing(60);
    for n in 0..10 {
        let sent = lab.ask(addr(1), &Ask::internal(FIND_NODE).target(target(n)));
        assert_eq!(sent.len(), 1);
        let mut known: Vec<_> = lab.node.nodes().collect();
        known.sort_by_key(|addr| Id::of(*addr).distance(&target(n)));
        known.truncate(20);
        assert_eq!(sent[0].nodes(), known);
        let response = sent[0].response();
        assert_eq!((response.error, response.token, response.value), (0, None, None));
    }
}

#[test]
fn find_node_leaves_an_empty_list_out() {
    let sent = Lab::alone().ask(addr(1), &Ask::internal(FIND_NODE).target(target(1)));
    assert_eq!(sent.len(), 1);
    assert_bare(&sent[0], addr(1));
}

#[test]
fn a_down_hint_makes_the_node_ask_whom_it_knows() {
    let mut lab = knowing(3);
    let hint = |addr| Ask::internal(DOWN_HINT).value(&addr_bytes(addr));
    // A hint about a stranger is answered and has no other effect.
    let sent = lab.ask(addr(1), &hint(addr(50)));
    assert_eq!(sent.len(), 1);
    assert_bare(&sent[0], addr(1));
    // A hint about a node of the table has that node checked; it is not evicted.
    let sent = lab.ask(addr(1), &hint(addr(101)));
    assert_eq!(sent.len(), 2);
    assert_bare(&sent[0], addr(1));
    assert_eq!(sent[1].to, addr(101));
    assert!(sent[1].is(FIND_NODE) && sent[1].checks());
    assert_eq!(lab.node.table_len(), 3);
    // Only the first six bytes of the value count.
    let mut longer = hint(addr(102));
    longer.value.as_mut().unwrap().extend([9; 20]);
    let sent = lab.ask(addr(2), &longer);
    assert_eq!(sent[1].to, addr(102));
}

#[test]
fn command_3_of_the_application_is_no_down_hint() {
    let mut lab = knowing(3);
    let bytes = Ask::user(DOWN_HINT).value(&addr_bytes(addr(101))).bytes();
    assert!(matches!(lab.hand_in(Via::Server, addr(1), &bytes), Handled::Request(_)));
    assert_eq!(lab.sent, []);
}

#[test]
fn malformed_commands_meet_silence() {
    let mut lab = knowing(3);
    let with = |command, value: &[u8]| Ask::internal(command).value(value);
    let cases = [
        Ask::internal(PING_NAT),
        with(PING_NAT, &[]),
        with(PING_NAT, &[1]),
        with(PING_NAT, &[0, 0]),
        Ask::internal(FIND_NODE),
        with(FIND_NODE, &[0; 32]),
        Ask::internal(DOWN_HINT),
        with(DOWN_HINT, &addr_bytes(addr(101))[..5]),
        Ask::internal(DELAYED_PING),
        with(DELAYED_PING, &[0, 0, 0]),
        with(DELAYED_PING, &10_001u32.to_le_bytes()),
        with(DELAYED_PING, &u32::MAX.to_le_bytes()),
    ];
    for (n, ask) in (1..).zip(cases) {
        assert_eq!(lab.ask(addr(1), &ask), [], "{ask:?}");
        assert_eq!(lab.stats().drops.bad_command, n);
    }
    lab.run_ms(12_000);
    assert_eq!(lab.sent, []);
}

#[test]
fn unknown_commands_get_error_1_and_whom_to_ask_instead() {
    let mut lab = knowing(3);
    for command in [5, 6, 0xfc, 0xfd, (1 << 53) - 1] {
        for (about, nodes) in [(None, 0), (Some(target(1)), 3)] {
            let sent = lab.ask(addr(1), &Ask { target: about, ..Ask::internal(command) });
            let response = sent[0].response();
            assert_eq!(response.error, error_code::UNKNOWN_COMMAND);
            assert_eq!((response.token, response.value), (None, None));
            assert_eq!(sent[0].nodes().len(), nodes);
        }
    }
}

fn delayed(millis: u32) -> Ask {
    Ask::internal(DELAYED_PING).value(&millis.to_le_bytes())
}

#[test]
fn a_delayed_ping_is_answered_on_time() {
    let mut lab = Lab::alone();
    let start = lab.now;
    for millis in [9_999, 0, 250, 10_000] {
        let ask = Ask { tid: millis as u16, ..delayed(millis) };
        assert_eq!(lab.hand_in(Via::Extra(3), addr(1), &ask.bytes()), Handled::Consumed);
    }
    lab.run_ms(11_000);
    let answers: Vec<_> = lab.sent.iter().map(|sent| ms_since(start, sent.at)).collect();
    assert_eq!(answers, [0, 250, 9_999, 10_000]);
    for (sent, millis) in lab.sent.iter().zip([0, 250, 9_999, 10_000]) {
        let response = sent.response();
        assert_eq!((sent.to, sent.via, response.tid), (addr(1), Via::Extra(3), millis));
        assert_eq!((response.error, response.token, response.value), (0, None, None));
    }
}

#[test]
fn the_longest_delay_is_configured() {
    let mut config = Config::default();
    config.max_ping_delay = Duration::from_millis(500);
    let mut lab = Lab::started(config);
    lab.ask(addr(1), &delayed(500));
    lab.ask(addr(1), &delayed(501));
    lab.run_ms(600);
    assert_eq!(lab.sent.len(), 1);
    assert_eq!(lab.stats().drops.bad_command, 1);
}

#[test]
fn four_delayed_pings_per_host_wait() {
    let mut lab = Lab::alone();
    for n in 0..6 {
        // All ports of a host count as the same host.
        let from = SocketAddrV4::new(*addr(1).ip(), 4000 + n);
        assert_eq!(lab.ask(from, &delayed(1_000)), []);
    }
    assert_eq!(lab.stats().drops.delayed_pings, 2);
    lab.ask(addr(2), &delayed(1_000));
    assert_eq!(lab.stats().drops.delayed_pings, 2, "a neighbour has its own");
    lab.run_ms(1_000);
    assert_eq!(lab.sent.len(), 5);
    lab.ask(addr(1), &delayed(1_000));
    assert_eq!(lab.stats().drops.delayed_pings, 2, "places are free again");
}

#[test]
fn a_thousand_and_24_delayed_pings_wait_in_all() {
    let mut lab = Lab::alone();
    // Local addresses have no limit of their own.
    let local = |n: u16| SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 1), 1 + n);
    for n in 0..1_024 {
        lab.ask(local(n), &delayed(5_000));
    }
    assert_eq!(lab.stats().drops.delayed_pings, 0);
    lab.ask(local(1_024), &delayed(5_000));
    lab.ask(addr(1), &delayed(0));
    assert_eq!(lab.stats().drops.delayed_pings, 2);
    lab.run_ms(5_000);
    assert_eq!(lab.sent.len(), 1_024);
}
