//! How `Debug` shows fields: ids as hexadecimal, values by their length only (they are
//! the application's, and up to a datagram long), tokens not at all.

use core::fmt;

use crate::Id;

pub(super) struct Key<'a>(pub(super) &'a [u8; 32]);

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Id(*self.0), f)
    }
}

/// Holds nothing, so it has nothing to give away.
pub(super) struct Secret;

impl Secret {
    pub(super) fn new(_: &[u8; 32]) -> Self {
        Self
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

pub(super) struct Size<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
