//! Guesses are answers that belong to no request. A request that has seen many guesses from the address that was
//! asked does not trust the next answer that fits, since an attacker may be trying all transaction ids.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Id, Query, Request, Via};

use crate::support::bare_answer;
use crate::support::lab::{CLIENT, Lab, PING, PING_NAT, asks, joining, peer};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

/// A response that seems to come from `from`, with the id of that address or without an id.
fn answer(lab: &mut Lab, from: SocketAddrV4, tid: u16, with_id: bool) {
    let response = bare_answer(tid, CLIENT, with_id.then_some(from));
    lab.hear_bytes(Via::Client, from, &response);
}

/// The transaction id of the last ping to `to`.
fn tid(lab: &Lab, to: SocketAddrV4) -> u16 {
    let pings = lab.sent.iter().rev();
    pings.filter(|sent| sent.checks()).find(|sent| sent.to == to).unwrap().request().tid
}

/// Sends `count` guesses with wrong transaction ids.
fn guess(lab: &mut Lab, from: SocketAddrV4, count: u16, with_id: bool) {
    let right = tid(lab, from);
    (1..=count).for_each(|n| answer(lab, from, right.wrapping_add(n), with_id));
}

/// A request is forged in the name of a host that is not there; `guesses` guesses follow, and `pause` later the
/// right answer. Returns whether the host is in the table then.
fn verified_after(guesses: u16, pause: Duration) -> bool {
    let mut lab = Lab::among(5);
    lab.hear_with_id(peer(70), PING);
    guess(&mut lab, peer(70), guesses, true);
    lab.run_for(pause);
    let right = tid(&lab, peer(70));
    answer(&mut lab, peer(70), right, true);
    let verifications = lab.node.stats().verifications;
    let verified = lab.knows(peer(70));
    assert_eq!(verifications.verified, u64::from(verified));
    assert_eq!(verifications.failed, u64::from(!verified));
    assert_eq!(lab.node.stats().drops.unsolicited, u64::from(guesses));
    verified
}

#[test]
fn nobody_is_verified_by_the_answer_after_four_guesses() {
    for (guesses, verified) in [(0, true), (3, true), (4, false), (300, false)] {
        assert_eq!(verified_after(guesses, Duration::ZERO), verified, "{guesses}");
        assert_eq!(verified_after(guesses, SECOND - MOMENT), verified, "{guesses}");
    }
}

#[test]
fn guesses_from_elsewhere_or_of_before_change_nothing() {
    let mut lab = Lab::among(5);
    // Answers that come before the host is asked are no guesses about a request.
    (0..20).for_each(|tid| answer(&mut lab, peer(70), tid, true));
    lab.hear_with_id(peer(70), PING);
    lab.hear_with_id(peer(71), PING);
    guess(&mut lab, peer(71), 20, true);
    let right = tid(&lab, peer(70));
    answer(&mut lab, peer(70), right, true);
    assert!(lab.knows(peer(70)) && !lab.knows(peer(71)));
}

#[test]
fn under_the_right_number_from_a_wrong_address_is_a_guess_about_that_address() {
    let mut lab = Lab::among(5);
    lab.hear_with_id(peer(70), PING);
    lab.hear_with_id(peer(71), PING);
    // Both hosts are being asked; each answer has the transaction id of the request to the other host.
    let (one, other) = (tid(&lab, peer(70)), tid(&lab, peer(71)));
    (0..4).for_each(|_| answer(&mut lab, peer(70), other, true));
    answer(&mut lab, peer(70), one, true);
    answer(&mut lab, peer(71), other, true);
    assert!(!lab.knows(peer(70)) && lab.knows(peer(71)));
}

/// A hint makes the node check peer 2; `guesses` guesses follow in the name of that peer, without its id, and
/// `pause` later the right answer.
fn checked_after(lab: &mut Lab, guesses: u16, pause: Duration) {
    lab.peer(peer(2)).up = false;
    lab.hint(peer(1), peer(2));
    guess(lab, peer(2), guesses, false);
    lab.run_for(pause);
    let right = tid(lab, peer(2));
    answer(lab, peer(2), right, false);
    lab.run_for(6 * SECOND - pause);
}

#[test]
fn answers_without_an_id_do_not_evict_after_four_guesses() {
    for (guesses, evicted) in [(0, true), (3, true), (4, false), (300, false)] {
        let mut lab = Lab::among(5);
        for _ in 0..2 {
            assert!(lab.knows(peer(2)));
            checked_after(&mut lab, guesses, MOMENT);
        }
        assert_eq!(!lab.knows(peer(2)), evicted, "{guesses}");
        // Both checks were answered.
        assert_eq!(lab.node.stats().requests.timeouts, 0);
    }
}

