//! Sleep: how a node notices that the machine stood still, and what it does about it.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Config, Event, Node, Request};

use crate::support::lab::{FIND_NODE, Lab, PING, PING_NAT, TICK, asks, joining, peer};

const SLEEP: Duration = Duration::from_secs(10);
const INSTANT: Duration = Duration::from_micros(1);

/// The machine sleeps until `late` after the deadline that the node has asked for.
fn oversleep(lab: &mut Lab, late: Duration) {
    let deadline = lab.node.poll_timeout().unwrap();
    let until = deadline.saturating_since(lab.now);
    lab.sleep(until + late);
}

/// An action that is repeated about every 4 s, while a tick takes 5 s.
type Nudge = (&'static str, fn(&mut Lab));
const NUDGES: [Nudge; 3] = [
    ("woken", |lab| lab.call(Node::handle_wakeup)),
    ("suspended and resumed", |lab| {
        lab.call(Node::suspend);
        lab.call(Node::resume);
        lab.bind();
    }),
    ("suspended for half of the time", |lab| {
        lab.call(Node::suspend);
        lab.run_for(TICK);
        lab.call(Node::resume);
        lab.bind();
    }),
];

/// The action, then 4 s in which an application asks four times: peer `up`, or peers that are down.
fn nudged(lab: &mut Lab, nudge: fn(&mut Lab), up: Option<SocketAddrV4>) {
    nudge(lab);
    for n in 0..4 {
        let to = up.unwrap_or(peer(900 + n));
        let request = Request::ping(to).retries(0);
        let id = lab.request(request);
        lab.run_for(Duration::from_secs(1));
        let _ = lab.node.take_response(id);
    }
}

#[test]
fn however_often_it_is_woken_or_suspended_the_dead_leave_and_nobody_says_that_all_is_well() {
    for (name, nudge) in NUDGES {
        let mut lab = Lab::among(20);
        lab.ticks(30);
        (0..20).for_each(|n| lab.peer(peer(n)).up = false);
        let online = (0..300).filter(|_| {
            nudged(&mut lab, nudge, None);
            lab.node.online()
        });
        let online = online.count();
        assert!(online < 20, "{name}: online {online} times of 300");
        assert!(!lab.node.online(), "{name}");
        lab.add_peer(peer(30));
        lab.call(|node, now| node.add_node(now, peer(30))).unwrap();
        (0..300).for_each(|_| nudged(&mut lab, nudge, Some(peer(30))));
        assert!(lab.node.online(), "{name}");
        assert_eq!(lab.node.nodes().collect::<Vec<_>>(), [peer(30)], "{name}");
    }
}

#[test]
fn keep_alives_come_as_often_as_without_wake_ups() {
    for (name, nudge) in NUDGES {
        let mut lab = Lab::among(50);
        for _ in 0..100 {
            nudge(&mut lab);
            lab.run_for(Duration::from_secs(4));
        }
        let mut at: Vec<_> = lab.sent.iter().filter(|sent| sent.is(PING)).map(|s| s.at).collect();
        at.dedup();
        assert!(at.len() >= 10, "{name}: {} keep-alives in 400 s", at.len());
    }
}

#[test]
fn a_tick_that_was_slept_through_is_put_off_once() {
    let mut lab = Lab::among(20);
    oversleep(&mut lab, SLEEP + INSTANT);
    lab.call(Node::handle_timeout);
    assert_eq!(lab.asked(FIND_NODE), [], "the network may not be there yet");
    lab.sleep(Duration::from_secs(60));
    lab.call(Node::handle_timeout);
    assert!(!lab.asked(FIND_NODE).is_empty());
    assert_eq!(lab.times(Event::WakeUp), 2);
}

#[test]
fn ten_seconds_after_the_deadline_are_only_late() {
    let mut lab = Lab::among(3);
    oversleep(&mut lab, SLEEP);
    lab.call(Node::handle_timeout);
    assert_eq!(lab.times(Event::WakeUp), 0);
    oversleep(&mut lab, SLEEP + INSTANT);
    lab.call(Node::handle_timeout);
    assert_eq!(lab.times(Event::WakeUp), 1);
}

#[test]
fn sleep_is_noticed_by_whatever_comes_first_and_before_it() {
    type Entry = (&'static str, fn(&mut Lab));
    let entries: [Entry; 8] = [
        ("timeout", |lab| lab.call(Node::handle_timeout)),
        ("datagram", |lab| drop(lab.hear(peer(1), &asks(PING)))),
        ("request", |lab| {
            lab.request(Request::ping(peer(1)));
        }),
        ("polling", Lab::flush),
        ("node", |lab| _ = lab.call(|node, now| node.add_node(now, peer(77))).unwrap()),
        ("refresh", |lab| lab.call(Node::refresh)),
        ("maintain", |lab| lab.call(|node, now| node.maintain(now, true))),
        ("interfaces", |lab| lab.call(Node::handle_network_change)),
    ];
    for (name, entry) in entries {
        let mut lab = Lab::among(3);
        oversleep(&mut lab, SLEEP + INSTANT);
        entry(&mut lab);
        assert_eq!(lab.events.first(), Some(&Event::WakeUp), "{name}");
        assert_eq!(lab.times(Event::WakeUp), 1, "{name}");
    }
}

#[test]
fn one_sleep_is_one_wake_up_however_often_the_node_is_entered() {
    let mut lab = Lab::among(3);
    // The timeout of a request in flight is overdue by hours as well.
    lab.request(Request::ping(peer(99)));
    oversleep(&mut lab, Duration::from_secs(8 * 3600));
    for _ in 0..5 {
        lab.hear(peer(1), &asks(PING));
    }
    lab.ticks(5);
    assert_eq!(lab.times(Event::WakeUp), 1);
}

#[test]
fn who_is_bound_late_has_not_slept() {
    let mut config = joining(&[peer(0)]);
    config.nodes = vec![peer(1)];
    let mut lab = Lab::unbound(config);
    lab.request(Request::ping(peer(1)));
    lab.sleep(Duration::from_secs(60));
    lab.bind();
    lab.ticks(3);
    assert_eq!(lab.times(Event::WakeUp), 0);
}

#[test]
fn who_calls_late_but_not_too_late_has_not_slept() {
    let mut lab = Lab::among(3);
    for _ in 0..10 {
        lab.ticks(1);
        oversleep(&mut lab, Duration::from_secs(9));
        // A request made now is not overdue since the last datagram left.
        lab.request(Request::ping(peer(1)));
        lab.call(Node::handle_timeout);
    }
    assert_eq!(lab.times(Event::WakeUp), 0);
}

#[test]
fn a_hint_from_outside_wakes_up_too() {
    let mut lab = Lab::among(3);
    lab.call(Node::handle_wakeup);
    assert_eq!(lab.events, [Event::WakeUp]);
    // A node that is not bound, or suspended, can't be woken.
    let mut unbound = Lab::unbound(Config::default());
    unbound.call(Node::handle_wakeup);
    lab.call(Node::suspend);
    lab.call(Node::handle_wakeup);
    assert_eq!((lab.times(Event::WakeUp), unbound.events.len()), (1, 0));
}

#[test]
fn after_a_sleep_the_next_tick_refreshes_and_the_second_pings_the_oldest() {
    let mut lab = Lab::among(50);
    // All peers are heard of, so that only the sleep makes them look old.
    for n in 0..50 {
        lab.hear_with_id(peer(n), PING);
    }
    lab.sent.clear();
    let tick = lab.until_tick();
    lab.call(Node::handle_wakeup);
    lab.run_for(tick - INSTANT);
    assert_eq!(lab.asked(FIND_NODE), []);
    lab.run_for(INSTANT);
    assert!(!lab.asked(FIND_NODE).is_empty());
    assert_eq!(lab.asked(PING), []);
    // The refresh looks for the id of a node that it visits: this request looks like a check.
    lab.run_for(Duration::from_secs(1));
    lab.sent.clear();
    lab.run_for(TICK - Duration::from_secs(1));
    assert_eq!(lab.checked().len(), 5, "all look old, so five instead of two");
    lab.ticks(8);
    assert_eq!(lab.checked().len(), 5 + 4, "and then in the usual rhythm");
    // As many as this, whatever the rhythm would have been without the sleep.
    lab.ticks(6 * 8);
    lab.call(Node::handle_wakeup);
    lab.sent.clear();
    lab.ticks(2);
    let now = lab.now;
    lab.sent.retain(|sent| sent.at == now);
    assert_eq!(lab.checked().len(), 5);
}

/// An adaptive node, persistent after its 20 minutes.
fn grown_up() -> Lab {
    let mut lab = Lab::among(20);
    assert!(lab.node.ephemeral() && !lab.node.firewalled());
    lab.ticks(240);
    assert!(!lab.node.ephemeral());
    lab.events.clear();
    lab
}

#[test]
fn an_adaptive_node_turns_ephemeral_and_waits_for_an_hour() {
    let mut lab = grown_up();
    lab.call(Node::handle_wakeup);
    assert_eq!(lab.events, [Event::Ephemeral, Event::WakeUp]);
    assert_eq!((lab.node.ephemeral(), lab.node.id()), (true, None));
    assert!(!lab.node.firewalled(), "what is known of the firewall stays");
    lab.ticks(719);
    assert!(lab.node.ephemeral());
    lab.ticks(1);
    assert!(!lab.node.ephemeral());
    assert_eq!(lab.times(Event::Persistent), 1);
}

#[test]
fn a_node_that_was_still_waiting_waits_for_an_hour_more() {
    let mut lab = Lab::among(20);
    lab.ticks(200);
    lab.call(Node::handle_wakeup);
    lab.ticks(719);
    assert!(lab.node.ephemeral());
    lab.ticks(1);
    assert!(!lab.node.ephemeral());
}

#[test]
fn who_was_told_to_be_persistent_stays_so() {
    let mut config = joining(&[peer(0)]);
    config.ephemeral = Some(false);
    let mut lab = Lab::joined(config, 8);
    assert!(!lab.node.ephemeral());
    lab.call(Node::handle_wakeup);
    assert_eq!(lab.events, [Event::WakeUp]);
    assert!(!lab.node.ephemeral());
}

#[test]
fn connectivity_is_told_before_ephemeral_before_wakeup() {
    let mut lab = grown_up();
    for n in 0..20 {
        lab.peer(peer(n)).up = false;
    }
    // Enough silence for the node to be offline.
    lab.run_until(|lab| {
        for n in 20..26 {
            let ping = Request::ping(peer(n)).retries(0);
            lab.request(ping);
        }
        lab.ticks(1);
        !lab.node.health().online
    });
    lab.events.retain(|event| !matches!(event, Event::Response(_)));
    lab.events.clear();
    lab.call(Node::handle_wakeup);
    assert_eq!(lab.events, [Event::NetworkUpdate, Event::Ephemeral, Event::WakeUp]);
    assert!(lab.node.health().online && lab.node.health().cold);
    // No other event where nothing changes.
    lab.events.clear();
    lab.call(Node::handle_wakeup);
    assert_eq!(lab.events, [Event::WakeUp]);
}

#[test]
fn eight_hours_later_it_is_usable_within_a_tick() {
    let mut lab = Lab::among(20);
    lab.ticks(30);
    let known = lab.node.table_len();
    lab.sent.clear();
    lab.sleep(Duration::from_secs(8 * 3600));
    lab.call(Node::handle_timeout);
    let id = lab.request(Request::ping(peer(3)));
    let asked_at = lab.now;
    assert!(lab.result(id).is_ok());
    let took = lab.now.saturating_since(asked_at);
    println!(
        "S18: eight hours later a ping is answered after {took:?}, and the next tick refreshes"
    );
    assert!(took < Duration::from_millis(100));
    lab.ticks(1);
    assert!(!lab.asked(FIND_NODE).is_empty(), "a refresh");
    assert_eq!(lab.node.table_len(), known, "nobody was lost");
    assert_eq!(lab.asked(PING_NAT), []);
    assert_eq!(lab.times(Event::WakeUp), 1);
}

#[test]
fn wall_clock_steps_are_not_sleep_since_only_deadlines_count() {
    // The caller's clock counts through sleep and knows no steps; a step back is clamped.
    let mut lab = Lab::among(3);
    let earlier = lab.now - Duration::from_secs(3600);
    lab.node.handle_timeout(earlier);
    lab.hear(peer(1), &asks(PING));
    lab.ticks(3);
    assert_eq!(lab.times(Event::WakeUp), 0);
}
