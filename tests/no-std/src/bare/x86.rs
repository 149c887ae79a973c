//! x86, 32 bit, little endian.

use core::arch::{asm, global_asm};

// The kernel leaves the stack aligned to 16 bytes, and `call` is what a function expects.
global_asm!(".globl _start", "_start:", "call {main}", "ud2", main = sym super::start);

/// Ends the process.
pub fn exit(code: i32) -> ! {
    // SAFETY: exit_group takes any number and does not return.
    unsafe { asm!("int 0x80", in("eax") 252, in("ebx") code, options(noreturn, nostack)) }
}

pub(super) fn write(file: usize, text: &[u8]) -> usize {
    let written;
    // SAFETY: write reads `text` only.
    unsafe {
        asm!("int 0x80", inlateout("eax") 4usize => written, in("ebx") file,
            in("ecx") text.as_ptr(), in("edx") text.len(), options(nostack));
    }
    written
}