#[test]
fn guesses_of_before_it_is_asked_do_not_count() {
    for (early, evicted) in [(true, true), (false, false)] {
        let mut lab = Lab::among(5);
        lab.peer(peer(2)).up = false;
        for _ in 0..2 {
            lab.run_for(6 * SECOND);
            if early {
                (0..4).for_each(|tid| answer(&mut lab, peer(2), tid, false));
            }
            lab.hint(peer(1), peer(2));
            if !early {
                guess(&mut lab, peer(2), 4, false);
            }
            let right = tid(&lab, peer(2));
            answer(&mut lab, peer(2), right, false);
        }
        assert_eq!(!lab.knows(peer(2)), evicted, "before it was asked: {early}");
    }
}

#[test]
fn nobody_can_have_guesses_forgotten() {
    let mut lab = Lab::among(40);
    lab.peer(peer(2)).up = false;
    for _ in 0..2 {
        lab.run_for(6 * SECOND);
        lab.hint(peer(1), peer(2));
        let right = tid(&lab, peer(2));
        for n in 1..=5 {
            answer(&mut lab, peer(2), right.wrapping_add(n), false);
            // Answers in the names of other nodes change nothing, whether these nodes are asked or not.
            (3..40).for_each(|other| (0..9).for_each(|n| answer(&mut lab, peer(other), n, true)));
        }
        answer(&mut lab, peer(2), right, false);
    }
    assert!(lab.knows(peer(2)));
}

#[test]
fn nor_does_an_answer_with_an_id_count_after_four_guesses() {
    for (guesses, counts) in [(3, true), (4, false), (20, false)] {
        let mut lab = Lab::among(5);
        lab.peer(peer(2)).up = false;
        lab.hint(peer(1), peer(2));
        guess(&mut lab, peer(2), guesses, true);
        let right = tid(&lab, peer(2));
        answer(&mut lab, peer(2), right, true);
        lab.run_for(6 * SECOND);
        assert!(lab.knows(peer(2)), "it has answered");
        assert_eq!(lab.node.nodes().next() == Some(peer(2)), counts);
        // A request that seems to come from the node is no guess.
        lab.hear(peer(2), &asks(PING));
        assert_eq!(lab.node.stats().drops.unsolicited, guesses.into());
    }
}

#[test]
fn late_answers_and_those_to_earlier_tries_are_no_guesses() {
    for (retries, late) in [(0, true), (4, false)] {
        let mut lab = Lab::among(5);
        lab.add_peer(peer(70)).up = false;
        let tids: Vec<_> = (0..5)
            .map(|_| {
                let request = Request::ping(peer(70)).retries(retries);
                lab.request(request);
                tid(&lab, peer(70))
            })
            .collect();
        // Each ping was given up; or each was sent five times, and is answered.
        lab.run_for(if late { SECOND } else { 4 * SECOND });
        lab.hear_with_id(peer(70), PING);
        if !late {
            tids.iter().for_each(|tid| answer(&mut lab, peer(70), *tid, false));
        }
        let request = Request::ping(peer(70));
        lab.request(request);
        tids.iter().for_each(|tid| answer(&mut lab, peer(70), *tid, false));
        assert_eq!(lab.node.stats().drops.unsolicited, 5);
        let right = tid(&lab, peer(70));
        answer(&mut lab, peer(70), right, true);
        assert!(lab.knows(peer(70)), "late: {late}");
    }
}

#[test]
fn a_late_answer_clears_nobody_after_four_guesses() {
    for (guesses, cleared) in [(3, true), (4, false)] {
        let mut lab = Lab::among(5);
        lab.peer(peer(2)).up = false;
        let query = Query::find_node(Id::of(peer(2))).nodes([peer(2)]).only_closest_nodes();
        let id = lab.query(query.retries(1));
        lab.run_for(2 * SECOND);
        lab.call(|node, now| node.cancel_query(now, id));
        let late = lab.sent.iter().find(|sent| sent.to == peer(2)).unwrap().request().tid;
        assert!(lab.node.suspects(peer(2)));
        (1..=guesses).for_each(|n| answer(&mut lab, peer(2), late.wrapping_add(n), true));
        answer(&mut lab, peer(2), late, true);
        assert_eq!(lab.node.suspects(peer(2)), !cleared, "{guesses}");
    }
}

