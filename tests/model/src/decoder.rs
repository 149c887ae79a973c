//! A second decoder to hold the real one against. It shares no code with the node's, so a fault in that one
//! is not taken for right.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::wire::{self, DecodeError, Message};

/// A request or a response. A field that this kind does not have, or that was left out, is `None`, `false` or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// A request, otherwise a response.
    pub is_request: bool,
    /// The transaction id.
    pub tid: u16,
    /// The receiver's address, as its sender sees it.
    pub to: SocketAddrV4,
    /// The sender's id.
    pub id: Option<&'a [u8]>,
    /// The token.
    pub token: Option<&'a [u8]>,
    /// Of a request: whether it is for the node itself rather than its application.
    pub internal: bool,
    /// Of a request: the command.
    pub command: u64,
    /// Of a request: the target.
    pub target: Option<&'a [u8]>,
    /// Of a response: all closer nodes, six bytes each.
    pub closer_nodes: Option<&'a [u8]>,
    /// Of a response: the error code.
    pub error: u64,
    /// The value.
    pub value: Option<&'a [u8]>,
}

const ID: u64 = 1;
const TOKEN: u64 = 2;
/// Bits 4 and 8 mean one thing in requests and another in responses.
const INTERNAL: u64 = 4;
const CLOSER_NODES: u64 = 4;
const TARGET: u64 = 8;
const ERROR: u64 = 8;
const VALUE: u64 = 16;
const NUMBER_MAX: u64 = (1 << 53) - 1;
const NODES_MAX: u64 = 0x10_0000;
/// Closer nodes that are read; the rest of the field is skipped.
const NODES_READ: usize = 20;

/// Panics unless both decoders make the same of `data`.
///
/// # Panics
/// If they differ.
pub fn assert_agrees(data: &[u8]) {
    match (wire::decode(data), parse(data)) {
        (Ok(Message::Request(ours)), Ok(raw)) => assert_eq!(of_request(&ours), raw, "{data:02x?}"),
        (Ok(Message::Response(ours)), Ok(raw)) => {
            let nodes =
                ours.closer_nodes.map(|nodes| (nodes.len(), nodes.iter().collect::<Vec<_>>()));
            assert_eq!(nodes, raw.closer_nodes.map(addresses), "{data:02x?}");
            assert_eq!(of_response(&ours), Raw { closer_nodes: None, ..raw }, "{data:02x?}");
        }
        (Err(ours), Err(raw)) => assert_eq!(ours, raw, "{data:02x?}"),
        (ours, raw) => panic!("{ours:?} is {raw:?} to the other decoder: {data:02x?}"),
    }
}

/// Reads a message.
///
/// # Errors
/// If it is broken, or no message at all.
pub fn parse(bytes: &[u8]) -> Result<Raw<'_>, DecodeError> {
    let mut from = Rest(bytes);
    let is_request = match bytes {
        [0x03, _, ..] => true,
        [0x13, _, ..] => false,
        _ => return Err(DecodeError::NotOurs),
    };
    from.take(1)?;
    let flags = from.number()?;
    let has = |flag: u64, of_request: bool| flags & flag != 0 && is_request == of_request;
    let tid = little(from.take(2)?) as u16;
    let to = address(from.take(6)?);
    let id = from.if_there(flags & ID != 0, |from| from.take(32))?;
    let token = from.if_there(flags & TOKEN != 0, |from| from.take(32))?;
    let command = from.if_there(is_request, Rest::number)?;
    let target = from.if_there(has(TARGET, true), |from| from.take(32))?;
    let closer_nodes = from.if_there(has(CLOSER_NODES, false), Rest::nodes)?;
    let error = from.if_there(has(ERROR, false), Rest::number)?;
    let value = from.if_there(flags & VALUE != 0, |from| {
        let len = from.number()?;
        from.take(usize::try_from(len).unwrap_or(usize::MAX))
    })?;
    Ok(Raw {
        is_request,
        tid,
        to,
        id,
        token,
        internal: has(INTERNAL, true),
        command: command.unwrap_or(0),
        target,
        closer_nodes,
        error: error.unwrap_or(0),
        value,
    })
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let len = match self.take(1)?[0] {
            0xfd => 2,
            0xfe => 4,
            0xff => 8,
            small => return Ok(small.into()),
        };
        let number = little(self.take(len)?);
        if number <= NUMBER_MAX { Ok(number) } else { Err(DecodeError::VarintTooLarge) }
    }

    fn nodes(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.number()? {
            count if count <= NODES_MAX => self.take(count as usize * 6),
            _ => Err(DecodeError::TooManyNodes),
        }
    }

    fn if_there<T>(
        &mut self,
        there: bool,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if there { read(self).map(Some) } else { Ok(None) }
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn address(bytes: &[u8]) -> SocketAddrV4 {
    let ip = Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]);
    SocketAddrV4::new(ip, little(&bytes[4..]) as u16)
}

/// The number of addresses, and the addresses that a node reads.
fn addresses(bytes: &[u8]) -> (usize, Vec<SocketAddrV4>) {
    (bytes.len() / 6, bytes.chunks(6).take(NODES_READ).map(address).collect())
}

fn of_request<'a>(ours: &wire::Request<'a>) -> Raw<'a> {
    Raw {
        is_request: true,
        tid: ours.tid,
        to: ours.to,
        id: ours.id.map(|id| &id[..]),
        token: ours.token.map(|token| &token[..]),
        internal: ours.internal,
        command: ours.command,
        target: ours.target.map(|target| &target[..]),
        closer_nodes: None,
        error: 0,
        value: ours.value,
    }
}

fn of_response<'a>(ours: &wire::Response<'a>) -> Raw<'a> {
    Raw {
        is_request: false,
        tid: ours.tid,
        to: ours.to,
        id: ours.id.map(|id| &id[..]),
        token: ours.token.map(|token| &token[..]),
        internal: false,
        command: 0,
        target: None,
        closer_nodes: None,
        error: ours.error,
        value: ours.value,
    }
}
