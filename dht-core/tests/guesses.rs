//! Answers that belong to nothing: who sees many of them from one address does not trust the next one
//! from there that fits, for somebody may be trying all transaction ids.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{DATAGRAM_MAX, Id, Via, wire};
use support::lab::{CLIENT, Lab, PING, asks, peer};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

/// An answer that seems to be by `from`, with its id or without.
fn answer(lab: &mut Lab, from: SocketAddrV4, tid: u16, with_id: bool) {
    let id = Id::of(from).0;
    let response = wire::Response {
        tid,
        to: CLIENT,
        id: with_id.then_some(&id),
        token: None,
        closer_nodes: None,
        error: 0,
        value: None,
    };
    let mut buf = [0; DATAGRAM_MAX];
    let len = response.encode(&mut buf).unwrap();
    lab.hear_bytes(Via::Client, from, &buf[..len]);
}

/// The transaction id of the last ping to `to`.
fn tid(lab: &Lab, to: SocketAddrV4) -> u16 {
    let pings = lab.sent.iter().rev();
    pings.filter(|sent| sent.checks()).find(|sent| sent.to == to).unwrap().request().tid
}

/// Guesses that miss.
fn guess(lab: &mut Lab, from: SocketAddrV4, count: u16, with_id: bool) {
    let right = tid(lab, from);
    (1..=count).for_each(|n| answer(lab, from, right.wrapping_add(n), with_id));
}

/// Somebody asks in the name of a host that is not even there; so many guesses are followed by the right
/// answer, so much later. Whether that host is in the table then.
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
    // Before it is asked nobody counts.
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
    // Both are being asked; each answer has the number of the other one's.
    let (one, other) = (tid(&lab, peer(70)), tid(&lab, peer(71)));
    (0..4).for_each(|_| answer(&mut lab, peer(70), other, true));
    answer(&mut lab, peer(70), one, true);
    answer(&mut lab, peer(71), other, true);
    assert!(!lab.knows(peer(70)) && lab.knows(peer(71)));
}

/// A node that is checked because of a hint, and whose answers are guessed, without its id; the last one
/// is right. So long after the guesses.
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
        // And for how many it is checked: twice, both answered.
        assert_eq!(lab.node.stats().requests.timeouts, 0);
    }
}

#[test]
fn guesses_are_forgotten_after_five_seconds() {
    // The four tries of a check take four seconds: guesses of before it count if they are that young.
    for (pause, evicted) in [(4_999, false), (5_000, true)] {
        let mut lab = Lab::among(5);
        for _ in 0..2 {
            lab.run_for(10 * SECOND);
            (0..4).for_each(|tid| answer(&mut lab, peer(2), tid, false));
            lab.run_for(MOMENT * pause);
            checked_after(&mut lab, 0, Duration::ZERO);
        }
        assert_eq!(!lab.knows(peer(2)), evicted, "{pause} ms");
    }
}

#[test]
fn with_its_id_an_answer_counts_however_much_is_guessed() {
    let mut lab = Lab::among(5);
    lab.peer(peer(2)).up = false;
    lab.hint(peer(1), peer(2));
    guess(&mut lab, peer(2), 20, true);
    let right = tid(&lab, peer(2));
    answer(&mut lab, peer(2), right, true);
    lab.run_for(6 * SECOND);
    assert!(lab.knows(peer(2)), "it has answered");
    assert_eq!(lab.node.nodes().next(), Some(peer(2)));
    // A request that seems to come from it is none of these.
    lab.hear(peer(2), &asks(PING));
    assert_eq!(lab.node.stats().drops.unsolicited, 20);
}

#[test]
fn guesses_about_many_at_once_are_counted_for_each() {
    let mut lab = Lab::among(5);
    // As many as are verified at a time, and one that is known already.
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
    // The first one is guessed at once more.
    guess(&mut lab, hosts[0], 1, true);
    for host in &hosts {
        let right = tid(&lab, *host);
        answer(&mut lab, *host, right, true);
    }
    let known = hosts.iter().map(|host| lab.knows(*host));
    assert_eq!(known.collect::<Vec<_>>(), [&[false][..], &[true; 15]].concat());
}
