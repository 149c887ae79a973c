//! A datagram in one line of text, for people who look for what went wrong.
//!
//! Never the token itself: with it anyone can act in its owner's name, and lines are copied into bug reports. Never
//! the value either, but its length: it is the application's.

use std::fmt;

use dht_core::wire::{self, DecodeError, Message, Request, Response};
use dht_core::{Id, error_code};

/// What `data`, one whole datagram, says: `FIND_NODE tid 4711, target 3fa2c4d1…, no id`.
pub fn describe(data: &[u8]) -> String {
    let len = data.len();
    match wire::decode(data) {
        Ok(Message::Request(request)) => Asks(request).to_string(),
        Ok(Message::Response(response)) => Answers(response).to_string(),
        Err(DecodeError::NotOurs) => format!("not ours: {}", bytes(len)),
        Err(error) => format!("malformed: {error}, {}", bytes(len)),
    }
}

struct Asks<'a>(Request<'a>);

impl fmt::Display for Asks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(request) = self;
        let number = usize::try_from(request.command).unwrap_or(usize::MAX);
        let name = NAMES.get(number).copied().filter(|_| request.internal);
        match name {
            Some(name) => f.write_str(name)?,
            None if request.internal => write!(f, "internal command {}", request.command)?,
            None => write!(f, "command {}", request.command)?,
        }
        write!(f, " tid {}", request.tid)?;
        if let Some(target) = request.target {
            write!(f, ", target {}", Short(target))?;
        }
        match (name, request.value) {
            (_, None) => {}
            (Some("PING_NAT"), Some(&[lo, hi])) => {
                write!(f, ", to port {}", u16::from_le_bytes([lo, hi]))?;
            }
            (Some("DOWN_HINT"), Some(&[a, b, c, d, lo, hi])) => {
                write!(f, ", of {}", wire::addr_from_bytes([a, b, c, d, lo, hi]))?;
            }
            (Some("DELAYED_PING"), Some(&[a, b, c, d])) => {
                write!(f, ", after {} ms", u32::from_le_bytes([a, b, c, d]))?;
            }
            (_, Some(value)) => write!(f, ", value of {}", bytes(value.len()))?,
        }
        ends(f, request.id, request.token.is_some())
    }
}

struct Answers<'a>(Response<'a>);

impl fmt::Display for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(response) = self;
        write!(f, "answer tid {}", response.tid)?;
        match response.error {
            error_code::OK => {}
            error_code::UNKNOWN_COMMAND => f.write_str(", error 1 (unknown command)")?,
            error_code::INVALID_TOKEN => f.write_str(", error 2 (invalid token)")?,
            code => write!(f, ", error {code}")?,
        }
        match response.closer_nodes.map(|nodes| nodes.len()) {
            None => {}
            Some(1) => f.write_str(", 1 closer node")?,
            Some(count) => write!(f, ", {count} closer nodes")?,
        }
        if let Some(value) = response.value {
            write!(f, ", value of {}", bytes(value.len()))?;
        }
        ends(f, response.id, response.token.is_some())
    }
}

/// What requests and responses have in common.
fn ends(f: &mut fmt::Formatter<'_>, id: Option<&[u8; 32]>, token: bool) -> fmt::Result {
    f.write_str(if token { ", token" } else { "" })?;
    match id {
        // Not who it is from, but whom it claims to be from.
        Some(id) => write!(f, ", id {}", Short(id)),
        None => f.write_str(", no id"),
    }
}

/// The protocol's own commands, by their numbers.
const NAMES: [&str; 5] = ["PING", "PING_NAT", "FIND_NODE", "DOWN_HINT", "DELAYED_PING"];

/// Enough of an id to recognise it: four bytes.
struct Short<'a>(&'a [u8; 32]);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}…", Id(*self.0).prefix() >> 32)
    }
}

