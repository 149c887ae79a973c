//! What `dht-core` does, in virtual time: one node among scripted peers, and whole networks in memory.
//!
//! Folders are the parts of the node; `node` is what concerns all of them. Beside this folder are tests that need a
//! process of their own, since they count the heap, and those of the codec, which are no part of the package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, in functions that clippy doesn't take for one"
)]

mod members;
mod node;
mod queries;
mod reach;
mod replies;
mod requests;
mod support;
mod upkeep;
