//! Round-trip tokens: how long a token lives, for which host, and what a bad token gets.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::{Answer, Config, Handled, Id, Via, error_code};
use proptest::prelude::*;

use crate::support::lab::*;

const MAYBE: Duration = Duration::from_millis(7_500);
const NEVER: Duration = Duration::from_millis(15_000);

/// A token that the node gives out now.
fn token_for(lab: &mut Lab, from: SocketAddrV4) -> [u8; 32] {
    lab.serve(from, &Ask::user(16), Answer::empty()).token()
}

fn is_good(lab: &mut Lab, from: SocketAddrV4, token: [u8; 32]) -> bool {
    let bytes = Ask::user(16).token(token).bytes();
    let handled = lab.hand_in(Via::Server, from, &bytes);
    lab.sent.clear();
    match handled {
        Handled::Request(incoming) => {
            assert_eq!(incoming.token, Some(token.into()));
            true
        }
        _ => false,
    }
}

#[test]
fn a_token_is_for_a_host_whatever_the_port() {
    let mut lab = Lab::alone();
    let token = token_for(&mut lab, addr(1));
    let host = *addr(1).ip();
    for port in [1, 1000, 4000, 65535] {
        assert!(is_good(&mut lab, SocketAddrV4::new(host, port), token), "port {port}");
    }
    let neighbour = SocketAddrV4::new((u32::from(host) + 1).into(), addr(1).port());
    assert!(!is_good(&mut lab, neighbour, token));
    assert!(!is_good(&mut lab, addr(2), token));
    let mut flipped = token;
    flipped[31] ^= 0x80;
    assert!(!is_good(&mut lab, addr(1), flipped));
    assert!(!is_good(&mut lab, addr(1), [0; 32]));
    assert_eq!(lab.stats().drops.bad_token, 4);
}

#[test]
fn every_node_has_its_own_secrets() {
    let (mut one, mut other) = (Lab::alone(), Lab::with_seed(Config::default(), 2));
    other.bind();
    let token = token_for(&mut one, addr(1));
    assert!(!is_good(&mut other, addr(1), token));
    assert!(is_good(&mut one, addr(1), token));
}

#[test]
fn sleep_ends_tokens() {
    for asleep in [16, 60, 3_600, 8 * 3_600] {
        let mut lab = Lab::alone();
        let token = token_for(&mut lab, addr(1));
        lab.now += Duration::from_secs(asleep);
        assert!(!is_good(&mut lab, addr(1), token), "{asleep} s");
        let fresh = token_for(&mut lab, addr(1));
        assert!(is_good(&mut lab, addr(1), fresh));
    }
    println!("S17: 0 of 4 tokens are accepted after a sleep of 16 s to 8 h");
}

#[test]
fn a_token_is_good_in_the_period_of_its_making_and_the_next() {
    // (when the token is made, its age when it is shown, both in microseconds; whether it is good)
    for (made, age, good) in [
        (0, 14_999_999, true),
        (0, 15_000_000, false),
        (7_499_999, 7_500_000, true),
        (7_499_999, 7_500_001, false),
        (7_500_000, 14_999_999, true),
        (7_500_000, 15_000_000, false),
    ] {
        let mut lab = Lab::alone();
        lab.run_for(Duration::from_micros(made));
        let token = token_for(&mut lab, addr(1));
        lab.run_for(Duration::from_micros(age));
        assert_eq!(is_good(&mut lab, addr(1), token), good, "made at {made}, {age} old");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whenever a token is made and however often the node is called: a token younger than 7.5 s is
    /// good, a token of 15 s or more is not.
    #[test]
    fn a_token_lives_between_7500_and_15000_ms(
        made_ms in 0..30_000_u64,
        age_us in prop_oneof![0..20_000_000_u64, 7_499_990..7_500_010_u64, 14_999_990..15_000_010_u64],
        busy in any::<bool>(),
    ) {
        let mut lab = Lab::alone();
        lab.run_ms(made_ms);
        let token = token_for(&mut lab, addr(1));
        let age = Duration::from_micros(age_us);
        if busy {
            let step = Duration::from_micros(1_234_567);
            let mut left = age;
            while left > step {
                lab.run_for(step);
                token_for(&mut lab, addr(2));
                left -= step;
            }
            lab.run_for(left);
        } else {
            lab.run_for(age);
        }
        let good = is_good(&mut lab, addr(1), token);
        prop_assert!(good || age >= MAYBE);
        prop_assert!(!good || age < NEVER);
    }
}

#[test]
fn a_bad_token_gets_error_2_with_a_good_one() {
    let mut lab = Lab::persistent();
    (10..15).for_each(|n| lab.add_node(addr(n)));
    for (about, nodes) in [(None, 0), (Some(target(1)), 5)] {
        for command in [16, PING, PING_NAT, FIND_NODE, DOWN_HINT, DELAYED_PING, 99] {
            for internal in [false, true] {
                // DELAYED_PING reads 2,000 ms, PING_NAT port 2,000, DOWN_HINT no address.
                let value = Some(vec![0xd0, 0x07, 0, 0]);
                let ask = Ask { target: about, internal, value, ..Ask::user(command) };
                let sent = lab.ask(addr(1), &ask.token([1; 32]));
                assert_eq!(sent.len(), 1, "{command}, internal: {internal}");
                assert_eq!((sent[0].to, sent[0].via), (addr(1), Via::Server));
                let response = sent[0].response();
                assert_eq!(response.error, error_code::INVALID_TOKEN);
                assert_eq!((response.tid, response.value), (0x1234, None));
                assert_eq!(sent[0].nodes().len(), nodes);
                let fresh = sent[0].token();
                assert!(is_good(&mut lab, addr(1), fresh));
            }
        }
    }
    // None of the commands was carried out.
    lab.run_ms(3_000);
    assert_eq!(lab.sent, []);
    assert_eq!(lab.stats().drops.bad_token, 28);
    assert_eq!(lab.stats().drops.bad_command, 0);
}

#[test]
fn a_bad_token_teaches_nothing() {
    let mut lab = Lab::alone();
    let id = Some(*Id::of(addr(1)).as_bytes());
    for internal in [false, true] {
        let sent = lab.ask(addr(1), &Ask { id, internal, ..Ask::user(0).token([1; 32]) });
        assert_eq!(sent.len(), 1, "the answer, and no verification");
    }
    assert_eq!(lab.stats().verifications.sent, 0);
    assert_eq!((lab.node.table_len(), lab.node.host()), (0, None));
    // Without a token the same request makes its sender a candidate for the table.
    assert_eq!(lab.ask(addr(1), &Ask { id, ..Ask::internal(0) }).len(), 2);
}

#[test]
fn an_answer_to_another_address_has_that_ones_token() {
    let mut lab = Lab::alone();
    let sent = lab.serve(addr(1), &Ask::user(16), Answer::value(&b"x"[..]).to(addr(2)));
    let response = sent.response();
    assert_eq!((sent.to, response.to, response.tid), (addr(2), addr(2), 0x1234));
    let token = sent.token();
    assert!(is_good(&mut lab, addr(2), token));
    assert!(!is_good(&mut lab, addr(1), token));
}
