//! Buffers of bounded size, and the sum of what they may take.

pub(crate) mod index;
pub(crate) mod marks;
pub(crate) mod memory;
