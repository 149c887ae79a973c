//! Memory for one thread, where there is no operating system to ask for it.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Something that only one thread ever uses, since there is no other.
pub struct OneThread<T>(UnsafeCell<T>);

// SAFETY: there is one thread.
unsafe impl<T> Sync for OneThread<T> {}

impl<T> OneThread<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub const fn get(&self) -> *mut T {
        self.0.get()
    }
}

const ARENA: usize = 4 << 20;
/// Blocks are powers of two, from 16 bytes on; each size has a list of those that are free.
const SMALLEST: usize = 16;
const SIZES: usize = 20;

struct Heap {
    arena: OneThread<[u128; ARENA / 16]>,
    free: OneThread<[*mut u8; SIZES]>,
    used: AtomicUsize,
}

#[global_allocator]
static HEAP: Heap = Heap {
    arena: OneThread::new([0; ARENA / 16]),
    free: OneThread::new([ptr::null_mut(); SIZES]),
    used: AtomicUsize::new(0),
};

/// How many bytes of the arena have ever been in use.
pub fn used() -> usize {
    HEAP.used.load(Relaxed)
}

fn size_class(layout: Layout) -> (usize, usize) {
    let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    ((size / SMALLEST).trailing_zeros() as usize, size)
}

// SAFETY: a block is handed out once until it is given back, is as large as its class and
// aligned to its size (the arena begins at a multiple of 16, and alignments above are refused).
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (class, size) = size_class(layout);
        if class >= SIZES || layout.align() > SMALLEST {
            return ptr::null_mut();
        }
        // SAFETY: one thread, and no reference lives on; free blocks hold the next one.
        unsafe {
            let head = &mut (*self.free.get())[class];
            if !head.is_null() {
                let block = *head;
                *head = block.cast::<*mut u8>().read();
                return block;
            }
        }
        let at = self.used.load(Relaxed);
        if at + size > ARENA {
            return ptr::null_mut();
        }
        self.used.store(at + size, Relaxed);
        // SAFETY: within the arena.
        unsafe { self.arena.get().cast::<u8>().add(at) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (class, _) = size_class(layout);
        // SAFETY: the block came from `alloc` with this layout, so it has room for a pointer.
        unsafe {
            let head = &mut (*self.free.get())[class];
            block.cast::<*mut u8>().write(*head);
            *head = block;
        }
    }
}
