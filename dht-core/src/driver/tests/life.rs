//! From the first bind to the end.

use std::format;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use super::sim::Sim;
use super::world::{Fault, local};
use crate::driver::{Builder, Dht, Error, Events};
use crate::{ConfigError, Event, InvalidNode, Persistence, Query, Request, RequestError};

const SECOND: Duration = Duration::from_secs(1);

fn ports(node: &Dht) -> [u16; 2] {
    [node.status().client_address.unwrap().port(), node.server_address().unwrap().port()]
}

/// What has happened so far.
fn take(sim: &Sim, events: &mut Events) -> Vec<Event> {
    sim.run();
    let mut taken = Vec::new();
    while let Some(Some(event)) = sim.now(&mut std::pin::pin!(events.next())) {
        taken.push(event);
    }
    taken
}

#[test]
fn options_are_checked_when_the_node_is_built() {
    let sim = Sim::default();
    let new = || Builder::new(sim.world.clone());
    let own = |port, host: &str| Builder::bootstrapper(sim.world.clone(), port, host);
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1000);
    let node = InvalidNode(any);
    let five = 5;
    let cases = [
        (own(0, "127.0.0.1"), ConfigError::PortRequired),
        (own(1, ""), ConfigError::HostRequired),
        (own(1, "localhost"), ConfigError::HostNotIpv4("localhost".into())),
        (
            new().bootstrap(["127.0.0.1:1", "localhost"]),
            ConfigError::BootstrapFormat { text: "localhost".into(), flaw: "has no port" },
        ),
        (
            new().configure(|config| config.concurrency = 0),
            ConfigError::OutOfRange { field: "concurrency", value: 0, min: 1, max: 256 },
        ),
        (new().port(five..4), ConfigError::NoPort { start: 5, end: 4 }),
        (new().port(five..five).any_port(false), ConfigError::NoPort { start: 5, end: 5 }),
        (new().port(five..=4), ConfigError::NoPort { start: 5, end: 5 }),
        (new().bootstrap([any]), ConfigError::InvalidNode { field: "bootstrap", node }),
        (new().nodes([any]), ConfigError::InvalidNode { field: "nodes", node }),
    ];
    for (builder, expected) in cases {
        let error = builder.build().unwrap_err();
        assert!(matches!(&error, Error::Config(error) if *error == expected), "{error}");
    }
    assert!(sim.world.get().tried.is_empty(), "the network was touched");
    let (node, _driver) = own(1000, "127.0.0.1").build().unwrap();
    assert_eq!(node.status().port_range.bounds(), (1000, 1005));
    assert_eq!(node.config().public_address, Some(local(1000)));
}

#[test]
fn bound_then_ready() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder);
    assert_eq!((node.status().address, node.local_address()), (None, None));
    let mut events = node.events();
    sim.block_on(node.listening()).unwrap();
    sim.block_on(node.fully_bootstrapped()).unwrap();
    let reason = Event::Persistence(Persistence::Settling);
    assert_eq!(take(&sim, &mut events), [Event::Listening, Event::Ready, reason]);
    assert!(node.status().bootstrapped && node.status().persistence == Persistence::Settling);
    // Firewalled as far as it knows, it asks by its client socket.
    assert_eq!(node.status().address, node.status().client_address);
    sim.world.get().interfaces = [[127, 0, 0, 1], [10, 1, 2, 3]].map(Ipv4Addr::from).to_vec();
    let local = node.local_address().unwrap();
    assert_eq!(format!("{local}"), format!("10.1.2.3:{}", ports(&node)[1]));
}

#[test]
fn a_taken_port_without_another_is_the_end() {
    let sim = Sim::default();
    sim.world.get().taken.insert(1000);
    let node = sim.node(|builder| builder.port(1000).any_port(false));
    let ping = node.ping(local(9));
    let mut query = node.query(Query::find_node(crate::Id([1; 32])).nodes([local(9)]));
    let waits = [node.listening(), node.fully_bootstrapped(), node.suspend(), node.resume()];
    for wait in waits {
        let Error::Io(error) = sim.block_on(wait).unwrap_err() else { panic!("not the bind") };
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("can't listen on 127.0.0.1:1000: "), "{error}");
    }
    assert!(matches!(sim.block_on(ping), Err(Error::Io(_))));
    assert!(matches!(sim.block_on(query.finished()), Err(Error::Io(_))));
    assert!(node.closed() && matches!(node.status().failure, Some(Error::Io(_))));
    assert_eq!((sim.world.get().tried.clone(), sim.tasks()), (Vec::from([1000]), 0));
    sim.block_on(node.close()).unwrap();
}

