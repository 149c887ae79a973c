//! What an embedder can rely on: any order of calls is legal, the same inputs give the same
//! bytes, time never goes back, and printed values show no secret.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use dht_core::{
    Answer, Config, DATAGRAM_MAX, Event, Handled, Id, Instant, Node, Query, Request, SavedNode,
    SessionId, Via, wire,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use crate::support::lab::{CLIENT, FIND_NODE, Lab, PING, SERVER, TICK, asks, joining, peer};

const SECOND: Duration = Duration::from_secs(1);
const USERS: u64 = 100;

/// A name lookup that another node has asked for.
fn foreign_lookup() -> dht_core::NameLookup {
    let mut config = Config::default();
    config.bootstrap = vec!["one.example:1".parse().unwrap()];
    Lab::started(config).lookups[0].0
}

#[test]
fn spurious_calls_change_nothing() {
    let mut lab = Lab::among(10);
    let request = lab.request(Request::ping(peer(1)));
    let query = Query::find_node(Id([1; 32])).discard_replies();
    let query = lab.query(query);
    lab.run_for(SECOND);
    assert!(lab.node.take_response(request).is_some() && lab.node.take_outcome(query).is_some());
    lab.sent.clear();
    lab.events.clear();
    let mut left_alone = lab.node.clone();
    for _ in 0..3 {
        lab.bind();
        lab.call(Node::handle_timeout);
        lab.call(Node::resume);
        lab.call(|node, now| node.handle_resolved(now, foreign_lookup(), &[*peer(9).ip()]));
        lab.call(|node, now| node.cancel_request(now, request));
        lab.call(|node, now| node.cancel_query(now, query));
        lab.call(|node, now| node.finish_query(now, query));
        lab.call(|node, now| node.end_session(now, SessionId(4)));
        lab.call(|node, now| node.add_node(now, peer(1)).unwrap());
        lab.node.discard_replies(query);
        assert_eq!(lab.node.take_response(request), None);
        assert_eq!(lab.node.take_outcome(query), None);
        assert_eq!(lab.node.next_reply(query), None);
        assert_eq!(lab.node.closest_nodes(query), []);
    }
    assert_eq!((lab.sent.len(), lab.events.len()), (0, 0));
    assert_eq!(lab.node.stats(), left_alone.stats());
    // Nor later on.
    let start = lab.now;
    lab.ticks(100);
    let disturbed = std::mem::take(&mut lab.sent);
    std::mem::swap(&mut lab.node, &mut left_alone);
    lab.now = start;
    lab.ticks(100);
    assert!(lab.sent.len() > 30, "{}", lab.sent.len());
    assert_eq!(lab.sent, disturbed);
}

#[test]
fn draining_late_delays_but_loses_nothing() {
    let mut lab = Lab::among(5);
    let id = Id::of(peer(1)).0;
    let mut buf = [0; DATAGRAM_MAX];
    let len = wire::Request { id: Some(&id), ..asks(PING) }.encode(&mut buf).unwrap();
    let now = lab.now;
    for _ in 0..5 {
        let handled = lab.node.handle_datagram(now, Via::Server, peer(1), &buf[..len]);
        assert_eq!(handled, Handled::Consumed);
    }
    let request = lab.node.request(now, Request::ping(peer(2))).unwrap();
    // For three seconds the caller does not poll: the request loses no try.
    lab.now += 3 * SECOND;
    lab.call(Node::handle_timeout);
    let answers = lab.sent.iter().filter(|sent| sent.as_response().is_some()).count();
    assert_eq!((answers, lab.asked(PING)), (5, vec![peer(2)]));
    assert!(lab.result(request).is_ok());
    assert_eq!(lab.node.stats().requests.retries, 0, "time runs from when it left");
}

