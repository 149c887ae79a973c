//! Requests of others, and what the node sends for them.

mod answers;
mod commands;
mod datagrams;
mod hearsay;
mod sources;
mod tokens;
mod unproven;
