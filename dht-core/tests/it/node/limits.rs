//! Bounds, one below and one above each: sizes of datagrams and values, and how many requests and
//! queries may be under way.

use std::time::Duration;

use dht_core::{Answer, Config, ConfigError, DATAGRAM_MAX, Event, Query, Request, SendError, Via};

use crate::support::lab::*;

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// Finds the longest value that `send` accepts, and checks that the error states that length.
fn limit_of(mut send: impl FnMut(usize) -> Result<(), SendError>) -> usize {
    let limit = match send(5_000) {
        Err(SendError::TooLarge { limit }) => limit,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(send(limit + 1), Err(SendError::TooLarge { limit }));
    assert_eq!(send(limit), Ok(()), "{limit} bytes");
    limit
}

#[test]
fn values_are_limited_by_what_else_is_in_the_datagram() {
    // Fixed: 1 + flags 1 + tid 2 + to 6; an id that the node may send, 32; a length field of 3.
    let fixed = 10 + 32 + 3;
    for max_datagram in [1_000, 1_400, 2_048] {
        let mut lab = Lab::started(config(|c| c.max_datagram = max_datagram));
        let room = max_datagram - fixed;
        println!(
            "F5: with datagrams of {max_datagram} bytes at most {} of value, refused with the limit",
            room - 1
        );
        let mut request = |ask: Request| {
            limit_of(|len| {
                let value = vec![0; len];
                lab.node.request(lab.now, ask.clone().value(value)).map(drop)
            })
        };
        assert_eq!(request(Request::new(addr(1), 16)), room - 1);
        assert_eq!(request(Request::ping(addr(1))), room - 1);
        assert_eq!(request(Request::new(addr(1), 253)), room - 3);
        assert_eq!(request(Request::new(addr(1), 16).target(target(1))), room - 33);
        assert_eq!(request(Request::new(addr(1), 16).token([0; 32])), room - 33);
        let full = Request::new(addr(1), 1 << 40).target(target(1)).token([0; 32]);
        assert_eq!(request(full), room - 73);
        let mut query = |query: Query| {
            limit_of(|len| lab.node.query(lab.now, query.clone().value(vec![0; len])).map(drop))
        };
        assert_eq!(query(Query::new(target(1), 16)), room - 33);
        assert_eq!(query(Query::new(target(1), 16).commit()), room - 65, "it will carry a token");
    }
}

#[test]
fn answers_and_relays_are_limited_alike() {
    let mut lab = Lab::persistent();
    let to = lab.ask_application(addr(1), &Ask::user(16).target(target(1)));
    let room = 1_400 - 45;
    let mut reply = |answer: fn(Vec<u8>) -> Answer| {
        limit_of(|len| lab.node.reply(lab.now, to, answer(vec![0; len])))
    };
    assert_eq!(reply(Answer::value), room - 32);
    assert_eq!(reply(|value| Answer::value(value).token(false)), room);
    let limit = limit_of(|len| {
        let value = Some(vec![0; len].into());
        lab.node.relay(lab.now, to, addr(2), value)
    });
    assert_eq!(limit, room - 33, "command and target go along");
    lab.flush();
    let longest = lab.sent.iter().map(|sent| sent.bytes.len()).max();
    assert_eq!(longest, Some(1_400), "and the limit is used to the last byte");
}

#[test]
fn a_refused_value_leaves_no_trace() {
    let mut lab = Lab::alone();
    let long = vec![0; 3_000];
    let refused = [
        lab.node.request(lab.now, Request::ping(addr(1)).value(long.clone())).map(drop),
        lab.node.query(lab.now, Query::new(target(1), 16).value(long)).map(drop),
    ];
    assert!(refused.iter().all(|r| matches!(r, Err(SendError::TooLarge { .. }))));
    lab.run_ms(1_000);
    assert_eq!(lab.sent, []);
    let stats = lab.stats();
    assert_eq!((stats.requests.total, stats.queries.active), (0, 0));
}

/// Answers with a value of `len` bytes, a token and as many closer nodes as fit.
fn answer_of(lab: &mut Lab, len: usize) -> (usize, usize) {
    let ask = Ask::user(16).target(target(1));
    let sent = lab.serve(addr(1), &ask, Answer::value(vec![0; len]));
    assert!(sent.response().token.is_some());
    (sent.bytes.len(), sent.nodes().len())
}

#[test]
fn closer_nodes_are_trimmed_to_what_fits() {
    let mut lab = Lab::persistent();
    (100..130).for_each(|n| lab.add_node(addr(n)));
    // Id, token, twenty nodes and a value of 1,200 bytes.
    assert_eq!(answer_of(&mut lab, 1_200), (1_398, 20));
    assert_eq!(answer_of(&mut lab, 1_202), (1_400, 20));
    assert_eq!(answer_of(&mut lab, 1_203), (1_395, 19));
    assert_eq!(answer_of(&mut lab, 1_316), (1_400, 1));
    assert_eq!(answer_of(&mut lab, 1_317), (1_394, 0), "an empty list is left out");
    assert_eq!(answer_of(&mut lab, 1_323), (1_400, 0));
}

#[test]
fn the_longest_datagram_can_be_what_peers_take() {
    let mut lab = Lab::started(config(|c| c.max_datagram = DATAGRAM_MAX));
    let ping = Request::new(addr(1), 16).value(vec![0; DATAGRAM_MAX - 46]);
    lab.node.request(lab.now, ping).unwrap();
    lab.flush();
    // The place of the id stays free while the node has none.
    assert_eq!(lab.sent[0].bytes.len(), DATAGRAM_MAX - 32);
}

#[test]
fn configurations_are_checked_at_both_ends() {
    type Set = fn(&mut Config, usize);
    let fields: [(&str, Set, usize, usize); 12] = [
        ("concurrency", |c, n| c.concurrency = n as u16, 1, 256),
        ("max_window", |c, n| c.max_window = n as u32, 1, 16_384),
        ("max_datagram", |c, n| c.max_datagram = n, 508, 2_048),
        ("max_datagram_received", |c, n| c.max_datagram_received = n, 508, 2_048),
        ("max_nodes", |c, n| c.max_nodes = n, 20, 5_120),
        ("max_query_addresses", |c, n| c.max_query_addresses = n, 64, 4_096),
        ("max_unread_replies", |c, n| c.max_unread_replies = n, 1, 64),
        ("max_events", |c, n| c.max_events = n, 16, 4_096),
        ("max_requests", |c, n| c.max_requests = n, 1, 60_000),
        ("max_background_requests", |c, n| c.max_background_requests = n, 8, 4_096),
        ("max_queries", |c, n| c.max_queries = n, 1, 4_096),
        ("max_replies", |c, n| c.max_replies = n, 1, 65_536),
    ];
    for (field, set, min, max) in fields {
        let check = |n| {
            let mut config = Config::default();
            set(&mut config, n);
            let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::from_seed([0; 32]);
            let node = dht_core::Node::new(config, &mut rng, dht_core::Instant::ZERO);
            node.map(drop)
        };
        let refused = |value| Err(ConfigError::OutOfRange { field, value, min, max });
        assert_eq!((check(min), check(max)), (Ok(()), Ok(())), "{field}");
        let (below, above) = (min - 1, max + 1);
        assert_eq!((check(below), check(above)), (refused(below), refused(above)), "{field}");
    }
}

#[test]
fn so_many_requests_of_the_user_and_no_more() {
    for max in [1, 7, 4_096] {
        let mut lab = Lab::started(config(|c| c.max_requests = max));
        let ping = |n: usize| Request::ping(addr(n as u32));
        let ids = lab.requests((0..max).map(ping));
        let busy = |lab: &mut Lab| lab.node.request(lab.now, ping(0)) == Err(SendError::Busy);
        assert!(busy(&mut lab));
        // A response that the caller has not taken still holds its place.
        let (to, tid) = (lab.sent[0].to, lab.sent[0].request().tid);
        let _ = lab.hand_in(Via::Client, to, &Forged::by(to).bytes(tid));
        assert!(busy(&mut lab));
        assert!(lab.node.take_response(ids[0]).is_some());
        assert!(!busy(&mut lab));
        assert!(busy(&mut lab));
        if let Some(id) = ids.get(1) {
            lab.node.cancel_request(lab.now, *id);
            assert!(!busy(&mut lab));
        }
        // Queries have places of their own.
        lab.query(Query::new(target(1), 16).nodes([addr(1)]));
    }
}

#[test]
fn so_many_queries_and_no_more() {
    let mut lab = Lab::started(config(|c| c.max_queries = 8));
    let query = || Query::new(target(1), 16).nodes([addr(1)]);
    let ids: Vec<_> = (0..8).map(|_| lab.query(query())).collect();
    let busy = |lab: &mut Lab| lab.node.query(lab.now, query()) == Err(SendError::Busy);
    assert!(busy(&mut lab));
    // An outcome that the caller has not taken still holds its place.
    lab.run_ms(10_000);
    assert!(busy(&mut lab));
    assert!(lab.node.take_outcome(ids[0]).is_some());
    assert!(!busy(&mut lab));
    assert!(busy(&mut lab));
    lab.node.cancel_query(lab.now, ids[1]);
    assert!(!busy(&mut lab));
    assert_eq!(lab.stats().queries.active, 2);
}

#[test]
fn queries_share_so_many_requests_and_go_on_as_places_get_free() {
    for max in [64, 65, 200] {
        let mut lab = Lab::started(config(|c| c.max_background_requests = max));
        let anonymous = Peer { has_id: false, ..Peer::default() };
        lab.peers.extend((0..300).map(|n| (addr(n), anonymous.clone())));
        let query = |n: u32| {
            let nodes = (n * 100..n * 100 + 100).map(addr);
            Query::new(target(1), 16).nodes(nodes).discard_replies().concurrency(100)
        };
        let ids: Vec<_> = (0..3).map(|n| lab.query(query(n))).collect();
        assert_eq!(lab.stats().requests.active, max as u64);
        let mut most = 0;
        lab.run_until(|lab| {
            most = most.max(lab.stats().requests.active);
            lab.stats().queries.active == 0
        });
        assert_eq!(most, max as u64);
        for id in ids {
            assert_eq!(lab.node.take_outcome(id).unwrap().unwrap().successes, 100);
        }
    }
}

#[test]
fn whatever_ends_a_query_lets_the_others_go_on() {
    let ways: [fn(&mut Lab, dht_core::QueryId); 3] = [
        |lab, id| lab.node.cancel_query(lab.now, id),
        |lab, id| lab.node.finish_query(lab.now, id),
        |lab, _| lab.node.end_session(lab.now, dht_core::SessionId(1)),
    ];
    for way in ways {
        let mut lab = Lab::started(config(|c| c.max_background_requests = 64));
        let first = Query::new(target(1), 16).nodes((0..100).map(addr)).discard_replies();
        let first = first.concurrency(100).session(dht_core::SessionId(1));
        let id = lab.query(first);
        lab.query(Query::new(target(1), 17).nodes([addr(1)]));
        assert_eq!(lab.asked(17).len(), 0);
        way(&mut lab, id);
        lab.run_for(Duration::from_millis(1));
        lab.flush();
        assert_eq!(lab.asked(17).len(), 1);
    }
}

#[test]
fn events_about_nodes_are_bounded_and_their_loss_is_told() {
    for (count, lost) in [(128, 0), (129, 2), (150, 44)] {
        let mut lab = Lab::started(config(|c| c.node_events = true));
        for n in 0.. {
            if lab.node.table_len() == count {
                break;
            }
            lab.add_node(addr(n));
        }
        // All nodes of the table are asked in vain, and leave the table.
        let nodes: Vec<_> = lab.node.nodes().collect();
        let query = Query::find_node(target(1)).nodes(nodes).only_closest_nodes();
        let query = query.concurrency(64).retries(3).thorough();
        lab.node.query(lab.now, query).unwrap();
        let mut buf = [0; DATAGRAM_MAX];
        while lab.stats().queries.active > 0 {
            while lab.node.poll_transmit(lab.now, &mut buf).is_some() {}
            lab.now = lab.node.poll_timeout().unwrap();
            lab.node.handle_timeout(lab.now);
        }
        assert_eq!(lab.node.table_len(), 0);
        lab.flush();
        let told = lab.events.iter().find_map(|event| match event {
            Event::Dropped(count) => Some(*count),
            _ => None,
        });
        assert_eq!(told.unwrap_or(0), lost);
        assert_eq!(lab.stats().drops.events, u64::from(lost));
        let about_nodes = |e: &&Event| matches!(e, Event::NodeAdded(_) | Event::NodeRemoved(_));
        assert_eq!(lab.events.iter().filter(about_nodes).count(), 2 * count - lost as usize);
    }
}
