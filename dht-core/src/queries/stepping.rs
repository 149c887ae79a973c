//! What a query does next: which node it asks, what of the window and of the places it leaves to other queries, and when it is over.

use core::net::SocketAddrV4;

use super::pool::Queries;
use super::running::{Phase, Running};
use crate::api::ask::Request;
use crate::api::message::QueryId;
use crate::context::Cx;
use crate::queries::walk::Walk;
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::time::Instant;

/// What queries see of the rest of the node.
pub(crate) trait Sight {
    /// Whether an address was silent lately.
    fn is_suspected(&self, addr: SocketAddrV4) -> bool;
    /// Whether it is asked last, since many addresses in its /24 are suspected.
    fn is_in_crowd(&self, addr: SocketAddrV4) -> bool;
    /// Whether a node may be asked that so many /24s have named: nobody may answer in its own.
    fn may_knock(&self, addr: SocketAddrV4, voices: &dyn Fn() -> usize) -> bool;
    /// How often a node of the table, whose id begins with `prefix`, has answered.
    fn times_seen(&self, prefix: u64, addr: SocketAddrV4) -> u8;
    /// Places left for requests, and places that the window has for walks.
    fn free(&self) -> usize;
    fn window(&self) -> usize;
    /// Whether names are looked up for which nothing else is known.
    fn awaits_names(&self) -> bool;
}

/// How far a query has come with what it can do now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// It has given up a late visit for the next one.
    gave_up: bool,
    visited: bool,
    seeded: bool,
}

/// What a query wants.
pub(crate) enum Step {
    /// This is to be asked. There is a place for it.
    Ask(Call),
    /// Its visits that wait are of this class from now on.
    Reclass(QueryId, Class),
    /// The request of this late visit is to be forgotten, and [told](Queries::failed).
    GiveUp { query: QueryId, node: u16, addr: SocketAddrV4 },
    /// More nodes to begin with, by [`Queries::offer`].
    Seed(QueryId),
    /// Nodes from all over the routing table, by [`Queries::offer_witness`].
    Witnesses(QueryId),
    /// The walk is over.
    Walked(QueryId),
    /// The commits are over.
    Committed(QueryId),
}

impl Queries {
    /// What the queries want next: the oldest first that something has happened to.
    #[inline(never)]
    pub(crate) fn poll(&mut self, cx: &Cx, sight: &impl Sight) -> Option<Step> {
        loop {
            let id = self.next_awake(cx.busy)?;
            let step = self.advance(cx, id, sight);
            if step.is_some() {
                return step;
            }
            self.rest();
        }
    }

    fn advance(&mut self, cx: &Cx, id: QueryId, sight: &impl Sight) -> Option<Step> {
        let mut progress = self.get(id)?.awake?;
        let mut running = self.take(id)?;
        let step = match running.phase {
            Phase::Walking => self.advance_walk(cx, &mut running, &mut progress, sight),
            Phase::Committing(_) => self.advance_commits(cx, &mut running),
            Phase::Finished(_) => None,
        };
        running.awake = Some(progress);
        self.put(running);
        step
    }

    #[inline(never)]
    fn advance_walk(
        &mut self,
        cx: &Cx,
        running: &mut Running,
        progress: &mut Progress,
        sight: &impl Sight,
    ) -> Option<Step> {
        let class = running.walk.class();
        if core::mem::replace(&mut running.class, class) != class {
            return Some(Step::Reclass(running.id, class));
        }
        if !progress.visited {
            if let Some(step) = self.next_visit(cx, running, progress, sight) {
                return Some(step);
            }
            running.walk.begun();
            progress.visited = true;
        }
        if let Some((node, to, target)) = running.walk.next_gap_probe() {
            if !cx.busy {
                let purpose = Purpose::Gap { query: running.id, node };
                let session = running.query.session;
                let request = Request { retries: 0, session, ..Request::find_node(to, target) };
                return Some(Step::Ask(Call::new(request, Class::Query, purpose)));
            }
            running.walk.gap_probe_ended();
        }
        let runs = running.walk.in_flight() + running.walk.gaps_open() > 0;
        running.clock.run(cx.now, runs);
        if !running.is_done(cx.now, sight) {
            return None;
        }
        if running.walk.wants_table() && !progress.seeded {
            *progress = Progress { seeded: true, ..Progress::default() };
            return Some(Step::Seed(running.id));
        }
        if !running.clock.is_over(cx.now) {
            if running.walk.wants_witnesses() {
                progress.visited = false;
                return Some(Step::Witnesses(running.id));
            }
            if running.walk.widens() {
                progress.visited = false;
                return self.advance_walk(cx, running, progress, sight);
            }
        }
        Some(Step::Walked(running.id))
    }

