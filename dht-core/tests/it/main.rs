//! What `dht-core` does, in virtual time: one node among scripted peers, and whole networks in memory.
//!
//! Each folder stands for a part of the node; `node` holds what concerns all parts. Beside this folder are tests
//! that need a process of their own, since they count the heap, and the tests of the codec, which stay unpublished.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, in functions that clippy doesn't take for one"
)]

#[cfg(feature = "hyperdht")]
mod hyperdht;
mod members;
mod node;
mod queries;
mod reach;
mod replies;
mod requests;
mod support;
mod upkeep;
