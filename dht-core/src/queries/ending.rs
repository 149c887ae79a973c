//! How queries end: by themselves, by their user, or with the node.

use core::mem;

use super::commits::Committing;
use super::pool::Queries;
use super::running::{Kind, Phase};
use crate::api::error::{QueryError, RequestError};
use crate::api::message::{Outcome, QueryId, Reply};
use crate::context::Cx;

/// What has become of a query whose walk is over.
pub(crate) enum Walked {
    /// It is one of the node's own, and has found this.
    Background(Kind, Outcome),
    /// It has ended.
    Ended,
    /// It goes on with its commits.
    Commits,
}

impl Queries {
    pub(crate) fn has(&self, id: QueryId) -> bool {
        self.get(id).is_some()
    }

    /// Whether a query has not ended yet.
    pub(crate) fn is_unfinished(&self, id: QueryId) -> bool {
        self.get(id).is_some_and(|running| !running.is_finished())
    }

    /// A walk is over, and nothing of it is under way any more. The commits begin, or what was found is the result. What a
    /// query of the node's own has found is returned.
    #[inline(never)]
    pub(crate) fn walked(&mut self, cx: &mut Cx, id: QueryId) -> Walked {
        let Some((kind, commit, outcome)) = self.work(id, |queries, running| {
            running.walk.abandon(true);
            if running.kind != Kind::User {
                queries.spacing = running.walk.reach().unwrap_or(queries.spacing);
            }
            running.walk.count_in(&mut cx.stats.queries);
            (running.kind, running.query.commit, running.take_outcome_so_far())
        }) else {
            return Walked::Ended;
        };
        if kind != Kind::User {
            self.conclude(cx, id, Ok(Outcome::default()));
            return Walked::Background(kind, outcome);
        }
        let result = match () {
            () if !commit => Ok(outcome),
            () if outcome.closest.is_empty() => Err(outcome.too_few()),
            () => {
                let committing = Phase::Committing(Committing::new(outcome));
                self.work(id, |_, running| running.phase = committing);
                return Walked::Commits;
            }
        };
        self.conclude(cx, id, result);
        Walked::Ended
    }

    /// The commits of a query are over.
    pub(crate) fn committed(&mut self, cx: &mut Cx, id: QueryId) {
        if let Some(Phase::Committing(committing)) = self.get_mut(id).map(|r| &mut r.phase) {
            let result = committing.result();
            self.conclude(cx, id, result);
        }
    }

    /// A query has ended. Only the user wants to know how.
    #[inline(never)]
    fn conclude(&mut self, cx: &mut Cx, id: QueryId, result: Result<Outcome, QueryError>) {
        let Some(mut running) = self.take(id) else { return };
        cx.stats.queries.active -= 1;
        if running.kind != Kind::User {
            return self.recycle(running);
        }
        running.phase = Phase::Finished(result);
        self.put(running);
    }

    /// Ends a query with what it has and without a commit: because the user says so, or because of an error.
    pub(crate) fn end(
        &mut self,
        cx: &mut Cx,
        id: QueryId,
        error: Option<RequestError>,
        closed: bool,
    ) {
        let Some(result) = self.work(id, |_, running| {
            let Some(error) = error else {
                running.mailbox = Default::default();
                return Ok(running.take_outcome_so_far());
            };
            let abandoned = running.walking().is_some_and(|walk| {
                walk.abandon(false);
                walk.has_candidates()
            });
            let outcome = running.take_outcome_so_far();
            let stored = outcome.commit.is_some_and(|commit| commit.succeeded > 0);
            match () {
                () if closed && abandoned => Err(QueryError::NodeDestroyed),
                () if stored || !running.query.commit => Ok(outcome),
                // There would have been no node to commit to, either way.
                () if outcome.closest.is_empty() => Err(outcome.too_few()),
                () => Err(QueryError::Cancelled(error)),
            }
        }) else {
            return;
        };
        self.conclude(cx, id, result);
    }

    /// Forgets a query, ended or not.
    pub(crate) fn forget(&mut self, cx: &mut Cx, id: QueryId) {
        if let Some(running) = self.take(id) {
            cx.stats.queries.active -= u64::from(!running.is_finished());
            self.recycle(running);
        }
    }

    /// How a query ended, once: it is forgotten then, with all replies that were not taken.
    pub(crate) fn take_outcome(&mut self, id: QueryId) -> Option<Result<Outcome, QueryError>> {
        if !self.get(id)?.is_finished() {
            return None;
        }
        let mut running = self.take(id)?;
        let phase = mem::replace(&mut running.phase, Phase::Walking);
        self.recycle(running);
        match phase {
            Phase::Finished(outcome) => Some(outcome),
            Phase::Walking | Phase::Committing(_) => None,
        }
    }

    /// The closest repliers with a proven id so far, the closest first.
    pub(crate) fn closest(&self, id: QueryId) -> &[Reply] {
        match self.get(id).map(|running| (&running.phase, &running.walk)) {
            Some((Phase::Walking, walk)) => walk.closest(),
            Some((Phase::Committing(committing), _)) => committing.closest(),
            Some((Phase::Finished(Ok(outcome)), _)) => &outcome.closest,
            Some((Phase::Finished(Err(_)), _)) | None => &[],
        }
    }
}