/// A node's life in which much happens; the lab holds all that the node sent and told.
fn life(seed: u64) -> Lab {
    let mut lab = Lab::with_seed(joining(&[peer(0), peer(50)]), seed);
    for n in 0..30 {
        lab.add_peer(peer(n)).closer = (0..30).map(peer).collect();
    }
    lab.bind();
    lab.ticks(3);
    for n in 0..40 {
        lab.hear_with_id(peer(n), FIND_NODE);
    }
    let query = Query::new(Id([5; 32]), USERS).commit().discard_replies();
    lab.query(query);
    lab.ticks(100);
    lab
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let (first, again, other) = (life(1), life(1), life(2));
    assert_eq!(first.sent, again.sent);
    assert_eq!(first.events, again.events);
    assert!(first.sent.len() > 100);
    assert_ne!(first.sent, other.sent);
}

#[test]
fn a_fork_goes_on_as_the_original_does() {
    let original = life(1);
    let go_on = |node: Node| {
        let mut lab = Lab::with_seed(Config::default(), 9);
        lab.node = node;
        lab.now = original.now;
        lab.peers = original.peers.clone();
        let query = Query::find_node(Id([6; 32])).discard_replies();
        lab.query(query);
        lab.call(Node::handle_wakeup);
        lab.hear(peer(3), &wire::Request { internal: false, ..asks(USERS) });
        lab.ticks(200);
        (lab.sent, lab.events)
    };
    let (fork, first) = (original.node.clone(), original.node.clone());
    let (sent, events) = go_on(first);
    assert!(sent.len() > 100 && events.contains(&Event::WakeUp));
    assert_eq!((sent, events), go_on(fork));
}

#[test]
fn time_never_goes_back() {
    let mut lab = Lab::among(5);
    lab.peer(peer(1)).up = false;
    let silent = Request::ping(peer(1)).retries(0);
    let id = lab.request(silent);
    let deadline = lab.node.poll_timeout();
    for earlier in [Instant::ZERO, lab.now - SECOND, lab.now - Duration::from_micros(1)] {
        lab.node.handle_timeout(earlier);
        lab.node.handle_wakeup(earlier);
        assert!(lab.node.poll_timeout() >= Some(lab.now));
    }
    assert_eq!(lab.node.poll_timeout(), deadline);
    // A request in the past counts as made now.
    let again = Request::ping(peer(1)).retries(0);
    let again = lab.node.request(Instant::ZERO, again).unwrap();
    let start = lab.now;
    lab.flush();
    assert!(lab.result(again).is_err() && lab.node.take_response(id).unwrap().is_err());
    assert_eq!(lab.now.saturating_since(start), SECOND);
}

#[test]
fn after_the_end_of_time_nothing_breaks() {
    let mut lab = Lab::among(5);
    lab.now = Instant::MAX;
    for _ in 0..3 {
        lab.hear_with_id(peer(1), PING);
        lab.call(Node::suspend);
        lab.call(Node::resume);
        lab.bind();
        lab.request(Request::ping(peer(1)));
    }
    assert!(lab.times(Event::Resumed) == 3);
}

/// A token of the node for the host of `from`, as any host gets by asking.
fn token_for(lab: &mut Lab, from: SocketAddrV4) -> [u8; 32] {
    lab.answer = Some(Answer::empty());
    let sent = lab.hear(from, &wire::Request { internal: false, ..asks(USERS) });
    *sent.last().unwrap().response().token.unwrap()
}

fn accepts(lab: &mut Lab, from: SocketAddrV4, token: &[u8; 32]) -> bool {
    let request = wire::Request { internal: false, token: Some(token), ..asks(USERS) };
    let sent = lab.hear(from, &request);
    sent.last().unwrap().response().error == 0
}

