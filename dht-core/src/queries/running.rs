//! A query: what it asks, what it is doing, the replies that wait for its reader, and the time that it has left.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::commits::Committing;
use super::stepping::Progress;
use crate::api::ask::Query;
use crate::api::error::QueryError;
use crate::api::message::{Outcome, QueryId, Reply};
use crate::queries::walk::{Plan, Walk};
use crate::requests::congestion::Class;
use crate::time::Instant;
#[cfg(any(test, feature = "_invariants"))]
use crate::{context::Cx, requests::call::Purpose};

/// How long a walk may take, a thorough one as well: else nodes that answer just in time, each
/// naming one a little closer, could keep it going for minutes. An honest one takes a few seconds
/// even if a third of all datagrams is lost.
const WALK_MAX: Duration = Duration::from_secs(20);

/// On whose behalf a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Bootstrap,
    Refresh,
}

/// What a query is doing.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Walking,
    Committing(Committing),
    Finished(Result<Outcome, QueryError>),
}

/// What time a walk has left. It passes only while visits are under way: not while the query
/// waits for its reader, for a place, or for a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    left: Duration,
    since: Option<Instant>,
}

impl Clock {
    pub(super) fn new(left: Duration) -> Self {
        Self { left, since: None }
    }

    /// Visits are under way, or not.
    pub(super) fn run(&mut self, now: Instant, runs: bool) {
        if runs {
            self.since.get_or_insert(now);
        } else if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.saturating_since(since));
        }
    }

    /// The sockets are bound: what was held goes out, and time begins to pass.
    pub(super) fn start(&mut self, now: Instant) {
        let runs = self.since.take().is_some();
        self.run(now, runs);
    }

    /// When the time is up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.since? + self.left)
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) id: QueryId,
    pub(super) kind: Kind,
    pub(super) query: Query,
    pub(super) phase: Phase,
    pub(super) walk: Walk,
    /// The last error code that the walk was answered with.
    pub(super) refusal: Option<u64>,
    /// The class that waiting visits have; that of the walk may have changed since.
    pub(super) class: Class,
    pub(super) mailbox: VecDeque<Reply>,
    /// Scratch for [`Queries::count_notes`](super::Queries::count_notes).
    pub(super) notes: usize,
    /// Bootstrap names that are being looked up may bring more nodes to ask.
    pub(super) wants_names: bool,
    pub(super) clock: Clock,
    /// Something has happened to it, so that it may want something: how far it has come with that.
    pub(super) awake: Option<Progress>,
}

impl Running {
    pub(super) fn new(id: QueryId, kind: Kind, query: Query, plan: Plan) -> Box<Self> {
        Box::new(Self {
            id,
            kind,
            query,
            phase: Phase::Walking,
            walk: Walk::new(plan),
            refusal: None,
            class: Class::Query,
            mailbox: VecDeque::new(),
            notes: 0,
            wants_names: false,
            clock: Clock::new(WALK_MAX),
            awake: None,
        })
    }

    /// Begins anew, with the memory of a query that is no more.
    pub(super) fn reset(&mut self, id: QueryId, kind: Kind, query: Query, plan: Plan) {
        self.walk.reset(plan);
        (self.id, self.kind, self.query) = (id, kind, query);
        self.refusal = None;
        (self.class, self.clock) = (Class::Query, Clock::new(WALK_MAX));
    }

    /// Lets go of all that is of no use to the next query.
    pub(super) fn clear(&mut self) {
        self.walk.forget_replies();
        self.mailbox.clear();
        self.query.value = None;
        self.query.nodes = Vec::new();
        self.phase = Phase::Walking;
        (self.wants_names, self.awake) = (false, None);
    }

    /// The walk, while it is on.
    pub(super) fn walking(&mut self) -> Option<&mut Walk> {
        matches!(self.phase, Phase::Walking).then_some(&mut self.walk)
    }

    pub(super) fn is_walking(&self) -> bool {
        matches!(self.phase, Phase::Walking)
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished(_))
    }

    /// What it adds to the [`walks`](super::Queries::walks).
    pub(super) fn counts(&self) -> (usize, usize) {
        let walks = usize::from(self.is_walking());
        (walks, walks * usize::from(self.walk.is_astray()))
    }

    /// Besides the counts: what has not ended waits for something that will come. `calls`: the purposes of all requests under way; `looks_up`:
    /// names are awaited.
    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(
        &self,
        cx: &Cx,
        stalled: bool,
        calls: &[Purpose],
        looks_up: bool,
    ) {
        let under_way = |wanted: &dyn Fn(&Purpose) -> bool| {
            calls.iter().filter(|purpose| wanted(purpose)).count()
        };
        let (id, unread, most) = (self.id, self.mailbox.len(), cx.config.max_unread_replies);
        assert!(unread <= most && (unread == 0 || !self.query.discard));
        assert!(self.kind == Kind::User || self.query.discard);
        match &self.phase {
            Phase::Walking => {
                let visits = under_way(&|p| p.is_visit_of(id));
                assert_eq!(self.walk.in_flight(), visits);
                let gaps = under_way(&|p| matches!(p, Purpose::Gap { query, .. } if *query == id));
                assert_eq!(self.walk.gaps_open(), gaps);
                let paused = !self.query.discard && unread >= most;
                let looks_up = self.wants_names && looks_up;
                let waits = visits + gaps > 0 || paused || looks_up || stalled;
                assert!(waits, "a query waits for nothing");
            }
            Phase::Committing(committing) => {
                let commits =
                    under_way(&|p| matches!(p, Purpose::Commit { query, .. } if *query == id));
                assert_eq!(committing.open(), commits);
                assert!(commits > 0 || stalled, "a commit waits for nothing");
            }
            Phase::Finished(_) => assert_eq!(self.kind, Kind::User),
        }
    }

    /// Takes what the query has found so far.
    pub(super) fn take_outcome_so_far(&mut self) -> Outcome {
        match &mut self.phase {
            Phase::Walking => Outcome { refusal: self.refusal, ..self.walk.take_outcome() },
            Phase::Committing(committing) => committing.take_outcome(),
            Phase::Finished(_) => Outcome::default(),
        }
    }
}
