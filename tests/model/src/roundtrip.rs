//! Messages made from the bytes, through the encoder and back.

use dht_core::wire::{self, CloserNodes, EncodeError, Message, Request, Response, VARINT_MAX};

use super::Source;

/// What is written is read as the same; it takes as many bytes as was said, and not one
/// beyond; with one byte less nothing is written.
///
/// The input: a byte of switches (1 response, 2 id, 4 token, 8 target or closer nodes,
/// 16 value, 32 internal), tid, address, 32 bytes for all keys, command or error in
/// eight bytes, the count of closer nodes and their addresses; the rest is the value.
pub fn roundtrip(data: &[u8]) {
    let mut source = Source::new(data);
    let switches = source.byte();
    let on = |bit: u8| switches & bit != 0;
    let tid = u16::from_le_bytes(source.array());
    let to = wire::addr_from_bytes(source.array());
    let key = source.array();
    let number = u64::from_le_bytes(source.array());
    let count = source.byte().into();
    let nodes: Vec<[u8; 6]> = (0..count).map(|_| source.array()).collect();
    let value = on(16).then_some(source.rest());
    let (id, token) = (on(2).then_some(&key), on(4).then_some(&key));

    if on(1) {
        let response = Response {
            tid,
            to,
            id,
            token,
            closer_nodes: on(8).then(|| CloserNodes::new(&nodes)),
            error: number,
            value,
        };
        let (message, len) = (Message::Response(response), response.encoded_len());
        check(message, len, number, |buf| response.encode(buf));
    } else {
        let request = Request {
            tid,
            to,
            id,
            token,
            internal: on(32),
            command: number,
            target: on(8).then_some(&key),
            value,
        };
        let (message, len) = (Message::Request(request), request.encoded_len());
        check(message, len, number, |buf| request.encode(buf));
    }
}

fn check(
    message: Message<'_>,
    len: usize,
    number: u64,
    encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
) {
    const UNTOUCHED: u8 = 0xa5;
    let mut buf = vec![UNTOUCHED; len + 16];
    if number > VARINT_MAX {
        assert_eq!(encode(&mut buf), Err(EncodeError::VarintTooLarge));
    } else {
        assert_eq!(encode(&mut buf[..len - 1]), Err(EncodeError::BufferTooSmall));
        assert!(buf.iter().all(|&b| b == UNTOUCHED));
        assert_eq!(encode(&mut buf), Ok(len));
        assert_eq!(wire::decode(&buf[..len]), Ok(message));
        buf.drain(..len);
    }
    assert!(buf.iter().all(|&b| b == UNTOUCHED));
}
