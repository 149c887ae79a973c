//! The queries of a node: where each is kept, what it is doing, and the memory that one leaves to
//! the next. What a query does next is in [`stepping`](super::stepping).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use super::commits::Committing;
use super::stepping::call_of;
use crate::api::ask::Query;
use crate::api::config::Config;
use crate::api::error::{QueryError, RequestError};
use crate::api::id_cache::Ids;
use crate::api::message::{Outcome, QueryId, Reply, SessionId, Via};
use crate::bounded::memory::{Capped, Heap};
use crate::context::Cx;
use crate::error_code::INVALID_TOKEN;
use crate::id::Id;
use crate::queries::walk::{Offer, Plan, Walk};
use crate::requests::Walks;
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::requests::pace::{Pace, Timing};
use crate::table::K;
use crate::time::Instant;

/// How many queries' memory is kept for the next: none where there are few.
fn spares(config: &Config) -> usize {
    (config.max_queries / 8).min(4)
}

/// On whose behalf a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Bootstrap,
    Refresh,
}

/// What has become of a query whose walk is over.
pub(crate) enum Walked {
    /// It is one of the node's own, and has found this.
    Background(Kind, Outcome),
    /// It has ended.
    Ended,
    /// It goes on with its commits.
    Commits,
}

/// How long a walk may take, a thorough one as well: else nodes that answer just in time, each
/// naming one a little closer, could keep it going for minutes. An honest one takes a few seconds
/// even if a third of all datagrams is lost.
const WALK_MAX: Duration = Duration::from_secs(20);
/// A background query keeps to its share of the concurrency while more than this is in flight.
const QUIET_MAX: usize = 3;

fn background_concurrency(config: &Config) -> u16 {
    config.concurrency.min((config.concurrency / 8).max(2))
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
    pub(super) wants_names: bool,
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

    /// Besides the counts: what has not ended waits for something that will come. `calls`: the purposes of all requests under way; `looks_up`:
    /// names are awaited.
    #[cfg(any(test, feature = "_invariants"))]
    fn check_invariants(&self, cx: &Cx, stalled: bool, calls: &[Purpose], looks_up: bool) {
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
            Phase::Walking => self.walk.take_outcome(),
            Phase::Committing(committing) => committing.take_outcome(),
            Phase::Finished(_) => Outcome::default(),
        }
    }
}

