//! The queries of a node: where each is kept, what it is doing, and the memory that one leaves to
//! the next. What a query does is in `walks` and `commits`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

#[cfg(any(test, feature = "_invariants"))]
use super::Node;
use super::commits::Committing;
use crate::api::ask::Query;
use crate::api::config::Config;
use crate::api::error::QueryError;
use crate::api::message::{Outcome, QueryId, Reply};
use crate::bounded::memory::{Capped, Heap};
use crate::queries::walk::{Plan, Walk};
use crate::requests::Walks;
#[cfg(any(test, feature = "_invariants"))]
use crate::requests::call::Purpose;
use crate::requests::congestion::Class;
use crate::requests::pace::Timing;
use crate::table::K;
use crate::time::Instant;

/// How many queries' memory is kept for the next: none where there are few.
fn spares(config: &Config) -> usize {
    (config.max_queries / 8).min(4)
}

/// On whose behalf a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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

#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) id: QueryId,
    pub(super) kind: Kind,
    pub(super) query: Query,
    pub(super) phase: Phase,
    pub(super) walk: Walk,
    pub(super) mailbox: VecDeque<Reply>,
    /// Scratch for [`Queries::count_notes`].
    notes: usize,
    /// Bootstrap names that are being looked up may bring more nodes to ask.
    pub(super) wants_lookup: bool,
    pub(super) clock: Clock,
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

    /// When the time is up.
    fn deadline(&self) -> Option<Instant> {
        Some(self.since? + self.left)
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

impl Running {
    /// The walk, while it is on.
    pub(super) fn walking(&mut self) -> Option<&mut Walk> {
        matches!(self.phase, Phase::Walking).then_some(&mut self.walk)
    }

    fn is_walking(&self) -> bool {
        matches!(self.phase, Phase::Walking)
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished(_))
    }

    /// What it adds to the [`walks`](Queries::walks).
    fn counts(&self) -> (usize, usize) {
        let walks = usize::from(self.is_walking());
        (walks, walks * usize::from(self.walk.is_astray()))
    }

    /// Besides the counts: what has not ended waits for something that will come.
    #[cfg(any(test, feature = "_invariants"))]
    fn check_invariants(&self, stalled: bool, node: &Node) {
        let under_way = |wanted: &dyn Fn(Purpose) -> bool| {
            node.requests.calls().filter(|call| wanted(call.purpose)).count()
        };
        let unread = self.mailbox.len();
        assert!(
            unread <= node.cx.config.max_unread_replies && (unread == 0 || !self.query.discard)
        );
        assert!(self.kind == Kind::User || self.query.discard);
        match &self.phase {
            Phase::Walking => {
                let id = self.id;
                let visits =
                    under_way(&|p| matches!(p, Purpose::Visit { query, .. } if query == id));
                assert_eq!(self.walk.in_flight(), visits);
                let gaps = under_way(&|p| matches!(p, Purpose::Gap { query, .. } if query == id));
                assert_eq!(self.walk.gaps_open(), gaps);
                let paused = !self.query.discard && unread >= node.cx.config.max_unread_replies;
                let looks_up = self.wants_lookup && node.sources.names.pending();
                assert!(
                    visits + gaps > 0 || paused || looks_up || stalled,
                    "a query waits for nothing"
                );
            }
            Phase::Committing(committing) => {
                let id = self.id;
                let commits =
                    under_way(&|p| matches!(p, Purpose::Commit { query, .. } if query == id));
                assert_eq!(committing.open(), commits);
                assert!(commits > 0 || stalled, "a commit waits for nothing");
            }
            Phase::Finished(_) => assert_eq!(self.kind, Kind::User),
        }
    }

    /// Takes what the query has found so far.
    pub(super) fn take_outcome_so_far(&mut self) -> Outcome {
        match &mut self.phase {
            Phase::Walking => self.walk.take_outcome(),
            Phase::Committing(committing) => committing.take_outcome(),
            Phase::Finished(_) => Outcome::default(),
        }
    }
}

/// All queries, those with an outcome that nobody took among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Queries {
    slots: Vec<Option<Box<Running>>>,
    #[allow(clippy::vec_box)] // They move between here and the slots as they are.
    spare: Vec<Box<Running>>,
    serial: u64,
    /// How many of the queries in slots walk, and how many of these are led astray. That changes only while a query is taken
    /// out.
    walks: (usize, usize),
    /// Some query could not ask everybody for want of a place.
    pub(super) stalled: bool,
}

