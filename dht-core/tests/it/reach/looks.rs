//! What a node makes of its own address as long as it lives: it checks again and again whether peers reach it, and
//! its id follows its address.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Config, Event, Id, Node, Persistence, Via};

use crate::support::Sent;
use crate::support::bare_answer;
use crate::support::lab::{
    CLIENT, HOST, Lab, PING, PING_NAT, SERVER, TICK, joining, neighbour, peer, told, wanting,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(99, 9, 9, 9);

/// The same configuration without bootstrap nodes.
fn alone(mut config: Config) -> Config {
    config.bootstrap.clear();
    config
}

/// A node that wants to be persistent, and is, among 30 peers.
fn persistent(config: Config) -> Lab {
    let mut lab = Lab::joined(config, 30);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    // The node knows all peers from an answer.
    (0..30).for_each(|n| lab.ping(peer(n)));
    lab.events.clear();
    lab.sent.clear();
    lab
}

/// Whether datagrams from peers reach the server socket unasked.
fn set_open(lab: &mut Lab, open: bool) {
    lab.peers.values_mut().for_each(|peer| peer.reaches = open);
}

/// When checks have begun, in seconds since `since`. PING_NATs within 5 s belong to one check.
fn checks(lab: &Lab, since: dht_core::Instant) -> Vec<u64> {
    let nat = lab.sent.iter().filter(|sent| sent.is(PING_NAT));
    let mut at: Vec<_> = nat.map(|sent| sent.at.saturating_since(since).as_secs()).collect();
    at.dedup_by(|b, a| *b <= *a + 5);
    at
}

#[test]
fn a_firewall_that_opens_later_is_found_open() {
    let mut lab = Lab::unbound(wanting());
    (0..30).for_each(|n| lab.add_peer(peer(n)).closer = (0..30).map(peer).collect());
    set_open(&mut lab, false);
    lab.bind();
    lab.run_for(MINUTE);
    assert_eq!((lab.node.id(), lab.node.persistence()), (None, Persistence::Unreachable));
    set_open(&mut lab, true);
    lab.run_for(2 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.reasons, [Persistence::Unreachable, Persistence::Reachable]);
}

#[test]
fn while_nothing_changes_it_looks_ever_less_often_down_to_every_half_an_hour() {
    let mut lab = Lab::unbound(wanting());
    (0..30).for_each(|n| lab.add_peer(peer(n)).closer = (0..30).map(peer).collect());
    set_open(&mut lab, false);
    let begun = lab.now;
    lab.bind();
    lab.run_for(600 * MINUTE);
    let at = checks(&lab, begun);
    let gaps: Vec<_> = at.windows(2).map(|pair| (pair[1] - pair[0] + 15) / 60).collect();
    assert_eq!(gaps[..6], [2, 4, 8, 16, 30, 30], "minutes, after {} s", at[0]);
    assert!(gaps[6..].iter().all(|gap| *gap == 30), "{gaps:?}");
    // A check still happens, and finds the server socket reachable.
    set_open(&mut lab, true);
    lab.run_for(31 * MINUTE);
    assert!(!lab.node.ephemeral());
}

#[test]
fn a_firewall_that_closes_is_found_closed_and_open_again() {
    let mut adaptive = wanting();
    adaptive.ephemeral = None;
    for config in [wanting(), adaptive] {
        let wanted = config.ephemeral.is_some();
        let mut lab = Lab::joined(config, 30);
        (0..30).for_each(|n| lab.ping(peer(n)));
        lab.run_for(22 * MINUTE);
        assert_eq!(lab.node.persistence(), Persistence::Reachable);
        set_open(&mut lab, false);
        lab.run_for(35 * MINUTE);
        assert_eq!((lab.node.id(), lab.node.persistence()), (None, Persistence::Unreachable));
        assert!(lab.node.firewalled(), "it asks by the client socket again");
        assert_eq!(lab.times(Event::Ephemeral), 1);
        assert_eq!(lab.node.port(), CLIENT.port(), "which has another port");
        set_open(&mut lab, true);
        lab.run_for(if wanted { 5 } else { 61 } * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        assert_eq!(lab.node.persistence(), Persistence::Reachable);
    }
}

#[test]
fn who_is_reached_looks_every_half_an_hour_by_the_client_socket() {
    let mut lab = persistent(wanting());
    let begun = lab.now;
    lab.run_for(300 * MINUTE);
    let at = checks(&lab, begun);
    assert!((8..=10).contains(&at.len()), "{at:?}");
    let nat: Vec<_> = lab.sent.iter().filter(|sent| sent.is(PING_NAT)).collect();
    assert_eq!(nat.len(), 5 * at.len());
    assert!(nat.iter().all(|sent| sent.via == Via::Client));
    assert!(nat.iter().all(|sent| sent.request().id.is_none()));
    assert!(lab.events.is_empty(), "and nothing comes of it");
}

#[test]
fn the_silence_of_the_dead_says_nothing_of_the_firewall() {
    // All peers are gone; or most are, and the eight that remain get through.
    for remain in [0, 8] {
        let mut lab = persistent(wanting());
        (remain..30).for_each(|n| lab.peer(peer(n)).up = false);
        lab.run_for(180 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "{remain} remain");
        assert_eq!(lab.times(Event::Ephemeral), 0);
    }
}

#[test]
fn one_who_gets_through_is_no_proof_that_others_do() {
    let mut lab = persistent(wanting());
    set_open(&mut lab, false);
    lab.peer(peer(3)).reaches = true;
    lab.run_for(100 * MINUTE);
    assert!(lab.times(Event::Ephemeral) > 0);
}

#[test]
fn who_is_told_to_be_reachable_is_persistent_as_soon_as_others_come() {
    for config in [told(&[peer(0)]), alone(told(&[peer(0)]))] {
        let mut lab = Lab::started(config);
        lab.run_for(30 * MINUTE);
        assert_eq!((lab.node.id(), lab.node.persistence()), (None, Persistence::AddressUnknown));
        lab.add_peer(peer(7));
        lab.hear_with_id(peer(7), PING);
        lab.run_for(2 * TICK);
        assert_eq!(
            (lab.node.id(), lab.node.persistence()),
            (Some(Id::of(SERVER)), Persistence::Told)
        );
        assert_eq!(lab.asked(PING_NAT), [], "it needs no proof");
    }
}

#[test]
fn unless_they_contradict_each_other() {
    let mut lab = Lab::started(alone(told(&[peer(0)])));
    lab.run_for(MINUTE);
    // Within one tick, so that no view is believed before the other ones are heard.
    for n in 0..8 {
        lab.add_peer(peer(n)).sees =
            Some(SocketAddrV4::new(Ipv4Addr::new(99, 0, 0, n as u8), 2000));
        lab.hear_with_id(peer(n), PING);
    }
    lab.run_for(MINUTE);
    assert_eq!((lab.node.id(), lab.node.persistence()), (None, Persistence::AddressUnknown));
}

#[test]
fn who_wants_it_and_bootstrapped_alone_is_looked_at_when_others_come() {
    let mut lab = Lab::started(alone(wanting()));
    lab.run_for(30 * MINUTE);
    lab.add_peer(peer(7));
    lab.hear_with_id(peer(7), PING);
    lab.run_for(3 * TICK);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
}

/// From now on all peers see the node at another host.
fn move_host(lab: &mut Lab) -> SocketAddrV4 {
    lab.server.set_ip(ELSEWHERE);
    lab.server
}

#[test]
fn the_id_follows_the_public_address() {
    for config in [wanting(), told(&[peer(0)])] {
        let mut lab = persistent(config);
        lab.run_for(10 * MINUTE);
        let addr = move_host(&mut lab);
        lab.run_for(3 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(addr)));
        assert_eq!((lab.node.table_id(), lab.node.remote_address()), (Id::of(addr), Some(addr)));
        assert_eq!((lab.times(Event::Persistent), lab.times(Event::Ephemeral)), (1, 0));
        // The node looks for its new neighbours.
        let own = Id::of(addr).0;
        assert!(
            lab.sent.iter().any(|sent| {
                sent.as_request().is_some_and(|request| request.target == Some(&own))
            })
        );
        // The id stays the new one.
        lab.run_for(100 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(addr)));
        assert_eq!(lab.times(Event::Persistent), 1);
    }
}