fn bytes(count: usize) -> String {
    match count {
        1 => "1 byte".to_owned(),
        _ => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use dht_core::wire::CloserNodes;
    use proptest::prelude::*;

    use super::*;

    const TARGET: [u8; 32] = [0x3f; 32];
    const ID: [u8; 32] = [0xab; 32];
    /// Of bytes that come up nowhere else.
    const TOKEN: [u8; 32] = [0xee; 32];

    fn request() -> Request<'static> {
        Request {
            tid: 4711,
            to: "11.0.5.1:2000".parse().unwrap(),
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
            tid: 4711,
            to: "11.0.5.1:2000".parse().unwrap(),
            id: None,
            token: None,
            closer_nodes: None,
            error: 0,
            value: None,
        }
    }

    fn asked(request: Request<'_>) -> String {
        let mut buf = [0; 2_000];
        let len = request.encode(&mut buf).unwrap();
        describe(&buf[..len])
    }

    fn answered(response: Response<'_>) -> String {
        let mut buf = [0; 2_000];
        let len = response.encode(&mut buf).unwrap();
        describe(&buf[..len])
    }

    #[test]
    fn requests() {
        let find = Request { target: Some(&TARGET), ..request() };
        assert_eq!(asked(find), "FIND_NODE tid 4711, target 3f3f3f3f…, no id");
        let ping = Request { command: 0, id: Some(&ID), ..request() };
        assert_eq!(asked(ping), "PING tid 4711, id abababab…");
        let nat = Request { command: 1, value: Some(&[0x34, 0x12]), ..request() };
        assert_eq!(asked(nat), "PING_NAT tid 4711, to port 4660, no id");
        let hint = Request { command: 3, value: Some(&[11, 0, 1, 2, 0xb8, 0x0b]), ..request() };
        assert_eq!(asked(hint), "DOWN_HINT tid 4711, of 11.0.1.2:3000, no id");
        let delayed = Request { command: 4, value: Some(&[0x88, 0x13, 0, 0]), ..request() };
        assert_eq!(asked(delayed), "DELAYED_PING tid 4711, after 5000 ms, no id");
        // Values that aren't what the command needs are only measured.
        let odd = Request { command: 4, value: Some(&[1]), ..request() };
        assert_eq!(asked(odd), "DELAYED_PING tid 4711, value of 1 byte, no id");
        let unknown = Request { command: 99, ..request() };
        assert_eq!(asked(unknown), "internal command 99 tid 4711, no id");
        let put = Request {
            internal: false,
            command: 3,
            target: Some(&TARGET),
            token: Some(&TOKEN),
            id: Some(&ID),
            value: Some(b"secret"),
            ..request()
        };
        let text = "command 3 tid 4711, target 3f3f3f3f…, value of 6 bytes, token, id abababab…";
        assert_eq!(asked(put), text);
    }

    #[test]
    fn answers() {
        assert_eq!(answered(response()), "answer tid 4711, no id");
        let nodes = [[11, 0, 1, 2, 0xb8, 0x0b]; 20];
        let full = Response {
            id: Some(&ID),
            token: Some(&TOKEN),
            closer_nodes: Some(CloserNodes::new(&nodes)),
            value: Some(b""),
            ..response()
        };
        let text = "answer tid 4711, 20 closer nodes, value of 0 bytes, token, id abababab…";
        assert_eq!(answered(full), text);
        let one = Response { closer_nodes: Some(CloserNodes::new(&nodes[..1])), ..response() };
        assert_eq!(answered(one), "answer tid 4711, 1 closer node, no id");
        for (error, text) in [(1, "1 (unknown command)"), (2, "2 (invalid token)"), (17, "17")] {
            let text = format!("answer tid 4711, error {text}, no id");
            assert_eq!(answered(Response { error, ..response() }), text);
        }
    }

    #[test]
    fn what_is_no_message() {
        assert_eq!(describe(b""), "not ours: 0 bytes");
        assert_eq!(describe(b"d1:ad2:id20:"), "not ours: 12 bytes");
        let mut buf = [0; 100];
        let len = request().encode(&mut buf).unwrap();
        for cut in 2..len {
            let text = format!("malformed: message is cut off, {cut} bytes");
            assert_eq!(describe(&buf[..cut]), text);
        }
        let huge = [&[0x03][..], &[0xff; 9]].concat();
        assert_eq!(describe(&huge), "malformed: number above 2^53 - 1, 10 bytes");
    }

    proptest! {
        #[test]
        fn any_datagram_is_one_line(
            kind in prop::sample::select(vec![0x03, 0x13, 0x00]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let text = describe(&[&[kind][..], &rest].concat());
            prop_assert!(!text.is_empty() && !text.chars().any(char::is_control), "{}", text);
        }

        #[test]
        fn no_byte_of_a_token_or_value_is_shown(token: [u8; 32], value: [u8; 32], internal: bool) {
            let with = Request { token: Some(&token), value: Some(&value), internal, ..request() };
            let other = Request { token: Some(&TOKEN), value: Some(&TOKEN), ..with };
            prop_assert_eq!(asked(with), asked(other));
            let with = Response { token: Some(&token), value: Some(&value), ..response() };
            let other = Response { token: Some(&TOKEN), value: Some(&TOKEN), ..with };
            prop_assert_eq!(answered(with), answered(other));
        }
    }
}
