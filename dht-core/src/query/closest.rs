//! The closest repliers of a query: sorted, unique, at most 20.

use alloc::vec::Vec;

use crate::id::{Distance, Id};
use crate::message::Reply;
use crate::table::K;

#[derive(Clone, Debug)]
pub(super) struct Closest {
    target: Id,
    distances: Vec<Distance>,
    replies: Vec<Reply>,
}

impl Closest {
    pub(super) fn new(target: Id) -> Self {
        Self { target, distances: Vec::new(), replies: Vec::new() }
    }

    pub(super) fn reset(&mut self, target: Id) {
        self.target = target;
        self.distances.clear();
        self.replies.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether a node at this distance (its first 64 bits) would get in.
    pub(super) fn would_take(&self, distance: u64) -> bool {
        self.len() < K || self.distances.last().is_some_and(|last| distance < last.prefix())
    }

    /// How far the node in this place is.
    pub(super) fn distance(&self, at: usize) -> Option<Distance> {
        self.distances.get(at).copied()
    }

    /// Takes a reply in if its sender has proven an id and is close enough.
    pub(super) fn insert(&mut self, reply: &Reply) {
        let Some(id) = reply.from.id else { return };
        let distance = id.distance(&self.target);
        let Err(at) = self.distances.binary_search(&distance) else {
            return;
        };
        if at >= K {
            return;
        }
        // In one go: replies are large, and growing moves them.
        self.replies.reserve_exact(K + 1 - self.replies.len());
        self.distances.reserve_exact(K + 1 - self.distances.len());
        self.distances.insert(at, distance);
        self.distances.truncate(K);
        self.replies.insert(at, reply.clone());
        self.replies.truncate(K);
    }

    pub(super) fn replies(&self) -> &[Reply] {
        &self.replies
    }

    pub(super) fn take(&mut self) -> Vec<Reply> {
        self.distances.clear();
        core::mem::take(&mut self.replies)
    }
}
