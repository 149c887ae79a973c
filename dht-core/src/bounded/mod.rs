//! Memory that has a bound, and the account of it.

pub(crate) mod index;
pub(crate) mod memory;
