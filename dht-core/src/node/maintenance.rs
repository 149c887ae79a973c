//! Periodic work: every five seconds the node looks after its table, its health and itself.
//! Mirrors `_ontick` and `_pingSome` of `index.js`.

use super::Node;
use super::queries::Kind;
use crate::context::RECENT;
use crate::table::K;
use crate::time::Instant;
use crate::upkeep::schedule::Upkeep;

/// With more than this in flight, fewer nodes are pinged.
const QUIET: usize = 2;

impl Node {
    /// Does the upkeep of a tick now, without waiting for its time. `quiet`: only what needs no
    /// packet, that is a sample for the health and a new budget of down hints.
    pub fn maintain(&mut self, now: Instant, quiet: bool) {
        self.enter(now);
        if self.stage != super::Stage::Running {
            return;
        }
        if quiet {
            self.renew();
        } else {
            Upkeep::skip(&mut self.cx.tick);
            self.upkeep_of_tick();
            self.pump_stalled();
        }
    }

    /// Refreshes the table in the background, by looking for a random node of it.
    pub fn refresh(&mut self, now: Instant) {
        self.enter(now);
        if self.stage == super::Stage::Running {
            self.start_refresh();
            self.pump_stalled();
        }
    }

    pub(super) fn tick(&mut self) {
        self.upkeep.pass(&mut self.cx.tick);
        self.verify_next();
        self.forget_suspicions();
        if self.upkeep.is_quiet() {
            self.requests.trim(self.cx.now);
            self.replies.trim();
            self.queries.trim();
        }
        self.upkeep_of_tick();
    }

    fn upkeep_of_tick(&mut self) {
        if !self.bootstrap.is_done() {
            return;
        }
        self.reach_on_tick();
        let due = self.upkeep.due(self.cx.tick);
        // Who comes by itself is verified, which tells nothing of our address. Who is to be persistent asks for it.
        let untold = self.cx.config.ephemeral == Some(false)
            && self.reach.is_unseen()
            && !self.table.is_empty();
        if due.keep_alive || untold {
            self.ping_some();
        }
        let small = self.table.len() < K;
        // Nobody but the silent would be asked, who are asked already.
        let in_vain = self.table.is_empty() && self.bootstrap.is_silent();
        if (due.refresh || (due.refresh_if_small && small)) && !in_vain {
            // One that is still under way is not counted twice.
            if !self.queries.is_running(Kind::Refresh) && self.has_place_for_search() {
                self.upkeep.refreshing();
                self.start_refresh();
            }
        }
        self.renew();
    }

    fn renew(&mut self) {
        if !self.bootstrap.is_done() {
            return;
        }
        self.upkeep.reset_budgets();
        self.send_hints();
        self.contact.review(&mut self.cx);
    }

    /// Pings those that were not heard of for longest, and one that was lost.
    fn ping_some(&mut self) {
        let tick = self.cx.tick;
        let busy = self.requests.live() > QUIET;
        self.seek_lost();
        let mut next = self.table.oldest();
        let Some(oldest) = next.and_then(|slot| self.table.node(slot)) else {
            // All alone: try the bootstrap nodes again. Where they are silent, that has its own time.
            if !self.bootstrap.is_silent() {
                self.start_refresh();
            }
            return;
        };
        let mut count = self.upkeep.take_checks();
        if busy {
            count = count.min(3);
        }
        if oldest.pinged_ago(tick) < RECENT {
            count = count.min(2);
        }
        while let Some(slot) = next.filter(|_| count > 0) {
            next = self.table.newer(slot);
            let pinged = self.table.node(slot).map(|node| node.pinged);
            if pinged != Some(tick) {
                if !self.check(slot, false) {
                    break;
                }
                count -= 1;
            }
        }
    }
}
