//! The node as a whole, as its user meets it.

mod alarms;
mod any_order;
mod contract;
mod counters;
mod documented;
mod exempt;
mod health;
mod id_cache;
mod limits;
mod network;
mod presets;
