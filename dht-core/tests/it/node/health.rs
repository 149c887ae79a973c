//! Connectivity as the embedder is told of it, and the counters that an operator watches.

use std::time::Duration;

use dht_core::{
    Answer, Config, DATAGRAM_MAX, DropStats, Event, Handled, Id, Node, Query, Request, Via, wire,
};

use crate::support::bare_answer;
use crate::support::lab::{DELAYED_PING, FIND_NODE, Lab, PING, PING_NAT, RTT, SERVER, asks, peer};

const SECOND: Duration = Duration::from_secs(1);

/// A node with a window full of samples, and peers 0 (up) and 100 (down) that are not in its table.
fn warm() -> Lab {
    let mut lab = Lab::alone();
    lab.add_peer(peer(0)).has_id = false;
    lab.ticks(4);
    lab.events.clear();
    lab
}

/// A tick in which `answered` requests are answered, and `silent` requests time out.
fn tick(lab: &mut Lab, answered: u32, silent: u32) {
    for n in 0..answered + silent {
        let to = if n < answered { peer(0) } else { peer(100) };
        let request = Request::ping(to).retries(0);
        lab.request(request);
    }
    lab.ticks(1);
    lab.events.retain(|event| !matches!(event, Event::Response(_) | Event::NatUpdate { .. }));
}

fn state(lab: &Lab) -> (bool, bool, usize) {
    let health = lab.node.health();
    (health.online, health.degraded, lab.times(Event::NetworkUpdate))
}

#[test]
fn two_silent_ticks_are_offline_and_one_answer_ends_it() {
    let mut lab = warm();
    tick(&mut lab, 0, 4);
    assert_eq!(state(&lab), (true, false, 0));
    tick(&mut lab, 0, 4);
    assert_eq!(state(&lab), (false, false, 1));
    tick(&mut lab, 0, 4);
    assert_eq!(state(&lab), (false, false, 1), "told once");
    tick(&mut lab, 4, 0);
    assert_eq!(state(&lab), (true, false, 2));
}

#[test]
fn too_few_outcomes_say_nothing() {
    let mut lab = warm();
    for _ in 0..4 {
        tick(&mut lab, 0, 3);
        assert!(lab.node.health().idle);
    }
    assert_eq!(state(&lab), (true, false, 0));
    // Nor does silence count in the first four ticks.
    let mut lab = Lab::alone();
    for _ in 0..3 {
        tick(&mut lab, 0, 4);
        assert!(lab.node.health().cold);
    }
    assert_eq!(state(&lab), (true, false, 0));
}

#[test]
fn four_bad_ticks_are_degraded_and_four_good_ones_end_it() {
    let mut lab = warm();
    for _ in 0..3 {
        tick(&mut lab, 2, 3);
    }
    assert_eq!(state(&lab), (true, false, 0));
    tick(&mut lab, 2, 3);
    assert_eq!(state(&lab), (true, true, 1));
    let health = lab.node.health();
    assert_eq!((health.responses, health.timeouts), (2, 3));
    assert!((health.timeouts_rate - 0.6).abs() < 1e-9 && health.degraded);
    for _ in 0..3 {
        tick(&mut lab, 2, 2);
    }
    assert_eq!(state(&lab), (true, true, 1));
    tick(&mut lab, 2, 2);
    assert_eq!(state(&lab), (true, false, 2));
}

#[test]
fn cancelled_and_unanswered_verifications_are_no_outcomes() {
    let mut lab = warm();
    for round in 0..4 {
        for n in 0..8 {
            let request = Request::ping(peer(100)).retries(0);
            let id = lab.request(request);
            lab.call(|node, now| node.cancel_request(now, id));
            lab.hear_with_id(peer(200 + 10 * round + n), PING);
        }
        lab.ticks(1);
    }
    assert_eq!(lab.node.health().timeouts, 0);
    assert_eq!(state(&lab), (true, false, 0));
    assert_eq!(lab.node.stats().requests.cancelled, 32);
}

#[test]
fn other_interfaces_are_news_and_an_update() {
    let mut lab = warm();
    lab.call(Node::handle_network_change);
    assert_eq!(lab.events, [Event::NetworkChange, Event::NetworkUpdate]);
}

/// What an attack, or an accident, adds to the drop counters.
fn dropped(attack: impl FnOnce(&mut Lab)) -> DropStats {
    let mut config = Config::default();
    config.max_replies = 2;
    config.max_background_requests = 64;
    let mut lab = Lab::started(config);
    lab.add_peer(peer(0));
    attack(&mut lab);
    lab.node.stats().drops
}

fn only(set: impl FnOnce(&mut DropStats)) -> DropStats {
    let mut drops = DropStats::default();
    set(&mut drops);
    drops
}

fn bytes(request: &wire::Request<'_>) -> Vec<u8> {
    let mut buf = [0; DATAGRAM_MAX];
    let len = request.encode(&mut buf).unwrap();
    buf[..len].to_vec()
}

/// A valid response to request `tid`, but for its source.
fn answer(tid: u16) -> Vec<u8> {
    bare_answer(tid, SERVER, None)
}

