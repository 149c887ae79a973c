//! The requests by which a walk looks behind silent nodes; see [`gaps`](crate::queries::walk) for why.

use super::Node;
use super::queries::Running;
use crate::api::ask::Query;
use crate::api::message::{QueryId, Reply};
use crate::requests::call::{Call, Purpose};

impl Node {
    pub(super) fn look_into_gaps(&mut self, running: &mut Running) {
        while let Some((node, to, target)) = running.walk.look_into_gap() {
            let query = Query::find_node(target);
            let purpose = Purpose::Gap { query: running.id, node };
            let session = running.query.session;
            let call = Call { retries: 0, session, ..self.call_of(&query, to, None, purpose) };
            if self.is_busy() || self.begin(call).is_none() {
                running.walk.looked_into_gap();
                return;
            }
        }
    }

    pub(super) fn on_gap_answered(&mut self, id: QueryId, node: u16, reply: &Reply) {
        let Some(mut running) = self.queries.take(id) else { return };
        if let Some(walk) = running.walking() {
            walk.looked_into_gap();
            let (from, own) = (reply.from.addr, self.reach.own_addrs());
            for addr in reply.closer_nodes.iter().flatten().copied() {
                if self.is_visitable(addr, from, &own) {
                    walk.offer_from(self.members.table().ids(), addr, node);
                } else {
                    self.cx.stats.drops.closer_nodes += 1;
                }
            }
        }
        self.queries.put(running);
        self.pump(id);
    }

    pub(super) fn on_gap_failed(&mut self, id: QueryId) {
        if let Some(walk) = self.queries.get_mut(id).and_then(Running::walking) {
            walk.looked_into_gap();
            self.pump(id);
        }
    }
}
