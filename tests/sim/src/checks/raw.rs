//! The wire format once more, read by other code than the node's: so that a fault in the one that is
//! under test is not taken for right.

use std::net::{Ipv4Addr, SocketAddrV4};

/// A message, as far as it matters for who has to answer what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub(super) is_request: bool,
    pub(super) tid: u16,
    pub(super) to: SocketAddrV4,
    pub(super) token: Option<&'a [u8]>,
    /// Of a request: whether it is for the node itself.
    pub(super) internal: bool,
    pub(super) command: u64,
    pub(super) target: Option<&'a [u8]>,
    /// Of an answer: how many.
    pub(super) closer_nodes: Option<u64>,
    pub(super) error: u64,
    pub(super) value: Option<&'a [u8]>,
}

const ID: u64 = 1;
const TOKEN: u64 = 2;
/// Of requests: the first and the third; of answers: the second and the fourth.
const INTERNAL: u64 = 4;
const CLOSER_NODES: u64 = 4;
const TARGET: u64 = 8;
const ERROR: u64 = 8;
const VALUE: u64 = 16;
const NUMBER_MAX: u64 = (1 << 53) - 1;
const NODES_MAX: u64 = 0x10_0000;

/// `None`: it is broken, or no message at all.
pub(super) fn parse(bytes: &[u8]) -> Option<Raw<'_>> {
    let mut from = Rest(bytes);
    let is_request = match from.take(1)?[0] {
        0x03 => true,
        0x13 => false,
        _ => return None,
    };
    let flags = from.number()?;
    let has = |flag: u64, of_request: bool| flags & flag != 0 && is_request == of_request;
    let tid = little(from.take(2)?) as u16;
    let to = from.take(6)?;
    let ip = Ipv4Addr::new(to[0], to[1], to[2], to[3]);
    let to = SocketAddrV4::new(ip, little(&to[4..]) as u16);
    from.take(if flags & ID != 0 { 32 } else { 0 })?;
    let token = from.if_there(flags & TOKEN != 0, |from| from.take(32))?;
    let command = from.if_there(is_request, Rest::number)?;
    let target = from.if_there(has(TARGET, true), |from| from.take(32))?;
    let closer_nodes = from.if_there(has(CLOSER_NODES, false), Rest::nodes)?;
    let error = from.if_there(has(ERROR, false), Rest::number)?;
    let value = from.if_there(flags & VALUE != 0, |from| {
        let len = from.number()?;
        from.take(usize::try_from(len).ok()?)
    })?;
    Some(Raw {
        is_request,
        tid,
        to,
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
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let len = match self.take(1)?[0] {
            0xfd => 2,
            0xfe => 4,
            0xff => 8,
            small => return Some(small.into()),
        };
        let number = little(self.take(len)?);
        (number <= NUMBER_MAX).then_some(number)
    }

    fn nodes(&mut self) -> Option<u64> {
        let count = self.number()?;
        self.take(usize::try_from(count).ok().filter(|_| count <= NODES_MAX)? * 6)?;
        Some(count)
    }

    /// `None`: it ought to be there, and is not.
    fn if_there<T>(
        &mut self,
        there: bool,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if there { read(self).map(Some) } else { Some(None) }
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use dht_core::wire::{Message, decode};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// With random ones, what is needed is seldom there: so most are cut out of something long.
        #[test]
        fn both_read_the_same(
            kind in 0..2u8, flags in 0..64u8, bytes in prop::collection::vec(0..=255u8, 0..300),
            small in any::<bool>(),
        ) {
            let mut all = vec![kind << 4 | 3, flags];
            // Numbers that are lengths or counts are small half of the time.
            all.extend(bytes.iter().map(|byte| if small { byte % 4 } else { *byte }));
            let theirs = decode(&all).ok();
            let ours = parse(&all);
            prop_assert_eq!(ours.is_some(), theirs.is_some(), "{:?}", theirs);
            match (ours, theirs) {
                (Some(ours), Some(Message::Request(theirs))) => prop_assert_eq!(
                    (ours.tid, ours.to, ours.token, ours.internal, ours.command, ours.target,
                        ours.value),
                    (theirs.tid, theirs.to, theirs.token.map(|t| &t[..]), theirs.internal,
                        theirs.command, theirs.target.map(|t| &t[..]), theirs.value)
                ),
                (Some(ours), Some(Message::Response(theirs))) => prop_assert_eq!(
                    (ours.tid, ours.to, ours.token, ours.error, ours.value),
                    (theirs.tid, theirs.to, theirs.token.map(|t| &t[..]), theirs.error,
                        theirs.value)
                ),
                _ => {}
            }
        }
    }
}
