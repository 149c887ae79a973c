//! What the user asks for: requests and queries, each of which ends once.

use std::time::Duration;

use dht_core::{Event, Id, Query, QueryId, Request, RequestId, SessionId};

use super::super::Source;
use super::World;
use super::map::{addr, via};

/// What has become of something that was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    told: bool,
    taken: bool,
    cancelled: bool,
}

impl Ending {
    fn told(&mut self) {
        assert!(!self.told, "told twice");
        assert!(!self.cancelled, "told after it was cancelled");
        self.told = true;
    }

    fn taken(&mut self) {
        assert!(!self.taken && !self.cancelled, "taken twice, or after it was cancelled");
        self.taken = true;
    }

    pub(super) fn is_over(self) -> bool {
        self.taken || self.cancelled
    }
}

impl World {
    pub(super) fn events(&mut self, most: usize) {
        for _ in 0..most {
            match self.node.poll_event() {
                Some(Event::Response(id)) => {
                    let ending = self.requests.get_mut(&id).expect("it was begun");
                    ending.told();
                }
                Some(Event::Finished(id)) => {
                    let ending = self.queries.get_mut(&id).expect("it was begun");
                    ending.told();
                }
                Some(Event::Reply(id)) => {
                    let ending = self.queries.get(&id).expect("it was begun");
                    assert!(!ending.told, "a reply after the end");
                }
                Some(_) => {}
                None => break,
            }
        }
    }

    pub(super) fn request(&mut self, source: &mut Source<'_>) {
        let (how, to, more) = (source.byte(), addr(source.byte()), source.byte());
        let mut request = match how & 7 {
            0 => Request::ping(to),
            1 => Request::delayed_ping(to, Duration::from_millis(u64::from(more) * 42)),
            2 => Request::new(to, u64::MAX >> (more & 15)),
            _ => Request::new(to, u64::from(more)),
        };
        if how & 7 > 1 {
            let len = if more & 0x40 != 0 { usize::from(more & 0x3f) * 40 } else { 3 };
            request = request.value(vec![more; len]);
        }
        if how & 8 != 0 {
            request = request.target(Id([more; 32])).token([more; 32]);
        }
        if how & 16 != 0 {
            request = request.session(SessionId(u64::from(more & 3))).ttl(more);
        }
        if how & 32 != 0 {
            request = request.any_replier();
        }
        if how & 64 != 0 {
            request = request.via(via(more));
        }
        if how & 128 != 0 {
            request = request.retries(if more == 255 { 255 } else { more & 7 });
        }
        if let Ok(id) = self.node.request(self.now, request) {
            assert_eq!(self.requests.insert(id, Ending::default()), None, "an id used twice");
            self.request_ids.push(id);
        }
    }

    pub(super) fn query(&mut self, source: &mut Source<'_>) {
        let (how, more, target) = (source.byte(), source.byte(), source.byte());
        let target = Id([target; 32]);
        let mut query = match more & 1 {
            0 => Query::find_node(target),
            _ => Query::new(target, 5).value(vec![more; usize::from(more)]),
        };
        if how & 1 != 0 {
            query = query.commit();
        }
        if how & 2 != 0 {
            let count = usize::from(source.byte() & 0x3f);
            query = query.nodes((0..count).map(|_| addr(source.byte())));
        }
        if how & 4 != 0 {
            query = query.only_closest_nodes();
        }
        if how & 8 != 0 {
            query = query.concurrency(u16::from(more) * 4).retries(more & 3);
        }
        if how & 16 != 0 {
            query = query.thorough();
        }
        if how & 32 != 0 {
            query = query.force();
        }
        if how & 64 != 0 {
            query = query.discard_replies();
        }
        if how & 128 != 0 {
            query = query.session(SessionId(u64::from(more & 3)));
        }
        if let Ok(id) = self.node.query(self.now, query) {
            assert_eq!(self.queries.insert(id, Ending::default()), None, "an id used twice");
            self.query_ids.push(id);
        }
    }

    pub(super) fn end_request(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        let Some(&id) = self.request_ids.get(usize::from(which >> 1)) else { return };
        if which & 1 == 0 {
            return self.take_response(id);
        }
        // Told or not: from now on there is silence about it.
        self.node.cancel_request(self.now, id);
        self.forget_request(id);
    }

    pub(super) fn take_response(&mut self, id: RequestId) {
        let taken = self.node.take_response(id).is_some();
        let ending = self.requests.get_mut(&id).expect("it was begun");
        if taken {
            ending.taken();
        } else {
            assert!(!ending.told || ending.is_over(), "told, and not there");
        }
    }

    /// Events about it may still be in the queue, if it had ended already.
    fn forget_request(&mut self, id: RequestId) {
        self.events(usize::MAX);
        let ending = self.requests.get_mut(&id).expect("it was begun");
        ending.cancelled |= !ending.taken;
    }

    pub(super) fn read_query(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        let Some(&id) = self.query_ids.get(usize::from(which >> 3)) else { return };
        for _ in 0..which & 7 {
            if let Some(reply) = self.node.next_reply(id) {
                assert_eq!(reply.error, 0);
            }
        }
        let closest = self.node.closest_nodes(id);
        assert!(closest.len() <= dht_core::K);
        assert!(closest.iter().all(|peer| peer.id == Some(Id::of(peer.addr))));
        if which & 7 == 0 {
            self.take_outcome(id);
        }
    }

    pub(super) fn take_outcome(&mut self, id: QueryId) {
        let outcome = self.node.take_outcome(id);
        let ending = self.queries.get_mut(&id).expect("it was begun");
        match outcome {
            Some(outcome) => {
                ending.taken();
                if let Ok(outcome) = outcome {
                    assert!(outcome.closest.len() <= dht_core::K && outcome.asked <= 200);
                }
            }
            None => assert!(!ending.told || ending.is_over(), "told, and not there"),
        }
    }

    pub(super) fn end_query(&mut self, source: &mut Source<'_>) {
        let which = source.byte();
        let Some(&id) = self.query_ids.get(usize::from(which >> 2)) else { return };
        match which & 3 {
            0 => self.node.discard_replies(id),
            1 => self.node.finish_query(self.now, id),
            _ => {
                self.node.cancel_query(self.now, id);
                self.events(usize::MAX);
                let ending = self.queries.get_mut(&id).expect("it was begun");
                ending.cancelled |= !ending.taken;
            }
        }
    }
}