#[test]
fn every_drop_of_a_datagram_has_its_own_counter() {
    let hear = |lab: &mut Lab, bytes: &[u8]| lab.hear_bytes(Via::Server, peer(0), bytes);
    assert_eq!(dropped(|lab| drop(hear(lab, &bytes(&asks(PING))))), DropStats::default());

    let drops = dropped(|lab| drop(hear(lab, b"hello")));
    assert_eq!(drops, only(|d| d.not_ours = 1));

    let padded = |len: usize| [bytes(&asks(PING)), vec![0; len]].concat();
    let fits = DATAGRAM_MAX - padded(0).len();
    assert_eq!(dropped(|lab| drop(hear(lab, &padded(fits)))), DropStats::default());
    assert_eq!(dropped(|lab| drop(hear(lab, &padded(fits + 1)))), only(|d| d.oversize = 1));

    let cut = &bytes(&asks(PING))[..9];
    assert_eq!(dropped(|lab| drop(hear(lab, cut))), only(|d| d.malformed = 1));

    let drops = dropped(|lab| {
        let mut nobody = peer(0);
        nobody.set_port(0);
        lab.hear(nobody, &asks(PING));
    });
    assert_eq!(drops, only(|d| d.bad_source = 1));

    let drops = dropped(|lab| {
        lab.call(Node::suspend);
        lab.hear(peer(0), &asks(PING));
    });
    assert_eq!(drops, only(|d| d.suspended = 1));

    assert_eq!(dropped(|lab| drop(hear(lab, &answer(1)))), only(|d| d.unsolicited = 1));

    let drops = dropped(|lab| {
        lab.request(Request::ping(peer(9)));
        let tid = lab.sent[0].request().tid;
        lab.hear_bytes(Via::Client, peer(0), &answer(tid));
    });
    assert_eq!(drops, only(|d| d.wrong_source = 1));

    let token = Some(&[1; 32]);
    let drops = dropped(|lab| drop(lab.hear(peer(0), &wire::Request { token, ..asks(PING) })));
    assert_eq!(drops, only(|d| d.bad_token = 1));
}

#[test]
fn requests_that_make_no_sense_are_counted_and_not_answered() {
    for (command, value) in [
        (FIND_NODE, None),
        (PING_NAT, None),
        (PING_NAT, Some(&[0, 0][..])),
        (PING_NAT, Some(&[1])),
        (3, Some(&[1, 2, 3, 4, 5])),
        (DELAYED_PING, Some(&[1, 0, 0])),
        (DELAYED_PING, Some(&10_001_u32.to_le_bytes())),
    ] {
        let drops = dropped(|lab| {
            assert_eq!(lab.hear(peer(0), &wire::Request { value, ..asks(command) }), []);
            lab.run_for(20 * SECOND);
            assert!(lab.sent.is_empty());
        });
        assert_eq!(drops, only(|d| d.bad_command = 1), "{command} with {value:?}");
    }
}

#[test]
fn what_is_beyond_a_limit_is_counted() {
    let millis = 5_000_u32.to_le_bytes();
    let delayed = wire::Request { value: Some(&millis), ..asks(DELAYED_PING) };
    let drops = dropped(|lab| (0..6).for_each(|_| drop(lab.hear(peer(0), &delayed))));
    assert_eq!(drops, only(|d| d.delayed_pings = 2));

    let drops = dropped(|lab| {
        (0..8).for_each(|n| _ = lab.call(|node, now| node.add_node(now, peer(n)).unwrap()));
        (0..8).for_each(|n| lab.hint(peer(50), peer(n)));
    });
    assert_eq!(drops, only(|d| d.down_hints = 3));

    // The caller does not poll, so the third answer finds no place.
    let ping = bytes(&asks(PING));
    let drops = dropped(|lab| {
        for _ in 0..3 {
            let now = lab.now;
            assert_eq!(
                lab.node.handle_datagram(now, Via::Server, peer(0), &ping),
                Handled::Consumed
            );
        }
    });
    assert_eq!(drops, only(|d| d.replies = 1));

    // If nothing ever leaves, verifications and other requests of the node are too many.
    let drops = dropped(|lab| {
        for n in 0..64 {
            let query = Query::find_node(Id([0; 32])).nodes([peer(300 + n)]).only_closest_nodes();
            lab.node.query(lab.now, query).unwrap();
        }
        let id = Id::of(peer(0)).0;
        let ping = bytes(&wire::Request { id: Some(&id), ..asks(PING) });
        let _ = lab.node.handle_datagram(lab.now, Via::Server, peer(0), &ping);
    });
    assert_eq!(drops, only(|d| d.background = 1));
}

#[test]
fn answers_are_counted_per_command_but_late_ones_only_as_drops() {
    let mut lab = warm();
    lab.peer(peer(0)).rtt = RTT + 10 * SECOND;
    let ping = Request::ping(peer(0)).retries(0);
    lab.request(ping);
    lab.run_for(20 * SECOND);
    let stats = lab.node.stats();
    assert_eq!((stats.commands.ping.tx, stats.commands.ping.rx), (1, 0));
    assert_eq!((stats.requests.timeouts, stats.requests.responses), (1, 0));
    assert_eq!(stats.drops.unsolicited, 1);
}

#[test]
fn a_reply_to_a_full_queue_is_refused_and_counted() {
    let drops = dropped(|lab| {
        let user = bytes(&wire::Request { internal: false, ..asks(77) });
        let now = lab.now;
        let Handled::Request(incoming) = lab.node.handle_datagram(now, Via::Server, peer(0), &user)
        else {
            panic!("a request")
        };
        for n in 0..3 {
            let sent = lab.node.reply(now, incoming.reply_to, Answer::empty());
            assert_eq!(sent.is_ok(), n < 2);
        }
    });
    assert_eq!(drops, only(|d| d.replies = 1));
}
