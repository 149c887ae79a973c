//! What nodes are asked to do beside lookups now and then: much at once, to store, to stop in the middle.

use std::net::SocketAddrV4;

use bytes::Bytes;
use dht_core::{Query, Request, RequestId, SessionId};

use super::{Run, Step};
use crate::checks::{ECHO, STORE};
use crate::world::{HostId, Micros, SECOND};

/// A session that is open.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Which of the host's processes has it.
    generation: u32,
    requests: Vec<RequestId>,
}

impl Run {
    /// Requests to the nodes that a node knows, and to addresses next to theirs, which are without a node.
    pub(super) fn burst(&mut self, host: HostId, requests: u32) {
        for request in self.requests(host, requests) {
            self.sim.call(host, |node, now| node.request(now, request));
        }
        self.sim.with(host, |_, _| ());
    }

    /// This many requests, unless the node knows no other.
    fn requests(&mut self, host: HostId, count: u32) -> Vec<Request> {
        let known: Vec<_> =
            self.sim.node(host).map(|node| node.nodes().collect()).unwrap_or_default();
        let count = if known.is_empty() { 0 } else { count };
        let request = |n: u32| {
            let known: SocketAddrV4 = known[self.draws.below(known.len() as u64) as usize];
            let port = if n.is_multiple_of(4) {
                known.port().wrapping_add(7).max(1)
            } else {
                known.port()
            };
            let to = SocketAddrV4::new(*known.ip(), port);
            match n % 3 {
                0 => Request::ping(to),
                1 => Request::new(to, ECHO).value(Bytes::from_static(b"burst")),
                _ => Request::new(to, ECHO).target(self.draws.id()),
            }
        };
        (0..count).map(request).collect()
    }

    pub(super) fn lookups(&mut self, host: HostId, count: u32, cancel: u32) {
        for n in 0..count {
            let target = self.draws.id();
            if n >= cancel {
                self.sim.look_up(host, target);
                continue;
            }
            let query = Query::find_node(target);
            let Some(Ok(id)) = self.sim.with(host, |node, now| node.query(now, query)) else {
                continue;
            };
            let after = 1 + self.draws.below(2 * SECOND);
            self.plan(self.sim.now() + after, Step::Cancel(host, id));
        }
    }

    pub(super) fn stores(&mut self, host: HostId, count: u32) {
        for _ in 0..count {
            let target = self.draws.id();
            let value = Bytes::copy_from_slice(&target.0[..8]);
            self.sim.look_up_by(host, target, Query::new(target, STORE).value(value).commit());
        }
    }

    /// Begins requests and lookups that end with their session, if not sooner.
    pub(super) fn open_session(&mut self, host: HostId, requests: u32, for_us: Micros) {
        self.serial += 1;
        let (number, session) = (self.serial, SessionId(self.serial));
        let mut begun = Vec::new();
        for (n, request) in (0_u32..).zip(self.requests(host, requests)) {
            let request = request.session(session);
            let id = self.sim.call(host, |node, now| node.request(now, request));
            begun.extend(id.and_then(Result::ok));
            if n.is_multiple_of(4) {
                let target = self.draws.id();
                self.sim.look_up_by(host, target, Query::find_node(target).session(session));
            }
        }
        self.sim.with(host, |_, _| ());
        let generation = self.sim.generation(host);
        self.sessions.insert(number, Session { generation, requests: begun });
        self.plan(self.sim.now().saturating_add(for_us), Step::EndSession(host, number));
    }

    /// Ends a session: by then all that was begun in it has ended.
    pub(super) fn end_session(&mut self, host: HostId, number: u64) {
        let Some(Session { generation, requests }) = self.sessions.remove(&number) else { return };
        if self.sim.generation(host) != generation {
            return;
        }
        let open = self.sim.call(host, |node, now| {
            node.end_session(now, SessionId(number));
            requests.into_iter().filter(|id| node.take_response(*id).is_none()).count()
        });
        if let Some(open @ 1..) = open {
            let message = format!("{open} requests go on after the end of their session");
            self.sim.violate("sessions", Some(host), message);
        }
        self.sim.with(host, |_, _| ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Fault, FaultKind, Scenario};

    fn run(what: FaultKind) -> Run {
        let faults = vec![Fault { at_us: SECOND, what }];
        let (nodes, run_us, checks) = (30, 60 * SECOND, true);
        let scenario =
            Scenario { nodes, run_us, faults, checks, lookups: 0, ..Scenario::default() };
        let mut run = Run::new(scenario).unwrap();
        run.finish().unwrap();
        run
    }

    #[test]
    fn what_is_stored_is_judged() {
        let run = run(FaultKind::Stores { host: 7, count: 5 });
        assert_eq!(run.tally().lookups, 5);
        let stats = run.sim().node(HostId(7)).unwrap().stats().requests;
        // Twenty commits each, and a few once more.
        assert!(stats.total > 5 * 50 && stats.timeouts == 0, "{stats:?}");
    }

    #[test]
    fn a_session_ends_all_that_is_under_way_in_it() {
        let run = run(FaultKind::Session { host: 7, requests: 40, for_us: SECOND / 100 });
        let stats = run.sim().node(HostId(7)).unwrap().stats().requests;
        assert!(stats.cancelled >= 40 && stats.timeouts == 0, "{stats:?}");
        assert_eq!(run.tally().lookups + run.sim().lookups_failed(), 10);
    }
}
