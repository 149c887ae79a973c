//! The passing of time, what the node waits for, and what it has to tell: events, and names to look up.

use core::net::Ipv4Addr;

use super::{Node, Parts};
use crate::api::event::Event;
use crate::sources::names::{NameLookup, NameLookups};
use crate::time::Instant;
use crate::upkeep::Stage;

/// # Time, events and names
impl Node {
    /// Call it when the time that [`poll_timeout`](Self::poll_timeout) told has come; at any
    /// other time it is harmless. Gives up on tries, sends delayed answers, does the upkeep.
    /// Its work is bounded by what is under way. Poll everything afterwards.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.parts.enter(now, |node| {
            // Each is settled before the next: a try that ends may make room for another.
            while let Some(id) = node.pop_overdue() {
                node.on_overdue(id);
                node.settle();
            }
            node.on_time();
            node.settle();
            while node.is_tick_due() {
                node.tick();
                node.settle();
            }
        });
    }

    /// The latest moment to call [`handle_timeout`](Self::handle_timeout). `None`: nothing is to
    /// be waited for, as long as the node is not bound, or suspended, or closed.
    /// Any other call may change it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.parts.next_deadline()
    }

    /// The next event, in the order in which things happened. Poll until `None` after any call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.parts.enter_now(Parts::next_event)
    }

    /// The next name of a bootstrap node to look up. Tell the result by
    /// [`handle_resolved`](Self::handle_resolved); after 5 s without a result, the node goes on without it,
    /// but a later one is still of use.
    #[must_use]
    pub fn poll_name(&mut self) -> Option<NameLookup> {
        let open = self.parts.upkeep.stage != Stage::Closed;
        open.then(|| self.parts.enter_now(|node| node.sources.names.poll())).flatten()
    }

    /// The name to look up.
    #[must_use]
    pub fn name_of(&self, lookup: NameLookup) -> &str {
        let node = self.parts.cx.config.bootstrap.get(NameLookups::index(lookup));
        node.and_then(|node| node.name()).unwrap_or_default()
    }

    /// The result of a look-up: all IPv4 addresses of the name, of which the first eight that can be sent
    /// to are used; none if the name does not exist, or has no address. What earlier results brought is
    /// not forgotten: up to 16 addresses of a name are tried, the latest first.
    /// A result that was not asked for is ignored.
    pub fn handle_resolved(&mut self, now: Instant, lookup: NameLookup, ips: &[Ipv4Addr]) {
        self.parts.enter(now, |node| {
            if let Some(news) = node.sources.names.resolved(node.cx.now, lookup, ips) {
                node.after_names();
                if news {
                    node.use_late_addresses();
                }
            }
        });
    }
}

impl Parts {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !self.upkeep.is_running() {
            return None;
        }
        let others = [
            self.requests.next_deadline(),
            self.replies.next_due(),
            self.sources.names.next_deadline(),
            self.queries.next_deadline(),
        ];
        Some(others.into_iter().flatten().fold(self.upkeep.next_deadline(), Ord::min))
    }

    fn next_event(&mut self) -> Option<Event> {
        self.cx.events.pop().or_else(|| {
            let running = self.upkeep.is_running();
            let bootstrapped = self.upkeep.bootstrap.is_done();
            let news = || self.reach.persistence_news(&self.cx.config, bootstrapped);
            running.then(news).flatten()
        })
    }

    fn on_time(&mut self) {
        if !self.upkeep.is_running() {
            return;
        }
        self.replies.on_time(&mut self.cx);
        if self.sources.names.expire(self.cx.now) {
            self.after_names();
        }
        self.upkeep.bootstrap.on_time(self.cx.now);
        self.change_on_time();
        self.queries.on_time(self.cx.now);
    }

    fn is_tick_due(&self) -> bool {
        // At the end of time there is no next one.
        self.upkeep.is_running()
            && self.upkeep.clock.next_tick() <= self.cx.now
            && self.cx.now < Instant::MAX
    }
}
