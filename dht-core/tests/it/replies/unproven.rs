//! What leaves for hosts that may not be there: answers to requests whose source address anyone may have forged.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Answer, Config, Exempt, Via};

use crate::support::lab::*;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes of the IPv4 and UDP headers.
const HEADERS: usize = 28;
/// The longest value that the default configuration lets an answer with a token have.
const LARGEST: usize = 1_320;

/// A persistent node with 30 nodes in its table.
fn knowing(exempt: Exempt) -> Lab {
    let mut config = Config::bootstrapper(SERVER.port(), &HOST.to_string()).unwrap();
    config.exempt = exempt;
    let mut lab = Lab::started(config);
    (100..130).for_each(|n| lab.add_node(addr(n)));
    lab
}

/// Hosts of one /24, each with ports of its own.
fn source(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x5858_5801 + n % 250), 5_000 + (n / 250 % 50_000) as u16)
}

fn with_headers(sent: &[Sent]) -> usize {
    sent.iter().map(|sent| sent.bytes.len() + HEADERS).sum()
}

/// Sends `per_second` requests a second, each from the next source. Returns the bytes sent per byte received.
fn factor(lab: &mut Lab, ask: &Ask, per_second: u32, seconds: u32) -> f64 {
    let (mut came, mut left) = (0, 0);
    for n in 0..per_second * seconds {
        let bytes = ask.bytes();
        came += bytes.len() + HEADERS;
        left += with_headers(&lab.hear_bytes(Via::Server, source(n), &bytes));
        lab.run_for(SECOND / per_second);
    }
    // Not counted: requests that left meanwhile, to the sources or to nodes of the table.
    f64::from(left as u32) / f64::from(came as u32)
}

fn value(len: usize) -> Answer {
    Answer::value(vec![7; len])
}

/// A lookup of an application, of 43 bytes.
fn lookup() -> Ask {
    Ask::user(16).target(target(1))
}

#[test]
fn what_leaves_for_a_forged_source_is_three_times_what_came() {
    for (what, ask, answer, without) in [
        ("FIND_NODE", Ask::internal(FIND_NODE).target(target(1)), None, 2.69),
        ("empty", lookup(), Some(Answer::empty()), 3.1),
        ("value of 1,000 bytes", lookup(), Some(value(1_000)), 17.2),
        ("the largest value", Ask::user(16), Some(value(LARGEST)), 36.0),
    ] {
        let mut lab = knowing(Exempt::Local);
        lab.answer = answer.clone();
        let limited = factor(&mut lab, &ask, 1_000, 10);
        assert!(limited <= 3.0, "{what}: {limited}");
        let mut lab = knowing(Exempt::everybody());
        lab.answer = answer;
        let unlimited = factor(&mut lab, &ask, 1_000, 1);
        println!("{what}: {limited:.2} times what came; without a limit {unlimited:.2}");
        assert!(unlimited >= without - 0.01, "{what}: {unlimited}");
    }
}

#[test]
fn an_answer_without_a_value_is_cut_to_what_fits() {
    let mut lab = knowing(Exempt::Local);
    let nodes = |lab: &mut Lab, ask: &Ask, answer| lab.serve(source(1), ask, answer).nodes().len();
    // 10 bytes, id, token, and a byte for the number of nodes: 75 of 3 * (43 + 28) - 28.
    assert_eq!(nodes(&mut lab, &lookup(), Answer::empty()), 18);
    assert_eq!(nodes(&mut lab, &lookup(), Answer::empty().token(false)), 20);
    let longer = Ask { id: Some([1; 32]), ..lookup() };
    assert_eq!(nodes(&mut lab, &longer, Answer::empty()), 20);
    assert_eq!(lab.stats().withheld, Default::default(), "no bucket is empty");
    assert_eq!(lab.serve(addr(100), &lookup(), Answer::empty()).nodes().len(), 20, "a member");
    let local = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1);
    assert_eq!(lab.serve(local, &lookup(), Answer::empty()).nodes().len(), 20, "exempt");
}

#[test]
fn first_lookups_find_values_then_closer_nodes_are_left_out_then_all() {
    let mut lab = knowing(Exempt::Local);
    lab.answer = Some(value(80));
    let serve = |lab: &mut Lab, n| {
        let sent = lab.hear_bytes(Via::Server, source(n), &lookup().bytes());
        sent.iter().find_map(|sent| sent.as_response().map(|_| sent.nodes().len()))
    };
    let served: Vec<_> = (0..60).map(|n| serve(&mut lab, n)).collect();
    assert_eq!(served[..40], [Some(20); 40]);
    // Three bytes more than 75 and 80 of 185.
    assert_eq!(served[40..], [Some(4); 20]);
    assert_eq!((lab.stats().withheld.closer_nodes, lab.stats().withheld.answers), (20, 0));
    lab.answer = Some(value(1_000));
    assert_eq!((60..70).filter_map(|n| serve(&mut lab, n)).count(), 0);
    assert_eq!((lab.stats().withheld.closer_nodes, lab.stats().withheld.answers), (20, 10));
    // Each /24 has a budget of its own.
    let other = lab.hear_bytes(Via::Server, addr(7), &lookup().bytes());
    assert_eq!(other[0].nodes().len(), 20);
    lab.run_for(SECOND);
    assert_eq!((70..120).filter_map(|n| serve(&mut lab, n)).count(), 20);
}

