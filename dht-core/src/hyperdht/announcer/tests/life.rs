//! How an announcement is taken back, and what follows from events of the node.

use super::*;
use crate::Via;

#[test]
fn stopping_takes_it_back_from_all_who_may_have_it() {
    let withdrawn = |mut net: Net| {
        net.announcer.stop();
        net.run();
        assert!(net.announcer.is_over() && net.announcer.kept_by().is_empty());
        assert!(net.announcer.poll_timeout().is_none() && net.keeping.is_empty());
        net.log
    };
    // While it rests, looks, and walks: nothing has to end before.
    withdrawn(Net::announced(false, 5));
    let mut looking = Net::announced(true, 5);
    looking.now = looking.announcer.poll_timeout().unwrap();
    assert_eq!(looking.requests().len(), 3);
    withdrawn(looking);
    let mut walking = Net::announced(false, 5);
    walking.announcer.refresh();
    assert!(matches!(walking.poll(), Some(Want::Query(_))));
    withdrawn(walking);
    // It was not announced so far.
    assert_eq!(withdrawn(Net::new(false, 5)), []);
}

#[test]
fn stopping_waits_for_those_that_were_sent_it() {
    let mut net = Net::announced(false, 2);
    net.closest = nodes(2..=6);
    net.announcer.refresh();
    let _ = net.poll();
    net.end_query();
    let mut asked = Vec::new();
    for _ in 2..=5 {
        let Some(Want::Request(slot, request)) = net.poll() else { panic!() };
        asked.push((slot, request));
    }
    net.announcer.stop();
    net.announcer.stop();
    net.refusing.insert(node(4), 1);
    for (slot, request) in asked {
        assert!(net.poll().is_none(), "nobody else is sent it");
        if request.to == node(5) {
            // It has taken it, and its answer was lost.
            net.keeping.insert(request.to);
            net.announcer.handle_response(net.now, slot, Err(RequestError::Timeout));
        } else {
            net.answer(slot, &request);
        }
    }
    net.run();
    assert!(net.announcer.is_over() && net.keeping.is_empty(), "{:?}", net.keeping);
}

#[test]
fn stopping_before_anybody_was_sent_more_ends_at_once() {
    let mut net = Net::new(false, 2);
    let _ = net.poll();
    net.end_query();
    let Some(Want::Request(slot, request)) = net.poll() else { panic!() };
    net.answer(slot, &request);
    net.announcer.stop();
    net.run();
    assert!(net.announcer.is_over() && net.keeping.is_empty());
}

#[test]
fn stopping_while_others_are_told_to_forget_it_tells_the_rest_as_well() {
    let mut net = Net::announced(false, 4);
    net.closest = nodes(3..=6);
    net.announcer.refresh();
    let _ = net.poll();
    net.end_query();
    for (slot, request) in net.requests() {
        net.answer(slot, &request);
    }
    let asked = net.requests();
    assert_eq!(asked.len(), 2);
    net.announcer.stop();
    for (slot, request) in asked {
        net.answer(slot, &request);
    }
    net.run();
    assert!(net.announcer.is_over() && net.keeping.is_empty());
}

#[test]
fn who_is_silent_does_not_keep_it_from_ending() {
    let mut net = Net::announced(false, 4);
    net.dead.extend(nodes(1..=4));
    net.announcer.stop();
    net.run();
    assert!(net.announcer.is_over());
}

#[test]
fn a_change_is_a_reason_to_announce_anew() {
    for event in [
        Event::NetworkChange,
        Event::WakeUp,
        Event::Resumed,
        Event::SocketLost(Via::Client),
        Event::Persistent,
        Event::Ephemeral,
    ] {
        let mut net = Net::announced(true, 5);
        net.announcer.handle_event(&event);
        assert_eq!(net.walks(2), [0], "{event:?}");
    }
    let mut net = Net::announced(true, 5);
    net.announcer.handle_event(&Event::Online);
    net.announcer.handle_event(&Event::Ready);
    assert_eq!(net.walks(2), []);
}

#[test]
fn a_change_during_an_announcement_is_a_reason_for_one_more() {
    let mut net = Net::announced(false, 5);
    net.announcer.refresh();
    let _ = net.poll();
    // So far nobody was sent it.
    net.announcer.handle_event(&Event::NetworkChange);
    net.end_query();
    assert_eq!(net.walks(10), []);

    net.announcer.refresh();
    let _ = net.poll();
    net.end_query();
    let asked = net.requests();
    for _ in 0..2 {
        net.announcer.handle_event(&Event::NetworkChange);
    }
    for (slot, request) in asked {
        net.answer(slot, &request);
    }
    assert_eq!(net.walks(10), [0]);
}

