//! What queries are told: nodes to begin with, and how their requests have ended. Each wakes its query.

use core::net::SocketAddrV4;

use super::pool::Queries;
use super::running::{Kind, Phase, Running};
use crate::api::ask::Query;
use crate::api::config::Config;
use crate::api::error::RequestError;
use crate::api::id_cache::Ids;
use crate::api::message::{QueryId, Reply};
use crate::bounded::memory::Capped;
use crate::context::Cx;
use crate::error_code::INVALID_TOKEN;
use crate::id::Id;
use crate::queries::walk::{Offer, Plan, Walk};
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::requests::pace::{Pace, Timing};
use crate::table::{K, Quotas, Table};

/// A background query keeps to its share of the concurrency while more than this is in flight.
const QUIET_MAX: usize = 3;

fn background_concurrency(config: &Config) -> u16 {
    config.concurrency.min((config.concurrency / 8).max(2))
}

impl Queries {
    /// Begins a query; its nodes to begin with are to be [offered](Self::offer).
    pub(crate) fn start(
        &mut self,
        cx: &mut Cx,
        kind: Kind,
        mut query: Query,
        (table, pace): (&Table, Pace),
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
            radius: table.radius(),
            spacing: self.spacing(table),
            quotas: if query.only_closest_nodes { Quotas::NONE } else { table.quotas() },
            exempt: cx.config.exempt.clone(),
            salt: cx.rng.next_u32(),
            // How long an application takes to answer is another matter.
            pace: if query.internal { pace } else { pace.unmeasured() },
        };
        let nodes = core::mem::take(&mut query.nodes);
        let running = self.begin(kind, query, plan);
        let id = running.id;
        self.put(running);
        self.offer(id, table.ids(), nodes.into_iter());
        id
    }

    /// How far from any key the last of the 20 closest is, at least: as the latest query of the node's own has found it, but
    /// somebody may crowd its target as well, and a node that has made none with 20 to be found may not know its
    /// neighbours: of its table's radius a quarter is sure.
    fn spacing(&self, table: &Table) -> u64 {
        let least = if table.len() >= 2 * K { table.radius() / 4 } else { 0 };
        self.spacing.max(least).min(table.radius())
    }

    /// The walk of a query, while it is on.
    fn walk(&mut self, id: QueryId) -> Option<&mut Walk> {
        self.get_mut(id).and_then(Running::walking)
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

    /// Nodes to begin with.
    pub(crate) fn offer(
        &mut self,
        id: QueryId,
        ids: &Ids,
        nodes: impl Iterator<Item = SocketAddrV4>,
    ) {
        if let Some(walk) = self.walk(id) {
            nodes.for_each(|addr| _ = walk.offer(ids, addr));
            self.wake(id);
        }
    }

    /// Nodes of the routing table that may know better than the nodes found. Whether more are wanted.
    pub(crate) fn offer_witness(&mut self, id: QueryId, ids: &Ids, addr: SocketAddrV4) -> bool {
        self.walk(id).is_some_and(|walk| walk.offer_witness(ids, addr))
    }

    /// Names are being looked up that may bring a walk more nodes, or not.
    pub(crate) fn set_wants_names(&mut self, id: QueryId, wants: bool) {
        self.get_mut(id).into_iter().for_each(|running| running.wants_names = wants);
    }

    /// Whether a walk waits for names.
    pub(crate) fn wants_names(&self, id: QueryId) -> bool {
        self.get(id).is_some_and(|running| running.wants_names)
    }

    /// How many nodes a walk has yet to visit.
    pub(crate) fn pending(&self, id: QueryId) -> Option<usize> {
        self.get(id).map(|running| running.walk.pending())
    }

    /// What a query asks.
    pub(crate) fn query(&self, id: QueryId) -> Option<&Query> {
        self.get(id).map(|running| &running.query)
    }

    pub(crate) fn kind(&self, id: QueryId) -> Option<Kind> {
        self.get(id).map(|running| running.kind)
    }

    /// Something happens to a walk, while it is on. Whether it is.
    fn on_walk(&mut self, id: QueryId, happens: &dyn Fn(&mut Walk)) -> bool {
        let walks = self.work(id, |_, running| running.walking().map(happens).is_some());
        self.wake(id);
        walks == Some(true)
    }

    /// A visit was answered. Whether its walk would have given it up, had it not waited on purpose.
    pub(crate) fn answered_after(&mut self, id: QueryId, timing: Timing) -> bool {
        self.walk(id).is_some_and(|walk| walk.answered_after(timing))
    }

    /// A visit was answered. Whether the query waits for it.
    pub(crate) fn answered(&mut self, id: QueryId, node: u16, reply: &Reply) -> bool {
        let walks = self.on_walk(id, &|walk| walk.answered(node, reply));
        if let Some(running) = self.get_mut(id).filter(|_| walks && reply.error != 0) {
            running.refusal = Some(reply.error);
        }
        walks
    }

    /// A node has named other ones. They are offered one by one, as long as what becomes of them lets it go on.
    pub(crate) fn offer_from(
        &mut self,
        id: QueryId,
        ids: &Ids,
        by: u16,
        named: impl Iterator<Item = SocketAddrV4>,
        mut goes_on: impl FnMut(SocketAddrV4, Offer) -> bool,
    ) {
        let Some(walk) = self.walk(id) else { return };
        for addr in named {
            if !goes_on(addr, walk.offer_from(ids, addr, by)) {
                return;
            }
        }
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
    pub(crate) fn deliver(&mut self, cx: &Cx, id: QueryId, reply: &Reply) -> bool {
        let Some(running) = self.get_mut(id) else { return false };
        let wanted = reply.error == 0 && !running.query.discard;
        if wanted {
            running.mailbox.put(cx.config.max_unread_replies, reply.clone());
        }
        wanted
    }

    /// The next reply to a query, which frees a place in its mailbox.
    pub(crate) fn next_reply(&mut self, id: QueryId) -> Option<Reply> {
        let reply = self.get_mut(id)?.mailbox.pop_front()?;
        self.wake(id);
        Some(reply)
    }

    /// The replies of a query are not wanted from now on.
    pub(crate) fn discard_replies(&mut self, id: QueryId) {
        if let Some(running) = self.get_mut(id) {
            running.query.discard = true;
            running.mailbox = Default::default();
            self.wake(id);
        }
    }

    /// A try of a visit was not answered in time.
    pub(crate) fn missed(&mut self, id: QueryId, node: u16) {
        self.on_walk(id, &|walk| walk.missed(node));
    }

    /// A visit has failed, since its node was silent if it `timed_out`. Whether the query waits for it.
    pub(crate) fn failed(&mut self, id: QueryId, node: u16, timed_out: bool) -> bool {
        self.on_walk(id, &|walk| walk.failed(node, timed_out))
    }

    /// A look into a gap has ended.
    pub(crate) fn gap_probe_ended(&mut self, id: QueryId) {
        self.walk(id).into_iter().for_each(Walk::gap_probe_ended);
        self.wake(id);
    }

    /// A commit has ended. The same call once more, under a fresh token, if that had grown too old meanwhile.
    pub(crate) fn commit_ended(
        &mut self,
        id: QueryId,
        (to, again): (u16, bool),
        result: &Result<Reply, RequestError>,
    ) -> Option<Call> {
        self.wake(id);
        let Running { query, phase, .. } = self.get_mut(id)?;
        let Phase::Committing(committing) = phase else { return None };
        match result {
            Ok(reply) => {
                let token = reply.token.filter(|_| reply.error == INVALID_TOKEN && !again);
                if token.is_some() {
                    let purpose = Purpose::Commit { query: id, to, again: true };
                    let request = query.request(reply.from.addr, token);
                    return Some(Call::new(request, Class::Query, purpose));
                }
                committing.answered(reply.error);
            }
            Err(error) => committing.failed(*error),
        }
        None
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

    /// How many /24s have named a node to a walk, as far as that matters.
    pub(crate) fn voices(&self, query: QueryId, node: u16) -> usize {
        self.get(query).map_or(0, |running| running.walk.voices(node))
    }

    /// How many visits were not made since the last call, to nodes of /24s where nobody answers.
    pub(crate) fn take_withheld(&mut self) -> u32 {
        core::mem::take(&mut self.withheld)
    }

    /// Whether the node that a request goes to may be known only since others have named it.
    pub(crate) fn is_hearsay(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Visit { query, node, .. } => {
                self.get(query).is_some_and(|running| running.walk.is_hearsay(node))
            }
            Purpose::Late { .. } => true,
            _ => false,
        }
    }

    /// The address of a node that was visited.
    pub(crate) fn addr(&self, id: QueryId, node: u16) -> Option<SocketAddrV4> {
        self.get(id)?.walk.addr(node)
    }
}
