//! Requests that have ended: what an answer teaches goes to all parts that learn from it, and what a request was for
//! goes on.

use super::Parts;
use crate::api::error::RequestError;
use crate::api::event::Event;
use crate::api::message::{RequestId, Via};
use crate::requests::call::{Call, Purpose, Question};
use crate::requests::{Again, Ended};

impl Parts {
    /// A try that was not answered in time is repeated, or given up. Whether there was one.
    pub(super) fn end_overdue(&mut self) -> bool {
        if !self.upkeep.is_running() {
            return false;
        }
        let Some(id) = self.requests.pop_overdue(&self.cx) else { return false };
        let table = self.members.table();
        let is_member = |addr| table.get(addr).is_some();
        match self.requests.on_overdue(&mut self.cx, id, is_member) {
            None => {}
            Some(Ok(ended)) => self.on_ended(None, &ended),
            Some(Err(Again { to, purpose, doubt })) => {
                if let Some((question, late)) = doubt {
                    self.members.suspect(&self.cx, to, (false, late), question);
                }
                if let Purpose::Visit { query, node, .. } = purpose {
                    self.queries.missed(query, node);
                }
            }
        }
        true
    }

    /// A request has ended; `via`: the socket that its answer came in by.
    pub(super) fn on_ended(&mut self, via: Option<Via>, ended: &Ended) {
        match via {
            Some(via) => self.on_answer(via, ended),
            None => self.on_failed(ended),
        }
    }

    /// A request is answered: it ends, and what it was for goes on. Unless it counts, the answer may have been guessed.
    /// Users and walks get it all the same, since the true one is more likely by far: with four datagrams any host could
    /// silence any node for them. It says no more than any node may say of others.
    fn on_answer(&mut self, via: Via, ended: &Ended) {
        let Ok(reply) = &ended.result else { return };
        let counts = ended.counts();
        if ended.tells_health() {
            self.upkeep.contact.count_answer();
        }
        if counts {
            self.upkeep.contact.answered(&mut self.cx);
            let (from, to, question) = (reply.from, reply.seen_as, ended.question);
            self.learn(via, from, to, question, ended.votes());
        }
        let hasty = match ended.purpose {
            Purpose::Visit { query, .. } if ended.tells_pace() => {
                self.queries.answered_after(query, ended.timing)
            }
            _ => false,
        };
        self.requests.learn_pace(ended, hasty);
        let no_id = counts && reply.from.id.is_none();
        let (asked, seen_as) = (ended.to, reply.seen_as);
        match ended.purpose {
            Purpose::User => self.note(Event::Response(ended.id)),
            Purpose::Hint { .. } | Purpose::Late { .. } => {}
            Purpose::Visit { query, node, .. } => {
                self.on_visit_answered(query, node, reply);
            }
            Purpose::Gap { query, node } => self.on_gap(query, node, Some(reply)),
            Purpose::Commit { query, to, again } => {
                self.on_commit(query, (to, again), &ended.result);
            }
            Purpose::Check { .. } | Purpose::Swap { .. } | Purpose::Verify => {
                self.on_check(ended, no_id);
            }
            Purpose::QuickNat if counts => self.upkeep.bootstrap.on_quick_nat(),
            Purpose::QuickNat => {}
            Purpose::Probe => {
                self.on_probe(counts.then_some((via, asked, seen_as)), !counts);
            }
            Purpose::View { users } => self.on_view(users, counts.then_some((via, seen_as))),
        }
    }

    /// A request has ended without an answer.
    fn on_failed(&mut self, ended: &Ended) {
        let Err(error) = ended.result else { return };
        let (to, purpose, question) = (ended.to, ended.purpose, ended.question);
        // Silence of an address that the user asks tells of the network; silence of one that peers have named may be invented.
        let table = self.members.table();
        let known = purpose == Purpose::User || table.is_empty() || table.get(to).is_some();
        let cancelled = matches!(error, RequestError::Destroyed | RequestError::Suspended);
        if !cancelled && ended.tells_health() && known {
            self.upkeep.contact.missed();
        }
        let (timed_out, sure) = (ended.timed_out(), ended.sure);
        if ended.doubt && purpose.judges() {
            self.members.suspect(&self.cx, to, (sure, ended.tells_health()), question);
        }
        match purpose {
            Purpose::User => self.note(Event::Response(ended.id)),
            Purpose::Visit { query, node, seen } => {
                // A command of an application that is left unanswered says little of a node: it is asked on, for what
                // every node answers.
                if sure && question != Question::Command {
                    self.members.evict_unless_seen(&mut self.cx, to, seen);
                }
                self.on_visit_failed(query, node, seen, timed_out);
            }
            Purpose::Gap { query, node } => self.on_gap(query, node, None),
            Purpose::Commit { query, to, again } => {
                self.on_commit(query, (to, again), &ended.result);
            }
            Purpose::Check { .. } | Purpose::Swap { .. } | Purpose::Verify => {
                self.on_check(ended, false);
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
            Purpose::QuickNat => {}
            Purpose::Probe => self.on_probe(None, false),
            Purpose::View { users } => self.on_view(users, None),
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