#[test]
fn who_shows_a_token_or_answers_has_no_limit() {
    let mut lab = knowing(Exempt::Local);
    let many = |lab: &mut Lab, from| {
        lab.answer = Some(value(1_000));
        let answers = |_| lab.hear_bytes(Via::Server, from, &lookup().bytes());
        (0..100).map(answers).filter(|sent| sent.iter().any(|s| s.as_response().is_some())).count()
    };
    let token = lab.serve(source(1), &Ask::user(16), Answer::empty()).token();
    assert_eq!(many(&mut lab, source(2)), 40);
    assert_eq!(many(&mut lab, source(1)), 0, "it was given one but has not shown it");
    lab.ask_application(source(1), &Ask::user(16).token(token));
    assert_eq!(many(&mut lab, source(1)), 100);
    assert_eq!(many(&mut lab, source(1 + 250)), 100, "from all ports of the host");
    assert_eq!(many(&mut lab, source(2)), 0, "but not of others");
    // A response to any request of the node does as well.
    lab.add_peer(source(3));
    lab.ping(source(3));
    assert_eq!(many(&mut lab, source(3)), 100);
    lab.run_for(601 * SECOND);
    assert_eq!(many(&mut lab, source(1)), 40);
}

/// An honest crowd: 50 clients behind one NAT, each of which looks up a value of 1,000 bytes once a second.
#[test]
fn clients_behind_one_nat_notice_nothing() {
    let mut lab = knowing(Exempt::Local);
    lab.answer = Some(value(1_000));
    let client = |n: u32| SocketAddrV4::new(Ipv4Addr::new(91, 1, 1, 1), 6_000 + n as u16);
    for n in 0..50 {
        let peer = lab.add_peer(client(n));
        (peer.has_id, peer.rtt) = (false, Duration::from_millis(80));
    }
    let (mut answers, mut nodes) = (0, 0);
    for second in 0..30 {
        for n in 0..50 {
            let sent = lab.hear_bytes(Via::Server, client(n), &lookup().bytes());
            for sent in sent.iter().filter(|sent| sent.as_response().is_some()) {
                answers += 1;
                nodes += sent.nodes().len();
            }
            lab.run_for(SECOND / 50);
        }
        assert_eq!(answers, 50 * (second + 1));
    }
    let asked = lab.stats().verifications.sent;
    println!("50 lookups/s from one host: {answers} of 1500 answered, {asked} proof asked for");
    assert_eq!((nodes, lab.stats().withheld), (1_500 * 20, Default::default()));
    assert!(asked <= 4, "{asked}");
}

/// The most that hyperdht does at one node: a lookup, then an announcement with the token, by many clients in one /24.
#[test]
fn announcements_of_a_whole_net_notice_nothing() {
    let mut lab = knowing(Exempt::Local);
    lab.answer = Some(value(300));
    for n in 0..200 {
        let sent = lab.hear_bytes(Via::Server, source(n), &lookup().bytes());
        let found = sent.iter().find(|sent| sent.as_response().is_some()).unwrap();
        assert_eq!(found.nodes().len(), 20);
        let announce = lookup().token(found.token()).value(&[1; 200]);
        let sent = lab.hear_bytes(Via::Server, source(n), &announce.bytes());
        assert_eq!(sent.len(), 1);
        lab.run_for(SECOND / 20);
    }
    assert_eq!(lab.stats().withheld, Default::default());
}

#[test]
fn four_verifications_a_minute_leave_for_a_silent_net() {
    let mut lab = knowing(Exempt::Local);
    for n in 0..200 {
        lab.hear_with_id(source(n), PING);
        lab.run_for(SECOND / 4);
    }
    let asked = lab
        .sent
        .iter()
        .filter(|sent| sent.as_request().is_some() && sent.to.ip().octets()[0] == 88)
        .count();
    assert_eq!(asked, 4);
    assert!(lab.stats().withheld.requests > 0);
    // Where the first nodes of the /24 answer, all of them are asked.
    let mut lab = knowing(Exempt::Local);
    for n in 0..100 {
        lab.add_peer(source(n));
        lab.hear_with_id(source(n), PING);
        lab.run_for(SECOND);
    }
    // At least 10 of the 100 nodes of this /24 have entered the table.
    let known = (0..100).filter(|n| lab.knows(source(*n))).count();
    assert!(known >= 10 && lab.stats().withheld.requests == 0, "{known}");
}

/// Where few buckets are remembered, it does not pay to have one displaced.
#[test]
fn an_empty_bucket_is_not_displaced_by_fuller_ones() {
    let mut config = Config::embedded();
    (config.ephemeral, config.firewalled) = (Some(false), false);
    config.public_address = Some(SERVER);
    let mut lab = Lab::started(config);
    (100..130).for_each(|n| lab.add_node(addr(n)));
    lab.answer = Some(value(400));
    let (mut came, mut left) = (0, 0);
    for n in 0..2_000 {
        let from = if n % 67 < 40 { source(n) } else { addr(1_000 + n % 67) };
        let bytes = lookup().bytes();
        came += bytes.len() + HEADERS;
        let sent = lab.hear_bytes(Via::Server, from, &bytes);
        let there = sent.iter().filter(|sent| sent.to.ip().octets()[0] == 88);
        left += there.map(|sent| sent.bytes.len() + HEADERS).sum::<usize>();
        lab.run_for(SECOND / 1_000);
    }
    let factor = f64::from(left as u32) / f64::from(came as u32);
    println!("{factor:.2} times what came");
    assert!(factor <= 3.0, "{factor}");
}
