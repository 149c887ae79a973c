//! Attacks on settled networks, and what becomes of them: the figures of `HARDENING.md`.
//!
//! Numbers here are smaller than there, so that every run of the tests has them; the ignored tests have the full
//! ones: `cargo test --release -p dht-sim --test attacks -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod addresses;
mod answers;
mod faults;
mod figures;
mod floods;
mod holes;
mod lies;
mod network;
mod scale;
mod tables;
