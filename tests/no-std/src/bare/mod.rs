//! What a binary without std has to bring itself on Linux: where to begin and end, and how to
//! write. All that differs between machines stands in one file for each.

use core::panic::PanicInfo;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "s390x", path = "s390x.rs")]
#[cfg_attr(target_arch = "powerpc", path = "powerpc.rs")]
mod machine;

pub use machine::exit;

/// Where `_start` of each machine goes.
extern "C" fn start() -> ! {
    exit(crate::main())
}

/// The trace of what is sent.
pub const OUT: usize = 1;
/// What a person reads.
pub const ERR: usize = 2;

/// Writes all of `text`, or as much as can be.
pub fn write(file: usize, mut text: &[u8]) {
    while !text.is_empty() {
        let Some(rest) = text.get(machine::write(file, text)..) else { return };
        text = rest;
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}
