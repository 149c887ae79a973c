//! Whatever happens in whatever order: it asks within bounds, ends when it is stopped, and leaves nothing behind.

use proptest::prelude::*;

use super::*;

/// Nodes of the network.
const NODES: u8 = 9;

/// A step: what, of which one, and how.
type Op = (u8, u8, u8);

struct Any {
    net: Net,
    query: bool,
    asked: Vec<(Slot, Request)>,
    stopped: bool,
    closed: bool,
    /// Could not be told.
    excused: BTreeSet<Addr>,
}

impl Any {
    fn new(is_own: bool) -> Self {
        let (net, asked, excused) = (Net::new(is_own, 0), Vec::new(), BTreeSet::new());
        Self { net, query: false, asked, stopped: false, closed: false, excused }
    }

    /// Takes what it wants, not all of it if there is more than `max`.
    fn poll(&mut self, max: u8) {
        for polls in 0.. {
            assert!(polls < 100, "it wants something without end");
            if polls == max {
                return;
            }
            match self.net.poll() {
                None => break,
                Some(Want::Query(_)) => {
                    assert!(!core::mem::replace(&mut self.query, true), "two queries");
                    assert!(!self.stopped);
                }
                Some(Want::Request(slot, request)) => {
                    assert!(!self.stopped || request.command != ANNOUNCE);
                    self.asked.push((slot, request));
                }
            }
        }
        let under_way = &self.net.announcer.asked;
        assert!(under_way.len() <= usize::from(NODES), "{under_way:?}");
        let waits = self.query || !under_way.is_empty() || self.net.announcer.is_suspended;
        let due = self.net.announcer.poll_timeout();
        assert!(waits || due.is_some() || self.net.announcer.is_over(), "it has stalled");
        assert!(due.is_none_or(|due| due > self.net.now));
    }

    /// Ends the query. Some nodes send no token.
    fn end_query(&mut self, first: u8, how: u8) {
        if !core::mem::take(&mut self.query) {
            return;
        }
        let now = self.net.now;
        self.net.closest = (first % NODES + 1..=NODES).map(node).collect();
        let mut outcome = self.net.outcome();
        outcome.closest.iter_mut().step_by(3).filter(|_| how == 1).for_each(|it| it.token = None);
        match how {
            0 => self.net.announcer.handle_outcome(now, Err(SendError::Busy)),
            _ => self.net.announcer.handle_outcome::<QueryError>(now, Ok(outcome)),
        }
    }

    fn end_request(&mut self, which: u8, how: u8) {
        if self.asked.is_empty() {
            return;
        }
        let (slot, request) = self.asked.swap_remove(usize::from(which) % self.asked.len());
        let (now, to, command) = (self.net.now, request.to, request.command);
        let lost = match how {
            0 => AnnounceError::Send(SendError::Busy),
            1 => RequestError::Timeout.into(),
            2 => RequestError::Suspended.into(),
            // It may be that only the answer is lost.
            3 => {
                _ = (command == ANNOUNCE).then(|| self.net.keeping.insert(to));
                RequestError::Timeout.into()
            }
            4 if command == ANNOUNCE => {
                self.net.refusing.insert(to, 1);
                return self.net.answer(slot, &request);
            }
            _ => return self.net.answer(slot, &request),
        };
        if self.stopped && command != ANNOUNCE {
            self.excused.insert(to);
        }
        self.net.announcer.handle_response(now, slot, Err(lost));
    }

    fn event(&mut self, which: u8) {
        let event = match which % 6 {
            0 => Event::NetworkChange,
            1 => Event::WakeUp,
            2 => Event::Online,
            3 => Event::Suspended,
            4 => Event::Resumed,
            _ => Event::Ready,
        };
        self.net.announcer.handle_event(&event);
    }

    fn apply(&mut self, (what, which, how): Op) {
        match what {
            0..4 => self.end_query(which, how),
            4..10 => self.end_request(which, how),
            10 => self.event(which),
            11 => self.net.now += Duration::from_secs(which.into()),
            12 => self.net.now = self.net.announcer.poll_timeout().unwrap_or(self.net.now),
            13 => self.net.announcer.refresh(),
            _ if which == 0 => {
                self.closed |= how == 0;
                self.stopped |= how > 0;
                match how {
                    0 => self.net.announcer.handle_event(&Event::Closed),
                    _ => self.net.announcer.stop(),
                }
            }
            _ => {}
        }
        if how % 2 == 0 {
            self.poll(which);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_can_be_stopped_and_leaves_nothing_behind(
        is_own: bool,
        ops in proptest::collection::vec((0_u8..15, 0_u8..20, 0_u8..12), 1..120),
    ) {
        let mut any = Any::new(is_own);
        ops.into_iter().for_each(|op| any.apply(op));
        any.net.announcer.stop();
        any.stopped = true;
        any.poll(u8::MAX);
        while !any.asked.is_empty() {
            any.end_request(0, 11);
            any.poll(u8::MAX);
        }
        prop_assert!(any.net.announcer.is_over());
        let left: Vec<_> = any.net.keeping.difference(&any.excused).collect();
        prop_assert!(any.closed || left.is_empty(), "{:?}", left);
    }
}
