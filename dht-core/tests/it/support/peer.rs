//! Scripted peers: how they answer requests.

use std::net::SocketAddrV4;
use std::time::Duration;

use dht_core::Id;
use dht_core::wire;

use super::PING_NAT;
use super::forge::Forged;

/// The round trip to a peer that answers at once.
pub const RTT: Duration = Duration::from_millis(20);

/// How a peer behaves: by default it answers everything at once, with its id and a token.
#[derive(Clone, Debug)]
pub struct Peer {
    pub up: bool,
    /// Whether its answers carry its id.
    pub has_id: bool,
    /// The address that it claims to see, if not the true one.
    pub sees: Option<SocketAddrV4>,
    /// Whether its answers to PING_NAT arrive.
    pub reaches: bool,
    /// Which nodes it names.
    pub closer: Vec<SocketAddrV4>,
    /// Whether it names only the 20 of them closest to the target, like a real node.
    pub sorts: bool,
    /// Which internal commands it leaves unanswered.
    pub ignores: &'static [u64],
    /// Whether it leaves the commands of an application unanswered.
    pub ignores_commands: bool,
    /// Whether it leaves requests with a token unanswered.
    pub ignores_commits: bool,
    /// How many datagrams it ignores first.
    pub deaf: u32,
    /// How long after a request its answer arrives.
    pub rtt: Duration,
    pub token: Option<[u8; 32]>,
    pub error: u64,
    pub value: Option<Vec<u8>>,
    /// How it answers requests with a token, one after the other: the error and the token of each
    /// answer. Empty: like any request.
    pub commits: Vec<(u64, Option<[u8; 32]>)>,
}

impl Peer {
    pub fn naming(nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        Self { closer: nodes.into_iter().collect(), ..Self::default() }
    }

    pub fn knowing(nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        Self { sorts: true, ..Self::naming(nodes) }
    }

    fn ignores(&mut self, request: &wire::Request<'_>) -> bool {
        if self.deaf > 0 {
            self.deaf = self.deaf.saturating_sub(u32::from(self.deaf != u32::MAX));
            return true;
        }
        let ignored = match request.internal {
            true => self.ignores.contains(&request.command),
            false => self.ignores_commands,
        };
        let unreachable = request.internal && request.command == PING_NAT && !self.reaches;
        !self.up || ignored || unreachable || request.token.is_some() && self.ignores_commits
    }

    /// The nodes that the peer names: none for an internal request without a target.
    fn names(&self, request: &wire::Request<'_>) -> Vec<SocketAddrV4> {
        let mut nodes = self.closer.clone();
        match request.target {
            Some(target) if self.sorts => {
                nodes.sort_by_cached_key(|addr| Id::of(*addr).distance(&Id(*target)));
                nodes.truncate(20);
            }
            None if request.internal => nodes.clear(),
            _ => {}
        }
        nodes
    }

    /// The answer of the peer at `own`, if it gives one; the node is truly at `node`.
    pub fn answer(
        &mut self,
        own: SocketAddrV4,
        node: SocketAddrV4,
        request: &wire::Request<'_>,
    ) -> Option<Vec<u8>> {
        if self.ignores(request) {
            return None;
        }
        let (mut error, mut token) = (self.error, self.token);
        if request.token.is_some() && !self.commits.is_empty() {
            (error, token) = self.commits.remove(0);
        }
        let answer = Forged {
            to: self.sees.unwrap_or(node),
            id: self.has_id.then_some(Id::of(own).0),
            token,
            error,
            value: self.value.clone(),
            nodes: self.names(request),
        };
        Some(answer.bytes(request.tid))
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            up: true,
            has_id: true,
            sees: None,
            reaches: true,
            closer: Vec::new(),
            sorts: false,
            ignores: &[],
            ignores_commands: false,
            ignores_commits: false,
            deaf: 0,
            rtt: RTT,
            token: Some([7; 32]),
            error: 0,
            value: None,
            commits: Vec::new(),
        }
    }
}
