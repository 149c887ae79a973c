//! What a binary without std has to bring itself: where to begin and end, memory, and the
//! few functions that compiled code takes for granted. All unsafe code there is stands here.
//! For x86-64 Linux.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

// The kernel leaves the stack aligned to 16 bytes, and `call` is what a function expects.
global_asm!(".globl _start", "_start:", "call {main}", "ud2", main = sym start);

extern "C" fn start() -> ! {
    exit(crate::main())
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    // SAFETY: exit_group takes any number and does not return.
    unsafe { asm!("syscall", in("eax") 231, in("edi") code, options(noreturn, nostack)) }
}

/// Writes to the standard output, as far as that takes it.
pub fn print(text: &[u8]) {
    // SAFETY: write reads `text` only; rcx and r11 are the kernel's to change.
    unsafe {
        asm!("syscall", inlateout("rax") 1usize => _, in("rdi") 1, in("rsi") text.as_ptr(),
            in("rdx") text.len(), lateout("rcx") _, lateout("r11") _, options(nostack));
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}

const ARENA: usize = 4 << 20;
/// Blocks are powers of two, from 16 bytes on; each size has a list of those that are free.
const SMALLEST: usize = 16;
const SIZES: usize = 20;

struct Heap {
    arena: UnsafeCell<[u8; ARENA]>,
    free: UnsafeCell<[*mut u8; SIZES]>,
    used: AtomicUsize,
}

// SAFETY: there is one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    arena: UnsafeCell::new([0; ARENA]),
    free: UnsafeCell::new([ptr::null_mut(); SIZES]),
    used: AtomicUsize::new(0),
};

/// How many bytes of the arena have ever been in use.
pub fn heap_used() -> usize {
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

// What compilers call by name. In assembly, so that they are not made of calls to themselves.

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's: both are valid for `len` bytes.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= len {
        // SAFETY: forwards nothing is overwritten before it is read.
        return unsafe { memcpy(to, from, len) };
    }
    // SAFETY: the caller's, and so it is backwards here.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") len => _,
            inout("rdi") to.wrapping_add(len).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(len).wrapping_sub(1) => _, options(nostack));
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller's: valid for `len` bytes.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") byte as u8,
            options(nostack, preserves_flags));
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for at in 0..len {
        // SAFETY: the caller's: both are valid for `len` bytes.
        let (a, b) = unsafe { (a.add(at).read(), b.add(at).read()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's.
    unsafe { memcmp(a, b, len) }
}

// The sysroot's core is compiled to unwind. Here a panic ends the process before that.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(102)
}
