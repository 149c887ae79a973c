//! Which id a node makes of the addresses that its peers see, and when it gives the id up.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{Event, Id};

use super::reachability::firewalled;
use super::{ELSEWHERE, believed};
use crate::support::lab::{HOST, Lab, SERVER, joining, neighbour, peer};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn one_wrong_view_at_the_beginning_costs_an_id_only_until_enough_others_disagree() {
    let mut config = joining(&[peer(0)]);
    (config.ephemeral, config.firewalled) = (Some(false), false);
    let mut lab = Lab::unbound(config);
    lab.add_peer(peer(0)).sees = Some(ELSEWHERE);
    lab.bind();
    lab.run_until(|lab| lab.node.bootstrapped());
    assert_eq!(lab.node.id(), Some(Id::of(ELSEWHERE)));
    // An address is believed when three of four views agree on it.
    for n in 1..=3 {
        assert_eq!(lab.node.id(), Some(Id::of(ELSEWHERE)), "{n}");
        lab.add_peer(peer(n));
        lab.ping(peer(n));
    }
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.node.table_id(), Id::of(SERVER));
    assert_eq!(lab.node.remote_address(), Some(SERVER));
    assert_eq!(lab.times(Event::Persistent), 2);
    assert_eq!(lab.node.table_len(), 4);
    // The id is not given up when half of the views disagree.
    for n in 4..=6 {
        lab.add_peer(peer(n)).sees = Some(ELSEWHERE);
        lab.ping(peer(n));
    }
    assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
    assert_eq!(lab.times(Event::Ephemeral), 0);
}

#[test]
fn an_id_that_enough_have_confirmed_is_not_given_up_however_many_lie() {
    let mut config = joining(&[peer(0)]);
    (config.ephemeral, config.firewalled) = (Some(false), false);
    for mut lab in [Lab::joined(config, 60), firewalled(60)] {
        lab.ticks(241);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        for n in 0..100 {
            let liar = neighbour([81, n, 0], 0);
            lab.add_peer(liar).sees = Some(ELSEWHERE);
            lab.ping(liar);
        }
        assert_eq!(
            believed(&lab),
            (Some(*ELSEWHERE.ip()), ELSEWHERE.port()),
            "for what it's worth"
        );
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        assert_eq!((lab.times(Event::Ephemeral), lab.node.ephemeral()), (0, false));
    }
}

#[test]
fn no_id_is_made_of_what_cannot_be_an_address_or_was_not_found_to_be_reachable() {
    let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1);
    let other_port = SocketAddrV4::new(HOST, 9);
    for (firewalled, lie, taken) in
        [(false, nowhere, false), (false, other_port, true), (true, other_port, false)]
    {
        let mut config = joining(&[peer(0)]);
        (config.ephemeral, config.firewalled) = (Some(false), firewalled);
        let mut lab = Lab::joined(config, 1);
        assert_eq!(lab.node.id(), Some(Id::of(SERVER)));
        for n in 0..16 {
            let liar = neighbour([81, n, 0], 0);
            lab.add_peer(liar).sees = Some(lie);
            lab.ping(liar);
        }
        assert_eq!(lab.node.id() != Some(Id::of(SERVER)), taken, "{firewalled} {lie}");
    }
}

#[test]
fn among_nodes_of_one_24_the_users_decides() {
    for count in [1, 2, 10] {
        for ephemeral in [None, Some(false)] {
            let mut config = joining(&[neighbour([45, 7, 7], 0)]);
            config.ephemeral = ephemeral;
            let mut lab = Lab::unbound(config);
            let all: Vec<_> = (0..count).map(|n| neighbour([45, 7, 7], n)).collect();
            all.iter().for_each(|addr| lab.add_peer(*addr).closer = all.clone());
            lab.bind();
            lab.run_for(40 * 60 * SECOND);
            assert_eq!(lab.node.id(), Some(Id::of(SERVER)), "{count} {ephemeral:?}");
        }
    }
}
