//! The closest repliers of a query: sorted, unique, at most 20.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::api::message::Reply;
use crate::bounded::memory::Heap;
use crate::id::{Distance, Id};
use crate::table::K;

#[derive(Clone, Debug)]
pub(super) struct Closest {
    target: Id,
    nodes: Vec<(Distance, SocketAddrV4)>,
    /// Their replies, if the query keeps them.
    replies: Vec<Reply>,
    keeps_replies: bool,
}

impl Closest {
    pub(super) fn new(target: Id, keeps_replies: bool) -> Self {
        Self { target, nodes: Vec::new(), replies: Vec::new(), keeps_replies }
    }

    pub(super) fn add_to(heap: &mut Heap, pieces: usize, with_replies: usize) {
        heap.fixed(pieces, K * size_of::<(Distance, SocketAddrV4)>());
        heap.fixed(with_replies, K * size_of::<Reply>());
    }

    pub(super) fn reset(&mut self, target: Id, keeps_replies: bool) {
        self.nodes.clear();
        self.replies.clear();
        (self.target, self.keeps_replies) = (target, keeps_replies);
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether a node at this distance (its first 64 bits) would get in.
    pub(super) fn would_take(&self, distance: u64) -> bool {
        self.len() < K || self.nodes.last().is_some_and(|(last, _)| distance < last.prefix())
    }

    /// How far they are, of that the first 64 bits, and where: the closest first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u64, SocketAddrV4)> + '_ {
        self.nodes.iter().map(|(distance, addr)| (distance.prefix(), *addr))
    }

    /// Takes a reply in if its sender has proven an id and is close enough.
    pub(super) fn insert(&mut self, reply: &Reply) {
        let Some(id) = reply.from.id else { return };
        let distance = id.distance(&self.target);
        let Err(at) = self.nodes.binary_search_by_key(&distance, |(distance, _)| *distance) else {
            return;
        };
        if at >= K {
            return;
        }
        // In one go: replies are large, and growing moves them.
        self.nodes.truncate(K - 1);
        self.nodes.reserve_exact(K - self.nodes.len());
        self.nodes.insert(at, (distance, reply.from.addr));
        if self.keeps_replies {
            self.replies.truncate(K - 1);
            self.replies.reserve_exact(K - self.replies.len());
            self.replies.insert(at, reply.clone());
        }
    }

    pub(super) fn replies(&self) -> &[Reply] {
        &self.replies
    }

    pub(super) fn take(&mut self) -> Vec<Reply> {
        self.nodes.clear();
        core::mem::take(&mut self.replies)
    }
}
