//! The feature `hyperdht`.

mod serving_messages;
mod serving_reference;
mod serving_rig;
