//! Requests from peers, and what the node sends in answer to them.

mod answers;
mod commands;
mod datagrams;
mod hearsay;
mod sources;
mod tokens;
mod unproven;
