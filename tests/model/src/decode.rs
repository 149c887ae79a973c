//! Any bytes at all into the decoder.

use dht_core::wire::{self, Message};

use super::decoder;

/// Decoding is total, agrees with the second decoder, and what was read means the same
/// once written again.
pub fn decode(data: &[u8]) {
    decoder::assert_agrees(data);
    let Ok(message) = wire::decode(data) else {
        return;
    };
    let mut buf = vec![0; data.len()];
    // Ours is the shortest form, so it fits where the message came from.
    let len = match message {
        Message::Request(request) => request.encode(&mut buf),
        Message::Response(response) => response.encode(&mut buf),
    }
    .expect("what was read can be written");
    assert_eq!(wire::decode(&buf[..len]), Ok(message));
}
