//! The feature `hyperdht`.

mod keys;
mod serving_life;
mod serving_limits;
mod serving_messages;
mod serving_model;
mod serving_reference;
mod serving_relays;
mod serving_rig;