#[test]
fn a_token_is_good_for_one_host_and_expires_in_its_sleep() {
    let mut other_port = peer(1);
    other_port.set_port(9);
    for (age, good) in [(0, Some(true)), (7_499, Some(true)), (15_000, Some(false))] {
        for phase in 0..20 {
            let mut lab = Lab::alone();
            lab.run_for(Duration::from_millis(phase * 731));
            let token = token_for(&mut lab, peer(1));
            lab.run_for(Duration::from_millis(age));
            assert_eq!(Some(accepts(&mut lab, peer(1), &token)), good, "{age} ms, phase {phase}");
            assert_eq!(Some(accepts(&mut lab, other_port, &token)), good);
            assert!(!accepts(&mut lab, peer(2), &token), "of another host");
        }
    }
    for sleep in [15, 3600] {
        let mut lab = Lab::alone();
        let token = token_for(&mut lab, peer(1));
        // The node gets no call meanwhile, so its secrets were not rotated.
        lab.sleep(sleep * SECOND);
        assert!(!accepts(&mut lab, peer(1), &token), "after {sleep} s");
        let fresh = token_for(&mut lab, peer(1));
        assert!(accepts(&mut lab, peer(1), &fresh));
    }
}

#[test]
fn nothing_that_is_printed_shows_a_token_or_a_secret() {
    let token = [0xab; 32];
    let mut lab = Lab::among(3);
    lab.peers.values_mut().for_each(|peer| peer.token = Some([9; 32]));
    let own = token_for(&mut lab, peer(1));
    let mut printed = vec![format!("{:?}", lab.node), format!("{:?}", lab.node.config())];
    let request = Request::new(peer(1), USERS).token(token).value("content");
    printed.push(format!("{request:?}"));
    printed.push(format!("{:?}", Query::new(Id([1; 32]), USERS).value("content")));
    printed.push(format!("{:?}", Answer::value("content")));
    let incoming = wire::Request {
        internal: false,
        token: Some(&own),
        value: Some(b"content"),
        ..asks(USERS)
    };
    let mut buf = [0; DATAGRAM_MAX];
    let len = incoming.encode(&mut buf).unwrap();
    let handled = lab.node.handle_datagram(lab.now, Via::Server, peer(1), &buf[..len]);
    assert!(matches!(handled, Handled::Request(incoming) if incoming.token.is_some()));
    printed.push(format!("{handled:?}"));
    printed.push(format!("{:?}", wire::decode(&buf[..len])));
    let id = lab.request(Request::new(peer(1), USERS));
    let reply = lab.result(id).unwrap();
    assert_eq!(reply.token, Some([9; 32].into()));
    printed.push(format!("{reply:?}"));
    let query = Query::new(Id([1; 32]), USERS).discard_replies();
    let query = lab.query(query);
    lab.run_for(SECOND);
    printed.push(format!("{:?}", lab.node.take_outcome(query).unwrap().unwrap()));
    for text in printed {
        let own = format!("{}, {}, {}", own[3], own[4], own[5]);
        for secret in ["171, 171", "abab", "9, 9, 9", "0909", &own] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn a_table_survives_in_a_file_with_its_ages() {
    let mut lab = Lab::among(20);
    lab.ticks(100);
    lab.call(|node, now| node.add_node(now, peer(70)).unwrap());
    lab.ticks(3);
    let saved = lab.node.export();
    assert_eq!(saved.iter().map(|node| node.addr).collect::<Vec<_>>(), {
        lab.node.nodes().collect::<Vec<_>>()
    });
    let young = saved.iter().find(|node| node.addr == peer(70)).unwrap();
    assert!(young.added <= 4 * TICK && young.pinged <= 4 * TICK);
    assert!(saved.iter().all(|node| node.addr == peer(70) || node.added >= 95 * TICK));

    let mut later = Lab::alone();
    // The node has to be as old as the ages of its nodes, or these would lie before its start.
    later.ticks(400);
    let away = Duration::from_secs(600);
    later.call(|node, now| node.import(now, &saved, away));
    let restored = later.node.export();
    assert_eq!(restored.len(), saved.len());
    for (old, new) in saved.iter().zip(&restored) {
        let coarse = 4 * TICK;
        assert_eq!((new.addr, new.pinged), (old.addr, old.pinged + away));
        assert!(new.added + coarse >= old.added + away && new.added <= old.added + away);
    }
}

#[test]
fn comings_and_goings_are_told_if_asked_for() {
    let mut lab = Lab::among(3);
    lab.call(|node, now| node.add_node(now, peer(60)).unwrap());
    assert_eq!(lab.events, []);
    lab.node.set_node_events(true);
    lab.call(|node, now| node.add_node(now, peer(61)).unwrap());
    lab.call(|node, now| node.add_node(now, peer(61)).unwrap());
    lab.hint(peer(1), peer(61));
    lab.run_for(4 * SECOND);
    assert_eq!(lab.events, [Event::NodeAdded(peer(61)), Event::NodeRemoved(peer(61))]);
    lab.node.set_node_events(false);
    lab.call(|node, now| node.add_node(now, peer(62)).unwrap());
    assert_eq!(lab.events.len(), 2);
}

#[test]
fn what_nobody_takes_is_lost_and_counted() {
    let mut config = Config::default();
    config.node_events = true;
    let mut node = Node::new(config, &mut ChaCha20Rng::seed_from_u64(1), Instant::ZERO).unwrap();
    let (mut now, mut happened) = (Instant::ZERO, 0);
    node.handle_bound(now, CLIENT, SERVER);
    for _ in 0..3 {
        (0..60).for_each(|n| _ = node.add_node(now, peer(n)).unwrap());
        // Two events for each node of the table: it is added, and it is removed as it is down.
        happened += 2 * node.table_len() as u64;
        let query = Query::find_node(Id([0; 32])).nodes((0..60).map(peer)).only_closest_nodes();
        let query = query.retries(3).concurrency(60).thorough().discard_replies();
        node.query(now, query).unwrap();
        for _ in 0..8 {
            while node.poll_transmit(now, &mut [0; DATAGRAM_MAX]).is_some() {}
            now += SECOND;
            node.handle_timeout(now);
        }
        // Now the window is empty again.
        now += 2 * SECOND;
        node.handle_timeout(now);
        assert_eq!(node.table_len(), 0);
    }
    let events: Vec<_> = std::iter::from_fn(|| node.poll_event()).collect();
    let lost = node.stats().drops.events;
    assert_eq!(events[0], Event::Dropped(lost as u32));
    assert!(events.contains(&Event::Listening) && events.contains(&Event::Ready));
    let about_nodes = |event: &&Event| matches!(event, Event::NodeAdded(_) | Event::NodeRemoved(_));
    let told = events.iter().filter(about_nodes).count() as u64;
    // Together with the two events about the start there are 256.
    assert_eq!((told, told + lost), (254, happened));
}

#[test]
fn nodes_may_be_older_than_the_one_that_takes_them_in() {
    let hour = Duration::from_secs(3_600);
    let mut lab = Lab::alone();
    let old = SavedNode { addr: peer(1), added: hour, pinged: hour };
    lab.call(|node, now| node.import(now, &[old], Duration::ZERO));
    let kept = lab.node.export()[0];
    assert!(kept.added > hour - 4 * TICK && kept.pinged > hour - 4 * TICK, "{kept:?}");
}

#[test]
fn a_configuration_may_be_shared_and_is_nobody_elses_to_change() {
    let config = Arc::new(joining(&[peer(9)]));
    let node = |config: &Arc<Config>| {
        Node::new(config.clone(), &mut ChaCha20Rng::from_seed([1; 32]), Instant::ZERO).unwrap()
    };
    let (mut one, other) = (node(&config), node(&config));
    assert!(std::ptr::eq(one.config(), other.config()));
    one.set_node_events(false);
    assert!(std::ptr::eq(one.config(), other.config()), "nothing changed");
    one.set_node_events(true);
    assert!(one.config().node_events && !other.config().node_events && !config.node_events);

    let mut with_nodes = joining(&[peer(9)]);
    with_nodes.nodes = vec![peer(1), peer(2)];
    let with_nodes = Arc::new(with_nodes);
    let knowing = [node(&with_nodes), node(&with_nodes)];
    assert!(knowing.iter().all(|node| node.table_len() == 2 && node.config().nodes.is_empty()));
    assert_eq!(with_nodes.nodes.len(), 2);
}