#[test]
fn a_change_during_a_look_is_a_reason_to_announce_anew_after_it() {
    let mut net = Net::announced(true, 5);
    net.now = net.announcer.poll_timeout().unwrap();
    let asked = net.requests();
    net.announcer.handle_event(&Event::NetworkChange);
    for (slot, request) in asked {
        assert!(net.poll().is_none());
        net.answer(slot, &request);
    }
    assert_eq!(net.walks(2), [0]);
}

#[test]
fn relays_that_had_no_chance_to_answer_stay_relays() {
    type Failure = AnnounceError<io::Error>;
    let relays_after = |before: &[Event], failure: fn() -> Failure, after: &[Event]| {
        let mut net = Net::announced(true, 9);
        net.now = net.announcer.poll_timeout().unwrap();
        let asked = net.requests();
        before.iter().for_each(|event| net.announcer.handle_event(event));
        for (slot, _) in asked {
            net.announcer.handle_response(net.now, slot, Err(failure()));
        }
        after.iter().for_each(|event| net.announcer.handle_event(event));
        net.pass(100);
        net.announcer.kept_by().to_vec()
    };
    let silent: fn() -> Failure = || RequestError::Timeout.into();
    assert_eq!(relays_after(&[], silent, &[]), nodes(4..=6));
    assert_eq!(relays_after(&[Event::NetworkChange], silent, &[]), nodes(1..=3));
    assert_eq!(relays_after(&[], || SendError::Busy.into(), &[]), nodes(1..=3));
    let suspended = || RequestError::Suspended.into();
    assert_eq!(relays_after(&[], suspended, &[Event::Suspended, Event::Resumed]), nodes(1..=3));
}

#[test]
fn nobody_is_looked_at_during_a_suspension() {
    let mut net = Net::announced(true, 5);
    net.announcer.handle_event(&Event::Suspended);
    net.now += Duration::from_secs(10);
    assert!(net.poll().is_none());
}

#[test]
fn a_resumption_is_a_reason_for_one_announcement() {
    let mut net = Net::announced(false, 5);
    net.announcer.handle_event(&Event::Suspended);
    assert_eq!(net.walks(1_000), [], "no time passes");
    assert_eq!(net.announcer.poll_timeout(), None);
    net.announcer.handle_event(&Event::WakeUp);
    assert_eq!(net.walks(1), [], "not before it can be sent");
    net.announcer.handle_event(&Event::Resumed);
    assert!(matches!(net.poll(), Some(Want::Query(_))));
    for event in [Event::NetworkChange, Event::WakeUp, Event::Online] {
        net.announcer.handle_event(&event);
    }
    net.end_query();
    assert_eq!(net.walks(299), []);
    assert_eq!(net.walks(1), [1]);
}

#[test]
fn a_query_that_a_suspension_has_cut_off_is_made_anew() {
    for resumes_first in [false, true] {
        let mut net = Net::new(false, 5);
        let _ = net.poll();
        net.closest.truncate(1);
        net.announcer.handle_event(&Event::Suspended);
        if resumes_first {
            net.announcer.handle_event(&Event::Resumed);
            net.end_query();
        } else {
            net.end_query();
            assert!(net.poll().is_none());
            net.announcer.handle_event(&Event::Resumed);
        }
        net.closest = nodes(1..=5);
        assert_eq!(net.walks(100), [0]);
        assert_eq!(net.announcer.kept_by().len(), 5);
    }
}

#[test]
fn what_was_under_way_at_a_suspension_is_made_anew() {
    let mut net = Net::new(false, 5);
    let _ = net.poll();
    net.end_query();
    let asked = net.requests();
    net.announcer.handle_event(&Event::Suspended);
    for (slot, _) in asked {
        net.announcer.handle_response(net.now, slot, Err(RequestError::Suspended));
    }
    assert!(matches!(net.fails(), AnnounceError::Request(RequestError::Suspended)));
    assert_eq!(net.walks(1_000), []);
    net.announcer.handle_event(&Event::Resumed);
    assert_eq!(net.walks(100), [0]);
}

#[test]
fn when_peers_answer_again_a_failed_announcement_is_tried_again_at_once() {
    let mut net = Net::new(false, 0);
    net.pass(200);
    net.announcer.handle_event(&Event::Online);
    assert_eq!(net.walks(10), [0]);
    // Also if that was while it was about to fail.
    net.announcer.refresh();
    let _ = net.poll();
    net.announcer.handle_event(&Event::Online);
    net.end_query();
    assert_eq!(net.walks(10), [0]);
}

#[test]
fn it_ends_when_the_node_is_closed() {
    let mut net = Net::announced(false, 5);
    net.announcer.handle_event(&Event::Closed);
    assert!(net.announcer.is_over());
    net.announcer.refresh();
    assert_eq!(net.pass(1_000), []);
}