#[test]
fn a_minority_of_liars_does_not_move_it_however_long_they_try() {
    for config in [wanting(), told(&[peer(0)])] {
        let mut lab = persistent(config);
        for n in 0..10 {
            let liar = neighbour([81, n, 0], 0);
            lab.add_peer(liar).sees = Some(SocketAddrV4::new(ELSEWHERE, SERVER.port()));
            lab.ping(liar);
        }
        lab.sent.clear();
        let begun = lab.now;
        lab.run_for(24 * 60 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        assert_eq!((lab.times(Event::Persistent), lab.times(Event::Ephemeral)), (0, 0));
        let checks = checks(&lab, begun);
        assert!(checks.len() < 60, "{} checks a day", checks.len());
    }
}

#[test]
fn an_address_that_is_given_stands() {
    let mut config = told(&[peer(0)]);
    config.public_address = Some(SERVER);
    let mut lab = persistent(config);
    move_host(&mut lab);
    lab.run_for(100 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.asked(PING_NAT), []);
}

/// Suspends the node, and resumes it at other ports.
fn rebind(lab: &mut Lab) -> SocketAddrV4 {
    lab.call(Node::suspend);
    lab.call(Node::resume);
    lab.client.set_port(1001);
    lab.server.set_port(2001);
    lab.bind();
    lab.server
}

#[test]
fn who_is_told_to_be_reachable_has_the_id_of_its_new_port_at_once() {
    for given in [None, Some(SERVER)] {
        let mut config = told(&[peer(0)]);
        config.public_address = given;
        let mut lab = persistent(config);
        let addr = rebind(&mut lab);
        assert_eq!((lab.node.id(), lab.node.table_id()), (Some(Id::of(addr)), Id::of(addr)));
        lab.run_for(SECOND);
        assert_eq!(lab.node.remote_address(), Some(addr));
        lab.run_for(100 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(addr)));
        assert_eq!((lab.times(Event::Persistent), lab.times(Event::Ephemeral)), (1, 0));
    }
}

