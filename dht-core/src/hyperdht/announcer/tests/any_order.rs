//! Whatever happens in whatever order: it asks within bounds, ends when it is stopped, and leaves nothing behind.

use proptest::prelude::*;

use super::*;

const NODES: u8 = 9;

struct Any {
    net: Net,
    /// Whether the query is under way.
    walks: bool,
    asked: Vec<(Slot, Request)>,
    stopped: bool,
    /// Nodes that could not be told to forget it, after it was stopped.
    given_up: BTreeSet<Addr>,
}

impl Any {
    /// Takes what it wants, not all of it if there is more than `max`.
    fn poll(&mut self, max: u8) {
        for polls in 0..=max {
            assert!(polls < 100, "it wants something without end");
            if polls == max {
                return;
            }
            match self.net.poll() {
                None => break,
                Some(Want::Query(_)) => {
                    assert!(!self.stopped && !self.walks);
                    self.walks = true;
                }
                Some(Want::Request(slot, request)) => {
                    assert!(!self.stopped || request.command != ANNOUNCE);
                    self.asked.push((slot, request));
                }
            }
        }
        let Announcer { asked, is_suspended, .. } = &self.net.announcer;
        assert!(asked.len() <= usize::from(NODES));
        let due = self.net.announcer.poll_timeout();
        assert!(due.is_none_or(|due| due > self.net.now));
        let waits = self.walks || !asked.is_empty() || *is_suspended || due.is_some();
        assert!(waits || self.net.announcer.is_over(), "it has stalled");
    }

    /// Ends the query; some nodes send no token.
    fn end_query(&mut self, first: u8, how: u8) {
        self.net.closest = (first % NODES + 1..=NODES).map(node).collect();
        let mut outcome = self.net.outcome();
        outcome.closest.iter_mut().step_by(3).filter(|_| how == 1).for_each(|it| it.token = None);
        let outcome = if how == 0 { Err(SendError::Busy) } else { Ok(outcome) };
        if core::mem::take(&mut self.walks) {
            self.net.announcer.handle_outcome(self.net.now, outcome);
        }
    }

    fn end_request(&mut self, which: u8, how: u8) {
        let Some(which) = usize::from(which).checked_rem(self.asked.len()) else { return };
        let (slot, request) = self.asked.swap_remove(which);
        let announces = request.command == ANNOUNCE;
        let lost = match how {
            0 => AnnounceError::Send(SendError::Busy),
            1 => RequestError::Suspended.into(),
            2 => RequestError::Timeout.into(),
            3 => {
                // Only the answer is lost.
                self.net.keeping.extend(announces.then_some(request.to));
                RequestError::Timeout.into()
            }
            _ => {
                self.net.refusing.extend((how == 4).then_some((request.to, 1)));
                return self.net.answer(slot, &request);
            }
        };
        self.given_up.extend((self.stopped && !announces).then_some(request.to));
        self.net.announcer.handle_response(self.net.now, slot, Err(lost));
    }

    fn stop(&mut self) {
        self.net.announcer.signer.left.set(u32::MAX);
        self.net.announcer.stop();
        self.stopped = true;
    }

    fn step(&mut self, (what, which, how): (u8, u8, u8)) {
        use Event::{NetworkChange, Online, Resumed, Suspended, WakeUp};
        let (net, events) = (&mut self.net, [NetworkChange, WakeUp, Online, Suspended, Resumed]);
        match what {
            0..4 => self.end_query(which, how),
            4..10 => self.end_request(which, how),
            10 => net.announcer.handle_event(&events[usize::from(which % 5)]),
            11 => net.now += Duration::from_secs(which.into()),
            12 => net.now = net.announcer.poll_timeout().unwrap_or(net.now),
            13 => net.announcer.refresh(),
            _ if which == 0 => self.stop(),
            _ if which > 14 && !self.stopped => net.announcer.signer.left.set(how.into()),
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
        steps in proptest::collection::vec((0_u8..15, 0_u8..20, 0_u8..12), 1..120),
    ) {
        let (net, given_up) = (Net::new(is_own, 0), BTreeSet::new());
        let mut any = Any { net, walks: false, asked: Vec::new(), stopped: false, given_up };
        steps.into_iter().for_each(|step| any.step(step));
        any.stop();
        any.poll(u8::MAX);
        while !any.asked.is_empty() {
            any.end_request(0, 11);
            any.poll(u8::MAX);
        }
        prop_assert!(any.net.announcer.is_over());
        let left: Vec<_> = any.net.keeping.difference(&any.given_up).collect();
        prop_assert!(left.is_empty(), "{left:?}");
    }
}
