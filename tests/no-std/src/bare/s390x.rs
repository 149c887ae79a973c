//! s390x, 64 bit, big endian.

use core::arch::{asm, global_asm};

// A function expects 160 bytes above the stack pointer that it may write to.
global_asm!(".globl _start", "_start:", "aghi %r15, -160", "brasl %r14, {main}", main = sym super::start);

/// Ends the process.
pub fn exit(code: i32) -> ! {
    // SAFETY: exit_group takes any number and does not return.
    unsafe { asm!("svc 0", in("r1") 248, in("r2") code, options(noreturn, nostack)) }
}

pub(super) fn write(file: usize, text: &[u8]) -> usize {
    let written;
    // SAFETY: write reads `text` only.
    unsafe {
        asm!("svc 0", in("r1") 4, inlateout("r2") file => written, in("r3") text.as_ptr(),
            in("r4") text.len(), options(nostack));
    }
    written
}