#[test]
fn others_have_to_reach_the_new_port_first() {
    for open in [true, false] {
        let mut lab = persistent(wanting());
        set_open(&mut lab, open);
        let addr = rebind(&mut lab);
        assert_eq!((lab.node.id(), lab.node.persistence()), (None, Persistence::AddressUnknown));
        assert_eq!(lab.times(Event::Ephemeral), 1);
        lab.run_for(4 * TICK);
        assert_eq!(lab.node.id(), open.then_some(Id::of(addr)));
        assert_eq!(lab.node.port(), if open { 2001 } else { 1001 });
    }
}

#[test]
fn at_the_same_ports_nothing_changes() {
    for config in [wanting(), told(&[peer(0)])] {
        let mut lab = persistent(config);
        lab.call(Node::suspend);
        lab.call(Node::resume);
        lab.bind();
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        lab.run_for(100 * MINUTE);
        assert_eq!((lab.times(Event::Persistent), lab.times(Event::Ephemeral)), (0, 0));
    }
}

#[test]
fn an_adaptive_node_at_another_port_does_not_trust_what_it_found_at_the_old_one() {
    let mut lab = Lab::among(30);
    assert!(!lab.node.firewalled());
    let addr = rebind(&mut lab);
    assert!(lab.node.firewalled() && lab.node.ephemeral());
    lab.run_for(62 * MINUTE);
    assert_eq!(lab.node.id(), Some(Id::of(addr)));
}

#[test]
fn news_every_few_seconds_do_not_make_it_look_all_the_time() {
    for news in [Node::handle_network_change, Node::handle_wakeup] {
        let mut lab = persistent(wanting());
        let begun = lab.now;
        for _ in 0..1800 {
            lab.call(news);
            lab.run_for(2 * SECOND);
        }
        let at = checks(&lab, begun);
        assert!((3..8).contains(&at.len()), "{at:?}");
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    }
}

#[test]
fn other_interfaces_make_it_look_at_once_and_again_a_minute_later() {
    let mut lab = persistent(wanting());
    lab.run_for(3 * MINUTE);
    let addr = move_host(&mut lab);
    lab.call(Node::handle_network_change);
    lab.sent.clear();
    lab.run_for(2 * TICK);
    assert_eq!((lab.asked(PING_NAT).len(), lab.node.id()), (5, Some(Id::of(SERVER))));
    lab.run_for(MINUTE);
    assert_eq!((lab.asked(PING_NAT).len(), lab.node.id()), (10, Some(Id::of(addr))));
}

