//! PowerPC, 32 bit, big endian.

use core::arch::{asm, global_asm};

// A function expects room for two words above the stack pointer, and alignment to 16 bytes.
global_asm!(".globl _start", "_start:", "stwu 1, -16(1)", "bl {main}", main = sym super::start);

/// Ends the process.
pub fn exit(code: i32) -> ! {
    // SAFETY: exit_group takes any number and does not return.
    unsafe { asm!("sc", in("r0") 234, in("r3") code, options(noreturn, nostack)) }
}

pub(super) fn write(file: usize, text: &[u8]) -> usize {
    let written;
    // SAFETY: write reads `text` only; these registers are the kernel's to change.
    unsafe {
        asm!("sc", inlateout("r0") 4 => _, inlateout("r3") file => written,
            inlateout("r4") text.as_ptr() => _, inlateout("r5") text.len() => _,
            lateout("r6") _, lateout("r7") _, lateout("r8") _, lateout("r9") _, lateout("r10") _,
            lateout("r11") _, lateout("r12") _, lateout("cr0") _, options(nostack));
    }
    written
}
