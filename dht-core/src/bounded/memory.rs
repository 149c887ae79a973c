//! An upper bound on the node's heap: a sum of buffers at their largest, for
//! [`Node::memory_bound`](crate::Node::memory_bound). Each module adds the buffers that it owns.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;

/// Places by which a full buffer grows: it doubles, but never to more than `max` in all.
#[inline(never)] // It is rare, and called for at many places.
pub(crate) fn more_for(len: usize, max: usize) -> usize {
    len.max(4).min(max.saturating_sub(len)).max(1)
}

/// A buffer that never has room for more than `max` elements, not even after a clone, or after it was
/// cut down.
pub(crate) trait Capped<T> {
    /// To be called before something is added.
    fn make_room(&mut self, max: usize);
    /// Adds something, at the end if there is an order.
    fn put(&mut self, max: usize, item: T);
    /// Gives the memory back if nothing is in it.
    fn free_if_empty(&mut self);
}

macro_rules! capped {
    ($($buffer:ident, $push:ident, $item:path;)*) => {$(
        impl<T: $item> Capped<T> for $buffer<T> {
            #[inline]
            fn make_room(&mut self, max: usize) {
                if self.len() == self.capacity() {
                    self.reserve_exact(more_for(self.len(), max));
                }
            }

            #[inline]
            fn put(&mut self, max: usize, item: T) {
                self.make_room(max);
                self.$push(item);
            }

            fn free_if_empty(&mut self) {
                if self.is_empty() {
                    *self = Self::new();
                }
            }
        }
    )*};
}

capped!(BinaryHeap, push, Ord; Vec, push, Sized; VecDeque, push_back, Sized;);

/// Adds something to a list of the latest `max`: the oldest gives way, and is returned.
pub(crate) fn displace<T>(list: &mut Vec<T>, max: usize, item: T) -> Option<T> {
    let oldest = (list.len() >= max).then(|| list.remove(0));
    list.put(max, item);
    oldest
}

/// A sum of buffers that may all be at their largest at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heap {
    bytes: usize,
    /// The most that any one buffer needs in addition while it grows: its old copy.
    growth: usize,
}

impl Heap {
    /// A number of blocks that never grow.
    pub(crate) fn fixed(&mut self, pieces: usize, bytes: usize) {
        self.add(pieces, bytes, 0);
    }

    /// A buffer of exactly this size.
    pub(crate) fn exact<T>(&mut self, len: usize) {
        self.fixed(1, len.saturating_mul(size_of::<T>()));
    }

    /// What is there for a moment only, while nothing else grows.
    pub(crate) fn passing(&mut self, bytes: usize) {
        self.add(0, 0, bytes);
    }

    /// A [`Capped`] buffer.
    pub(crate) fn capped<T>(&mut self, max: usize) {
        self.capped_each::<T>(1, max);
    }

    /// A number of [`Capped`] buffers.
    pub(crate) fn capped_each<T>(&mut self, pieces: usize, max: usize) {
        let bytes = max.saturating_mul(size_of::<T>());
        self.add(pieces, bytes, bytes);
    }

    /// A number of lists that grow as the standard library's do.
    pub(crate) fn lists<T>(&mut self, pieces: usize, len: usize) {
        let bytes = len.next_power_of_two().max(4).saturating_mul(size_of::<T>());
        self.add(pieces, bytes, bytes / 2);
    }

    /// A number of [`Index`](crate::bounded::index::Index)es of `len` values.
    pub(crate) fn index_each(&mut self, pieces: usize, len: usize) {
        let bytes = crate::bounded::index::cells_for(len).saturating_mul(size_of::<u32>());
        self.add(pieces, bytes, bytes / 2);
    }

    /// A number of payloads of at most `bytes` bytes, each in a block of its own that may be shared.
    pub(crate) fn payloads(&mut self, count: usize, bytes: usize) {
        const SHARED: usize = 3 * size_of::<usize>();
        self.fixed(count, bytes + SHARED);
    }

    fn add(&mut self, pieces: usize, bytes: usize, growth: usize) {
        self.bytes = self.bytes.saturating_add(pieces.saturating_mul(bytes));
        self.growth = self.growth.max(growth);
    }

    pub(crate) fn total(self) -> usize {
        self.bytes.saturating_add(self.growth)
    }
}
