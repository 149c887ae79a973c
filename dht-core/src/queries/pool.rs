//! Where queries are kept: their places, the ones that have something to do, and the memory that one leaves to the next.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

#[cfg(any(test, feature = "_invariants"))]
use super::running::Phase;
use super::running::{Kind, Running};
use super::stepping::Progress;
use crate::api::ask::Query;
use crate::api::config::Config;
use crate::api::message::{QueryId, Reply, SessionId};
use crate::bounded::memory::{Capped, Heap};
use crate::queries::walk::{Plan, Walk};
use crate::requests::Walks;
use crate::table::K;
use crate::time::Instant;
#[cfg(any(test, feature = "_invariants"))]
use crate::{context::Cx, requests::call::Purpose};

/// All queries, also ended ones whose outcome was not taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queries {
    slots: Vec<Option<Box<Running>>>,
    #[allow(clippy::vec_box)] // They move between here and the slots as they are.
    spare: Vec<Box<Running>>,
    /// Queries that may want something, the oldest first: else queries in high slots might never get their turn.
    awake: BinaryHeap<Reverse<QueryId>>,
    serial: u64,
    /// How many of the queries in slots walk, and how many of these are led astray. That changes only while a query is taken
    /// out.
    walks: (usize, usize),
    /// Some query could not ask all nodes that it wants to for want of a place.
    pub(super) stalled: bool,
    /// How far from its target the last of the 20 was that the latest query of the node's own has found, in the first
    /// eight bytes; 0: not known.
    pub(super) spacing: u64,
    pub(super) withheld: u32,
    max: usize,
    max_spare: usize,
}

/// The most queries at once.
fn max(config: &Config) -> usize {
    config.max_queries + config.background_queries()
}

/// How many queries' memory is kept for the next: none where there are few.
fn max_spare(config: &Config) -> usize {
    (config.max_queries / 8).min(4)
}

impl Queries {
    pub(crate) fn new(config: &Config) -> Self {
        Self { max: max(config), max_spare: max_spare(config), ..Self::default() }
    }

