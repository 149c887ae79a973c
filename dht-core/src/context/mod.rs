//! What all parts are handed with each call.

pub(crate) mod events;
