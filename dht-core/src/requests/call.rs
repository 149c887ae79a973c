//! What is asked of somebody, and what for. How it is under way is in [`inflight`](crate::requests::inflight).

use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;

use crate::api::message::{QueryId, SessionId, Via};
use crate::id::Id;
use crate::requests::congestion::Class;
use crate::wire::Token;
use crate::wire::command::FIND_NODE;

/// What is asked, from the least to the most that an answer says of a node's use to a table. Who leaves one
/// unanswered is there again once it answers the like, or more: a node that answers PINGs and nothing else is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// PING and the like.
    Ping,
    /// A command of an application, which a node may leave unanswered for reasons of its own.
    Command,
    /// Whom do you know? Every node answers that.
    FindNode,
}

/// What a request is for, and so what happens when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The embedder's own: the result waits in the slot until it is taken.
    User,
    /// A step of a query: which of its nodes is asked, and how often that was seen before, if it
    /// is in the table.
    Visit { query: QueryId, node: u16, seen: u8 },
    /// What was a visit of a query that is over, or could not wait for it: is the node still there?
    Late { seen: u8 },
    /// What do the silent of a query hide? To one of its nodes that has answered.
    Gap { query: QueryId, node: u16 },
    /// A commit to one of a query's closest; `again` once the token was renewed.
    Commit { query: QueryId, to: u16, again: bool },
    /// Is this node of the table still there?
    Check { seen: u8, hinted: bool },
    /// The same, with a newcomer waiting for its place, which may have to prove itself yet.
    Swap { seen: u8, newcomer: SocketAddrV4, verified: bool },
    /// Does a node that claims an id answer?
    Verify,
    /// A node is told that another is down; `seen` as with a visit.
    Hint { seen: u8 },
    /// The one early try whether anybody can reach the server socket.
    QuickNat,
    /// A part of the firewall check.
    Probe,
    /// What does a node see as our address? `users`: it is a bootstrap node.
    View { users: bool },
}

impl Purpose {
    /// Whether silence says that a node is down. Not what is the user's affair, nor what a firewall keeps out.
    pub(crate) const fn judges(self) -> bool {
        !matches!(
            self,
            Self::User | Self::Verify | Self::QuickNat | Self::Probe | Self::View { .. }
        )
    }

    /// Whether it is asked just to know that: then as often as it takes.
    pub(crate) const fn asks_to_judge(self) -> bool {
        matches!(self, Self::Late { .. } | Self::Check { .. } | Self::Swap { .. })
    }
}

/// What to send, and how.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) to: SocketAddrV4,
    pub(crate) via: Via,
    pub(crate) internal: bool,
    pub(crate) command: u64,
    pub(crate) target: Option<Id>,
    pub(crate) token: Option<Token>,
    pub(crate) value: Option<Bytes>,
    pub(crate) ttl: Option<u8>,
    pub(crate) retries: u8,
    /// Added to the time-out of every try.
    pub(crate) delay: Duration,
    pub(crate) class: Class,
    /// Past the congestion window.
    pub(crate) force: bool,
    pub(crate) any_replier: bool,
    pub(crate) session: Option<SessionId>,
    pub(crate) purpose: Purpose,
}

impl Call {
    pub(crate) const fn question(&self) -> Question {
        match self.command {
            _ if !self.internal => Question::Command,
            FIND_NODE => Question::FindNode,
            _ => Question::Ping,
        }
    }
}

/// What a part of the node wants to ask of a node.
pub(crate) struct Ask {
    pub(crate) to: SocketAddrV4,
    /// An internal one. FIND_NODE asks a node for its neighbours.
    pub(crate) command: u64,
    pub(crate) value: Option<Bytes>,
    pub(crate) class: Class,
    pub(crate) purpose: Purpose,
}

impl Ask {
    pub(crate) const fn new(
        to: SocketAddrV4,
        command: u64,
        class: Class,
        purpose: Purpose,
    ) -> Self {
        Self { to, command, value: None, class, purpose }
    }
}