#[test]
fn where_all_are_of_one_24_one_liar_does_not_move_it() {
    for config in [wanting(), told(&[peer(0)])] {
        let at = |n| neighbour([80, 1, 1], n);
        let mut lab = Lab::unbound(alone(config));
        (0..20).for_each(|n| lab.add_peer(at(n)).closer = (0..20).map(at).collect());
        lab.bind();
        (0..20).for_each(|n| lab.ping(at(n)));
        lab.run_for(10 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        lab.peer(at(3)).sees = Some(SocketAddrV4::new(ELSEWHERE, SERVER.port()));
        lab.events.clear();
        lab.run_for(24 * 60 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        assert_eq!(lab.times(Event::Persistent), 0);
    }
}

#[test]
fn a_few_who_still_see_the_old_address_do_not_keep_it() {
    for config in [wanting(), told(&[peer(0)])] {
        let mut lab = persistent(config);
        lab.run_for(10 * MINUTE);
        // Before the move the liars make the node doubt its address for two hours.
        for n in 0..5 {
            lab.peer(peer(n)).sees = Some(SERVER);
            let liar = neighbour([81, n as u8, 0], 0);
            lab.add_peer(liar).sees = Some(SocketAddrV4::new(ELSEWHERE, SERVER.port()));
            lab.ping(liar);
        }
        lab.run_for(120 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        let addr = move_host(&mut lab);
        let begun = lab.now;
        lab.run_until(|lab| lab.node.id() == Some(Id::of(addr)));
        // Five of forty nodes see the old address: some checks draw them.
        assert!(lab.now.saturating_since(begun) < 20 * MINUTE);
        lab.run_for(100 * MINUTE);
        assert_eq!(lab.node.id(), Some(Id::of(addr)));
    }
}

#[test]
fn it_does_not_move_to_where_it_cannot_be_or_another_one_is() {
    let at = |ip: [u8; 4]| SocketAddrV4::new(ip.into(), SERVER.port());
    let (known, given) = (at([82, 0, 0, 1]), at([83, 0, 0, 1]));
    for addr in [at([240, 0, 0, 1]), at([10, 0, 0, 1]), at([127, 0, 0, 1]), known, given] {
        let mut config = told(&[peer(0)]);
        config.bootstrap.push(given.into());
        let mut lab = persistent(config);
        lab.add_peer(known);
        lab.ping(known);
        assert!(lab.knows(known));
        lab.peers.values_mut().for_each(|peer| peer.sees = Some(addr));
        lab.run_for(100 * MINUTE);
        assert!(!lab.asked(PING_NAT).is_empty());
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "{addr}");
    }
}

#[test]
fn why_it_is_not_persistent_can_be_asked_for() {
    let reason = |config: Config, sees: fn(u32) -> SocketAddrV4, ticks: u32| {
        let mut lab = Lab::unbound(config);
        for n in 0..30 {
            let other = lab.add_peer(peer(n));
            (other.closer, other.reaches) = ((0..30).map(peer).collect(), false);
            other.sees = Some(sees(n));
        }
        let first = lab.node.persistence();
        lab.bind();
        lab.ticks(ticks);
        let told = lab.reasons.last().copied().unwrap_or(first);
        assert_eq!(told, lab.node.persistence());
        assert!(!told.is_persistent());
        assert!(told.to_string().starts_with("ephemeral: "));
        told
    };
    let agreed = |_| CLIENT;
    let mut declined = joining(&[peer(0)]);
    declined.ephemeral = Some(true);
    assert_eq!(reason(declined, agreed, 10), Persistence::Declined);
    assert_eq!(reason(joining(&[peer(0)]), agreed, 0), Persistence::Bootstrapping);
    assert_eq!(reason(joining(&[peer(0)]), agreed, 10), Persistence::Settling);
    assert_eq!(reason(joining(&[peer(0)]), agreed, 250), Persistence::Unreachable);
    assert_eq!(reason(wanting(), agreed, 1), Persistence::Unreachable);
    let ports = |n| SocketAddrV4::new(HOST, 5000 + n as u16);
    assert_eq!(reason(wanting(), ports, 10), Persistence::PortVaries);
    let hosts = |n| SocketAddrV4::new(Ipv4Addr::new(99, 0, 0, n as u8), 9);
    assert_eq!(reason(wanting(), hosts, 10), Persistence::AddressUnknown);
}

/// In each tick an attacker sends four guesses for each PING and PING_NAT, in the name of the node that was asked.
fn guessed_at(lab: &mut Lab, ticks: u32) {
    let asks = |sent: &Sent| sent.is(PING_NAT) || sent.is(PING);
    for _ in 0..ticks {
        lab.run_for(lab.until_tick());
        let now = lab.now;
        let asked: Vec<_> =
            lab.sent.iter().filter(|sent| sent.at == now && asks(sent)).cloned().collect();
        for sent in asked {
            for n in 1..=4 {
                let tid = sent.request().tid ^ n << 8;
                let response = bare_answer(tid, SERVER, None);
                lab.hear_bytes(Via::Server, sent.to, &response);
            }
        }
        lab.sent.clear();
        lab.sent.shrink_to_fit();
    }
}

#[test]
fn guesses_neither_move_a_persistent_node_nor_make_it_ephemeral() {
    for moves in [false, true] {
        let mut lab = persistent(wanting());
        if moves {
            move_host(&mut lab);
        }
        guessed_at(&mut lab, 1440);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        assert_eq!(lab.times(Event::Ephemeral), 0);
    }
}
