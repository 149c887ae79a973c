//! How queries begin: the user's, and the searches that the node makes in the background.

use super::Parts;
use crate::api::ask::Query;
use crate::api::message::{Nodes, QueryId};
use crate::id::Id;
use crate::queries::Kind;
use crate::table::K;

impl Parts {
    pub(super) fn start_query(&mut self, kind: Kind, query: Query) -> QueryId {
        self.members.queried();
        let known = (self.members.table(), self.requests.pace());
        let id = self.queries.start(&mut self.cx, kind, query, known);
        self.seed(id);
        id
    }

    /// Adds nodes to begin with: the closest of the table and, if these are few, the bootstrap nodes.
    pub(super) fn seed(&mut self, id: QueryId) {
        let Some((missing, target)) = self.queries.wants_seed(id) else { return };
        let (table, mut nodes) = (self.members.table(), Nodes::new());
        table.closest(&target, &mut nodes);
        self.queries.offer(id, table.ids(), nodes.iter().copied().take(missing));
        if nodes.len() < missing {
            self.queries.offer(id, table.ids(), self.members.doubted());
        }
        let own = self.reach.own_addr();
        let pending = |node: &Self| node.queries.pending(id).unwrap_or(K);
        if pending(self) < K && !self.cx.config.bootstrap.is_empty() {
            let wants = self.sources.names.want(self.cx.now, &self.cx.config.bootstrap);
            self.queries.set_wants_names(id, wants);
            let ids = self.members.table().ids();
            self.queries.offer(id, ids, self.sources.bootstrap(&self.cx.config, own));
        }
        // No other node is known. The node's own refreshes leave them alone: these have another way to ask them, less often.
        if pending(self) == 0 && self.queries.kind(id) != Some(Kind::Refresh) {
            let given = self.sources.given.iter().filter(|addr| Some(*addr) != own);
            self.queries.offer(id, self.members.table().ids(), given);
        }
    }

    /// Names nodes of the table to a query whose result is thin: of random /24s that know of it or not.
    pub(super) fn call_witnesses(&mut self, id: QueryId) {
        let (table, exempt) = (self.members.table(), &self.cx.config.exempt);
        let (key, mut after) = (self.cx.rng.next_u32(), None);
        loop {
            let drawn = table.spread((key, after), exempt, 0, self.cx.tick);
            let Some((last, _)) = drawn.last() else { return };
            after = Some(*last);
            for (_, addr) in drawn {
                if !self.queries.offer_witness(id, table.ids(), addr) {
                    return;
                }
            }
        }
    }

    /// Looks for nodes near a random one of the table, in the background.
    pub(super) fn start_refresh(&mut self) {
        if self.queries.is_running(Kind::Refresh) {
            return;
        }
        let table = self.members.table();
        let slot = table.random(self.cx.rng.next_u64());
        let target = slot.map_or(*table.own(), |slot| table.ids().of(slot.addr()));
        self.start_search(target);
    }

    /// Looks for nodes in the background, unless enough is done there.
    pub(super) fn start_search(&mut self, target: Id) {
        if self.has_place_for_search() {
            self.start_query(Kind::Refresh, Query::find_node(target).discard_replies());
        }
    }

    pub(super) fn has_place_for_search(&self) -> bool {
        self.queries.background().count() < self.cx.config.background_queries()
    }
}
