//! The protocol's own commands, by their numbers on the wire.

pub(crate) const PING: u64 = 0;
pub(crate) const PING_NAT: u64 = 1;
pub(crate) const FIND_NODE: u64 = 2;
pub(crate) const DOWN_HINT: u64 = 3;
pub(crate) const DELAYED_PING: u64 = 4;
