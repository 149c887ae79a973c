//! The heap, counted: an allocator for test binaries that want to know what a node takes of it.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

// For each thread its own counters: the harness has a thread that allocates at any time.
thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static USED: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    if COUNTS.get() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        USED.set(USED.get() + bytes as isize);
        PEAK.set(PEAK.get().max(USED.get()));
    }
}

fn take(bytes: usize) {
    if COUNTS.get() {
        USED.set(USED.get() - bytes as isize);
    }
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        take(layout.size());
        // SAFETY: the caller's.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Counted as if the block had to move: the old and the new one are both there for a while.
        add(size);
        take(layout.size());
        // SAFETY: the caller's.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Does `work` while the heap is counted.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    COUNTS.set(true);
    let result = work();
    COUNTS.set(false);
    result
}

/// How many allocations were counted.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.get()
}

/// How many bytes more are in use than at the last `reset`.
pub(crate) fn used() -> isize {
    USED.get()
}

/// The most bytes in use since the last `reset`.
pub(crate) fn peak() -> isize {
    PEAK.get()
}

/// Counts the bytes in use from here on.
pub(crate) fn reset() {
    USED.set(0);
    PEAK.set(0);
}