#[test]
fn ports_from_the_range_then_any() {
    let sim = Sim::default();
    let range = || sim.node(|builder| builder.port(1000..1002));
    let nodes = [range(), range(), range()];
    for node in &nodes {
        sim.block_on(node.listening()).unwrap();
    }
    let servers = nodes.each_ref().map(|node| ports(node)[1]);
    assert_eq!(servers[..2], [1000, 1001]);
    assert!(servers[2] >= 40_000);
}

#[test]
fn suspended_and_resumed_at_the_same_ports() {
    let sim = Sim::default();
    let node = sim.up();
    let before = ports(&node);
    let mut events = node.events();
    let ping = node.ping(local(9));
    sim.block_on(node.suspend()).unwrap();
    assert!(node.status().suspended && sim.world.open().is_empty());
    assert!(matches!(sim.block_on(ping), Err(Error::Request(RequestError::Suspended))));
    sim.block_on(node.suspend()).unwrap();

    // The client's port is taken meanwhile, the server's is not.
    let _other = sim.world.socket(before[0]);
    sim.block_on(node.resume()).unwrap();
    sim.block_on(node.resume()).unwrap();
    let after = ports(&node);
    assert_eq!(after[1], before[1]);
    assert_ne!(after[0], before[0]);
    let told = take(&sim, &mut events);
    let order = [Event::Suspended, Event::WakeUp, Event::Resumed];
    assert_eq!(told.into_iter().filter(|event| order.contains(event)).collect::<Vec<_>>(), order);
    assert!(matches!(
        sim.block_on(node.ping(local(9))),
        Err(Error::Request(RequestError::Timeout))
    ));
}

#[test]
fn resumed_before_anybody_saw_it_suspended() {
    let sim = Sim::default();
    let (node, other) = (sim.up(), sim.up());
    let before = ports(&node);
    let (suspended, resumed) = (node.suspend(), node.resume());
    sim.block_on(resumed).unwrap();
    sim.block_on(suspended).unwrap();
    assert_eq!(ports(&node), before);
    sim.block_on(node.ping(other.server_address().unwrap())).unwrap();
}

#[test]
fn suspended_before_the_first_bind() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder);
    let mut events = node.events();
    sim.block_on(node.suspend()).unwrap();
    assert_eq!(take(&sim, &mut events)[0], Event::Listening);
    assert!(node.status().suspended && sim.world.open().is_empty());

    // Taken back at once, it never happens.
    let node = sim.node(|builder| builder);
    let (suspended, resumed) = (node.suspend(), node.resume());
    sim.block_on(suspended).unwrap();
    sim.block_on(resumed).unwrap();
    sim.block_on(node.listening()).unwrap();
    assert!(!node.status().suspended);
}

#[test]
fn a_port_lost_while_suspended_is_sought_again() {
    let sim = Sim::default();
    let node = sim.node(|builder| builder.port(1000).any_port(false).nodes([local(9)]));
    sim.block_on(node.listening()).unwrap();
    sim.block_on(node.suspend()).unwrap();
    let mut events = node.events();
    sim.world.get().taken.insert(1000);
    let tries = || core::mem::take(&mut sim.world.get().tried).len();
    tries();
    let start = sim.clock();
    for _ in 0..2 {
        let failed = sim.block_on(node.resume());
        assert!(
            matches!(failed, Err(Error::Io(_)))
                && matches!(node.status().failure, Some(Error::Io(_)))
        );
        assert_eq!((sim.clock(), tries()), (start, 1), "at once");
    }
    let told = take(&sim, &mut events);
    let told = told.into_iter().filter(|event| *event == Event::BindFailed).count();
    assert!(told == 2 && node.status().suspended && !node.closed() && sim.tasks() == 1);
    // Nothing waits for a socket that may never come.
    let asked = sim.block_on(node.ping(local(9)));
    assert!(matches!(asked, Err(Error::Send(crate::SendError::Suspended))), "{asked:?}");
    sim.block_on(node.listening()).unwrap();

    // By itself: after 1, 2, 4 … 32 s, and every minute.
    sim.advance(63 * SECOND);
    assert_eq!(tries(), 6);
    sim.advance(600 * SECOND);
    assert_eq!(tries(), 10);
    assert!(!take(&sim, &mut events).contains(&Event::BindFailed), "it was told");

    sim.world.get().taken.clear();
    sim.advance(60 * SECOND);
    assert_eq!((tries() > 0, node.status().suspended, ports(&node)[1]), (true, false, 1000));
    assert!(node.status().failure.is_none() && node.nodes(9) == [local(9)]);
    assert!(take(&sim, &mut events).contains(&Event::Resumed));
    sim.block_on(node.resume()).unwrap();
    sim.block_on(sim.up().ping(node.server_address().unwrap())).unwrap();
}

