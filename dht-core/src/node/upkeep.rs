//! Periodic work: every five seconds the node looks after its table, its health and itself.
//! Mirrors `_ontick` and `_pingSome` of `index.js`.

use super::{Node, Parts};
use crate::queries::Kind;
use crate::time::Instant;
use crate::upkeep::clock::Clock;

/// With more than this in flight, fewer nodes are pinged.
const BUSY_ABOVE: usize = 2;

/// # Upkeep out of turn
impl Node {
    /// Does the upkeep of a tick now, without waiting for its time. `quiet`: only what needs no
    /// packet, that is a sample for the health and a new budget of down hints.
    pub fn maintain(&mut self, now: Instant, quiet: bool) {
        self.parts.enter(now, |node| {
            let running = node.upkeep.is_running();
            if running && quiet {
                node.renew();
            } else if running {
                Clock::skip(&mut node.cx.tick);
                node.upkeep_of_tick();
            }
        });
    }

    /// Refreshes the table in the background, by looking for a random node of it.
    pub fn refresh(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            if node.upkeep.is_running() {
                node.start_refresh();
            }
        });
    }
}

impl Parts {
    pub(super) fn tick(&mut self) {
        self.upkeep.clock.pass(&mut self.cx.tick);
        self.cx.alarm();
        self.verify_next(1);
        self.members.forget_suspicions(&self.cx);
        self.replies.budget.trim(self.cx.now);
        self.cx.knocks.trim(self.cx.now);
        if self.members.is_quiet() {
            self.requests.trim(self.cx.now);
            self.replies.trim();
            self.queries.trim();
        }
        self.upkeep_of_tick();
    }

    fn upkeep_of_tick(&mut self) {
        if !self.upkeep.bootstrap.is_done() {
            return;
        }
        self.reach_on_tick();
        let alone = self.members.table().is_empty();
        // Nodes that come by themselves are verified, which tells nothing of our address. A node that is to be persistent
        // asks for it.
        let untold = self.cx.config.ephemeral == Some(false) && self.reach.is_unseen() && !alone;
        if Clock::is_keep_alive(self.cx.tick) || untold {
            self.keep_alive();
        }
        // A refresh would ask only the silent bootstrap nodes, which are asked already.
        let in_vain = self.members.table().is_empty() && self.upkeep.bootstrap.is_silent();
        // A refresh that is still under way is not counted twice.
        if self.members.is_refresh_due(self.cx.tick)
            && !in_vain
            && !self.queries.is_running(Kind::Refresh)
            && self.has_place_for_search()
        {
            self.members.refreshing();
            self.start_refresh();
        }
        self.renew();
    }

    fn renew(&mut self) {
        if !self.upkeep.bootstrap.is_done() {
            return;
        }
        self.members.reset_budgets();
        self.send_hints();
        self.upkeep.contact.review(&mut self.cx);
    }

    /// Pings the nodes that were not heard of for longest, and a node that was lost.
    fn keep_alive(&mut self) {
        let busy = self.requests.flights().live() > BUSY_ABOVE;
        self.seek_lost();
        if !self.members.begin_keep_alive(self.cx.tick, busy) {
            // All alone: try the bootstrap nodes again. Where they are silent, that has its own time.
            if !self.upkeep.bootstrap.is_silent() {
                self.start_refresh();
            }
            return;
        }
        while let Some(ask) = self.members.next_check(&mut self.cx) {
            self.ask(ask);
        }
    }
}
