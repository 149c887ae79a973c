//! Messages made by hand.

use std::net::SocketAddrV4;

use dht_core::Id;
use dht_core::wire;

use super::{CLIENT, SERVER};

/// A response made by hand.
#[derive(Clone, Debug)]
pub struct Forged {
    /// Where its sender sees the node.
    pub to: SocketAddrV4,
    pub id: Option<[u8; 32]>,
    pub token: Option<[u8; 32]>,
    pub error: u64,
    pub value: Option<Vec<u8>>,
    pub nodes: Vec<SocketAddrV4>,
}

impl Forged {
    /// A response as an honest peer at `from` would give it.
    pub fn by(from: SocketAddrV4) -> Self {
        Self { id: Some(*Id::of(from).as_bytes()), ..Self::default() }
    }

    pub fn bytes(&self, tid: u16) -> Vec<u8> {
        let response = wire::Response {
            tid,
            to: self.to,
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            closer_nodes: None,
            error: self.error,
            value: self.value.as_deref(),
        };
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        if let Some(count) = u8::try_from(self.nodes.len()).ok().filter(|count| *count > 0) {
            // Encoded by hand: liars name more nodes than the codec would write.
            let keys = usize::from(self.id.is_some()) + usize::from(self.token.is_some());
            let nodes = self.nodes.iter().flat_map(|addr| wire::addr_bytes(*addr));
            let field: Vec<u8> = std::iter::once(count).chain(nodes).collect();
            let at = 10 + 32 * keys;
            bytes.splice(at..at, field);
            bytes[1] |= 4;
        }
        bytes
    }
}

impl Default for Forged {
    fn default() -> Self {
        let (id, token, value) = (None, None, None);
        Self { to: CLIENT, id, token, error: 0, value, nodes: Vec::new() }
    }
}

/// A request made by hand.
#[derive(Clone, Debug)]
pub struct Ask {
    pub tid: u16,
    pub id: Option<[u8; 32]>,
    pub token: Option<[u8; 32]>,
    pub internal: bool,
    pub command: u64,
    pub target: Option<Id>,
    pub value: Option<Vec<u8>>,
}

impl Ask {
    pub fn internal(command: u64) -> Self {
        Self { internal: true, ..Self::user(command) }
    }

    pub fn user(command: u64) -> Self {
        let (id, token, target, value) = (None, None, None, None);
        Self { tid: 0x1234, id, token, internal: false, command, target, value }
    }

    pub fn target(self, target: Id) -> Self {
        Self { target: Some(target), ..self }
    }

    pub fn value(self, value: &[u8]) -> Self {
        Self { value: Some(value.to_vec()), ..self }
    }

    pub fn token(self, token: [u8; 32]) -> Self {
        Self { token: Some(token), ..self }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let request = wire::Request {
            tid: self.tid,
            to: SERVER,
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            internal: self.internal,
            command: self.command,
            target: self.target.as_ref().map(Id::as_bytes),
            value: self.value.as_deref(),
        };
        let mut bytes = vec![0; request.encoded_len()];
        request.encode(&mut bytes).unwrap();
        bytes
    }
}
