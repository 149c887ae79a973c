//! Signs of an attack are counted, and reported once a minute at most, however often they occur.

use std::net::SocketAddrV4;

use dht_core::{DropReason, Event, Query, Via};

use crate::queries::crowds::{among_200, crowd};
use crate::support::lab::*;

/// The alarms among the events; other events are dropped.
fn take_alarms(lab: &mut Lab) -> Vec<Event> {
    let is_alarm = |event: &Event| {
        use Event::{CrowdedKeys, ManyDropped, ThinResults};
        matches!(event, ThinResults { .. } | CrowdedKeys { .. } | ManyDropped { .. })
    };
    std::mem::take(&mut lab.events).into_iter().filter(is_alarm).collect()
}

/// A request that ends in the middle.
const CUT: [u8; 3] = [3, 0, 0];

#[test]
fn a_crowded_key_is_told_once_a_minute_with_the_number_of_queries() {
    let (mut lab, honest) = among_200();
    crowd(&mut lab, &honest, target(7));
    assert_eq!(lab.stats().queries.crowded, 0);
    for _ in 0..3 {
        lab.walk(Query::find_node(target(7))).1.unwrap();
    }
    assert_eq!(lab.stats().queries.crowded, 3);
    lab.ticks(1);
    assert_eq!(take_alarms(&mut lab), [Event::CrowdedKeys { queries: 3 }]);
    for _ in 0..2 {
        lab.walk(Query::find_node(target(7))).1.unwrap();
    }
    assert_eq!(lab.stats().queries.crowded, 5);
    lab.ticks(10);
    assert_eq!(take_alarms(&mut lab), [], "the minute is not over");
    lab.ticks(2);
    assert_eq!(take_alarms(&mut lab), [Event::CrowdedKeys { queries: 2 }]);
    lab.ticks(24);
    assert_eq!(take_alarms(&mut lab), []);
}

#[test]
fn a_query_that_witnesses_mend_is_counted_and_one_that_they_do_not_is_told() {
    let (mut lab, honest) = among_200();
    // Forty nodes, each in a /24 of its own, which name only each other.
    let hostile: Vec<_> = (0..40).map(|n| SocketAddrV4::new([66, n, 6, 6].into(), 1)).collect();
    let own = Peer::knowing(hostile.iter().copied());
    lab.peers.extend(hostile.iter().map(|addr| (*addr, own.clone())));
    let led_astray = || Query::find_node(target(7)).nodes(hostile.clone()).discard_replies();
    let before = lab.stats().queries;

    lab.walk(led_astray()).1.unwrap();
    let mended = lab.stats().queries;
    assert_eq!((mended.asked_witnesses - before.asked_witnesses, mended.thin), (1, 0));

    honest.iter().for_each(|addr| lab.peer(*addr).up = false);
    lab.walk(led_astray()).1.unwrap();
    let thin = lab.stats().queries;
    assert_eq!((thin.asked_witnesses - mended.asked_witnesses, thin.thin), (1, 1));
    lab.run_for(lab.until_tick());
    assert_eq!(take_alarms(&mut lab), [Event::ThinResults { queries: 1 }]);
}

#[test]
fn a_flood_is_told_once_a_minute_with_its_reason() {
    let mut lab = Lab::persistent();
    let flood = |lab: &mut Lab, count| {
        for n in 0..count {
            lab.hear_bytes(Via::Server, addr(n), &CUT);
        }
        lab.ticks(1);
    };
    flood(&mut lab, 100);
    assert_eq!(take_alarms(&mut lab), [], "these are not many");
    // An alarm is due in the ticks 0, 12, 24, 36 and 48.
    (0..60).for_each(|_| flood(&mut lab, 101));
    let many =
        |ticks: u64| Event::ManyDropped { reason: DropReason::Malformed, total: 100 + 101 * ticks };
    assert_eq!(take_alarms(&mut lab), [1, 13, 25, 37, 49].map(many));
    assert_eq!(lab.stats().dropped(DropReason::Malformed), 100 + 101 * 60);
}

#[test]
fn datagrams_of_another_protocol_are_no_alarm() {
    let mut lab = Lab::persistent();
    for _ in 0..10_000 {
        lab.hear_bytes(Via::Server, addr(1), b"hello");
    }
    lab.ticks(1);
    assert_eq!(lab.stats().dropped(DropReason::NotOurs), 10_000);
    assert_eq!(take_alarms(&mut lab), []);
}
