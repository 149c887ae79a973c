//! Periodic work: its schedule, the health, names of bootstrap nodes.

pub(crate) mod clock;
pub(crate) mod contact;
mod health;