    /// What all queries take of the heap, at most, apart from values that users have handed in.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
        // Spare ones are among them: no more than have been under way at once.
        let all = max(config);
        heap.fixed(all, size_of::<Running>());
        heap.capped::<Option<Box<Running>>>(all);
        heap.capped::<Reverse<QueryId>>(2 * all);
        heap.capped::<Box<Running>>(max_spare(config));
        let open = config.max_background_requests;
        Walk::add_to(heap, (all, config.max_queries), config.max_query_addresses, open);
        // The room that a user's has for replies may be kept for any other.
        let users = if max_spare(config) == 0 { config.max_queries } else { all };
        heap.capped_each::<Reply>(users, config.max_unread_replies);
        heap.payloads(
            config.max_queries * (config.max_unread_replies + K),
            config.max_value_received(),
        );
        // The ids of some, to end them one by one.
        heap.lists::<QueryId>(1, all);
    }

    fn all(&self) -> impl Iterator<Item = &Running> {
        self.slots.iter().flatten().map(|running| &**running)
    }

    fn walking(&self) -> impl Iterator<Item = &Running> {
        self.all().filter(|running| running.is_walking())
    }

    /// The user's, also ended ones.
    fn of_user(&self) -> impl Iterator<Item = &Running> {
        self.all().filter(|running| running.kind == Kind::User)
    }

    pub(crate) fn users(&self) -> usize {
        self.of_user().count()
    }

    /// The node's own.
    pub(crate) fn background(&self) -> impl Iterator<Item = QueryId> + '_ {
        self.all().filter(|running| running.kind != Kind::User).map(|running| running.id)
    }

    /// All of a session, or all.
    pub(crate) fn ids(&self, session: Option<SessionId>) -> Vec<QueryId> {
        let all = self.all().filter(|it| session.is_none() || it.query.session == session);
        all.map(|running| running.id).collect()
    }

    pub(crate) fn is_running(&self, kind: Kind) -> bool {
        self.all().any(|running| running.kind == kind)
    }

    /// How many events about queries are of use.
    pub(crate) fn notes(&self) -> usize {
        self.of_user().map(|running| running.mailbox.len() + 1).sum()
    }

    /// Makes sure that no more notes of replies are kept than there are replies: see
    /// [`keeps_note`](Self::keeps_note).
    pub(crate) fn count_notes(&mut self) {
        for running in self.slots.iter_mut().flatten() {
            running.notes = running.mailbox.len();
        }
    }

    /// Whether one more note of a reply to this query is worth keeping.
    pub(crate) fn keeps_note(&mut self, id: QueryId) -> bool {
        let running = self.get_mut(id).filter(|running| running.notes > 0);
        running.map(|running| running.notes -= 1).is_some()
    }

    /// How many walk, and how many of these are led astray; without a query that is being worked on.
    pub(super) const fn walks(&self) -> (usize, usize) {
        self.walks
    }

    /// When the time of a walk is up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.walking().filter_map(|running| running.clock.deadline()).min()
    }

    /// Walks whose time is up are to end.
    pub(crate) fn on_time(&mut self, now: Instant) {
        self.wake_all(&|running| running.is_walking() && running.clock.is_over(now));
    }

    /// The sockets are bound: what was held goes out, and time begins to pass.
    pub(crate) fn start_clocks(&mut self, now: Instant) {
        self.slots.iter_mut().flatten().for_each(|running| running.clock.start(now));
    }

    /// Gives memory back that was not needed for a while.
    pub(crate) fn trim(&mut self) {
        self.spare = Vec::new();
        if self.slots.iter().all(Option::is_none) {
            (self.slots, self.awake) = (Vec::new(), BinaryHeap::new());
        }
    }

    pub(super) fn get(&self, id: QueryId) -> Option<&Running> {
        let running = self.slots.get(slot_of(id))?.as_deref()?;
        (running.id == id).then_some(running)
    }

    pub(super) fn get_mut(&mut self, id: QueryId) -> Option<&mut Running> {
        let running = self.slots.get_mut(slot_of(id))?.as_deref_mut()?;
        (running.id == id).then_some(running)
    }

    /// Something has happened to a query: it is asked what it wants.
    pub(super) fn wake(&mut self, id: QueryId) {
        if let Some(running) = self.get_mut(id).filter(|running| running.awake.is_none()) {
            running.awake = Some(Progress::default());
            // Ones that are no more may still be among them.
            self.awake.put(2 * self.max, Reverse(id));
        }
    }

    pub(super) fn wake_all(&mut self, which: &dyn Fn(&Running) -> bool) {
        for at in 0..self.slots.len() {
            let running = self.slots.get(at).and_then(Option::as_deref);
            if let Some(id) = running.filter(|it| which(it)).map(|running| running.id) {
                self.wake(id);
            }
        }
    }

    /// Whether any query may want something; `busy`: there is no place for a request of one.
    pub(crate) fn want(&self, busy: bool) -> bool {
        !self.awake.is_empty() || (self.stalled && !busy)
    }

    /// The oldest query that may want something; `busy`: there is no place for a request of one.
    pub(super) fn next_awake(&mut self, busy: bool) -> Option<QueryId> {
        if self.awake.is_empty() && !busy && core::mem::take(&mut self.stalled) {
            self.wake_all(&|running| !running.is_finished());
        }
        self.awake.peek().map(|Reverse(id)| *id)
    }

    /// The oldest one wants nothing for now.
    pub(super) fn rest(&mut self) {
        let oldest = self.awake.pop().and_then(|Reverse(id)| self.get_mut(id));
        oldest.into_iter().for_each(|running| running.awake = None);
    }

    /// Nothing is to go on.
    pub(crate) fn stop(&mut self) {
        self.stalled = false;
        while !self.awake.is_empty() {
            self.rest();
        }
    }

    /// Works on a query; meanwhile the counts leave it out.
    pub(super) fn work<R>(
        &mut self,
        id: QueryId,
        work: impl FnOnce(&mut Self, &mut Running) -> R,
    ) -> Option<R> {
        let mut running = self.take(id)?;
        let result = work(self, &mut running);
        self.put(running);
        Some(result)
    }

    /// Takes a query out, to work on it; [`put`](Self::put) it back, or [`recycle`](Self::recycle) it.
    #[inline(never)]
    pub(super) fn take(&mut self, id: QueryId) -> Option<Box<Running>> {
        let (walks, astray) = self.get(id)?.counts();
        self.walks = (self.walks.0 - walks, self.walks.1 - astray);
        self.slots.get_mut(slot_of(id))?.take()
    }

    #[inline(never)]
    pub(super) fn put(&mut self, running: Box<Running>) {
        if let Some(slot) = self.slots.get_mut(slot_of(running.id)) {
            let (walks, astray) = running.counts();
            self.walks = (self.walks.0 + walks, self.walks.1 + astray);
            *slot = Some(running);
        }
    }

    /// A query that begins; it is in no slot until it is [`put`](Self::put) there.
    pub(super) fn begin(&mut self, kind: Kind, query: Query, plan: Plan) -> Box<Running> {
        let free = self.slots.iter().position(Option::is_none);
        let at = free.unwrap_or(self.slots.len());
        if free.is_none() {
            self.slots.put(self.max, None);
        }
        self.serial += 1;
        let id = QueryId(self.serial << 16 | at as u64);
        let Some(mut running) = self.spare.pop() else {
            return Running::new(id, kind, query, plan);
        };
        running.reset(id, kind, query, plan);
        running
    }

    /// A query is no more; what it used may serve another.
    pub(super) fn recycle(&mut self, mut running: Box<Running>) {
        if self.spare.len() < self.max_spare && running.walk.is_worth_keeping() {
            running.clear();
            self.spare.put(self.max_spare, running);
        }
    }

    /// `calls`: what is under way of all requests; `looks_up`: names are awaited.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, cx: &Cx, calls: &[Purpose], looks_up: bool) {
        assert!(self.users() <= cx.config.max_queries);
        assert!(self.background().count() <= cx.config.background_queries());
        assert!(!self.stalled || cx.busy, "there are places, and nobody was told");
        assert!(self.awake.is_empty(), "nobody has asked what they want");
        let (mut active, mut counted) = (0, (0, 0));
        for (at, running) in self.slots.iter().enumerate() {
            let Some(running) = running else { continue };
            assert_eq!(self.get(running.id).map(|running| running.id), Some(running.id), "at {at}");
            running.check_invariants(cx, self.stalled, calls, looks_up);
            active += u64::from(!running.is_finished());
            let (walks, astray) = running.counts();
            counted = (counted.0 + walks, counted.1 + astray);
        }
        assert_eq!(self.walks, counted, "walks are counted wrongly");
        assert_eq!(cx.stats.queries.active, active);
        for purpose in calls {
            let phase = |query| self.get(query).map(|running| &running.phase);
            match *purpose {
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
