//! Requests under way, from their begin to their end: when each may leave, how long it waits, what its answer may teach.

pub(crate) mod call;
pub(crate) mod congestion;
pub(crate) mod elsewhere;
pub(crate) mod inflight;
pub(crate) mod lessons;
pub(crate) mod pace;
pub(crate) mod shares;
pub(crate) mod timeouts;
