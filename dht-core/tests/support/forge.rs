//! Messages made by hand, and scripted peers that answer with them.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::Id;
use dht_core::wire;

use super::solo::LATENCY;
use super::{CLIENT, SERVER};

/// How somebody out there answers whatever they are asked.
#[derive(Clone, Debug)]
pub struct Fake {
    pub latency: Duration,
    /// Sends the id of its address.
    pub id: bool,
    pub token: Option<[u8; 32]>,
    pub error: u64,
    pub value: Option<Vec<u8>>,
    pub nodes: Vec<SocketAddrV4>,
    /// Names those of them that are closest to the target, 20 at most, like a real node.
    pub sorts: bool,
    /// How many datagrams it ignores first.
    pub deaf: u32,
    /// What it does on datagrams with a token, one after the other: the error and the token
    /// of its answer. Empty: nothing special.
    pub commits: Vec<(u64, Option<[u8; 32]>)>,
    /// Ignores datagrams with a token.
    pub commits_ignored: bool,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            latency: LATENCY,
            id: true,
            token: Some([7; 32]),
            error: 0,
            value: None,
            nodes: Vec::new(),
            sorts: false,
            deaf: 0,
            commits: Vec::new(),
            commits_ignored: false,
        }
    }
}

impl Fake {
    pub fn naming(nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        Self { nodes: nodes.into_iter().collect(), ..Self::default() }
    }

    pub fn knowing(nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        Self { sorts: true, ..Self::naming(nodes) }
    }

    fn names(&self, target: Option<&[u8; 32]>) -> Vec<SocketAddrV4> {
        let mut nodes = self.nodes.clone();
        if let Some(target) = target.filter(|_| self.sorts) {
            nodes.sort_by_cached_key(|addr| Id::of(*addr).distance(&Id(*target)));
            nodes.truncate(20);
        }
        nodes
    }

    pub fn answer(&mut self, from: SocketAddrV4, request: &wire::Request<'_>) -> Option<Vec<u8>> {
        if self.deaf > 0 {
            self.deaf = self.deaf.saturating_sub(u32::from(self.deaf != u32::MAX));
            return None;
        }
        if request.token.is_some() && self.commits_ignored {
            return None;
        }
        let (mut error, mut token) = (self.error, self.token);
        if request.token.is_some() && !self.commits.is_empty() {
            (error, token) = self.commits.remove(0);
        }
        let id = Id::of(from);
        let answer = Forged {
            id: self.id.then_some(*id.as_bytes()),
            token,
            error,
            value: self.value.clone(),
            nodes: self.names(request.target),
        };
        Some(answer.bytes(request.tid))
    }
}

/// A response made by hand.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    pub id: Option<[u8; 32]>,
    pub token: Option<[u8; 32]>,
    pub error: u64,
    pub value: Option<Vec<u8>>,
    pub nodes: Vec<SocketAddrV4>,
}

impl Forged {
    /// An answer as `from` would honestly give it.
    pub fn by(from: SocketAddrV4) -> Self {
        Self { id: Some(*Id::of(from).as_bytes()), ..Self::default() }
    }

    pub fn bytes(&self, tid: u16) -> Vec<u8> {
        let response = wire::Response {
            tid,
            to: CLIENT,
            id: self.id.as_ref(),
            token: self.token.as_ref(),
            closer_nodes: None,
            error: self.error,
            value: self.value.as_deref(),
        };
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        if let Some(count) = u8::try_from(self.nodes.len()).ok().filter(|count| *count > 0) {
            // Put in by hand: liars send more of them than the codec would.
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
