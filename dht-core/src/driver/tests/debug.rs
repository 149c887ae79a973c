//! `Debug` shows no value and no token: they are the application's, and secrets.

use std::format;
use std::string::String;
use std::vec::Vec;

use bytes::Bytes;

use super::sim::Sim;
use super::world::local;
use crate::driver::{Datagram, Item, RawTransmit};
use crate::wire::{self, Message};
use crate::{Answer, Handled, Id, Incoming, Outcome, Peer, Query, Reply, Request, Via};

const VALUE: &[u8] = b"the marked value";
const TOKEN: [u8; 32] = [0xa7; 32];

/// Whether any part of value or token shows, as text, or as numbers of either base.
fn gives_away(text: &str) -> bool {
    let text = text.to_lowercase();
    ["marked", "109, 97", "6d61", "6d, 61", "167, 167", "a7a7", "a7, a7", "\\xa7"]
        .into_iter()
        .any(|mark| text.contains(mark))
}

#[test]
fn what_is_looked_for_would_be_found() {
    for shown in [format!("{VALUE:?}"), format!("{:?}", Bytes::from_static(VALUE))] {
        assert!(gives_away(&shown), "{shown}");
    }
    assert!(gives_away(&format!("{TOKEN:?}")) && gives_away(&format!("{TOKEN:x?}")));
    assert!(gives_away(&format!("{:?}", Bytes::copy_from_slice(&TOKEN))));
}

#[test]
fn debug_shows_no_value_and_no_token() {
    let (value, to, target) = (Bytes::from_static(VALUE), local(9), Id([1; 32]));
    let sim = Sim::default();
    let (dht, other) = (sim.up(), sim.up());
    let server = other.server_address().unwrap();
    let mut requests = other.requests();
    let request = Request::new(server, 7).target(target).token(TOKEN).value(value.clone());
    let query = Query::new(target, 7).value(value.clone()).nodes([server]).commit();
    let shown_before = (format!("{request:?}"), format!("{query:?}"));
    let (asked, stream) = (dht.request(request), dht.query(query));
    let incoming = sim.block_on(requests.next()).unwrap();
    let reply_to = incoming.ignore();
    let incoming = sim.block_on(requests.next()).unwrap();
    let reply = Reply {
        from: Peer { addr: to, id: None },
        seen_as: to,
        token: Some(TOKEN.into()),
        closer_nodes: None,
        error: 0,
        value: Some(value.clone()),
        rtt: Default::default(),
    };
    let borrowed = Incoming {
        from: reply.from,
        seen_as: to,
        token: reply.token,
        target: Some(target),
        command: 7,
        value: Some(VALUE),
        reply_to,
    };
    let outcome = Outcome { closest: [reply.clone()].to_vec(), ..Outcome::default() };
    let raw = RawTransmit { to, ttl: None, data: value.clone() };
    let wire_request = wire::Request {
        tid: 1,
        to,
        id: None,
        token: Some(&TOKEN),
        internal: false,
        command: 7,
        target: None,
        value: Some(VALUE),
    };
    let wire_response = wire::Response {
        tid: 1,
        to,
        id: None,
        token: Some(&TOKEN),
        closer_nodes: None,
        error: 0,
        value: Some(VALUE),
    };
    let mut answer = Answer::value(value.clone());
    answer = answer.to(to).via(Via::Server);
    let node = dht.shared().look(|state| format!("{:?}", state.node));
    let shown: Vec<String> = [
        shown_before.0,
        shown_before.1,
        node,
        format!("{answer:?}"),
        format!("{:?}", reply.token),
        format!("{reply:?}"),
        format!("{borrowed:?} {reply_to:?}"),
        format!("{:?}", Handled::Request(borrowed)),
        format!("{outcome:?}"),
        format!("{raw:?} {raw:#?}"),
        format!("{:?}", Datagram { via: Via::Client, from: to, data: value.clone() }),
        format!("{wire_request:?} {:?}", Message::Request(wire_request)),
        format!("{wire_response:?} {:?}", Message::Response(wire_response)),
        format!("{dht:?} {asked:?} {stream:?} {requests:?} {:?} {:?}", dht.items(), dht.session()),
        format!("{:?}", dht.config()),
        format!("{:?}", Item::Finished(crate::QueryId(1), Ok(outcome.clone()))),
        format!("{:?}", Item::Response(crate::RequestId(1), Ok(reply.clone()))),
        format!("{incoming:?}"),
        format!("{:?}", Item::Request(incoming)),
    ]
    .into();
    for shown in shown {
        assert!(!gives_away(&shown), "{shown}");
    }
}
