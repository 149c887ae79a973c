//! What a user gives is used, or refused with a reason by the call; and when no node at all could be asked,
//! an event says so, and why.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dht_core::{
    BootstrapNode, Config, ConfigError, Event, InvalidNode, Node, Query, SavedNode, SendError,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::support::lab::{FIND_NODE, Lab, joining, peer};
use crate::support::target;

const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 4000);
const NO_PORT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(46, 0, 0, 1), 0);

fn refusal(config: Config) -> ConfigError {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    Node::new(config, &mut rng, dht_core::Instant::ZERO).unwrap_err()
}

#[test]
fn bootstrap_nodes_and_nodes_that_have_no_address_are_refused() {
    for addr in [ANY, NO_PORT] {
        let node = InvalidNode(addr);
        let refused = refusal(joining(&[peer(0), addr]));
        assert_eq!(refused, ConfigError::InvalidNode { field: "bootstrap", node });
        let mut config = Config::default();
        config.nodes = vec![peer(0), addr, peer(1)];
        assert_eq!(refusal(config), ConfigError::InvalidNode { field: "nodes", node });
        let mut config = Config::default();
        config.public_address = Some(addr);
        assert_eq!(refusal(config), ConfigError::InvalidNode { field: "public_address", node });
    }
    for text in ["0.0.0.0:4000", "0.0.0.0@one.example:4000", "46.0.0.1@0.0.0.0:4000"] {
        let refused = text.parse::<BootstrapNode>().unwrap_err();
        let node = InvalidNode(ANY);
        assert_eq!(refused, ConfigError::InvalidNode { field: "bootstrap", node }, "{text}");
    }
}

#[test]
fn a_text_that_is_no_bootstrap_node_is_quoted_with_what_is_wrong() {
    let ipv6 = "looks like an IPv6 address, which is not supported";
    let cases = [
        ("127.0.0.1", "has no port"),
        ("", "has no port"),
        ("127.0.0.1:99999", "has no port from 1 to 65535"),
        ("46.0.0.1:0", "has no port from 1 to 65535"),
        ("one.example:1:2", "has no port from 1 to 65535"),
        ("[::1]:5", ipv6),
        ("2001:db8::1", ipv6),
        ("http://one.example:49737", "is a URL"),
        (":49737", "has no host"),
        ("46.0.0.1@:49737", "has no host"),
        ("one@one.example:49737", "has no IPv4 address before the @"),
    ];
    for (text, flaw) in cases {
        let refused = text.parse::<BootstrapNode>().unwrap_err();
        let words = format!("bootstrap node format is host:port, and `{text}` {flaw}");
        assert_eq!(refused.to_string(), words);
    }
}

#[test]
fn other_options_are_quoted_as_well() {
    let mut config = Config::default();
    config.concurrency = 0;
    let words = "`concurrency` is out of range: 0 is not in 1..=256";
    assert_eq!(refusal(config).to_string(), words);
    let mut config = Config::default();
    config.max_ping_delay = Duration::from_secs(3600) + Duration::from_nanos(1);
    let words = "`max_ping_delay` is out of range: 3600001 is not in 0..=3600000";
    assert_eq!(refusal(config).to_string(), words);
    for (host, words) in [
        ("0.0.0.0", "invalid host: `0.0.0.0` stands for all addresses of a machine"),
        ("::1", "host must be a IPv4 address, and `::1` is none"),
    ] {
        assert_eq!(Config::bootstrapper(1, host).unwrap_err().to_string(), words);
    }
}

#[test]
fn the_reason_says_what_to_give_instead() {
    let node = InvalidNode(ANY);
    let said = ConfigError::InvalidNode { field: "nodes", node }.to_string();
    assert_eq!(
        said,
        "`nodes`: 0.0.0.0:4000 is no node's address: it stands for all of a machine's; a node on this \
         machine is at 127.0.0.1:4000"
    );
    assert_eq!(InvalidNode(NO_PORT).to_string(), "46.0.0.1:0 is no node's address: its port is 0");
}

#[test]
fn nodes_that_are_added_are_used_or_refused() {
    let mut lab = Lab::alone();
    let mut add = |addr| lab.call(|node, now| node.add_node(now, addr));
    assert_eq!([add(peer(1)), add(peer(1))], [Ok(true); 2]);
    assert_eq!([add(ANY), add(NO_PORT)], [Err(InvalidNode(ANY)), Err(InvalidNode(NO_PORT))]);
    // More nodes than the table has places for at their distance.
    let used = (0..200).filter(|n| add(peer(*n)).unwrap()).count();
    assert_eq!(lab.node.table_len(), used);
    assert!(used < 200);
    lab.call(Node::close);
    assert_eq!(lab.call(|node, now| node.add_node(now, peer(1))), Ok(false));
    assert_eq!(lab.call(|node, now| node.add_node(now, ANY)), Err(InvalidNode(ANY)));
}

#[test]
fn of_saved_nodes_those_that_are_used_are_counted() {
    let mut lab = Lab::alone();
    let saved = |addr| SavedNode { addr, pinged: Duration::ZERO, added: Duration::ZERO };
    let nodes = [peer(1), ANY, peer(2), NO_PORT, peer(1)].map(saved);
    let import = |node: &mut Node, now| node.import(now, &nodes, Duration::ZERO);
    assert_eq!(lab.call(import), 3);
    assert_eq!(lab.node.table_len(), 2);
    lab.call(Node::close);
    assert_eq!(lab.call(import), 0);
}

#[test]
fn a_query_is_not_begun_with_nodes_that_have_no_address() {
    let mut lab = Lab::alone();
    for addr in [ANY, NO_PORT] {
        let query = Query::find_node(target(1)).nodes([peer(1), addr]);
        let refused = lab.call(|node, now| node.query(now, query));
        assert_eq!(refused, Err(SendError::InvalidAddress));
    }
    assert_eq!(lab.sent, []);
}

#[test]
fn a_name_with_nothing_but_unusable_addresses_is_told() {
    let silent = |unresolved, unusable| Event::BootstrapSilent {
        asked: 0,
        timed_out: 0,
        unresolved,
        unusable,
        unsent: None,
    };
    let mut config = Config::default();
    config.bootstrap =
        vec!["any.example:4000".parse().unwrap(), "no.example:4000".parse().unwrap()];
    let mut lab = Lab::started(config);
    let [(any, _), (no, _)] = [lab.lookups[0].clone(), lab.lookups[1].clone()];
    lab.call(|node, now| node.handle_resolved(now, any, &[*ANY.ip()]));
    lab.call(|node, now| node.handle_resolved(now, no, &[]));
    assert_eq!(lab.events, [Event::Listening, silent(1, 1), Event::Ready]);
    // The name is looked up again, and then has an address that can be used.
    lab.lookups.clear();
    lab.add_peer(peer(0));
    lab.run_for(Duration::from_secs(6));
    let (any, _) = lab.lookups[0].clone();
    lab.call(|node, now| node.handle_resolved(now, any, &[*ANY.ip(), *peer(0).ip()]));
    lab.run_for(Duration::from_secs(1));
    assert!(lab.knows(peer(0)));
    assert!(lab.asked(FIND_NODE).iter().all(|to| *to == peer(0)));
}
