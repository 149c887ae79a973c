//! How the node is configured, and where it and everybody else is.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::{BootstrapNode, Config, NodeFilter, Via};

use super::super::Source;

pub(super) fn config(source: &mut Source<'_>) -> Config {
    let [switches, bootstrap, window, bounds] = source.array();
    let on = |bit: u8| switches & bit != 0;
    let mut config = Config::default();
    if on(1) {
        config.ephemeral = Some(on(2));
    }
    config.firewalled = on(4);
    config.quick_firewall = !on(8);
    config.adaptive_timeout = on(16);
    if on(32) {
        config.public_address = Some(own(Via::Server));
    }
    if on(64) {
        // Everybody but one in eight.
        config.filter = Some(NodeFilter::new(|addr| addr.port() % 8 != 1));
    }
    if on(128) {
        config.nodes = (0..40).map(|n| addr(n * 6)).filter(|a| !a.ip().is_unspecified()).collect();
    }
    for n in 0..bootstrap & 3 {
        config.bootstrap.push(addr(n << 5 | 1).into());
    }
    for n in 0..bootstrap >> 2 & 3 {
        let name = format!("node{n}.example:4000");
        config.bootstrap.push(name.parse::<BootstrapNode>().expect("host:port"));
    }
    if window & 1 != 0 {
        config.max_window = u32::from(window >> 4) + 1;
        config.concurrency = u16::from(window >> 1) + 1;
    }
    if bounds & 1 != 0 {
        config.max_requests = usize::from(bounds >> 4) + 1;
        config.max_background_requests = 64;
        config.max_queries = 8;
        config.max_replies = usize::from(bounds >> 5) + 1;
        config.max_datagram = 1_000;
    }
    if bounds & 4 != 0 {
        config.max_background_requests = 8;
        config.max_queries = 1;
        (config.max_nodes, config.max_query_addresses) = (20, 64);
        (config.max_unread_replies, config.max_events) = (1 + usize::from(bounds >> 6), 16);
        (config.max_datagram, config.max_datagram_received) = (508, 508);
    }
    config.down_hints_rate_limit = (bounds & 2 != 0).then_some(3);
    config
}

/// Where the node's sockets seem to be from outside.
pub(super) fn own(via: Via) -> SocketAddrV4 {
    let port = match via {
        Via::Client => 1_000,
        Via::Server => 2_000,
        Via::Extra(n) => 3_000 + n,
    };
    SocketAddrV4::new(Ipv4Addr::new(45, 9, 9, 9), port)
}

/// Few enough addresses that they meet again: eight networks, local ones and impossible
/// ones among them, of 32 addresses each.
pub(crate) fn addr(n: u8) -> SocketAddrV4 {
    let (host, port) = (n & 31, 4_000 + u16::from(n & 15));
    let ip = match n >> 5 {
        0 => Ipv4Addr::new(127, 0, 0, 1),
        1 => Ipv4Addr::new(45, 1, 1, host),
        2 => Ipv4Addr::new(45, 1, 2, host),
        // One per /24.
        3..=5 => Ipv4Addr::new(45, n, host, 1),
        6 => Ipv4Addr::new(192, 168, 0, host),
        _ => match host {
            0..=3 => return own(via(host)),
            4 => Ipv4Addr::UNSPECIFIED,
            5 => Ipv4Addr::BROADCAST,
            6 => return SocketAddrV4::new(Ipv4Addr::new(45, 1, 1, 1), 0),
            _ => Ipv4Addr::new(45, 1, 1, 1),
        },
    };
    // Many ports on the last one.
    SocketAddrV4::new(ip, port + if n >> 5 == 7 { u16::from(host) } else { 0 })
}

pub(super) fn via(n: u8) -> Via {
    match n & 3 {
        0 => Via::Client,
        1 => Via::Server,
        n => Via::Extra(n.into()),
    }
}
