//! Golden vectors, both ways: what the reference wrote is read as it reads it, and written
//! again to the same bytes.

use std::net::SocketAddrV4;

use dht_core::Id;
use dht_core::wire::{self, DecodeError, Message};
use dht_interop::judge::{ids, vectors};
use dht_interop::reading::{as_strict, read};

#[test]
fn ids_follow_from_addresses() {
    for (addr, id) in ids() {
        assert_eq!(Id::of(addr).to_string(), id, "{addr}");
    }
}

#[test]
fn requests_and_responses_are_read_alike() {
    for vector in ["requests", "responses", "odd"].into_iter().flat_map(vectors) {
        let expected = as_strict(vector.read);
        assert_eq!(read(vector.from, &vector.bytes), expected, "{}", vector.name);
    }
}

#[test]
fn what_was_read_is_written_to_the_same_bytes() {
    for vector in ["requests", "responses"].into_iter().flat_map(vectors) {
        let mut buf = vec![0; vector.bytes.len()];
        let written = match wire::decode(&vector.bytes).expect("a message") {
            Message::Request(request) => request.encode(&mut buf),
            Message::Response(response) => response.encode(&mut buf),
        };
        assert_eq!(written, Ok(vector.bytes.len()), "{}", vector.name);
        assert_eq!(buf, vector.bytes, "{}", vector.name);
    }
}

#[test]
fn what_is_not_dht_rpc_is_left_to_others() {
    let from: SocketAddrV4 = "192.0.2.1:5".parse().expect("an address");
    for bytes in [&[][..], &[3], &[0x13], &[0x23, 0, 0], &[0x02, 0, 0], b"GET / HTTP/1.1"] {
        assert_eq!(wire::decode(bytes).map(|_| ()), Err(DecodeError::NotOurs), "{bytes:?}");
        assert!(read(from, bytes).is_null());
    }
}
