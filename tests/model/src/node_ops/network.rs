//! Datagrams out and in: what the node sends, and whatever the network might say to it.

use std::net::SocketAddrV4;

use dht_core::wire::{self, CloserNodes, Message};
use dht_core::{DATAGRAM_MAX, Handled, Id, Instant, Node, Transmit, Via};

use super::super::Source;
use super::map::{addr, own, via};
use super::{World, keep, nth_latest};

impl World {
    pub(super) fn transmit(&mut self, only: Option<Via>, most: usize) {
        let mut buf = [0; DATAGRAM_MAX];
        for _ in 0..most {
            let transmit = match only {
                Some(via) => self.node.poll_transmit_via(self.now, via, &mut buf),
                None => self.node.poll_transmit(self.now, &mut buf),
            };
            let Some(transmit) = transmit else { break };
            self.sent(transmit, &buf);
        }
    }

    pub(super) fn sent(&mut self, transmit: Transmit, buf: &[u8; DATAGRAM_MAX]) {
        let bytes = &buf[..transmit.len];
        assert!(bytes.len() <= self.node.config().max_datagram);
        assert!(transmit.to.port() != 0 && !transmit.to.ip().is_unspecified());
        let id = match wire::decode(bytes).expect("what is sent can be read") {
            Message::Request(request) => {
                assert_eq!(request.to, transmit.to);
                request.id.copied()
            }
            Message::Response(response) => {
                if let Some(token) = response.token {
                    self.tokens.insert(transmit.to, *token);
                }
                response.id.copied()
            }
        };
        // Requests keep the id of their first try, hence no equality with `node.id()`.
        assert!(id.is_none() || transmit.via == Via::Server, "an id by another socket");
        keep(&mut self.sent, (transmit, bytes.to_vec()));
    }

    /// A peer answers one of the node's requests, well or badly.
    pub(super) fn answer(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let Some((transmit, bytes)) = nth_latest(&self.sent, which) else { return };
        let Ok(Message::Request(request)) = wire::decode(bytes) else { return };
        let from = if how & 0xc0 == 0xc0 { addr(source.byte()) } else { transmit.to };
        let tid = if how & 0xe0 == 0xa0 { source.byte().into() } else { request.tid };
        let more = source.byte();
        let id = match more & 3 {
            0 => None,
            1 => Some([more; 32]),
            _ => Some(*Id::of(from).as_bytes()),
        };
        let count = if how & 1 != 0 { source.byte() % 24 } else { 0 };
        let nodes: Vec<_> = (0..count).map(|_| wire::addr_bytes(addr(source.byte()))).collect();
        let response = wire::Response {
            tid,
            to: if more & 4 != 0 { addr(source.byte()) } else { own(transmit.via) },
            id: id.as_ref(),
            token: (how & 2 != 0).then_some(&[7; 32]),
            closer_nodes: (how & 1 != 0).then(|| CloserNodes::new(&nodes)),
            error: if how & 4 != 0 { u64::from(source.byte() & 3) } else { 0 },
            value: (how & 8 != 0).then_some(b"value"),
        };
        let mut buf = vec![0; response.encoded_len()];
        response.encode(&mut buf).expect("it fits");
        let via = if more & 8 != 0 { via(source.byte()) } else { transmit.via };
        self.deliver(via, from, &buf);
    }

    /// A peer asks the node.
    pub(super) fn ask(&mut self, source: &mut Source<'_>) {
        let (how, from) = (source.byte(), addr(source.byte()));
        let command = source.byte();
        let (internal, command) = (command & 8 == 0, u64::from(command & 7));
        let tokens = self.tokens.get(&from).copied();
        let id = match how & 3 {
            0 => None,
            1 => Some([how; 32]),
            _ => Some(*Id::of(from).as_bytes()),
        };
        let value = match command {
            1 => source.array::<2>().to_vec(),
            3 => wire::addr_bytes(addr(source.byte())).to_vec(),
            // Up to about 16 s.
            4 => (u32::from(source.byte()) << 6).to_le_bytes().to_vec(),
            _ => vec![how; 5],
        };
        let target = [how; 32];
        let request = wire::Request {
            tid: source.byte().into(),
            to: own(Via::Server),
            id: id.as_ref(),
            token: match how >> 2 & 3 {
                0 => Some(&[9; 32]),
                1 => tokens.as_ref(),
                _ => None,
            },
            internal,
            command,
            target: (how & 16 == 0).then_some(&target),
            value: (how & 32 == 0).then_some(&value[..]),
        };
        let mut buf = vec![0; request.encoded_len()];
        request.encode(&mut buf).expect("it fits");
        self.deliver(via(how >> 6), from, &buf);
    }

    /// Bytes that the node has sent come back, changed in some places or cut.
    pub(super) fn echo(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let Some((transmit, bytes)) = nth_latest(&self.sent, which) else { return };
        let (mut bytes, from, via) = (bytes.clone(), transmit.to, transmit.via);
        for _ in 0..how & 3 {
            let at = usize::from(u16::from_le_bytes(source.array())) % bytes.len();
            bytes[at] ^= source.byte();
        }
        if how & 4 != 0 {
            bytes.truncate(usize::from(source.byte()));
        }
        if how & 8 != 0 {
            bytes.resize(DATAGRAM_MAX + usize::from(how >> 4) - 8, how);
        }
        self.deliver(via, from, &bytes);
    }

    pub(super) fn deliver(&mut self, via: Via, from: SocketAddrV4, bytes: &[u8]) {
        let before = self.node.clone();
        if let Handled::Request(incoming) = self.node.handle_datagram(self.now, via, from, bytes) {
            assert_eq!(incoming.reply_to.from(), from);
            assert!(incoming.from.id.is_none_or(|id| id == Id::of(from)));
            keep(&mut self.incoming, incoming.reply_to);
        }
        // A peer that answers a request that was given up is suspected no more, and named again.
        let trusted = before.suspects(from) && !self.node.suspects(from);
        if ignored(&self.node) > ignored(&before) && !trusted {
            // No answer to it, and nothing else that would not have been sent anyway. The
            // comparison begins where time has been noticed in both.
            let mut before = before;
            before.maintain(self.now, true);
            let mut after = self.node.clone();
            after.maintain(self.now, true);
            assert_eq!(after.table_len(), before.table_len());
            assert_eq!(after.poll_timeout(), before.poll_timeout());
            assert!(drain(after, self.now) == drain(before, self.now), "it had an effect");
        }
    }
}

/// What came in and can't have meant anything.
fn ignored(node: &Node) -> u64 {
    let drops = node.stats().drops;
    drops.not_ours
        + drops.oversize
        + drops.malformed
        + drops.bad_source
        + drops.suspended
        + drops.unsolicited
}

fn drain(mut node: Node, now: Instant) -> Vec<(Transmit, Vec<u8>)> {
    let mut buf = [0; DATAGRAM_MAX];
    let mut sent = Vec::new();
    while let Some(transmit) = node.poll_transmit(now, &mut buf) {
        sent.push((transmit, buf[..transmit.len].to_vec()));
    }
    sent
}
