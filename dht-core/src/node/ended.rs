//! Requests that have ended: what an answer teaches goes to all parts that learn from it, and what a request was for
//! goes on.

use core::net::SocketAddrV4;

use super::Parts;
use crate::api::error::RequestError;
use crate::api::event::Event;
use crate::api::message::{Reply, RequestId, Via};
use crate::context::Cx;
use crate::members::Checked;
use crate::requests::call::{Call, Purpose, Question};
use crate::requests::{Ended, Overdue};

impl Parts {
    /// The next request of which a try was not answered in time.
    pub(super) fn pop_overdue(&mut self) -> Option<RequestId> {
        if self.upkeep.is_running() { self.requests.pop_overdue(&self.cx) } else { None }
    }

    /// A try was not answered in time. The request is tried again, or given up.
    pub(super) fn on_overdue(&mut self, id: RequestId) {
        let (members, queries) = (&self.members, &self.queries);
        let is_member = |addr| members.table().get(addr).is_some();
        let may_knock = |cx: &Cx, purpose, to: SocketAddrV4| {
            let voices = || match purpose {
                Purpose::Visit { query, node, .. } => queries.voices(query, node),
                _ => members.voices(to),
            };
            !queries.is_hearsay(purpose) || cx.may_knock(*to.ip(), &voices, true) || is_member(to)
        };
        match self.requests.on_overdue(&mut self.cx, id, is_member, may_knock) {
            None => {}
            Some(Overdue::Ended(ended)) => self.on_ended(None, &ended),
            Some(Overdue::Again { to, purpose, doubt }) => {
                self.knock(purpose, to);
                if let Some((question, late)) = doubt {
                    self.members.suspect(&self.cx, to, (false, late), question);
                }
                if let Purpose::Visit { query, node, .. } = purpose {
                    self.queries.missed(query, node);
                }
            }
        }
    }

    /// A request has ended; `via`: the socket that its answer came in by, if there is one.
    pub(super) fn on_ended(&mut self, via: Option<Via>, ended: &Ended) {
        // Before its answer is a reason to ask anything: a commit that is repeated takes the place that it has just left.
        if let Purpose::Commit { query, to, again } = ended.purpose {
            self.on_commit(query, (to, again), &ended.result);
        }
        let answer = via.zip(ended.result.as_ref().ok());
        match answer {
            Some((via, reply)) => self.on_answer(via, reply, ended),
            None => self.on_silence(ended),
        }
        let answered = answer.is_some();
        let counting = answer.filter(|_| ended.counts());
        let seen = counting.map(|(via, reply)| (via, reply.seen_as));
        let with_id = counting.map(|(_, reply)| reply.from.id.is_some());
        let checked = match with_id {
            Some(false) => Checked::WithoutId,
            _ if ended.timed_out() => Checked::Silent,
            _ => Checked::Stays,
        };
        let (to, sure) = (ended.to, ended.sure);
        match ended.purpose {
            Purpose::User => self.note(Event::Response(ended.id)),
            Purpose::Visit { query, node, seen } => match &ended.result {
                Ok(reply) => self.on_visit_answered(query, node, reply),
                Err(_) => {
                    // A command of an application that is left unanswered says little of a node: it is asked on, for what
                    // every node answers.
                    if sure && ended.question != Question::Command {
                        self.members.evict_unless_seen(&mut self.cx, to, seen);
                    }
                    self.on_visit_failed(query, node, seen, ended.timed_out());
                }
            },
            Purpose::Gap { query, node } => self.on_gap(query, node, ended.result.as_ref().ok()),
            Purpose::Commit { .. } => {}
            Purpose::Check { seen, hinted } => {
                self.members.on_check(&mut self.cx, (to, seen), hinted, checked);
            }
            Purpose::Swap { seen, newcomer, verified } => {
                let (newcomer, flights) = ((newcomer, verified), self.requests.flights());
                let asks = |addr| flights.asks(addr);
                let ask = self.members.on_swap(&mut self.cx, (to, seen), newcomer, checked, &asks);
                self.ask_some(ask);
            }
            Purpose::Verify => {
                let ask = self.members.on_verify(&mut self.cx, to, with_id == Some(true));
                self.ask_some(ask);
            }
            Purpose::Late { seen } => {
                if sure && self.members.evict_unless_seen(&mut self.cx, to, seen) {
                    self.report(to);
                }
            }
            Purpose::Hint { seen } => {
                if sure {
                    self.members.evict_unless_seen(&mut self.cx, to, seen);
                }
            }
            Purpose::QuickNat if seen.is_some() => self.upkeep.bootstrap.on_quick_nat(),
            Purpose::QuickNat => {}
            Purpose::Probe => {
                let seen = seen.map(|(via, seen_as)| (via, to, seen_as));
                let guessed = answered && seen.is_none();
                self.reach.on_probe(&mut self.cx, others!(self), seen, guessed);
            }
            Purpose::View { users } => {
                self.reach.on_view(&mut self.cx, others!(self), users, seen);
            }
        }
    }

    /// What an answer teaches, whatever it was asked for. Unless it counts, the answer may have been guessed.
    /// Users and walks get it all the same, since the true one is more likely by far: with four datagrams any host could
    /// silence any node for them. It says no more than any node may say of others.
    fn on_answer(&mut self, via: Via, reply: &Reply, ended: &Ended) {
        if ended.tells_health() {
            self.upkeep.contact.count_answer();
        }
        if ended.counts() {
            self.upkeep.contact.answered(&mut self.cx);
            let (now, host, max) = (self.cx.now, *reply.from.addr.ip(), self.cx.config.marks());
            self.replies.budget.answered(now, host, max);
            self.cx.knocks.answered(now, host, max);
            self.learn(via, reply.from, reply.seen_as, ended.question, ended.votes());
        }
        let hasty = match ended.purpose {
            Purpose::Visit { query, .. } if ended.tells_pace() => {
                self.queries.answered_after(query, ended.timing)
            }
            _ => false,
        };
        self.requests.learn_pace(ended, hasty);
    }

    /// What it means that there is no answer.
    fn on_silence(&mut self, ended: &Ended) {
        let (to, purpose) = (ended.to, ended.purpose);
        // Silence of an address that the user asks tells of the network; silence of one that peers have named may be invented.
        let table = self.members.table();
        let known = purpose == Purpose::User || table.is_empty() || table.get(to).is_some();
        let cancelled =
            matches!(ended.result, Err(RequestError::Destroyed | RequestError::Suspended));
        if !cancelled && ended.tells_health() && known {
            self.upkeep.contact.missed();
        }
        if ended.doubt && purpose.judges() {
            let late = ended.tells_health();
            self.members.suspect(&self.cx, to, (ended.sure, late), ended.question);
        }
    }

    /// Ends a request without an answer, and lets what it was for go on.
    pub(super) fn fail(&mut self, id: RequestId, error: RequestError) {
        if let Some(ended) = self.requests.fail(&mut self.cx, id, error) {
            self.on_ended(None, &ended);
        }
    }

    /// Fails all requests that are wanted.
    pub(super) fn fail_all(&mut self, wanted: &dyn Fn(&Call) -> bool, error: RequestError) {
        let mut slot = 0;
        while let Some(id) = self.requests.flights().next_from(&mut slot, wanted) {
            self.fail(id, error);
        }
    }
}
