//! Answers to the requests of others, until they leave.

pub(crate) mod delayed;
pub(crate) mod outbox;
pub(crate) mod way;
