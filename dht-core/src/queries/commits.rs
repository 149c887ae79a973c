//! The end of a query that stores: the same command once more to each of the closest, with the
//! token of its reply. Mirrors `_flush` of `lib/query.js`, but only an answer without an error
//! code counts as success.

use core::net::SocketAddrV4;

use crate::api::error::{QueryError, RequestError};
use crate::api::message::{Commit, Outcome, Reply};
use crate::api::token::Token;

#[derive(Clone, Debug)]
pub(super) struct Committing {
    outcome: Outcome,
    commit: Commit,
    /// The next of the closest to commit to.
    next: usize,
    /// Commits under way.
    open: usize,
}

impl Committing {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self { outcome, commit: Commit::default(), next: 0, open: 0 }
    }

    /// The replies that are committed to, the closest first.
    pub(super) fn closest(&self) -> &[Reply] {
        &self.outcome.closest
    }

    /// What was found, and how far the commit has come.
    pub(super) fn take_outcome(&mut self) -> Outcome {
        self.outcome.commit = Some(self.commit);
        core::mem::take(&mut self.outcome)
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Whether all have ended.
    pub(super) fn is_over(&self) -> bool {
        self.open == 0 && self.next >= self.outcome.closest.len()
    }

    /// The next reply to commit to: its number, sender and token. It is under way once [`begun`](Self::begun).
    pub(super) fn next(&mut self) -> Option<(u16, SocketAddrV4, Token)> {
        loop {
            let reply = self.outcome.closest.get(self.next)?;
            if let Some(token) = reply.token {
                return Some((u16::try_from(self.next).ok()?, reply.from.addr, token));
            }
            self.commit.without_token += 1;
            self.next += 1;
        }
    }

    pub(super) fn begun(&mut self) {
        self.next += 1;
        self.open += 1;
    }

    /// A commit was answered.
    pub(super) fn answered(&mut self, error: u64) {
        self.open -= 1;
        match error {
            0 => self.commit.succeeded += 1,
            code => {
                self.commit.refused += 1;
                self.commit.refusal = Some(code);
            }
        }
    }

    /// A commit was not answered.
    pub(super) fn failed(&mut self, error: RequestError) {
        self.open -= 1;
        let silent = !matches!(error, RequestError::Destroyed | RequestError::Suspended);
        self.commit.timed_out += u32::from(silent);
    }

    pub(super) fn result(&mut self) -> Result<Outcome, QueryError> {
        if self.commit.succeeded == 0 {
            return Err(QueryError::Commit(self.commit));
        }
        Ok(self.take_outcome())
    }
}
