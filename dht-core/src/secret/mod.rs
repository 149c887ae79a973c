//! Secrets: random numbers, keyed hashes, tokens. None of it leaves the node but tokens.

pub(crate) mod keyed;
pub(crate) mod rng;
pub(crate) mod token;