#[test]
fn who_suspends_or_closes_a_node_without_sockets_ends_the_search() {
    for close in [false, true] {
        let sim = Sim::default();
        let node = sim.node(|builder| builder.port(1000).any_port(false));
        sim.block_on(node.listening()).unwrap();
        sim.block_on(node.suspend()).unwrap();
        sim.world.get().taken.insert(1000);
        sim.block_on(node.resume()).unwrap_err();
        sim.block_on(if close { node.close() } else { node.suspend() }).unwrap();
        sim.world.get().taken.clear();
        sim.world.get().tried.clear();
        sim.advance(600 * SECOND);
        assert!(sim.world.get().tried.is_empty());
        assert!(sim.world.open().is_empty());
        let error = sim.block_on(node.ping(local(9))).unwrap_err();
        assert_eq!(matches!(error, Error::Send(crate::SendError::Closed)), close, "not the bind");
        sim.block_on(node.resume()).unwrap();
        assert_eq!(sim.world.open().is_empty(), close);
    }
}

#[test]
fn closing_is_told_once_and_can_be_repeated() {
    let sim = Sim::default();
    let node = sim.up();
    let mut events = node.events();
    let ping = node.ping(local(9));
    let mut stay = [node.close(), node.close()];
    assert!(sim.now(&mut stay[0]).is_none());
    for close in stay {
        sim.block_on(close).unwrap();
    }
    assert!(sim.world.open().is_empty() && sim.tasks() == 0);
    assert!(matches!(sim.block_on(ping), Err(Error::Request(RequestError::Destroyed))));
    assert_eq!(take(&sim, &mut events), [Event::Closed]);
    assert!(sim.block_on(events.next()).is_none());
    // A closed node can't be bothered.
    for wait in [node.close(), node.suspend(), node.resume()] {
        sim.block_on(wait).unwrap();
    }
    let error = sim.block_on(node.listening()).unwrap_err();
    assert_eq!(format!("{error}"), "node destroyed");
    assert_eq!(format!("{}", sim.block_on(node.ping(local(9))).unwrap_err()), "node destroyed");
}

#[test]
fn what_was_answered_before_the_end_is_sent() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    let asked = a.request(Request::new(b.server_address().unwrap(), 16).retries(0));
    let request = sim.block_on(requests.next()).unwrap();
    // The socket takes nothing for a moment.
    sim.world.set_fault(Fault::Blocked);
    request.reply_value("last words").unwrap();
    let closed = b.close();
    sim.run();
    sim.world.set_fault(Fault::None);
    sim.block_on(closed).unwrap();
    assert_eq!(sim.block_on(asked).unwrap().value.as_deref(), Some(&b"last words"[..]));
}

#[test]
fn closing_does_not_wait_for_ever_for_a_socket() {
    let sim = Sim::default();
    let (a, b) = (sim.up(), sim.up());
    let mut requests = b.requests();
    let _asked = a.request(Request::new(b.server_address().unwrap(), 16));
    let request = sim.block_on(requests.next()).unwrap();
    sim.world.set_fault(Fault::WouldBlock);
    request.reply_value("never heard").unwrap();
    let start = sim.clock();
    sim.block_on(b.close()).unwrap();
    assert!(sim.clock().saturating_since(start) < SECOND);
}

