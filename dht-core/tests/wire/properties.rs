//! Properties of the codec, and its agreement with a second decoder.

use std::net::SocketAddrV4;

use dht_core::wire::{
    self, CloserNodes, DecodeError, EncodeError, Message, Request, Response, VARINT_MAX,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use dht_model::decoder;

/// What a message borrows from.
#[derive(Clone, Debug)]
struct Owned {
    tid: u16,
    to: SocketAddrV4,
    id: Option<[u8; 32]>,
    token: Option<[u8; 32]>,
    internal: bool,
    /// Command or error.
    number: u64,
    target: Option<[u8; 32]>,
    closer_nodes: Option<Vec<[u8; 6]>>,
    value: Option<Vec<u8>>,
}

impl Owned {
    fn request(&self) -> Request<'_> {
        Request {
            tid: self.tid,
            to: self.to,
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            internal: self.internal,
            command: self.number,
            target: self.target.as_ref(),
            value: self.value.as_deref(),
        }
    }

    fn response(&self) -> Response<'_> {
        Response {
            tid: self.tid,
            to: self.to,
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            closer_nodes: self.closer_nodes.as_deref().map(CloserNodes::new),
            error: self.number,
            value: self.value.as_deref(),
        }
    }

    fn messages(&self) -> [Message<'_>; 2] {
        [Message::Request(self.request()), Message::Response(self.response())]
    }
}

fn encode(message: &Message<'_>, buf: &mut [u8]) -> Result<usize, EncodeError> {
    match message {
        Message::Request(request) => request.encode(buf),
        Message::Response(response) => response.encode(buf),
    }
}

fn encoded_len(message: &Message<'_>) -> usize {
    match message {
        Message::Request(request) => request.encoded_len(),
        Message::Response(response) => response.encoded_len(),
    }
}

fn bytes_of(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; encoded_len(message)];
    assert_eq!(encode(message, &mut bytes), Ok(bytes.len()));
    bytes
}

/// Numbers of every width, and the edges between the widths.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u32..=53).prop_flat_map(|bits| 0..=(1u64 << bits) - 1),
        prop::sample::select(vec![
            0,
            0xfc,
            0xfd,
            0xffff,
            0x1_0000,
            0xffff_ffff,
            1 << 32,
            VARINT_MAX,
        ]),
    ]
}

fn owned() -> impl Strategy<Value = Owned> {
    let head = (any::<u16>(), any::<[u8; 6]>(), any::<bool>(), number());
    let keys = (
        option::of(any::<[u8; 32]>()),
        option::of(any::<[u8; 32]>()),
        option::of(any::<[u8; 32]>()),
    );
    let rest = (option::of(vec(any::<[u8; 6]>(), 0..=20)), option::of(vec(any::<u8>(), 0..300)));
    (head, keys, rest).prop_map(
        |((tid, to, internal, number), (id, token, target), (closer_nodes, value))| Owned {
            tid,
            to: wire::addr_from_bytes(to),
            id,
            token,
            internal,
            number,
            target,
            closer_nodes,
            value,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(owned in owned(), tail in vec(any::<u8>(), 0..8)) {
        for message in owned.messages() {
            let mut bytes = bytes_of(&message);
            prop_assert_eq!(wire::decode(&bytes), Ok(message));
            decoder::assert_agrees(&bytes);
            bytes.extend(&tail);
            prop_assert_eq!(wire::decode(&bytes), Ok(message));
        }
    }

    /// The flags promise every field, so a message cut anywhere is cut inside one.
    #[test]
    fn a_cut_message_is_refused(owned in owned()) {
        for message in owned.messages() {
            let bytes = bytes_of(&message);
            for cut in 0..bytes.len() {
                let expected = if cut < 2 { DecodeError::NotOurs } else { DecodeError::Truncated };
                prop_assert_eq!(wire::decode(&bytes[..cut]), Err(expected));
            }
        }
    }

    #[test]
    fn a_buffer_is_written_as_far_as_the_message_goes_or_not_at_all(owned in owned()) {
        for message in owned.messages() {
            let bytes = bytes_of(&message);
            for room in 0..bytes.len() {
                let mut buf = vec![0xa5; room];
                prop_assert_eq!(encode(&message, &mut buf), Err(EncodeError::BufferTooSmall));
                prop_assert!(buf.iter().all(|&b| b == 0xa5));
            }
            let mut buf = vec![0xa5; bytes.len() + 40];
            prop_assert_eq!(encode(&message, &mut buf), Ok(bytes.len()));
            prop_assert_eq!(&buf[..bytes.len()], &bytes[..]);
            prop_assert!(buf[bytes.len()..].iter().all(|&b| b == 0xa5));
        }
    }

    #[test]
    fn noise_is_read_as_the_naive_decoder_reads_it(data in vec(any::<u8>(), 0..200)) {
        decoder::assert_agrees(&data);
    }

    /// Noise behind a first byte of ours gets further.
    #[test]
    fn noise_of_our_kind_is_read_as_the_naive_decoder_reads_it(
        first in prop::sample::select(vec![0x03u8, 0x13]),
        flags in prop_oneof![4 => 0..32u8, 1 => any::<u8>()],
        noise in vec(any::<u8>(), 0..200),
    ) {
        decoder::assert_agrees(&[&[first, flags][..], &noise].concat());
    }

    /// One byte off in a good message: lengths, counts, flags and marks come under fire.
    #[test]
    fn damage_is_read_as_the_naive_decoder_reads_it(
        owned in owned(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), Just(0xfd), Just(0xfe), Just(0xff)],
    ) {
        for message in owned.messages() {
            let mut bytes = bytes_of(&message);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            decoder::assert_agrees(&bytes);
        }
    }

    #[test]
    fn addresses_are_six_bytes_both_ways(bytes in any::<[u8; 6]>()) {
        prop_assert_eq!(wire::addr_bytes(wire::addr_from_bytes(bytes)), bytes);
    }
}
