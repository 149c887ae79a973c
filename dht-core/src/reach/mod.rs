//! The own address, and whether anybody can reach it.

pub(crate) mod firewall;
pub(crate) mod nat;
pub(crate) mod survey;