    /// The next visit; `None` if there is none, or it has to wait.
    #[inline(never)]
    fn next_visit(
        &mut self,
        cx: &Cx,
        running: &mut Running,
        progress: &mut Progress,
        sight: &impl Sight,
    ) -> Option<Step> {
        let Running { id, query, walk, mailbox, class, .. } = running;
        let open = mailbox.len() + walk.in_flight();
        if !(query.discard || open < cx.config.max_unread_replies) {
            return None;
        }
        if !walk.may_ask(self.share_of_window(cx, sight)) {
            return None;
        }
        if !self.has_place_for(cx, walk, sight) {
            // Where places are scarce, a query gives up the most overdue of its visits for the next.
            let late = walk.most_late().filter(|_| walk.has_candidates() && !progress.gave_up);
            if let Some((node, addr)) = late {
                progress.gave_up = true;
                return Some(Step::GiveUp { query: *id, node, addr });
            }
            // Else it goes on when one of its own visits has ended.
            self.stalled |= cx.busy;
            return None;
        }
        progress.gave_up = false;
        let next = walk.next(
            |addr| sight.is_suspected(addr),
            |addr| sight.is_in_crowd(addr),
            |addr, voices| sight.may_knock(addr, voices),
        );
        self.withheld = self.withheld.saturating_add(walk.take_withheld());
        let (node, to) = next?;
        let seen = sight.times_seen(walk.id_prefix(node), to);
        let purpose = Purpose::Visit { query: *id, node, seen };
        let (class, force) = (*class, query.force);
        let retries = if force { 0 } else { query.retries };
        let request = Request { retries, ..query.request(to, None) };
        Some(Step::Ask(Call { request, class, force, purpose }))
    }

    #[inline(never)]
    fn advance_commits(&mut self, cx: &Cx, running: &mut Running) -> Option<Step> {
        let Running { id, query, phase, .. } = running;
        let Phase::Committing(committing) = phase else { return None };
        if let Some((to, addr, token)) = committing.next() {
            if !cx.busy {
                committing.begun();
                let purpose = Purpose::Commit { query: *id, to, again: false };
                let request = query.request(addr, Some(token));
                return Some(Step::Ask(Call::new(request, Class::Query, purpose)));
            }
            self.stalled = true;
        }
        committing.is_over().then_some(Step::Committed(*id))
    }

    /// How much of the window a query may fill before it is clear that any node answers: an equal part of most of it or,
    /// if that is more, of what is left for the queries that are not led astray.
    fn share_of_window(&self, cx: &Cx, sight: &impl Sight) -> usize {
        let (walks, astray) = self.walks();
        let most = cx.config.max_window as usize / 8 * 7;
        (most / (walks + 1)).max(sight.window() / (walks - astray + 1))
    }

    /// Whether there is a place for one more visit. A walk that is astray leaves the other ones, if there are
    /// any, as many as it has.
    fn has_place_for(&self, cx: &Cx, walk: &Walk, sight: &impl Sight) -> bool {
        let leaves_some = walk.is_astray() && self.walks().0 > 0;
        !(cx.busy || leaves_some && walk.in_flight() >= sight.free())
    }
}

impl Running {
    /// Whether a walk has come to its end, by itself or by the clock.
    fn is_done(&self, now: Instant, sight: &impl Sight) -> bool {
        // Where any node has answered no name is waited for, nor where there is an address to ask.
        let more_sources = self.wants_names && !self.walk.has_answers() && sight.awaits_names();
        self.clock.is_over(now) || self.walk.is_done(more_sources)
    }
}
