//! What an answer teaches, and what silence does, depending on the purpose of the question. No other place decides
//! that.
//!
//! An answer under the right transaction id from the address that was asked proves that a node is there, even if a
//! stranger made us ask. All else is a sample, and a stranger who decides what is asked, when and how often, chooses
//! the sample. So questions that strangers can cause teach nothing of our address, of the paths, or of the network:
//!
//! | question               | a stranger can cause it by         | there | vote | pace  | rtt | window | health |
//! |------------------------|------------------------------------|-------|------|-------|-----|--------|--------|
//! | `User`                 | (the user's affair)                | yes   | yes  | -     | yes | yes    | yes    |
//! | `User`, any replier    | the same, and answer it            | -     | -    | -     | -   | -      | -      |
//! | `Visit`                | (our walk)                         | yes   | yes  | yes   | yes | yes    | yes ^  |
//! | `Commit`               | (our walk)                         | yes   | yes  | -     | yes | yes    | yes ^  |
//! | `Check`                | (our keep-alive)                   | yes   | yes  | tries | yes | yes    | yes ^  |
//! | `Late`                 | silence, when it is visited        | yes   | -    | yes   | yes | yes    | yes ^  |
//! | `Gap`                  | naming nodes that are silent       | yes   | -    | -     | yes | yes    | yes ^  |
//! | `QuickNat`, `Probe`    | (ours; but see below)              | yes   | -    | -     | yes | yes    | -      |
//! | `View`                 | (ours; but see below)              | yes   | -    | -     | yes | yes    | -      |
//! | `Check`, hinted        | a down hint                        | yes   | -    | -     | -   | yes    | -      |
//! | `Swap`                 | a request with an id, or an answer | yes   | -    | -     | -   | yes    | -      |
//! | `Hint`                 | naming a node that is silent       | yes   | -    | -     | -   | yes    | -      |
//! | `Verify`               | a request with an id               | yes   | -    | -     | -   | none   | -      |
//! | any, after four misses | answers in another's name          | -     | -    | -     | -   | as above | -      |
//!
//! - *there*: a node answers ([`contact`](crate::node)). It enters the table or, if it is in it, is the latest heard
//!   of; it leaves the table if it answers two checks in a row without an id. It is no longer suspected; if it was
//!   lost, the other lost nodes are sought; answers from another address in its place are forgotten. For the table and
//!   for suspicions, a node that left FIND_NODE unanswered has to answer FIND_NODE (see
//!   [`Question`](crate::requests::call)).
//! - *vote*: the address at which the node sees us counts, and makes us look again if it is new. The firewall check has
//!   its own rules for a PING_NAT, whose port is the one that we named, and the [`survey`](crate::reach::survey) for a
//!   `View`.
//! - *pace*: how soon answers come, or only how many tries they take.
//! - *rtt*: the round trip to that address is remembered, where time-outs are adaptive; the number of addresses is
//!   bounded.
//! - *window*: its place is free for another request. A verification takes no place: verifications have a bound of
//!   their own.
//! - *health*: it counts as an answer of the network, and without an answer as silence (^: only if the node is in the
//!   table, unless the table is empty, since a stranger can name nodes that are not there). A request that a firewall
//!   may block does not count as silence.
//!
//! Verifications of lost nodes and of nodes given by the user are our own doing; but an attacker's node can get
//! itself lost by falling silent.

use crate::requests::inflight::{Call, Purpose};

/// A row of that table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lessons(u8);

impl Lessons {
    const NONE: Self = Self(0);
    /// Its sender is there.
    pub(crate) const THERE: Self = Self(1);
    /// Where our own address is.
    pub(crate) const VOTE: Self = Self(2);
    /// How soon answers come.
    pub(crate) const PACE: Self = Self(4);
    /// How many tries answers take.
    pub(crate) const TRIES: Self = Self(8);
    /// How far away its sender is.
    pub(crate) const RTT: Self = Self(16);
    /// That another request may leave.
    pub(crate) const WINDOW: Self = Self(32);
    /// Whether the network works. Silence tells that as well.
    pub(crate) const HEALTH: Self = Self(64);

    /// Of an answer to this.
    pub(crate) const fn of(call: &Call) -> Self {
        if call.request.any_replier {
            return Self::NONE;
        }
        let caused = Self::THERE.and(Self::WINDOW);
        let aside = caused.and(Self::RTT);
        let own = aside.and(Self::HEALTH);
        match call.purpose {
            Purpose::User | Purpose::Commit { .. } => own.and(Self::VOTE),
            Purpose::Visit { .. } => own.and(Self::VOTE).and(Self::PACE),
            Purpose::Check { hinted: false, .. } => own.and(Self::VOTE).and(Self::TRIES),
            Purpose::Late { .. } => own.and(Self::PACE),
            Purpose::Gap { .. } => own,
            Purpose::QuickNat | Purpose::Probe | Purpose::View { .. } => aside,
            Purpose::Check { hinted: true, .. } | Purpose::Swap { .. } | Purpose::Hint { .. } => {
                caused
            }
            Purpose::Verify => Self::THERE,
        }
    }

    /// These lessons; if the answer may be `guessed`, only that the request is over, or forged answers would fill the window.
    pub(crate) const fn unless(self, guessed: bool) -> Self {
        if guessed { Self(self.0 & Self::WINDOW.0) } else { self }
    }

    pub(crate) const fn tell(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