impl Queries {
    /// How many events about queries are of use.
    pub(super) fn notes(&self) -> usize {
        let users = self.slots.iter().flatten().filter(|running| running.kind == Kind::User);
        users.map(|running| running.mailbox.len() + 1).sum()
    }

    pub(super) fn has(&self, id: QueryId) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn is_running(&self, kind: Kind) -> bool {
        self.slots.iter().flatten().any(|running| running.kind == kind)
    }

    /// A visit was answered. Whether its walk would have given it up, had it not waited on purpose.
    pub(super) fn answered_after(&mut self, id: QueryId, timing: Timing) -> bool {
        let walk = self.get_mut(id).and_then(Running::walking);
        walk.is_some_and(|walk| walk.answered_after(timing))
    }

    /// How many walk, and how many of these are led astray; without a query that is being worked on.
    pub(super) const fn walks(&self) -> (usize, usize) {
        self.walks
    }

    /// The class of its visits, unless it is being worked on.
    pub(super) fn class_of(&self, id: QueryId) -> Option<Class> {
        self.get(id).map(|running| running.walk.class())
    }

    /// Gives memory back that nobody has needed for a while.
    pub(super) fn trim(&mut self) {
        self.spare = Vec::new();
        if self.slots.iter().all(Option::is_none) {
            self.slots = Vec::new();
        }
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, node: &Node) {
        assert!(self.users() <= node.cx.config.max_queries);
        assert!(self.background().count() <= node.cx.config.background_queries());
        assert!(!self.stalled || node.cx.busy, "there are places, and nobody was told");
        let (mut active, mut counted) = (0, (0, 0));
        for (at, running) in self.slots.iter().enumerate() {
            let Some(running) = running else { continue };
            assert_eq!(self.get(running.id).map(|running| running.id), Some(running.id), "at {at}");
            running.check_invariants(self.stalled, node);
            active += u64::from(!running.is_finished());
            let (walks, astray) = running.counts();
            counted = (counted.0 + walks, counted.1 + astray);
        }
        assert_eq!(self.walks, counted, "walks are counted wrongly");
        assert_eq!(node.cx.stats.queries.active, active);
        for call in node.requests.calls() {
            let phase = |query| self.get(query).map(|running| &running.phase);
            match call.purpose {
                Purpose::Visit { query, .. } | Purpose::Gap { query, .. } => {
                    assert!(matches!(phase(query), Some(Phase::Walking)), "nobody waits for it");
                }
                Purpose::Commit { query, .. } => {
                    assert!(matches!(phase(query), Some(Phase::Committing(_))));
                }
                _ => {}
            }
        }
    }

    /// A walk whose time is up.
    pub(super) fn late(&self, now: Instant) -> Option<QueryId> {
        let mut walks = self.slots.iter().flatten().filter(|running| running.is_walking());
        walks.find(|running| running.clock.is_over(now)).map(|running| running.id)
    }

