//! The closest repliers of a query: sorted, unique, and no more of one host or of one /24 than the quotas say, as long as
//! there are others. At most 20.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::addr::prefix24;
use crate::api::exempt::Exempt;
use crate::api::message::Reply;
use crate::bounded::memory::Heap;
use crate::id::{Distance, Id};
use crate::table::{K, Quotas};

#[derive(Clone, Copy, Debug)]
struct Node {
    distance: Distance,
    addr: SocketAddrV4,
    /// The quotas of its host, or of its /24, are used up by nearer nodes.
    over: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Closest {
    target: Id,
    quotas: Quotas,
    exempt: Exempt,
    nodes: Vec<Node>,
    /// Their replies, if the query keeps them.
    replies: Vec<Reply>,
    keeps_replies: bool,
    /// Some host or /24 has used up its quota.
    crowded: bool,
    /// How many there may be, and beyond the 20 closest how far from the target.
    max: usize,
    reach: u64,
}

impl Closest {
    pub(super) fn new(target: Id, quotas: Quotas, exempt: Exempt, keeps_replies: bool) -> Self {
        Self {
            target,
            quotas,
            exempt,
            nodes: Vec::new(),
            replies: Vec::new(),
            keeps_replies,
            crowded: false,
            max: K,
            reach: 0,
        }
    }

    /// What that number of them takes of the heap; some keep replies, of at most `max` nodes.
    pub(super) fn add_to(heap: &mut Heap, pieces: usize, (with_replies, max): (usize, usize)) {
        heap.fixed(pieces, max * size_of::<Node>());
        heap.fixed(with_replies, max * size_of::<Reply>());
    }

    /// Takes over the memory of another.
    pub(super) fn reuse(&mut self, old: Self) {
        (self.nodes, self.replies) = (old.nodes, old.replies);
        self.nodes.clear();
        self.replies.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Takes up to `max` nodes from now on that are no farther than `reach` from the target.
    pub(super) fn widen(&mut self, max: usize, reach: u64) {
        (self.max, self.reach) = (max, reach);
    }

    /// Whether there may be more than 20.
    pub(super) fn is_wide(&self) -> bool {
        self.max > K
    }

    /// Whether a node at this address and distance (its first 64 bits) would get in.
    pub(super) fn would_take(&self, distance: u64, addr: SocketAddrV4) -> bool {
        let over = self.is_over(distance, addr);
        self.has_place(distance, over)
            || self.nodes.get(self.first_to_go()).is_none_or(|node| {
                (node.over && !over) || (node.over == over && distance < node.distance.prefix())
            })
    }

    /// Whether one more gets in and none has to go.
    fn has_place(&self, distance: u64, over: bool) -> bool {
        let nobody_goes = || self.nodes.get(self.first_to_go()).is_none_or(|node| !node.over);
        let wide = self.len() < self.max && distance <= self.reach && !over;
        self.len() < K || wide && nobody_goes()
    }

    /// The number of the node that gives way to a better one: the farthest that is over quota, or else the farthest.
    fn first_to_go(&self) -> usize {
        let last = self.len().saturating_sub(1);
        // Only where a quota is used up is any node over it.
        let over = self.crowded.then(|| self.nodes.iter().rposition(|node| node.over));
        over.flatten().unwrap_or(last)
    }

    /// Whether a node at this address and distance would be over quota: other ones come first then.
    pub(super) fn is_over(&self, distance: u64, addr: SocketAddrV4) -> bool {
        if !self.crowded {
            return false;
        }
        let nearer = self.nodes.partition_point(|node| node.distance.prefix() < distance);
        self.is_used_up(nearer, addr)
    }

    /// Whether the nearest nodes, that many, use up the quota of the host of `addr` or of its /24.
    fn is_used_up(&self, nearest: usize, addr: SocketAddrV4) -> bool {
        let (ip, prefix) = (*addr.ip(), prefix24(*addr.ip()));
        let nodes = self.nodes.get(..nearest).unwrap_or_default();
        let (mut of_host, mut of_prefix) = (0_u8, 0_u8);
        for other in nodes.iter().map(|node| *node.addr.ip()) {
            if prefix24(other) == prefix {
                of_prefix = of_prefix.saturating_add(1);
                of_host = of_host.saturating_add((other == ip).into());
            }
        }
        let used_up = of_host >= self.quotas.host || of_prefix >= self.quotas.prefix;
        used_up && !self.exempt.covers(ip)
    }

    /// Whether there are nodes over quota, since there are not enough others.
    pub(super) fn has_crowd(&self) -> bool {
        self.nodes.iter().any(|node| node.over)
    }

    /// How far they are, of that the first 64 bits, and where: the closest first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u64, SocketAddrV4)> + '_ {
        self.nodes.iter().map(|node| (node.distance.prefix(), node.addr))
    }

    /// Takes a reply in if its sender has proven an id and is close enough. Whether others of its host or of its /24 may
    /// be over quota now.
    pub(super) fn insert(&mut self, reply: &Reply) -> bool {
        let (Some(id), addr) = (reply.from.id, reply.from.addr) else { return false };
        let distance = id.distance(&self.target);
        let place = |nodes: &[Node]| nodes.binary_search_by_key(&distance, |node| node.distance);
        if place(&self.nodes).is_ok() || !self.would_take(distance.prefix(), addr) {
            return false;
        }
        let over = self.is_over(distance.prefix(), addr);
        if !self.has_place(distance.prefix(), over) {
            let last = self.first_to_go();
            self.nodes.remove(last);
            if self.keeps_replies {
                self.replies.remove(last);
            }
        }
        let Err(at) = place(&self.nodes) else { return false };
        // In one go: replies are large, and growing moves them.
        let room = if self.len() < K { K } else { self.max };
        self.nodes.reserve_exact(room - self.nodes.len());
        self.nodes.insert(at, Node { distance, addr, over });
        if self.keeps_replies {
            self.replies.reserve_exact(room - self.replies.len());
            self.replies.insert(at, reply.clone());
            // Who comes after the 20 closest is there to be committed to.
            for number in [K, at.max(K)] {
                self.replies.get_mut(number).into_iter().for_each(|reply| reply.value = None);
            }
        }
        let used_up = self.is_used_up(self.len(), addr);
        if used_up {
            self.crowded = true;
            for number in at..self.len() {
                let Some(addr) = self.nodes.get(number).map(|node| node.addr) else { break };
                let over = self.is_used_up(number, addr);
                self.nodes.get_mut(number).into_iter().for_each(|node| node.over = over);
            }
        }
        used_up
    }

    pub(super) fn replies(&self) -> &[Reply] {
        &self.replies
    }

    pub(super) fn take(&mut self) -> Vec<Reply> {
        self.nodes.clear();
        core::mem::take(&mut self.replies)
    }
}
