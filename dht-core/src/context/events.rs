//! The queue of events: in order and bounded. Events that a caller waits for are never lost.

use alloc::collections::VecDeque;

use crate::api::event::Event;
use crate::bounded::memory::{Capped, Heap};

#[derive(Clone, Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    /// The most events that may wait, apart from events about requests and queries (which are bounded by the number
    /// of requests and by the queries' mailboxes).
    max: usize,
    /// The most events that wait in all; superfluous ones are dropped in time.
    most: usize,
    /// Of these, how many are bounded by number.
    bounded: usize,
    /// Events about nodes that were dropped since the last `Lost`.
    lost: u32,
}

impl Events {
    pub(crate) const fn new(max: usize, most: usize) -> Self {
        Self { queue: VecDeque::new(), max, most, bounded: 0, lost: 0 }
    }

    pub(crate) fn add_to(heap: &mut Heap, len: usize) {
        heap.capped::<Event>(len);
    }

    /// Appends an event. Returns how many about nodes were dropped for it.
    pub(crate) fn push(&mut self, event: Event) -> u32 {
        let mut dropped = 0;
        if event.is_change() {
            if self.bounded >= self.max {
                dropped = self.give_way(&event);
            }
            self.bounded += 1;
        }
        self.queue.put(self.most, event);
        dropped
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        if self.lost > 0 {
            return Some(Event::Dropped(core::mem::take(&mut self.lost)));
        }
        let event = self.queue.pop_front()?;
        self.bounded -= usize::from(event.is_change());
        Some(event)
    }

    /// Drops the events that the predicate rejects, as notes about requests and queries that are gone.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Event) -> bool) {
        self.queue.retain(keep);
        self.bounded = self.queue.iter().filter(|event| event.is_change()).count();
    }

    /// The number of notes of results that wait.
    pub(crate) fn notes(&self) -> usize {
        self.queue.len() - self.bounded
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self) {
        let bounded = self.queue.iter().filter(|event| event.is_change()).count();
        assert_eq!(self.bounded, bounded);
        assert!(bounded <= self.max && self.queue.capacity() <= self.most);
    }

    /// Drops the oldest event about a node, or else the oldest of the same kind, or else the oldest.
    fn give_way(&mut self, event: &Event) -> u32 {
        let kind = core::mem::discriminant(event);
        let find = |wanted: &dyn Fn(&Event) -> bool| self.queue.iter().position(wanted);
        let at = find(&Event::is_about_node)
            .or_else(|| find(&|queued| core::mem::discriminant(queued) == kind))
            .or_else(|| find(&Event::is_change));
        let Some((at, gone)) = at.and_then(|at| Some((at, *self.queue.get(at)?))) else {
            return 0;
        };
        // (Not `remove`, which takes half a kilobyte of code.)
        let mut place = 0..;
        self.queue.retain(|_| place.next() != Some(at));
        self.bounded -= 1;
        let about_node = u32::from(gone.is_about_node());
        self.lost = self.lost.saturating_add(about_node);
        about_node
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::api::message::RequestId;

    fn added(port: u16) -> Event {
        Event::NodeAdded(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }

    #[test]
    fn up_to_the_bound_nothing_is_lost() {
        let mut events = Events::new(256, 4096);
        let dropped: u32 = (0..256).map(|port| events.push(added(port))).sum();
        assert_eq!((dropped, events.pop()), (0, Some(added(0))));
    }

    #[test]
    fn beyond_it_the_oldest_about_nodes_give_way_and_are_counted_first() {
        let mut events = Events::new(256, 4096);
        events.push(Event::Listening);
        for port in 0..257 {
            events.push(added(port));
        }
        assert_eq!(events.pop(), Some(Event::Dropped(2)));
        assert_eq!(events.pop(), Some(Event::Listening));
        assert_eq!(events.pop(), Some(added(2)));
    }

    #[test]
    fn a_state_that_flaps_keeps_its_latest() {
        let mut events = Events::new(256, 4096);
        events.push(Event::Ready);
        for port in 0..1000 {
            events.push(Event::NatUpdate { host: None, port });
        }
        assert_eq!(events.queue.len(), 256);
        assert_eq!(events.pop(), Some(Event::Ready));
        assert_eq!(events.pop(), Some(Event::NatUpdate { host: None, port: 745 }));
    }

    #[test]
    fn notes_of_responses_are_never_dropped() {
        let mut events = Events::new(256, 4096);
        for n in 0..2000 {
            events.push(Event::Response(RequestId(u64::from(n))));
            events.push(added(n));
        }
        let ids = core::iter::from_fn(|| events.pop());
        assert_eq!(ids.filter(|event| matches!(event, Event::Response(_))).count(), 2000);
    }
}
