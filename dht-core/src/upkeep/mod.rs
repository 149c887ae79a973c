//! Periodic work: its schedule, the health, names of bootstrap nodes.

pub(crate) mod contact;
mod health;
pub(crate) mod schedule;