/// All queries, also ended ones whose outcome was not taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queries {
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
    pub(crate) fn notes(&self) -> usize {
        let users = self.slots.iter().flatten().filter(|running| running.kind == Kind::User);
        users.map(|running| running.mailbox.len() + 1).sum()
    }

    pub(crate) fn has(&self, id: QueryId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn is_running(&self, kind: Kind) -> bool {
        self.slots.iter().flatten().any(|running| running.kind == kind)
    }

    /// A visit was answered. Whether its walk would have given it up, had it not waited on purpose.
    pub(crate) fn answered_after(&mut self, id: QueryId, timing: Timing) -> bool {
        let walk = self.get_mut(id).and_then(Running::walking);
        walk.is_some_and(|walk| walk.answered_after(timing))
    }

    /// How many walk, and how many of these are led astray; without a query that is being worked on.
    pub(super) const fn walks(&self) -> (usize, usize) {
        self.walks
    }

    /// The class of its visits, unless it is being worked on.
    pub(crate) fn class_of(&self, id: QueryId) -> Option<Class> {
        self.get(id).map(|running| running.walk.class())
    }

    /// Gives memory back that was not needed for a while.
    pub(crate) fn trim(&mut self) {
        self.spare = Vec::new();
        if self.slots.iter().all(Option::is_none) {
            self.slots = Vec::new();
        }
    }

    /// `calls`: what is under way of all requests; `looks_up`: names are awaited.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, cx: &Cx, calls: &[Purpose], looks_up: bool) {
        assert!(self.users() <= cx.config.max_queries);
        assert!(self.background().count() <= cx.config.background_queries());
        assert!(!self.stalled || cx.busy, "there are places, and nobody was told");
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

    /// A walk whose time is up.
    pub(crate) fn late(&self, now: Instant) -> Option<QueryId> {
        let mut walks = self.slots.iter().flatten().filter(|running| running.is_walking());
        walks.find(|running| running.clock.is_over(now)).map(|running| running.id)
    }

    /// When the time of a walk is up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let walks = self.slots.iter().flatten().filter(|running| running.is_walking());
        walks.filter_map(|running| running.clock.deadline()).min()
    }

    /// The sockets are bound: what was held goes out, and time begins to pass.
    pub(crate) fn start_clocks(&mut self, now: Instant) {
        for running in self.slots.iter_mut().flatten() {
            let runs = running.clock.since.take().is_some();
            running.clock.run(now, runs);
        }
    }

    pub(crate) fn users(&self) -> usize {
        self.slots.iter().flatten().filter(|running| running.kind == Kind::User).count()
    }

    /// The node's own.
    pub(crate) fn background(&self) -> impl Iterator<Item = QueryId> + '_ {
        let all = self.slots.iter().flatten().filter(|running| running.kind != Kind::User);
        all.map(|running| running.id)
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
        let Some(running) = self.get_mut(id).filter(|running| running.notes > 0) else {
            return false;
        };
        running.notes -= 1;
        true
    }

    /// What all queries take of the heap, at most, apart from values that users have handed in.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
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

    /// Begins a query; its nodes to begin with are to be [offered](Self::seed).
    pub(crate) fn start(
        &mut self,
        cx: &mut Cx,
        kind: Kind,
        query: Query,
        (radius, pace): (u64, Pace),
        ids: &Ids,
    ) -> QueryId {
        cx.stats.queries.active += 1;
        cx.stats.queries.total += 1;
        let concurrency = match (kind, query.concurrency) {
            (Kind::User, 0) => cx.config.concurrency,
            (Kind::User, concurrency) => concurrency,
            _ => background_concurrency(&cx.config),
        };
        let plan = Plan {
            target: query.target,
            concurrency,
            thorough: query.thorough,
            only_given: query.only_closest_nodes,
            keeps_replies: kind == Kind::User,
            max_query_addresses: cx.config.max_query_addresses,
            max_open: cx.config.max_background_requests,
            radius,
            salt: cx.rng.next_u32(),
            // How long an application takes to answer is another matter.
            pace: if query.internal { pace } else { pace.unmeasured() },
        };
        let mut running = self.begin(kind, query, plan, Clock::new(WALK_MAX), &cx.config);
        let id = running.id;
        for addr in core::mem::take(&mut running.query.nodes) {
            running.walk.offer(ids, addr);
        }
        self.put(running);
        id
    }

    /// How many nodes more a walk wants from the table to begin with, and its target; `None` if none.
    pub(crate) fn wants_seed(&mut self, id: QueryId) -> Option<(usize, Id)> {
        let running = self.get_mut(id)?;
        let missing = K.saturating_sub(running.walk.pending());
        if missing == 0 {
            return None;
        }
        running.walk.uses_table();
        (!running.query.only_closest_nodes).then_some((missing, running.query.target))
    }

    /// Nodes to begin with, or that names have brought.
    pub(crate) fn offer(
        &mut self,
        id: QueryId,
        ids: &Ids,
        nodes: impl Iterator<Item = SocketAddrV4>,
    ) {
        if let Some(walk) = self.get_mut(id).and_then(Running::walking) {
            nodes.for_each(|addr| _ = walk.offer(ids, addr));
        }
    }

    /// How many nodes a walk has yet to visit.
    pub(crate) fn pending(&self, id: QueryId) -> Option<usize> {
        self.get(id).map(|running| running.walk.pending())
    }

    /// Names are being looked up that may bring a walk more nodes, or not.
    pub(crate) fn set_wants_names(&mut self, id: QueryId, wants: bool) {
        if let Some(running) = self.get_mut(id) {
            running.wants_names = wants;
        }
    }

    /// Whether a walk waits for names.
    pub(crate) fn wants_names(&self, id: QueryId) -> bool {
        self.get(id).is_some_and(|running| running.wants_names)
    }

    /// What a query asks.
    pub(crate) fn query(&self, id: QueryId) -> Option<&Query> {
        self.get(id).map(|running| &running.query)
    }

    pub(crate) fn kind(&self, id: QueryId) -> Option<Kind> {
        self.get(id).map(|running| running.kind)
    }

    /// A visit was answered. The class of its visits until then; `None` if the query does not wait for it.
    pub(crate) fn answered(&mut self, id: QueryId, node: u16, reply: &Reply) -> Option<Class> {
        self.on_walk(id, |walk| walk.answered(node, reply))
    }

    /// A node has named another.
    pub(crate) fn offer_from(
        &mut self,
        id: QueryId,
        ids: &Ids,
        addr: SocketAddrV4,
        by: u16,
    ) -> Option<Offer> {
        Some(self.get_mut(id)?.walking()?.offer_from(ids, addr, by))
    }

    /// A background query asks few nodes at once while there is other traffic. Its own requests don't count, nor the ones that it
    /// left `late`: else a walk that meets dead nodes would slow down to two requests at a time.
    pub(crate) fn yields_to(&mut self, cx: &Cx, id: QueryId, live: usize, late: usize) {
        let Some(running) = self.get_mut(id) else { return };
        let others = live.saturating_sub(running.walk.in_flight());
        let quiet = others < QUIET_MAX || others.saturating_sub(late) < QUIET_MAX;
        running.walk.set_concurrency(match quiet {
            true => cx.config.concurrency,
            false => background_concurrency(&cx.config),
        });
    }

    /// Puts a reply into the mailbox, if it is wanted. Whether it is.
    pub(crate) fn deliver(&mut self, cx: &Cx, id: QueryId, reply: Reply) -> bool {
        let Some(running) = self.get_mut(id) else { return false };
        let wanted = reply.error == 0 && !running.query.discard;
        if wanted {
            running.mailbox.make_room(cx.config.max_unread_replies);
            running.mailbox.push_back(reply);
        }
        wanted
    }

    /// A try of a visit was not answered in time. The class until then.
    pub(crate) fn missed(&mut self, id: QueryId, node: u16) -> Option<Class> {
        self.on_walk(id, |walk| walk.missed(node))
    }

    /// A visit has failed, since its node was silent if it `timed_out`. The class until then.
    pub(crate) fn failed(&mut self, id: QueryId, node: u16, timed_out: bool) -> Option<Class> {
        self.on_walk(id, |walk| walk.failed(node, timed_out))
    }

    /// A look into a gap has ended.
    pub(crate) fn gap_ended(&mut self, id: QueryId) {
        if let Some(walk) = self.get_mut(id).and_then(Running::walking) {
            walk.gap_probe_ended();
        }
    }

    /// A commit was answered. The same call once more, under a fresh token, if that had grown too old meanwhile.
    pub(crate) fn commit_answered(
        &mut self,
        id: QueryId,
        (to, again): (u16, bool),
        reply: &Reply,
        via: Via,
    ) -> Option<Call> {
        let Running { query, phase, .. } = self.get_mut(id)?;
        let Phase::Committing(committing) = phase else { return None };
        if let Some(token) = reply.token.filter(|_| reply.error == INVALID_TOKEN && !again) {
            let purpose = Purpose::Commit { query: id, to, again: true };
            return Some(call_of(query, reply.from.addr, Some(token), purpose, via));
        }
        committing.answered(reply.error);
        None
    }

    /// A commit was not answered.
    pub(crate) fn commit_failed(&mut self, id: QueryId, error: RequestError) {
        if let Some(Phase::Committing(committing)) = self.get_mut(id).map(|r| &mut r.phase) {
            committing.failed(error);
        }
    }

    /// Whether a visit is under way that has missed a try, or that its query does not wait for.
    pub(crate) fn is_late(&self, id: QueryId, node: u16) -> bool {
        self.get(id).is_some_and(|running| running.walk.is_late(node))
    }

    /// The nodes that have named a node.
    pub(crate) fn named_by(
        &self,
        id: QueryId,
        node: u16,
    ) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.get(id).into_iter().flat_map(move |running| running.walk.named_by(node))
    }

    /// The address of a node that was visited.
    pub(crate) fn addr(&self, id: QueryId, node: u16) -> Option<SocketAddrV4> {
        self.get(id)?.walk.addr(node)
    }

    /// A walk is over, and nothing of it is under way any more. The commits begin, or what was found is the result. What a
    /// query of the node's own has found is returned.
    #[inline(never)]
    pub(crate) fn walked(&mut self, cx: &mut Cx, id: QueryId) -> Walked {
        let Some((kind, commit, outcome)) = self.work(id, |_, running| {
            running.walk.abandon(true);
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
            return self.recycle(running, &cx.config);
        }
        running.phase = Phase::Finished(result);
        self.put(running);
    }

    /// Whether a query has not ended yet.
    pub(crate) fn is_unfinished(&self, id: QueryId) -> bool {
        self.get(id).is_some_and(|running| !running.is_finished())
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
            if error.is_none() {
                running.mailbox = VecDeque::new();
            }
            let Some(error) = error else { return Ok(running.take_outcome_so_far()) };
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

    /// Forgets a query, ended or not. Whether there was one.
    pub(crate) fn forget(&mut self, cx: &mut Cx, id: QueryId) -> bool {
        let Some(running) = self.take(id) else { return false };
        cx.stats.queries.active -= u64::from(!running.is_finished());
        self.recycle(running, &cx.config);
        true
    }

    /// The next reply to a query, which frees a place in its mailbox.
    pub(crate) fn next_reply(&mut self, id: QueryId) -> Option<Reply> {
        self.get_mut(id)?.mailbox.pop_front()
    }

    /// The replies of a query are not wanted from now on. Whether there is that query.
    pub(crate) fn discard_replies(&mut self, id: QueryId) -> bool {
        let Some(running) = self.get_mut(id) else { return false };
        running.query.discard = true;
        running.mailbox = VecDeque::new();
        true
    }

    /// How a query ended, once: it is forgotten then, with all replies that were not taken.
    pub(crate) fn take_outcome(
        &mut self,
        config: &Config,
        id: QueryId,
    ) -> Option<Result<Outcome, QueryError>> {
        if !self.get(id)?.is_finished() {
            return None;
        }
        let mut running = self.take(id)?;
        let phase = core::mem::replace(&mut running.phase, Phase::Walking);
        self.recycle(running, config);
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

    /// The queries of a session.
    pub(crate) fn of_session(&self, session: SessionId) -> Vec<QueryId> {
        let all = self.slots.iter().flatten();
        let of_it = all.filter(|running| running.query.session == Some(session));
        of_it.map(|running| running.id).collect()
    }

    /// Whether some query could not ask all nodes that it wants to for want of a place; if there is one now, each is to
    /// [go on](Self::advance).
    pub(crate) fn take_stalled(&mut self, busy: bool) -> bool {
        !busy && core::mem::take(&mut self.stalled)
    }

    /// Nothing is to go on.
    pub(crate) fn forget_stalled(&mut self) {
        self.stalled = false;
    }

    /// Something happens to a walk, while it is on. The class of its visits until then.
    fn on_walk(&mut self, id: QueryId, happens: impl FnOnce(&mut Walk)) -> Option<Class> {
        self.work(id, |_, running| {
            let walk = running.walking()?;
            let before = walk.class();
            happens(walk);
            Some(before)
        })?
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

    pub(crate) fn ids(&self) -> Vec<QueryId> {
        self.slots.iter().flatten().map(|running| running.id).collect()
    }

    fn get(&self, id: QueryId) -> Option<&Running> {
        let running = self.slots.get(slot_of(id))?.as_deref()?;
        (running.id == id).then_some(running)
    }

    fn get_mut(&mut self, id: QueryId) -> Option<&mut Running> {
        let running = self.slots.get_mut(slot_of(id))?.as_deref_mut()?;
        (running.id == id).then_some(running)
    }

    /// Takes a query out, to work on it; [`put`](Self::put) it back, or [`recycle`](Self::recycle) it.
    #[inline(never)]
    fn take(&mut self, id: QueryId) -> Option<Box<Running>> {
        let (walks, astray) = self.get(id)?.counts();
        self.walks = (self.walks.0 - walks, self.walks.1 - astray);
        self.slots.get_mut(slot_of(id))?.take()
    }

    #[inline(never)]
    fn put(&mut self, running: Box<Running>) {
        if let Some(slot) = self.slots.get_mut(slot_of(running.id)) {
            let (walks, astray) = running.counts();
            self.walks = (self.walks.0 + walks, self.walks.1 + astray);
            *slot = Some(running);
        }
    }

    /// A query that begins; it is in no slot until it is [`put`](Self::put) there.
    fn begin(
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
                wants_names: false,
                clock,
            });
        };
        running.walk.reset(plan);
        *running = Running { id, kind, query, phase: Phase::Walking, clock, ..*running };
        running
    }

    /// A query is no more; what it used may serve another.
    fn recycle(&mut self, mut running: Box<Running>, config: &Config) {
        if self.spare.len() < spares(config) && running.walk.is_worth_keeping() {
            running.walk.forget_replies();
            running.mailbox.clear();
            running.query.value = None;
            running.query.nodes = Vec::new();
            running.phase = Phase::Walking;
            running.wants_names = false;
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
