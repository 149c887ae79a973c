//! What an answer teaches, and what silence does: by what the question was for. The one place where that is decided.
//!
//! An answer under the right transaction id from the address that was asked proves that somebody is there, whoever had
//! us ask. All else is a sample, and who decides what is asked, when and how often, chooses the sample. So what
//! strangers can have us ask tells nothing of our address, of the ways in between, or of the network:
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
//! - *there*: somebody answers ([`contact`](crate::node)); the node enters the table, or is the latest heard of in it, or
//!   leaves it if this is the second answer without an id in a row; it is suspected no more; if it had been
//!   lost, others that were are sought; nobody answers in its place. Whoever has left FIND_NODE unanswered has to
//!   answer that, for the table and for suspicions (see [`Question`](crate::requests::call)).
//! - *vote*: where it sees us counts, and makes us look again if that is new. Of a PING_NAT the check counts it, by its own
//!   rules: the port that it names is the one that we told it; and of a `View` the [`survey`](crate::reach::survey).
//! - *pace*: how soon answers come, or only how many tries they take.
//! - *rtt*: the round trip to that address is remembered, where time-outs are adaptive: there are places for so many.
//! - *window*: its place is free for another. A verification takes none: those have a bound of their own.
//! - *health*: it counts as an answer of the network, and if none comes, as silence (^: only of a node of the table, as
//!   long as there is any; anybody can name nodes that are not there). What a firewall keeps out is no silence.
//!
//! Verifications of nodes that were lost, or given by the user, are of our own making, but to be lost a node
//! just has to fall silent.

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
        if call.any_replier {
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

    /// The same; if somebody may have guessed it just that it is over, or forged answers would fill the window.
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
