//! The codec against tables: what the reference takes, drops and writes.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire::{
    self, CloserNodes, DecodeError, EncodeError, Message, Request, Response, VARINT_MAX,
};

use dht_model::decoder;

/// tid 0x0201 to 127.0.0.1:80.
const HEAD: [u8; 8] = [0x01, 0x02, 127, 0, 0, 1, 80, 0];
const KEY: [u8; 32] = [7; 32];

fn request() -> Request<'static> {
    Request {
        tid: 0x0201,
        to: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80),
        id: None,
        token: None,
        internal: true,
        command: 2,
        target: None,
        value: None,
    }
}

fn response() -> Response<'static> {
    Response {
        tid: 0x0201,
        to: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80),
        id: None,
        token: None,
        closer_nodes: None,
        error: 0,
        value: None,
    }
}

/// The first two bytes, the head, the rest.
fn datagram(start: &[u8], rest: &[u8]) -> Vec<u8> {
    [start, &HEAD, rest].concat()
}

#[test]
fn requests_as_the_reference_takes_them() {
    let empty: &[u8] = &[];
    let cases: [(&str, &[u8], &[u8], Request<'_>); 9] = [
        ("ours", &[3, 4], &[2], request()),
        ("flags in three bytes", &[3, 0xfd, 4, 0], &[2], request()),
        ("flags in nine bytes, high bits", &[3, 0xff, 4, 0, 0, 0, 1, 0, 0x1f, 0], &[2], request()),
        ("unknown flags", &[3, 0xe4], &[2], request()),
        ("bytes after the end", &[3, 4], &[2, 0xff, 0xff], request()),
        ("command in five bytes", &[3, 4], &[0xfe, 2, 0, 0, 0], request()),
        (
            "greatest command",
            &[3, 4],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0],
            Request { command: VARINT_MAX, ..request() },
        ),
        ("empty value", &[3, 20], &[2, 0], Request { value: Some(empty), ..request() }),
        (
            "length in nine bytes",
            &[3, 16],
            &[2, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0xaa],
            Request { internal: false, value: Some(&[0xaa]), ..request() },
        ),
    ];
    for (name, start, rest, expected) in cases {
        let data = datagram(start, rest);
        assert_eq!(wire::decode(&data), Ok(Message::Request(expected)), "{name}");
        decoder::assert_agrees(&data);
    }
}

#[test]
fn responses_as_the_reference_takes_them() {
    let cases: [(&str, &[u8], &[u8], Response<'_>); 6] = [
        ("nothing in it", &[0x13, 0], &[], response()),
        (
            "empty list",
            &[0x13, 4],
            &[0],
            Response { closer_nodes: Some(CloserNodes::new(&[])), ..response() },
        ),
        ("error 0 said aloud", &[0x13, 8], &[0], response()),
        ("error", &[0x13, 8], &[16], Response { error: 16, ..response() }),
        ("empty value", &[0x13, 16], &[0], Response { value: Some(&[]), ..response() }),
        (
            "id and token",
            &[0x13, 3],
            &[7; 64],
            Response { id: Some(&KEY), token: Some(&KEY), ..response() },
        ),
    ];
    for (name, start, rest, expected) in cases {
        let data = datagram(start, rest);
        assert_eq!(wire::decode(&data), Ok(Message::Response(expected)), "{name}");
        decoder::assert_agrees(&data);
    }
}

#[test]
fn messages_as_the_reference_writes_them() {
    let mut buf = [0; 1500];
    let down_hint = Request {
        token: Some(&[1; 32]),
        command: 3,
        target: Some(&KEY),
        value: Some(&[10, 0, 0, 9, 0x39, 0x30]),
        ..request()
    };
    let len = down_hint.encode(&mut buf).unwrap();
    let rest = [&[1; 32][..], &[3], &KEY, &[6, 10, 0, 0, 9, 0x39, 0x30]].concat();
    assert_eq!(buf[..len], datagram(&[3, 0x1e], &rest));

    let nodes = [[10, 0, 0, 9, 0x39, 0x30], [10, 0, 0, 8, 0x39, 0x30]];
    let failed = Response {
        id: Some(&KEY),
        token: Some(&[1; 32]),
        closer_nodes: Some(CloserNodes::new(&nodes)),
        error: 0x100,
        value: Some(&[]),
        ..response()
    };
    let len = failed.encode(&mut buf).unwrap();
    let rest = [&KEY[..], &[1; 32], &[2], nodes.as_flattened(), &[0xfd, 0, 1, 0]].concat();
    assert_eq!(buf[..len], datagram(&[0x13, 0x1f], &rest));

    // Nothing is said of an error that isn't there.
    let len = response().encode(&mut buf).unwrap();
    assert_eq!(buf[..len], datagram(&[0x13, 0], &[]));
}

#[test]
fn what_the_reference_drops() {
    use DecodeError::{NotOurs, TooManyNodes, Truncated, VarintTooLarge};
    let u64_max = [0xff; 9];
    let too_large = [0xff, 0, 0, 0, 0, 0, 0, 0x20, 0];
    let greatest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0];
    let cases: Vec<(&str, Vec<u8>, DecodeError)> = vec![
        ("nothing", vec![], NotOurs),
        ("one byte", vec![3], NotOurs),
        ("two bytes", vec![3, 4], Truncated),
        ("version 2", datagram(&[2, 4], &[2]), NotOurs),
        ("type 2", datagram(&[0x23, 0], &[]), NotOurs),
        ("flags cut", vec![3, 0xfd, 4], Truncated),
        ("flags too large", datagram(&[&[3][..], &too_large].concat(), &[2]), VarintTooLarge),
        ("no command", datagram(&[3, 4], &[]), Truncated),
        ("command too large", datagram(&[3, 4], &too_large), VarintTooLarge),
        ("error too large", datagram(&[0x13, 8], &u64_max), VarintTooLarge),
        ("value longer than the rest", datagram(&[3, 16], &[2, 2, 0xaa]), Truncated),
        ("value of 2^53 - 1 bytes", datagram(&[0x13, 16], &greatest), Truncated),
        // Would be 1 if a length were cut to 32 bits.
        (
            "value of 2^32 + 1 bytes",
            datagram(&[0x13, 16], &[0xff, 1, 0, 0, 0, 1, 0, 0, 0, 0xaa]),
            Truncated,
        ),
        ("value of 2^64 - 1 bytes", datagram(&[0x13, 16], &u64_max), VarintTooLarge),
        ("2^53 - 1 nodes", datagram(&[0x13, 4], &greatest), TooManyNodes),
        ("0x100001 nodes", datagram(&[0x13, 4], &[0xfe, 1, 0, 0x10, 0]), TooManyNodes),
        ("0x100000 nodes, not there", datagram(&[0x13, 4], &[0xfe, 0, 0, 0x10, 0]), Truncated),
    ];
    for (name, data, expected) in cases {
        assert_eq!(wire::decode(&data), Err(expected), "{name}");
        decoder::assert_agrees(&data);
    }
}

