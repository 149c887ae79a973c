//! Walks towards a target.

pub(crate) mod walk;
