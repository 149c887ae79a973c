//! The end of a query that stores: the same command once more to each of the closest, with the
//! token of its reply. Mirrors `_flush` of `lib/query.js`, but only an answer without an error
//! code counts as success.

use alloc::boxed::Box;

use super::Node;
use super::queries::{Phase, Running};
use crate::api::ask::Query;
use crate::api::error::{QueryError, RequestError};
use crate::api::message::{Commit, Outcome, QueryId, Reply};
use crate::error_code::INVALID_TOKEN;
use crate::requests::call::Purpose;

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

    fn is_over(&self) -> bool {
        self.open == 0 && self.next >= self.outcome.closest.len()
    }

    fn result(&mut self) -> Result<Outcome, QueryError> {
        if self.commit.succeeded == 0 {
            return Err(QueryError::Commit(self.commit));
        }
        Ok(self.take_outcome())
    }
}

impl Node {
    /// Goes on with a query's commits, and ends it after the last.
    pub(super) fn pump_commits(&mut self, mut running: Box<Running>) {
        if let Phase::Committing(committing) = &mut running.phase {
            self.commit_some(running.id, &running.query, committing);
            if committing.is_over() {
                let result = committing.result();
                return self.conclude(running, result);
            }
        }
        self.queries.put(running);
    }

    fn commit_some(&mut self, id: QueryId, query: &Query, committing: &mut Committing) {
        while let Some(reply) = committing.outcome.closest.get(committing.next) {
            let Some(token) = reply.token else {
                committing.commit.without_token += 1;
                committing.next += 1;
                continue;
            };
            let to = u16::try_from(committing.next).unwrap_or(u16::MAX);
            let purpose = Purpose::Commit { query: id, to, again: false };
            let call = self.call_of(query, reply.from.addr, Some(token), purpose);
            if self.is_busy() || self.begin(call).is_none() {
                self.queries.stalled = true;
                break;
            }
            committing.next += 1;
            committing.open += 1;
        }
    }

    pub(super) fn on_commit_answered(&mut self, id: QueryId, to: u16, again: bool, reply: &Reply) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        if let Phase::Committing(committing) = &mut running.phase {
            // A token may have grown too old while the others were being asked.
            let fresh = reply.token.filter(|_| reply.error == INVALID_TOKEN && !again);
            let purpose = Purpose::Commit { query: id, to, again: true };
            let retried = fresh.and_then(|token| {
                let call = self.call_of(&running.query, reply.from.addr, Some(token), purpose);
                self.begin(call)
            });
            let commit = &mut committing.commit;
            if retried.is_none() {
                committing.open -= 1;
                match reply.error {
                    0 => commit.succeeded += 1,
                    code => {
                        commit.refused += 1;
                        commit.refusal = Some(code);
                    }
                }
            }
        }
        self.queries.put(running);
        self.pump(id);
    }

    pub(super) fn on_commit_failed(&mut self, id: QueryId, error: RequestError) {
        let Some(running) = self.queries.get_mut(id) else {
            return;
        };
        if let Phase::Committing(committing) = &mut running.phase {
            committing.open -= 1;
            let silent = !matches!(error, RequestError::Destroyed | RequestError::Suspended);
            committing.commit.timed_out += u32::from(silent);
            self.pump(id);
        }
    }
}