#[test]
fn guesses_about_many_at_once_are_counted_for_each() {
    let mut lab = Lab::among(5);
    // As many hosts as are verified at a time, 16, and one node that is known already.
    let hosts: Vec<_> = (70..86).map(peer).collect();
    hosts.iter().for_each(|host| drop(lab.hear_with_id(*host, PING)));
    assert_eq!(lab.node.stats().verifications.sent, 16);
    for n in 1..=3 {
        for host in &hosts {
            let right = tid(&lab, *host);
            answer(&mut lab, *host, right.wrapping_add(n), true);
        }
        answer(&mut lab, peer(2), n, true);
    }
    // One guess more about the first host.
    guess(&mut lab, hosts[0], 1, true);
    for host in &hosts {
        let right = tid(&lab, *host);
        answer(&mut lab, *host, right, true);
    }
    let known = hosts.iter().map(|host| lab.knows(*host));
    assert_eq!(known.collect::<Vec<_>>(), [&[false][..], &[true; 15]].concat());
}

#[test]
fn what_is_asked_after_the_guesses_is_answered_as_if_there_had_been_none() {
    let mut lab = Lab::among(5);
    lab.add_peer(peer(70)).up = false;
    let ask = |lab: &mut Lab| {
        lab.request(Request::ping(peer(70)));
        tid(lab, peer(70))
    };
    let first = ask(&mut lab);
    guess(&mut lab, peer(70), 4, true);
    let second = ask(&mut lab);
    answer(&mut lab, peer(70), first, true);
    assert!(!lab.knows(peer(70)));
    answer(&mut lab, peer(70), second, true);
    assert!(lab.knows(peer(70)));
}

#[test]
fn a_late_answer_to_what_a_stranger_had_us_ask_clears_nobody() {
    let mut lab = Lab::among(5);
    lab.peer(peer(2)).up = false;
    lab.hint(peer(1), peer(2));
    let late = tid(&lab, peer(2));
    lab.run_for(5 * SECOND);
    answer(&mut lab, peer(2), late, true);
    assert!(!lab.knows(peer(2)) && lab.node.suspects(peer(2)));
}

#[test]
fn an_answer_from_elsewhere_to_what_a_stranger_had_us_ask_is_not_told() {
    let mut lab = Lab::among(5);
    let other = SocketAddrV4::new(*peer(70).ip(), 9);
    for (user, told) in [(false, None), (true, Some(other))] {
        lab.hear_with_id(peer(70), PING);
        if user {
            lab.request(Request::ping(peer(70)));
        }
        let right = tid(&lab, peer(70));
        answer(&mut lab, other, right, true);
        assert_eq!(lab.node.answered_instead(peer(70)), told);
    }
}

#[test]
fn an_answer_after_guesses_does_not_make_a_bootstrapping_node_look_whether_it_is_reached() {
    for (guesses, looks) in [(3, true), (4, false)] {
        let mut lab = Lab::unbound(joining(&[peer(0)]));
        (0..30).for_each(|n| lab.add_peer(peer(n)).closer = (0..30).map(peer).collect());
        lab.peers.values_mut().for_each(|peer| peer.reaches = false);
        lab.bind();
        lab.run_until(|lab| !lab.asked(PING_NAT).is_empty());
        let asked = lab.sent.iter().find(|sent| sent.is(PING_NAT)).unwrap();
        let (from, right) = (asked.to, asked.request().tid);
        (1..=guesses).for_each(|n| answer(&mut lab, from, right.wrapping_add(n), true));
        answer(&mut lab, from, right, true);
        lab.run_until(|lab| lab.node.bootstrapped());
        // The early PING_NATs go to three nodes.
        assert_eq!(lab.asked(PING_NAT).len() > 3, looks, "{guesses}");
    }
}

#[test]
fn answers_that_the_network_doubles_are_no_guesses() {
    let took = |twice: bool| {
        let mut lab = Lab::among(5);
        lab.fate(move |rtt| vec![rtt; 1 + usize::from(twice)]);
        let (start, mut open, mut left) = (lab.now, Vec::new(), 400);
        while left > 0 || !open.is_empty() {
            let more = left.min(40 - open.len());
            left -= more;
            let ping = |_| lab.request(Request::ping(peer(1)));
            open.extend((0..more).map(ping).collect::<Vec<_>>());
            lab.run_for(Duration::from_millis(1));
            open.retain(|id| lab.node.take_response(*id).map(Result::unwrap).is_none());
        }
        lab.now.saturating_since(start)
    };
    assert_eq!(took(true), took(false));
}