#[test]
fn of_many_nodes_the_first_are_read_but_all_must_be_there() {
    for count in [19usize, 20, 21, 25, 230] {
        let nodes: Vec<[u8; 6]> = (0..count).map(|i| [10, 0, 0, i as u8, 1, 0]).collect();
        let data =
            datagram(&[0x13, 20], &[&[count as u8], nodes.as_flattened(), &[1, 0xaa]].concat());
        let Ok(Message::Response(response)) = wire::decode(&data) else {
            panic!("{count} nodes");
        };
        let read = response.closer_nodes.unwrap();
        assert_eq!(read.len(), count);
        assert_eq!(read.iter().count(), count.min(20));
        assert!(read.iter().map(wire::addr_bytes).eq(nodes.iter().take(20).copied()));
        assert_eq!(response.value, Some(&[0xaa][..]));
        decoder::assert_agrees(&data);
        // What was read can be written again as it was; what we make ourselves is short.
        let mut buf = [0; 1500];
        let len = response.encode(&mut buf).unwrap();
        assert_eq!(buf[..len], data);
        assert_eq!(CloserNodes::new(&nodes).len(), count.min(20));
    }
}

#[test]
fn as_many_nodes_as_the_protocol_allows() {
    let mut data = datagram(&[0x13, 4], &[0xfe, 0, 0, 0x10, 0]);
    data.resize(data.len() + 0x10_0000 * 6, 9);
    let Ok(Message::Response(response)) = wire::decode(&data) else {
        panic!("0x100000 nodes are allowed");
    };
    assert_eq!(response.closer_nodes.unwrap().len(), 0x10_0000);
    data.pop();
    assert_eq!(wire::decode(&data), Err(DecodeError::Truncated));
}

#[test]
fn numbers_that_no_receiver_takes_are_not_written() {
    for number in [VARINT_MAX + 1, u64::MAX] {
        let mut buf = [0xa5; 100];
        let request = Request { command: number, ..request() };
        let response = Response { error: number, ..response() };
        assert_eq!(request.encode(&mut buf), Err(EncodeError::VarintTooLarge));
        assert_eq!(response.encode(&mut buf), Err(EncodeError::VarintTooLarge));
        assert_eq!(buf, [0xa5; 100]);
    }
}

#[test]
fn debug_shows_neither_tokens_nor_values() {
    let token = [0xdb; 32];
    let text = format!(
        "{:?} {:?}",
        Message::Request(Request {
            token: Some(&token),
            value: Some(b"\xdb\xdb\xdb"),
            ..request()
        }),
        Message::Response(Response {
            token: Some(&token),
            value: Some(b"\xdb\xdb\xdb"),
            ..response()
        }),
    );
    for form in ["219", "0xdb", "db", "DB", "\\x"] {
        assert!(!text.contains(form), "{text}");
    }
    assert_eq!(text.matches("has_token: true").count(), 2, "{text}");
    assert_eq!(text.matches("value_len: Some(3)").count(), 2, "{text}");
}