#[test]
fn the_last_handle_stops_the_driver() {
    let sim = Sim::default();
    let node = sim.up();
    let (other, mut requests, mut events) = (node.clone(), node.requests(), node.events());
    drop(node);
    sim.advance(SECOND);
    assert_eq!(sim.tasks(), 1);
    let ping = other.ping(local(9));
    drop(other);
    sim.advance(SECOND);
    assert_eq!(sim.tasks(), 1, "a request holds the node");
    drop(ping);
    sim.run();
    assert_eq!((sim.tasks(), sim.world.open().len()), (0, 0));
    assert!(sim.block_on(requests.next()).is_none());
    assert!(take(&sim, &mut events).contains(&Event::Closed));
}

#[test]
fn everybody_hears_of_a_driver_that_is_dropped() {
    let sim = Sim::default();
    let (node, driver) = Builder::new(sim.world.clone()).build().unwrap();
    let mut ping = node.ping(local(9));
    let mut query = node.find_node(crate::Id([1; 32]));
    let (mut requests, mut items, mut datagrams) =
        (node.requests(), node.items(), node.datagrams());
    let mut extra = node.extra(1);
    assert!(sim.now(&mut ping).is_none());
    assert!(sim.now(&mut std::pin::pin!(requests.next())).is_none());
    drop(driver);
    assert!(matches!(sim.block_on(ping), Err(Error::Request(RequestError::Destroyed))));
    assert!(sim.block_on(query.next()).is_none());
    let _ = sim.block_on(query.finished());
    assert!(sim.block_on(requests.next()).is_none());
    assert!(sim.block_on(datagrams.next()).is_none());
    assert!(sim.block_on(extra.next()).is_none());
    assert!(matches!(sim.block_on(items.next()), Some(crate::driver::Item::Event(Event::Closed))));
    assert!(sim.block_on(items.next()).is_none());
    sim.block_on(node.close()).unwrap();
    assert!(sim.block_on(node.fully_bootstrapped()).is_err());
    assert!(node.status().failure.unwrap().to_string().contains("driver was dropped"));
}

#[test]
fn sleep_is_noticed_and_a_busy_hour_is_not_taken_for_it() {
    let sim = Sim::default();
    let node = sim.up();
    let mut events = node.events();
    sim.advance(3600 * SECOND);
    assert!(!take(&sim, &mut events).contains(&Event::WakeUp));
    sim.sleep(8 * 3600 * SECOND);
    let told = take(&sim, &mut events);
    assert_eq!(told.into_iter().filter(|event| *event == Event::WakeUp).count(), 1);
}

#[test]
fn an_idle_node_is_rarely_woken() {
    let sim = Sim::default();
    let node = sim.up();
    sim.block_on(node.fully_bootstrapped()).unwrap();
    sim.advance(60 * SECOND);
    let polls = sim.advance(600 * SECOND);
    // A tick and a look at the interfaces per 5 s, and a refresh now and then.
    assert!(polls < 600, "{polls} polls in 10 minutes");
}

#[test]
fn names_that_are_never_answered_keep_no_other_from_being_looked_up() {
    let sim = Sim::default();
    let first = sim.node(|builder| {
        drop(builder);
        Builder::bootstrapper(sim.world.clone(), 1000, "127.0.0.1")
    });
    sim.block_on(first.fully_bootstrapped()).unwrap();
    sim.world.get().names.insert("first.example".into(), Ipv4Addr::LOCALHOST);
    let silent = (0..20).map(|n| format!("silent{n}.example:1000"));
    let node = sim.node(|builder| builder.bootstrap(silent.chain(["first.example:1000".into()])));
    sim.advance(60 * SECOND);
    assert_eq!(node.nodes(usize::MAX), [local(1000)]);
}

#[test]
fn bootstrap_names_are_looked_up() {
    let sim = Sim::default();
    let first = sim.node(|builder| {
        drop(builder);
        Builder::bootstrapper(sim.world.clone(), 1000, "127.0.0.1")
    });
    sim.block_on(first.fully_bootstrapped()).unwrap();
    sim.world.get().names.insert("first.example".into(), Ipv4Addr::LOCALHOST);
    let names = (0..20).map(|n| format!("no{n}.example:1000")).chain(["first.example:1000".into()]);
    let node = sim.node(|builder| builder.bootstrap(names));
    sim.block_on(node.fully_bootstrapped()).unwrap();
    assert_eq!(node.nodes(usize::MAX), [local(1000)]);
    assert_eq!((node.nodes(0).len(), node.status().table_len), (0, 1));
    // The system's error for the other names is kept.
    assert_eq!(node.status().lookup_error.unwrap().to_string(), "no such name");
}