    /// When the time of a walk is up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let walks = self.slots.iter().flatten().filter(|running| running.is_walking());
        walks.filter_map(|running| running.clock.deadline()).min()
    }

    /// The sockets are bound: what was held goes out, and time begins to pass.
    pub(super) fn start_clocks(&mut self, now: Instant) {
        for running in self.slots.iter_mut().flatten() {
            let runs = running.clock.since.take().is_some();
            running.clock.run(now, runs);
        }
    }

    pub(super) fn users(&self) -> usize {
        self.slots.iter().flatten().filter(|running| running.kind == Kind::User).count()
    }

    /// The node's own.
    pub(super) fn background(&self) -> impl Iterator<Item = QueryId> + '_ {
        let all = self.slots.iter().flatten().filter(|running| running.kind != Kind::User);
        all.map(|running| running.id)
    }

    /// Makes sure that no more notes of replies are kept than there are replies: see
    /// [`keeps_note`](Self::keeps_note).
    pub(super) fn count_notes(&mut self) {
        for running in self.slots.iter_mut().flatten() {
            running.notes = running.mailbox.len();
        }
    }

    /// Whether one more note of a reply to this query is worth keeping.
    pub(super) fn keeps_note(&mut self, id: QueryId) -> bool {
        let Some(running) = self.get_mut(id).filter(|running| running.notes > 0) else {
            return false;
        };
        running.notes -= 1;
        true
    }

    /// What all queries take of the heap, at most, apart from values that users have handed in.
    pub(super) fn add_to(heap: &mut Heap, config: &Config) {
        // Spare ones are among them: no more than have been under way at once.
        let all = config.max_queries + config.background_queries();
        heap.fixed(all, size_of::<Running>());
        heap.capped::<Option<Box<Running>>>(all);
        heap.capped::<Box<Running>>(spares(config));
        let open = config.max_background_requests;
        Walk::add_to(heap, (all, config.max_queries), config.max_query_addresses, open);
        // The room that a user's has for replies may be kept for any other.
        let users = if spares(config) == 0 { config.max_queries } else { all };
        heap.capped_each::<Reply>(users, config.max_unread_replies);
        heap.payloads(
            config.max_queries * (config.max_unread_replies + K),
            config.max_value_received(),
        );
        // Lists of ids, made while going through all of them.
        heap.lists::<QueryId>(2, all);
    }

    pub(super) fn ids(&self) -> Vec<QueryId> {
        self.slots.iter().flatten().map(|running| running.id).collect()
    }

    pub(super) fn get(&self, id: QueryId) -> Option<&Running> {
        let running = self.slots.get(slot_of(id))?.as_deref()?;
        (running.id == id).then_some(running)
    }

    pub(super) fn get_mut(&mut self, id: QueryId) -> Option<&mut Running> {
        let running = self.slots.get_mut(slot_of(id))?.as_deref_mut()?;
        (running.id == id).then_some(running)
    }

    /// Takes a query out, to work on it; [`put`](Self::put) it back, or [`recycle`](Self::recycle) it.
    pub(super) fn take(&mut self, id: QueryId) -> Option<Box<Running>> {
        let (walks, astray) = self.get(id)?.counts();
        self.walks = (self.walks.0 - walks, self.walks.1 - astray);
        self.slots.get_mut(slot_of(id))?.take()
    }

    pub(super) fn put(&mut self, running: Box<Running>) {
        if let Some(slot) = self.slots.get_mut(slot_of(running.id)) {
            let (walks, astray) = running.counts();
            self.walks = (self.walks.0 + walks, self.walks.1 + astray);
            *slot = Some(running);
        }
    }

    /// A query that begins; it is not among the others until it is [`put`](Self::put).
    pub(super) fn begin(
        &mut self,
        kind: Kind,
        query: Query,
        plan: Plan,
        clock: Clock,
        config: &Config,
    ) -> Box<Running> {
        let free = self.slots.iter().position(Option::is_none);
        let at = free.unwrap_or(self.slots.len());
        if free.is_none() {
            self.slots.make_room(config.max_queries + config.background_queries());
            self.slots.push(None);
        }
        self.serial += 1;
        let id = QueryId(self.serial << 16 | at as u64);
        let Some(mut running) = self.spare.pop() else {
            return Box::new(Running {
                id,
                kind,
                query,
                phase: Phase::Walking,
                walk: Walk::new(plan),
                mailbox: VecDeque::new(),
                notes: 0,
                wants_lookup: false,
                clock,
            });
        };
        running.walk.reset(plan);
        *running = Running { id, kind, query, phase: Phase::Walking, clock, ..*running };
        running
    }

    /// A query is no more; what it used may serve another.
    pub(super) fn recycle(&mut self, mut running: Box<Running>, config: &Config) {
        if self.spare.len() < spares(config) && running.walk.is_worth_keeping() {
            running.walk.forget_replies();
            running.mailbox.clear();
            running.query.value = None;
            running.query.nodes = Vec::new();
            running.phase = Phase::Walking;
            running.wants_lookup = false;
            self.spare.make_room(spares(config));
            self.spare.push(running);
        }
    }
}

impl Walks for Queries {
    fn debt(&self, id: QueryId) -> u16 {
        let walking = self.get(id).filter(|running| running.is_walking());
        walking.map_or(0, |running| running.walk.debt())
    }

    fn patience(&self, id: QueryId, tries: u16, waited: Duration) -> Option<Duration> {
        self.get(id)?.walk.patience(tries, waited)
    }

    fn last_patience(&self, id: QueryId, waited: Duration) -> Option<Duration> {
        self.get(id)?.walk.last_patience(waited)
    }
}

fn slot_of(id: QueryId) -> usize {
    (id.0 & 0xffff) as usize
}
