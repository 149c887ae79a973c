//! The simulator as its users see it: applications, a store under faults, captures, and runs that once failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod app;
mod regressions;
mod store;
mod tshark;
