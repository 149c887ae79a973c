//! What a node may take of the heap, at most: sums of buffers at their bounds, for
//! [`Node::memory_bound`](crate::Node::memory_bound). Each module that keeps something says what.

/// How many places more a full buffer gets: as many again, but never beyond `max` in all.
pub(crate) fn more_for(len: usize, max: usize) -> usize {
    len.max(4).min(max.saturating_sub(len)).max(1)
}

/// A sum of buffers that may all be at their largest at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heap {
    bytes: usize,
    /// The most that one of them needs beside itself while it grows: its old self.
    growth: usize,
}

impl Heap {
    /// So many blocks that never grow.
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

    /// So many buffers that grow as [`more_for`] says.
    pub(crate) fn capped_each<T>(&mut self, pieces: usize, max: usize) {
        let bytes = max.saturating_mul(size_of::<T>());
        self.add(pieces, bytes, bytes);
    }

    /// A buffer that doubles whenever it is full, from four places on.
    pub(crate) fn doubling<T>(&mut self, len: usize) {
        self.doubling_each::<T>(1, len);
    }

    /// So many of these.
    pub(crate) fn doubling_each<T>(&mut self, pieces: usize, len: usize) {
        let bytes = len.next_power_of_two().max(4).saturating_mul(size_of::<T>());
        self.add(pieces, bytes, bytes / 2);
    }

    /// The same, but it is cut down to any length at times, and doubles from there.
    pub(crate) fn doubling_and_shrinking<T>(&mut self, len: usize) {
        let bytes = len.max(4).saturating_mul(2 * size_of::<T>());
        self.add(1, bytes, bytes / 2);
    }

    /// An [`Index`](crate::index::Index) of so many values.
    pub(crate) fn index_each(&mut self, pieces: usize, len: usize) {
        let bytes = crate::index::cells_for(len).saturating_mul(size_of::<u32>());
        self.add(pieces, bytes, bytes / 2);
    }

    /// So many payloads of at most so many bytes, each in a block of its own that may be shared.
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
