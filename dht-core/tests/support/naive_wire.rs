//! A second decoder to hold the real one against. It takes one byte at a time,
//! copies everything, and follows the tables of the protocol line by line.

use std::net::SocketAddrV4;
use std::slice;

use dht_core::wire::{self, DecodeError, Message};

/// A request or a response; what the other kind has is `None`.
#[derive(Debug, PartialEq)]
struct Naive {
    is_request: bool,
    tid: u16,
    to: Address,
    id: Option<Vec<u8>>,
    token: Option<Vec<u8>>,
    internal: Option<bool>,
    command: Option<u64>,
    target: Option<Vec<u8>>,
    /// How many were announced, and those of them that are to be read.
    closer_nodes: Option<(usize, Vec<Address>)>,
    error: Option<u64>,
    value: Option<Vec<u8>>,
}

/// The octets as one number, and the port.
type Address = (u128, u128);

/// Panics unless both decoders make the same of `data`.
pub(crate) fn assert_agrees(data: &[u8]) {
    let ours = wire::decode(data).map(|message| flatten(&message));
    assert_eq!(ours, read(data), "{data:02x?}");
}

fn read(data: &[u8]) -> Result<Naive, DecodeError> {
    let mut tape = Tape(data.iter());
    if data.len() < 2 || data[0] % 16 != 3 || data[0] / 16 > 1 {
        return Err(DecodeError::NotOurs);
    }
    let is_request = tape.number(1)? == 3;
    let flags = tape.varint()?;
    let has = |bit: u32| flags >> bit & 1 == 1;

    let tid = tape.number(2)? as u16;
    let to = tape.address()?;
    let id = if has(0) { Some(tape.take(32)?) } else { None };
    let token = if has(1) { Some(tape.take(32)?) } else { None };
    let mut naive = Naive {
        is_request,
        tid,
        to,
        id,
        token,
        internal: None,
        command: None,
        target: None,
        closer_nodes: None,
        error: None,
        value: None,
    };
    if is_request {
        naive.internal = Some(has(2));
        naive.command = Some(tape.varint()?);
        if has(3) {
            naive.target = Some(tape.take(32)?);
        }
    } else {
        if has(2) {
            let count = tape.varint()?;
            if count > 1 << 20 {
                return Err(DecodeError::TooManyNodes);
            }
            let mut nodes = vec![];
            for _ in 0..count {
                nodes.push(tape.address()?);
            }
            nodes.truncate(20);
            naive.closer_nodes = Some((count as usize, nodes));
        }
        naive.error = Some(if has(3) { tape.varint()? } else { 0 });
    }
    if has(4) {
        let len = tape.varint()?;
        naive.value = Some(tape.take(len)?);
    }
    Ok(naive)
}

fn flatten(message: &Message<'_>) -> Naive {
    match *message {
        Message::Request(m) => Naive {
            is_request: true,
            tid: m.tid,
            to: address(m.to),
            id: m.id.map(|key| key.to_vec()),
            token: m.token.map(|key| key.to_vec()),
            internal: Some(m.internal),
            command: Some(m.command),
            target: m.target.map(|key| key.to_vec()),
            closer_nodes: None,
            error: None,
            value: m.value.map(<[u8]>::to_vec),
        },
        Message::Response(m) => Naive {
            is_request: false,
            tid: m.tid,
            to: address(m.to),
            id: m.id.map(|key| key.to_vec()),
            token: m.token.map(|key| key.to_vec()),
            internal: None,
            command: None,
            target: None,
            closer_nodes: m.closer_nodes.map(|nodes| {
                let read = nodes.iter().map(address).collect();
                (nodes.len(), read)
            }),
            error: Some(m.error),
            value: m.value.map(<[u8]>::to_vec),
        },
    }
}

fn address(addr: SocketAddrV4) -> Address {
    (u32::from(*addr.ip()).into(), addr.port().into())
}

struct Tape<'a>(slice::Iter<'a, u8>);

impl Tape<'_> {
    fn take(&mut self, count: u64) -> Result<Vec<u8>, DecodeError> {
        let mut taken = vec![];
        while (taken.len() as u64) < count {
            taken.push(*self.0.next().ok_or(DecodeError::Truncated)?);
        }
        Ok(taken)
    }

    /// Of `width` bytes, the least significant first.
    fn number(&mut self, width: u32) -> Result<u128, DecodeError> {
        let mut n = 0;
        for place in 0..width {
            let byte = *self.0.next().ok_or(DecodeError::Truncated)?;
            n += u128::from(byte) * 256u128.pow(place);
        }
        Ok(n)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let n = match self.number(1)? {
            253 => self.number(2)?,
            254 => self.number(4)?,
            255 => self.number(8)?,
            small => small,
        };
        if n >= 1 << 53 {
            return Err(DecodeError::VarintTooLarge);
        }
        Ok(n as u64)
    }

    fn address(&mut self) -> Result<Address, DecodeError> {
        let mut host = 0;
        for _ in 0..4 {
            host = host * 256 + self.number(1)?;
        }
        Ok((host, self.number(2)?))
    }
}
