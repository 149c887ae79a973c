//! A call: what a node is asked, and what for. [`inflight`](crate::requests::inflight) keeps it while it is under way.

use core::net::SocketAddrV4;

use crate::api::ask::Request;
use crate::api::message::{QueryId, Via};
use crate::requests::congestion::Class;
use crate::wire::command::FIND_NODE;

/// Kinds of questions, in the order of what an answer says of a node's use to a table. A node that left a question
/// unanswered counts as present again once it answers one of the same or a higher kind: a node that answers only
/// PINGs is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// PING and the like.
    Ping,
    /// A command of an application, which a node may leave unanswered for reasons of its own.
    Command,
    /// FIND_NODE, which every node answers.
    FindNode,
}

/// What a request is for, and so what happens when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The embedder's own: the result waits in the slot until it is taken.
    User,
    /// A step of a query to one of its nodes; `seen` is the node's count of answers before, if it
    /// is in the table.
    Visit { query: QueryId, node: u16, seen: u8 },
    /// A visit of a query that has ended, or could not wait for it: is the node still there?
    Late { seen: u8 },
    /// To a node of a query that has answered: which nodes do the silent ones hide?
    Gap { query: QueryId, node: u16 },
    /// A commit to one of a query's closest nodes; `again` once the token was renewed.
    Commit { query: QueryId, to: u16, again: bool },
    /// Is this node of the table still there?
    Check { seen: u8, hinted: bool },
    /// The same, for a newcomer that waits for the node's place and may not be verified yet.
    Swap { seen: u8, newcomer: SocketAddrV4, verified: bool },
    /// Does a node that claims an id answer?
    Verify,
    /// A node is told that another is down; `seen` as with a visit.
    Hint { seen: u8 },
    /// One of up to three early tries whether peers can reach the server socket.
    QuickNat,
    /// A part of the firewall check.
    Probe,
    /// What does a node see as our address? `users`: it is a bootstrap node.
    View { users: bool },
}

impl Purpose {
    /// Whether it is a visit of that query.
    pub(crate) fn is_visit_of(self, id: QueryId) -> bool {
        matches!(self, Self::Visit { query, .. } if query == id)
    }

    /// Whether silence says that a node is down. It does not for the user's requests, nor where a firewall may block.
    pub(crate) const fn judges(self) -> bool {
        !matches!(
            self,
            Self::User | Self::Verify | Self::QuickNat | Self::Probe | Self::View { .. }
        )
    }

    /// Whether the request is made only to judge that: it is then repeated as often as a judgement takes.
    pub(crate) const fn asks_to_judge(self) -> bool {
        matches!(self, Self::Late { .. } | Self::Check { .. } | Self::Swap { .. })
    }
}

/// A request, and what for.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) class: Class,
    /// Leaves even if the congestion window is full.
    pub(crate) force: bool,
    pub(crate) purpose: Purpose,
}

const _: () = assert!(size_of::<Call>() <= 176);

impl Call {
    pub(crate) const fn new(request: Request, class: Class, purpose: Purpose) -> Self {
        Self { request, class, force: false, purpose }
    }

    pub(crate) const fn to(&self) -> SocketAddrV4 {
        self.request.to
    }

    /// The socket that it leaves by.
    pub(crate) fn via(&self) -> Via {
        self.request.via.unwrap_or(Via::Client)
    }

    pub(crate) const fn question(&self) -> Question {
        match self.request.command {
            _ if !self.request.internal => Question::Command,
            FIND_NODE => Question::FindNode,
            _ => Question::Ping,
        }
    }
}
