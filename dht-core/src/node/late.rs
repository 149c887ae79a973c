//! Visits that a query did not wait for. They go on by themselves until it is clear whether the node is down: if
//! so it leaves the table, and the nodes that named it are told. In the reference the query waits for that.

use core::net::SocketAddrV4;

use super::Parts;
use crate::addr::prefix24;
use crate::api::ask::{Query, Request};
use crate::api::message::{QueryId, RequestId};
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;

/// How many strangers of one host, and of one /24, are asked on at once.
const LATE_PER_HOST_MAX: usize = 2;
const LATE_PER_PREFIX_MAX: usize = 4;

impl Parts {
    /// A query ends, and does not wait for its late visits.
    pub(super) fn leave_late(&mut self, query: QueryId) {
        if !self.upkeep.is_running() {
            return;
        }
        let of_query = |call: &Call| call.purpose.is_visit_of(query);
        let mut slot = 0;
        while let Some(id) = self.requests.flights().next_from(&mut slot, &of_query) {
            self.leave_visit(query, id);
        }
    }

    fn leave_visit(&mut self, query: QueryId, id: RequestId) {
        let Some(call) = self.requests.flights().call(id) else { return };
        let (Purpose::Visit { node, seen, .. }, to) = (call.purpose, call.to()) else {
            return;
        };
        if !self.queries.is_late(query, node) || !self.is_in_question(query, node, to) {
            return;
        }
        let plain = |query: &Query| query.internal && query.value.is_none() && !query.force;
        // What an application leaves unanswered says little of its node; FIND_NODE is answered by every one.
        // Of what goes on nothing is counted but an address, and nothing goes past the window.
        match self.queries.query(query).is_some_and(plain) {
            true => self.requests.go_on(id, Purpose::Late { seen }),
            false => self.ask_late(query, to, seen),
        }
    }

    /// A visit has failed: all who have named its node are told, if it had tries enough to say that it is down.
    pub(super) fn leave_failed(&mut self, query: QueryId, node: u16, seen: u8) {
        let Some(to) = self.queries.addr(query, node) else { return };
        if self.is_in_question(query, node, to) {
            self.ask_late(query, to, seen);
        }
    }

    /// Whether a silent node of a walk is to be asked on; the nodes that have named it are told as soon as it is clear.
    fn is_in_question(&mut self, query: QueryId, node: u16, to: SocketAddrV4) -> bool {
        for by in self.queries.named_by(query, node) {
            self.members.note_namer(&self.cx, to, by);
        }
        // Where it was silent before it need not be asked once more that often, unless that is all there is against it.
        let internal = self.queries.query(query).is_some_and(|query| query.internal);
        let known = !internal && self.members.table().get(to).is_some();
        let sure = self.report_if_sure(to);
        (!sure || known) && self.has_place_for_late(to)
    }

    fn ask_late(&mut self, query: QueryId, to: SocketAddrV4, seen: u8) {
        let Some(target) = self.queries.query(query).map(|query| query.target) else { return };
        let purpose = Purpose::Late { seen };
        let may_knock = || {
            self.cx.may_knock(*to.ip(), &|| self.members.voices(to), true)
                || self.members.table().get(to).is_some()
        };
        if !self.cx.busy && may_knock() {
            self.knock(purpose, to);
            let request = Request::find_node(to, target);
            self.begin(Call::new(request, Class::Query, purpose));
        }
    }

    fn late(&self) -> impl Iterator<Item = &Call> {
        self.requests.flights().calls().filter(|call| matches!(call.purpose, Purpose::Late { .. }))
    }

    /// How many visits go on after their walk.
    pub(super) fn late_visits(&self) -> usize {
        self.late().count()
    }

    /// Whether one more visit may go on: not two to one node. A quarter of the places is for nodes outside the
    /// table, and of these a few per host and /24: any peer can name them, and they may be third parties.
    fn has_place_for_late(&self, to: SocketAddrV4) -> bool {
        let is_stranger = |addr| self.members.table().get(addr).is_none();
        let (mut count, mut strangers, mut host, mut prefix) = (0, 0, 0, 0);
        for other in self.late().map(|call| call.to()) {
            if other == to {
                return false;
            }
            count += 1;
            strangers += usize::from(is_stranger(other));
            host += usize::from(other.ip() == to.ip());
            prefix += usize::from(prefix24(*other.ip()) == prefix24(*to.ip()));
        }
        let max = self.cx.config.late_visits();
        let spread = host < LATE_PER_HOST_MAX && prefix < LATE_PER_PREFIX_MAX;
        let may_stranger =
            strangers < max.div_ceil(4) && (spread || self.cx.config.exempt.covers(*to.ip()));
        count < max && (!is_stranger(to) || may_stranger)
    }
}
